#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "test/fault/hostile/hostile.h"

#define PATIENCE_MS 20000

uint64_t now_ms(void)
{
	return clock_mono_ms();
}

void nap(void)
{
	struct timespec ms = {.tv_nsec = 1000000};

	nanosleep(&ms, NULL);
}

struct str word_of(struct str *args)
{
	struct str word = STR_NONE;

	if (!str_cut(args, ' ', &word)) {
		word = *args;
		*args = STR_NONE;
	}
	check(word.n > 0);
	return word;
}

uint64_t number_of(struct str *args)
{
	uint64_t n;

	check(str_u64(word_of(args), &n));
	return n;
}

void put(struct hostile *h, uint16_t type, const void *head, size_t head_n,
	struct str rest)
{
	struct iovec v[2] = {{(void *)(uintptr_t)head, head_n},
		{(void *)(uintptr_t)rest.p, rest.n}};
	uint64_t end = now_ms() + PATIENCE_MS;
	int ret;

	while ((ret = ring_put(&h->link.calls, type, v, 2)) == 0) {
		publish(h);
		nap();
		check(now_ms() < end);
	}
	check(ret == 1);
}

void publish(struct hostile *h)
{
	ring_publish(&h->link.calls);
	doorbell_ring(&h->link.store_bell);
}

uint64_t open_call(struct hostile *h, enum call_kind kind,
	const struct login *who, uint64_t body_len, struct str head)
{
	struct msg_call m = {
		.call = ++h->calls,
		.body_len = body_len,
		.kind = kind,
		.flags = CALL_F_WRITES,
	};

	if (who)
		m.login = *who;
	put(h, MSG_CALL, &m, sizeof(m), head);
	return m.call;
}

void say_chunk(struct hostile *h, uint16_t type, uint64_t call, struct str s)
{
	struct msg_chunk m = {.call = call};

	put(h, type, &m, sizeof(m), s);
}

void say_credit(struct hostile *h, uint64_t call, uint64_t bytes)
{
	struct msg_credit m = {.call = call, .bytes = bytes};

	put(h, MSG_REPLY_CREDIT, &m, sizeof(m), STR_NONE);
	publish(h);
}

static bool take_reply(struct hostile *h, uint16_t *type, struct buf *rec)
{
	int ret = ring_take(&h->link.replies, type, rec, LINK_REPLIES);

	check(ret >= 0);
	if (ret == 1 && ring_release(&h->link.replies))
		doorbell_ring(&h->link.store_bell);
	return ret == 1;
}

size_t take_replies(struct hostile *h)
{
	struct buf rec cleanup(buf_fini) = {0};
	uint16_t type;
	size_t n = 0;

	while (take_reply(h, &type, &rec)) {
		buf_reset(&rec);
		n++;
	}
	return n;
}

/* True when this ends the answer. */
static bool take_part(struct hostile *h, uint16_t type, struct str rec,
	uint64_t call, unsigned *status, struct buf *body)
{
	struct msg_reply m = {0};
	struct msg_chunk c = {0};
	struct str rest = STR_NONE;

	if (type == MSG_REPLY) {
		check(msg_split(type, rec, &m, sizeof(m), &rest));
		c.call = m.call;
	} else if (type == MSG_REPLY_BODY || type == MSG_REPLY_END) {
		check(msg_split(type, rec, &c, sizeof(c), &rest));
	}
	if (c.call != call)
		return false;
	if (m.status)
		*status = m.status;
	if (body)
		buf_adds(body, rest);
	if (type == MSG_REPLY_BODY)
		say_credit(h, call, rest.n);
	return m.last || type == MSG_REPLY_END;
}

unsigned answer_to(struct hostile *h, uint64_t call, struct buf *body)
{
	struct buf rec cleanup(buf_fini) = {0};
	uint64_t end = now_ms() + PATIENCE_MS;
	unsigned status = 0;
	uint16_t type;

	publish(h);
	for (;;) {
		buf_reset(&rec);
		if (!take_reply(h, &type, &rec)) {
			nap();
			check(now_ms() < end);
		} else if (take_part(h, type, buf_str(&rec), call, &status,
				   body)) {
			return status;
		}
	}
}

static uint64_t say_whole(struct hostile *h, enum call_kind kind,
	const struct login *who, struct str head, struct str body)
{
	uint64_t call = open_call(h, kind, who, body.n, head);

	while (body.n) {
		struct str part =
			str_n(body.p, min_of(body.n, (size_t)MSG_CHUNK));

		say_chunk(h, MSG_CALL_BODY, call, part);
		body = str_skip(body, part.n);
	}
	say_chunk(h, MSG_CALL_END, call, STR_NONE);
	return call;
}

unsigned ask(struct hostile *h, enum call_kind kind, const struct login *who,
	struct str head, struct str body, struct buf *answer)
{
	return answer_to(h, say_whole(h, kind, who, head, body), answer);
}

void say_echo(struct hostile *h, const struct login *who, size_t bytes)
{
	struct buf body cleanup(buf_fini) = {0};

	buf_addz(&body, "{\"using\":[\"urn:ietf:params:jmap:core\"],"
			"\"methodCalls\":[[\"Core/echo\",{\"x\":\"");
	memset(buf_room(&body, bytes), 'x', bytes);
	body.n += bytes;
	buf_addz(&body, "\"},\"e\"]]}");
	say_whole(h, CALL_API, who, STR_NONE, buf_str(&body));
}

struct login log_in(struct hostile *h, struct str token)
{
	static const struct call_from nowhere;
	struct buf head cleanup(buf_fini) = {0};
	struct buf answer cleanup(buf_fini) = {0};
	struct login who;

	buf_add(&head, &nowhere, sizeof(nowhere));
	buf_add(&head, "bearer", 7);
	buf_adds(&head, token);
	check(ask(h, CALL_LOGIN, NULL, buf_str(&head), STR_NONE, &answer) ==
		200);
	check(answer.n >= sizeof(who));
	memcpy(&who, answer.p, sizeof(who));
	return who;
}
