/*
 * normalize_phone.c
 *		The server's side of the phone normaliser: loads the module cdp_phone
 *		on first use and turns what it returns into results and errors.
 */
#include "postgres.h"

#include "fmgr.h"

#include "cdp.h"
#include "identity/normalize_internal.h"
#include "identity/phone.h"

#define PHONE_MODULE "$libdir/cdp_phone"

static const PhoneInterface *phone_interface = NULL;

/*
 * load_error_hint adds to an error of the loader what can be done about it.
 */
static void
load_error_hint(void *argument)
{
	errcode(ERRCODE_UNDEFINED_FILE);
	errhint("Phone numbers need libphonenumber (Debian package libphonenumber8) and the module cdp_phone, which is built where libphonenumber-dev is installed.");
}

/*
 * phone_module returns the functions of the module, loading it where this
 * session has not done so.  Errors: no such file, or of another version.
 */
static const PhoneInterface *
phone_module(void)
{
	ErrorContextCallback callback;
	PhoneInterfaceFunction function;
	const PhoneInterface *found;

	if (phone_interface != NULL)
		return phone_interface;

	callback.callback = load_error_hint;
	callback.arg = NULL;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	function = (PhoneInterfaceFunction)
		load_external_function(PHONE_MODULE, PHONE_INTERFACE_FUNCTION, true,
							   NULL);
	error_context_stack = callback.previous;

	found = function();
	if (found->interface_version != PHONE_INTERFACE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("module \"%s\" is of another version of cdp",
						"cdp_phone"),
				 errdetail("Its interface has version %d, and version %d is needed.",
						   found->interface_version, PHONE_INTERFACE_VERSION),
				 errhint("Install cdp and cdp_phone from the same package and reconnect.")));
	phone_interface = found;
	return found;
}

/*
 * report_phone_failure raises the error for a status that is neither success
 * nor an invalid number.
 */
static void
report_phone_failure(PhoneStatus status, const char *region)
{
	switch (status)
	{
		case PHONE_OK:
		case PHONE_INVALID:
			break;
		case PHONE_UNKNOWN_REGION:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("region \"%s\" is not known", region),
					 errhint("Give the two-letter code of a country (ISO 3166-1), such as US or DE, or ZZ where every number is international.")));
			break;
		case PHONE_OUT_OF_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed while libphonenumber was reading a phone number.")));
			break;
		case PHONE_FAILED:
			ereport(ERROR,
					(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					 errmsg("libphonenumber failed to read a phone number")));
			break;
	}
}

/*
 * normalize_phone appends the E.164 form of a number given in UTF-8.  Errors:
 * module missing, unknown region, out of memory.
 */
NormalizeStatus
normalize_phone(const char *input, size_t length, const char *region,
				NormalizeBuffer *output)
{
	char		number[PHONE_NUMBER_SIZE];
	size_t		number_length;
	PhoneStatus status;

	status = phone_module()->normalize(input, length, region, number);
	if (status == PHONE_INVALID)
		return NORMALIZE_INVALID;
	if (status != PHONE_OK)
		report_phone_failure(status, region);

	number_length = strlen(number);
	if (!normalize_reserve(output, number_length))
		return NORMALIZE_OUT_OF_MEMORY;
	memcpy(output->data + output->length, number, number_length);
	output->length += number_length;
	return NORMALIZE_OK;
}

/*
 * normalize_phone_check_region raises an error for a region that
 * libphonenumber does not know.  Also errors: module missing.
 */
void
normalize_phone_check_region(const char *region)
{
	report_phone_failure(phone_module()->check_region(region), region);
}

/*
 * normalize_phone_version returns the version of libphonenumber and its
 * metadata, NULL where the library or the module is missing.
 *
 * That is no error, because a server without phone numbers has no need of the
 * library, and yet has a namespace for them whose version is asked for.
 */
const char *
normalize_phone_version(void)
{
	MemoryContext context = CurrentMemoryContext;
	const PhoneInterface *volatile module = NULL;

	/*
	 * Loading takes no lock and nothing else that a subtransaction would have
	 * to give back, so that the error can simply be dropped.
	 */
	PG_TRY();
	{
		module = phone_module();
	}
	PG_CATCH();
	{
		int			code;

		MemoryContextSwitchTo(context);
		code = geterrcode();
		if (code != ERRCODE_UNDEFINED_FILE &&
			code != ERRCODE_FEATURE_NOT_SUPPORTED)
			PG_RE_THROW();
		FlushErrorState();
	}
	PG_END_TRY();

	return module == NULL ? NULL : module->library_version();
}
