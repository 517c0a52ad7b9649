/*
 * Builds the sentence that says what went wrong.
 */
#include "core/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A sentence is one line of a log: what is in the way becomes a space. */
static void one_line(char *z)
{
	for (; *z; z++) {
		if ((unsigned char)*z < ' ')
			*z = ' ';
	}
}

/* Appends as much of z as there is room for; returns the new length. */
static size_t put(char *text, size_t n, size_t cap, const char *z)
{
	size_t len = strnlen(z, cap - 1 - n);

	memcpy(text + n, z, len);
	text[n + len] = '\0';
	return n + len;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	check(code < 0);
	if (!e)
		return code;
	e->code = code;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	one_line(e->text);
	return code;
}

int err_sys(struct err *e, const char *fmt, ...)
{
	int num = errno > 0 ? errno : EIO;
	char why[64];
	va_list ap;
	size_t n;

	if (!e)
		return -num;
	e->code = -num;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = put(e->text, strlen(e->text), sizeof(e->text), ": ");
	put(e->text, n, sizeof(e->text), strerror_r(num, why, sizeof(why)));
	one_line(e->text);
	return -num;
}

int err_add(struct err *e, const char *fmt, ...)
{
	char text[sizeof(e->text)];
	va_list ap;
	size_t n;

	if (!e)
		return -EIO;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = put(text, strlen(text), sizeof(text), ": ");
	put(text, n, sizeof(text), e->text);
	memcpy(e->text, text, sizeof(text));
	one_line(e->text);
	return e->code;
}
