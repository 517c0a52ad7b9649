/*
 * The base subject (RFC 5256 2.1), by which threads are told apart.
 *
 * Beyond the RFC's re, fw and fwd the common words of other languages come off
 * too, and case is folded, so that it can be compared as bytes. Every step
 * takes something off one end: linear.
 */
#include <glib.h>

#include "core/base/utf8.h"
#include "core/mime/internal.h"

/* Lower case, runs of white space one space, none at the ends. */
static struct str fold(struct str s, struct arena *a)
{
	struct buf out cleanup(buf_fini) = {0};
	bool blank = false;

	while (s.n > 0) {
		uint32_t cp;
		size_t n = utf8_decode(s, &cp);

		s = str_skip(s, n);
		if (cp <= ' ' || cp == 0xa0 || cp == 0x3000) {
			blank = out.n > 0;
			continue;
		}
		if (blank)
			buf_addc(&out, ' ');
		blank = false;
		if (cp < 0x80)
			buf_addc(&out, mime_lower((char)cp));
		else
			out.n += utf8_encode(
				g_unichar_tolower(cp), buf_room(&out, 4));
	}
	return arena_str(a, buf_str(&out));
}

/* subj-blob: "[" without brackets inside "]" and blanks; its length or 0. */
static size_t blob(struct str s)
{
	size_t n = 1;

	if (s.n == 0 || s.p[0] != '[')
		return 0;
	while (n < s.n && s.p[n] != '[' && s.p[n] != ']')
		n++;
	if (n == s.n || s.p[n] != ']')
		return 0;
	n++;
	while (n < s.n && s.p[n] == ' ')
		n++;
	return n;
}

/* subj-refwd: a word like "re", maybe a blob, a colon; its length or 0. */
static size_t refwd(struct str s)
{
	static const char *const words[] = {"re", "fwd", "fw", "aw", "wg",
		"antw", "sv", "vs", "vb", "rv", "tr", "odp", "ynt"};

	for (size_t i = 0; i < countof(words); i++) {
		struct str word = str_of(words[i]);
		size_t n = word.n;

		if (!str_starts(s, word))
			continue;
		while (n < s.n && s.p[n] == ' ')
			n++;
		n += blob(str_skip(s, n));
		if (n < s.n && s.p[n] == ':')
			return n + 1;
	}
	return 0;
}

/* subj-trailer: "(fwd)" and blanks. */
static struct str trailers_off(struct str s)
{
	struct str fwd = STR("(fwd)");

	s = str_trim(s);
	while (str_ends(s, fwd)) {
		s.n -= fwd.n;
		s = str_trim(s);
	}
	return s;
}

/* Steps (3) to (5): leaders off, blobs off as long as something is left. */
static struct str leaders_off(struct str s)
{
	for (;;) {
		size_t n;

		s = str_trim(s);
		n = refwd(s);
		if (n == 0) {
			n = blob(s);
			if (n == s.n)
				return s;
		}
		if (n == 0)
			return s;
		s = str_skip(s, n);
	}
}

struct str mime_base_subject(struct str raw_subject, struct arena *a)
{
	struct str s = fold(mime_as_text(raw_subject, a), a);

	for (;;) {
		s = leaders_off(trailers_off(s));
		/* Step (6): "[fwd: ... ]". */
		if (!str_starts(s, STR("[fwd:")) || !str_ends(s, STR("]")))
			return s;
		s = mime_slice(s, 5, s.n - 1);
	}
}
