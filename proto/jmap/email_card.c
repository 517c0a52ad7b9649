/*
 * Layout, all numbers little-endian of this machine's and never read elsewhere:
 *
 *	u8 version, u8 flags, u16 0, u32 parts, u32 lists[3]
 *	u32 ends of the CARD_PROPS pieces of JSON, then these
 *	u32 each entry of the three lists
 *	u32 begin of each part's record (from the card's start)
 *	records: u32 offset, u32 length, u32 header_at, u32 header_n, u32 end,
 *		u8 encoding, u8 problem, u8 multipart, u8 0,
 *		u32 ends of the BODY_KEPT pieces of JSON, then these
 */
#include "proto/jmap/email_card.h"

#include "core/base/jw.h"

enum { VERSION = 2, HEAD = 8 + 4 * CARD_LISTS, PART_HEAD = 24 };

static void put_u32(struct buf *b, size_t v)
{
	uint32_t n = (uint32_t)v;

	buf_add(b, &n, sizeof(n));
}

static uint32_t get_u32(const char *p)
{
	uint32_t n;

	memcpy(&n, p, sizeof(n));
	return n;
}

/* ---- making: header fields ------------------------------------------------------ */

/* The fields whose last instance a property shows (RFC 8621 4.1.3). */
static const struct {
	const char *name;
	enum header_form form;
} fields[CARD_PROPS] = {
	[EMAIL_SENT_AT - CARD_FIRST] = {"Date", FORM_DATE},
	[EMAIL_MESSAGE_ID - CARD_FIRST] = {"Message-ID", FORM_MESSAGE_IDS},
	[EMAIL_IN_REPLY_TO - CARD_FIRST] = {"In-Reply-To", FORM_MESSAGE_IDS},
	[EMAIL_REFERENCES - CARD_FIRST] = {"References", FORM_MESSAGE_IDS},
	[EMAIL_SENDER - CARD_FIRST] = {"Sender", FORM_ADDRESSES},
	[EMAIL_FROM - CARD_FIRST] = {"From", FORM_ADDRESSES},
	[EMAIL_TO - CARD_FIRST] = {"To", FORM_ADDRESSES},
	[EMAIL_CC - CARD_FIRST] = {"Cc", FORM_ADDRESSES},
	[EMAIL_BCC - CARD_FIRST] = {"Bcc", FORM_ADDRESSES},
	[EMAIL_REPLY_TO - CARD_FIRST] = {"Reply-To", FORM_ADDRESSES},
	[EMAIL_SUBJECT - CARD_FIRST] = {"Subject", FORM_TEXT},
};

bool card_field(enum email_prop p, struct header_prop *h_r)
{
	size_t i = (size_t)p - (size_t)CARD_FIRST; /* below: huge */

	if (i >= CARD_PROPS || !fields[i].name)
		return false;
	*h_r = (struct header_prop){
		.name = str_of(fields[i].name), .form = fields[i].form};
	return true;
}

static void write_field(
	const struct mime_message *m, unsigned p, struct arena *a, struct jw *w)
{
	struct str raw = mime_header_raw(m->root, str_of(fields[p].name));

	if (raw.p)
		header_value(fields[p].form, raw, SIZE_MAX, a, w);
	else
		jw_null(w);
}

static void write_props(
	const struct mime_message *m, struct arena *a, struct buf *out)
{
	struct buf json cleanup(buf_fini) = {0};
	struct jw w;

	for (unsigned p = 0; p < CARD_PROPS; p++) {
		jw_init(&w, &json);
		if (fields[p].name)
			write_field(m, p, a, &w);
		else if (p == EMAIL_HAS_ATTACHMENT - CARD_FIRST)
			jw_bool(&w, m->has_attachment);
		else
			jw_str(&w, m->preview);
		put_u32(out, json.n);
	}
	buf_adds(out, buf_str(&json));
}

/* ---- making: parts ---------------------------------------------------------------- */

/* All parts, each before those in it. */
struct tree {
	const struct mime_part **at;
	size_t *end; /* the number behind the last one in it */
	size_t n;
};

static void count_parts(const struct mime_part *p, size_t *n)
{
	++*n;
	for (size_t i = 0; i < p->sub_n; i++)
		count_parts(p->sub[i], n);
}

static void list_parts(const struct mime_part *p, struct tree *t)
{
	size_t own = t->n++;

	t->at[own] = p;
	for (size_t i = 0; i < p->sub_n; i++)
		list_parts(p->sub[i], t);
	t->end[own] = t->n;
}

/* RFC 8621 4.1.4 language: the tags of Content-Language. */
static void write_language(struct str raw, struct jw *w)
{
	struct str tag;

	if (!raw.p)
		return jw_null(w);
	jw_arr(w);
	while (str_cut(&raw, ',', &tag)) {
		while (tag.n && memchr(" \t\r\n", tag.p[0], 4))
			tag = str_skip(tag, 1);
		while (tag.n && memchr(" \t\r\n", tag.p[tag.n - 1], 4))
			tag.n--;
		if (tag.n)
			jw_str(w, tag);
	}
	jw_arr_end(w);
}

static void write_body_prop(
	const struct mime_part *p, enum body_prop b, struct jw *w)
{
	struct str s;

	switch (b) {
	case BODY_BLOB_ID:
	case BODY_HEADERS:
	case BODY_SUB_PARTS:
	case BODY_PROPS:
		return;
	case BODY_SIZE:
		return jw_u64(w, p->size);
	case BODY_LANGUAGE:
		return write_language(p->language, w);
	case BODY_PART_ID:
		s = p->part_id;
		break;
	case BODY_NAME:
		s = p->name;
		break;
	case BODY_TYPE:
		s = p->type;
		break;
	case BODY_CHARSET:
		s = p->charset;
		break;
	case BODY_DISPOSITION:
		s = p->disposition;
		break;
	case BODY_CID:
		s = p->cid;
		break;
	case BODY_LOCATION:
		s = p->location;
		break;
	}
	if (s.p)
		jw_str(w, s);
	else
		jw_null(w);
}

static void write_part(const struct mime_part *p, size_t end, struct buf *out)
{
	struct buf json cleanup(buf_fini) = {0};
	uint8_t tail[4] = {
		(uint8_t)p->encoding, p->encoding_problem, !p->part_id.p};
	struct jw w;

	put_u32(out, p->offset);
	put_u32(out, p->length);
	put_u32(out, p->header_offset);
	put_u32(out, p->header_length);
	put_u32(out, end);
	buf_add(out, tail, sizeof(tail));
	for (int b = 0; b < BODY_KEPT; b++) {
		jw_init(&w, &json);
		write_body_prop(p, (enum body_prop)b, &w);
		put_u32(out, json.n);
	}
	buf_adds(out, buf_str(&json));
}

static void write_list(struct mime_part *const *list, size_t n,
	const struct tree *t, struct buf *out)
{
	size_t at = 0;

	/* Lists follow the order of the tree; look from where the last was. */
	for (size_t i = 0; i < n; i++) {
		size_t tries = 0;

		while (t->at[at] != list[i]) {
			at = (at + 1) % t->n;
			check(tries++ < t->n);
		}
		put_u32(out, at);
	}
}

static void write_parts(const struct mime_message *m, const struct tree *t,
	size_t start, struct buf *out)
{
	size_t index;

	write_list(m->text_body, m->text_body_n, t, out);
	write_list(m->html_body, m->html_body_n, t, out);
	write_list(m->attachments, m->attachments_n, t, out);
	index = out->n;
	for (size_t i = 0; i < t->n; i++)
		put_u32(out, 0);
	for (size_t i = 0; i < t->n; i++) {
		uint32_t at = (uint32_t)(out->n - start);

		memcpy(out->p + index + 4 * i, &at, sizeof(at));
		write_part(t->at[i], t->end[i], out);
	}
}

static void write_head(const struct mime_message *m, unsigned flags,
	size_t parts, struct buf *out)
{
	uint8_t head[4] = {VERSION, (uint8_t)flags};

	buf_add(out, head, sizeof(head));
	put_u32(out, parts);
	put_u32(out, flags ? 0 : m->text_body_n);
	put_u32(out, flags ? 0 : m->html_body_n);
	put_u32(out, flags ? 0 : m->attachments_n);
}

void card_make(const struct mime_message *m, size_t max, struct buf *out)
{
	struct arena a cleanup(arena_fini) = {0};
	struct tree t = {0};
	size_t n = 0, start = out->n;
	bool few;

	if (max == 0)
		max = SIZE_MAX;
	count_parts(m->root, &n);
	t.at = arena_new(&a, n * sizeof(struct mime_part *));
	t.end = arena_new(&a, n * sizeof(*t.end));
	list_parts(m->root, &t);
	write_head(m, 0, n, out);
	write_props(m, &a, out);
	few = n <= max / (PART_HEAD + 4 * BODY_KEPT);
	if (few)
		write_parts(m, &t, start, out);
	if (few && out->n - start <= max)
		return;
	out->n = start;
	write_head(m, CARD_NO_PARTS, 0, out);
	write_props(m, &a, out);
	if (out->n - start <= max)
		return;
	out->n = start;
	write_head(m, CARD_NO_PARTS | CARD_EMPTY, 0, out);
	for (int p = 0; p < CARD_PROPS; p++)
		put_u32(out, 0);
}

/* ---- reading ------------------------------------------------------------------------ */

/* Pieces that end where `ends` says, in [p, p + n). False when they do not. */
static bool pieces(
	const char *ends, size_t n, const char *p, size_t room, struct str *s)
{
	uint32_t from = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t end = get_u32(ends + 4 * i);

		if (end < from || end > room)
			return false;
		s[i] = str_n(p + from, end - from);
		from = end;
	}
	return true;
}

bool card_open(struct str b, struct card *c)
{
	size_t at = HEAD + 4 * CARD_PROPS;
	size_t need = 0;

	*c = (struct card){.bytes = b};
	if (b.n < at || b.p[0] != VERSION)
		return false;
	c->flags = (unsigned char)b.p[1];
	c->parts_n = get_u32(b.p + 4);
	for (int l = 0; l < CARD_LISTS; l++) {
		c->list_n[l] = get_u32(b.p + 8 + 4 * l);
		need += c->list_n[l];
	}
	if (!pieces(b.p + HEAD, CARD_PROPS, b.p + at, b.n - at, c->prop))
		return false;
	at += get_u32(b.p + HEAD + 4 * (CARD_PROPS - 1));
	need = 4 * (need + c->parts_n);
	if (need > b.n - at)
		return false;
	c->lists = b.p + at;
	c->index = b.p + at + need - 4 * c->parts_n;
	return true;
}

bool card_part(const struct card *c, size_t i, struct card_part *p)
{
	size_t at = i < c->parts_n ? get_u32(c->index + 4 * i) : c->bytes.n;
	const char *q = c->bytes.p + at;
	size_t body = PART_HEAD + 4 * BODY_KEPT;

	if (at > c->bytes.n || c->bytes.n - at < body)
		return false;
	*p = (struct card_part){
		.at = {.offset = get_u32(q),
			.length = get_u32(q + 4),
			.encoding = (unsigned char)q[20],
			.part = true},
		.header_at = get_u32(q + 8),
		.header_n = get_u32(q + 12),
		.end = get_u32(q + 16),
		.encoding_problem = q[21] != 0,
		.multipart = q[22] != 0,
	};
	return p->at.encoding <= MIME_UUENCODE && p->end > i &&
	       p->end <= c->parts_n &&
	       pieces(q + PART_HEAD, BODY_KEPT, q + body,
		       c->bytes.n - at - body, p->prop);
}

size_t card_listed(const struct card *c, enum card_list l, size_t k)
{
	for (int i = 0; i < (int)l; i++)
		k += c->list_n[i];
	return get_u32(c->lists + 4 * k);
}
