/*
 * The text of a message, as a search sees it (RFC 8621 4.4.1).
 *
 * Every field of a name counts, not only the last one; every text part, whatever
 * its disposition. A message inside a message is text of the outer one's body: its
 * people, its subject, its parts.
 */
#include "core/mime/text.h"

#include <glib.h>

#include "core/mime/internal.h"

/* Grows when these files make another text or other words of the same bytes. */
#define VERSION 1

#define NESTED 8		    /* messages inside messages */
#define PART_READ ((size_t)4 << 20) /* encoded bytes of a part */

const char *mime_text_version(void)
{
	return G_STRINGIFY(VERSION) "/" G_STRINGIFY(
		GLIB_MAJOR_VERSION) "." G_STRINGIFY(GLIB_MINOR_VERSION);
}

struct reader {
	struct mime_search *s;
	size_t left; /* bytes of text that may still come */
};

void mime_search_fini(struct mime_search *s)
{
	buf_fini(&s->from);
	buf_fini(&s->to);
	buf_fini(&s->cc);
	buf_fini(&s->bcc);
	buf_fini(&s->subject);
	buf_fini(&s->body);
}

void mime_search_finip(struct mime_search *s)
{
	mime_search_fini(s);
}

/* ---- pieces --------------------------------------------------------------- */

/* A cut at a character. */
static struct str head(struct str s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
		max--;
	return mime_slice(s, 0, max);
}

/* White space made one space; a line of its own. */
static void add(struct reader *r, struct buf *out, struct str s)
{
	size_t from = out->n;
	bool blank = false;

	s = head(s, r->left);
	for (size_t i = 0; i < s.n; i++) {
		if (mime_is_space(s.p[i]) || s.p[i] == '\0') {
			blank = true;
			continue;
		}
		if (blank && out->n > from)
			buf_addc(out, ' ');
		blank = false;
		buf_addc(out, s.p[i]);
	}
	if (out->n > from)
		buf_addc(out, '\n');
	r->left -= min_of(r->left, out->n - from);
}

static void add_addresses(
	struct reader *r, struct buf *out, struct str value, struct arena *a)
{
	struct buf line cleanup(buf_fini) = {0};
	const struct mime_addr *at;
	size_t n = mime_as_addresses(value, a, &at);

	for (size_t i = 0; i < n && r->left > 0; i++) {
		buf_reset(&line);
		buf_adds(&line, at[i].name);
		buf_addc(&line, ' ');
		buf_adds(&line, at[i].email);
		add(r, out, buf_str(&line));
	}
}

/* The header of a message; inside another one all of it is body. */
static void read_header(struct reader *r, const struct mime_part *p,
	bool nested, struct arena *a)
{
	struct mime_search *s = r->s;
	const struct {
		struct str name;
		struct buf *out;
	} fields[] = {
		{STR("From"), &s->from},
		{STR("To"), &s->to},
		{STR("Cc"), &s->cc},
		{STR("Bcc"), &s->bcc},
	};

	for (size_t i = 0; i < p->headers_n && r->left > 0; i++) {
		const struct mime_header *h = &p->headers[i];

		if (str_ieq(h->name, STR("Subject")))
			add(r, nested ? &s->body : &s->subject,
				mime_as_text(h->value, a));
		for (size_t k = 0; k < countof(fields); k++)
			if (str_ieq(h->name, fields[k].name))
				add_addresses(r,
					nested ? &s->body : fields[k].out,
					h->value, a);
	}
}

/* ---- parts ---------------------------------------------------------------- */

static void read_text(struct reader *r, struct str raw,
	const struct mime_part *p, struct arena *a)
{
	bool html = str_eq(p->type, STR("text/html"));
	struct buf plain cleanup(buf_fini) = {0};
	struct mime_text t = mime_text_at(raw, p->offset,
		min_of(p->length, PART_READ), p->encoding, p->type, p->charset,
		html ? PART_READ : r->left, a);

	if (html) {
		mime_html_search(t.text, r->left, &plain);
		t.text = buf_str(&plain);
	}
	add(r, &r->s->body, t.text);
}

static void read_message(
	struct reader *r, struct str raw, unsigned nested, struct arena *a);

static void read_nested(struct reader *r, struct str raw,
	const struct mime_part *p, unsigned nested, struct arena *a)
{
	struct buf inner cleanup(buf_fini) = {0};

	if (p->encoding == MIME_IDENTITY) {
		raw = mime_slice(raw, p->offset, p->offset + p->length);
	} else {
		mime_decode(raw, p, &inner);
		raw = buf_str(&inner);
	}
	read_message(r, raw.p ? raw : STR(""), nested, a);
}

static bool is_message(struct str type)
{
	return str_eq(type, STR("message/rfc822")) ||
	       str_eq(type, STR("message/global"));
}

static void read_part(struct reader *r, struct str raw,
	const struct mime_part *p, unsigned nested, struct arena *a)
{
	if (r->left == 0)
		return;
	for (size_t i = 0; i < p->sub_n; i++)
		read_part(r, raw, p->sub[i], nested, a);
	if (p->sub)
		return;
	if (is_message(p->type) && nested < NESTED)
		read_nested(r, raw, p, nested + 1, a);
	else if (str_starts(p->type, STR("text/")) ||
		 str_starts(p->type, STR("message/")))
		read_text(r, raw, p, a);
	add(r, &r->s->body, p->name);
}

static void read_message(
	struct reader *r, struct str raw, unsigned nested, struct arena *a)
{
	size_t parts;
	const struct mime_part *root = mime_split(raw, a, &parts);

	read_header(r, root, nested > 0, a);
	read_part(r, raw, root, nested, a);
}

void mime_search_read(struct str raw, size_t max, struct mime_search *s)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct reader r = {.s = s, .left = max};

	read_message(&r, raw.p ? raw : STR(""), 0, &tmp);
}
