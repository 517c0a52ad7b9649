/*
 * Filters of Email/query: FilterOperator (RFC 8620 5.5) and FilterCondition (RFC
 * 8621 4.4.1) to the store's own.
 */
#include "core/base/clock.h"
#include "core/store/text.h"
#include "proto/jmap/email_query.h"
#include "proto/jmap/json.h"

/* How a condition's value is read. */
enum form {
	FORM_ID,
	FORM_IDS,
	FORM_UTC,
	FORM_SIZE,
	FORM_WORD,
	FORM_FLAG,
	FORM_QUERY,
	FORM_FIELD,
};

static const struct condition {
	const char *name;
	enum email_filter_kind kind;
	enum form form;
	unsigned fields;
} conditions[] = {
	{"inMailbox", FILTER_IN_MAILBOX, FORM_ID},
	{"inMailboxOtherThan", FILTER_OTHER_THAN, FORM_IDS},
	{"before", FILTER_BEFORE, FORM_UTC},
	{"after", FILTER_AFTER, FORM_UTC},
	{"minSize", FILTER_MIN_SIZE, FORM_SIZE},
	{"maxSize", FILTER_MAX_SIZE, FORM_SIZE},
	{"allInThreadHaveKeyword", FILTER_ALL_KEYWORD, FORM_WORD},
	{"someInThreadHaveKeyword", FILTER_SOME_KEYWORD, FORM_WORD},
	{"noneInThreadHaveKeyword", FILTER_NONE_KEYWORD, FORM_WORD},
	{"hasKeyword", FILTER_KEYWORD, FORM_WORD},
	{"notKeyword", FILTER_NOT_KEYWORD, FORM_WORD},
	{"hasAttachment", FILTER_HAS_ATTACHMENT, FORM_FLAG},
	{"text", FILTER_TEXT, FORM_QUERY, TEXT_ALL},
	{"from", FILTER_TEXT, FORM_QUERY, TEXT_FROM},
	{"to", FILTER_TEXT, FORM_QUERY, TEXT_TO},
	{"cc", FILTER_TEXT, FORM_QUERY, TEXT_CC},
	{"bcc", FILTER_TEXT, FORM_QUERY, TEXT_BCC},
	{"subject", FILTER_TEXT, FORM_QUERY, TEXT_SUBJECT},
	{"body", FILTER_TEXT, FORM_QUERY, TEXT_BODY},
	{"header", FILTER_HEADER, FORM_FIELD},
};

struct reader {
	struct req *r;
	size_t conditions; /* so far */
	bool text;
};

static int wrong(struct reader *d, const char *name, const char *what)
{
	return req_error(
		d->r, ERROR_INVALID_ARGUMENTS, "filter: %.60s: %s", name, what);
}

/* Counted before memory is taken. */
static int count(struct reader *d, size_t n)
{
	d->conditions += n;
	if (d->conditions <= FILTER_CONDITIONS)
		return 0;
	return req_error(d->r, ERROR_UNSUPPORTED_FILTER,
		"more than %d conditions", FILTER_CONDITIONS);
}

/* ---- values --------------------------------------------------------------------- */

/* 0 for an id that no Mailbox can have: nothing is in it. */
static bool read_id(struct reader *d, struct json_object *v, uint64_t *id_r)
{
	struct str ref, id;

	if (!json_text(v, &ref))
		return false;
	if (!req_id(d->r, NULL, ref, &id) || !id_parse('m', id, id_r))
		*id_r = 0;
	return true;
}

static bool read_ids(
	struct reader *d, struct json_object *v, struct email_filter *f)
{
	uint64_t *ids;

	if (json_object_get_type(v) != json_type_array)
		return false;
	f->n = json_object_array_length(v);
	ids = arena_new(&d->r->arena, f->n * sizeof(*ids) + 1);
	f->mailboxes = ids;
	for (size_t i = 0; i < f->n; i++)
		if (!read_id(d, json_object_array_get_idx(v, i), &ids[i]))
			return false;
	return true;
}

/*
 * receivedAt shows whole seconds, so it is them that are compared: an instant
 * between two of them is as good as the later one, before and after it.
 */
static bool read_utc(struct json_object *v, int64_t *ms_r)
{
	struct str s;

	if (!json_text(v, &s) || !clock_parse_utc(s, ms_r))
		return false;
	if (*ms_r % 1000)
		*ms_r += *ms_r > 0 ? 1000 - *ms_r % 1000 : -(*ms_r % 1000);
	return true;
}

static bool read_word(
	struct reader *d, struct json_object *v, struct str *word_r)
{
	char *p;

	if (!json_text(v, word_r))
		return false;
	p = arena_dup(&d->r->arena, word_r->n ? word_r->p : "", word_r->n);
	for (size_t i = 0; i < word_r->n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	word_r->p = p;
	return true;
}

/* String[]: a name, and maybe a text. */
static bool read_field(struct json_object *v, struct email_filter *f)
{
	size_t n;

	if (json_object_get_type(v) != json_type_array)
		return false;
	n = json_object_array_length(v);
	if (n < 1 || n > 2 ||
		!json_text(json_object_array_get_idx(v, 0), &f->header))
		return false;
	return n == 1 || json_text(json_object_array_get_idx(v, 1), &f->text);
}

static bool read_value(struct reader *d, const struct condition *c,
	struct json_object *v, struct email_filter *f)
{
	bool flag;

	*f = (struct email_filter){.kind = c->kind, .fields = c->fields};
	switch (c->form) {
	case FORM_ID:
		return read_id(d, v, &f->mailbox);
	case FORM_IDS:
		return read_ids(d, v, f);
	case FORM_UTC:
		return read_utc(v, &f->number);
	case FORM_SIZE:
		return json_int(v, &f->number) && f->number >= 0;
	case FORM_WORD:
		return read_word(d, v, &f->text);
	case FORM_FLAG:
		if (!json_flag(v, &flag))
			return false;
		f->number = flag;
		return true;
	case FORM_QUERY:
		d->text = true;
		return json_text(v, &f->text);
	default:
		return read_field(v, f);
	}
}

/* ---- the tree --------------------------------------------------------------------- */

static const struct condition *condition_of(const char *name)
{
	for (size_t i = 0; i < countof(conditions); i++)
		if (strcmp(conditions[i].name, name) == 0)
			return &conditions[i];
	return NULL;
}

/* All of its properties must match. */
static int read_condition(
	struct reader *d, struct json_object *json, struct email_filter *f)
{
	size_t n = (size_t)json_object_object_length(json);
	struct email_filter *sub;
	int ret = count(d, n);

	if (ret)
		return ret;
	sub = arena_new(&d->r->arena, n * sizeof(*sub) + 1);
	*f = (struct email_filter){.kind = FILTER_AND, .sub = sub};
	json_object_object_foreach(json, name, value)
	{
		const struct condition *c = condition_of(name);

		if (!c)
			return req_error(d->r, ERROR_UNSUPPORTED_FILTER,
				"\"%.60s\": no such condition", name);
		if (!read_value(d, c, value, &sub[f->n++]))
			return wrong(d, name, "wrong type");
	}
	return 0;
}

static int read_filter(
	struct reader *d, struct json_object *json, struct email_filter *f);

static int read_operator(
	struct reader *d, struct json_object *json, struct email_filter *f)
{
	static const char *const names[] = {"AND", "OR", "NOT"};
	struct json_object *list = NULL;
	struct email_filter *sub;
	struct str name = STR_NONE;
	size_t n, op = 0;
	int ret = 0;

	json_object_object_foreach(json, key, value)
	{
		if (strcmp(key, "operator") == 0)
			(void)json_text(value, &name);
		else if (strcmp(key, "conditions") == 0)
			list = value;
		else
			return wrong(d, key, "not in a FilterOperator");
	}
	while (op < countof(names) && !str_eq(name, str_of(names[op])))
		op++;
	if (op == countof(names))
		return wrong(d, "operator", "not AND, OR or NOT");
	if (!list || json_object_get_type(list) != json_type_array)
		return wrong(d, "conditions", "missing, or no array");
	n = json_object_array_length(list);
	ret = count(d, n);
	if (ret)
		return ret;
	sub = arena_new(&d->r->arena, n * sizeof(*sub) + 1);
	*f = (struct email_filter){
		.kind = (enum email_filter_kind)(FILTER_AND + op),
		.sub = sub,
		.n = n,
	};
	for (size_t i = 0; i < n && ret == 0; i++)
		ret = read_filter(
			d, json_object_array_get_idx(list, i), &sub[i]);
	return ret;
}

/* As deep as JSON may be (SCAN_DEPTH). */
static int read_filter(
	struct reader *d, struct json_object *json, struct email_filter *f)
{
	struct json_object *operator;

	if (json_object_get_type(json) != json_type_object)
		return wrong(d, "conditions", "not all are objects");
	if (json_member(json, "operator", &operator))
		return read_operator(d, json, f);
	return read_condition(d, json, f);
}

int email_filter_read(struct req *r, struct json_object *json,
	struct email_filter **f_r, bool *text_r)
{
	struct reader d = {.r = r};
	int ret;

	*f_r = NULL;
	*text_r = false;
	if (!json)
		return 0;
	*f_r = arena_new(&r->arena, sizeof(**f_r));
	ret = read_filter(&d, json, *f_r);
	*text_r = d.text;
	return ret;
}
