/*
 * The parsed forms of a header field (RFC 8621 4.1.2) but addresses and dates.
 */
#include <glib.h>
#include <stdio.h>

#include "core/base/utf8.h"
#include "core/mime/internal.h"

/* Putting many combining marks in order is quadratic in GLib. */
#define NFC_MAX 1000 /* bytes */

struct str mime_header_raw(const struct mime_part *p, struct str name)
{
	for (size_t i = p->headers_n; i-- > 0;) {
		if (str_ieq(p->headers[i].name, name))
			return p->headers[i].value;
	}
	return STR_NONE;
}

/* Octets that are no UTF-8 become U+FFFD, NUL goes (RFC 8621 4.1.2.1). */
struct str mime_as_raw(struct str raw, struct arena *a)
{
	struct buf out cleanup(buf_fini) = {0};
	struct str rest = raw;
	struct str piece;

	if (str_find(raw, '\0') == raw.n && utf8_valid(raw))
		return raw;
	while (str_cut(&rest, '\0', &piece))
		mime_to_utf8(STR("utf-8"), piece, &out);
	return arena_str(a, buf_str(&out));
}

/* Characters below U+0300 never combine: such text is in NFC already. */
static bool may_combine(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0xcc)
			return true;
	}
	return false;
}

struct str mime_as_text(struct str raw, struct arena *a)
{
	struct buf out cleanup(buf_fini) = {0};
	struct str s = mime_clean(raw, a);
	char *nfc;

	while (s.n > 0 && s.p[0] == ' ')
		s = str_skip(s, 1);
	mime_words(s, &out);
	if (out.n > NFC_MAX || !may_combine(buf_str(&out)))
		return arena_str(a, buf_str(&out));
	nfc = g_utf8_normalize(out.p, (gssize)out.n, G_NORMALIZE_NFC);
	s = arena_str(a, nfc ? str_of(nfc) : buf_str(&out));
	g_free(nfc);
	return s;
}

/* A list of strings that grows; at most MIME_LIST. */
static void list_add(struct buf *list, struct str s)
{
	if (list->n / sizeof(s) < MIME_LIST)
		buf_add(list, &s, sizeof(s));
}

static size_t list_done(
	struct buf *list, struct arena *a, const struct str **out_r)
{
	size_t n = list->n / sizeof(struct str);

	*out_r = n ? arena_dup(a, list->p, list->n) : NULL;
	return n;
}

/* s without white space, which folding may have put there. */
static struct str squeeze(struct str s, struct arena *a)
{
	char *p = arena_new(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (!mime_is_space(s.p[i]))
			p[n++] = s.p[i];
	}
	return str_n(p, n);
}

/* Behind the quoted-string or other phrase word at `at`. */
static size_t phrase_skip(struct str s, size_t at)
{
	if (s.p[at] != '"')
		return at + 1;
	for (at++; at < s.n && s.p[at] != '"'; at++) {
		if (s.p[at] == '\\')
			at++;
	}
	return min_of(at + 1, s.n);
}

/*
 * The <...> of a header, CFWS and phrases between them skipped (RFC 5322 4.5.4
 * allows phrases in In-Reply-To and References). One that is not closed, or is
 * empty, is left out.
 */
static size_t angles(struct str raw, struct arena *a, const struct str **out_r)
{
	struct buf list cleanup(buf_fini) = {0};
	struct str s = mime_clean(raw, a);
	size_t at = 0;

	while ((at = mime_skip_cfws(s, at)) < s.n) {
		struct str id;
		size_t len;

		if (s.p[at] != '<') {
			at = phrase_skip(s, at);
			continue;
		}
		at++;
		for (len = 0; at + len < s.n; len++) {
			if (s.p[at + len] == '<' || s.p[at + len] == '>')
				break;
		}
		id = mime_slice(s, at, at + len);
		at += len;
		if (at == s.n || s.p[at] == '<')
			continue;
		at++;
		id = squeeze(id, a);
		if (id.n > 0)
			list_add(&list, id);
	}
	return list_done(&list, a, out_r);
}

size_t mime_as_message_ids(
	struct str raw, struct arena *a, const struct str **out_r)
{
	return angles(raw, a, out_r);
}

/* RFC 2369 2: white space inside the angle brackets is to be ignored. */
size_t mime_as_urls(struct str raw, struct arena *a, const struct str **out_r)
{
	return angles(raw, a, out_r);
}

const char *mime_library_version(void)
{
	static char text[48];

	snprintf(text, sizeof(text), "GLib %u.%u.%u", glib_major_version,
		glib_minor_version, glib_micro_version);
	return text;
}
