/*
 * Bodies: transfer encoding undone, and text as RFC 8621 4.1.4 bodyValues.
 */
#include <string.h>

#include "core/base/utf8.h"
#include "core/mime/internal.h"

/* The row or part may have been made from other bytes: never beyond raw. */
static struct str body_at(struct str raw, size_t offset, size_t length)
{
	offset = min_of(offset, raw.n);
	return str_n(
		raw.n ? raw.p + offset : "", min_of(length, raw.n - offset));
}

void mime_decode(struct str raw, const struct mime_part *p, struct buf *out)
{
	mime_transfer_decode(
		p->encoding, body_at(raw, p->offset, p->length), out);
}

/* A copy of s with CRLF as LF; ends behind `limit` bytes. */
static struct str lf_copy(struct str s, size_t limit, struct arena *a)
{
	char *p = arena_new(a, min_of(s.n, limit) + 1);
	size_t n = 0;

	while (s.n > 0 && n < limit) {
		size_t cr = min_of(str_find(s, '\r'), limit - n);

		memcpy(p + n, s.p, cr);
		n += cr;
		s = str_skip(s, cr);
		if (s.n == 0 || n == limit)
			break;
		/* s begins with a CR; alone it stays. */
		if (s.n < 2 || s.p[1] != '\n')
			p[n++] = '\r';
		s = str_skip(s, 1);
	}
	return str_n(p, n);
}

/* RFC 8621 4.2: not inside a character, nor inside a tag. */
static size_t cut_at(struct str text, size_t max, struct str type)
{
	while (max > 0 && ((unsigned char)text.p[max] & 0xc0) == 0x80)
		max--;
	return str_eq(type, STR("text/html")) ? mime_html_cut(text, max) : max;
}

struct mime_text mime_text_at(struct str raw, size_t offset, size_t length,
	enum mime_encoding enc, struct str type, struct str charset, size_t max,
	struct arena *a)
{
	struct buf bytes cleanup(buf_fini) = {0};
	struct buf utf8 cleanup(buf_fini) = {0};
	struct str s = body_at(raw, offset, length);
	struct mime_text t = {0};
	bool limited = max > 0 && max < SIZE_MAX;

	if (enc != MIME_IDENTITY) {
		mime_transfer_decode(enc, s, &bytes);
		s = buf_str(&bytes);
	}
	if (!mime_charset_is_utf8(charset) || !utf8_valid(s)) {
		t.encoding_problem = !mime_to_utf8(charset, s, &utf8);
		s = buf_str(&utf8);
	}
	t.text = lf_copy(s, limited ? max + 1 : SIZE_MAX, a);
	t.truncated = limited && t.text.n > max;
	if (t.truncated)
		t.text.n = cut_at(t.text, max, type);
	return t;
}

struct mime_text mime_body_text(
	struct str raw, const struct mime_part *p, size_t max, struct arena *a)
{
	struct mime_text t = mime_text_at(raw, p->offset, p->length,
		p->encoding, p->type, p->charset, max, a);

	t.encoding_problem = t.encoding_problem || p->encoding_problem;
	return t;
}
