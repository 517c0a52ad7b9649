/*
 * The JSON writer and its string escaping.
 *
 * Most text is clean ASCII: it is scanned eight bytes at a time and copied in
 * runs. Only what RFC 8259 7 wants escaped is; what I-JSON forbids (bytes that
 * are no UTF-8, noncharacters: RFC 7493 2.1) becomes U+FFFD.
 */
#include "core/base/jw.h"

#include "core/base/utf8.h"

enum { LEVELS = 64 };

#define ONES 0x0101010101010101u
#define HIGH_BITS (ONES * 0x80)

void jw_init(struct jw *w, struct buf *out)
{
	*w = (struct jw){.out = out};
}

/* The comma before a value or a key, where one is due. */
static void comma(struct jw *w)
{
	uint64_t bit;

	if (w->depth == 0)
		return;
	bit = (uint64_t)1 << (w->depth - 1);
	if (w->used & bit)
		buf_addc(w->out, ',');
	w->used |= bit;
}

static void value(struct jw *w)
{
	if (w->after_key)
		w->after_key = false;
	else
		comma(w);
}

static void open_level(struct jw *w, char c)
{
	value(w);
	check(w->depth < LEVELS);
	buf_addc(w->out, c);
	w->used &= ~((uint64_t)1 << w->depth);
	w->depth++;
}

static void close_level(struct jw *w, char c)
{
	check(w->depth > 0 && !w->after_key);
	w->depth--;
	buf_addc(w->out, c);
}

void jw_obj(struct jw *w)
{
	open_level(w, '{');
}

void jw_obj_end(struct jw *w)
{
	close_level(w, '}');
}

void jw_arr(struct jw *w)
{
	open_level(w, '[');
}

void jw_arr_end(struct jw *w)
{
	close_level(w, ']');
}

void jw_key(struct jw *w, struct str key)
{
	check(w->depth > 0 && !w->after_key);
	comma(w);
	json_quote(w->out, key);
	buf_addc(w->out, ':');
	w->after_key = true;
}

void jw_str(struct jw *w, struct str s)
{
	value(w);
	json_quote(w->out, s);
}

void jw_strz(struct jw *w, const char *z)
{
	if (z)
		jw_str(w, str_of(z));
	else
		jw_null(w);
}

void jw_u64(struct jw *w, uint64_t v)
{
	value(w);
	buf_u64(w->out, v);
}

void jw_i64(struct jw *w, int64_t v)
{
	value(w);
	if (v < 0)
		buf_addc(w->out, '-');
	/* Negated unsigned: INT64_MIN has no positive twin. */
	buf_u64(w->out, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void jw_bool(struct jw *w, bool v)
{
	jw_raw(w, v ? STR("true") : STR("false"));
}

void jw_null(struct jw *w)
{
	jw_raw(w, STR("null"));
}

void jw_raw(struct jw *w, struct str json)
{
	value(w);
	buf_adds(w->out, json);
}

void jw_kstr(struct jw *w, const char *key, struct str s)
{
	jw_key(w, str_of(key));
	jw_str(w, s);
}

void jw_kstrz(struct jw *w, const char *key, const char *z)
{
	jw_key(w, str_of(key));
	jw_strz(w, z);
}

void jw_ku64(struct jw *w, const char *key, uint64_t v)
{
	jw_key(w, str_of(key));
	jw_u64(w, v);
}

void jw_kbool(struct jw *w, const char *key, bool v)
{
	jw_key(w, str_of(key));
	jw_bool(w, v);
}

/* High bit set in some byte when one of the eight is not plain text. */
static uint64_t unclean(uint64_t w)
{
	uint64_t quote = w ^ ONES * '"';
	uint64_t slash = w ^ ONES * '\\';

	return (w | ((w - ONES * ' ') & ~w) | ((quote - ONES) & ~quote) |
		       ((slash - ONES) & ~slash)) &
	       HIGH_BITS;
}

static bool is_plain(unsigned char c)
{
	return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/* RFC 7493 2.1: U+FDD0..U+FDEF and the last two of every plane. */
static bool is_nonchar(uint32_t cp)
{
	return (cp >= 0xfdd0 && cp <= 0xfdef) || (cp & 0xfffe) == 0xfffe;
}

/* Where plain ASCII ends, from at on. */
static size_t skip_plain(struct str s, size_t at)
{
	uint64_t w;

	for (; s.n - at >= sizeof(w); at += sizeof(w)) {
		memcpy(&w, s.p + at, sizeof(w));
		if (unclean(w))
			break;
	}
	while (at < s.n && is_plain((unsigned char)s.p[at]))
		at++;
	return at;
}

/* Bytes at the front of s that go out as they are. */
static size_t clean_run(struct str s)
{
	size_t at = skip_plain(s, 0);

	while (at < s.n && (unsigned char)s.p[at] >= 0x80) {
		uint32_t cp;
		size_t len = utf8_decode((struct str){s.p + at, s.n - at}, &cp);

		/* len 1 here is a bad byte; a real U+FFFD takes three. */
		if (len == 1 || is_nonchar(cp))
			return at;
		at += len;
		if (at < s.n && (unsigned char)s.p[at] < 0x80)
			at = skip_plain(s, at);
	}
	return at;
}

/* Writes the piece at the front of s that may not go out as it is. */
static size_t escape(struct buf *out, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	static const char shorts[] = {['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\f'] = 'f',
		['\r'] = 'r',
		['"'] = '"',
		['\\'] = '\\'};
	unsigned char c = (unsigned char)s.p[0];
	uint32_t cp;

	if (c >= 0x80) {
		buf_addz(out, "\xef\xbf\xbd");
		return utf8_decode(s, &cp);
	}
	if (shorts[c]) {
		char two[2] = {'\\', shorts[c]};

		buf_add(out, two, sizeof(two));
	} else {
		char six[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

		buf_add(out, six, sizeof(six));
	}
	return 1;
}

void json_quote(struct buf *out, struct str s)
{
	buf_room(out, s.n + 2);
	buf_addc(out, '"');
	while (s.n > 0) {
		size_t n = clean_run(s);

		buf_add(out, s.p, n);
		s = str_skip(s, n);
		if (s.n > 0)
			s = str_skip(s, escape(out, s));
	}
	buf_addc(out, '"');
}
