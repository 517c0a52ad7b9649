/*
 * The one pass that finds headers, boundaries and bodies (RFC 2046 5.1.1).
 *
 * A stack holds the multiparts that are open. A line that begins with "--" and,
 * white space at its end taken off, is the boundary of one of them (the
 * innermost that fits) ends the part before it: and with it all multiparts
 * inside that one, closed or not. So "--abcdef" never ends a multipart whose
 * boundary is "abc". The line break before a delimiter belongs to it.
 *
 * The header ends at an empty line, at a delimiter, or at the first line that
 * is no field, which is then body: nothing of a broken message is hidden. A
 * multipart without a boundary, whose boundary never comes, or that is too deep
 * is shown as text/plain.
 *
 * Every byte is looked at by one search for "\n--"; a line found by it costs at
 * most MIME_DEPTH comparisons.
 */
#include <string.h>

#include "core/mime/internal.h"

/* Fields of all parts together, so that 50 MB of "a:" take bounded memory. */
#define FIELDS_ALL 100000

struct node {
	struct mime_part part;
	struct node *next;
	struct str path;
};

struct level {
	struct node *node;
	struct str boundary;
	struct node *first, **tail;
	bool closed;
};

struct split {
	struct str raw;
	size_t at; /* always the start of a line */
	struct arena *arena;
	struct buf fields; /* scratch: struct mime_header of one part */
	size_t fields_all;
	size_t parts;
	size_t depth;
	struct level level[MIME_DEPTH];
};

struct delim {
	size_t level;
	size_t end;  /* of the content before it */
	size_t next; /* the line behind it */
	bool close;
};

static size_t line_next(struct str raw, size_t at)
{
	const char *nl = memchr(raw.p + at, '\n', raw.n - at);

	return nl ? (size_t)(nl - raw.p) + 1 : raw.n;
}

/* Where the line break that ends at `to` begins. */
static size_t before_break(struct str raw, size_t from, size_t to)
{
	if (to > from && raw.p[to - 1] == '\n')
		to--;
	if (to > from && raw.p[to - 1] == '\r')
		to--;
	return to;
}

/* Is the line at `at` a delimiter of an open multipart? */
static bool delim_at(const struct split *s, size_t at, struct delim *d)
{
	struct str key;
	size_t end;

	if (s->depth == 0 || s->raw.n - at < 2 ||
		memcmp(s->raw.p + at, "--", 2) != 0)
		return false;
	d->next = end = line_next(s->raw, at);
	while (end > at + 2 && mime_is_space(s->raw.p[end - 1]))
		end--;
	key = mime_slice(s->raw, at + 2, end);
	for (size_t i = s->depth; i-- > 0;) {
		const struct level *l = &s->level[i];

		d->level = i;
		d->close =
			key.n == l->boundary.n + 2 && str_ends(key, STR("--"));
		if (l->closed || (key.n != l->boundary.n && !d->close))
			continue;
		if (memcmp(key.p, l->boundary.p, l->boundary.n) == 0)
			return true;
	}
	return false;
}

/* The next delimiter from s->at on. */
static bool delim_next(const struct split *s, struct delim *d)
{
	size_t at = s->at;

	if (s->depth == 0)
		return false;
	while (!delim_at(s, at, d)) {
		at = mime_find(s->raw, at, STR("\n--"));
		if (at == s->raw.n)
			return false;
		at++;
	}
	d->end = before_break(s->raw, s->at, at);
	return true;
}

/* RFC 5322 2.2: field names are printable ASCII but no colon. */
static bool is_ftext(char c)
{
	return c > ' ' && c < 0x7f && c != ':';
}

/* Reads the field at `at` with its folded lines; false: this is no field. */
static bool field_read(
	struct str raw, size_t at, struct mime_header *h, size_t *next_r)
{
	size_t i = at;
	size_t next;

	while (i < raw.n && is_ftext(raw.p[i]))
		i++;
	if (i == at)
		return false;
	h->name = mime_slice(raw, at, i);
	while (i < raw.n && (raw.p[i] == ' ' || raw.p[i] == '\t'))
		i++; /* RFC 5322 4.5: obsolete, before the colon */
	if (i == raw.n || raw.p[i] != ':')
		return false;
	i++;
	next = line_next(raw, i);
	while (next < raw.n && (raw.p[next] == ' ' || raw.p[next] == '\t'))
		next = line_next(raw, next);
	h->value = mime_slice(raw, i, before_break(raw, i, next));
	*next_r = next;
	return true;
}

/*
 * The line of an mbox, "From alice@... Tue ...", is no field. A mail server's
 * trace fields may stand above it.
 */
static bool is_envelope(struct str line)
{
	return str_starts(line, STR("From ")) ||
	       str_starts(line, STR(">From "));
}

/*
 * As field_read(), but in the message's own header steps over mbox lines that
 * have a field behind them.
 */
static bool field_next(struct str raw, size_t at, bool root,
	struct mime_header *h, size_t *next_r)
{
	while (at < raw.n && !field_read(raw, at, h, next_r)) {
		if (!root || !is_envelope(str_skip(raw, at)))
			return false;
		at = line_next(raw, at);
	}
	return at < raw.n;
}

size_t mime_fields_at(struct str raw, size_t offset, size_t length,
	struct arena *a, const struct mime_header **out_r)
{
	struct buf list cleanup(buf_fini) = {0};
	size_t at = offset;
	size_t n = 0;
	struct mime_header h;

	*out_r = NULL;
	if (offset > raw.n)
		return 0;
	if (length < raw.n - offset)
		raw.n = offset + length;
	while (n < MIME_HEADERS && at < raw.n &&
		field_next(raw, at, offset == 0, &h, &at)) {
		buf_add(&list, &h, sizeof(h));
		n++;
	}
	if (n > 0)
		*out_r = arena_dup(a, list.p, list.n);
	return n;
}

static bool blank_line(struct str raw, size_t at, size_t next)
{
	return next > at && raw.p[next - 1] == '\n' &&
	       before_break(raw, at, next) == at;
}

static void header_read(struct split *s, struct mime_part *p)
{
	struct mime_header h;
	struct delim d;
	size_t next;
	size_t n = 0;

	buf_reset(&s->fields);
	p->header_offset = s->at;
	while (s->at < s->raw.n && !delim_at(s, s->at, &d) &&
		field_next(s->raw, s->at, s->depth == 0, &h, &next)) {
		if (n < MIME_HEADERS && s->fields_all < FIELDS_ALL) {
			buf_add(&s->fields, &h, sizeof(h));
			s->fields_all++;
			n++;
		}
		s->at = next;
	}
	p->header_length = s->at - p->header_offset;
	if (s->at < s->raw.n) {
		next = line_next(s->raw, s->at);
		if (blank_line(s->raw, s->at, next))
			s->at = next;
	}
	p->offset = s->at;
	p->headers = n ? arena_dup(s->arena, s->fields.p, s->fields.n) : NULL;
	p->headers_n = n;
}

/* "2.1" for the first child of "2"; the root's children have no prefix. */
static struct str child_path(struct split *s, const struct node *up, size_t nth)
{
	if (up->path.n == 0)
		return arena_fmt(s->arena, "%zu", nth);
	return arena_fmt(s->arena, "%.*s.%zu", STR_ARG(up->path), nth);
}

static void leaf_done(struct split *s, struct node *n, size_t end)
{
	struct mime_part *p = &n->part;

	p->part_id = n->path.n ? n->path : STR("1");
	p->length = end - p->offset;
	p->size = mime_transfer_size(
		p->encoding, mime_slice(s->raw, p->offset, end));
}

/* A multipart that cannot be taken apart: its bytes are shown as they are. */
static void as_plain(struct node *n)
{
	n->part.type = STR("text/plain");
	n->part.charset = STR("us-ascii");
}

static void level_done(struct split *s, struct level *l, size_t end)
{
	struct mime_part *p = &l->node->part;
	size_t i = 0;

	if (!l->first && !l->closed) {
		as_plain(l->node);
		leaf_done(s, l->node, end);
		return;
	}
	p->length = end - p->offset;
	p->size = p->length;
	p->sub = arena_new(s->arena, max_of(p->sub_n, 1) * sizeof(*p->sub));
	for (struct node *n = l->first; n; n = n->next)
		p->sub[i++] = &n->part;
}

static void levels_done(struct split *s, size_t keep, size_t end)
{
	while (s->depth > keep)
		level_done(s, &s->level[--s->depth], end);
}

/*
 * Reads the header at s->at into a new part; returns it when it is a leaf, NULL
 * when it became the innermost open multipart.
 */
static struct node *part_open(struct split *s, struct node **root_r)
{
	struct level *up = s->depth ? &s->level[s->depth - 1] : NULL;
	struct node *n = arena_new(s->arena, sizeof(*n));
	struct str boundary = STR_NONE;
	bool digest =
		up && str_eq(up->node->part.type, STR("multipart/digest"));

	s->parts++;
	if (up) {
		*up->tail = n;
		up->tail = &n->next;
		n->path = child_path(s, up->node, ++up->node->part.sub_n);
	} else {
		*root_r = n;
	}
	header_read(s, &n->part);
	mime_describe(&n->part, digest, &boundary, s->arena);
	if (!mime_is_multipart(&n->part))
		return n;
	if (boundary.n == 0 || s->depth == MIME_DEPTH - 1 ||
		s->parts == MIME_PARTS) {
		as_plain(n);
		return n;
	}
	up = &s->level[s->depth++];
	*up = (struct level){.node = n, .boundary = boundary};
	up->tail = &up->first;
	return NULL;
}

struct mime_part *mime_split(struct str raw, struct arena *a, size_t *parts_r)
{
	struct split s = {.raw = raw, .arena = a};
	struct node *root;
	struct node *leaf = part_open(&s, &root);
	struct delim d;

	while (s.parts < MIME_PARTS && delim_next(&s, &d)) {
		if (leaf)
			leaf_done(&s, leaf, d.end);
		leaf = NULL;
		levels_done(&s, d.level + 1, d.end);
		s.at = d.next;
		if (d.close)
			s.level[d.level].closed = true;
		else
			leaf = part_open(&s, &root);
	}
	if (leaf)
		leaf_done(&s, leaf, raw.n);
	levels_done(&s, 0, raw.n);
	buf_fini(&s.fields);
	*parts_r = s.parts;
	return &root->part;
}
