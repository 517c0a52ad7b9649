/*
 * EmailBodyParts of a new Email (RFC 8621 4.1.4, 4.6) become parts of a message.
 *
 * With a bodyStructure, its tree is the message's. Otherwise: text and HTML are
 * alternatives; what HTML shows by its cid is related to it; all else is attached.
 */
#include "core/base/utf8.h"
#include "proto/jmap/blob.h"
#include "proto/jmap/email_create.h"
#include "proto/jmap/json.h"

/* What a part is for. */
struct role {
	const char *type;    /* it must be that one; NULL: any */
	bool attachment;     /* of the list of that name */
	bool html;	     /* and there is HTML that may show it */
	bool in_digest;	     /* RFC 2046 5.1.5 */
	struct names *above; /* fields that it may not have again */
};

/* A part as the client described it; STR_NONE where it did not. */
struct given {
	struct str type, charset, name, disposition, cid, location;
	struct str part, blob;
	struct json_object *language, *subs;
	bool has_disposition, has_size;
};

/* ---- bodyValues -------------------------------------------------------------------- */

static void check_value(
	struct draft *d, const struct where *w, struct json_object *v)
{
	struct str text;
	bool has_value = false;

	if (json_object_get_type(v) != json_type_object) {
		draft_bad(d, w->up, w->name, "no EmailBodyValue");
		return;
	}
	json_object_object_foreach(v, name, member)
	{
		bool on = false;

		if (strcmp(name, "value") == 0)
			has_value = json_text(member, &text);
		else if (strcmp(name, "isEncodingProblem") != 0 &&
			 strcmp(name, "isTruncated") != 0)
			draft_bad(d, w, name, "no such property");
		else if (!json_flag(member, &on) || on)
			draft_bad(d, w, name, "it must be false");
	}
	if (!has_value)
		draft_bad(d, w, "value", "no String");
}

void draft_values(struct draft *d, struct json_object *values)
{
	const struct where top = {.name = "bodyValues"};

	if (!values)
		return;
	if (json_object_get_type(values) != json_type_object) {
		draft_bad(d, NULL, "bodyValues", "no object");
		return;
	}
	d->values = values;
	json_object_object_foreach(values, id, v)
	{
		const struct where w = {.up = &top, .name = id};

		check_value(d, &w, v);
	}
}

/* ---- content ------------------------------------------------------------------------ */

static void value_of(struct draft *d, const struct where *w,
	const struct given *g, struct compose_part *p)
{
	struct json_object *v = NULL, *text = NULL;
	const char *id = arena_str(&d->tmp, g->part).p;

	p->text = true;
	p->content = STR("");
	if (strlen(id) != g->part.n || !d->values ||
		!json_member(d->values, id, &v))
		draft_bad(d, w, "partId", "not in bodyValues");
	else if (json_object_get_type(v) == json_type_object &&
		 json_member(v, "value", &text))
		json_text(text, &p->content);
}

static void blob_missing(struct draft *d, struct str id)
{
	struct buf b cleanup(buf_fini) = {0};

	if (d->i->missing.n > 2)
		buf_add(&b, d->i->missing.p, d->i->missing.n - 1);
	buf_addz(&b, b.n ? "," : "[");
	json_quote(&b, id);
	buf_addc(&b, ']');
	d->i->missing = arena_str(&d->s->r->arena, buf_str(&b));
}

static int blob_find(struct draft *d, struct str id, struct draft_blob **b_r)
{
	struct draft_blob *b = d->blobs;
	int ret;

	while (b && !str_eq(b->id, id))
		b = b->next;
	*b_r = b;
	if (b)
		return 0;
	b = arena_new(&d->tmp, sizeof(*b));
	b->id = id;
	b->next = d->blobs;
	d->blobs = *b_r = b;
	ret = blob_bytes(d->s->r, d->s->tx, id, &b->bytes);
	if (ret < 0)
		return ret;
	b->found = ret > 0;
	if (!b->found)
		blob_missing(d, id);
	return 0;
}

static int blob_of(
	struct draft *d, const struct given *g, struct compose_part *p)
{
	struct draft_blob *b;
	int ret;

	/* Enough is known: no more is read. */
	if (d->too_large)
		return 0;
	ret = blob_find(d, g->blob, &b);
	if (ret < 0 || !b->found)
		return ret;
	p->content = b->bytes.n ? buf_str(&b->bytes) : STR("");
	d->attached += b->bytes.n;
	d->too_large =
		d->attached > email_attachments_max(d->s->r->limit.message);
	return 0;
}

/* ---- properties --------------------------------------------------------------------- */

static void read_text(struct draft *d, const struct where *w, const char *name,
	struct json_object *v, struct str *to)
{
	if (v && !json_text(v, to))
		draft_bad(d, w, name, "no String");
}

/* Is a property other than a header's; false: there is none of that name. */
static bool read_property(struct draft *d, const struct where *w,
	const char *name, struct json_object *v, struct given *g)
{
	const struct {
		const char *name;
		struct str *to;
	} texts[] = {
		{"partId", &g->part},
		{"blobId", &g->blob},
		{"type", &g->type},
		{"charset", &g->charset},
		{"name", &g->name},
		{"disposition", &g->disposition},
		{"cid", &g->cid},
		{"location", &g->location},
	};

	for (size_t i = 0; i < countof(texts); i++) {
		if (strcmp(name, texts[i].name) != 0)
			continue;
		read_text(d, w, name, v, texts[i].to);
		g->has_disposition |= texts[i].to == &g->disposition;
		return true;
	}
	if (strcmp(name, "size") == 0)
		g->has_size = v != NULL;
	else if (strcmp(name, "language") == 0)
		g->language = v;
	else if (strcmp(name, "subParts") == 0)
		g->subs = v;
	else
		return false;
	return true;
}

static void read_given(struct draft *d, const struct where *w,
	struct json_object *o, struct given *g)
{
	*g = (struct given){0};
	json_object_object_foreach(o, name, v)
	{
		if (!header_is_prop(str_of(name)) &&
			!read_property(d, w, name, v, g))
			draft_bad(d, w, name,
				strcmp(name, "headers") == 0
					? "each field is a property of its own"
					: "no such property");
	}
}

/* ---- header fields of a part -------------------------------------------------------- */

/* What header:* of a part says of it. */
struct own {
	struct buf head; /* all but Content-Type */
	struct buf type; /* that one */
	const char *type_key;
	bool disposition;
};

static void own_finip(struct own *o)
{
	buf_fini(&o->head);
	buf_fini(&o->type);
}

static void read_own(struct draft *d, const struct where *w, const char *key,
	struct json_object *v, struct names *names, struct own *o)
{
	struct header_prop h;
	const char *why = header_prop_read(str_of(key), &h);
	size_t before;
	bool type;

	if (!why && str_ieq(h.name, STR("Content-Transfer-Encoding")))
		why = "the server chooses the encoding";
	if (!why && str_ieq(h.name, STR("MIME-Version")))
		why = "it is set by the server";
	if (!why && !names_add(d, names, h.name))
		why = "the field is there already";
	type = !why && str_ieq(h.name, STR("Content-Type"));
	if (type && h.all)
		why = "a part has one type";
	if (why) {
		draft_bad(d, w, key, why);
		return;
	}
	if (type)
		o->type_key = key;
	before = o->head.n;
	draft_field(d, w, key, &h, v, type ? &o->type : &o->head);
	o->disposition |= str_ieq(h.name, STR("Content-Disposition"));
	/* A root part's fields are the message's. */
	if (o->head.n > before && !w->up)
		draft_note(d, h.name);
}

static void read_owns(struct draft *d, const struct where *w,
	struct json_object *o, struct names *names, struct own *own)
{
	json_object_object_foreach(o, name, v)
	{
		if (header_is_prop(str_of(name)))
			read_own(d, w, name, v, names, own);
	}
}

/* Fields that properties stand for; header:* may not name them again. */
static void name_given(struct draft *d, const struct given *g, struct names *n)
{
	if (g->type.p || g->charset.p)
		names_add(d, n, STR("Content-Type"));
	if (g->disposition.p)
		names_add(d, n, STR("Content-Disposition"));
	if (g->cid.p)
		names_add(d, n, STR("Content-ID"));
	if (g->language)
		names_add(d, n, STR("Content-Language"));
	if (g->location.p)
		names_add(d, n, STR("Content-Location"));
}

static void put_language(struct draft *d, const struct where *w,
	const struct given *g, struct buf *out)
{
	struct str *tags;
	size_t n;
	bool good = json_object_get_type(g->language) == json_type_array;

	if (!g->language)
		return;
	n = good ? json_object_array_length(g->language) : 0;
	tags = arena_new(&d->tmp, n * sizeof(*tags));
	for (size_t i = 0; i < n && good; i++)
		good = json_text(
			json_object_array_get_idx(g->language, i), &tags[i]);
	if (good && n > 0)
		good = compose_language(out, tags, n);
	if (!good)
		draft_bad(d, w, "language", "no list of language tags");
}

/* The fields that follow from properties, but for Content-Type. */
static void put_fields(struct draft *d, const struct where *w,
	const struct given *g, struct buf *out)
{
	struct buf b cleanup(buf_fini) = {0};

	if (g->disposition.p &&
		!compose_disposition(out, g->disposition, g->name)) {
		if (compose_disposition(&b, g->disposition, STR_NONE))
			draft_bad(d, w, "name", "no name that a field holds");
		else
			draft_bad(d, w, "disposition", "no token");
	}
	if (g->cid.p && !compose_cid(out, g->cid))
		draft_bad(d, w, "cid", "no id that a field could hold");
	put_language(d, w, g, out);
	if (g->location.p && !compose_location(out, g->location))
		draft_bad(d, w, "location", "no URI that a field could hold");
}

/* ---- the type of a part ------------------------------------------------------------- */

static struct str lower(struct draft *d, struct str s)
{
	char *p = arena_new(&d->tmp, s.n + 1);

	for (size_t i = 0; i < s.n; i++)
		p[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] | 32)
						      : s.p[i];
	return str_n(p, s.n);
}

static struct str default_type(const struct given *g, const struct role *role)
{
	if (role->type)
		return str_of(role->type);
	if (g->subs)
		return STR("multipart/mixed");
	if (g->part.p)
		return STR("text/plain");
	return role->in_digest ? STR("message/rfc822")
			       : STR("application/octet-stream");
}

static bool is_multipart(const struct compose_part *p)
{
	return str_starts(p->type, STR("multipart/"));
}

static bool is_text(const struct compose_part *p)
{
	return str_starts(p->type, STR("text/"));
}

static bool is_ascii(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static void new_boundary(struct draft *d, struct compose_part *p)
{
	char z[COMPOSE_BOUNDARY_MAX];

	if (!is_multipart(p))
		return;
	compose_boundary(z);
	p->boundary = arena_str(&d->tmp, str_of(z));
}

/* Content-Type from properties. */
static void put_type(struct draft *d, const struct where *w,
	const struct given *g, struct compose_part *p, struct buf *out)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str none = STR_NONE, charset = g->charset;
	struct str name = g->disposition.p ? none : g->name;

	/* What came as a String is written in UTF-8; a blob that says nothing
	 * of its charset, and is UTF-8, is taken for what it is. */
	if (!charset.p && is_text(p) && utf8_valid(p->content))
		charset = STR("utf-8");
	if (compose_type(out, p->type, charset, name, p->boundary))
		return;
	if (!compose_type(&b, p->type, none, none, p->boundary))
		draft_bad(d, w, "type", "no media type");
	else if (!compose_type(&b, p->type, charset, none, p->boundary))
		draft_bad(d, w, "charset", "no token");
	else
		draft_bad(d, w, "name", "no name that a field could hold");
}

/* Content-Type as header:Content-Type has it. */
static void put_own_type(struct draft *d, const struct where *w,
	const struct own *own, struct compose_part *p, struct buf *out)
{
	struct str type, charset;

	if (!compose_own_type(out, buf_str(&own->type), p->boundary, &d->tmp,
		    &type, &charset))
		draft_bad(d, w, own->type_key,
			"no type, or with a boundary, which is the server's");
	else if (p->text && is_text(p) && !str_ieq(charset, STR("utf-8")) &&
		 !(str_ieq(charset, STR("us-ascii")) && is_ascii(p->content)))
		draft_bad(
			d, w, own->type_key, "the charset of a value is utf-8");
}

/* What a header:Content-Type says that it is. */
static struct str own_type_of(struct draft *d, const struct own *own)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str type, charset;

	compose_own_type(
		&b, buf_str(&own->type), STR_NONE, &d->tmp, &type, &charset);
	return type;
}

/* ---- one part ------------------------------------------------------------------------- */

static int read_part(struct draft *d, const struct where *w,
	struct json_object *o, const struct role *role, struct given *g,
	struct compose_part *p);

static int read_subs(struct draft *d, const struct where *w,
	const struct given *g, struct compose_part *p)
{
	const struct where list = {.up = w, .name = "subParts"};
	struct role role = {
		.in_digest = str_eq(p->type, STR("multipart/digest"))};
	size_t n = json_object_get_type(g->subs) == json_type_array
			   ? json_object_array_length(g->subs)
			   : 0;
	int ret = 0;

	if (n == 0) {
		draft_bad(d, w, "subParts", "a multipart has parts");
		return 0;
	}
	if (n > CREATE_PARTS_MAX - min_of(d->parts, (size_t)CREATE_PARTS_MAX)) {
		draft_bad(d, w, "subParts", "more parts than there can be");
		return 0;
	}
	p->sub = arena_new(&d->tmp, n * sizeof(*p->sub));
	for (p->sub_n = 0; p->sub_n < n && ret == 0; p->sub_n++) {
		const struct where at = {.up = &list, .index = p->sub_n};
		struct given ignore;

		ret = read_part(d, &at,
			json_object_array_get_idx(g->subs, p->sub_n), &role,
			&ignore, &p->sub[p->sub_n]);
	}
	return ret;
}

/* RFC 8621 4.6: a partId or a blobId, and what goes with which. */
static void check_source(
	struct draft *d, const struct where *w, const struct given *g)
{
	if (g->part.p && g->blob.p)
		draft_bad(d, w, "blobId", "not beside a partId");
	if (!g->part.p && !g->blob.p)
		draft_bad(d, w, "partId", "neither partId nor blobId");
	if (g->part.p && g->charset.p)
		draft_bad(d, w, "charset", "not beside a partId");
	if (g->part.p && g->has_size)
		draft_bad(d, w, "size", "not beside a partId");
	if (g->subs)
		draft_bad(d, w, "subParts", "only a multipart has them");
}

static int read_content(struct draft *d, const struct where *w,
	const struct given *g, struct compose_part *p)
{
	if (is_multipart(p)) {
		if (g->part.p)
			draft_bad(d, w, "partId", "a multipart has none");
		if (g->blob.p)
			draft_bad(d, w, "blobId", "a multipart has none");
		return read_subs(d, w, g, p);
	}
	check_source(d, w, g);
	if (g->part.p)
		value_of(d, w, g, p);
	return !g->part.p && g->blob.p ? blob_of(d, g, p) : 0;
}

static void set_disposition(
	const struct role *role, const struct own *own, struct given *g)
{
	if (!role->attachment || g->has_disposition || own->disposition)
		return;
	g->disposition =
		role->html && g->cid.p ? STR("inline") : STR("attachment");
}

static int read_part(struct draft *d, const struct where *w,
	struct json_object *o, const struct role *role, struct given *g,
	struct compose_part *p)
{
	struct own own cleanup(own_fini) = {0};
	struct names names = {.more = role->above};
	struct buf head cleanup(buf_fini) = {0};
	int ret;

	*p = (struct compose_part){.content = STR("")};
	*g = (struct given){0};
	d->parts++;
	if (json_object_get_type(o) != json_type_object) {
		draft_bad(d, w, NULL, "no EmailBodyPart");
		return 0;
	}
	read_given(d, w, o, g);
	name_given(d, g, &names);
	read_owns(d, w, o, &names, &own);
	set_disposition(role, &own, g);
	p->type = own.type.n  ? own_type_of(d, &own)
		  : g->type.p ? lower(d, g->type)
			      : default_type(g, role);
	if (role->type && !str_eq(p->type, str_of(role->type)))
		draft_bad(d, w, "type", "not the type of this list");
	if (g->name.p && (own.disposition || (own.type.n && !g->disposition.p)))
		draft_bad(d, w, "name", "the field is there already");
	ret = read_content(d, w, g, p);
	if (ret < 0)
		return ret;
	new_boundary(d, p);
	if (own.type.n)
		put_own_type(d, w, &own, p, &head);
	else
		put_type(d, w, g, p, &head);
	put_fields(d, w, g, &head);
	buf_adds(&head, buf_str(&own.head));
	p->head = arena_str(&d->tmp, buf_str(&head));
	return 0;
}

/* ---- the tree --------------------------------------------------------------------------- */

/* A multipart of the server's own making. */
static struct compose_part wrap(struct draft *d, const char *type,
	const struct compose_part *sub, size_t n)
{
	struct buf line cleanup(buf_fini) = {0};
	struct buf head cleanup(buf_fini) = {0};
	struct compose_part p = {.type = str_of(type), .sub_n = n};
	struct str ignore;

	buf_fmt(&line, "Content-Type: %s\r\n", type);
	p.type = str_n(type, strcspn(type, ";"));
	p.sub = arena_dup(&d->tmp, sub, n * sizeof(*sub));
	new_boundary(d, &p);
	check(compose_own_type(
		&head, buf_str(&line), p.boundary, &d->tmp, &ignore, &ignore));
	p.head = arena_str(&d->tmp, buf_str(&head));
	return p;
}

/* textBody or htmlBody: exactly one part. 1: there is it. */
static int read_body(struct draft *d, const char *name,
	struct json_object *list, const char *type, struct compose_part *p)
{
	const struct where top = {.name = name}, w = {.up = &top};
	const struct role role = {.type = type};
	struct given ignore;
	int ret;

	if (!list)
		return 0;
	if (json_object_get_type(list) != json_type_array ||
		json_object_array_length(list) != 1) {
		draft_bad(d, NULL, name, "exactly one part");
		return 0;
	}
	ret = read_part(
		d, &w, json_object_array_get_idx(list, 0), &role, &ignore, p);
	return ret < 0 ? ret : 1;
}

/* The parts of a message, by where they go. */
struct groups {
	struct compose_part *related, *mixed; /* [0] is left for the body */
	size_t related_n, mixed_n;
};

static int read_attachments(
	struct draft *d, struct json_object *list, bool html, struct groups *b)
{
	const struct where top = {.name = "attachments"};
	const struct role role = {.attachment = true, .html = html};
	size_t n = json_object_get_type(list) == json_type_array
			   ? json_object_array_length(list)
			   : 0;
	int ret = 0;

	if (list && json_object_get_type(list) != json_type_array)
		draft_bad(d, NULL, "attachments", "no list");
	if (n > CREATE_PARTS_MAX) {
		draft_bad(d, NULL, "attachments", "more than there can be");
		n = 0;
	}
	b->related = arena_new(&d->tmp, (n + 1) * sizeof(*b->related));
	b->mixed = arena_new(&d->tmp, (n + 1) * sizeof(*b->mixed));
	for (size_t i = 0; i < n && ret == 0; i++) {
		const struct where w = {.up = &top, .index = i};
		struct compose_part p;
		struct given g;

		ret = read_part(d, &w, json_object_array_get_idx(list, i),
			&role, &g, &p);
		if (html && g.cid.p &&
			!str_ieq(g.disposition, STR("attachment")))
			b->related[1 + b->related_n++] = p;
		else
			b->mixed[1 + b->mixed_n++] = p;
	}
	return ret;
}

static int read_lists(
	struct draft *d, const struct draft_body *b, struct compose_part *root)
{
	struct compose_part alt[2],
		body = {.type = STR("text/plain"),
			.head = STR(
				"Content-Type: text/plain; charset=utf-8\r\n"),
			.content = STR("")};
	struct groups g = {0};
	int text = read_body(d, "textBody", b->text, "text/plain", &alt[0]);
	int html = text < 0 ? text
			    : read_body(d, "htmlBody", b->html, "text/html",
				      &alt[1]);
	int ret =
		html < 0 ? html : read_attachments(d, b->attachments, html, &g);

	if (ret < 0)
		return ret;
	if (g.related_n > 0) {
		g.related[0] = alt[1];
		alt[1] = wrap(d, "multipart/related; type=\"text/html\"",
			g.related, g.related_n + 1);
	}
	if (text && html)
		body = wrap(d, "multipart/alternative", alt, 2);
	else if (text || html)
		body = alt[html];
	g.mixed[0] = body;
	if (g.mixed_n == 0)
		*root = body;
	else if (text || html)
		*root = wrap(d, "multipart/mixed", g.mixed, g.mixed_n + 1);
	else
		*root = wrap(d, "multipart/mixed", g.mixed + 1, g.mixed_n);
	return 0;
}

int draft_body(
	struct draft *d, const struct draft_body *b, struct compose_part *root)
{
	const struct where w = {.name = "bodyStructure"};
	const struct role role = {.above = &d->names};
	struct given ignore;

	if (!b->structure)
		return read_lists(d, b, root);
	if (b->text || b->html || b->attachments)
		draft_bad(d, NULL, "bodyStructure",
			"not beside textBody, htmlBody or attachments");
	return read_part(d, &w, b->structure, &role, &ignore, root);
}
