#include "proto/front/file_name.h"

#include "core/base/utf8.h"

#define TYPE_MAX 1000 /* bytes */

/* ---- media types ----------------------------------------------------------- */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

/* RFC 9110 5.6.2. */
static bool is_token_char(char c)
{
	return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_len(struct str s)
{
	size_t n = 0;

	while (n < s.n && is_token_char(s.p[n]))
		n++;
	return n;
}

/* RFC 9110 5.6.4; with its quotes, 0: it is none. */
static size_t quoted_len(struct str s)
{
	if (s.n == 0 || s.p[0] != '"')
		return 0;
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\')
			i++;
		if (i < s.n && (s.p[i] < ' ' || s.p[i] > '~'))
			return 0;
	}
	return 0;
}

/* ";" and a parameter or nothing, off the front. */
static bool take_parameter(struct str *s)
{
	size_t n;

	*s = str_trim(*s);
	if (s->n == 0 || s->p[0] != ';')
		return false;
	*s = str_trim(str_skip(*s, 1));
	n = token_len(*s);
	if (n == 0)
		return s->n == 0 || s->p[0] == ';';
	*s = str_skip(*s, n);
	if (s->n == 0 || s->p[0] != '=')
		return false;
	*s = str_skip(*s, 1);
	n = max_of(token_len(*s), quoted_len(*s));
	*s = str_skip(*s, n);
	return n > 0;
}

bool media_type_valid(struct str s)
{
	size_t n = token_len(s);

	if (n == 0 || n == s.n || s.n > TYPE_MAX || s.p[n] != '/')
		return false;
	s = str_skip(s, n + 1);
	n = token_len(s);
	s = str_skip(s, n);
	while (n && s.n)
		if (!take_parameter(&s))
			return false;
	return n > 0;
}

/* ---- names ----------------------------------------------------------------- */

/* What no file name has, and what makes one look like another. */
static bool is_refused(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == '/' ||
	       cp == '\\' || cp == UTF8_BAD || cp == 0x200e || cp == 0x200f ||
	       (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

/* RFC 8187 3.2.1, attr-char. */
static void add_percent(struct buf *out, struct str ch)
{
	for (size_t i = 0; i < ch.n; i++) {
		char c = ch.p[i];

		if (is_alnum(c) || (c && strchr("!#$&+-.^_`|~", c)))
			buf_addc(out, c);
		else
			buf_fmt(out, "%%%02X", (unsigned)(unsigned char)c);
	}
}

/* RFC 6266 appendix D: no quote, and no "%", which some undo. */
static bool is_plain(uint32_t cp)
{
	return cp < 0x7f && cp != '"' && cp != '%';
}

void disposition_of(struct str name, struct buf *out)
{
	struct buf plain cleanup(buf_fini) = {0}, full cleanup(buf_fini) = {0};
	bool more = false;

	buf_addz(out, "attachment");
	if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
		name = STR("_");
	if (name.n == 0)
		return;
	while (name.n) {
		uint32_t cp;
		size_t n = utf8_decode(name, &cp);
		struct str ch = str_n(name.p, n);

		name = str_skip(name, n);
		if (is_refused(cp))
			ch = STR("_");
		more |= !is_refused(cp) && !is_plain(cp);
		buf_adds(
			&plain, is_refused(cp) || is_plain(cp) ? ch : STR("_"));
		add_percent(&full, ch);
	}
	buf_fmt(out, "; filename=\"%s\"", buf_z(&plain));
	if (more)
		buf_fmt(out, "; filename*=UTF-8''%s", buf_z(&full));
}

/* ---- queries --------------------------------------------------------------- */

static int unhex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool percent_decode(struct str s, struct buf *out)
{
	for (; s.n; s = str_skip(s, 1)) {
		int hi, lo;

		if (s.p[0] != '%') {
			buf_addc(out, s.p[0]);
			continue;
		}
		if (s.n < 3)
			return false;
		hi = unhex(s.p[1]);
		lo = unhex(s.p[2]);
		if (hi < 0 || lo < 0)
			return false;
		buf_addc(out, (char)(hi << 4 | lo));
		s = str_skip(s, 2);
	}
	return true;
}

bool query_value(struct str query, struct str name, struct buf *out)
{
	struct str pair, key;

	while (str_cut(&query, '&', &pair)) {
		key = str_n(pair.p, str_find(pair, '='));
		if (!str_eq(key, name) || key.n == pair.n)
			continue;
		return percent_decode(str_skip(pair, key.n + 1), out);
	}
	return true;
}
