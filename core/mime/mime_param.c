/*
 * Parameters of Content-Type and Content-Disposition (RFC 2045 5.1, RFC 2231).
 *
 * Reads what is sent, not only what is allowed: values without quotes that hold
 * blanks, missing semicolons, quotes that are never closed. At most MIME_PARAMS
 * are kept, so that putting pieces together stays cheap.
 */
#include <string.h>

#include "core/mime/internal.h"

/*
 * The first semicolon outside of comments. A comment that never ends takes the
 * rest, as in mime_skip_cfws().
 */
static size_t value_end(struct str s)
{
	size_t at = 0;

	while (at < s.n && s.p[at] != ';') {
		if (s.p[at] == '(')
			at = mime_comment_end(s, at);
		at = min_of(at + 1, s.n);
	}
	return at;
}

/* The text of a quoted-string that opens at *at; *at moves behind it. */
static struct str quoted_take(struct str s, size_t *at, struct arena *a)
{
	size_t i = *at + 1;
	size_t n = 0;
	char *p;

	while (i < s.n && s.p[i] != '"')
		i += s.p[i] == '\\' && i + 1 < s.n ? 2 : 1;
	i = min_of(i, s.n);
	p = arena_new(a, i - *at);
	for (size_t k = *at + 1; k < i; k++) {
		if (s.p[k] == '\\' && k + 1 < i)
			k++;
		p[n++] = s.p[k];
	}
	*at = min_of(i + 1, s.n);
	return str_n(p, n);
}

static struct str plain_take(struct str s, size_t *at)
{
	size_t from = *at;
	size_t i = from;

	while (i < s.n && s.p[i] != ';' &&
		!(s.p[i] == '(' && i > from && mime_is_space(s.p[i - 1])))
		i++;
	*at = i;
	return str_trim(mime_slice(s, from, i));
}

/* A parameter's name ends at white space or a comment. */
static struct str param_name(struct str s)
{
	size_t n = 0;

	while (n < s.n && !mime_is_space(s.p[n]) && s.p[n] != '(')
		n++;
	return mime_slice(s, 0, n);
}

/* "filename*0*" is piece 0 of filename, extended. */
static void name_read(struct mime_param *p, struct str name)
{
	size_t star;
	uint64_t nth;

	p->piece = -1;
	p->extended = str_ends(name, STR("*"));
	if (p->extended)
		name.n--;
	star = str_find(name, '*');
	if (star < name.n && str_u64(str_skip(name, star + 1), &nth) &&
		nth < MIME_PARAMS) {
		p->piece = (int)nth;
		name.n = star;
	}
	p->name = name;
}

void mime_params_read(struct mime_params *ps, struct str clean, struct arena *a)
{
	size_t at = value_end(clean);

	ps->n = 0;
	while (at < clean.n && ps->n < MIME_PARAMS) {
		struct mime_param *p = &ps->p[ps->n];
		size_t from;

		if (clean.p[at] == ';')
			at++;
		from = at = mime_skip_cfws(clean, at);
		while (at < clean.n && clean.p[at] != '=' && clean.p[at] != ';')
			at++;
		if (at == clean.n || clean.p[at] == ';')
			continue;
		name_read(p, param_name(mime_slice(clean, from, at)));
		at = mime_skip_cfws(clean, at + 1);
		if (at < clean.n && clean.p[at] == '"') {
			p->value = quoted_take(clean, &at, a);
			at = mime_skip_cfws(clean, at);
		} else {
			p->value = plain_take(clean, &at);
			at += value_end(str_skip(clean, at));
		}
		ps->n++;
	}
}

static void percent_add(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		int byte =
			s.p[i] == '%' ? mime_hex_byte(str_skip(s, i + 1)) : -1;

		if (byte >= 0)
			i += 2;
		else
			byte = (unsigned char)s.p[i];
		buf_addc(out, (char)byte);
	}
}

/* RFC 2231 4: charset'language'text; what lacks the quotes is all text. */
static struct str charset_take(struct str *s)
{
	struct str charset;
	struct str rest = *s;
	struct str lang;

	if (!str_cut(&rest, '\'', &charset) || !str_cut(&rest, '\'', &lang) ||
		(size_t)(lang.p + lang.n - s->p) == s->n)
		return STR_NONE;
	*s = rest;
	return charset;
}

/* Appends one value or piece to the undecoded whole. */
static void piece_add(struct buf *bytes, const struct mime_param *p,
	struct str *charset, bool first)
{
	struct str v = p->value;

	if (!p->extended) {
		buf_adds(bytes, v);
		return;
	}
	if (first)
		*charset = charset_take(&v);
	percent_add(bytes, v);
}

static const struct mime_param *find(const struct mime_params *ps,
	struct str name, int piece, bool extended_only)
{
	for (size_t i = 0; i < ps->n; i++) {
		const struct mime_param *p = &ps->p[i];

		if (p->piece == piece && (p->extended || !extended_only) &&
			str_ieq(p->name, name))
			return p;
	}
	return NULL;
}

/* Controls have no place in a name or charset. */
static struct str finish(struct str charset, struct buf *bytes, struct arena *a)
{
	struct buf out cleanup(buf_fini) = {0};
	size_t n = 0;

	if (charset.n > 0 && mime_charset_known(charset))
		mime_to_utf8(charset, buf_str(bytes), &out);
	else
		mime_guess_utf8(buf_str(bytes), &out);
	for (size_t i = 0; i < out.n; i++) {
		if ((unsigned char)out.p[i] >= ' ' && out.p[i] != 0x7f)
			out.p[n++] = out.p[i];
	}
	out.n = n;
	return arena_str(a, buf_str(&out));
}

struct str mime_param(
	const struct mime_params *ps, struct str name, struct arena *a)
{
	const struct mime_param *p = find(ps, name, -1, true);
	struct buf bytes cleanup(buf_fini) = {0};
	struct str charset = STR_NONE;

	/* The extended form wins over the plain one for old readers. */
	if (p) {
		piece_add(&bytes, p, &charset, true);
		return finish(charset, &bytes, a);
	}
	p = find(ps, name, 0, false);
	if (!p) {
		p = find(ps, name, -1, false);
		return p ? p->value : STR_NONE;
	}
	for (int nth = 1; p; nth++) {
		piece_add(&bytes, p, &charset, nth == 1);
		p = find(ps, name, nth, false);
	}
	return finish(charset, &bytes, a);
}
