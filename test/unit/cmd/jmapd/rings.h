/*
 * A worker's end of the rings, with the store's end played by the test itself in
 * the same process.
 */
#pragma once

#include "cmd/jmapd/worker/rings.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/io/loop.h"

#define CALLS 8
#define BIG (3u * MSG_WINDOW)

/* Time that passes without anybody waiting for it. */
static uint64_t skipped_s;

int clock_gettime(clockid_t id, struct timespec *ts)
{
	long ret = syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec += (time_t)skipped_s;
	return (int)ret;
}

struct world;

/* A call as its owner sees it. */
struct asker {
	struct call call;
	struct world *t;
	struct asker *cancels; /* when answered */
	struct asker *asks;    /* a second one, when answered */
	unsigned answers, rooms, status;
	struct buf got;
};

struct world {
	struct loop *loop;
	struct rings *rings;
	struct backend *b;
	struct link store; /* our end as the store */
	bool linked;
	unsigned stores;  /* on_store */
	struct buf heard; /* letters: what came in which order */
	struct notice notice;
	uint64_t revoked;
	struct asker a[CALLS];
};

/* ---- the worker's owner ---------------------------------------------------- */

static inline void on_notice(void *ctx, const struct notice *n)
{
	struct world *t = ctx;
	t->notice = *n;
	buf_addc(&t->heard, 'n');
}

static inline void on_revoke(void *ctx, uint64_t account, uint32_t version)
{
	struct world *t = ctx;
	t->revoked = account;
	buf_addc(&t->heard, 'r');
}

static inline void on_store(void *ctx)
{
	struct world *t = ctx;
	struct login who = {.account = 7};
	t->stores++;
	t->b->ops->watch(t->b, &who);
}

static const struct rings_ops ops = {on_notice, on_revoke, on_store};

static inline void ask(
	struct world *t, unsigned i, unsigned flags, size_t body_n);

static inline void on_answer(struct call *c, unsigned status, struct str body)
{
	struct asker *a = container_of(c, struct asker, call);
	a->answers++;
	a->status = status;
	buf_adds(&a->got, body);
	buf_addc(&a->t->heard, 'a');
	if (a->cancels)
		call_cancel(a->t->b, &a->cancels->call);
	if (a->asks)
		ask(a->t, (unsigned)(a->asks - a->t->a), 0, 3);
}

static inline void on_room(struct call *c)
{
	container_of(c, struct asker, call)->rooms++;
}

static inline char pattern(size_t i)
{
	return (char)(i * 31 >> 3);
}

static inline void ask(
	struct world *t, unsigned i, unsigned flags, size_t body_n)
{
	struct call_open o = {
		.kind = CALL_API,
		.flags = flags,
		.conn = 1,
		.head = STR("head"),
	};
	struct buf body cleanup(buf_fini) = {0};
	for (size_t n = 0; n < body_n; n++)
		buf_addc(&body, pattern(n));
	call_submit(t->b, &t->a[i].call, &o, &body);
}

static inline void stream(struct world *t, unsigned i)
{
	struct call_open o = {.kind = CALL_DELIVER, .head = STR("head")};
	t->b->ops->open(t->b, &t->a[i].call, &o);
}

/* Until nothing more moves by itself. */
static inline void turns(struct world *t)
{
	struct err e = {0};
	for (int i = 0; i < 6; i++)
		assert_int_equal(loop_turn(t->loop, 1, &e), 0);
}

/* ---- the store ------------------------------------------------------------- */

static inline void new_store(struct world *t)
{
	int fd[LINK_FDS], mine[LINK_FDS];
	struct err e = {0};
	assert_int_equal(link_new(fd, mine, &e), 0);
	assert_int_equal(link_open_store(&t->store, mine, &e), 0);
	t->linked = true;
	assert_int_equal(rings_link(t->rings, fd, &e), 0);
	turns(t);
}

static inline void store_dies(struct world *t)
{
	link_close(&t->store);
	t->linked = false;
	rings_unlink(t->rings);
	turns(t);
}

/* The next record of the call ring: its type, 0 when there is none. */
static inline unsigned next(
	struct world *t, void *head, size_t n, struct buf *rest)
{
	struct buf rec cleanup(buf_fini) = {0};
	struct str bytes;
	uint16_t type;
	int ret = ring_take(
		&t->store.calls, &type, &rec, ring_max(&t->store.calls));
	assert_true(ret >= 0);
	if (ret == 0)
		return 0;
	memset(head, 0, n);
	assert_true(msg_split(type, buf_str(&rec), head, n, &bytes));
	if (rest)
		buf_adds(rest, bytes);
	if (ring_release(&t->store.calls))
		doorbell_ring(&t->store.worker_bell);
	return type;
}

union any_head {
	struct msg_call call;
	struct msg_chunk chunk;
	struct msg_credit credit;
	struct msg_subscribe sub;
};

/* Skips what on_store() asked for. */
static inline void take_subscribe(struct world *t)
{
	union any_head h;
	assert_int_equal(next(t, &h, sizeof(h), NULL), MSG_SUBSCRIBE);
	assert_int_equal(h.sub.login.account, 7);
}

static inline void expect_nothing(struct world *t)
{
	union any_head h;
	assert_int_equal(next(t, &h, sizeof(h), NULL), 0);
}

/* A whole small call; returns its number. */
static inline uint64_t take_call(struct world *t, size_t body_n, unsigned flags)
{
	union any_head h;
	struct buf head cleanup(buf_fini) = {0}, body cleanup(buf_fini) = {0};
	unsigned type = next(t, &h, sizeof(h), &head);
	assert_int_equal(type, MSG_CALL);
	assert_int_equal(h.call.flags, flags);
	assert_int_equal(h.call.body_len, body_n);
	assert_true(str_eq(buf_str(&head), STR("head")));
	uint64_t id = h.call.call;
	while ((type = next(t, &h, sizeof(h), &body)) == MSG_CALL_BODY)
		assert_int_equal(h.chunk.call, id);
	assert_int_equal(type, MSG_CALL_END);
	assert_int_equal(h.chunk.call, id);
	assert_int_equal(body.n, body_n);
	for (size_t i = 0; i < body_n; i++)
		assert_true(body.p[i] == pattern(i));
	return id;
}

/* Takes body chunks of id until there are none; returns the bytes. */
static inline size_t take_body(struct world *t, uint64_t id, bool *ended_r)
{
	union any_head h;
	struct buf body cleanup(buf_fini) = {0};
	unsigned type;
	*ended_r = false;
	while ((type = next(t, &h, sizeof(h), &body))) {
		assert_int_equal(h.chunk.call, id);
		if (type == MSG_CALL_END)
			*ended_r = true;
		else
			assert_int_equal(type, MSG_CALL_BODY);
	}
	return body.n;
}

static inline bool tell(struct world *t, uint16_t type, const void *head,
	size_t n, struct str rest)
{
	struct iovec v[2] = {{(void *)(uintptr_t)head, n},
		{(void *)(uintptr_t)rest.p, rest.n}};
	int ret = ring_put(&t->store.replies, type, v, 2);
	assert_true(ret >= 0);
	ring_publish(&t->store.replies);
	doorbell_ring(&t->store.worker_bell);
	return ret == 1;
}

static inline void reply(
	struct world *t, uint64_t id, unsigned status, struct str s)
{
	struct msg_reply m = {
		.call = id, .len = s.n, .status = status, .last = 1};
	assert_true(tell(t, MSG_REPLY, &m, sizeof(m), s));
}

static inline void say_writing(struct world *t, uint64_t id)
{
	struct msg_chunk m = {.call = id};
	assert_true(tell(t, MSG_CALL_WRITING, &m, sizeof(m), STR_NONE));
}

static inline void give_credit(struct world *t, uint64_t id, uint64_t bytes)
{
	struct msg_credit m = {.call = id, .bytes = bytes};
	assert_true(tell(t, MSG_CALL_CREDIT, &m, sizeof(m), STR_NONE));
}

static inline void notify(struct world *t, uint64_t modseq)
{
	struct notice n = {.account = 7,
		.modseq = modseq,
		.types = 1,
		.kind = NOTICE_CHANGE};
	assert_int_equal(notice_put(&t->store.notices, &n), 1);
	doorbell_ring(&t->store.worker_bell);
}

/* ---- setup ----------------------------------------------------------------- */

static inline int setup(void **state)
{
	struct world *t = mem_new(sizeof(*t));
	struct err e = {0};
	t->loop = loop_new(&e);
	check(t->loop);
	t->rings = rings_new(t->loop, &ops, t);
	t->b = rings_backend(t->rings);
	for (int i = 0; i < CALLS; i++) {
		t->a[i].t = t;
		t->a[i].call.on_answer = on_answer;
		t->a[i].call.on_room = on_room;
	}
	*state = t;
	return 0;
}

static inline int setup_linked(void **state)
{
	setup(state);
	new_store(*state);
	take_subscribe(*state);
	return 0;
}

static inline int teardown(void **state)
{
	struct world *t = *state;
	for (int i = 0; i < CALLS; i++) {
		call_cancel(t->b, &t->a[i].call);
		buf_fini(&t->a[i].got);
	}
	size_t load = rings_load(t->rings);
	if (t->linked)
		link_close(&t->store);
	rings_free(t->rings);
	loop_free(t->loop);
	buf_fini(&t->heard);
	free(t);
	return load != 0; /* each was answered or cancelled */
}

static inline void expect_answer(
	struct world *t, unsigned i, unsigned status, struct str body)
{
	struct asker *a = &t->a[i];
	assert_int_equal(a->answers, 1);
	assert_int_equal(a->status, status);
	assert_int_equal(a->got.n, body.n);
	assert_true(str_eq(buf_str(&a->got), body));
	assert_int_equal(a->call.id, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup_linked, teardown)
#define BARE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
