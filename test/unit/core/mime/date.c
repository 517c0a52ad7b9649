/*
 * Dates of header fields (RFC 5322 3.3, 4.3).
 */
#include "test/unit/core/mime/fixture.h"

#include "core/base/clock.h"

static void assert_date(const char *in, const char *utc, int offset_min)
{
	struct str copy = exact(str_of(in));
	char z[CLOCK_UTC_MAX];
	int64_t ms;
	int offset;

	assert_true(mime_as_date(copy, &ms, &offset));
	clock_utc(ms, z);
	assert_string_equal(z, utc);
	assert_int_equal(offset, offset_min);
	free((void *)(uintptr_t)copy.p);
}

static void test_full_date(void **state)
{
	assert_date(
		" Tue, 24 Nov 2026 06:08:49 +0100", "2026-11-24T05:08:49Z", 60);
	assert_date("1 Jan 1970 00:00:00 +0000", "1970-01-01T00:00:00Z", 0);
	assert_date("29 Feb 2024 23:59:60 -0330", "2024-03-01T03:30:00Z", -210);
	assert_date("31 Dec 1899 12:00:00 +0000", "1899-12-31T12:00:00Z", 0);
	assert_date("1 mar 2000 00:00 +0000", "2000-03-01T00:00:00Z", 0);
}

static void test_comments_and_folds(void **state)
{
	assert_date("Tue (x), 24\r\n Nov(y)2026 6 : 08:\t49 -0000 (UTC)",
		"2026-11-24T06:08:49Z", 0);
}

static void test_obsolete_years_and_zones(void **state)
{
	assert_date("24 Nov 96 06:08:49 EST", "1996-11-24T11:08:49Z", -300);
	assert_date("24 Nov 26 06:08:49 GMT", "2026-11-24T06:08:49Z", 0);
	assert_date("24 Nov 126 06:08:49 Z", "2026-11-24T06:08:49Z", 0);
	assert_date("24 Nov 2026 06:08:49 PDT", "2026-11-24T13:08:49Z", -420);
}

static void test_missing_pieces(void **state)
{
	assert_date("24-Nov-2026 06:08", "2026-11-24T06:08:00Z", 0);
	assert_date("24 November 2026 06:08 XYZ", "2026-11-24T06:08:00Z", 0);
}

static void test_no_dates(void **state)
{
	static const char *const texts[] = {"", " ", "Tue", "yesterday",
		"24 Nov 2026", "32 Jan 2026 00:00:00 +0000",
		"30 Feb 2026 00:00:00 +0000", "29 Feb 2025 00:00:00 +0000",
		"0 Jan 2026 00:00:00 +0000", "1 Foo 2026 00:00:00 +0000",
		"1 Jan 2026 24:00:00 +0000", "1 Jan 2026 00:60:00 +0000",
		"1 Jan 2026 00:00:61 +0000", "1 Jan 2026 00:00:00 +2400",
		"1 Jan 2026 00:00:00 +01", "1 Jan 2026 00:00:00 +0160",
		"1 Jan 20260 00:00:00 +0000", "1 Jan 0000 00:00:00 +0000",
		"99999999999999999999 Jan 2026 00:00:00 +0000",
		"1 Jan 5 00:00:00 +0000"};
	int64_t ms;

	for (size_t i = 0; i < countof(texts); i++)
		assert_false(mime_as_date(str_of(texts[i]), &ms, NULL));
}

static void test_every_day_follows_the_one_before(void **state)
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	int64_t last = INT64_MIN;
	int64_t ms;
	size_t days = 0;
	char z[64];

	for (int y = 1999; y <= 2004; y++) {
		for (int i = 0; i < 12 * 31; i++) {
			snprintf(z, sizeof(z), "%d %s %d 00:00:00 +0000",
				i % 31 + 1, months[i / 31], y);
			if (!mime_as_date(str_of(z), &ms, NULL))
				continue;
			assert_true(last == INT64_MIN || ms == last + 86400000);
			last = ms;
			days++;
		}
	}
	assert_int_equal(days, 6 * 365 + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_date),
		cmocka_unit_test(test_comments_and_folds),
		cmocka_unit_test(test_obsolete_years_and_zones),
		cmocka_unit_test(test_missing_pieces),
		cmocka_unit_test(test_no_dates),
		cmocka_unit_test(test_every_day_follows_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
