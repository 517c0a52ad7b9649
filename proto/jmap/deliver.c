/*
 * A message becomes an Email (RFC 8621 4): card and threading data; one that came
 * from outside goes to the Inbox.
 */
#include <errno.h>

#include "core/store/query.h"
#include "proto/jmap/email_card.h"
#include "proto/jmap/engine.h"

/* Message ids that tie an Email to others: its own and those it refers to. */
struct ties {
	struct str *at;
	size_t n;
};

static void add_ids(struct ties *t, const struct mime_message *m,
	struct str field, struct arena *a)
{
	struct str raw = mime_header_raw(m->root, field);
	const struct str *ids;
	size_t n = raw.p ? mime_as_message_ids(raw, a, &ids) : 0;
	struct str *all;

	if (n == 0)
		return;
	all = arena_new(a, (t->n + n) * sizeof(*all));
	for (size_t i = 0; i < t->n; i++)
		all[i] = t->at[i];
	for (size_t i = 0; i < n; i++)
		all[t->n + i] = ids[i];
	t->at = all;
	t->n += n;
}

static struct str first_of(
	const struct mime_message *m, struct str field, struct arena *a)
{
	return email_first_name(mime_header_raw(m->root, field), a);
}

static int add(struct tx *t, const struct jmap_message *n,
	const struct mime_message *m, struct arena *a, uint64_t *id_r,
	uint64_t *thread_r, struct err *e)
{
	struct buf card cleanup(buf_fini) = {0};
	struct ties ties = {0};

	card_make(m, CARD_MAX, &card);
	add_ids(&ties, m, STR("Message-ID"), a);
	add_ids(&ties, m, STR("In-Reply-To"), a);
	add_ids(&ties, m, STR("References"), a);
	return email_add(t,
		&(struct email_new){
			.raw = n->raw,
			.received_ms = n->received_ms,
			.keywords = n->keywords,
			.keywords_n = n->keywords_n,
			.mailboxes = n->mailboxes,
			.mailboxes_n = n->mailboxes_n,
			.card = buf_str(&card),
			.sent_ms = m->sent_ms,
			.has_attachment = m->has_attachment,
			.message_ids = ties.at,
			.message_ids_n = ties.n,
			.base_subject = mime_base_subject(
				mime_header_raw(m->root, STR("Subject")), a),
			.from = first_of(m, STR("From"), a),
			.to = first_of(m, STR("To"), a),
			.delivery = n->delivery,
		},
		id_r, thread_r, e);
}

int jmap_store(struct tx *t, const struct jmap_message *m, uint64_t *id_r,
	uint64_t *thread_r, struct err *e)
{
	struct arena a cleanup(arena_fini) = {0};

	return add(t, m, mime_parse(m->raw, &a), &a, id_r, thread_r, e);
}

int jmap_deliver(
	struct tx *t, struct str raw, int64_t received_ms, struct err *e)
{
	uint64_t inbox = mailbox_with_role(t, STR("inbox")), id, thread;
	struct jmap_message m = {
		.raw = raw,
		.received_ms = received_ms,
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.delivery = true,
	};
	int ret;

	if (inbox == 0)
		return err_set(e, -ENOENT, "the account has no Inbox");
	ret = jmap_store(t, &m, &id, &thread, e);
	return ret > 0 ? err_set(e, -ENOENT, "the Inbox is gone") : ret;
}
