/*
 * Well-formed calls that this worker has no right to. Each answer is reported: the
 * test says what it has to be.
 */
#include <string.h>

#include "test/fault/hostile/hostile.h"

#define CLAIM(name) \
	static void name(struct hostile *h, struct str args, struct buf *out)

#define CALLS                                        \
	"\"using\":[\"urn:ietf:params:jmap:core\"]," \
	"\"methodCalls\":[[\"Core/echo\",{},\"e\"]]}"

static void add_hex(struct buf *out, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fmt(out, "%02x", ((const unsigned char *)p)[i]);
}

static struct login read_hex(struct str s)
{
	struct login who;
	unsigned char *to = (unsigned char *)&who;

	check(s.n == 2 * sizeof(who));
	for (size_t i = 0; i < s.n; i++) {
		int c = s.p[i], v = c <= '9' ? c - '0' : c - 'a' + 10;

		check(v >= 0 && v < 16);
		to[i / 2] = (unsigned char)(i % 2 ? to[i / 2] << 4 | v : v);
	}
	return who;
}

/* "login TOKEN": the handle. */
CLAIM(login)
{
	struct login who = log_in(h, word_of(&args));

	buf_addc(out, ' ');
	add_hex(out, &who, sizeof(who));
}

/* Each kind of call that needs a login. */
static void try_all(struct hostile *h, const struct login *who, struct buf *out)
{
	static const struct call_range all;
	static const char blob[] = "B0";
	char range[sizeof(all) + sizeof(blob)];

	memcpy(range, &all, sizeof(all));
	memcpy(range + sizeof(all), blob, sizeof(blob));
	buf_fmt(out, " session=%u",
		ask(h, CALL_SESSION, who, STR_NONE, STR_NONE, NULL));
	buf_fmt(out, " api=%u",
		ask(h, CALL_API, who, STR_NONE, STR("{" CALLS), NULL));
	buf_fmt(out, " ws=%u",
		ask(h, CALL_API_WS, who, STR_NONE,
			STR("{\"@type\":\"Request\"," CALLS), NULL));
	buf_fmt(out, " upload=%u",
		ask(h, CALL_UPLOAD, who, STR("x/y"), STR("bytes"), NULL));
	buf_fmt(out, " download=%u",
		ask(h, CALL_DOWNLOAD, who, str_n(range, sizeof(range) - 1),
			STR_NONE, NULL));
}

static void watch(struct hostile *h, const struct login *who)
{
	struct msg_subscribe m = {.login = *who};

	put(h, MSG_SUBSCRIBE, &m, sizeof(m), STR_NONE);
	publish(h);
}

/* "claim HANDLE": what a handle is good for, and watches with it. */
CLAIM(claim)
{
	struct login who = read_hex(word_of(&args));

	try_all(h, &who, out);
	watch(h, &who);
}

/* "forge TOKEN ACCOUNT": a true handle, changed in each of its parts. */
CLAIM(forge)
{
	struct login mine = log_in(h, word_of(&args)), forged[6];
	uint64_t victim = number_of(&args);

	for (size_t i = 0; i < countof(forged); i++)
		forged[i] = mine;
	forged[0].account = victim;
	forged[1].worker = 0;
	forged[2].version++;
	forged[3].mac[15] ^= 1;
	forged[4] = (struct login){.account = victim,
		.worker = mine.worker,
		.version = mine.version};
	memset(&forged[5], 0xff, sizeof(forged[5]));
	for (size_t i = 0; i < countof(forged); i++) {
		try_all(h, &forged[i], out);
		watch(h, &forged[i]);
	}
}

/* "unwatch ACCOUNT": that somebody else watches. */
CLAIM(unwatch)
{
	struct msg_subscribe m = {.login.account = number_of(&args)};

	for (int i = 0; i < 100; i++)
		put(h, MSG_UNSUBSCRIBE, &m, sizeof(m), STR_NONE);
	publish(h);
}

/* What came over the change ring: accounts. An answer says that all before it was
 * read; what it led to was done in the account's turn, which the test has waited
 * for. */
CLAIM(notices)
{
	struct notice n;

	ask(h, CALL_RCPT, NULL, STR("a@example.org"), STR_NONE, NULL);
	while (notice_get(&h->link.notices, &n) == 1)
		buf_fmt(out, " %llu", (unsigned long long)n.account);
}

/* About calls that were never begun, or are over: nobody knows whether that is a
 * lie. */
CLAIM(unknown)
{
	for (uint64_t id = 1000000; id < 1000300; id++) {
		say_chunk(
			h, MSG_CALL_BODY, id, STR("bytes of an earlier life"));
		say_chunk(h, MSG_CALL_END, id, STR_NONE);
		say_chunk(h, MSG_CALL_SEEN, id, STR_NONE);
		say_chunk(h, MSG_CALL_CANCEL, id, STR_NONE);
		say_credit(h, id, UINT64_MAX);
	}
	buf_fmt(out, " rcpt=%u",
		ask(h, CALL_RCPT, NULL, STR("nobody@example.org"), STR_NONE,
			NULL));
}

const struct attack claims[] = {
	{"login", login},
	{"claim", claim},
	{"forge", forge},
	{"unwatch", unwatch},
	{"notices", notices},
	{"unknown", unknown},
	{0},
};
