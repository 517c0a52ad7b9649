/*
 * What a client sends over a WebSocket or to the API: the scanner of the worker,
 * then the engine on a real store. Whatever it is, the answer is JSON within the
 * limits and says what RFC 8620 3.4 or 3.6.1 have it say, and the account stays
 * sound: what is counted is what is there.
 *
 * "@-" in the input stands for the begin of the account's state strings, "@B" for
 * the blobId of a message: what an input cannot know.
 */
#include <stdio.h>
#include <unistd.h>
#include <urcu.h>

#include "conf/conf.h"
#include "core/mime/mime.h"
#include "proto/front/push_enable.h"
#include "proto/jmap/engine.h"
#include "proto/jmap/json.h"
#include "proto/jmap/scan.h"
#include "test/fuzz/fuzz.h"

#define RESPONSE_MAX 1000000 /* bytes */
#define WRITES_MAX 500	     /* then a new account, so that inputs stay cheap */

static struct world {
	char dir[64];
	struct store *store;
	struct account *account;
	uint64_t id;
	unsigned writes;
	char generation[16], blob[128];
} world;

static void on_writing(struct jmap_call *c)
{
	(void)c;
	world.writes++;
}

static struct jmap_call call_of(bool websocket)
{
	return (struct jmap_call){.store = world.store,
		.account = world.account,
		.account_no = world.id,
		.user = "alice@example.org",
		.websocket = websocket,
		.writable = true,
		.writing = on_writing};
}

static void deliver(unsigned i)
{
	struct buf raw cleanup(buf_fini) = {0};
	struct err e = {0};
	struct tx *t;

	buf_fmt(&raw,
		"From: Bob <bob@example.net>\r\nTo: alice@example.org\r\n"
		"Subject: %smessage %u\r\nMessage-ID: <m%u@example.net>\r\n"
		"In-Reply-To: <m%u@example.net>\r\n"
		"Date: Tue, 24 Nov 2026 06:08:49 +0100\r\n"
		"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
		"--x\r\n\r\nHello w\xc3\xb6rld %u.\r\n--x\r\n"
		"Content-Type: text/html\r\n\r\n<b>bold</b>\r\n--x\r\n"
		"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nside"
		"\r\n--x--\r\n",
		i & 1 ? "Re: " : "", i / 2, i, i & 1 ? i - 1 : 99, i);
	check(tx_begin(world.account, TX_WRITE, &t, &e) == 0);
	check(jmap_deliver(t, buf_str(&raw), 1790000000000 + i, &e) == 0);
	check(tx_commit(t, &e) == 0);
	tx_end(t);
}

static struct json_object *member(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;

	json_object_object_get_ex(o, name, &v);
	return v;
}

/* The arguments of the only response. */
static struct json_object *ask(struct buf *out, const char *text)
{
	struct jmap_call c = call_of(false);
	const char *why;
	struct json_object *o;

	check(jmap_run(&c, str_of(text), out) == 200);
	o = json_parse(buf_str(out), &why);
	check(o);
	return o;
}

static struct json_object *arguments(struct json_object *answer)
{
	struct json_object *o = member(answer, "methodResponses");

	return json_object_array_get_idx(json_object_array_get_idx(o, 0), 1);
}

#define USING                                        \
	"{\"using\":[\"urn:ietf:params:jmap:core\"," \
	"\"urn:ietf:params:jmap:mail\"],\"methodCalls\":"

static void learn(void)
{
	struct buf out cleanup(buf_fini) = {0};
	struct json_object *answer = ask(&out,
		USING "[[\"Email/get\",{\"accountId\":\"u1\",\"ids\":[\"e1\"],"
		      "\"properties\":[\"blobId\"]},\"0\"]]}");
	struct json_object *o = arguments(answer), *list = member(o, "list");
	const char *state = json_object_get_string(member(o, "state"));

	check(list && json_object_array_length(list) == 1);
	o = member(json_object_array_get_idx(list, 0), "blobId");
	snprintf(world.blob, sizeof(world.blob), "%s",
		json_object_get_string(o));
	snprintf(world.generation, sizeof(world.generation), "%.*s",
		(int)strcspn(state, "-"), state);
	json_free(answer);
}

static void world_begin(void)
{
	const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
	struct err e = {0};

	snprintf(world.dir, sizeof(world.dir), "%s/jmap-fuzz-XXXXXX", base);
	check(mkdtemp(world.dir));
	check(store_open(world.dir, 8, NULL, &world.store, &e) == 0);
	check(dir_add(world.store, STR("alice@example.org"), STR_NONE,
		      &world.id, &e) == 0);
	check(account_get(world.store, world.id, &world.account, &e) == 0);
	for (unsigned i = 0; i < 6; i++)
		deliver(i);
	learn();
	world.writes = 0;
}

static void world_end(void)
{
	char cmd[128];

	if (!world.store)
		return;
	account_put(world.account);
	store_close(world.store);
	world.store = NULL;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", world.dir);
	check(system(cmd) == 0);
}

static void setup(void)
{
	static struct conf conf;

	rcu_register_thread();
	mime_setup();
	conf_defaults(&conf);
	conf.max_size_response = RESPONSE_MAX;
	conf_swap(&conf, false);
	check(atexit(world_end) == 0);
}

static void expand(struct buf *b, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '@' && i + 1 < n && p[i + 1] == '-')
			buf_addz(b, world.generation);
		else if (p[i] == '@' && i + 1 < n && p[i + 1] == 'B')
			buf_addz(b, world.blob), i++;
		else
			buf_addc(b, (char)p[i]);
	}
}

/* ---- what holds ------------------------------------------------------------------ */

static void judge(unsigned status, struct str answer)
{
	const char *why = NULL;
	struct json_object *o = json_parse(answer, &why);
	struct json_object *list;

	/* json-c takes no name with U+0000 in it; an id may be one. */
	if (!o && memmem(answer.p, answer.n, "\\u0000", 6))
		return;
	check(o && json_object_is_type(o, json_type_object));
	check(answer.n <= RESPONSE_MAX);
	if (status != 200) {
		check(status >= 400 && status < 600);
		check(member(o, "type") && member(o, "status"));
	} else {
		list = member(o, "methodResponses");
		check(json_object_is_type(list, json_type_array));
		for (size_t i = 0; i < json_object_array_length(list); i++)
			check(json_object_array_length(
				      json_object_array_get_idx(list, i)) == 3);
		check(member(o, "sessionState"));
	}
	json_free(o);
}

/* All Emails are told, and each mailbox counts as many as are in it. */
static void count(void)
{
	struct buf out cleanup(buf_fini) = {0}, sums cleanup(buf_fini) = {0};
	struct json_object *boxes =
		ask(&out, USING "[[\"Mailbox/get\",{\"accountId\":\"u1\","
				"\"properties\":[\"totalEmails\"]},\"0\"]]}");
	struct json_object *list = member(arguments(boxes), "list");

	if (json_object_array_length(list) > 40) /* dear to count from now on */
		world.writes = WRITES_MAX + 1;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *m = json_object_array_get_idx(list, i);
		struct buf text cleanup(buf_fini) = {0};
		struct json_object *answer;

		buf_fmt(&text,
			USING "[[\"Email/query\",{\"accountId\":\"u1\","
			      "\"filter\":{\"inMailbox\":\"%s\","
			      "\"minSize\":0},\"calculateTotal\":true,"
			      "\"limit\":0},\"0\"]]}",
			json_object_get_string(member(m, "id")));
		buf_reset(&sums);
		answer = ask(&sums, buf_z(&text));
		check(json_object_get_int64(
			      member(arguments(answer), "total")) ==
			json_object_get_int64(member(m, "totalEmails")));
		json_free(answer);
	}
	json_free(boxes);
}

static void run(struct str text, bool websocket, const struct scan *scan)
{
	struct buf out cleanup(buf_fini) = {0};
	struct jmap_call c = call_of(websocket);
	unsigned before = world.writes;

	c.writable = scan->writes;
	judge(jmap_run(&c, text, &out), buf_str(&out));
	check(scan->writes || world.writes == before);
	if (world.writes != before)
		count();
}

/* The first byte says over what it comes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a cleanup(arena_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};
	struct push_wish wish;
	struct scan scan;
	struct str text;
	static bool once;

	if (!once)
		setup();
	once = true;
	if (!world.store || world.writes > WRITES_MAX) {
		world_end();
		world_begin();
	}
	if (n == 0)
		return 0;
	expand(&b, data + 1, n - 1);
	text = fuzz_exact(b.p, b.n);
	scan_json(text, &a, &scan);
	if (scan.valid && scan.object && scan.kind == SCAN_PUSH_ENABLE)
		push_wish_read(text, &a, &wish);
	else if (scan.valid)
		run(text, data[0] == 'w', &scan);
	free((char *)text.p);
	return 0;
}
