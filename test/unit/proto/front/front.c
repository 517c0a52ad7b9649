/*
 * Paths and methods, health, revocation, drain.
 */
#include "test/unit/proto/front/fake.h"

static unsigned status_of(struct world *w, const char *method, const char *path)
{
	struct fake_stream *fs =
		request(w, (struct ask){.method = method, .path = path});
	unsigned status = fs->status;

	done(fs);
	return status;
}

static void an_unknown_path_is_404(void **state)
{
	static const char *const paths[] = {"/", "/jmap", "/jmap/",
		"/jmap/api/", "/jmap/upload/", "/jmap/download/", "/healthz/",
		"/jmap/session2", "//jmap/session"};

	for (size_t i = 0; i < countof(paths); i++)
		assert_int_equal(status_of(*state, "GET", paths[i]), 404);
	assert_int_equal(status_of(*state, "POST", "/"), 404);
}

static void a_wrong_method_is_405_with_allow(void **state)
{
	static const struct {
		const char *method, *path, *allow;
	} t[] = {
		{"POST", "/jmap/session", "Allow: GET, HEAD\n"},
		{"DELETE", "/.well-known/jmap", "Allow: GET, HEAD\n"},
		{"GET", "/jmap/api", "Allow: POST\n"},
		{"get", "/healthz", "Allow: GET, HEAD\n"},
		{"POST", "/jmap/ws", "Allow: GET\n"},
		{"GET", "/jmap/upload/u1/", "Allow: POST\n"},
		{"POST", "/jmap/download/u1/b/n", "Allow: GET, HEAD\n"},
	};

	for (size_t i = 0; i < countof(t); i++) {
		struct fake_stream *fs = request(*state,
			(struct ask){.method = t[i].method, .path = t[i].path});

		assert_int_equal(fs->status, 405);
		assert_true(has_field(fs, t[i].allow));
		done(fs);
	}
}

static void health_is_that_of_the_store(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = request(w, (struct ask){.path = "/healthz"});

	assert_int_equal(fs->status, 200);
	assert_string_equal(buf_z(&fs->out), "ok\n");
	done(fs);
	assert_int_equal(status_of(w, "HEAD", "/healthz"), 200);
	w->fb.ready = false;
	assert_int_equal(status_of(w, "GET", "/healthz"), 503);
	assert_int_equal(w->fb.n, 0);
}

static void a_websocket_path_without_upgrade_is_426(void **state)
{
	struct fake_stream *fs =
		request(*state, (struct ask){.path = "/jmap/ws/"});

	assert_int_equal(fs->status, 426);
	assert_true(has_field(fs, "Sec-WebSocket-Version: 13\n"));
	done(fs);
}

static void a_websocket_opens_on_each_of_its_paths(void **state)
{
	static const char *const paths[] = {
		"/", "/.well-known/jmap", "/jmap/ws", "/jmap/ws/"};
	struct world *w = *state;

	for (size_t i = 0; i < countof(paths); i++) {
		struct fake_stream *fs =
			request(w, (struct ask){.path = paths[i],
					   .websocket = true,
					   .subprotocol = "jmap",
					   .authorization = BASIC_ALICE});

		if (i == 0)
			answer_login(&w->fb, 0, 7, 1);
		assert_true(fs->tunnel);
		assert_true(has_field(fs, "Sec-WebSocket-Protocol: jmap\n"));
		assert_int_equal(front_websockets(w->f), 1);
		done(fs);
	}
	assert_int_equal(front_websockets(w->f), 0);
}

static void an_upgrade_elsewhere_is_an_ordinary_request(void **state)
{
	struct fake_stream *fs = request(
		*state, (struct ask){.path = "/healthz", .websocket = true});

	assert_int_equal(fs->status, 200);
	done(fs);
}

static void a_wrong_handshake_is_refused_before_the_login(void **state)
{
	static const struct {
		struct ask a;
		unsigned status;
	} t[] = {
		{{.path = "/jmap/ws", .websocket = true, .version = "8"}, 426},
		{{.path = "/jmap/ws", .websocket = true, .subprotocol = "mqtt"},
			400},
		{{.path = "/jmap/ws",
			 .websocket = true,
			 .origin = "https://evil.example"},
			403},
		{{.path = "/jmap/ws", .websocket = true, .method = "POST"},
			405},
	};
	struct world *w = *state;

	for (size_t i = 0; i < countof(t); i++) {
		struct fake_stream *fs = request(w, t[i].a);

		assert_int_equal(fs->status, t[i].status);
		done(fs);
	}
	assert_int_equal(w->fb.n, 0);
}

static void the_echo_is_there_when_it_is_on(void **state)
{
	struct world *w = *state;
	struct ask a = {.path = "/jmap/ws-echo", .websocket = true};
	struct fake_stream *fs;

	assert_int_equal(status_of(w, "GET", "/jmap/ws-echo"), 404);
	assert_int_equal(status_of(w, "POST", "/jmap/ws-echo"), 404);
	w->conf.ws_echo = true;
	fs = request(w, a);
	assert_true(fs->tunnel);
	tell(fs, "hello");
	assert_heard(fs, "hello");
	done(fs);
}

static void a_revoked_request_whose_body_still_comes_is_401(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.method = "POST",
				   .path = "/jmap/api",
				   .type = "application/json",
				   .length = 100,
				   .authorization = BASIC_ALICE});

	answer_login(&w->fb, 0, 7, 1);
	front_revoke(w->f, 7, 1);
	front_revoke(w->f, 8, 9);
	assert_int_equal(fs->status, 0);
	front_revoke(w->f, 7, 2);
	assert_int_equal(fs->status, 401);
	assert_int_equal(fs->s.share->requests, 0);
	done(fs);
}

static void a_revoked_request_that_was_sent_is_the_stores(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/session",
				   .authorization = BASIC_ALICE});

	answer_login(&w->fb, 0, 7, 1);
	front_revoke(w->f, 7, 2);
	assert_int_equal(fs->status, 0);
	answer(&w->fb, 1, 200, "{}");
	assert_int_equal(fs->status, 200);
	done(fs);
}

static void revoking_closes_only_older_websockets_of_the_account(void **state)
{
	struct world *w = *state;
	struct fake_stream *old1 = ws_of(w, 7, 1), *old2 = ws_of(w, 7, 2);
	struct fake_stream *new = ws_of(w, 7, 3), *other = ws_of(w, 8, 1);

	tell(old1, "{\"@type\":\"WebSocketPushEnable\"}");
	assert_int_equal(w->fb.watches, 1);
	front_revoke(w->f, 7, 3);
	assert_closed(old1, 1008);
	assert_closed(old2, 1008);
	assert_silent(new);
	assert_silent(other);
	assert_int_equal(w->fb.unwatches, 1);
	done(old1);
	done(new);
	front_revoke(w->f, 7, UINT32_MAX); /* closing already */
	assert_silent(old2);
	done(old2);
	front_revoke(w->f, 7, UINT32_MAX); /* nobody */
	front_revoke(w->f, 8, UINT32_MAX);
	assert_closed(other, 1008);
	done(other);
}

static void an_account_stays_found_when_its_first_socket_leaves(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = ws_of(w, 7, 1), *b = ws_of(w, 7, 1);
	struct fake_stream *c = ws_of(w, 7, 1);

	done(a);
	done(c);
	front_revoke(w->f, 7, 2);
	assert_closed(b, 1008);
	done(b);
}

static void draining_closes_idle_websockets_and_refuses_new_ones(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = ws_of(w, 7, 1), *b = ws_of(w, 7, 1);
	struct fake_stream *c = ws_of(w, 8, 1), *late;

	front_drain(w->f);
	assert_closed(a, 1001);
	assert_closed(b, 1001);
	assert_closed(c, 1001);
	late = request(w, (struct ask){.path = "/jmap/ws",
				  .websocket = true,
				  .authorization = BASIC_ALICE});
	answer_login(&w->fb, w->fb.n - 1, 9, 1);
	assert_int_equal(late->status, 503);
	done(a);
	done(b);
	done(c);
	done(late);
}

static void draining_waits_for_the_answers_under_way(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = ws_of(w, 7, 1);

	tell(a, "{\"@type\":\"Request\",\"id\":\"1\"}");
	tell(a, "{\"@type\":\"Request\",\"id\":\"2\"}");
	a->s.ops->on_drain(&a->s);
	assert_silent(a);
	tell(a, "{\"@type\":\"Request\",\"id\":\"3\"}");
	assert_heard_parts(a, "\"requestId\":\"3\"", "\"status\":503", NULL);
	answer(&w->fb, 2, 200, "{\"two\":2}");
	assert_heard(a, "{\"two\":2}");
	assert_silent(a);
	answer(&w->fb, 1, 200, "{\"one\":1}");
	assert_heard(a, "{\"one\":1}");
	assert_closed(a, 1001);
	done(a);
}

static void a_new_configuration_reaches_live_websockets(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = ws_of(w, 7, 1);

	tell(a, "{\"@type\":\"WebSocketPushEnable\"}");
	w->conf.ws_throttle = 3600000;
	front_reconfigure(w->f);
	turn(w);
	assert_silent(a);
	done(a);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(an_unknown_path_is_404),
		T(a_wrong_method_is_405_with_allow),
		T(health_is_that_of_the_store),
		T(a_websocket_path_without_upgrade_is_426),
		T(a_websocket_opens_on_each_of_its_paths),
		T(an_upgrade_elsewhere_is_an_ordinary_request),
		T(a_wrong_handshake_is_refused_before_the_login),
		T(the_echo_is_there_when_it_is_on),
		T(a_revoked_request_whose_body_still_comes_is_401),
		T(a_revoked_request_that_was_sent_is_the_stores),
		T(revoking_closes_only_older_websockets_of_the_account),
		T(an_account_stays_found_when_its_first_socket_leaves),
		T(draining_closes_idle_websockets_and_refuses_new_ones),
		T(draining_waits_for_the_answers_under_way),
		T(a_new_configuration_reaches_live_websockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
