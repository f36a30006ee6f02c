/*
 * profile_time.c
 *		Texts of times: ISO 8601 with a time zone, whatever the settings of the
 *		session.
 *
 * No server here: see profile_core.h.
 */
#include "profile/profile_core.h"

#include <stdio.h>
#include <string.h>

#define MICROSECONDS_PER_DAY	INT64_C(86400000000)
#define DAYS_TO_2000			2451545 /* Julian day of 2000-01-01 */

static bool
same_word(const char *text, size_t length, const char *word)
{
	return strlen(word) == length && memcmp(text, word, length) == 0;
}

/*
 * julian_day and its inverse are those of PostgreSQL: days since 4714-11-24 BC
 * in the Gregorian calendar.  Year 0 is 1 BC.
 */
static int64_t
julian_day(int64_t year, int month, int day)
{
	int64_t		century;
	int64_t		result;

	if (month > 2)
	{
		month += 1;
		year += 4800;
	}
	else
	{
		month += 13;
		year += 4799;
	}
	century = year / 100;
	result = year * 365 - 32167;
	result += year / 4 - century + century / 4;
	return result + (int64_t) 7834 * month / 256 + day;
}

static void
from_julian_day(int64_t day, int64_t *year, int *month, int *day_of_month)
{
	uint32_t	julian = (uint32_t) day;
	uint32_t	quad;
	uint32_t	extra;
	int64_t		y;

	julian += 32044;
	quad = julian / 146097;
	extra = (julian - quad * 146097) * 4 + 3;
	julian += 60 + quad * 3 + extra / 146097;
	quad = julian / 1461;
	julian -= quad * 1461;
	y = julian * 4 / 1461;
	julian = ((y != 0) ? ((julian + 305) % 365) : ((julian + 306) % 366)) + 123;
	y += (int64_t) quad * 4;
	*year = y - 4800;
	quad = julian * 2141 / 65536;
	*day_of_month = (int) (julian - 7834 * quad / 256);
	*month = (int) ((quad + 10) % 12 + 1);
}

/*
 * read_digits reads so many digits, and returns -1 where they are not there.
 */
static int
read_digits(const char **next, const char *end, int count)
{
	int			number = 0;

	if (end - *next < count)
		return -1;
	for (; count > 0; count--, (*next)++)
	{
		if (**next < '0' || **next > '9')
			return -1;
		number = number * 10 + (**next - '0');
	}
	return number;
}

/*
 * profile_parse_time reads an ISO 8601 time with its time zone, such as
 * 2026-01-02T03:04:05.678+01:00 or …Z (a space may take the place of T, " BC"
 * may follow), or infinity or -infinity.
 */
bool
profile_parse_time(const char *text, size_t length, int64_t *time, const char **problem)
{
	static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	const char *next = text;
	const char *end = text + length;
	int64_t		year = 0;
	int			year_digits = 0;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second = 0;
	int			microsecond = 0;
	int64_t		zone = 0;
	int64_t		result;
	bool		is_leap;

	*problem = "a time is not of the form 2026-01-02T03:04:05Z";
	if (same_word(text, length, "infinity"))
	{
		*time = PROFILE_TIME_INFINITY;
		return true;
	}
	if (same_word(text, length, "-infinity"))
	{
		*time = PROFILE_TIME_MINUS_INFINITY;
		return true;
	}
	for (; next < end && *next >= '0' && *next <= '9' && year_digits < 7; next++, year_digits++)
		year = year * 10 + (*next - '0');
	if (year_digits < 4 || next == end || *next++ != '-' ||
		(month = read_digits(&next, end, 2)) < 1 || month > 12 ||
		next == end || *next++ != '-' || (day = read_digits(&next, end, 2)) < 1)
		return false;
	if (end - next > 3 && memcmp(end - 3, " BC", 3) == 0)
	{
		end -= 3;
		if (year == 0)
			return false;
		year = 1 - year;
	}
	else if (year == 0)
		return false;
	is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	if (day > month_days[month - 1] + (month == 2 && is_leap))
		return false;
	if (next == end || (*next != 'T' && *next != 't' && *next != ' '))
		return false;
	next++;
	hour = read_digits(&next, end, 2);
	if (hour < 0 || hour > 24 || next == end || *next++ != ':' ||
		(minute = read_digits(&next, end, 2)) < 0 || minute > 59)
		return false;
	if (next < end && *next == ':')
	{
		next++;
		second = read_digits(&next, end, 2);
		if (second < 0 || second > 60)
			return false;
		if (next < end && *next == '.')
		{
			int			scale = 100000;

			next++;
			if (next == end || *next < '0' || *next > '9')
				return false;
			for (; next < end && *next >= '0' && *next <= '9'; next++)
			{
				if (scale == 0 && *next != '0')
				{
					*problem = "a time has more than six digits of a second";
					return false;
				}
				microsecond += (*next - '0') * scale;
				scale /= 10;
			}
		}
	}
	if (hour == 24 && (minute != 0 || second != 0 || microsecond != 0))
		return false;
	if (next == end)
	{
		*problem = "a time has no time zone, such as Z or +01:00";
		return false;
	}
	if (*next == 'Z' || *next == 'z')
		next++;
	else if (*next == '+' || *next == '-')
	{
		int			sign = *next++ == '-' ? -1 : 1;
		int			part = read_digits(&next, end, 2);

		if (part < 0 || part > 15)
			return false;
		zone = part * 3600;
		for (int unit = 60; unit > 0 && next < end; unit /= 60)
		{
			if (*next == ':')
				next++;
			part = read_digits(&next, end, 2);
			if (part < 0 || part > 59)
				return false;
			zone += part * unit;
		}
		zone *= sign;
	}
	if (next != end)
		return false;

	*problem = "a time is out of range";
	if (year < -4713 || year > 294277)
		return false;
	result = julian_day(year, month, day) - DAYS_TO_2000;
	/* In seconds: the first and last days times microseconds could overflow. */
	result = result * 86400 + hour * 3600 + minute * 60 + second - zone;
	if (result < PROFILE_TIME_FIRST / 1000000 - 1 || result >= PROFILE_TIME_END / 1000000)
		return false;
	result = result * 1000000 + microsecond;
	if (result < PROFILE_TIME_FIRST || result >= PROFILE_TIME_END)
		return false;
	*time = result;
	return true;
}

/*
 * profile_write_time writes a time as ISO 8601 in UTC, at most
 * PROFILE_TIME_LENGTH characters, and returns how many.
 */
size_t
profile_write_time(int64_t time, char *output)
{
	int64_t		days;
	int64_t		rest;
	int64_t		year;
	int			month;
	int			day;
	int			microsecond;
	int			length;
	char		text[PROFILE_TIME_LENGTH + 1];

	if (time == PROFILE_TIME_INFINITY || time == PROFILE_TIME_MINUS_INFINITY)
	{
		static const char word[] = "-infinity";
		size_t		sign = time == PROFILE_TIME_INFINITY ? 1 : 0;

		memcpy(output, word + sign, sizeof(word) - 1 - sign);
		return sizeof(word) - 1 - sign;
	}
	days = time / MICROSECONDS_PER_DAY;
	rest = time % MICROSECONDS_PER_DAY;
	if (rest < 0)
	{
		rest += MICROSECONDS_PER_DAY;
		days--;
	}
	from_julian_day(days + DAYS_TO_2000, &year, &month, &day);
	microsecond = (int) (rest % 1000000);
	rest /= 1000000;
	length = snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d",
					  (int) (year > 0 ? year : 1 - year), month, day,
					  (int) (rest / 3600), (int) (rest / 60 % 60), (int) (rest % 60));
	if (microsecond != 0)
	{
		length += snprintf(text + length, sizeof(text) - (size_t) length, ".%06d", microsecond);
		while (text[length - 1] == '0')
			length--;
	}
	length += snprintf(text + length, sizeof(text) - (size_t) length, year > 0 ? "Z" : "Z BC");
	memcpy(output, text, (size_t) length);
	return (size_t) length;
}
