/*
 * Too many connections: what a client is told, what is counted, and until when.
 */
#include "test/unit/proto/front/fake.h"

#include "core/base/metrics.h"

static uint64_t counted(const struct world *w)
{
	return w->crowd.in[CROWD_ACCOUNT];
}

static uint64_t metric(enum metric m)
{
	return metrics_get(metrics_here(), m);
}

static struct fake_stream *websocket(struct world *w, uint64_t account)
{
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/ws",
				   .websocket = true,
				   .subprotocol = "jmap",
				   .authorization = BASIC_ALICE});

	if (w->fb.n && w->fb.calls[w->fb.n - 1].c)
		answer_login(&w->fb, w->fb.n - 1, account, 1);
	turn(w);
	return fs;
}

static struct fake_stream *source(struct world *w, const char *method)
{
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/eventsource",
				   .method = method,
				   .query = "types=*&closeafter=no&ping=0",
				   .authorization = BASIC_ALICE});

	if (w->fb.n && w->fb.calls[w->fb.n - 1].c)
		answer_login(&w->fb, w->fb.n - 1, 7, 1);
	turn(w);
	return fs;
}

static void assert_429(struct fake_stream *fs, const char *why)
{
	assert_int_equal(fs->status, 429);
	assert_true(has_field(fs, "Retry-After: 30\n"));
	assert_true(has_field(fs, "Cache-Control: no-store\n"));
	assert_true(has_field(fs, "Content-Type: application/problem+json\n"));
	assert_says(fs, why);
	assert_says(fs, "\"status\":429");
	assert_true(fs->ended);
}

/* ---- of an account --------------------------------------------------------- */

static void a_websocket_over_the_cap_opens_and_gets_1013(void **state)
{
	struct world *w = *state;
	struct fake_stream *first, *second;
	uint64_t before = metric(METRIC_REFUSED_PER_ACCOUNT);

	w->conf.max_connections_per_account = 1;
	first = websocket(w, 7);
	assert_int_equal(w->crowd.account, 7);
	assert_int_equal(counted(w), 1);
	second = websocket(w, 7);
	assert_true(second->tunnel);
	assert_true(has_field(second, "Sec-WebSocket-Protocol: jmap\n"));
	assert_closed(second, 1013);
	assert_int_equal(counted(w), 1);
	assert_int_equal(metric(METRIC_REFUSED_PER_ACCOUNT), before + 1);
	assert_true(first->tunnel && !first->ended && !first->out.n);
	done(first);
	done(second);
	assert_int_equal(counted(w), 0);
}

static void what_a_refused_websocket_sends_is_read_by_nobody(void **state)
{
	struct world *w = *state;
	struct fake_stream *first, *second;
	size_t calls;

	w->conf.max_connections_per_account = 1;
	first = websocket(w, 7);
	second = websocket(w, 7);
	calls = w->fb.n;
	tell(second, "{\"@type\":\"Request\",\"using\":[],\"methodCalls\":[]}");
	turn(w);
	assert_int_equal(w->fb.n, calls);
	assert_closed(second, 1013);
	assert_int_equal(second->out.n, 0);
	ws_frame(second, 8, STR("\x03\xf5"));
	assert_true(second->ended);
	done(first);
	done(second);
}

static void a_closed_websocket_makes_room(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs;

	w->conf.max_connections_per_account = 1;
	fs = websocket(w, 7);
	done(fs);
	fs = websocket(w, 7);
	assert_int_equal(fs->out.n, 0);
	done(fs);
}

static void a_source_over_the_cap_is_429(void **state)
{
	struct world *w = *state;
	struct fake_stream *first, *second;

	w->conf.max_connections_per_account = 1;
	first = source(w, "GET");
	assert_int_equal(counted(w), 1);
	second = source(w, "GET");
	assert_429(second, "Too many connections of this account.");
	assert_int_equal(counted(w), 1);
	done(second);
	assert_int_equal(counted(w), 1);
	done(first);
	assert_int_equal(counted(w), 0);
}

static void both_kinds_are_counted_together(void **state)
{
	struct world *w = *state;
	struct fake_stream *ws, *es, *over;

	w->conf.max_connections_per_account = 2;
	ws = websocket(w, 7);
	es = source(w, "GET");
	over = websocket(w, 7);
	assert_closed(over, 1013);
	done(over);
	over = source(w, "GET");
	assert_int_equal(over->status, 429);
	done(over);
	done(ws);
	done(es);
}

static void a_head_of_a_source_is_not_counted(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs;

	w->conf.max_connections_per_account = 1;
	w->crowd.in[CROWD_ACCOUNT] = 1;
	fs = source(w, "HEAD");
	assert_int_equal(fs->status, 200);
	done(fs);
	assert_int_equal(counted(w), 1);
	w->crowd.in[CROWD_ACCOUNT] = 0;
}

static void other_requests_are_no_connections(void **state)
{
	struct world *w = *state;
	struct fake_stream *ws, *fs;

	w->conf.max_connections_per_account = 1;
	ws = websocket(w, 7);
	fs = request(w, (struct ask){.path = "/jmap/session",
				.authorization = BASIC_ALICE});
	answer(&w->fb, w->fb.n - 1, 200, "{}");
	assert_int_equal(fs->status, 200);
	assert_int_equal(counted(w), 1);
	done(fs);
	done(ws);
}

static void a_lower_limit_cuts_nobody(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs[2], *over;

	w->conf.max_connections_per_account = 0;
	fs[0] = websocket(w, 7);
	fs[1] = websocket(w, 7);
	w->conf.max_connections_per_account = 1;
	front_reconfigure(w->f);
	turn(w);
	assert_int_equal(fs[0]->out.n + fs[1]->out.n, 0);
	done(fs[0]);
	over = websocket(w, 7); /* one is still there */
	assert_closed(over, 1013);
	done(over);
	done(fs[1]);
}

/* ---- of an address --------------------------------------------------------- */

static void on_a_crowded_connection_every_path_is_429(void **state)
{
	static const struct ask asks[] = {
		{.path = "/jmap/session", .authorization = BASIC_ALICE},
		{.path = "/jmap/api",
			.method = "POST",
			.type = "application/json",
			.body = "{}",
			.authorization = BASIC_ALICE},
		{.path = "/jmap/eventsource", .authorization = BASIC_ALICE},
		{.path = "/healthz"},
		{.path = "/no/such/path"},
		{.path = "/jmap/session", .method = "DELETE"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < countof(asks); i++) {
		struct ask a = asks[i];
		struct fake_stream *fs;

		a.crowded = true;
		fs = request(w, a);
		assert_429(fs, "Too many connections of this address.");
		done(fs);
	}
	assert_int_equal(w->fb.n, 0); /* nobody asked who it is */
}

static void on_a_crowded_connection_a_websocket_gets_1013(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/ws",
				   .websocket = true,
				   .crowded = true,
				   .subprotocol = "jmap",
				   .authorization = BASIC_ALICE});

	assert_int_equal(w->fb.n, 0);
	assert_true(fs->tunnel);
	assert_true(has_field(fs, "Sec-WebSocket-Protocol: jmap\n"));
	assert_closed(fs, 1013);
	ws_frame(fs, 8, STR("\x03\xf5"));
	assert_true(fs->ended);
	done(fs);
	assert_int_equal(counted(w), 0);
}

static void a_malformed_handshake_is_refused_as_ever(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/ws",
				   .websocket = true,
				   .crowded = true,
				   .origin = "https://evil.example"});

	assert_int_equal(fs->status, 403);
	done(fs);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_websocket_over_the_cap_opens_and_gets_1013),
		T(what_a_refused_websocket_sends_is_read_by_nobody),
		T(a_closed_websocket_makes_room),
		T(a_source_over_the_cap_is_429),
		T(both_kinds_are_counted_together),
		T(a_head_of_a_source_is_not_counted),
		T(other_requests_are_no_connections),
		T(a_lower_limit_cuts_nobody),
		T(on_a_crowded_connection_every_path_is_429),
		T(on_a_crowded_connection_a_websocket_gets_1013),
		T(a_malformed_handshake_is_refused_as_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
