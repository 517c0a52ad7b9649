/*
 * Header fields in the forms of RFC 8621 4.1.2. What has a grammar is read back
 * before it counts: so a value that would be read as another is refused whatever
 * the reason.
 */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/utf8.h"
#include "core/mime/compose_field.h"
#include "core/mime/internal.h"

/* ---- raw ---------------------------------------------------------------------- */

/* RFC 5322 2.2.3: each CRLF is followed by a blank, and no line is all blank. */
static bool folds_well(struct str s)
{
	bool first = true;

	for (;;) {
		size_t n = 0;
		bool blank = true;

		for (; n < s.n && s.p[n] != '\r'; n++) {
			unsigned char c = (unsigned char)s.p[n];

			if ((c < 0x20 && c != '\t') || c == 0x7f)
				return false;
			blank = blank && (c == ' ' || c == '\t');
		}
		if (!first && blank)
			return false;
		if (n == s.n)
			return true;
		if (s.n - n < 3 || s.p[n + 1] != '\n' ||
			(s.p[n + 2] != ' ' && s.p[n + 2] != '\t'))
			return false;
		s = str_skip(s, n + 2);
		first = false;
	}
}

bool compose_raw(struct buf *out, struct str name, struct str value)
{
	struct field f;
	size_t at = 0;

	if (!utf8_valid(value) || !folds_well(value))
		return false;
	while (at < value.n && value.p[at] == ' ')
		at++;
	field_open(&f, out, name);
	/* As it is, but for what is one long line. */
	if (name.n + value.n < FIELD_LINE_MAX || at == value.n ||
		str_find(value, '\r') < value.n)
		field_glue(&f, value);
	else
		field_words(&f, str_n(value.p, at), str_skip(value, at));
	/* Its lines are measured from its own breaks. */
	for (size_t i = f.start; i < out->n; i++)
		if (out->p[i] == '\n')
			f.line = i + 1;
	return field_close(&f);
}

/* ---- text ----------------------------------------------------------------------- */

bool compose_text(struct buf *out, struct str name, struct str text)
{
	struct arena a cleanup(arena_fini) = {0};
	struct field f;

	if (!field_text(text, &a, &text))
		return false;
	field_open(&f, out, name);
	/* Blanks at the ends would be lost. */
	if (text.n > 0 && (text.p[0] == ' ' || text.p[text.n - 1] == ' ' ||
				  field_needs_code(text)))
		field_coded(&f, text);
	else
		field_words(&f, STR(" "), text);
	return field_close(&f);
}

/* ---- addresses ------------------------------------------------------------------ */

/* RFC 5322 3.2.3 */
static bool is_atext(char c)
{
	return c > ' ' && c < 0x7f && !strchr("()<>[]:;@\\,.\"", c);
}

/* Words of atext with one blank between them. */
static bool is_atoms(struct str s)
{
	char before = ' ';

	for (size_t i = 0; i < s.n; before = s.p[i++])
		if (s.p[i] == ' ' ? before == ' ' : !is_atext(s.p[i]))
			return false;
	return before != ' ';
}

static void quote(struct str s, struct buf *out)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, s.p[i]);
	}
	buf_addc(out, '"');
}

/* A display name; true when its last word is an encoded one. */
static bool put_phrase(struct field *f, struct str s)
{
	struct buf b cleanup(buf_fini) = {0};

	if (field_needs_code(s)) {
		field_coded(f, s);
		return true;
	}
	if (!is_atoms(s)) {
		quote(s, &b);
		s = buf_str(&b);
	}
	field_words(f, STR(" "), s);
	return false;
}

/* Can it stand without <>? RFC 6532 3.2 allows 8 bit. */
static bool is_addr_spec(struct str s)
{
	size_t at = s.n;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '@' && at == s.n)
			at = i;
		else if (!is_atext(s.p[i]) && s.p[i] != '.' &&
			 (unsigned char)s.p[i] < 0x80)
			return false;
	}
	return at > 0 && at + 1 < s.n;
}

static void put_mailbox(struct field *f, const struct mime_addr *m)
{
	struct buf b cleanup(buf_fini) = {0};

	if (m->name.n == 0 && is_addr_spec(m->email)) {
		field_word(f, STR(" "), m->email);
		return;
	}
	/* Half an address, in a draft: words are read as they stand. */
	if (m->name.n == 0 && m->email.n > 0 &&
		str_find(m->email, '@') == m->email.n) {
		put_phrase(f, m->email);
		return;
	}
	if (m->name.n > 0)
		put_phrase(f, m->name);
	buf_addc(&b, '<');
	buf_adds(&b, m->email);
	buf_addc(&b, '>');
	field_word(f, STR(" "), buf_str(&b));
}

static void put_list(struct field *f, const struct mime_addr *at, size_t n)
{
	bool comma = false;

	for (size_t i = 0; i < n; i++) {
		if (at[i].group_end) {
			field_glue(f, STR(";"));
			comma = true;
			continue;
		}
		if (comma)
			field_glue(f, STR(","));
		comma = !at[i].group_start;
		if (!at[i].group_start)
			put_mailbox(f, &at[i]);
		else if (at[i].name.n == 0)
			field_word(f, STR(" "), STR("\"\":"));
		else if (put_phrase(f, at[i].name))
			field_word(f, STR(" "), STR(":"));
		else
			field_glue(f, STR(":"));
	}
}

static bool same_addresses(
	const struct mime_addr *a, const struct mime_addr *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i].group_start != b[i].group_start ||
			a[i].group_end != b[i].group_end ||
			!str_eq(a[i].name, b[i].name) ||
			!str_eq(a[i].email, b[i].email))
			return false;
	return true;
}

/* As they will be read: without blanks around them. */
static bool read_list(const struct mime_addr *in, size_t n, struct arena *a,
	struct mime_addr *out)
{
	for (size_t i = 0; i < n; i++) {
		out[i] = in[i];
		if (!field_text(in[i].name, a, &out[i].name) ||
			!field_text(in[i].email, a, &out[i].email))
			return false;
		out[i].name = str_trim(out[i].name);
		out[i].email = str_trim(out[i].email);
	}
	return true;
}

bool compose_addresses(
	struct buf *out, struct str name, const struct mime_addr *at, size_t n)
{
	struct arena a cleanup(arena_fini) = {0};
	struct mime_addr *list = arena_new(&a, n * sizeof(*list));
	const struct mime_addr *back;
	struct field f;

	if (!read_list(at, n, &a, list))
		return false;
	field_open(&f, out, name);
	put_list(&f, list, n);
	if (mime_as_addresses(field_value(&f), &a, &back) != n ||
		!same_addresses(list, back, n))
		return field_drop(&f);
	return field_close(&f);
}

/* ---- lists in angle brackets ---------------------------------------------------- */

static bool same_strings(const struct str *a, const struct str *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!str_eq(a[i], b[i]))
			return false;
	return true;
}

static bool fits_angles(struct str s)
{
	struct arena a cleanup(arena_fini) = {0};
	struct str text;

	return s.n > 0 && field_text(s, &a, &text) &&
	       str_find(text, ' ') == s.n && str_find(s, '<') == s.n &&
	       str_find(s, '>') == s.n;
}

static bool put_angles(
	struct field *f, const struct str *at, size_t n, const char *between)
{
	struct buf b cleanup(buf_fini) = {0};

	for (size_t i = 0; i < n; i++) {
		if (!fits_angles(at[i]))
			return false;
		buf_reset(&b);
		buf_addc(&b, '<');
		buf_adds(&b, at[i]);
		buf_addc(&b, '>');
		if (i > 0)
			field_glue(f, str_of(between));
		field_word(f, STR(" "), buf_str(&b));
	}
	return true;
}

bool compose_message_ids(
	struct buf *out, struct str name, const struct str *at, size_t n)
{
	struct arena a cleanup(arena_fini) = {0};
	const struct str *back;
	struct field f;

	field_open(&f, out, name);
	if (!put_angles(&f, at, n, "") ||
		mime_as_message_ids(field_value(&f), &a, &back) != n ||
		!same_strings(at, back, n))
		return field_drop(&f);
	return field_close(&f);
}

bool compose_urls(
	struct buf *out, struct str name, const struct str *at, size_t n)
{
	struct arena a cleanup(arena_fini) = {0};
	const struct str *back;
	struct field f;

	field_open(&f, out, name);
	if (!put_angles(&f, at, n, ",") ||
		mime_as_urls(field_value(&f), &a, &back) != n ||
		!same_strings(at, back, n))
		return field_drop(&f);
	return field_close(&f);
}

/* ---- dates, ids ------------------------------------------------------------------- */

bool compose_date(struct buf *out, struct str name, int64_t ms, int offset_min)
{
	char z[CLOCK_MAIL_MAX], zone[16];
	int min = abs(offset_min), back_min;
	int64_t back;
	struct field f;

	ms -= ((ms % 1000) + 1000) % 1000;
	clock_mail(ms + (int64_t)offset_min * 60000, z);
	snprintf(zone, sizeof(zone), " %c%02d%02d", offset_min < 0 ? '-' : '+',
		min / 60 % 100, min % 60);
	field_open(&f, out, name);
	field_glue(&f, STR(" "));
	/* What is before the zone. */
	field_glue(&f, str_n(z, strlen(z) - strlen(" +0000")));
	field_glue(&f, str_of(zone));
	if (!mime_as_date(field_value(&f), &back, &back_min) || back != ms ||
		back_min != offset_min)
		return field_drop(&f);
	return field_close(&f);
}

void compose_new_message_id(struct buf *out, struct str domain)
{
	uint8_t random[15];
	struct buf id cleanup(buf_fini) = {0};
	struct str one;

	if (!field_is_plain(domain, "()<>[]:;@\\,\"") || domain.n > 255)
		domain = STR("localhost");
	random_bytes(random, sizeof(random));
	hex_add(&id, str_n(random, sizeof(random)));
	buf_addc(&id, '@');
	buf_adds(&id, domain);
	one = buf_str(&id);
	check(compose_message_ids(out, STR("Message-ID"), &one, 1));
}
