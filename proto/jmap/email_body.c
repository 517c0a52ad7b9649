/*
 * Bodies of an Email (RFC 8621 4.1.4), from the card's table of parts: lists of
 * EmailBodyPart, and bodyValues, which need the blob's bytes besides.
 */
#include "proto/jmap/email.h"

#include <errno.h>

#include "proto/jmap/raw.h"

static const char *const names[] = {
#define BODY_PROP(n, name) name,
#include "proto/jmap/body_props.def"
#undef BODY_PROP
};

static int damaged(struct email_view *v)
{
	return err_set(&v->g->r->err, -EUCLEAN, "an email's card is damaged");
}

static int read_raw(struct email_view *v)
{
	int ret;

	if (v->raw.n > 0)
		return 0;
	ret = blob_read(v->g->tx, &v->m.blob, &v->raw, &v->g->r->err);
	if (ret == 0)
		ret = err_set(&v->g->r->err, -EUCLEAN,
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

static void write_part(
	struct email_view *v, const struct card_part *p, struct jw *w)
{
	char id[BLOB_ID_MAX];

	jw_obj(w);
	for (int b = 0; b < BODY_PROPS; b++) {
		if (!(v->get->body_props & 1u << b))
			continue;
		jw_key(w, str_of(names[b]));
		if (b == BODY_BLOB_ID) {
			part_id_of(&v->m.blob, &p->at, id);
			jw_strz(w, id);
		} else {
			jw_raw(w, p->prop[b]);
		}
	}
	jw_obj_end(w);
}

static int write_list(struct email_view *v, enum card_list l, struct jw *w)
{
	int ret = 0;

	jw_arr(w);
	for (size_t k = 0; k < v->card.list_n[l] && ret == 0; k++) {
		struct card_part p;

		if (!card_part(&v->card, card_listed(&v->card, l, k), &p))
			return damaged(v);
		write_part(v, &p, w);
		ret = req_fits(v->g->r);
	}
	if (ret == 0)
		jw_arr_end(w);
	return ret;
}

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
	struct req *r = v->g->r;
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
		return req_wants(r, SIZE_MAX / 2);
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

int email_body(struct email_view *v, enum email_prop p, struct jw *w)
{
	switch (p) {
	case EMAIL_TEXT_BODY:
		return write_list(v, CARD_TEXT_BODY, w);
	case EMAIL_HTML_BODY:
		return write_list(v, CARD_HTML_BODY, w);
	case EMAIL_ATTACHMENTS:
		return write_list(v, CARD_ATTACHMENTS, w);
	default:
		return write_values(v, w);
	}
}
