/*
 * Clocks and dates.
 */
#include "core/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

static int64_t parse(const char *z)
{
	int64_t ms = INT64_MIN;

	assert_true(clock_parse_date(str_of(z), &ms, NULL));
	return ms;
}

static void monotonic_time_does_not_go_back(void **state)
{
	uint64_t before = clock_mono_ns();
	uint64_t ms = clock_mono_ms();

	assert_true(ms >= before / 1000000);
	assert_true(clock_mono_ns() >= before);
}

static void real_time_is_this_century(void **state)
{
	assert_true(clock_real_ms() > parse("2020-01-01T00:00:00Z"));
	assert_true(clock_real_ms() < parse("2200-01-01T00:00:00Z"));
}

static void utc_matches_the_libc_calendar(void **state)
{
	/* A prime step meets every month and every time of day. */
	for (int64_t s = -62167219200; s < 253402300800; s += 86399983) {
		char want[48], got[CLOCK_UTC_MAX];
		time_t t = (time_t)s;
		struct tm tm;

		assert_non_null(gmtime_r(&t, &tm));
		(void)snprintf(want, sizeof(want),
			"%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
			tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
			tm.tm_sec);
		clock_utc(s * 1000, got);
		assert_string_equal(got, want);
		assert_true(parse(got) == s * 1000);
	}
}

static void utc_shows_ms_that_are_not_0(void **state)
{
	char z[CLOCK_UTC_MAX];

	clock_utc(0, z);
	assert_string_equal(z, "1970-01-01T00:00:00Z");
	clock_utc(7, z);
	assert_string_equal(z, "1970-01-01T00:00:00.007Z");
	clock_utc(-1, z);
	assert_string_equal(z, "1969-12-31T23:59:59.999Z");
	clock_stamp(0, z);
	assert_string_equal(z, "1970-01-01T00:00:00.000Z");
}

static void utc_ends_where_four_digits_end(void **state)
{
	char z[CLOCK_UTC_MAX];

	clock_utc(INT64_MAX, z);
	assert_string_equal(z, "9999-12-31T23:59:59.999Z");
	clock_utc(INT64_MIN, z);
	assert_string_equal(z, "0000-01-01T00:00:00Z");
}

static void mail_dates_name_the_day(void **state)
{
	char z[CLOCK_MAIL_MAX];

	clock_mail(parse("2026-11-24T06:08:49Z"), z);
	assert_string_equal(z, "Tue, 24 Nov 2026 06:08:49 +0000");
	clock_mail(parse("1969-12-03T00:00:00Z"), z);
	assert_string_equal(z, "Wed, 3 Dec 1969 00:00:00 +0000");
	clock_mail(parse("0000-01-01T00:00:00Z"), z);
	assert_string_equal(z, "Sat, 1 Jan 0000 00:00:00 +0000");
}

static void dates_with_an_offset(void **state)
{
	int64_t ms;
	int offset;

	assert_true(clock_parse_date(
		STR("2014-10-30T14:12:00+08:00"), &ms, &offset));
	assert_true(ms == parse("2014-10-30T06:12:00Z"));
	assert_int_equal(offset, 480);
	assert_true(clock_parse_date(
		STR("1990-12-31T15:59:59-08:30"), &ms, &offset));
	assert_true(ms == parse("1991-01-01T00:29:59Z"));
	assert_int_equal(offset, -510);
	assert_true(clock_parse_date(
		STR("1990-12-31T15:59:59-00:00"), &ms, &offset));
	assert_int_equal(offset, 0);
}

static void fractions_are_cut_to_ms(void **state)
{
	int64_t base = parse("1985-04-12T23:20:50Z");

	assert_true(parse("1985-04-12T23:20:50.52Z") == base + 520);
	assert_true(parse("1985-04-12T23:20:50.000Z") == base);
	assert_true(parse("1985-04-12T23:20:50.0019999999999Z") == base + 1);
	assert_true(parse("1985-04-12T23:20:50.9999Z") == base + 999);
	/* Before 1970 too, the fraction goes forward. */
	assert_true(parse("1969-12-31T23:59:59.250Z") == -750);
}

static void leap_seconds_read_as_the_ms_before(void **state)
{
	int64_t end = parse("1991-01-01T00:00:00Z") - 1;

	assert_true(parse("1990-12-31T23:59:60Z") == end);
	assert_true(parse("1990-12-31T23:59:60.5Z") == end);
	assert_true(parse("1990-12-31T15:59:60-08:00") == end);
}

static void leap_seconds_elsewhere_are_refused(void **state)
{
	static const char *const bad[] = {"1990-12-31T23:58:60Z",
		"1990-12-30T23:59:60Z", "1990-12-31T23:59:60-08:00",
		"1990-12-31T23:59:61Z"};
	int64_t ms;

	for (size_t i = 0; i < countof(bad); i++)
		assert_false(clock_parse_date(str_of(bad[i]), &ms, NULL));
}

static void leap_days(void **state)
{
	int64_t ms;

	assert_true(parse("2000-02-29T00:00:00Z") == 951782400000);
	assert_true(clock_parse_utc(STR("2024-02-29T00:00:00Z"), &ms));
	assert_false(clock_parse_utc(STR("2023-02-29T00:00:00Z"), &ms));
	assert_false(clock_parse_utc(STR("1900-02-29T00:00:00Z"), &ms));
}

static void what_is_no_date_is_refused(void **state)
{
	static const char *const bad[] = {"", "2014-10-30", "T",
		"2014-10-30T06:12:00", "2014-10-30T06:12Z",
		"2014-10-30t06:12:00Z", "2014-10-30T06:12:00z",
		"2014-10-30 06:12:00Z", "2014-10-30T06:12:00.Z",
		"2014-10-30T06:12:00,5Z", "2014-10-30T06:12:00ZZ",
		" 2014-10-30T06:12:00Z", "2014-10-30T06:12:00Z ",
		"2014-00-30T06:12:00Z", "2014-13-30T06:12:00Z",
		"2014-10-00T06:12:00Z", "2014-10-32T06:12:00Z",
		"2014-11-31T06:12:00Z", "2014-10-30T24:00:00Z",
		"2014-10-30T06:60:00Z", "-014-10-30T06:12:00Z",
		"+2014-10-30T06:12:00Z", "12014-10-30T06:12:00Z",
		"2014-10-30T06:12:00+0800", "2014-10-30T06:12:00+08",
		"2014-10-30T06:12:00+24:00", "2014-10-30T06:12:00+08:60",
		"2014-10-30T06:12:00+8:00", "2014-1-30T06:12:00Z"};
	int64_t ms = 42;
	int offset = 43;

	for (size_t i = 0; i < countof(bad); i++) {
		assert_false(clock_parse_date(str_of(bad[i]), &ms, &offset));
		assert_false(clock_parse_utc(str_of(bad[i]), &ms));
	}
	assert_true(ms == 42);
	assert_int_equal(offset, 43);
}

static void every_prefix_of_a_date_is_refused(void **state)
{
	struct str s = STR("2014-10-30T06:12:00.123+08:00");
	int64_t ms;

	for (size_t n = 0; n < s.n; n++)
		assert_false(clock_parse_date(str_n(s.p, n), &ms, NULL));
	assert_true(clock_parse_date(s, &ms, NULL));
}

static void a_utc_date_ends_in_z(void **state)
{
	int64_t ms;

	assert_true(clock_parse_utc(STR("2014-10-30T06:12:00Z"), &ms));
	assert_false(clock_parse_utc(STR("2014-10-30T06:12:00+00:00"), &ms));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(monotonic_time_does_not_go_back),
		cmocka_unit_test(real_time_is_this_century),
		cmocka_unit_test(utc_matches_the_libc_calendar),
		cmocka_unit_test(utc_shows_ms_that_are_not_0),
		cmocka_unit_test(utc_ends_where_four_digits_end),
		cmocka_unit_test(mail_dates_name_the_day),
		cmocka_unit_test(dates_with_an_offset),
		cmocka_unit_test(fractions_are_cut_to_ms),
		cmocka_unit_test(leap_seconds_read_as_the_ms_before),
		cmocka_unit_test(leap_seconds_elsewhere_are_refused),
		cmocka_unit_test(leap_days),
		cmocka_unit_test(what_is_no_date_is_refused),
		cmocka_unit_test(every_prefix_of_a_date_is_refused),
		cmocka_unit_test(a_utc_date_ends_in_z),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
