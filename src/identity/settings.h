/*
 * settings.h
 *		The rules by which the identity graph reads its evidence: namespaces,
 *		options and blocked identifiers, as loaded from the storage.
 */
#ifndef CDP_IDENTITY_SETTINGS_H
#define CDP_IDENTITY_SETTINGS_H

#include "datatype/timestamp.h"
#include "identity/normalize.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* Longer values and keys would not fit into a btree page. */
#define IDENTIFIER_MAX_LENGTH	1024

typedef struct GraphNamespace
{
	int16		namespace_id;	/* as stored */
	char		name[NAMEDATALEN];
	int			priority;
	Normalizer	normalizer;
	text	   *pattern;		/* NULL: every normalised value is valid */
	int			max_per_profile;	/* 0: unlimited */
	int			max_links;		/* 0: never shared */
} GraphNamespace;

typedef struct BlockedIdentifier
{
	int			namespace_index;	/* -1: every namespace */
	uint32		length;
	const char *value;			/* exact value, or NULL */
	text	   *pattern;		/* regular expression, or NULL */
} BlockedIdentifier;

#define BLOCKED_FILTER_BITS		4096

/*
 * Namespaces stand in order of strength (priority, then name), so that an
 * index into the array is the rank of a namespace.
 */
typedef struct GraphSettings
{
	MemoryContext context;
	int			user_count;		/* graphs that have been made with them */
	int			namespace_count;
	GraphNamespace *namespaces;
	bool		drop_older;
	int			max_profile_size;
	int			max_replay;
	int			blocked_value_count;	/* sorted by value */
	BlockedIdentifier *blocked_values;
	int			blocked_pattern_count;
	BlockedIdentifier *blocked_patterns;
	uint8		blocked_filter[BLOCKED_FILTER_BITS / 8];
} GraphSettings;

/* The relations and indexes of the storage, resolved by name. */
typedef struct GraphRelations
{
	Oid			namespace;
	Oid			option;
	Oid			blocked_identifier;
	Oid			storage;
	Oid			identifier;
	Oid			identifier_pkey;
	Oid			identifier_value_key;
	Oid			identifier_profile_id;
	Oid			identifier_id_sequence;
	Oid			record;
	Oid			record_key;
	Oid			record_hub;
	Oid			link;
	Oid			link_pkey;
	Oid			link_b;
	Oid			label;
	Oid			label_pair;
	Oid			label_b;
	Oid			profile;
	Oid			profile_pkey;
	Oid			profile_retired_anchor;
	Oid			profile_queued;
	Oid			profile_id_sequence;
	Oid			rejected_record;
	Oid			changed_profile;
	Oid			contribution;
	Oid			contribution_history;
	Oid			event;
} GraphRelations;

/* storage_check.c */
extern Oid	storage_owner(void);
extern void storage_check_schema(Oid schema);
extern Oid	storage_relation(Oid schema, const char *name);

extern const GraphRelations *graph_relations(void);
extern const GraphSettings *graph_settings(void);
extern GraphSettings *graph_settings_load(MemoryContext context);

extern int	graph_namespace_index(const GraphSettings *settings, const char *name);
extern int	graph_namespace_required(const GraphSettings *settings, const char *name);
extern bool graph_is_blocked(const GraphSettings *settings, int namespace_index,
							 const char *value, uint32 length, uint32 hash);
extern bool graph_value_is_valid(const GraphSettings *settings, int namespace_index,
								 const char *value, uint32 length);
/* The order of values: as bytes, a shorter one before its continuations. */
static inline int
compare_bytes(const char *left, uint32 left_length, const char *right, uint32 right_length)
{
	int			order = memcmp(left, right, Min(left_length, right_length));

	if (order != 0)
		return order;
	return (left_length > right_length) - (left_length < right_length);
}

extern uint32 graph_value_hash(const char *value, uint32 length);

#endif							/* CDP_IDENTITY_SETTINGS_H */
