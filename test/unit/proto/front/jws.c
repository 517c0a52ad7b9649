/*
 * A JMAP WebSocket's handshake and what is pushed to it.
 */
#include "test/unit/proto/front/fake.h"

#include "core/base/types.h"

#define ENABLE "{\"@type\":\"WebSocketPushEnable\"}"
#define DISABLE "{\"@type\":\"WebSocketPushDisable\"}"

static void a_handshake_without_credentials_is_401(void **state)
{
	struct fake_stream *fs =
		request(*state, (struct ask){.path = "/jmap/ws",
					.websocket = true,
					.subprotocol = "jmap"});

	assert_int_equal(fs->status, 401);
	assert_true(has_field(fs, "WWW-Authenticate: Basic"));
	done(fs);
}

static void a_refused_login_is_401_and_no_websocket(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/ws",
				   .websocket = true,
				   .authorization = BASIC_ALICE});

	assert_false(fs->head);
	answer(&w->fb, 0, 401, "");
	assert_int_equal(fs->status, 401);
	assert_int_equal(front_websockets(w->f), 0);
	done(fs);
}

static void the_subprotocol_is_echoed_only_when_offered(void **state)
{
	struct world *w = *state;
	struct fake_stream *with =
		request(w, (struct ask){.path = "/jmap/ws",
				   .websocket = true,
				   .subprotocol = "mqtt, jmap",
				   .authorization = BASIC_ALICE});
	struct fake_stream *without =
		request(w, (struct ask){.path = "/jmap/ws",
				   .websocket = true,
				   .authorization = BASIC_ALICE});

	answer_login(&w->fb, 0, 7, 1);
	assert_true(with->tunnel && without->tunnel);
	assert_true(has_field(with, "Sec-WebSocket-Protocol: jmap\n"));
	assert_true(has_field(
		with, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"));
	assert_false(has_field(without, "Sec-WebSocket-Protocol"));
	done(with);
	done(without);
}

static void a_client_that_leaves_before_its_login_is_forgotten(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/ws",
				   .websocket = true,
				   .authorization = BASIC_ALICE});

	done(fs);
	answer_login(&w->fb, 0, 7, 1);
	assert_int_equal(front_websockets(w->f), 0);
}

static void change(
	struct world *w, uint64_t account, uint64_t modseq, unsigned types)
{
	struct push_notice n = {.account = account,
		.modseq = modseq,
		.generation = 1,
		.types = (uint16_t)types};

	push_notice(w->hub, &n);
	turn(w);
}

static void baseline(struct world *w, uint64_t account)
{
	struct push_notice n = {.account = account,
		.modseq = 1,
		.generation = 1,
		.types = TYPE_ALL,
		.baseline = true,
		.baseline_end = true};

	push_notice(w->hub, &n);
	turn(w);
}

static void a_change_is_pushed_once_enabled_and_not_before(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ws_of(w, 7, 1);

	change(w, 7, 2, TYPE_BIT(TYPE_EMAIL));
	assert_silent(fs);
	tell(fs, ENABLE);
	assert_int_equal(w->fb.watches, 1);
	baseline(w, 7);
	assert_silent(fs);
	change(w, 7, 3, TYPE_BIT(TYPE_EMAIL));
	assert_heard_parts(fs, "\"@type\":\"StateChange\"",
		"\"Email\":", "\"pushState\":");
	assert_silent(fs);
	done(fs);
	assert_int_equal(w->fb.unwatches, 1);
}

static void enable_disable_enable_works(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ws_of(w, 7, 1);

	tell(fs, ENABLE);
	baseline(w, 7);
	tell(fs, DISABLE);
	assert_int_equal(w->fb.unwatches, 1);
	change(w, 7, 3, TYPE_BIT(TYPE_EMAIL));
	assert_silent(fs);
	tell(fs, DISABLE);
	tell(fs, ENABLE);
	assert_int_equal(w->fb.watches, 2);
	baseline(w, 7);
	change(w, 7, 4, TYPE_BIT(TYPE_EMAIL));
	assert_heard_parts(fs, "StateChange", NULL, NULL);
	done(fs);
}

static void a_second_enable_replaces_the_types_of_the_first(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ws_of(w, 7, 1);

	tell(fs, "{\"@type\":\"WebSocketPushEnable\","
		 "\"dataTypes\":[\"Email\"]}");
	baseline(w, 7);
	change(w, 7, 3, TYPE_BIT(TYPE_MAILBOX));
	assert_silent(fs);
	tell(fs, "{\"@type\":\"WebSocketPushEnable\","
		 "\"dataTypes\":[\"Mailbox\"]}");
	assert_int_equal(w->fb.watches, 1);
	change(w, 7, 4, TYPE_BIT(TYPE_MAILBOX) | TYPE_BIT(TYPE_EMAIL));
	assert_heard_parts(fs, "\"Mailbox\":", NULL, NULL);
	assert_silent(fs);
	done(fs);
}

static void only_unknown_types_are_no_type_at_all(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ws_of(w, 7, 1);

	tell(fs, "{\"@type\":\"WebSocketPushEnable\","
		 "\"dataTypes\":[\"Nonsense\"]}");
	assert_silent(fs);
	baseline(w, 7);
	change(w, 7, 3, TYPE_ALL);
	assert_silent(fs);
	done(fs);
}

static void a_wrong_enable_is_not_a_request(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ws_of(w, 7, 1);

	tell(fs, "{\"@type\":\"WebSocketPushEnable\",\"dataTypes\":\"Email\"}");
	assert_heard_parts(fs, "\"@type\":\"RequestError\"",
		"urn:ietf:params:jmap:error:notRequest", NULL);
	assert_int_equal(w->fb.watches, 0);
	done(fs);
}

static void the_token_of_a_push_resumes_on_another_socket(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = ws_of(w, 7, 1), *b;
	struct buf m cleanup(buf_fini) = {0}, enable cleanup(buf_fini) = {0};
	unsigned opcode;
	const char *token;

	tell(a, ENABLE);
	baseline(w, 7);
	change(w, 7, 5, TYPE_BIT(TYPE_EMAIL));
	assert_true(next_frame(a, &opcode, &m));
	token = strstr(buf_z(&m), "\"pushState\":");
	assert_non_null(token);
	buf_addz(&enable, "{\"@type\":\"WebSocketPushEnable\",");
	buf_addz(&enable, token); /* ends the object, too */
	change(w, 7, 6, TYPE_BIT(TYPE_MAILBOX));
	assert_heard_parts(a, "\"Mailbox\":", NULL, NULL);
	b = ws_of(w, 7, 1);
	tell(b, buf_z(&enable));
	turn(w);
	assert_true(next_frame(b, &opcode, &m));
	assert_non_null(strstr(buf_z(&m), "\"Mailbox\":"));
	assert_null(strstr(buf_z(&m), "\"Email\":"));
	done(a);
	done(b);
}

static void nothing_is_pushed_behind_unsent_bytes(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ws_of(w, 7, 1);

	tell(fs, ENABLE);
	baseline(w, 7);
	fs->unsent = 1;
	change(w, 7, 3, TYPE_BIT(TYPE_EMAIL));
	change(w, 7, 4, TYPE_BIT(TYPE_THREAD));
	assert_silent(fs);
	fs->unsent = 0;
	fs->s.ops->on_room(&fs->s);
	turn(w);
	assert_heard_parts(fs, "\"Email\":", "\"Thread\":", NULL);
	assert_silent(fs);
	done(fs);
}

static void the_window_is_ws_throttle(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ws_of(w, 7, 1);

	w->conf.ws_throttle = 3600000;
	tell(fs, ENABLE);
	baseline(w, 7);
	change(w, 7, 3, TYPE_BIT(TYPE_EMAIL));
	assert_heard_parts(fs, "\"Email\":", NULL, NULL);
	change(w, 7, 4, TYPE_BIT(TYPE_EMAIL));
	assert_silent(fs);
	w->conf.ws_throttle = 0;
	front_reconfigure(w->f);
	turn(w);
	assert_heard_parts(fs, "\"Email\":", NULL, NULL);
	done(fs);
}

static void many_sockets_of_an_account_share_its_watch(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs[10];

	for (size_t i = 0; i < countof(fs); i++) {
		fs[i] = ws_of(w, 7, 1);
		tell(fs[i], ENABLE);
	}
	assert_int_equal(front_websockets(w->f), 10);
	assert_int_equal(w->fb.watches, 1);
	baseline(w, 7);
	change(w, 7, 3, TYPE_BIT(TYPE_EMAIL));
	for (size_t i = 0; i < countof(fs); i++) {
		assert_heard_parts(fs[i], "\"Email\":", NULL, NULL);
		assert_int_equal(w->fb.unwatches, 0);
		done(fs[i]);
	}
	assert_int_equal(w->fb.unwatches, 1);
	assert_int_equal(front_websockets(w->f), 0);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_handshake_without_credentials_is_401),
		T(a_refused_login_is_401_and_no_websocket),
		T(the_subprotocol_is_echoed_only_when_offered),
		T(a_client_that_leaves_before_its_login_is_forgotten),
		T(a_change_is_pushed_once_enabled_and_not_before),
		T(enable_disable_enable_works),
		T(a_second_enable_replaces_the_types_of_the_first),
		T(only_unknown_types_are_no_type_at_all),
		T(a_wrong_enable_is_not_a_request),
		T(the_token_of_a_push_resumes_on_another_socket),
		T(nothing_is_pushed_behind_unsent_bytes),
		T(the_window_is_ws_throttle),
		T(many_sockets_of_an_account_share_its_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
