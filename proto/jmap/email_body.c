/*
 * Bodies of an Email (RFC 8621 4.1.4), from the card's table of parts:
 * bodyStructure and lists of EmailBodyPart; and what needs the message's bytes
 * besides: bodyValues, and header fields.
 */
#include "proto/jmap/email.h"

#include <errno.h>

#include "core/store/blob.h"
#include "proto/jmap/raw.h"

enum { HEAD_PIECE = 65536 };

static const char *const names[] = {
#define BODY_PROP(n, name) name,
#include "proto/jmap/body_props.def"
#undef BODY_PROP
};

static int damaged(struct email_view *v)
{
	return err_set(&v->r->err, -EUCLEAN, "an email's card is damaged");
}

static int read_raw(struct email_view *v)
{
	int ret;

	if (v->raw.n > 0)
		return 0;
	ret = blob_read(v->tx, &v->m.blob, &v->raw, &v->r->err);
	if (ret == 0)
		ret = err_set(&v->r->err, -EUCLEAN,
			"the blob of an email is missing");
	return min_of(ret, 0);
}

int email_whole_card(struct email_view *v)
{
	int ret = read_raw(v);

	if (ret)
		return ret;
	card_make(mime_parse(buf_str(&v->raw), &v->tmp), 0, &v->made);
	return card_open(buf_str(&v->made), &v->card) ? 0 : damaged(v);
}

/* ---- header fields ---------------------------------------------------------------- */

/*
 * The front of a large message, where its whole header is in there: an empty line
 * ends it, if nothing did before. Else the whole message.
 */
static int read_head(struct email_view *v, struct buf *head, struct str *s_r)
{
	int ret;

	if (v->raw.n == 0 && v->m.size > HEAD_PIECE) {
		ret = blob_piece(
			v->tx, &v->m.blob, 0, HEAD_PIECE, head, &v->r->err);
		if (ret < 0)
			return ret;
		*s_r = buf_str(head);
		if (memmem(head->p, head->n, "\n\r\n", 3) ||
			memmem(head->p, head->n, "\n\n", 2))
			return 0;
	}
	ret = read_raw(v);
	*s_r = buf_str(&v->raw);
	return ret;
}

static int too_large(struct req *r)
{
	return req_wants(r, SIZE_MAX / 2);
}

/* header:* properties, and "headers" where it is wanted. */
static int write_fields(struct email_view *v, const struct mime_header *h,
	size_t n, const struct header_props *props, bool list, struct jw *w)
{
	if (list) {
		jw_key(w, STR("headers"));
		if (!header_list_write(h, n, req_room(v->r), w))
			return too_large(v->r);
	}
	for (size_t i = 0; i < props->n; i++)
		if (!header_prop_write(&props->at[i], h, n, req_room(v->r), w))
			return too_large(v->r);
	return 0;
}

int email_headers(struct email_view *v, struct jw *w)
{
	bool list = v->props & PROP_BIT(EMAIL_HEADERS);
	struct arena tmp cleanup(arena_fini) = {0};
	struct buf head cleanup(buf_fini) = {0};
	const struct mime_header *h;
	struct str raw;
	size_t n;
	int ret = read_head(v, &head, &raw);

	if (ret)
		return ret;
	n = mime_fields_at(raw, 0, raw.n, &tmp, &h);
	return write_fields(v, h, n, &v->get->headers, list, w);
}

/* ---- parts ------------------------------------------------------------------------ */

static void write_part_id(
	struct email_view *v, const struct card_part *p, struct jw *w)
{
	struct blob_span span = {p->at.offset, p->at.length, p->at.encoding};
	struct blob_part at;
	char id[BLOB_ID_MAX];

	if (p->multipart)
		return jw_null(w);
	check(part_within(&v->within, &span, &at));
	part_id_of(&v->m.blob, &at, id);
	jw_strz(w, id);
}

/* All but subParts; the object stays open. */
static int write_part(struct email_view *v, const struct card_part *p,
	unsigned props, struct jw *w)
{
	const struct header_props *headers = &v->get->body_headers;
	bool list = props & 1u << BODY_HEADERS;
	struct arena tmp cleanup(arena_fini) = {0};
	const struct mime_header *h;
	size_t n;
	int ret;

	jw_obj(w);
	for (int b = 0; b < BODY_KEPT; b++) {
		if (!(props & 1u << b))
			continue;
		jw_key(w, str_of(names[b]));
		if (b == BODY_BLOB_ID)
			write_part_id(v, p, w);
		else
			jw_raw(w, p->prop[b]);
	}
	if (!list && headers->n == 0)
		return req_fits(v->r);
	ret = read_raw(v);
	if (ret)
		return ret;
	n = mime_fields_at(
		buf_str(&v->raw), p->header_at, p->header_n, &tmp, &h);
	return write_fields(v, h, n, headers, list, w);
}

static int write_tree(struct email_view *v, size_t i, size_t depth,
	struct jw *w, size_t *end_r);

/*
 * The children, as subParts. They have a writer of their own: one holds 64 levels,
 * and a message may have MIME_DEPTH, of two each.
 */
static int write_children(struct email_view *v, size_t i,
	const struct card_part *p, size_t depth, struct jw *w)
{
	struct buf *out = w->out;
	int ret = 0;

	jw_raw(w, STR("["));
	for (size_t k = i + 1; k < p->end && ret == 0;) {
		struct jw own;

		if (k > i + 1)
			buf_addc(out, ',');
		jw_init(&own, out);
		ret = write_tree(v, k, depth + 1, &own, &k);
	}
	buf_addc(out, ']');
	return ret;
}

/* The part and what is in it; *end_r is the number behind that. */
static int write_tree(struct email_view *v, size_t i, size_t depth,
	struct jw *w, size_t *end_r)
{
	unsigned props = v->get->body_props;
	struct card_part p;
	int ret;

	if (depth > MIME_DEPTH || !card_part(&v->card, i, &p))
		return damaged(v);
	/* Without bodyProperties: the structure is of use with subParts only. */
	if (v->get->body_default)
		props |= 1u << BODY_SUB_PARTS;
	*end_r = p.end;
	ret = write_part(v, &p, props, w);
	if (ret == 0 && props & 1u << BODY_SUB_PARTS) {
		jw_key(w, str_of(names[BODY_SUB_PARTS]));
		if (p.multipart)
			ret = write_children(v, i, &p, depth, w);
		else
			jw_null(w);
	}
	if (ret == 0)
		jw_obj_end(w);
	return ret;
}

static int write_list(struct email_view *v, enum card_list l, struct jw *w)
{
	unsigned props = v->get->body_props;
	int ret = 0;

	jw_arr(w);
	for (size_t k = 0; k < v->card.list_n[l] && ret == 0; k++) {
		struct card_part p;

		if (!card_part(&v->card, card_listed(&v->card, l, k), &p))
			return damaged(v);
		ret = write_part(v, &p, props, w);
		if (ret)
			return ret;
		if (props & 1u << BODY_SUB_PARTS) {
			jw_key(w, str_of(names[BODY_SUB_PARTS]));
			jw_null(w);
		}
		jw_obj_end(w);
		ret = req_fits(v->r);
	}
	if (ret == 0)
		jw_arr_end(w);
	return ret;
}

/* ---- values ----------------------------------------------------------------------- */

static void mark(const struct card *c, enum card_list l, uint8_t *marks)
{
	for (size_t k = 0; k < c->list_n[l]; k++) {
		size_t i = card_listed(c, l, k);

		if (i < c->parts_n)
			marks[i] = 1;
	}
}

/* A byte per part: is its value wanted? */
static uint8_t *wanted_parts(struct email_view *v)
{
	uint8_t *marks = arena_new(&v->tmp, v->card.parts_n);

	if (v->get->all)
		memset(marks, 1, v->card.parts_n);
	if (v->get->text)
		mark(&v->card, CARD_TEXT_BODY, marks);
	if (v->get->html)
		mark(&v->card, CARD_HTML_BODY, marks);
	return marks;
}

static int write_value(
	struct email_view *v, const struct card_part *p, struct jw *w)
{
	struct req *r = v->r;
	size_t room = req_room(r);
	size_t max = (size_t)v->get->max_bytes;
	struct arena tmp cleanup(arena_fini) = {0};
	struct mime_text t;
	struct str charset = p->prop[BODY_CHARSET];

	/* More than fits need not be decoded. */
	if (max == 0 || max > room)
		max = room + 1;
	t = mime_text_at(buf_str(&v->raw), p->at.offset, p->at.length,
		(enum mime_encoding)p->at.encoding,
		raw_text(p->prop[BODY_TYPE], &tmp),
		raw_type(charset) == '"' ? raw_text(charset, &tmp) : STR_NONE,
		max, &tmp);
	if (t.text.n > room || (t.truncated && max == room + 1))
		return too_large(r);
	jw_key(w, raw_text(p->prop[BODY_PART_ID], &tmp));
	jw_obj(w);
	jw_kstr(w, "value", t.text);
	jw_kbool(w, "isEncodingProblem",
		t.encoding_problem || p->encoding_problem);
	jw_kbool(w, "isTruncated", t.truncated);
	jw_obj_end(w);
	return req_fits(r);
}

static int write_values(struct email_view *v, struct jw *w)
{
	const uint8_t *marks = wanted_parts(v);
	int ret = 0;

	jw_obj(w);
	for (size_t i = 0; i < v->card.parts_n && ret == 0; i++) {
		struct card_part p;

		if (!marks[i])
			continue;
		if (!card_part(&v->card, i, &p))
			return damaged(v);
		if (!str_starts(p.prop[BODY_TYPE], STR("\"text/")))
			continue;
		ret = read_raw(v);
		if (ret == 0 && (p.at.offset > v->raw.n ||
					p.at.length > v->raw.n - p.at.offset))
			return damaged(v);
		if (ret == 0)
			ret = write_value(v, &p, w);
	}
	if (ret == 0)
		jw_obj_end(w);
	return ret;
}

int email_body(struct email_view *v, enum email_prop p, struct buf *out)
{
	struct jw w;
	size_t end;

	jw_init(&w, out);
	switch (p) {
	case EMAIL_TEXT_BODY:
		return write_list(v, CARD_TEXT_BODY, &w);
	case EMAIL_HTML_BODY:
		return write_list(v, CARD_HTML_BODY, &w);
	case EMAIL_ATTACHMENTS:
		return write_list(v, CARD_ATTACHMENTS, &w);
	case EMAIL_BODY_STRUCTURE:
		return write_tree(v, 0, 1, &w, &end);
	default:
		return write_values(v, &w);
	}
}
