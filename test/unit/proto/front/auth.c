/*
 * Credentials: what is read from them, what is asked, what is remembered.
 */
#include "test/unit/proto/front/fake.h"

#include "proto/front/auth.h"

static struct fake_stream *get(struct world *w, const char *authorization)
{
	return request(w, (struct ask){.path = "/jmap/session",
				  .authorization = authorization});
}

/* 192.0.2.1 is where the world's clients are, and then these bytes. */
static void assert_head(struct world *w, size_t i, const char *words, size_t n)
{
	static const uint8_t from[16] = {
		[10] = 0xff, [11] = 0xff, 192, 0, 2, 1};
	struct buf *head = &w->fb.calls[i].head;

	assert_int_equal(head->n, sizeof(from) + n);
	assert_memory_equal(head->p, from, sizeof(from));
	assert_memory_equal(head->p + sizeof(from), words, n);
}

static void no_credentials_are_401_with_both_challenges(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = get(w, NULL);

	assert_int_equal(fs->status, 401);
	assert_true(has_field(fs, "WWW-Authenticate: Basic realm=\"jmapd\", "
				  "charset=\"UTF-8\"\n"));
	assert_true(
		has_field(fs, "WWW-Authenticate: Bearer realm=\"jmapd\"\n"));
	assert_true(has_field(fs, "Content-Type: application/problem+json\n"));
	done(fs);
	assert_int_equal(w->fb.n, 0);
}

static void what_cannot_be_read_never_reaches_the_store(void **state)
{
	static const char *const bad[] = {
		"Basic",
		"Basic ",
		"Basic YWxpY2U=",    /* no colon */
		"Basic YWxpY2U6cHc", /* no padding */
		"Basic YWxpY2U6cHc=x",
		"Basic YWxpY2U6AHB3", /* NUL in the secret */
		"Basic YQBiOnB3",     /* NUL in the user */
		"Basic YWxpY2U6/w==", /* not UTF-8 */
		"Bearer ",
		"Bearer two words",
		"Bearer ===",
		"Bearer a=b",
		"Digest username=\"alice\"",
		"YWxpY2U6cHc=",
	};
	struct world *w = *state;

	for (size_t i = 0; i < countof(bad); i++) {
		struct fake_stream *fs = get(w, bad[i]);

		assert_int_equal(fs->status, 401);
		done(fs);
	}
	assert_int_equal(w->fb.n, 0);
}

static void a_value_of_8_kb_is_the_longest(void **state)
{
	struct world *w = *state;
	char value[8194];
	struct fake_stream *fs;

	memset(value, 'a', sizeof(value));
	memcpy(value, "Bearer ", 7);
	value[8193] = '\0';
	fs = get(w, value);
	assert_int_equal(fs->status, 401);
	done(fs);
	value[8192] = '\0';
	fs = get(w, value);
	assert_int_equal(fs->status, 0);
	assert_int_equal(w->fb.n, 1);
	done(fs);
}

static void basic_is_split_at_the_first_colon(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = get(w, "bAsIc  dTpwOnc="); /* u:p:w */

	assert_int_equal(w->fb.n, 1);
	assert_int_equal(w->fb.calls[0].kind, CALL_LOGIN);
	assert_false(w->fb.calls[0].with_login);
	assert_head(w, 0, "basic\0u\0p:w", 11);
	done(fs);
}

static void a_bearer_token_goes_as_it_is(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = get(w, "Bearer a-._~+/Z9==");

	assert_int_equal(w->fb.n, 1);
	assert_head(w, 0, "bearer\0a-._~+/Z9==", 18);
	answer(&w->fb, 0, 401, "");
	assert_int_equal(fs->status, 401);
	assert_true(has_field(fs, "WWW-Authenticate: Bearer realm=\"jmapd\", "
				  "error=\"invalid_token\"\n"));
	done(fs);
}

static void the_stores_word_becomes_the_status(void **state)
{
	static const struct {
		unsigned said, status;
	} t[] = {{401, 401}, {503, 503}, {500, 500}, {404, 500}, {200, 500}};
	struct world *w = *state;

	for (size_t i = 0; i < countof(t); i++) {
		struct fake_stream *fs = get(w, BASIC_ALICE);

		answer(&w->fb, i, t[i].said, "short");
		assert_int_equal(fs->status, t[i].status);
		done(fs);
	}
}

static void said(struct world *w, size_t i, unsigned status, struct str body)
{
	struct call *c = w->fb.calls[i].c;

	w->fb.calls[i].c = NULL;
	c->id = 0;
	c->on_answer(c, status, body);
}

static void too_many_failures_are_429_with_the_seconds(void **state)
{
	struct world *w = *state;
	const uint32_t wait_s = 17;
	struct fake_stream *fs = get(w, BASIC_ALICE);

	said(w, 0, 429, str_n(&wait_s, sizeof(wait_s)));
	assert_int_equal(fs->status, 429);
	assert_true(has_field(fs, "Retry-After: 17\n"));
	assert_true(has_field(fs, "Content-Type: application/problem+json\n"));
	assert_false(has_field(fs, "WWW-Authenticate"));
	assert_says(fs, "\"status\":429");
	done(fs);
	fs = get(w, BASIC_ALICE); /* 429 is not remembered either */
	assert_int_equal(w->fb.n, 2);
	said(w, 1, 429, STR_NONE);
	assert_true(has_field(fs, "Retry-After: 1\n"));
	done(fs);
}

static void a_handshake_is_answered_with_429(void **state)
{
	struct world *w = *state;
	const uint32_t wait_s = 3;
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/ws",
				   .websocket = true,
				   .subprotocol = "jmap",
				   .authorization = BASIC_ALICE});

	said(w, 0, 429, str_n(&wait_s, sizeof(wait_s)));
	assert_false(fs->tunnel);
	assert_int_equal(fs->status, 429);
	assert_true(has_field(fs, "Retry-After: 3\n"));
	done(fs);
}

/* From elsewhere a right guess must look like a wrong one while 429 is due. */
static void what_is_remembered_is_so_at_its_address_only(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = get(w, BASIC_ALICE), *b;

	answer_login(&w->fb, 0, 7, 1);
	b = request(w, (struct ask){.path = "/jmap/session",
			       .authorization = BASIC_ALICE,
			       .peer = "192.0.2.2:1234"});
	assert_int_equal(w->fb.n, 3);
	assert_int_equal(w->fb.calls[2].kind, CALL_LOGIN);
	assert_int_equal(w->fb.calls[2].head.p[15], 2);
	done(a);
	done(b);
}

static void a_good_credential_is_remembered(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = get(w, BASIC_ALICE), *b;

	answer_login(&w->fb, 0, 7, 3);
	assert_int_equal(w->fb.calls[1].kind, CALL_SESSION);
	assert_int_equal(w->fb.calls[1].login.account, 7);
	b = get(w, BASIC_ALICE);
	assert_int_equal(w->fb.n, 3);
	assert_int_equal(w->fb.calls[2].kind, CALL_SESSION);
	assert_int_equal(w->fb.calls[2].login.account, 7);
	assert_int_equal(w->fb.calls[2].login.version, 3);
	done(a);
	done(b);
}

static void another_credential_is_asked_for(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = get(w, BASIC_ALICE), *b;

	answer_login(&w->fb, 0, 7, 1);
	b = get(w, BASIC_BOB);
	assert_int_equal(w->fb.calls[w->fb.n - 1].kind, CALL_LOGIN);
	done(a);
	done(b);
}

static void a_refusal_is_not_remembered(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = get(w, BASIC_ALICE), *b;

	answer(&w->fb, 0, 401, "");
	b = get(w, BASIC_ALICE);
	assert_int_equal(w->fb.n, 2);
	assert_int_equal(w->fb.calls[1].kind, CALL_LOGIN);
	done(a);
	done(b);
}

static void what_is_too_old_is_asked_again(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = get(w, BASIC_ALICE), *b;

	answer_login(&w->fb, 0, 7, 1);
	w->conf.auth_cache = 0; /* a reload governs what is remembered */
	b = get(w, BASIC_ALICE);
	assert_int_equal(w->fb.calls[w->fb.n - 1].kind, CALL_LOGIN);
	done(a);
	done(b);
}

static void requests_share_the_login_that_is_under_way(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = get(w, BASIC_ALICE), *b = get(w, BASIC_ALICE);
	struct fake_stream *c = get(w, BASIC_BOB), *gone = get(w, BASIC_ALICE);

	assert_int_equal(w->fb.n, 2);
	done(gone);
	assert_int_equal(w->fb.cancelled, 0);
	answer_login(&w->fb, 0, 7, 1);
	assert_int_equal(w->fb.n, 4);
	answer(&w->fb, 2, 200, "{}");
	answer(&w->fb, 3, 200, "{}");
	assert_int_equal(a->status, 200);
	assert_int_equal(b->status, 200);
	assert_int_equal(c->status, 0);
	done(a);
	done(b);
	done(c);
}

static void a_login_whose_client_left_is_remembered_all_the_same(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = get(w, BASIC_ALICE);

	done(a);
	answer_login(&w->fb, 0, 7, 1);
	a = get(w, BASIC_ALICE);
	assert_int_equal(w->fb.n, 2);
	assert_int_equal(w->fb.calls[1].kind, CALL_SESSION);
	done(a);
}

static void revoking_forgets_older_logins(void **state)
{
	struct world *w = *state;

	done(get(w, BASIC_ALICE));
	done(get(w, BASIC_BOB));
	answer_login(&w->fb, 0, 7, 1);
	answer_login(&w->fb, 1, 8, 1);
	front_revoke(w->f, 7, 2);
	done(get(w, BASIC_ALICE));
	assert_int_equal(w->fb.calls[2].kind, CALL_LOGIN);
	done(get(w, BASIC_BOB));
	assert_int_equal(w->fb.calls[3].kind, CALL_SESSION);
}

static void a_login_revoked_while_it_is_checked_is_401(void **state)
{
	struct world *w = *state;
	struct fake_stream *a = get(w, BASIC_ALICE), *b = get(w, BASIC_BOB);

	front_revoke(w->f, 7, 2);
	answer_login(&w->fb, 0, 7, 1);
	assert_int_equal(a->status, 401);
	answer_login(&w->fb, 1, 7, 2); /* the new password */
	assert_int_equal(b->status, 0);
	assert_int_equal(w->fb.calls[2].kind, CALL_SESSION);
	done(a);
	done(b);
}

struct waiter {
	struct auth_wait w;
	unsigned status;
};

static void on_login(struct auth_wait *w, unsigned status,
	const struct login *login, struct str name)
{
	container_of(w, struct waiter, w)->status = status;
}

static void ask_as(struct auth *a, unsigned user, struct waiter *w)
{
	char value[64];
	struct http_header h = {STR("Authorization"), STR_NONE};
	struct http_request r = {.headers = &h, .headers_n = 1};

	snprintf(value, sizeof(value), "Bearer t%u", user);
	h.value = str_of(value);
	auth_login(a, &r, 1, &w->w);
}

static void what_is_remembered_is_bounded_and_the_oldest_goes(void **state)
{
	struct world *w = *state;
	struct auth *a = auth_new(w->l, &w->fb.b);
	struct waiter wait = {.w.on_login = on_login};

	for (unsigned i = 0; i < AUTH_MAX + 10; i++) {
		ask_as(a, i, &wait);
		answer_login(&w->fb, 0, i, 1);
		buf_reset(&w->fb.calls[0].head);
		w->fb.n = 0;
	}
	assert_int_equal(auth_remembered(a), AUTH_MAX);
	wait.status = 0;
	ask_as(a, 10, &wait);
	assert_int_equal(wait.status, 200);
	wait.status = 0;
	ask_as(a, 9, &wait);
	assert_int_equal(wait.status, 0);
	auth_unwait(&wait.w);
	auth_free(a);
	assert_int_equal(w->fb.cancelled, 1);
}

static void two_authorizations_are_none(void **state)
{
	struct world *w = *state;
	struct auth *a = auth_new(w->l, &w->fb.b);
	struct http_header h[] = {
		{STR("Authorization"), STR(BASIC_ALICE)},
		{STR("authorization"), STR(BASIC_ALICE)},
	};
	struct http_request r = {.headers = h, .headers_n = 2};
	struct waiter wait = {.w.on_login = on_login};

	auth_login(a, &r, 1, &wait.w);
	assert_int_equal(wait.status, 401);
	auth_free(a);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(no_credentials_are_401_with_both_challenges),
		T(what_cannot_be_read_never_reaches_the_store),
		T(a_value_of_8_kb_is_the_longest),
		T(basic_is_split_at_the_first_colon),
		T(a_bearer_token_goes_as_it_is),
		T(the_stores_word_becomes_the_status),
		T(too_many_failures_are_429_with_the_seconds),
		T(a_handshake_is_answered_with_429),
		T(what_is_remembered_is_so_at_its_address_only),
		T(a_good_credential_is_remembered),
		T(another_credential_is_asked_for),
		T(a_refusal_is_not_remembered),
		T(what_is_too_old_is_asked_again),
		T(requests_share_the_login_that_is_under_way),
		T(a_login_whose_client_left_is_remembered_all_the_same),
		T(revoking_forgets_older_logins),
		T(a_login_revoked_while_it_is_checked_is_401),
		T(what_is_remembered_is_bounded_and_the_oldest_goes),
		T(two_authorizations_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
