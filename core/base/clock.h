/*
 * Clocks and the date form of JMAP.
 *
 * Timers and deadlines use the monotonic clock; mail uses wall-clock
 * milliseconds since 1970 (UTC).
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);
int64_t clock_real_ms(void);

#define CLOCK_UTC_MAX 32 /* bytes incl. NUL */
/* RFC 8620 1.4 UTCDate: "2014-10-30T06:12:00Z"; ms that are not 0 show.
 * Years end at 0000 and 9999: an instant beyond is written as the nearest. */
void clock_utc(int64_t real_ms, char z[CLOCK_UTC_MAX]);
/* The same with three digits of ms always (one width in logs). */
void clock_stamp(int64_t real_ms, char z[CLOCK_UTC_MAX]);
/*
 * Reads a UTCDate, or with any offset a Date (RFC 8620 1.4, RFC 3339):
 * upper-case T and Z, digits finer than a ms cut off, a fraction of zero read
 * (JavaScript writes it). A leap second is taken where one can be, at the end
 * of a UTC month, and reads as the ms before it: order holds, and no day gets a
 * 24:00. On false nothing is written; offset_min_r may be NULL.
 */
bool clock_parse_utc(struct str s, int64_t *real_ms_r);
bool clock_parse_date(struct str s, int64_t *real_ms_r, int *offset_min_r);
/* "Tue, 24 Nov 2026 06:08:49 +0000" (RFC 5322 3.3), always UTC;
 * years as clock_utc(). */
#define CLOCK_MAIL_MAX 40
void clock_mail(int64_t real_ms, char z[CLOCK_MAIL_MAX]);
