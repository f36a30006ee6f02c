/*
 * score_expression.h
 *		What the expression of a score says of the inputs of its model.
 */
#ifndef CDP_SCORE_EXPRESSION_H
#define CDP_SCORE_EXPRESSION_H

/* Expressions over a profile and its events. */
typedef struct ScoreInputs
{
	char	   *inputs;			/* the bins of the inputs of whoever is scored, or NULL */
	char	   *call;			/* those by the first call, whoever is scored */
	char	   *scored;			/* NULL for whoever is not meant to have a score */
} ScoreInputs;

extern bool score_expression_inputs(const char *definition, const char *look_up, ScoreInputs *result);

#endif							/* CDP_SCORE_EXPRESSION_H */
