/*
 * Each of these ends the worker. Records that break a rule of a call follow one
 * that is well-formed, so that the lie alone is to blame.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/crypto.h"
#include "test/fault/hostile/hostile.h"

#define LIE(name) \
	static void name(struct hostile *h, struct str args, struct buf *out)

/* ---- the ring itself ------------------------------------------------------- */

static void raw(struct hostile *h, uint64_t at, uint32_t len, uint16_t type)
{
	const struct ring *r = &h->link.calls;
	struct ring_record rec = {.len = len, .type = type};

	memcpy(r->shm->data + ((r->mine + at) & (r->cap - 1)), &rec,
		sizeof(rec));
}

static void raw_tail(struct hostile *h, uint64_t tail)
{
	atomic_store(&h->link.calls.shm->tail, tail);
	doorbell_ring(&h->link.store_bell);
}

static void raw_publish(struct hostile *h, uint64_t n)
{
	raw_tail(h, h->link.calls.mine + n);
}

/* A record that is none of a lie: it was read. */
static void honest(struct hostile *h)
{
	const struct ring_shm *shm = h->link.calls.shm;

	say_chunk(h, MSG_CALL_CANCEL, 1, STR_NONE);
	publish(h);
	while (atomic_load(&shm->head) != h->link.calls.mine)
		nap();
}

LIE(garbage)
{
	random_bytes(h->link.calls.shm->data, LINK_CALLS);
	raw_publish(h, 4096);
}

LIE(tail_odd)
{
	honest(h);
	raw_publish(h, 3);
}

LIE(tail_beyond)
{
	honest(h);
	raw_publish(h, LINK_CALLS + 8);
}

LIE(tail_back)
{
	honest(h);
	raw_tail(h, h->link.calls.mine - 8);
}

LIE(length_zero)
{
	honest(h);
	raw(h, 0, 0, 0);
	raw_publish(h, 8);
}

LIE(length_huge)
{
	honest(h);
	raw(h, 0, UINT32_MAX, MSG_CALL);
	raw_publish(h, 4096);
}

LIE(length_past_tail)
{
	honest(h);
	raw(h, 0, 4096, MSG_CALL_CANCEL);
	raw_publish(h, 4096);
}

LIE(filler)
{
	honest(h);
	raw(h, 0, 4096, 0);
	raw_publish(h, 8192);
}

/* ---- records --------------------------------------------------------------- */

LIE(type_unknown)
{
	say_chunk(h, 9, 1, STR_NONE);
	publish(h);
}

LIE(type_of_the_store)
{
	struct msg_reply m = {.call = 1, .status = 200, .last = 1};

	put(h, MSG_REPLY, &m, sizeof(m), STR_NONE);
	publish(h);
}

LIE(head_short)
{
	put(h, MSG_CALL, "1234567", 7, STR_NONE);
	publish(h);
}

LIE(head_long)
{
	static char head[70000];

	open_call(h, CALL_RCPT, NULL, 0, str_n(head, sizeof(head)));
	publish(h);
}

LIE(call_zero)
{
	h->calls = UINT64_MAX; /* the next is 0 */
	open_call(h, CALL_RCPT, NULL, 0, STR("a@example.org"));
	publish(h);
}

LIE(call_twice)
{
	open_call(h, CALL_RCPT, NULL, 0, STR("a@example.org"));
	h->calls--;
	open_call(h, CALL_RCPT, NULL, 0, STR("a@example.org"));
	publish(h);
}

LIE(kind_zero)
{
	open_call(h, (enum call_kind)0, NULL, 0, STR_NONE);
	publish(h);
}

LIE(kind_unknown)
{
	open_call(h, CALL_KINDS, NULL, 0, STR_NONE);
	publish(h);
}

LIE(end_early)
{
	uint64_t call = open_call(h, CALL_API, NULL, 10, STR_NONE);

	say_chunk(h, MSG_CALL_END, call, STR_NONE);
	publish(h);
}

LIE(body_long)
{
	uint64_t call = open_call(h, CALL_API, NULL, 1, STR_NONE);

	say_chunk(h, MSG_CALL_BODY, call, STR("{}"));
	publish(h);
}

/*
 * A password takes its time: the call is under way when the next record comes. It is
 * another one from elsewhere each time, or it would be refused without a look.
 */
static uint64_t slow_call(struct hostile *h)
{
	struct call_from from;
	struct buf head cleanup(buf_fini) = {0};
	uint64_t call;

	random_bytes(&from, sizeof(from));
	buf_add(&head, &from, sizeof(from));
	buf_add(&head, "basic", 6);
	buf_u64(&head, now_ms());
	buf_add(&head, "\0x", 2);
	call = open_call(h, CALL_LOGIN, NULL, 0, buf_str(&head));
	say_chunk(h, MSG_CALL_END, call, STR_NONE);
	return call;
}

LIE(end_twice)
{
	say_chunk(h, MSG_CALL_END, slow_call(h), STR_NONE);
	publish(h);
}

LIE(body_after_end)
{
	say_chunk(h, MSG_CALL_BODY, slow_call(h), STR("x"));
	publish(h);
}

LIE(seen_no_delivery)
{
	say_chunk(h, MSG_CALL_SEEN, slow_call(h), STR_NONE);
	publish(h);
}

LIE(credit_overflow)
{
	say_credit(h, slow_call(h), UINT64_MAX);
}

LIE(upload_beyond_its_window)
{
	static char bytes[MSG_CHUNK];
	struct login who = log_in(h, word_of(&args));
	uint64_t call = open_call(h, CALL_UPLOAD, &who, UINT64_MAX, STR("x"));

	for (size_t n = 0; n <= 2 * MSG_WINDOW; n += sizeof(bytes))
		say_chunk(h, MSG_CALL_BODY, call, str_n(bytes, sizeof(bytes)));
	publish(h);
}

/* ---- what the store writes ------------------------------------------------- */

LIE(reply_head)
{
	atomic_store(&h->link.replies.shm->head, 1 << 20);
	say_chunk(h, MSG_CALL_END,
		open_call(h, CALL_RCPT, NULL, 0, STR("a@example.org")),
		STR_NONE);
	publish(h);
}

LIE(change_head)
{
	struct msg_subscribe m = {.login = log_in(h, word_of(&args))};

	atomic_store(&h->link.notices.shm->head, 1 << 20);
	put(h, MSG_SUBSCRIBE, &m, sizeof(m), STR_NONE);
	publish(h);
}

/* Bodies are credited; it never reads that, nor what was in the ring before. */
LIE(deaf)
{
	static char bytes[MSG_CHUNK];
	struct login who = log_in(h, word_of(&args));

	for (int i = 0; i < 150; i++)
		say_echo(h, &who, 30000);
	for (;;) {
		uint64_t call =
			open_call(h, CALL_API, NULL, UINT64_MAX, STR_NONE);

		for (size_t n = 0; n < 64; n++)
			say_chunk(h, MSG_CALL_BODY, call,
				str_n(bytes, sizeof(bytes)));
		say_chunk(h, MSG_CALL_CANCEL, call, STR_NONE);
		publish(h);
	}
}

/* Calls that are answered; it never reads that. */
LIE(calls_without_end)
{
	for (;;) {
		open_call(h, CALL_API, NULL, 10, STR_NONE);
		publish(h);
	}
}

/* The pages are gone under both sides: all is zero. */
LIE(punch)
{
	honest(h);
	check(fallocate(h->link.fd[LINK_FD_MEM],
		      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      (off_t)h->link.size) == 0);
	doorbell_ring(&h->link.store_bell);
	/* The flag is zero, too. */
	check(write(h->link.store_bell.fd, "", 1) == 1);
}

const struct attack lies[] = {
	{"garbage", garbage},
	{"tail-odd", tail_odd},
	{"tail-beyond", tail_beyond},
	{"tail-back", tail_back},
	{"length-zero", length_zero},
	{"length-huge", length_huge},
	{"length-past-tail", length_past_tail},
	{"filler", filler},
	{"type-unknown", type_unknown},
	{"type-of-the-store", type_of_the_store},
	{"head-short", head_short},
	{"head-long", head_long},
	{"call-zero", call_zero},
	{"call-twice", call_twice},
	{"kind-zero", kind_zero},
	{"kind-unknown", kind_unknown},
	{"end-early", end_early},
	{"body-long", body_long},
	{"end-twice", end_twice},
	{"body-after-end", body_after_end},
	{"seen-no-delivery", seen_no_delivery},
	{"credit-overflow", credit_overflow},
	{"upload-beyond-its-window", upload_beyond_its_window},
	{"reply-head", reply_head},
	{"change-head", change_head},
	{"deaf", deaf},
	{"calls-without-end", calls_without_end},
	{"punch", punch},
	{0},
};
