/*
 * Email/import (RFC 8621 4.8): blobs become Emails. It is the creating half of a
 * /set, of objects that are no Emails yet.
 *
 * The same message may be imported more than once: each time it is an Email of its
 * own. What has no header at all is no message; all else is taken as it is.
 */
#include "core/base/clock.h"
#include "proto/jmap/blob.h"
#include "proto/jmap/email_set.h"
#include "proto/jmap/json.h"
#include "proto/jmap/set.h"

static const char *const names[] = {"accountId", "ifInState", "emails", NULL};

struct import {
	struct str blob;
	struct email_edit edit;
	bool has_mailboxes;
	struct json_object *received;
};

static void read_member(struct set *s, struct set_item *i, struct import *m,
	const char *name, struct json_object *v)
{
	if (strcmp(name, "mailboxIds") == 0) {
		m->has_mailboxes = true;
		email_edit_mailboxes(s, i, &m->edit, STR_NONE, v);
	} else if (strcmp(name, "keywords") == 0) {
		email_edit_keywords(s, i, &m->edit, STR_NONE, v);
	} else if (strcmp(name, "receivedAt") == 0) {
		m->received = v;
	} else if (strcmp(name, "blobId") == 0) {
		if (!json_text(v, &m->blob))
			set_bad(i, "blobId", "no Id");
	} else {
		set_bad(i, name, "no such property");
	}
}

/* The date behind the last ";" of the topmost Received (RFC 5322 3.6.7). */
static void received(struct str raw, int64_t *ms_r)
{
	struct arena a cleanup(arena_fini) = {0};
	const struct mime_header *h;
	size_t n = mime_fields_at(raw, 0, raw.n, &a, &h);

	for (size_t i = 0; i < n; i++) {
		struct str date = h[i].value;

		if (!str_ieq(h[i].name, STR("Received")))
			continue;
		for (size_t k = str_find(date, ';'); k < date.n;
			k = str_find(date, ';'))
			date = str_skip(date, k + 1);
		mime_as_date(date, ms_r, NULL);
		return;
	}
}

static int store(struct set *s, struct set_item *i, const struct import *m,
	struct str raw)
{
	int64_t ms = clock_real_ms();

	if (!email_is_message(raw))
		return set_refuse(i, SET_INVALID_EMAIL, "it has no header");
	if (!m->received)
		received(raw, &ms);
	email_received_at(i, m->received, &ms);
	return email_new(s, i, raw, &m->edit, ms);
}

static int import_one(struct set *s, struct set_item *i)
{
	struct buf raw cleanup(buf_fini) = {0};
	struct import m = {0};
	int64_t ignore;
	int ret;

	email_edit_init(s, NULL, &m.edit);
	json_object_object_foreach(i->value, name, v)
	{
		read_member(s, i, &m, name, v);
	}
	email_received_at(i, m.received, &ignore);
	if (!m.has_mailboxes)
		set_bad(i, "mailboxIds", "missing");
	else
		email_edit_check(i, &m.edit);
	if (!m.blob.p)
		set_bad(i, "blobId", "missing");
	if (i->error != SET_OK)
		return 0;
	ret = blob_bytes(s->r, s->tx, m.blob, &raw);
	if (ret < 0)
		return ret;
	if (ret == 0)
		return set_bad(i, "blobId", "no such blob");
	return store(s, i, &m, buf_str(&raw));
}

int email_import(
	struct req *r, const struct method *m, struct json_object *args)
{
	struct set s = {.r = r,
		.type = m->type,
		.args = args,
		.create = import_one,
		.created = EMAIL_IMPORTED_PROPS,
		.import = true};
	struct json_object *emails;
	struct str if_in_state;
	int ret = args_open(r, args, names, NULL);

	if (ret == 0)
		ret = arg_text(r, args, "ifInState", &if_in_state);
	if (ret == 0)
		ret = arg_of_type(r, args, "emails", json_type_object, &emails);
	if (ret == 0 && !emails)
		ret = req_error(r, ERROR_INVALID_ARGUMENTS, "emails: missing");
	if (ret == 0)
		ret = set_limit(&s, (size_t)json_object_object_length(emails));
	if (ret == 0)
		ret = set_add_map(&s, emails, SET_CREATE);
	return ret ? ret : set_run(&s, m, if_in_state);
}
