/* POST /jmap/upload: what is refused here, and how a body goes to the store. */
#include "test/unit/proto/front/fake.h"

#define PATH "/jmap/upload/u7/"
#define LIMIT "\"urn:ietf:params:jmap:error:limit\""

/* Alice is known already: that was call 0. */
static int setup(void **state)
{
	struct world *w;

	if (world_setup(state) < 0)
		return -1;
	w = *state;
	w->conf.max_size_upload = 10;
	w->conf.max_concurrent_upload = 2;
	done(request(w, (struct ask){.path = "/jmap/session",
				.authorization = BASIC_ALICE}));
	answer_login(&w->fb, 0, 7, 1);
	return 0;
}

static struct ask ask(const char *body)
{
	return (struct ask){.method = "POST",
		.path = PATH,
		.type = "text/plain",
		.authorization = BASIC_ALICE,
		.body = body};
}

static struct fake_stream *post(struct world *w, const char *body)
{
	return request(w, ask(body));
}

static void assert_too_large(struct fake_stream *fs)
{
	assert_int_equal(fs->status, 413);
	assert_says(fs, LIMIT);
	assert_says(fs, "\"limit\":\"maxSizeUpload\"");
	assert_says(fs, "\"status\":413");
	assert_int_equal(fs->s.share->uploads, 0);
}

static void a_body_goes_to_the_store_as_it_comes(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs;
	struct fake_call *c = &w->fb.calls[1];
	struct ask a = ask(NULL);

	a.chunked = true;
	a.length = 1;
	fs = request(w, a);
	assert_int_equal(c->kind, CALL_UPLOAD);
	assert_int_equal(c->flags, CALL_F_WRITES);
	assert_int_equal(c->login.account, 7);
	assert_string_equal(buf_z(&c->head), "text/plain");
	buf_addz(&fs->in, "12345");
	pump(fs);
	assert_string_equal(buf_z(&c->body), "12345");
	assert_false(c->ended);
	buf_addz(&fs->in, "67890");
	fs->in_end = true;
	pump(fs);
	assert_string_equal(buf_z(&c->body), "1234567890");
	assert_true(c->ended);
	assert_int_equal(fs->s.share->uploads, 1);
	answer(&w->fb, 1, 201, "{\"blobId\":\"b\"}");
	assert_int_equal(fs->status, 201);
	assert_string_equal(buf_z(&fs->out), "{\"blobId\":\"b\"}");
	assert_int_equal(fs->s.share->uploads, 0);
	done(fs);
}

static void a_body_waits_for_room(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs;
	struct fake_call *c = &w->fb.calls[1];

	w->fb.room = 4;
	fs = post(w, "1234567890");
	assert_int_equal(c->body.n, 4);
	assert_int_equal(fs->in.n, 6);
	assert_false(fs->resumed);
	w->fb.room = 100;
	c->c->on_room(c->c);
	assert_true(fs->resumed);
	pump(fs);
	assert_string_equal(buf_z(&c->body), "1234567890");
	assert_true(c->ended);
	done(fs);
	assert_int_equal(w->fb.cancelled, 1);
}

static void an_empty_body_is_a_file(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = post(w, "");

	assert_true(w->fb.calls[1].ended);
	done(fs);
}

static void the_body_stays_on_the_wire_until_the_login_is_known(void **state)
{
	struct world *w = *state;
	struct ask a = ask("x");
	struct fake_stream *fs;

	a.authorization = BASIC_BOB;
	a.path = "/jmap/upload/u8/";
	fs = request(w, a);
	assert_int_equal(fs->in.n, 1);
	answer_login(&w->fb, 1, 8, 1);
	pump(fs);
	assert_string_equal(buf_z(&w->fb.calls[2].body), "x");
	assert_true(w->fb.calls[2].ended);
	done(fs);
}

static void what_is_announced_too_large_is_not_read(void **state)
{
	struct world *w = *state;
	struct ask a = ask(NULL);
	struct fake_stream *fs;

	a.length = 11;
	fs = request(w, a);
	assert_too_large(fs);
	assert_int_equal(w->fb.n, 1);
	done(fs);
}

static void what_turns_out_too_large_is_cancelled(void **state)
{
	struct world *w = *state;
	struct ask a = ask("12345678901");
	struct fake_stream *fs;

	a.chunked = true;
	fs = request(w, a);
	assert_too_large(fs);
	assert_int_equal(w->fb.cancelled, 1);
	done(fs);
}

static void revoking_refuses_what_still_comes(void **state)
{
	struct world *w = *state;
	struct ask a = ask(NULL);
	struct fake_stream *fs;

	a.chunked = true;
	a.length = 1;
	fs = request(w, a);
	buf_addz(&fs->in, "12345");
	pump(fs);
	front_revoke(w->f, 7, 1);
	assert_int_equal(fs->status, 0);
	front_revoke(w->f, 7, 2);
	assert_int_equal(fs->status, 401);
	assert_int_equal(w->fb.cancelled, 1);
	assert_int_equal(fs->s.share->uploads, 0);
	done(fs);
}

/* It may be on disk by now. */
static void revoking_leaves_a_whole_one_to_the_store(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = post(w, "12345");

	front_revoke(w->f, 7, 2);
	assert_int_equal(fs->status, 0);
	answer(&w->fb, 1, 201, "{}");
	assert_int_equal(fs->status, 201);
	done(fs);
}

static void the_store_may_find_it_too_large_as_well(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = post(w, "x");

	answer(&w->fb, 1, 413, "");
	assert_too_large(fs);
	done(fs);
}

static void uploads_of_one_connection_have_a_limit(void **state)
{
	struct world *w = *state;
	struct ask a = ask("x");
	struct fake_stream *one = request(w, a), *two, *three;

	a.beside = one;
	two = request(w, a);
	three = request(w, a);
	assert_int_equal(three->status, 400);
	assert_says(three, LIMIT);
	assert_says(three, "\"limit\":\"maxConcurrentUpload\"");
	done(three);
	answer(&w->fb, 1, 201, "{}");
	three = request(w, a);
	assert_false(three->head);
	done(three);
	done(two);
	assert_int_equal(one->s.share->uploads, 0);
	done(one);
}

static void another_account_is_404(void **state)
{
	static const char *const paths[] = {"/jmap/upload/u8/",
		"/jmap/upload/u7/x", "/jmap/upload/u7//", "/jmap/upload/u",
		"/jmap/upload//"};

	for (size_t i = 0; i < countof(paths); i++) {
		struct world *w = *state;
		struct ask a = ask("x");
		struct fake_stream *fs;

		a.path = paths[i];
		fs = request(w, a);
		assert_int_equal(fs->status, 404);
		assert_int_equal(w->fb.n, 1);
		done(fs);
	}
}

static void the_type_is_kept_as_it_is(void **state)
{
	struct world *w = *state;
	struct ask a = ask("x");
	struct fake_stream *fs;

	a.type = "Text/HTML; Charset=\"x\"";
	done(request(w, a));
	assert_string_equal(buf_z(&w->fb.calls[1].head), a.type);
	a.type = NULL;
	done(request(w, a));
	assert_string_equal(
		buf_z(&w->fb.calls[2].head), "application/octet-stream");
	a.type = "t\xe9xt/plain";
	fs = request(w, a);
	assert_int_equal(fs->status, 400);
	done(fs);
}

static void failures_are_told(void **state)
{
	static const unsigned statuses[] = {401, 503, 507, 500};
	struct world *w = *state;

	for (size_t i = 0; i < countof(statuses); i++) {
		struct fake_stream *fs = post(w, "x");

		answer(&w->fb, w->fb.n - 1, statuses[i], "");
		assert_int_equal(fs->status, statuses[i]);
		assert_true(has_field(fs, "Content-Type: application/"));
		assert_int_equal(fs->s.share->uploads, 0);
		done(fs);
	}
}

static void bytes_behind_an_answer_are_dropped(void **state)
{
	struct world *w = *state;
	struct ask a = ask(NULL);
	struct fake_stream *fs;

	a.length = 5;
	fs = request(w, a);
	answer(&w->fb, 1, 507, "");
	assert_int_equal(fs->status, 507);
	assert_int_equal(fs->s.ops->on_data(&fs->s, (char[]){"12345"}, 5), 5);
	done(fs);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_body_goes_to_the_store_as_it_comes),
		T(a_body_waits_for_room),
		T(an_empty_body_is_a_file),
		T(the_body_stays_on_the_wire_until_the_login_is_known),
		T(what_is_announced_too_large_is_not_read),
		T(what_turns_out_too_large_is_cancelled),
		T(revoking_refuses_what_still_comes),
		T(revoking_leaves_a_whole_one_to_the_store),
		T(the_store_may_find_it_too_large_as_well),
		T(uploads_of_one_connection_have_a_limit),
		T(another_account_is_404),
		T(the_type_is_kept_as_it_is),
		T(failures_are_told),
		T(bytes_behind_an_answer_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
