/*
 * The line that a list shows below the subject (RFC 8621 4.1.4 preview).
 *
 * It comes from the first part of textBody that has any text. Only the start of
 * a part is decoded, so the cost does not grow with the message.
 */
#include "core/base/utf8.h"
#include "core/mime/internal.h"

#define CHARS 256	/* RFC 8621 4.1.4: not more */
#define TEXT_READ 8192	/* bytes of a part that are looked at */
#define HTML_READ 65536 /* style sheets come first */
#define HTML_TEXT 4096	/* bytes of text taken out of that */
#define PARTS_TRIED 8

static bool is_blank(uint32_t cp)
{
	return cp <= 0x20 || cp == 0xa0 || (cp >= 0x2000 && cp <= 0x200a) ||
	       cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x3000;
}

/* Shows nothing by itself; newsletters fill up their previews with these. */
static bool is_invisible(uint32_t cp)
{
	return (cp >= 0x7f && cp < 0xa0) || cp == 0xad || cp == 0x34f ||
	       (cp >= 0x200b && cp <= 0x200f) || cp == 0x2060 || cp == 0xfeff;
}

/* White space made one space; CHARS at most, those above U+FFFF count twice
 * since clients count UTF-16. */
static void squeeze(struct str s, struct buf *out)
{
	size_t chars = 0;
	bool blank = false;

	while (s.n > 0) {
		uint32_t cp;
		size_t n = utf8_decode(s, &cp);
		size_t width = cp > 0xffff ? 2 : 1;

		if (is_blank(cp)) {
			blank = out->n > 0;
		} else if (!is_invisible(cp) || (out->n > 0 && !blank)) {
			if (chars + blank + width > CHARS)
				break;
			chars += blank + width;
			if (blank)
				buf_addc(out, ' ');
			blank = false;
			buf_add(out, s.p, n);
		}
		s = str_skip(s, n);
	}
}

/* The part's start, as the reader sees it. */
static void part_text(
	struct str raw, const struct mime_part *p, struct buf *out)
{
	struct buf bytes cleanup(buf_fini) = {0};
	struct buf utf8 cleanup(buf_fini) = {0};
	struct buf text cleanup(buf_fini) = {0};
	bool html = str_eq(p->type, STR("text/html"));
	size_t read = min_of(p->length, html ? HTML_READ : TEXT_READ);
	struct str s = mime_slice(raw, p->offset, p->offset + read);

	if (p->encoding != MIME_IDENTITY) {
		mime_transfer_decode(p->encoding, s, &bytes);
		s = buf_str(&bytes);
	}
	/* The cut may fall into a character: not worth a U+FFFD. */
	if (read < p->length && s.n > 4 && mime_charset_is_utf8(p->charset)) {
		while (s.n > 0 && ((unsigned char)s.p[s.n - 1] & 0xc0) == 0x80)
			s.n--;
		if (s.n > 0 && (unsigned char)s.p[s.n - 1] >= 0xc0)
			s.n--;
	}
	mime_to_utf8(p->charset, s, &utf8);
	s = buf_str(&utf8);
	if (html) {
		mime_html_text(s, HTML_TEXT, &text);
		s = buf_str(&text);
	}
	squeeze(s, out);
}

struct str mime_preview(const struct mime_message *m, struct arena *a)
{
	struct buf out cleanup(buf_fini) = {0};
	size_t tried = 0;

	for (size_t i = 0; i < m->text_body_n && out.n == 0; i++) {
		const struct mime_part *p = m->text_body[i];

		if (!str_starts(p->type, STR("text/")))
			continue;
		if (tried++ == PARTS_TRIED)
			break;
		part_text(m->raw, p, &out);
	}
	return arena_str(a, buf_str(&out));
}
