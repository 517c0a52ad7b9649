/*
 * Names of header properties, and the forms of a field's value.
 */
#include "proto/jmap/email_header.h"

#include "core/base/clock.h"

static const char *const forms[HEADER_FORMS] = {
	[FORM_RAW] = "Raw",
	[FORM_TEXT] = "Text",
	[FORM_ADDRESSES] = "Addresses",
	[FORM_GROUPED] = "GroupedAddresses",
	[FORM_MESSAGE_IDS] = "MessageIds",
	[FORM_DATE] = "Date",
	[FORM_URLS] = "URLs",
};

#define AS(form) (1u << (form))
#define AS_TEXT AS(FORM_TEXT)
#define AS_ADDRESSES (AS(FORM_ADDRESSES) | AS(FORM_GROUPED))
#define AS_IDS AS(FORM_MESSAGE_IDS)
#define AS_DATE AS(FORM_DATE)
#define AS_URLS AS(FORM_URLS)

static const struct {
	struct str name;
	unsigned forms;
} fields[] = {
#define HEADER_FIELD(name, forms) {{name, sizeof(name) - 1}, forms},
#include "proto/jmap/header_fields.def"
#undef HEADER_FIELD
};

/* ---- names ----------------------------------------------------------------------- */

bool header_is_prop(struct str key)
{
	return str_starts(key, STR("header:"));
}

/* RFC 8621 4.1.3: printable ASCII, but no colon (which ends it). */
static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

static bool read_form(struct str s, enum header_form *f_r)
{
	unsigned f = 0;

	while (f < HEADER_FORMS && !str_eq(s, str_of(forms[f])))
		f++;
	*f_r = (enum header_form)f;
	return f < HEADER_FORMS;
}

static bool allowed(struct str name, enum header_form f)
{
	if (f == FORM_RAW)
		return true;
	for (size_t i = 0; i < countof(fields); i++)
		if (str_ieq(fields[i].name, name))
			return fields[i].forms & AS(f);
	return true;
}

/* Takes ":word" off the front; false, and nothing taken, without a colon. */
static bool suffix(struct str *s, struct str *word_r)
{
	if (s->n == 0)
		return false;
	*s = str_skip(*s, 1);
	*word_r = str_n(s->p, str_find(*s, ':'));
	*s = str_skip(*s, word_r->n);
	return true;
}

const char *header_prop_read(struct str key, struct header_prop *p_r)
{
	struct header_prop p = {.key = key};
	struct str rest, word;
	bool more;

	if (!header_is_prop(key))
		return "no such property";
	rest = str_skip(key, STR("header:").n);
	p.name = str_n(rest.p, str_find(rest, ':'));
	rest = str_skip(rest, p.name.n);
	if (!is_name(p.name))
		return "not the name of a header field";
	more = suffix(&rest, &word);
	if (more && str_starts(word, STR("as"))) {
		if (!read_form(str_skip(word, 2), &p.form))
			return "no such form";
		if (!allowed(p.name, p.form))
			return "this field may not have that form";
		more = suffix(&rest, &word);
	}
	if (more) {
		p.all = str_eq(word, STR("all"));
		if (!p.all || rest.n > 0)
			return "only :as{form} and then :all may follow";
	}
	*p_r = p;
	return NULL;
}

const char *header_props_add(
	struct header_props *h, struct str key, struct arena *a)
{
	struct header_prop p;
	const char *why = header_prop_read(key, &p);

	if (why)
		return why;
	for (size_t i = 0; i < h->n; i++)
		if (str_eq(h->at[i].key, key))
			return NULL;
	if (h->n == HEADER_PROPS_MAX)
		return "too many header properties";
	if (!h->at)
		h->at = arena_new(a, HEADER_PROPS_MAX * sizeof(*h->at));
	h->at[h->n++] = p;
	return NULL;
}

/* ---- values ---------------------------------------------------------------------- */

/* What may still be appended, as the end that it must not go beyond. */
static size_t end_of(const struct jw *w, size_t room)
{
	return room < SIZE_MAX - w->out->n ? w->out->n + room : SIZE_MAX;
}

/* A string; one that is too long already is not quoted first. */
static bool put(struct str s, size_t end, struct jw *w)
{
	if (w->out->n > end || s.n > end - w->out->n)
		return false;
	jw_str(w, s);
	return w->out->n <= end;
}

/* "name" and what is in it; null for none. */
static bool put_name(struct str name, size_t end, struct jw *w)
{
	jw_key(w, STR("name"));
	if (name.p)
		return put(name, end, w);
	jw_null(w);
	return true;
}

static bool put_address(const struct mime_addr *m, size_t end, struct jw *w)
{
	jw_obj(w);
	if (!put_name(m->name, end, w))
		return false;
	jw_key(w, STR("email"));
	if (!put(m->email, end, w))
		return false;
	jw_obj_end(w);
	return true;
}

/* RFC 8621 4.1.2.3 */
static bool addresses(struct str raw, size_t end, struct arena *a, struct jw *w)
{
	const struct mime_addr *at;
	size_t n = mime_as_addresses(raw, a, &at);

	jw_arr(w);
	for (size_t i = 0; i < n; i++)
		if (!at[i].group_start && !at[i].group_end &&
			!put_address(&at[i], end, w))
			return false;
	jw_arr_end(w);
	return true;
}

static bool group_open(struct str name, size_t end, struct jw *w)
{
	jw_obj(w);
	if (!put_name(name, end, w))
		return false;
	jw_key(w, STR("addresses"));
	jw_arr(w);
	return true;
}

static void group_close(struct jw *w)
{
	jw_arr_end(w);
	jw_obj_end(w);
}

/* RFC 8621 4.1.2.4: neighbours that are in no group have one without a name. */
static bool grouped(struct str raw, size_t end, struct arena *a, struct jw *w)
{
	const struct mime_addr *at;
	size_t n = mime_as_addresses(raw, a, &at);
	bool open = false;

	jw_arr(w);
	for (size_t i = 0; i < n; i++) {
		if (open && (at[i].group_start || at[i].group_end)) {
			group_close(w);
			open = false;
		}
		if (at[i].group_end)
			continue;
		if (!open &&
			!group_open(at[i].group_start ? at[i].name : STR_NONE,
				end, w))
			return false;
		open = true;
		if (!at[i].group_start && !put_address(&at[i], end, w))
			return false;
	}
	if (open)
		group_close(w);
	jw_arr_end(w);
	return true;
}

/* RFC 8621 4.1.2.5, 4.1.2.7: null when it does not parse. */
static bool strings(const struct str *at, size_t n, size_t end, struct jw *w)
{
	if (n == 0) {
		jw_null(w);
		return true;
	}
	jw_arr(w);
	for (size_t i = 0; i < n; i++)
		if (!put(at[i], end, w))
			return false;
	jw_arr_end(w);
	return true;
}

/* RFC 8620 1.4 Date: local time with its offset. */
static void date(struct str raw, struct jw *w)
{
	char z[CLOCK_UTC_MAX];
	int64_t ms;
	int off;
	struct buf b cleanup(buf_fini) = {0};

	if (!mime_as_date(raw, &ms, &off)) {
		jw_null(w);
		return;
	}
	clock_utc(ms + (int64_t)off * 60000, z);
	buf_addz(&b, z);
	if (off != 0) {
		b.n--; /* the Z */
		buf_fmt(&b, "%c%02d:%02d", off < 0 ? '-' : '+', abs(off) / 60,
			abs(off) % 60);
	}
	jw_str(w, buf_str(&b));
}

bool header_value(enum header_form form, struct str raw, size_t room,
	struct arena *a, struct jw *w)
{
	size_t end = end_of(w, room);
	const struct str *list;
	size_t n;

	switch (form) {
	case FORM_RAW:
	case HEADER_FORMS:
		return put(mime_as_raw(raw, a), end, w);
	case FORM_TEXT:
		return put(mime_as_text(raw, a), end, w);
	case FORM_ADDRESSES:
		return addresses(raw, end, a, w);
	case FORM_GROUPED:
		return grouped(raw, end, a, w);
	case FORM_MESSAGE_IDS:
		n = mime_as_message_ids(raw, a, &list);
		return strings(list, n, end, w);
	case FORM_URLS:
		n = mime_as_urls(raw, a, &list);
		return strings(list, n, end, w);
	case FORM_DATE:
		date(raw, w);
		return true;
	}
	return false;
}

/* ---- properties ------------------------------------------------------------------ */

static bool value_of(
	enum header_form form, struct str raw, size_t end, struct jw *w)
{
	struct arena a cleanup(arena_fini) = {0};

	return w->out->n <= end &&
	       header_value(form, raw, end - w->out->n, &a, w);
}

static bool all_of(const struct header_prop *p, const struct mime_header *h,
	size_t n, size_t end, struct jw *w)
{
	jw_arr(w);
	for (size_t i = 0; i < n; i++)
		if (str_ieq(h[i].name, p->name) &&
			!value_of(p->form, h[i].value, end, w))
			return false;
	jw_arr_end(w);
	return true;
}

bool header_prop_write(const struct header_prop *p, const struct mime_header *h,
	size_t n, size_t room, struct jw *w)
{
	size_t end = end_of(w, room);

	jw_key(w, p->key);
	if (p->all)
		return all_of(p, h, n, end, w);
	while (n > 0 && !str_ieq(h[n - 1].name, p->name))
		n--;
	if (n > 0)
		return value_of(p->form, h[n - 1].value, end, w);
	jw_null(w);
	return true;
}

bool header_list_write(
	const struct mime_header *h, size_t n, size_t room, struct jw *w)
{
	size_t end = end_of(w, room);

	jw_arr(w);
	for (size_t i = 0; i < n; i++) {
		jw_obj(w);
		if (!put_name(h[i].name, end, w))
			return false;
		jw_key(w, STR("value"));
		if (!value_of(FORM_RAW, h[i].value, end, w))
			return false;
		jw_obj_end(w);
	}
	jw_arr_end(w);
	return true;
}
