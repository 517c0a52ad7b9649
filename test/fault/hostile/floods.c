/*
 * More than anybody wants, each rule kept. The store bounds what it holds, and
 * serves others meanwhile. "MS" is how long it goes on; "done" says how much it was.
 */
#include <string.h>
#include <unistd.h>

#include "test/fault/hostile/hostile.h"

#define FLOOD(name) \
	static void name(struct hostile *h, struct str args, struct buf *out)

/* "small-calls MS": as many as are answered. */
FLOOD(small_calls)
{
	uint64_t end = now_ms() + number_of(&args), answers = 0;

	while (now_ms() < end) {
		for (int i = 0; i < 256; i++)
			say_chunk(h, MSG_CALL_END,
				open_call(h, CALL_RCPT, NULL, 0,
					STR("nobody@example.org")),
				STR_NONE);
		publish(h);
		answers += take_replies(h);
	}
	buf_fmt(out, " %llu", (unsigned long long)answers);
}

/* "recipients MS ADDRESS": deliveries to as many as one may have. */
FLOOD(recipients)
{
	uint64_t end = now_ms() + number_of(&args), n = 0;
	struct str to = word_of(&args);
	struct buf head cleanup(buf_fini) = {0};

	buf_add(&head, "\0sender@example.net\0", 20);
	for (int i = 0; i < 1000; i++) {
		buf_adds(&head, to);
		buf_addc(&head, '\0');
	}
	for (; now_ms() < end; n++) {
		say_chunk(h, MSG_CALL_END,
			open_call(h, CALL_DELIVER, NULL, 0, buf_str(&head)),
			STR_NONE);
		publish(h);
		take_replies(h);
	}
	buf_fmt(out, " %llu", (unsigned long long)n);
}

/* "unwatches MS ACCOUNT": its write turn is others', too. */
FLOOD(unwatches)
{
	uint64_t end = now_ms() + number_of(&args), n = 0;
	struct msg_subscribe m = {.login.account = number_of(&args)};

	for (; now_ms() < end; n++) {
		put(h, MSG_UNSUBSCRIBE, &m, sizeof(m), STR_NONE);
		publish(h);
	}
	buf_fmt(out, " %llu", (unsigned long long)n);
}

/* "rings MS": it wakes the store for nothing. */
FLOOD(rings)
{
	uint64_t end = now_ms() + number_of(&args);
	char bytes[4096] = {0};

	while (now_ms() < end)
		(void)!write(h->link.store_bell.fd, bytes, sizeof(bytes));
}

static void fill(struct hostile *h, uint64_t call, uint64_t bytes)
{
	static char chunk[MSG_CHUNK];

	for (uint64_t n = 0; n < bytes; n += sizeof(chunk))
		say_chunk(h, MSG_CALL_BODY, call, str_n(chunk, sizeof(chunk)));
}

/* "big-call MB": as is said before, and as is not. */
FLOOD(big_call)
{
	uint64_t bytes = number_of(&args) << 20, call;

	call = open_call(h, CALL_API, NULL, bytes, STR_NONE);
	fill(h, call, bytes);
	buf_fmt(out, " said=%u", answer_to(h, call, NULL));
	call = open_call(h, CALL_API, NULL, UINT64_MAX, STR_NONE);
	fill(h, call, bytes);
	buf_fmt(out, " unsaid=%u", answer_to(h, call, NULL));
}

/* "bodies MB": of 8 MB each, none of which ends. */
FLOOD(bodies)
{
	uint64_t bytes = number_of(&args) << 20, each = 8 << 20;

	for (uint64_t n = 0; n < bytes; n += each) {
		fill(h, open_call(h, CALL_API, NULL, UINT64_MAX, STR_NONE),
			each);
		publish(h);
		take_replies(h);
	}
	buf_fmt(out, " rcpt=%u",
		ask(h, CALL_RCPT, NULL, STR("nobody@example.org"), STR_NONE,
			NULL));
}

/* "uploads N TOKEN": as much of each as may come uncredited; none ends. */
FLOOD(uploads)
{
	uint64_t n = number_of(&args);
	struct login who = log_in(h, word_of(&args));

	while (n--) {
		fill(h, open_call(h, CALL_UPLOAD, &who, UINT64_MAX, STR("x/y")),
			MSG_WINDOW);
		publish(h);
		take_replies(h);
	}
	buf_fmt(out, " rcpt=%u",
		ask(h, CALL_RCPT, NULL, STR("nobody@example.org"), STR_NONE,
			NULL));
}

/* "downloads N TOKEN BLOB": begun, and never credited; nothing is taken. */
FLOOD(downloads)
{
	uint64_t n = number_of(&args);
	struct login who = log_in(h, word_of(&args));
	struct call_range all = {0};
	struct buf head cleanup(buf_fini) = {0};

	buf_add(&head, &all, sizeof(all));
	buf_adds(&head, word_of(&args));
	while (n--)
		say_chunk(h, MSG_CALL_END,
			open_call(h, CALL_DOWNLOAD, &who, 0, buf_str(&head)),
			STR_NONE);
	publish(h);
	while (atomic_load(&h->link.calls.shm->head) != h->link.calls.mine)
		nap();
}

/* "answers N KB TOKEN": echoes of so many KB, of which nothing is taken. */
FLOOD(answers)
{
	uint64_t n = number_of(&args), bytes = number_of(&args) << 10;
	struct login who = log_in(h, word_of(&args));

	while (n--)
		say_echo(h, &who, bytes);
	publish(h);
	while (atomic_load(&h->link.calls.shm->head) != h->link.calls.mine)
		nap();
}

const struct attack floods[] = {
	{"small-calls", small_calls},
	{"recipients", recipients},
	{"unwatches", unwatches},
	{"rings", rings},
	{"big-call", big_call},
	{"bodies", bodies},
	{"uploads", uploads},
	{"downloads", downloads},
	{"answers", answers},
	{0},
};
