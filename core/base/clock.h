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

#define CLOCK_UTC_MAX 32        /* bytes incl. NUL */
/* RFC 8620 1.4 UTCDate: "2014-10-30T06:12:00Z"; ms that are not 0 show. */
void clock_utc(int64_t real_ms, char z[CLOCK_UTC_MAX]);
/* Reads a UTCDate, or with any offset a Date (RFC 8620 1.4, RFC 3339). */
bool clock_parse_utc(struct str s, int64_t *real_ms_r);
bool clock_parse_date(struct str s, int64_t *real_ms_r, int *offset_min_r);
/* "Tue, 24 Nov 2026 06:08:49 +0000" (RFC 5322 3.3), always UTC. */
#define CLOCK_MAIL_MAX 40
void clock_mail(int64_t real_ms, char z[CLOCK_MAIL_MAX]);
