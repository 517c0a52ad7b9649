/*
 * textBody, htmlBody and attachments: the algorithm that RFC 8621 4.1.4 gives
 * in JavaScript, in its words. It recurses MIME_DEPTH deep at most, and no part
 * gets into a list twice.
 */
#include "core/mime/internal.h"

struct list {
	struct mime_part **p;
	size_t n, cap;
};

struct lists {
	struct list text, html, attachments;
};

static void push(struct list *l, struct mime_part *p)
{
	check(l->n < l->cap);
	l->p[l->n++] = p;
}

static bool is_inline_media(const struct mime_part *p)
{
	return str_starts(p->type, STR("image/")) ||
	       str_starts(p->type, STR("audio/")) ||
	       str_starts(p->type, STR("video/"));
}

static bool is_type(const struct mime_part *p, const char *type)
{
	return str_eq(p->type, str_of(type));
}

/* Is this, as i-th child, a body part rather than an attachment? */
static bool is_inline(const struct mime_part *p, size_t i, bool related)
{
	if (str_eq(p->disposition, STR("attachment")))
		return false;
	if (!is_type(p, "text/plain") && !is_type(p, "text/html") &&
		!is_inline_media(p))
		return false;
	return i == 0 || (!related && (is_inline_media(p) || !p->name.p));
}

/* A body part right below a multipart/alternative. */
static void add_alternative(struct lists *l, struct list *text,
	struct list *html, struct mime_part *p)
{
	if (is_type(p, "text/plain") && text)
		push(text, p);
	else if (is_type(p, "text/html") && html)
		push(html, p);
	else
		push(&l->attachments, p);
}

/* What came since text_n and html_n is all of one kind: it is for both. */
static void share(
	struct list *text, struct list *html, size_t text_n, size_t html_n)
{
	size_t text_end = text->n;
	size_t html_end = html->n;

	if (text_n == text_end) {
		for (size_t i = html_n; i < html_end; i++)
			push(text, html->p[i]);
	} else if (html_n == html_end) {
		for (size_t i = text_n; i < text_end; i++)
			push(html, text->p[i]);
	}
}

/* parseStructure(): text or html is NULL where the other form is given. */
static void walk(struct lists *l, struct mime_part **sub, size_t n,
	struct str multipart, bool in_alternative, struct list *text,
	struct list *html)
{
	size_t text_n = text ? text->n : 0;
	size_t html_n = html ? html->n : 0;
	bool alternative = str_eq(multipart, STR("multipart/alternative"));
	bool related = str_eq(multipart, STR("multipart/related"));

	for (size_t i = 0; i < n; i++) {
		struct mime_part *p = sub[i];

		if (mime_is_multipart(p)) {
			walk(l, p->sub, p->sub_n, p->type,
				in_alternative || is_type(p, "multipart/"
							     "alternative"),
				text, html);
			continue;
		}
		if (!is_inline(p, i, related)) {
			push(&l->attachments, p);
			continue;
		}
		if (alternative) {
			add_alternative(l, text, html, p);
			continue;
		}
		if (in_alternative && is_type(p, "text/plain"))
			html = NULL;
		if (in_alternative && is_type(p, "text/html"))
			text = NULL;
		if (text)
			push(text, p);
		if (html)
			push(html, p);
		if ((!text || !html) && is_inline_media(p))
			push(&l->attachments, p);
	}
	if (alternative && text && html)
		share(text, html, text_n, html_n);
}

/* RFC 8621 4.1.4: at least one that is not "inline". */
static bool any_to_offer(const struct list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!str_eq(l->p[i]->disposition, STR("inline")))
			return true;
	}
	return false;
}

void mime_lists(struct mime_message *m, size_t parts, struct arena *a)
{
	struct mime_part **room = arena_new(a, 3 * parts * sizeof(*room));
	struct lists l = {
		.text = {room, 0, parts},
		.html = {room + parts, 0, parts},
		.attachments = {room + 2 * parts, 0, parts},
	};

	walk(&l, &m->root, 1, STR("multipart/mixed"), false, &l.text, &l.html);
	m->text_body = l.text.p;
	m->text_body_n = l.text.n;
	m->html_body = l.html.p;
	m->html_body_n = l.html.n;
	m->attachments = l.attachments.p;
	m->attachments_n = l.attachments.n;
	m->has_attachment = any_to_offer(&l.attachments);
}
