/*
 * Where values begin and end.
 */
#include "proto/jmap/raw.h"

#include "core/base/utf8.h"

size_t raw_space(struct str s, size_t at)
{
	while (at < s.n && (s.p[at] == ' ' || s.p[at] == '\n' ||
				   s.p[at] == '\r' || s.p[at] == '\t'))
		at++;
	return at;
}

/* Behind the string that begins at `at`. */
static size_t skip_string(struct str s, size_t at)
{
	for (at++;;) {
		const char *q = memchr(s.p + at, '"', s.n - at);
		const char *b;

		check(q);
		b = memchr(s.p + at, '\\', (size_t)(q - (s.p + at)));
		if (!b)
			return (size_t)(q - s.p) + 1;
		at = (size_t)(b - s.p) + 2;
	}
}

static size_t skip_container(struct str s, size_t at)
{
	size_t depth = 0;

	do {
		check(at < s.n);
		switch (s.p[at]) {
		case '"':
			at = skip_string(s, at);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			depth--;
			break;
		}
		at++;
	} while (depth > 0);
	return at;
}

size_t raw_depth(struct str s)
{
	size_t depth = 0, most = 0;

	for (size_t at = 0; at < s.n;) {
		char c = s.p[at];

		if (c == '"') {
			at = skip_string(s, at);
			continue;
		}
		if (c == '{' || c == '[') {
			depth++;
			most = max_of(most, depth);
		} else if (c == '}' || c == ']') {
			depth--;
		}
		at++;
	}
	return most;
}

size_t raw_skip(struct str s, size_t at)
{
	check(at < s.n);
	if (s.p[at] == '"')
		return skip_string(s, at);
	if (s.p[at] == '{' || s.p[at] == '[')
		return skip_container(s, at);
	while (at < s.n && !memchr(",]} \n\r\t", s.p[at], 7))
		at++;
	return at;
}

struct raw_iter raw_iter(struct str container)
{
	return (struct raw_iter){.s = container, .at = 1};
}

bool raw_next(struct raw_iter *i, struct str *name_r, struct str *value_r)
{
	size_t at = raw_space(i->s, i->at);
	size_t end;

	check(at < i->s.n);
	if (i->s.p[at] == ',')
		at = raw_space(i->s, at + 1);
	if (i->s.p[at] == '}' || i->s.p[at] == ']')
		return false;
	if (i->s.p[0] == '{') {
		end = skip_string(i->s, at);
		if (name_r)
			*name_r = str_n(i->s.p + at, end - at);
		at = raw_space(i->s, raw_space(i->s, end) + 1);
	}
	end = raw_skip(i->s, at);
	*value_r = str_n(i->s.p + at, end - at);
	i->at = end;
	return true;
}

static uint32_t hex4(const char *p)
{
	uint32_t v = 0;

	for (int i = 0; i < 4; i++) {
		uint32_t c = (unsigned char)p[i];

		v = v << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
	}
	return v;
}

/* One escape at p: its character; *n_r its bytes. */
static uint32_t unescape(const char *p, size_t *n_r)
{
	static const char shorts[] = {['b'] = '\b',
		['f'] = '\f',
		['n'] = '\n',
		['r'] = '\r',
		['t'] = '\t'};
	unsigned char c = (unsigned char)p[1];
	uint32_t cp;

	*n_r = 2;
	if (c != 'u')
		return c < sizeof(shorts) && shorts[c] ? (uint32_t)shorts[c]
						       : c;
	cp = hex4(p + 2);
	*n_r = 6;
	if (cp < 0xd800 || cp > 0xdbff)
		return cp;
	*n_r = 12;
	return 0x10000 + ((cp - 0xd800) << 10) + (hex4(p + 8) - 0xdc00);
}

struct str raw_text(struct str quoted, struct arena *a)
{
	struct str in = str_n(quoted.p + 1, quoted.n - 2);
	char *out, *w;
	size_t n;

	if (in.n == 0 || !memchr(in.p, '\\', in.n))
		return in;
	out = w = arena_new(a, in.n);
	for (size_t i = 0; i < in.n; i += n) {
		n = 1;
		if (in.p[i] == '\\')
			w += utf8_encode(unescape(in.p + i, &n), w);
		else
			*w++ = in.p[i];
	}
	return str_n(out, (size_t)(w - out));
}

bool raw_is(struct str quoted, struct str text)
{
	struct str in = str_n(quoted.p + 1, quoted.n - 2);
	size_t at = 0;

	for (size_t i = 0; i < in.n;) {
		char c[4];
		size_t n = 1, len = 1;

		c[0] = in.p[i];
		if (c[0] == '\\')
			len = utf8_encode(unescape(in.p + i, &n), c);
		if (text.n - at < len || memcmp(text.p + at, c, len) != 0)
			return false;
		at += len;
		i += n;
	}
	return at == text.n;
}
