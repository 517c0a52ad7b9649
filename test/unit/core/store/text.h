/*
 * What the tests of the text index share: mail in and out, and what is found.
 */
#pragma once

#include <pthread.h>

#include "core/store/text.h"
#include "test/unit/core/store/fixture.h"

/* Adds a message to the Inbox of the running write transaction. */
static inline uint64_t add_raw(struct fx *fx, struct str raw)
{
	uint64_t inbox = fx_role(fx, "inbox");
	struct email_new n = {
		.raw = raw,
		.mailboxes = &inbox,
		.mailboxes_n = 1,
		.received_ms = 1000,
	};

	return fx_add_new(fx, &n);
}

static inline uint64_t add(struct fx *fx, const char *raw)
{
	return add_raw(fx, str_of(raw));
}

static inline uint64_t add_now(struct fx *fx, const char *raw)
{
	uint64_t id;

	fx_begin(fx, TX_WRITE);
	id = add(fx, raw);
	fx_commit(fx);
	return id;
}

static inline void destroy_now(struct fx *fx, uint64_t id)
{
	fx_begin(fx, TX_WRITE);
	OK(email_destroy(fx->t, id, &fx->e));
	fx_commit(fx);
}

static inline void catch_up(struct fx *fx)
{
	OK(text_catch_up(fx->a, &fx->e));
}

/* Hits on a snapshot of its own: "3 5". */
static const char *hits(struct fx *fx, unsigned fields, const char *query)
{
	struct buf b cleanup(buf_fini) = {0};
	const uint64_t *ids;
	size_t n;

	fx_begin(fx, TX_READ);
	OK(text_search(
		fx->t, fields, str_of(query), &fx->arena, &ids, &n, &fx->e));
	fx_end(fx);
	for (size_t i = 0; i < n; i++)
		buf_fmt(&b, "%s%d", i ? " " : "", (int)ids[i]);
	return arena_str(&fx->arena, buf_str(&b)).p;
}

#define assert_hits(fx, fields, query, want) \
	assert_string_equal(hits(fx, fields, query), want)

static inline int behind(struct fx *fx)
{
	int ret;

	fx_begin(fx, TX_READ);
	ret = text_behind(fx->t, &fx->e);
	fx_end(fx);
	return ret;
}

static inline int64_t number(struct fx *fx, const char *sql)
{
	int64_t v = -1;

	fx_begin(fx, TX_READ);
	assert_true(db_number(fx->t->db, &v, &fx->e, sql, "") >= 0);
	fx_end(fx);
	return v;
}

/* SQL beside the store, in a transaction of its own. */
static inline void run_sql(struct fx *fx, const char *sql)
{
	fx_begin(fx, TX_WRITE);
	OK(db_exec(fx->t->db, sql, &fx->e));
	fx_commit(fx);
}

/* FTS5 itself compares its terms with its structure. */
static inline void assert_sound(struct fx *fx)
{
	run_sql(fx, "INSERT INTO words (words) VALUES ('integrity-check')");
}

static const char mail_1[] =
	"From: =?utf-8?q?J=C3=BCrgen?= Fromm <juergen@sender.example>\r\n"
	"To: Tom <tom@rcpt.example>\r\nCc: Cecil <cecil@copy.example>\r\n"
	"Bcc: bert@blind.example\r\nSubject: The quick Subject\r\n"
	"\r\nThe brown fox jumps over the lazy dog.\r\n";
static const char mail_2[] = "From: dog@sender.example\r\n"
			     "Subject: fox quick\r\n\r\nnothing else\r\n";

static inline struct fx *with_two(void)
{
	struct fx *fx = fx_new();

	assert_int_equal(add_now(fx, mail_1), 1);
	assert_int_equal(add_now(fx, mail_2), 2);
	catch_up(fx);
	return fx;
}
