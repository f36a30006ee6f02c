/*
 * given_text.h
 *		Texts of SQL that a user gives as an argument: parsing a select list or an
 *		expression, and the places of errors in it.
 */
#ifndef CDP_GIVEN_TEXT_H
#define CDP_GIVEN_TEXT_H

#include "nodes/parsenodes.h"

extern void given_text_show_position(const char *text);
extern int	given_text_character(const char *text, int location);
extern int	given_text_position(const char *text, int location);
extern RawStmt *given_text_parse(const char *text, bool *has_more, int *location);
extern bool given_text_calls_volatile(Node *node);
extern int	given_text_set_returning(Node *tree);

#endif							/* CDP_GIVEN_TEXT_H */
