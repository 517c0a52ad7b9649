/*
 * Log lines: "2026-11-24T06:08:49.123Z info worker0[1234] text".
 *
 * The line is built on the stack and leaves in one write(2) of at most 1 KB, so
 * any thread may log. A control byte in the text becomes '?': what a line says
 * can never look like a second line.
 */
#include "core/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"

enum { LINE_MAX_BYTES = 1024, ROLE_MAX = 32 };

const char *const log_level_names[LOG_LEVELS] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static char role_name[ROLE_MAX] = "jmapd";
static _Atomic int least = LOG_INFO;

void log_init(const char *role, enum log_level level)
{
	check_init();
	(void)snprintf(role_name, sizeof(role_name), "%s", role);
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	check((unsigned)level < LOG_LEVELS);
	atomic_store_explicit(&least, (int)level, memory_order_relaxed);
}

bool log_wants(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&least, memory_order_relaxed);
}

/* Where a text that was cut at n may end: not inside a UTF-8 character. */
static size_t cut_back(const char *line, size_t n)
{
	while (n > 0 && ((unsigned char)line[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* Ends a line for which vsnprintf() wanted `want` bytes; returns its length. */
static size_t finish(char *line, size_t want)
{
	const size_t room = LINE_MAX_BYTES - 1; /* the newline's place */
	size_t n = want;

	if (n > room) {
		n = cut_back(line, room - 3);
		memcpy(line + n, "...", 3);
		n += 3;
	}
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)line[i];

		if (c < ' ' || c == 0x7f)
			line[i] = '?';
	}
	line[n] = '\n';
	return n + 1;
}

/* There is nobody to tell when stderr fails: the line is lost. */
static void emit(const char *line, size_t n)
{
	ssize_t r;

	do
		r = write(STDERR_FILENO, line, n);
	while (r < 0 && errno == EINTR);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES + 1];
	char when[CLOCK_UTC_MAX];
	int saved = errno;
	va_list ap;
	int head, text;

	check((unsigned)level < LOG_LEVELS);
	if (!log_wants(level))
		return;
	clock_stamp(clock_real_ms(), when);
	head = snprintf(line, sizeof(line), "%s %s %s[%d] ", when,
		log_level_names[level], role_name, (int)getpid());
	check(head > 0 && head < 128);
	/* %m in fmt still means the caller's errno. */
	errno = saved;
	va_start(ap, fmt);
	text = vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, ap);
	va_end(ap);
	check(text >= 0);
	emit(line, finish(line, (size_t)head + (size_t)text));
	errno = saved;
}

/* Writes c as it may stand in a log; returns its bytes (1, 2 or 4). */
static size_t quote_one(unsigned char c, char out[4])
{
	static const char hex[] = "0123456789abcdef";

	if (c == '\\' || c == '"') {
		out[0] = '\\';
		out[1] = (char)c;
		return 2;
	}
	if (c >= ' ' && c < 0x7f) {
		out[0] = (char)c;
		return 1;
	}
	memcpy(out, (char[]){'\\', 'x', hex[c >> 4], hex[c & 15]}, 4);
	return 4;
}

struct log_quoted log_quote(struct str s)
{
	struct log_quoted q = {""};
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char piece[4];
		size_t len = quote_one((unsigned char)s.p[i], piece);

		if (n + len > 120) {
			memcpy(q.z + n, "...", 3);
			break;
		}
		memcpy(q.z + n, piece, len);
		n += len;
	}
	return q;
}
