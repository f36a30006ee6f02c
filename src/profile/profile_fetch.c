/*
 * profile_fetch.c
 *		Reading one trait of a stored profile, without fetching or decompressing
 *		more of it than is needed.
 *
 * The packed form has all that leads to a trait at its front, and its traits in
 * small leaves behind it.  Of a compressed value only the beginning up to the
 * leaf is decompressed, of one that is stored apart but not compressed only the
 * front and the leaf are fetched.
 */
#include "postgres.h"

#include "access/detoast.h"

#include "profile/profile_read.h"

/* Up to this size a value is taken whole. */
#define WHOLE_SIZE		2048

/* How much of the front is looked at first; it is usually enough. */
#define FRONT_SIZE		1024

/*
 * slice_of returns bytes of a stored value.
 */
static const char *
slice_of(struct varlena *stored, size_t start, size_t length)
{
	struct varlena *slice = detoast_attr_slice(stored, (int32) start, (int32) length);

	if (VARSIZE_ANY_EXHDR(slice) != length)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("corrupt value of type %s", "cdp.profile"),
				 errdetail("A part of the stored bytes is missing.")));
	return VARDATA_ANY(slice);
}

/*
 * cdp_profile_open_at begins to read a profile in which only one trait will be
 * looked for, with profile_find.
 */
void
cdp_profile_open_at(ProfileServerHost *host, ProfileReader *reader, Datum datum,
					const char *trait, size_t length)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(datum);
	size_t		size;
	size_t		needed = FRONT_SIZE;
	size_t		available;
	uint32_t	leaf;
	size_t		start;
	size_t		end;
	bool		is_compressed;
	bool		found;
	const char *front;

	if (!VARATT_IS_EXTERNAL_ONDISK(stored) && !VARATT_IS_COMPRESSED(stored))
	{
#ifdef __GNUC__
		/* The search goes through it from trait to trait, so each line would be waited for. */
		for (size_t offset = 64; offset < Min(VARSIZE_ANY(stored), 512); offset += 64)
			__builtin_prefetch((const char *) stored + offset);
#endif
		cdp_profile_open(host, reader, DatumGetProfile(datum));
		return;
	}
	size = toast_raw_datum_size(datum) - VARHDRSZ;
	if (size <= WHOLE_SIZE)
	{
		cdp_profile_open(host, reader, DatumGetProfile(datum));
		return;
	}
	is_compressed = VARATT_IS_COMPRESSED(stored);
	if (!is_compressed)
	{
		struct varatt_external pointer;

		VARATT_EXTERNAL_GET_POINTER(pointer, stored);
		is_compressed = VARATT_EXTERNAL_IS_COMPRESSED(pointer);
		/* fetched once, decompressed in parts */
		if (is_compressed)
			stored = detoast_external_attr(stored);
	}

	do
	{
		available = Min(needed, size);
		front = slice_of(stored, 0, available);
		if (!profile_front(&host->host, front, available, size, &needed))
			cdp_profile_fail(host);
	} while (needed > available);
	if (!profile_open(&host->host, reader, front, size) ||
		!profile_find_leaf(&host->host, reader, trait, length, &leaf, &start, &end, &found))
		cdp_profile_fail(host);
	if (!found || end <= available)
		return;
	if (is_compressed)
		reader->data = (const unsigned char *) slice_of(stored, 0, end);
	else
	{
		char	   *parts = palloc(end);

		memcpy(parts, front, available);
		memcpy(parts + start, slice_of(stored, start, end - start), end - start);
		reader->data = (const unsigned char *) parts;
	}
}
