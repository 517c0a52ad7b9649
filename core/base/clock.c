/*
 * Clocks, and dates in the proleptic Gregorian calendar (RFC 3339 1).
 *
 * Days and dates turn into each other by arithmetic (after Howard Hinnant's
 * chrono algorithms): no libc calendar, no time zone, no locale, any thread.
 */
#include "core/base/clock.h"

#include <time.h>

#define DAY_MS ((int64_t)86400000)
/* The instants that four digits of a year can name. */
#define YEAR_0_MS ((int64_t)-62167219200000)
#define YEAR_9999_MS ((int64_t)253402300799999)

struct date {
	int year, month, day; /* month and day from 1 */
	int hour, min, sec, ms;
	int weekday; /* 0 = Sunday */
};

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	check(clock_gettime(id, &ts) == 0);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

int64_t clock_real_ms(void)
{
	return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000);
}

/* Days since 1970-01-01; the year begins in March, so February ends it. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t doy =
		(153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static struct date date_of(int64_t ms)
{
	int64_t days = ms / DAY_MS - (ms % DAY_MS < 0);
	int left = (int)(ms - days * DAY_MS);
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;
	struct date d = {
		.day = (int)(doy - (153 * mp + 2) / 5 + 1),
		.month = (int)(mp < 10 ? mp + 3 : mp - 9),
		.hour = left / 3600000,
		.min = left / 60000 % 60,
		.sec = left / 1000 % 60,
		.ms = left % 1000,
		.weekday = (int)((days % 7 + 11) % 7),
	};

	d.year = (int)(yoe + era * 400 + (d.month <= 2));
	return d;
}

static int64_t clamp(int64_t ms)
{
	return max_of(YEAR_0_MS, min_of(YEAR_9999_MS, ms));
}

/* v in exactly n digits; returns the place behind them. */
static char *digits_put(char *z, int v, int n)
{
	for (int i = n - 1; i >= 0; i--) {
		z[i] = (char)('0' + v % 10);
		v /= 10;
	}
	return z + n;
}

static char *put(char *z, const char *text)
{
	size_t n = strlen(text);

	memcpy(z, text, n);
	return z + n;
}

static char *time_put(char *z, const struct date *d)
{
	z = digits_put(z, d->hour, 2);
	*z++ = ':';
	z = digits_put(z, d->min, 2);
	*z++ = ':';
	return digits_put(z, d->sec, 2);
}

static void utc_put(int64_t real_ms, bool always_ms, char *z)
{
	struct date d = date_of(clamp(real_ms));

	z = digits_put(z, d.year, 4);
	*z++ = '-';
	z = digits_put(z, d.month, 2);
	*z++ = '-';
	z = digits_put(z, d.day, 2);
	*z++ = 'T';
	z = time_put(z, &d);
	if (d.ms > 0 || always_ms) {
		*z++ = '.';
		z = digits_put(z, d.ms, 3);
	}
	*z++ = 'Z';
	*z = '\0';
}

void clock_utc(int64_t real_ms, char z[CLOCK_UTC_MAX])
{
	utc_put(real_ms, false, z);
}

void clock_stamp(int64_t real_ms, char z[CLOCK_UTC_MAX])
{
	utc_put(real_ms, true, z);
}

void clock_mail(int64_t real_ms, char z[CLOCK_MAIL_MAX])
{
	static const char days[7][4] = {
		"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct date d = date_of(clamp(real_ms));

	z = put(z, days[d.weekday]);
	z = put(z, ", ");
	z = digits_put(z, d.day, d.day < 10 ? 1 : 2);
	*z++ = ' ';
	z = put(z, months[d.month - 1]);
	*z++ = ' ';
	z = digits_put(z, d.year, 4);
	*z++ = ' ';
	z = time_put(z, &d);
	z = put(z, " +0000");
	*z = '\0';
}

/* Takes exactly n digits. */
static bool take_num(struct str *s, size_t n, int *v_r)
{
	uint64_t v;

	if (s->n < n || !str_u64(str_n(s->p, n), &v))
		return false;
	*s = str_skip(*s, n);
	*v_r = (int)v;
	return true;
}

static bool take_char(struct str *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = str_skip(*s, 1);
	return true;
}

static bool take_date(struct str *s, struct date *d)
{
	return take_num(s, 4, &d->year) && take_char(s, '-') &&
	       take_num(s, 2, &d->month) && take_char(s, '-') &&
	       take_num(s, 2, &d->day) && take_char(s, 'T') &&
	       take_num(s, 2, &d->hour) && take_char(s, ':') &&
	       take_num(s, 2, &d->min) && take_char(s, ':') &&
	       take_num(s, 2, &d->sec);
}

/* time-secfrac: one digit or more; what is finer than a ms is cut off. */
static bool take_frac(struct str *s, int *ms_r)
{
	int unit = 100;
	size_t n = 0;

	*ms_r = 0;
	if (!take_char(s, '.'))
		return true;
	for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
		*ms_r += (s->p[n] - '0') * unit;
		unit /= 10;
	}
	*s = str_skip(*s, n);
	return n > 0;
}

/* time-offset; +-23:59 is the grammar's end. */
static bool take_offset(struct str *s, int *min_r)
{
	int sign = 1;
	int hour, min;

	*min_r = 0;
	if (take_char(s, 'Z'))
		return true;
	if (take_char(s, '-'))
		sign = -1;
	else if (!take_char(s, '+'))
		return false;
	if (!take_num(s, 2, &hour) || !take_char(s, ':') ||
		!take_num(s, 2, &min) || hour > 23 || min > 59)
		return false;
	*min_r = sign * (hour * 60 + min);
	return true;
}

static int days_in(int year, int month)
{
	static const int days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

static bool in_range(const struct date *d)
{
	return d->month >= 1 && d->month <= 12 && d->day >= 1 &&
	       d->day <= days_in(d->year, d->month) && d->hour <= 23 &&
	       d->min <= 59 && d->sec <= 60;
}

/* Is this instant midnight UTC of the first of a month? */
static bool month_begins(int64_t ms)
{
	return ms % DAY_MS == 0 && date_of(ms).day == 1;
}

bool clock_parse_date(struct str s, int64_t *real_ms_r, int *offset_min_r)
{
	struct date d;
	int64_t ms;
	int offset;

	if (!take_date(&s, &d) || !take_frac(&s, &d.ms) ||
		!take_offset(&s, &offset) || s.n > 0 || !in_range(&d))
		return false;
	ms = days_of(d.year, d.month, d.day) * DAY_MS +
	     (int64_t)(d.hour * 60 + d.min - offset) * 60000 + d.sec * 1000;
	if (d.sec == 60) {
		/* RFC 3339 5.7: only a month's last second in UTC is one. */
		if (!month_begins(ms))
			return false;
		ms -= 1;
	} else {
		ms += d.ms;
	}
	*real_ms_r = ms;
	if (offset_min_r)
		*offset_min_r = offset;
	return true;
}

bool clock_parse_utc(struct str s, int64_t *real_ms_r)
{
	return str_ends(s, STR("Z")) && clock_parse_date(s, real_ms_r, NULL);
}
