/*
 * phone.cc
 *		The module cdp_phone: phone numbers by libphonenumber.
 *
 * It is loaded by normalize_phone.c on first use.  See phone.h for the rules
 * between the two.  No header of the server is included here, since those
 * replace functions of the C library by the server's.
 */
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <set>
#include <string>

#include <dlfcn.h>
#include <stdlib.h>

#include <phonenumbers/logger.h>
#include <phonenumbers/phonenumber.pb.h>
#include <phonenumbers/phonenumberutil.h>

#include "identity/phone.h"

using i18n::phonenumbers::NullLogger;
using i18n::phonenumbers::PhoneNumber;
using i18n::phonenumbers::PhoneNumberUtil;

namespace
{

/*
 * The library takes no more than 250 characters; no need to hand it longer
 * input.
 */
const size_t maximum_input_length = 1000;

/* The library's name for "no region" */
const char	no_region[] = "ZZ";

/*
 * failure turns the exception that is being handled into a status.
 */
PhoneStatus
failure() noexcept
{
	try
	{
		throw;
	}
	catch (const std::bad_alloc &)
	{
		return PHONE_OUT_OF_MEMORY;
	}
	catch (...)
	{
		return PHONE_FAILED;
	}
}

/*
 * make_library returns the library's only object, silenced, because it would
 * write to the server's standard output.
 */
PhoneNumberUtil *
make_library()
{
	PhoneNumberUtil *object = PhoneNumberUtil::GetInstance();

	object->SetLogger(new NullLogger());
	return object;
}

PhoneNumberUtil &
library()
{
	static PhoneNumberUtil *object = make_library();

	return *object;
}

/*
 * make_regions returns the codes that may be given as a region.
 */
std::set<std::string>
make_regions()
{
	std::set<std::string> regions;

	library().GetSupportedRegions(&regions);
	regions.insert(no_region);
	return regions;
}

/*
 * known_region brings a region code to upper case, and returns false where the
 * library does not know it.
 */
bool
known_region(const char *region, std::string &code)
{
	static const std::set<std::string> regions = make_regions();

	code = *region == '\0' ? no_region : region;
	for (char &letter : code)
	{
		if (letter >= 'a' && letter <= 'z')
			letter = static_cast<char>(letter - 'a' + 'A');
	}
	return code.size() == 2 && regions.count(code) > 0;
}

PhoneStatus
phone_normalize(const char *input, size_t length, const char *region,
				char output[PHONE_NUMBER_SIZE])
{
	try
	{
		std::string code;
		std::string formatted;
		PhoneNumber number;

		if (!known_region(region, code))
			return PHONE_UNKNOWN_REGION;
		if (length > maximum_input_length)
			return PHONE_INVALID;
		if (library().Parse(std::string(input, length), code, &number) !=
			PhoneNumberUtil::NO_PARSING_ERROR)
			return PHONE_INVALID;
		if (!library().IsValidNumber(number))
			return PHONE_INVALID;
		library().Format(number, PhoneNumberUtil::E164, &formatted);
		if (formatted.empty() || formatted.size() >= PHONE_NUMBER_SIZE)
			return PHONE_INVALID;
		memcpy(output, formatted.c_str(), formatted.size() + 1);
		return PHONE_OK;
	}
	catch (...)
	{
		return failure();
	}
}

PhoneStatus
phone_check_region(const char *region)
{
	try
	{
		std::string code;

		return known_region(region, code) ? PHONE_OK : PHONE_UNKNOWN_REGION;
	}
	catch (...)
	{
		return failure();
	}
}

/*
 * describe_library writes the version of the library and a fingerprint of its
 * metadata, as "8.12 metadata 0123abcd".
 *
 * The library does not tell its version.  The number stands in the name of the
 * file it was loaded from.  The metadata, which is what decides about numbers
 * and changes every few weeks, is found by the name of the function that
 * returns it, which the library exports though no header declares it; so its
 * absence must be borne.
 */
std::string
describe_library()
{
	std::string description;
	Dl_info		info;
	void	   *symbol = dlsym(RTLD_DEFAULT, "_ZN4i18n12phonenumbers15PhoneNumberUtil11GetInstanceEv");

	if (symbol != nullptr && dladdr(symbol, &info) != 0 && info.dli_fname != nullptr)
	{
		static const char suffix[] = ".so.";
		char	   *path = realpath(info.dli_fname, nullptr);
		const char *version = path == nullptr ? nullptr : strstr(path, suffix);

		if (version != nullptr)
			description = version + strlen(suffix);
		free(path);
	}

	typedef const void *(*metadata_function) ();
	typedef int (*size_function) ();
	void	   *metadata_symbol = dlsym(RTLD_DEFAULT, "_ZN4i18n12phonenumbers12metadata_getEv");
	void	   *size_symbol = dlsym(RTLD_DEFAULT, "_ZN4i18n12phonenumbers13metadata_sizeEv");

	if (metadata_symbol != nullptr && size_symbol != nullptr)
	{
		/* FNV-1a: any change shows, and that is all that is asked of it */
		const void *metadata = reinterpret_cast<metadata_function>(metadata_symbol)();
		const unsigned char *bytes = static_cast<const unsigned char *>(metadata);
		int			size = reinterpret_cast<size_function>(size_symbol)();
		uint32_t	hash = 2166136261u;
		char		text[32];

		for (int i = 0; i < size; i++)
			hash = (hash ^ bytes[i]) * 16777619u;
		std::snprintf(text, sizeof(text), "metadata %08x", hash);
		if (!description.empty())
			description += ' ';
		description += text;
	}
	return description;
}

const char *
phone_library_version()
{
	static char version[64];

	try
	{
		if (version[0] == '\0')
			std::strncpy(version, describe_library().c_str(), sizeof(version) - 1);
	}
	catch (...)
	{
		/* out of memory: "" this time */
	}
	return version;
}

const PhoneInterface phone_interface = {
	PHONE_INTERFACE_VERSION,
	phone_normalize,
	phone_check_region,
	phone_library_version};

} // namespace

extern "C" __attribute__((visibility("default")))
const PhoneInterface *
cdp_phone_interface()
{
	return &phone_interface;
}
