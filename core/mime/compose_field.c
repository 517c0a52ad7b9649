/*
 * Folding, encoded words, and what a header can hold.
 */
#include "core/mime/compose_field.h"

#include "core/base/crypto.h"
#include "core/base/utf8.h"
#include "core/mime/internal.h"

void field_open(struct field *f, struct buf *out, struct str name)
{
	*f = (struct field){.out = out, .start = out->n, .line = out->n};
	buf_adds(out, name);
	buf_addc(out, ':');
}

static size_t column(const struct field *f)
{
	return f->out->n - f->line;
}

static void fold(struct field *f)
{
	buf_addz(f->out, "\r\n");
	f->line = f->out->n;
}

void field_word(struct field *f, struct str blanks, struct str word)
{
	size_t at = column(f);

	if (blanks.n > 0 && at + blanks.n + word.n > FIELD_LINE)
		fold(f);
	buf_adds(f->out, blanks);
	buf_adds(f->out, word);
}

void field_words(struct field *f, struct str first, struct str text)
{
	struct str blanks = first;

	while (text.n > 0) {
		size_t n = str_find(text, ' '), k = n;

		field_word(f, blanks, str_n(text.p, n));
		while (k < text.n && text.p[k] == ' ')
			k++;
		blanks = mime_slice(text, n, k);
		text = str_skip(text, k);
	}
	/* Those at the end: only inside of quotes, where more follows. */
	if (blanks.p != first.p)
		buf_adds(f->out, blanks);
}

void field_glue(struct field *f, struct str s)
{
	buf_adds(f->out, s);
}

struct str field_value(const struct field *f)
{
	struct str s = str_n(f->out->p + f->start, f->out->n - f->start);

	return str_skip(s, str_find(s, ':') + 1);
}

bool field_drop(struct field *f)
{
	f->out->n = f->start;
	return false;
}

bool field_close(struct field *f)
{
	struct str s = str_n(f->out->p + f->start, f->out->n - f->start);

	while (s.n > 0) {
		size_t n = str_find(s, '\n');

		if (n > FIELD_LINE_MAX + 1) /* the CR before it */
			return field_drop(f);
		s = str_skip(s, min_of(n + 1, s.n));
	}
	if (column(f) > FIELD_LINE_MAX)
		return field_drop(f);
	fold(f);
	return true;
}

/* ---- what a header can hold ---------------------------------------------------- */

bool field_text(struct str in, struct arena *a, struct str *out_r)
{
	char *p = arena_new(a, in.n + 1);
	uint32_t cp;

	if (!utf8_valid(in))
		return false;
	for (size_t i = 0; i < in.n; i++)
		p[i] = in.p[i] == '\t' ? ' ' : in.p[i];
	*out_r = str_n(p, in.n);
	for (struct str s = *out_r; s.n > 0;) {
		s = str_skip(s, utf8_decode(s, &cp));
		if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
			return false;
	}
	return true;
}

bool field_needs_code(struct str text)
{
	size_t word = 0;

	if (mime_find(text, 0, STR("=?")) < text.n)
		return true;
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] >= 0x80)
			return true;
		word = text.p[i] == ' ' ? 0 : word + 1;
		if (word > FIELD_WORD_MAX)
			return true;
	}
	return false;
}

bool field_is_plain(struct str s, const char *without)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr(without, s.p[i]))
			return false;
	return s.n > 0;
}

/* ---- encoded words (RFC 2047) --------------------------------------------------- */

#define CODED_HEAD "=?utf-8?q?"
#define CODED_ROOM 63 /* of 75, without head and tail */
#define CODED_LEAST 16

/* RFC 2047 5 (3): what may stand for itself in a phrase. */
static bool q_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("!*+-/", c));
}

static size_t q_size(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += q_plain(s.p[i]) || s.p[i] == ' ' ? 1 : 3;
	return n;
}

static void q_add(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (q_plain(s.p[i]))
			buf_addc(out, s.p[i]);
		else if (s.p[i] == ' ')
			buf_addc(out, '_');
		else
			buf_fmt(out, "=%02X", (unsigned char)s.p[i]);
	}
}

/*
 * The longest head of s, whole characters, that has room; at least one. In base64
 * it ends without padding where it can: some readers join the words before they
 * decode them.
 */
static struct str take(struct str s, bool q, size_t room)
{
	size_t n = 0, used = 0, thirds = 0;
	uint32_t cp;

	while (n < s.n) {
		size_t one = utf8_decode(str_skip(s, n), &cp);

		used = q ? used + q_size(str_n(s.p + n, one))
			 : (n + one + 2) / 3 * 4;
		if (n > 0 && used > room)
			break;
		n += one;
		if (n % 3 == 0)
			thirds = n;
	}
	return str_n(s.p, !q && n < s.n && thirds > 0 ? thirds : n);
}

void field_coded(struct field *f, struct str text)
{
	bool q = q_size(text) <= (text.n + 2) / 3 * 4;

	while (text.n > 0) {
		size_t used = column(f) + 1 + strlen(CODED_HEAD "?=");
		size_t room =
			used < FIELD_CODED_LINE ? FIELD_CODED_LINE - used : 0;
		struct str head;

		if (room < CODED_LEAST) {
			fold(f);
			room = CODED_ROOM;
		}
		head = take(text, q, min_of(room, (size_t)CODED_ROOM));
		buf_addz(f->out, q ? " " CODED_HEAD : " =?utf-8?b?");
		if (q)
			q_add(f->out, head);
		else
			base64_add(f->out, head);
		buf_addz(f->out, "?=");
		text = str_skip(text, head.n);
	}
}
