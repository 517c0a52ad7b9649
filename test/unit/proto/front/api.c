/*
 * POST /jmap/api: what is refused here, what goes to the store, what comes back.
 */
#include "test/unit/proto/front/fake.h"

#define ECHO "{\"using\":[],\"methodCalls\":[[\"Core/echo\",{},\"a\"]]}"
#define WRITE "{\"using\":[],\"methodCalls\":[[\"Email/set\",{},\"a\"]]}"
#define LIMIT "\"urn:ietf:params:jmap:error:limit\""

/* Alice is known already: that was call 0. */
static int setup(void **state)
{
	struct world *w;

	if (world_setup(state) < 0)
		return -1;
	w = *state;
	done(request(w, (struct ask){.path = "/jmap/session",
				.authorization = BASIC_ALICE}));
	answer_login(&w->fb, 0, 7, 1);
	return 0;
}

static struct ask ask(const char *body)
{
	return (struct ask){.method = "POST",
		.path = "/jmap/api",
		.type = "application/json",
		.authorization = BASIC_ALICE,
		.body = body};
}

static struct fake_stream *post(struct world *w, const char *body)
{
	return request(w, ask(body));
}

static void a_request_goes_whole_to_the_store_and_its_answer_back(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = post(w, ECHO);
	struct fake_call *c = &w->fb.calls[1];

	assert_int_equal(w->fb.n, 2);
	assert_int_equal(c->kind, CALL_API);
	assert_int_equal(c->flags, 0);
	assert_int_equal(c->conn, fs->s.share->id);
	assert_int_equal(c->login.account, 7);
	assert_string_equal(buf_z(&c->body), ECHO);
	assert_int_equal(fs->s.share->requests, 1);
	answer(&w->fb, 1, 200, "{\"r\":1}");
	assert_int_equal(fs->status, 200);
	assert_true(has_field(fs, "Content-Type: application/json\n"));
	assert_true(has_field(fs, "Cache-Control: no-store\n"));
	assert_string_equal(buf_z(&fs->out), "{\"r\":1}");
	assert_int_equal(fs->s.share->requests, 0);
	done(fs);
}

static void a_request_that_may_write_says_so(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = post(w, WRITE);

	assert_int_equal(w->fb.calls[1].flags, CALL_F_WRITES);
	done(fs);
	assert_int_equal(w->fb.cancelled, 1);
}

static void the_body_stays_on_the_wire_until_the_login_is_known(void **state)
{
	struct world *w = *state;
	struct ask a = ask(ECHO);
	struct fake_stream *fs;

	a.authorization = BASIC_BOB;
	fs = request(w, a);
	assert_int_equal(fs->in.n, strlen(ECHO));
	assert_false(fs->resumed);
	answer_login(&w->fb, 1, 8, 1);
	assert_true(fs->resumed);
	pump(fs);
	assert_int_equal(w->fb.n, 3);
	assert_string_equal(buf_z(&w->fb.calls[2].body), ECHO);
	done(fs);
}

static void an_empty_body_that_ended_before_the_login_is_not_json(void **state)
{
	struct world *w = *state;
	struct ask a = ask("");
	struct fake_stream *fs;

	a.authorization = BASIC_BOB;
	fs = request(w, a);
	assert_true(fs->eof);
	answer_login(&w->fb, 1, 8, 1);
	assert_int_equal(fs->status, 400);
	assert_says(fs, "\"urn:ietf:params:jmap:error:notJSON\"");
	done(fs);
}

static void a_type_other_than_json_is_not_json(void **state)
{
	static const char *const types[] = {
		NULL, "text/plain", "application/jsonx", "", "application"};
	struct world *w = *state;

	for (size_t i = 0; i < countof(types); i++) {
		struct ask a = ask(ECHO);
		struct fake_stream *fs;

		a.type = types[i];
		fs = request(w, a);
		assert_int_equal(fs->status, 400);
		assert_says(fs, "\"urn:ietf:params:jmap:error:notJSON\"");
		assert_int_equal(fs->s.share->requests, 0);
		done(fs);
	}
	assert_int_equal(w->fb.n, 1);
}

static void parameters_and_case_of_the_type_do_not_matter(void **state)
{
	struct world *w = *state;
	struct ask a = ask(ECHO);
	struct fake_stream *fs;

	a.type = "Application/JSON ; charset=utf-8";
	fs = request(w, a);
	assert_int_equal(fs->status, 0);
	done(fs);
}

static void broken_json_is_not_json(void **state)
{
	static const char *const bad[] = {
		"{", "nope", "{\"a\":1,\"a\":2}", "{} x", "{\"a\":NaN}"};
	struct world *w = *state;

	for (size_t i = 0; i < countof(bad); i++) {
		struct fake_stream *fs = post(w, bad[i]);

		assert_int_equal(fs->status, 400);
		assert_true(has_field(
			fs, "Content-Type: application/problem+json\n"));
		assert_says(fs, "\"urn:ietf:params:jmap:error:notJSON\"");
		assert_int_equal(fs->s.share->requests, 0);
		done(fs);
	}
}

static void json_that_is_no_object_is_no_request(void **state)
{
	struct fake_stream *fs = post(*state, "[1]");

	assert_int_equal(fs->status, 400);
	assert_says(fs, "\"urn:ietf:params:jmap:error:notRequest\"");
	done(fs);
}

static char *padded(size_t n)
{
	char *z = mem_new(n + 1);

	memset(z, ' ', n);
	z[0] = '{';
	z[1] = '}';
	return z;
}

static void a_request_of_just_the_limit_passes(void **state)
{
	struct world *w = *state;
	char *z = padded(1024);
	struct ask a = ask(z);
	struct fake_stream *fs;

	w->conf.max_size_request = 1024;
	fs = request(w, a);
	assert_int_equal(fs->status, 0);
	assert_int_equal(w->fb.calls[1].body.n, 1024);
	done(fs);
	a.chunked = true;
	fs = request(w, a);
	assert_int_equal(w->fb.calls[2].body.n, 1024);
	done(fs);
	free(z);
}

static void one_byte_more_is_over_the_limit(void **state)
{
	struct world *w = *state;
	char *z = padded(1025);
	struct ask a = ask(z);
	struct fake_stream *fs;

	w->conf.max_size_request = 1024;
	for (int chunked = 0; chunked < 2; chunked++) {
		a.chunked = chunked;
		fs = request(w, a);
		assert_int_equal(fs->status, 400);
		assert_says(fs, LIMIT);
		assert_says(fs, "\"limit\":\"maxSizeRequest\"");
		assert_int_equal(fs->s.share->requests, 0);
		done(fs);
	}
	assert_int_equal(w->fb.n, 1);
	free(z);
}

static void an_announced_length_over_the_limit_is_not_waited_for(void **state)
{
	struct world *w = *state;
	struct ask a = ask(NULL);
	struct fake_stream *fs;

	a.length = w->conf.max_size_request + 1;
	fs = request(w, a);
	assert_int_equal(fs->status, 400);
	assert_says(fs, "\"limit\":\"maxSizeRequest\"");
	done(fs);
}

static void a_connection_has_its_number_of_requests(void **state)
{
	struct world *w = *state;
	struct fake_stream *a, *b, *c, *other;
	struct ask beside = ask(ECHO);

	w->conf.max_concurrent_requests = 2;
	a = post(w, ECHO);
	beside.beside = a;
	b = request(w, beside);
	c = request(w, beside);
	assert_int_equal(b->status, 0);
	assert_int_equal(c->status, 400);
	assert_says(c, LIMIT);
	assert_says(c, "\"limit\":\"maxConcurrentRequests\"");
	done(c);
	other = post(w, ECHO);
	assert_int_equal(other->status, 0);
	done(b);
	c = request(w, beside);
	assert_int_equal(c->status, 0);
	done(c);
	assert_int_equal(a->s.share->requests, 1);
	done(a);
	done(other);
}

static void what_the_engine_refuses_goes_back_as_it_is(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = post(w, ECHO);

	answer(&w->fb, 1, 400, "{\"type\":\"x\"}");
	assert_int_equal(fs->status, 400);
	assert_true(has_field(fs, "Content-Type: application/problem+json\n"));
	assert_string_equal(buf_z(&fs->out), "{\"type\":\"x\"}");
	done(fs);
}

static void a_status_without_a_body_gets_its_details(void **state)
{
	static const struct {
		unsigned said, status;
		const char *text;
	} t[] = {
		{401, 401, "\"status\":401"},
		{413, 400, "\"limit\":\"maxSizeRequest\""},
		{500, 500, "\"title\":\"Internal Server Error\""},
		{503, 503, "\"status\":503"},
		{507, 507, "\"status\":507"},
		{0, 500, "\"status\":500"},
		{1000, 500, "\"status\":500"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < countof(t); i++) {
		struct fake_stream *fs = post(w, ECHO);

		answer(&w->fb, w->fb.n - 1, t[i].said, "");
		assert_int_equal(fs->status, t[i].status);
		assert_says(fs, t[i].text);
		assert_true(has_field(
			fs, "Content-Type: application/problem+json\n"));
		done(fs);
	}
}

static void a_client_that_leaves_has_its_call_cancelled(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = post(w, ECHO);

	done(fs);
	assert_int_equal(w->fb.cancelled, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_request_goes_whole_to_the_store_and_its_answer_back),
		T(a_request_that_may_write_says_so),
		T(the_body_stays_on_the_wire_until_the_login_is_known),
		T(an_empty_body_that_ended_before_the_login_is_not_json),
		T(a_type_other_than_json_is_not_json),
		T(parameters_and_case_of_the_type_do_not_matter),
		T(broken_json_is_not_json),
		T(json_that_is_no_object_is_no_request),
		T(a_request_of_just_the_limit_passes),
		T(one_byte_more_is_over_the_limit),
		T(an_announced_length_over_the_limit_is_not_waited_for),
		T(a_connection_has_its_number_of_requests),
		T(what_the_engine_refuses_goes_back_as_it_is),
		T(a_status_without_a_body_gets_its_details),
		T(a_client_that_leaves_has_its_call_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
