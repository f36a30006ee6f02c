/*
 * phone.h
 *		What the module cdp_phone offers to cdp: a table of C functions.
 *
 * The module is C++ because libphonenumber is.  No exception leaves it, and it
 * calls no function of the server, so no error of the server passes through
 * its frames.
 */
#ifndef CDP_IDENTITY_PHONE_H
#define CDP_IDENTITY_PHONE_H

#include <stddef.h>

/*
 * Counted up when the table below changes, because the two modules are two
 * files and may come from two installations.
 */
#define PHONE_INTERFACE_VERSION 1

/* "+" and at most 15 digits (E.164), with room to spare */
#define PHONE_NUMBER_SIZE 32

typedef enum PhoneStatus
{
	PHONE_OK,
	PHONE_INVALID,				/* no valid number */
	PHONE_UNKNOWN_REGION,
	PHONE_OUT_OF_MEMORY,
	PHONE_FAILED				/* the library threw something else */
} PhoneStatus;

typedef struct PhoneInterface
{
	int			interface_version;

	/*
	 * Write the E.164 form of a number given in UTF-8.  The region is a code
	 * of two letters, upper or lower case; "ZZ" or the empty string stand for
	 * none, and then only numbers in international form are valid.
	 */
	PhoneStatus (*normalize) (const char *input, size_t length,
							 const char *region,
							 char output[PHONE_NUMBER_SIZE]);

	/* PHONE_OK or PHONE_UNKNOWN_REGION (or a failure) */
	PhoneStatus (*check_region) (const char *region);

	/*
	 * Version of the library and of its metadata, "" where it cannot be told;
	 * in static memory.
	 */
	const char *(*library_version) (void);
} PhoneInterface;

/* The one function that the module exports, and its name */
typedef const PhoneInterface *(*PhoneInterfaceFunction) (void);

#define PHONE_INTERFACE_FUNCTION "cdp_phone_interface"

#endif							/* CDP_IDENTITY_PHONE_H */
