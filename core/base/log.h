/*
 * One line per outcome on stderr:
 * "2026-11-24T06:08:49.123Z info worker0[1234] id=... key=value ...".
 *
 * A line longer than 1 KB is cut and ends in "...". It is written by one
 * write(2), so that lines of several roles do not mix. A control byte in it
 * becomes '?'.
 * Never log a credential, a token or a message's text. Bytes from a peer go
 * through log_quote() first.
 */
#pragma once

#include <stdbool.h>

#include "core/base/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVELS };

extern const char *const log_level_names[LOG_LEVELS];

/*
 * Once, before threads: name of the role (copied) and the least urgent level
 * that is written.
 */
void log_init(const char *role, enum log_level level);
/* Any thread, any time. */
void log_set_level(enum log_level level);
bool log_wants(enum log_level level);
void log_line(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) \
	(log_wants(LOG_DEBUG) ? log_line(LOG_DEBUG, __VA_ARGS__) : (void)0)

/* s with everything but printable ASCII escaped, cut to 120 bytes (then
 * "..." follows): \\ \" \xNN. */
struct log_quoted {
	char z[124];
};
struct log_quoted log_quote(struct str s);
