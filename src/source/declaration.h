/*
 * declaration.h
 *		The declaration of a source while it is being checked.
 */
#ifndef CDP_SOURCE_DECLARATION_H
#define CDP_SOURCE_DECLARATION_H

#include "identity/settings.h"
#include "nodes/primnodes.h"

/* Tables have at most 1,600 columns. */
#define MAX_LIST_COLUMNS	1500

/* The texts, in the order of the arguments of cdp.create_source from record_key on. */
typedef enum Part
{
	PART_RECORD_KEY,
	PART_OBSERVED_AT,
	PART_OCCURRED_AT,
	PART_EVENT_NAME,
	PART_IDENTIFIERS,
	PART_TRAITS,
	PART_PROPERTIES,
	PART_PROFILE_ID,
	PART_FILTER,
	PART_DELETED,
	PART_WATERMARK,
	PART_COUNT
} Part;

typedef enum Meaning
{
	MEANS_KEY,
	MEANS_TIME,
	MEANS_NAME,
	MEANS_CONDITION,
	MEANS_PROFILE,
	MEANS_WATERMARK,
	MEANS_IDENTIFIER,
	MEANS_TRAIT,
	MEANS_PROPERTY
} Meaning;

typedef struct PartRule
{
	const char *name;
	bool		is_list;
	Meaning		meaning;
	const char *kind;			/* of its columns in cdp_data.source_column, NULL: not stored */
} PartRule;

extern const PartRule declaration_parts[PART_COUNT];

typedef struct Declaration
{
	const char *function;		/* who is called, for messages */
	bool		is_stored;		/* it was right once, and is read again */
	const char *name;
	char	   *relation;		/* as given, then qualified */
	char	   *texts[PART_COUNT];
	char	   *watermark_overlap;
	char	   *time_zone;
	char	   *capture;
	Oid			owner;
	char	   *owner_name;		/* as stored */
	char	   *search_path;
	RangeVar   *range;
	GraphSettings *settings;

	/* the columns that the select lists yield */
	int			column_count;
	Datum	   *column_kinds;
	Datum	   *column_numbers;
	Datum	   *column_names;
	Datum	   *column_types;
} Declaration;

extern void declaration_read_part(Declaration *declaration, Part part);

#endif							/* CDP_SOURCE_DECLARATION_H */
