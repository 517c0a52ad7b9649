/* Offers of permessage-deflate, and the answers to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "proto/ws/deflate.h"

static struct conf conf;

static int setup(void **state)
{
	conf_defaults(&conf);
	conf_swap(&conf, false);
	return 0;
}

/* What is answered to these fields, if everything is kept; NULL: nothing. */
static const char *answer2(const char *field1, const char *field2)
{
	static struct buf out;
	struct http_header fields[] = {
		{STR("Host"), STR("permessage-deflate")},
		{STR("sec-websocket-extensions"), str_of(field1)},
		{STR("Sec-WebSocket-Extensions"), str_of(field2)},
	};
	struct http_request r = {
		.headers = fields, .headers_n = field2 ? 3 : 2};
	struct deflate_terms t;

	buf_fini(&out);
	if (!deflate_offered(&r, &t)) {
		assert_false(t.on);
		return NULL;
	}
	assert_true(t.on);
	deflate_answer(&t, &out);
	return buf_z(&out);
}

static const char *answer(const char *field)
{
	return answer2(field, NULL);
}

#define P "permessage-deflate"

static void an_offer_is_answered(void **state)
{
	static const struct {
		const char *offer, *answer;
	} v[] = {
		{P, P},
		{"  " P "\t", P},
		{P "; server_no_context_takeover",
			P "; server_no_context_takeover"},
		{P ";client_no_context_takeover",
			P "; client_no_context_takeover"},
		{P "; client_max_window_bits", P "; client_max_window_bits=15"},
		{P "; client_max_window_bits=8",
			P "; client_max_window_bits=8"},
		{P " ;\tclient_max_window_bits = 15 ",
			P "; client_max_window_bits=15"},
		{P "; server_max_window_bits=9",
			P "; server_max_window_bits=9"},
		{P "; server_max_window_bits=\"15\"",
			P "; server_max_window_bits=15"},
		{P "; server_max_window_bits=\"1\\0\"",
			P "; server_max_window_bits=10"},
		{P "; client_max_window_bits=10; server_max_window_bits=11; "
		   "client_no_context_takeover; server_no_context_takeover",
			P "; server_no_context_takeover; "
			  "client_no_context_takeover; "
			  "server_max_window_bits=11; "
			  "client_max_window_bits=10"},
	};

	for (size_t i = 0; i < countof(v); i++) {
		const char *got = answer(v[i].offer);

		if (!got || strcmp(got, v[i].answer) != 0)
			fail_msg("%s: %s", v[i].offer, got ? got : "nothing");
	}
}

static void a_wrong_offer_is_not_taken(void **state)
{
	static const char *const v[] = {
		"",
		";",
		",",
		"=",
		"permessage-deflat",
		"permessage-deflate2",
		"Permessage-Deflate",
		"\"permessage-deflate\"",
		P "=1",
		P ";",
		P "; ",
		P ";; server_no_context_takeover",
		P "; server_no_context_takeover=",
		P "; server_no_context_takeover=1",
		P "; client_no_context_takeover=\"\"",
		P "; server_no_context_takeover; server_no_context_takeover",
		P "; client_no_context_takeover; client_no_context_takeover",
		P "; SERVER_NO_CONTEXT_TAKEOVER",
		P "; server_max_window_bits",
		P "; server_max_window_bits=",
		P "; server_max_window_bits=8",
		P "; server_max_window_bits=16",
		P "; server_max_window_bits=09",
		P "; server_max_window_bits=0",
		P "; server_max_window_bits=+9",
		P "; server_max_window_bits=9x",
		P "; server_max_window_bits=18446744073709551625",
		P "; server_max_window_bits=\"9",
		P "; server_max_window_bits=\"9\"\"",
		P "; server_max_window_bits=\"9\\",
		P "; server_max_window_bits=\"\"",
		P "; server_max_window_bits=\"09\"",
		P "; server_max_window_bits=\"99999999999\"",
		P "; server_max_window_bits=9; server_max_window_bits=9",
		P "; client_max_window_bits=7",
		P "; client_max_window_bits=16",
		P "; client_max_window_bits=012",
		P "; client_max_window_bits=",
		P "; client_max_window_bits; client_max_window_bits=9",
		P "; unknown",
		P "; client_max_window_bits; unknown=1",
	};

	for (size_t i = 0; i < countof(v); i++)
		if (answer(v[i]))
			fail_msg("%s: %s", v[i], answer(v[i]));
}

static void the_first_that_can_be_taken_is(void **state)
{
	assert_string_equal(answer(P "; x, " P "; server_max_window_bits=8," P
				     "; server_max_window_bits=10, " P),
		P "; server_max_window_bits=10");
	assert_string_equal(answer("foo; a=\"," P ";\\\"\"," P "," P
				   "; server_no_context_takeover"),
		P);
	assert_string_equal(
		answer2(P "; x", "bar, " P "; server_no_context_takeover"),
		P "; server_no_context_takeover");
	assert_string_equal(answer2("", P), P);
}

static void nothing_is_taken_when_it_is_off(void **state)
{
	conf.ws_deflate = false;
	assert_null(answer(P));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_offer_is_answered, setup),
		cmocka_unit_test_setup(a_wrong_offer_is_not_taken, setup),
		cmocka_unit_test_setup(the_first_that_can_be_taken_is, setup),
		cmocka_unit_test_setup(nothing_is_taken_when_it_is_off, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
