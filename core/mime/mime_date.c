/*
 * Dates of a header (RFC 5322 3.3 with the obsolete forms of 4.3).
 *
 * Beyond that: seconds, weekday and zone may be missing, and what follows a
 * complete date is ignored. Numbers out of their range are no date.
 */
#include "core/mime/internal.h"

struct cursor {
	struct str s;
	size_t at;
};

static bool is_alpha(char c)
{
	c = mime_lower(c);
	return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static struct str take(struct cursor *c, bool (*fits)(char))
{
	size_t from = mime_skip_cfws(c->s, c->at);
	size_t to = from;

	while (to < c->s.n && fits(c->s.p[to]))
		to++;
	c->at = to;
	return mime_slice(c->s, from, to);
}

static bool take_char(struct cursor *c, char want)
{
	size_t at = mime_skip_cfws(c->s, c->at);

	if (at == c->s.n || c->s.p[at] != want)
		return false;
	c->at = at + 1;
	return true;
}

/* A number of at most `digits` digits; digits_r may be NULL. */
static bool take_number(
	struct cursor *c, size_t digits, int *v_r, size_t *digits_r)
{
	struct str s = take(c, is_digit);
	uint64_t v;

	if (s.n > digits || !str_u64(s, &v))
		return false;
	*v_r = (int)v;
	if (digits_r)
		*digits_r = s.n;
	return true;
}

static bool take_month(struct cursor *c, int *month_r)
{
	static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
	struct str s = take(c, is_alpha);

	if (s.n < 3)
		return false;
	for (int m = 0; m < 12; m++) {
		if (str_ieq(mime_slice(s, 0, 3), str_n(names + 3 * m, 3))) {
			*month_r = m + 1;
			return true;
		}
	}
	return false;
}

/* RFC 5322 4.3: two digits are 1950 to 2049, three count from 1900. */
static bool take_year(struct cursor *c, int *year_r)
{
	size_t digits;

	if (!take_number(c, 4, year_r, &digits) || digits < 2)
		return false;
	if (digits == 2)
		*year_r += *year_r < 50 ? 2000 : 1900;
	else if (digits == 3)
		*year_r += 1900;
	return *year_r > 0;
}

static bool take_time(struct cursor *c, int *sec_r)
{
	int h, m;
	int s = 0;

	if (!take_number(c, 2, &h, NULL) || !take_char(c, ':') ||
		!take_number(c, 2, &m, NULL))
		return false;
	if (take_char(c, ':') && !take_number(c, 2, &s, NULL))
		return false;
	if (h > 23 || m > 59 || s > 60)
		return false;
	*sec_r = (h * 60 + m) * 60 + s;
	return true;
}

/* Minutes east of UTC. An unknown name says nothing: "-0000" (RFC 5322 4.3). */
static bool take_zone(struct cursor *c, int *min_r)
{
	static const struct {
		const char *name;
		int hours;
	} zones[] = {{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6},
		{"MDT", -6}, {"MST", -7}, {"PDT", -7}, {"PST", -8}};
	bool minus = take_char(c, '-');
	struct str s;
	uint64_t v;

	*min_r = 0;
	if (minus || take_char(c, '+')) {
		s = take(c, is_digit);
		if (s.n != 4 || !str_u64(s, &v) || v % 100 > 59 || v > 2359)
			return false;
		*min_r = (int)(v / 100 * 60 + v % 100);
		if (minus)
			*min_r = -*min_r;
		return true;
	}
	s = take(c, is_alpha);
	for (size_t i = 0; i < countof(zones); i++) {
		if (str_ieq(s, str_of(zones[i].name)))
			*min_r = zones[i].hours * 60;
	}
	return true;
}

static int month_days(int y, int m)
{
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	if (m == 2)
		return leap ? 29 : 28;
	return m == 4 || m == 6 || m == 9 || m == 11 ? 30 : 31;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t day_number(int y, int m, int d)
{
	int64_t era_y = m <= 2 ? y - 1 : y;
	int64_t era = era_y / 400; /* y > 0 */
	int64_t yoe = era_y - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

bool mime_as_date(struct str raw, int64_t *ms_r, int *offset_min_r)
{
	struct cursor c = {.s = raw};
	int day, month, year, sec, zone;

	if (take(&c, is_alpha).n > 0)
		take_char(&c, ',');
	if (!take_number(&c, 2, &day, NULL))
		return false;
	take_char(&c, '-');
	if (!take_month(&c, &month))
		return false;
	take_char(&c, '-');
	if (!take_year(&c, &year) || !take_time(&c, &sec) ||
		!take_zone(&c, &zone))
		return false;
	if (day < 1 || day > month_days(year, month))
		return false;
	*ms_r = (day_number(year, month, day) * 86400 + sec - zone * 60) * 1000;
	if (offset_min_r)
		*offset_min_r = zone;
	return true;
}
