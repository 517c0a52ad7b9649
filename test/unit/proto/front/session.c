/*
 * GET of the Session object, on both of its paths.
 */
#include "test/unit/proto/front/fake.h"

static struct fake_stream *get(struct world *w, const char *path)
{
	struct fake_stream *fs = request(
		w, (struct ask){.path = path, .authorization = BASIC_ALICE});

	if (w->fb.calls[w->fb.n - 1].kind == CALL_LOGIN)
		answer_login(&w->fb, w->fb.n - 1, 7, 1);
	return fs;
}

static void the_session_is_answered_directly_and_never_kept(void **state)
{
	static const char *const paths[] = {
		"/.well-known/jmap", "/jmap/session"};
	struct world *w = *state;

	for (size_t i = 0; i < countof(paths); i++) {
		struct fake_stream *fs = get(w, paths[i]);
		struct fake_call *c = &w->fb.calls[w->fb.n - 1];

		assert_int_equal(c->kind, CALL_SESSION);
		assert_int_equal(c->login.account, 7);
		answer(&w->fb, w->fb.n - 1, 200, "{\"username\":\"a\"}");
		assert_int_equal(fs->status, 200);
		assert_true(has_field(fs, "Content-Type: application/json\n"));
		assert_true(has_field(fs, "Cache-Control: no-cache, no-store, "
					  "must-revalidate\n"));
		assert_string_equal(buf_z(&fs->out), "{\"username\":\"a\"}");
		done(fs);
	}
}

static void head_is_answered_like_get(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.method = "HEAD",
				   .path = "/jmap/session",
				   .authorization = BASIC_ALICE});

	answer_login(&w->fb, 0, 7, 1);
	answer(&w->fb, 1, 200, "{}"); /* the carrier drops it */
	assert_int_equal(fs->status, 200);
	done(fs);
}

static void a_body_is_dropped(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/session",
				   .body = "what for?",
				   .authorization = BASIC_ALICE});

	assert_int_equal(fs->in.n, 0);
	answer_login(&w->fb, 0, 7, 1);
	assert_int_equal(w->fb.calls[1].body.n, 0);
	done(fs);
}

static void a_store_that_is_away_is_503(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = get(w, "/jmap/session");

	answer(&w->fb, 1, 503, "");
	assert_int_equal(fs->status, 503);
	assert_says(fs, "\"status\":503");
	done(fs);
}

static void a_client_that_leaves_has_its_call_cancelled(void **state)
{
	struct world *w = *state;

	done(get(w, "/jmap/session"));
	assert_int_equal(w->fb.cancelled, 1);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(the_session_is_answered_directly_and_never_kept),
		T(head_is_answered_like_get),
		T(a_body_is_dropped),
		T(a_store_that_is_away_is_503),
		T(a_client_that_leaves_has_its_call_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
