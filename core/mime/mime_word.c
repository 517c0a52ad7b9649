/*
 * Header values as text: unfolding, raw 8 bit bytes, comments to skip, and
 * encoded words (RFC 2047 as RFC 8621 4.1.2.2 wants it).
 *
 * An encoded word is decoded only where white space or an end stands on both of
 * its sides and its charset is known. White space between two of them vanishes,
 * and the bytes of neighbours with one charset are joined before conversion,
 * since many senders cut characters in two. What was encoded loses its control
 * characters.
 */
#include <string.h>

#include "core/base/utf8.h"
#include "core/mime/internal.h"

/* Does any byte need work in mime_clean()? */
static bool is_clean(struct str s)
{
	return str_find(s, '\r') == s.n && str_find(s, '\n') == s.n &&
	       str_find(s, '\0') == s.n && utf8_valid(s);
}

struct str mime_clean(struct str raw, struct arena *a)
{
	struct buf out cleanup(buf_fini) = {0};
	char *p;
	size_t n = 0;

	if (is_clean(raw))
		return raw;
	p = arena_new(a, raw.n + 1);
	for (size_t i = 0; i < raw.n; i++) {
		char c = raw.p[i];
		char next = i + 1 < raw.n ? raw.p[i + 1] : '\0';

		if (c == '\0')
			continue;
		if (c != '\r' && c != '\n') {
			p[n++] = c;
			continue;
		}
		/* RFC 5322 2.2.3: the break goes, the blank behind stays. */
		if (!mime_is_space(next))
			p[n++] = ' ';
	}
	if (utf8_valid(str_n(p, n)))
		return str_n(p, n);
	mime_guess_utf8(str_n(p, n), &out);
	return arena_str(a, buf_str(&out));
}

size_t mime_comment_end(struct str s, size_t at)
{
	size_t depth = 0;

	for (; at < s.n; at++) {
		if (s.p[at] == '\\') {
			at++;
		} else if (s.p[at] == '(') {
			depth++;
		} else if (s.p[at] == ')' && --depth == 0) {
			return at;
		}
	}
	return s.n;
}

size_t mime_skip_cfws(struct str s, size_t at)
{
	while (at < s.n) {
		if (mime_is_space(s.p[at])) {
			at++;
			continue;
		}
		if (s.p[at] != '(')
			break;
		at = mime_comment_end(s, at);
		at = at < s.n ? at + 1 : at;
	}
	return at;
}

struct word {
	struct str charset;
	struct str text;
	bool base64;
};

/* RFC 2047 2: =?charset?encoding?encoded-text?= and nothing around it. */
static bool word_read(struct str s, struct word *w)
{
	struct str enc;

	if (s.n < 8 || !str_starts(s, STR("=?")) || !str_ends(s, STR("?=")))
		return false;
	s = mime_slice(s, 2, s.n - 2);
	if (!str_cut(&s, '?', &w->charset) || s.n < 2 || s.p[1] != '?')
		return false;
	enc = mime_slice(s, 0, 1);
	s = str_skip(s, 2);
	if (str_find(s, '?') < s.n)
		return false;
	w->base64 = mime_lower(enc.p[0]) == 'b';
	if (!w->base64 && mime_lower(enc.p[0]) != 'q')
		return false;
	w->text = s;
	/* RFC 2231 5: "utf-8*en" names a language too. */
	w->charset = mime_slice(w->charset, 0, str_find(w->charset, '*'));
	return w->charset.n > 0;
}

/* RFC 2047 4.2: "_" is a space, "=XX" a byte, all else itself. */
static void q_decode(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		int byte =
			s.p[i] == '=' ? mime_hex_byte(str_skip(s, i + 1)) : -1;

		if (byte >= 0) {
			buf_addc(out, (char)byte);
			i += 2;
		} else {
			buf_addc(out, s.p[i] == '_' ? ' ' : s.p[i]);
		}
	}
}

struct words {
	struct buf bytes;   /* decoded, in charset */
	struct buf text;    /* the same in UTF-8 */
	struct str charset; /* of bytes, empty when there are none */
};

static bool is_control(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0);
}

static void flush(struct words *w, struct buf *out)
{
	struct str s;
	uint32_t cp;

	if (w->charset.n == 0)
		return;
	buf_reset(&w->text);
	mime_to_utf8(w->charset, buf_str(&w->bytes), &w->text);
	for (s = buf_str(&w->text); s.n > 0;) {
		size_t n = utf8_decode(s, &cp);

		if (!is_control(cp))
			buf_add(out, s.p, n);
		s = str_skip(s, n);
	}
	buf_reset(&w->bytes);
	w->charset = STR_NONE;
}

/* Takes blanks, or else what is none, from the front. */
static struct str take_run(struct str *s, bool blank)
{
	size_t n = 0;
	struct str run;

	while (n < s->n && mime_is_space(s->p[n]) == blank)
		n++;
	run = mime_slice(*s, 0, n);
	*s = str_skip(*s, n);
	return run;
}

void mime_words(struct str clean, struct buf *out)
{
	struct words ws = {0};
	struct word w;
	bool after = false; /* the last word was a decoded one */

	if (mime_find(clean, 0, STR("=?")) == clean.n) {
		buf_adds(out, clean);
		return;
	}
	while (clean.n > 0) {
		struct str blank = take_run(&clean, true);
		struct str text = take_run(&clean, false);
		bool coded =
			word_read(text, &w) && mime_charset_known(w.charset);

		if (!coded || !after || !str_ieq(ws.charset, w.charset))
			flush(&ws, out);
		if (!coded || !after)
			buf_adds(out, blank);
		if (coded) {
			if (w.base64)
				mime_transfer_decode(
					MIME_BASE64, w.text, &ws.bytes);
			else
				q_decode(w.text, &ws.bytes);
			ws.charset = w.charset;
		} else {
			buf_adds(out, text);
		}
		after = coded;
	}
	flush(&ws, out);
	buf_fini(&ws.bytes);
	buf_fini(&ws.text);
}
