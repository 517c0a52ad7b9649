/*
 * RFC 8887's messages: each kind, each error, whose answer is whose.
 */
#include "test/unit/proto/front/fake.h"

#define URN(t) "\"type\":\"urn:ietf:params:jmap:error:" t "\""
#define ERROR "\"@type\":\"RequestError\""

static struct fake_stream *open_ws(struct world *w)
{
	return ws_of(w, 7, 1); /* call 0 is its login */
}

static void a_request_goes_as_it_came_with_login_and_connection(void **state)
{
	static const char text[] =
		"{\"@type\":\"Request\",\"id\":\"R1\",\"using\":[],"
		"\"methodCalls\":[[\"Core/echo\",{},\"a\"]]}";
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);
	struct fake_call *c = &w->fb.calls[1];

	tell(fs, text);
	assert_int_equal(w->fb.n, 2);
	assert_int_equal(c->kind, CALL_API_WS);
	assert_int_equal(c->flags, 0);
	assert_int_equal(c->conn, fs->s.share->id);
	assert_int_equal(c->login.account, 7);
	assert_string_equal(buf_z(&c->body), text);
	answer(&w->fb, 1, 200, "{\"@type\":\"Response\"}");
	assert_heard(fs, "{\"@type\":\"Response\"}");
	assert_silent(fs);
	done(fs);
}

static void a_write_says_so(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	tell(fs, "{\"@type\":\"Request\",\"methodCalls\":"
		 "[[\"Core/echo\",{},\"a\"],[\"Email/set\",{},\"b\"]]}");
	assert_int_equal(w->fb.calls[1].flags, CALL_F_WRITES);
	done(fs);
}

static void answers_come_as_they_are_ready(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	for (int i = 0; i < 3; i++)
		tell(fs, "{\"@type\":\"Request\"}");
	assert_int_equal(fs->s.share->requests, 3);
	answer(&w->fb, 2, 200, "two");
	answer(&w->fb, 1, 200, "one");
	answer(&w->fb, 3, 200, "three");
	assert_heard(fs, "two");
	assert_heard(fs, "one");
	assert_heard(fs, "three");
	assert_int_equal(fs->s.share->requests, 0);
	done(fs);
}

static void too_many_at_once_are_refused_and_the_socket_lives_on(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	for (int i = 0; i < 4; i++)
		tell(fs, "{\"@type\":\"Request\"}");
	assert_silent(fs);
	tell(fs, "{\"@type\":\"Request\",\"id\":\"fifth\"}");
	assert_heard_parts(fs, URN("limit"),
		"\"limit\":\"maxConcurrentRequests\"",
		"\"requestId\":\"fifth\"");
	assert_int_equal(w->fb.n, 5);
	answer(&w->fb, 1, 200, "x");
	assert_heard(fs, "x");
	tell(fs, "{\"@type\":\"Request\"}");
	assert_silent(fs);
	assert_int_equal(w->fb.n, 6);
	done(fs);
	assert_int_equal(w->fb.cancelled, 4);
}

static void broken_json_is_not_json_with_the_id_that_can_be_read(void **state)
{
	static const struct {
		const char *text, *id;
	} t[] = {
		{"The quick brown fox", NULL},
		{"", NULL},
		{"{\"@type\":\"Request\",\"id\":\"R7\",", "\"R7\""},
		{"{\"a\":nope,\"id\":\"R8\"}", "\"R8\""},
		{"{\"id\":\"R9\",\"a\":1,\"a\":2}", "\"R9\""},
		{"{\"id\":\"R\\u0041\"} x", "\"R\\u0041\""},
	};
	struct fake_stream *fs = open_ws(*state);

	for (size_t i = 0; i < countof(t); i++) {
		char want[64] = "";

		if (t[i].id)
			snprintf(want, sizeof(want), "\"requestId\":%s",
				t[i].id);
		tell(fs, t[i].text);
		assert_heard_parts(fs, ERROR, URN("notJSON"), want);
	}
	done(fs);
}

static void what_is_no_message_of_rfc_8887_is_not_a_request(void **state)
{
	static const char *const bad[] = {
		"[]",
		"1",
		"\"Request\"",
		"null",
		"{}",
		"{\"@type\":\"request\"}",
		"{\"@type\":null}",
		"{\"@type\":\"Response\"}",
		"[{\"@type\":\"Request\"}]",
	};
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	for (size_t i = 0; i < countof(bad); i++) {
		tell(fs, bad[i]);
		assert_heard_parts(fs, ERROR, URN("notRequest"), NULL);
	}
	tell(fs, "{\"id\":\"x\",\"@type\":\"Other\"}");
	assert_heard_parts(fs, URN("notRequest"), "\"requestId\":\"x\"", NULL);
	assert_int_equal(w->fb.n, 1);
	done(fs);
}

static void an_id_is_a_string_of_at_most_256_characters(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);
	char text[400];

	tell(fs, "{\"@type\":\"Request\",\"id\":1}");
	assert_heard_parts(fs, URN("notRequest"), NULL, NULL);
	snprintf(text, sizeof(text),
		"{\"@type\":\"Request\",\"id\":\"%0257d\"}", 0);
	tell(fs, text);
	assert_heard_parts(fs, URN("notRequest"), NULL, NULL);
	assert_int_equal(w->fb.n, 1);
	snprintf(text, sizeof(text),
		"{\"@type\":\"Request\",\"id\":\"%0256d\"}", 0);
	tell(fs, text);
	assert_silent(fs);
	assert_int_equal(w->fb.n, 2);
	snprintf(text, sizeof(text), "\"requestId\":\"%0256d\"", 0);
	answer(&w->fb, 1, 503, "");
	assert_heard_parts(fs, text, NULL, NULL);
	done(fs);
}

static void a_status_without_a_body_becomes_an_error_with_the_id(void **state)
{
	static const struct {
		unsigned status;
		const char *text;
	} t[] = {
		{413, "\"limit\":\"maxSizeRequest\""},
		{500, "\"status\":500"},
		{503, "\"status\":503"},
		{507, "\"status\":507"},
		{200, "\"status\":500"},
		{7, "\"status\":500"},
	};
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	for (size_t i = 0; i < countof(t); i++) {
		tell(fs, "{\"@type\":\"Request\",\"id\":\"q\\\"\"}");
		answer(&w->fb, w->fb.n - 1, t[i].status, "");
		assert_heard_parts(
			fs, ERROR, "\"requestId\":\"q\\\"\"", t[i].text);
	}
	done(fs);
}

static void an_unknown_end_is_503_and_no_type_of_jmap(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	tell(fs, "{\"@type\":\"Request\"}");
	answer(&w->fb, 1, 503, "");
	assert_heard_parts(
		fs, ERROR, "\"type\":\"about:blank\"", "\"status\":503");
	done(fs);
}

static void the_engines_error_goes_as_it_is(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	tell(fs, "{\"@type\":\"Request\"}");
	answer(&w->fb, 1, 400, "{\"@type\":\"RequestError\"}");
	assert_heard(fs, "{\"@type\":\"RequestError\"}");
	done(fs);
}

static void a_login_that_is_no_good_any_more_closes_1008(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	tell(fs, "{\"@type\":\"WebSocketPushEnable\"}");
	tell(fs, "{\"@type\":\"Request\"}");
	tell(fs, "{\"@type\":\"Request\"}");
	answer(&w->fb, 1, 401, "");
	assert_closed(fs, 1008);
	assert_int_equal(w->fb.unwatches, 1);
	answer(&w->fb, 2, 200, "late");
	assert_silent(fs);
	done(fs);
}

static void a_binary_message_closes_1003(void **state)
{
	struct fake_stream *fs = open_ws(*state);

	ws_frame(fs, 2, STR("{\"@type\":\"Request\"}"));
	assert_closed(fs, 1003);
	assert_silent(fs);
	done(fs);
}

/* A Request of n bytes, its id in front. */
static char *long_request(size_t n)
{
	static const char start[] = "{\"@type\":\"Request\",\"id\":\"big\"";
	char *z = mem_new(n + 1);

	memset(z, ' ', n);
	memcpy(z, start, sizeof(start) - 1);
	z[n - 1] = '}';
	return z;
}

static void a_message_of_just_the_limit_passes(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);
	char *z = long_request(70000);

	w->conf.max_size_request = 70000;
	tell(fs, z);
	assert_silent(fs);
	assert_int_equal(w->fb.calls[1].body.n, 70000);
	free(z);
	done(fs);
}

static void one_byte_more_is_a_limit_with_its_id_then_close_1009(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);
	char *z = long_request(70001);

	w->conf.max_size_request = 70000;
	tell(fs, z);
	assert_heard_parts(fs, URN("limit"), "\"limit\":\"maxSizeRequest\"",
		"\"requestId\":\"big\"");
	assert_closed(fs, 1009);
	assert_silent(fs);
	assert_int_equal(w->fb.n, 1);
	free(z);
	done(fs);
}

static void a_binary_message_over_the_limit_is_binary_first(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);
	char *z = long_request(2000);

	w->conf.max_size_request = 1024;
	ws_frame(fs, 2, str_of(z));
	assert_closed(fs, 1003);
	assert_silent(fs);
	free(z);
	done(fs);
}

static void a_client_that_leaves_has_its_calls_cancelled(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);
	struct http_share *share = fs->s.share;

	tell(fs, "{\"@type\":\"Request\"}");
	tell(fs, "{\"@type\":\"Request\"}");
	fs->s.ops->on_done(&fs->s, false);
	fs->s.ops = NULL;
	assert_int_equal(w->fb.cancelled, 2);
	assert_int_equal(share->requests, 0);
	done(fs);
}

static void http_requests_of_the_connection_count_as_well(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = open_ws(w);

	fs->s.share->requests = 4;
	tell(fs, "{\"@type\":\"Request\",\"id\":\"1\"}");
	assert_heard_parts(
		fs, "\"limit\":\"maxConcurrentRequests\"", NULL, NULL);
	fs->s.share->requests = 0;
	done(fs);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_request_goes_as_it_came_with_login_and_connection),
		T(a_write_says_so),
		T(answers_come_as_they_are_ready),
		T(too_many_at_once_are_refused_and_the_socket_lives_on),
		T(broken_json_is_not_json_with_the_id_that_can_be_read),
		T(what_is_no_message_of_rfc_8887_is_not_a_request),
		T(an_id_is_a_string_of_at_most_256_characters),
		T(a_status_without_a_body_becomes_an_error_with_the_id),
		T(an_unknown_end_is_503_and_no_type_of_jmap),
		T(the_engines_error_goes_as_it_is),
		T(a_login_that_is_no_good_any_more_closes_1008),
		T(a_binary_message_closes_1003),
		T(a_message_of_just_the_limit_passes),
		T(one_byte_more_is_a_limit_with_its_id_then_close_1009),
		T(a_binary_message_over_the_limit_is_binary_first),
		T(a_client_that_leaves_has_its_calls_cancelled),
		T(http_requests_of_the_connection_count_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
