#include "proto/jmap/blob_decode.h"

static void decode(const struct blob_decoder *d, struct str in, struct buf *out)
{
	struct mime_part p = {.length = in.n, .encoding = d->encoding};

	if (in.n)
		mime_decode(in, &p, out);
}

/* ---- base64: between groups of four ---------------------------------------- */

static bool is_digit64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* Behind the last whole group; padding ends one as well. */
static size_t cut_base64(struct str s)
{
	size_t cut = 0;
	unsigned have = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (is_digit64(s.p[i]))
			have = (have + 1) % 4;
		else if (s.p[i] == '=')
			have = 0;
		if (have == 0)
			cut = i + 1;
	}
	return cut;
}

/* At most three digits are left; the rest would be skipped anyway. */
static void keep_digits(struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (is_digit64(b->p[i]))
			b->p[n++] = b->p[i];
	b->n = n;
}

/* ---- quoted-printable: at a line's end, or within it where no rule looks ---- */

/*
 * Before byte i: the line before it must not seem to end in blanks or in a soft
 * line break, nor CR LF or an escape be torn.
 */
static bool cuts_qp(struct str s, size_t i)
{
	char before = s.p[i - 1];

	if (before == '\n')
		return true;
	if (before == ' ' || before == '\t' || before == '\r' || before == '=')
		return false;
	return i < 2 || s.p[i - 2] != '=';
}

static size_t cut_qp(struct str s)
{
	for (size_t i = s.n; i > 0; i--)
		if (cuts_qp(s, i))
			return i;
	return s.n > BLOB_CARRY_MAX ? s.n : 0;
}

/* ---------------------------------------------------------------------------- */

static size_t cut(const struct blob_decoder *d, struct str s)
{
	switch (d->encoding) {
	case MIME_BASE64:
		return cut_base64(s);
	case MIME_QP:
		return cut_qp(s);
	case MIME_UUENCODE:
		return 0;
	case MIME_IDENTITY:
		break;
	}
	return s.n;
}

void blob_decode(
	struct blob_decoder *d, struct str bytes, bool last, struct buf *out)
{
	size_t n;

	if (d->encoding == MIME_IDENTITY) {
		buf_adds(out, bytes);
		return;
	}
	buf_adds(&d->carry, bytes);
	n = last ? d->carry.n : cut(d, buf_str(&d->carry));
	decode(d, str_n(d->carry.p, n), out);
	buf_drop(&d->carry, n);
	if (d->encoding == MIME_BASE64)
		keep_digits(&d->carry);
}
