/*
 * A store in a folder of its own with one account, and short words for what the
 * tests of core/store do all the time. A failure of the world fails the test with
 * its sentence.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/log.h"
#include "core/store/internal.h"
#include "core/store/query.h"

struct fx {
	char dir[32];
	struct store *s;
	uint64_t id; /* alice@example.org */
	struct account *a;
	struct tx *t;
	struct arena arena;
	struct err e;
};

#define OK(call)                                               \
	do {                                                   \
		if ((call) != 0)                               \
			fail_msg("%s: %s", #call, fx->e.text); \
	} while (0)

static inline void fx_open(struct fx *fx, const struct change_sink *sink)
{
	OK(store_open(fx->dir, 8, sink, &fx->s, &fx->e));
}

/* A store without an account. */
static inline struct fx *fx_bare(const struct change_sink *sink)
{
	struct fx *fx = mem_new(sizeof(*fx));

	log_init("test", LOG_ERROR);
	strcpy(fx->dir, "/tmp/jmapd-storeXXXXXX");
	assert_non_null(mkdtemp(fx->dir));
	fx_open(fx, sink);
	return fx;
}

static inline struct fx *fx_sink(const struct change_sink *sink)
{
	struct fx *fx = fx_bare(sink);

	OK(dir_add(fx->s, STR("alice@example.org"), STR_NONE, &fx->id, &fx->e));
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
	return fx;
}

static inline struct fx *fx_new(void)
{
	return fx_sink(NULL);
}

static inline void fx_begin(struct fx *fx, enum tx_mode mode)
{
	OK(tx_begin(fx->a, mode, &fx->t, &fx->e));
}

static inline void fx_end(struct fx *fx)
{
	tx_end(steal(fx->t));
}

static inline void fx_commit(struct fx *fx)
{
	OK(tx_commit(fx->t, &fx->e));
	fx_end(fx);
}

static inline void fx_close(struct fx *fx)
{
	tx_end(steal(fx->t));
	if (fx->a)
		account_put(steal(fx->a));
	store_close(steal(fx->s));
}

/* The store dies cleanly and comes back. */
static inline void fx_reopen(struct fx *fx)
{
	fx_close(fx);
	fx_open(fx, NULL);
	OK(account_get(fx->s, fx->id, &fx->a, &fx->e));
}

static inline void fx_free(struct fx *fx)
{
	fx_close(fx);
	arena_fini(&fx->arena);
	OK(dir_delete(fx->dir, &fx->e));
	free(fx);
}

static inline const char *fx_path(struct fx *fx, const char *rest)
{
	return arena_fmt(&fx->arena, "%s/%s", fx->dir, rest).p;
}

static inline uint64_t fx_role(struct fx *fx, const char *role)
{
	uint64_t id = mailbox_with_role(fx->t, str_of(role));

	assert_int_not_equal(id, 0);
	return id;
}

/* One small email with those fields that matter; fill the rest before. */
static inline uint64_t fx_add_new(struct fx *fx, struct email_new *n)
{
	uint64_t id, thread;

	if (!n->raw.n)
		n->raw = STR("Subject: x\r\n\r\nhello\r\n");
	OK(email_add(fx->t, n, &id, &thread, &fx->e));
	return id;
}

static inline uint64_t fx_add(struct fx *fx, uint64_t mailbox, int64_t received)
{
	struct email_new n = {
		.mailboxes = &mailbox,
		.mailboxes_n = 1,
		.received_ms = received,
	};

	return fx_add_new(fx, &n);
}

static inline struct mailbox fx_mailbox(struct fx *fx, uint64_t id)
{
	struct mailbox m = {0};

	if (mailbox_find(fx->t, id, &fx->arena, &m, &fx->e) != 1)
		fail_msg("mailbox: %s", fx->e.text);
	return m;
}

static inline struct email fx_email(struct fx *fx, uint64_t id)
{
	struct email m = {0};

	if (email_find(fx->t, id, 7, &fx->arena, &m, &fx->e) != 1)
		fail_msg("email: %s", fx->e.text);
	return m;
}

static inline uint64_t fx_state(struct fx *fx, enum type type)
{
	uint64_t v = 0;

	OK(tx_state(fx->t, type, &v, &fx->e));
	return v;
}

static inline struct changes fx_changes(
	struct fx *fx, enum type type, uint64_t since, size_t max)
{
	struct changes c;

	OK(tx_changes(fx->t, type, since, max, &fx->arena, &c, &fx->e));
	return c;
}

static inline void assert_counts(struct fx *fx, uint64_t id, uint64_t emails,
	uint64_t unread, uint64_t threads, uint64_t unread_threads)
{
	struct mailbox m = fx_mailbox(fx, id);

	assert_int_equal(m.total_emails, emails);
	assert_int_equal(m.unread_emails, unread);
	assert_int_equal(m.total_threads, threads);
	assert_int_equal(m.unread_threads, unread_threads);
}
