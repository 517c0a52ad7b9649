#include "proto/http/h1_answer.h"

#include <stdio.h>
#include <time.h>

const char *h1_date(struct h1_date *d, int64_t real_ms)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(real_ms / 1000);
	struct tm tm;

	if (d->second == t && d->text[0])
		return d->text;
	check(gmtime_r(&t, &tm));
	snprintf(d->text, sizeof(d->text),
		"%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
		days + 3 * tm.tm_wday, (unsigned)tm.tm_mday % 100,
		months + 3 * tm.tm_mon, (unsigned)(tm.tm_year + 1900) % 10000,
		(unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		(unsigned)tm.tm_sec % 100);
	d->second = t;
	return d->text;
}

static void add_clean(struct buf *out, struct str value)
{
	char *to = buf_room(out, value.n);

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		to[i] = (c < 0x20 && c != '\t') || c == 0x7f ? ' ' : (char)c;
	}
	out->n += value.n;
}

static void add_field(struct buf *out, const char *name, struct str value)
{
	buf_addz(out, name);
	buf_addz(out, ": ");
	add_clean(out, value);
	buf_addz(out, "\r\n");
}

void h1_answer_head(struct buf *out, const struct h1_answer *a,
	const struct http_header *h, size_t n)
{
	buf_fmt(out, "HTTP/1.1 %u %s\r\n", a->status, http_reason(a->status));
	add_field(out, "Date", str_of(a->date));
	for (size_t i = 0; i < n; i++) {
		add_clean(out, h[i].name);
		buf_addz(out, ": ");
		add_clean(out, h[i].value);
		buf_addz(out, "\r\n");
	}
	if (a->framing == H1_BY_LENGTH)
		buf_fmt(out, "Content-Length: %llu\r\n",
			(unsigned long long)a->length);
	if (a->framing == H1_BY_CHUNKS)
		add_field(out, "Transfer-Encoding", STR("chunked"));
	if (a->connection)
		add_field(out, "Connection", str_of(a->connection));
	buf_addz(out, "\r\n");
}
