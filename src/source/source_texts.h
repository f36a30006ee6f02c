/*
 * source_texts.h
 *		The statements that follow from the declaration of a source.
 */
#ifndef CDP_SOURCE_SOURCE_TEXTS_H
#define CDP_SOURCE_SOURCE_TEXTS_H

#include "source/owner.h"

typedef struct SourceTexts
{
	char	   *query;
	int			identifier_columns;
	bool		is_event;
	SourceOwner owner;
	char	   *write;			/* NULL: none */
	char	   *missing;		/* NULL: none */
} SourceTexts;

extern void source_texts_read(SourceTexts *texts, const char *source, const char *selection, const char *since);

#endif							/* CDP_SOURCE_SOURCE_TEXTS_H */
