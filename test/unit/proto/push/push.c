/*
 * The push hub: what each client hears, and when.
 *
 * The clock of the tests is the loop's own; where time must pass they turn the loop
 * until it has, so that nothing depends on how fast the machine is.
 */
#include "proto/push/push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "core/base/buf.h"

#define A 1u
#define GEN 0xabcd0001u
#define EMAIL TYPE_BIT(TYPE_EMAIL)
#define MAILBOX TYPE_BIT(TYPE_MAILBOX)
#define THREAD TYPE_BIT(TYPE_THREAD)

static uint64_t window_ms;

struct ear {
	struct push_client c;
	char last[512];
	char token[64]; /* when it heard, or stood */
	unsigned heard, pended, stood;
	size_t unsent;
};

struct world {
	struct loop *loop;
	struct push_hub *hub;
	unsigned watches, unwatches;
};

static void on_watch(void *ctx, uint64_t account, const void *cookie)
{
	struct world *w = ctx;
	assert_memory_equal(cookie, "key", 3);
	w->watches++;
}

static void on_unwatch(void *ctx, uint64_t account)
{
	((struct world *)ctx)->unwatches++;
}

static void on_send(struct push_client *c, struct str json)
{
	struct ear *e = container_of(c, struct ear, c);
	snprintf(e->last, sizeof(e->last), "%.*s", STR_ARG(json));
	e->heard++;
}

static void note_token(struct push_client *c)
{
	struct ear *e = container_of(c, struct ear, c);
	struct buf b cleanup(buf_fini) = {0};
	push_token(c, &b);
	snprintf(e->token, sizeof(e->token), "%s", buf_z(&b));
}

static void on_plain(struct push_client *c, struct str json)
{
	on_send(c, json);
	note_token(c);
}

static void on_stands(struct push_client *c)
{
	container_of(c, struct ear, c)->stood++;
	note_token(c);
}

static size_t on_unsent(struct push_client *c)
{
	return container_of(c, struct ear, c)->unsent;
}

static uint64_t on_throttle(void)
{
	return window_ms;
}

static const struct push_hub_ops hub_ops = {on_watch, on_unwatch};
static void on_pended(struct push_client *c)
{
	container_of(c, struct ear, c)->pended++;
}

static const struct push_client_ops ear_ops = {
	.send = on_send,
	.pended = on_pended,
	.unsent = on_unsent,
	.throttle_ms = on_throttle,
};

static const struct push_client_ops plain_ops = {
	.send = on_plain,
	.unsent = on_unsent,
	.throttle_ms = on_throttle,
	.stands = on_stands,
	.plain = true,
};

static int setup(void **state)
{
	struct world *w = mem_new(sizeof(*w));
	w->loop = loop_new(NULL);
	w->hub = push_hub_new(w->loop, &hub_ops, w);
	window_ms = 0;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	push_hub_free(w->hub);
	loop_free(w->loop);
	free(w);
	return 0;
}

static void turn(struct world *w)
{
	assert_int_equal(loop_turn(w->loop, 0, NULL), 0);
}

static void ear_init(struct world *w, struct ear *e)
{
	*e = (struct ear){0};
	push_client_init(&e->c, w->hub, &ear_ops);
}

static void enable(struct ear *e, unsigned types, const char *token)
{
	push_enable(&e->c, A, "key", 3, types, str_of(token));
}

static void notice(struct world *w, uint64_t modseq, unsigned types)
{
	struct push_notice n = {.account = A,
		.modseq = modseq,
		.generation = GEN,
		.types = (uint16_t)types};
	push_notice(w->hub, &n);
}

static void baseline_part(struct world *w, uint64_t modseq, unsigned types)
{
	struct push_notice n = {.account = A,
		.modseq = modseq,
		.generation = GEN,
		.types = (uint16_t)types,
		.baseline = true};
	push_notice(w->hub, &n);
}

static void baseline_end(struct world *w)
{
	struct push_notice n = {.account = A,
		.generation = GEN,
		.baseline = true,
		.baseline_end = true};
	push_notice(w->hub, &n);
}

/* Everything stands at that modseq, and nobody is told. */
static void baseline(struct world *w, uint64_t modseq)
{
	baseline_part(w, modseq, TYPE_ALL);
	baseline_end(w);
	turn(w);
}

static void assert_heard(const struct ear *e, unsigned n, const char *part)
{
	assert_int_equal(e->heard, n);
	if (part && !strstr(e->last, part))
		fail_msg("%s is not in %s", part, e->last);
}

/* ---- what ----------------------------------------------------------------- */

static void test_change_is_told_with_states_and_token(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "");
	baseline(w, 5);
	assert_heard(&e, 0, NULL);
	notice(w, 7, EMAIL | MAILBOX);
	turn(w);
	assert_heard(&e, 1, NULL);
	assert_string_equal(e.last,
		"{\"@type\":\"StateChange\",\"changed\":{\"u1\":{"
		"\"Mailbox\":\"abcd0001-7\",\"Email\":\"abcd0001-7\"}},"
		"\"pushState\":\"u1:abcd0001-7\"}");
	push_disable(&e.c);
	assert_int_equal(w->watches, 1);
	assert_int_equal(w->unwatches, 1);
}

static void test_only_wanted_types_are_told(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, EMAIL, "");
	baseline(w, 5);
	notice(w, 6, MAILBOX);
	turn(w);
	assert_heard(&e, 0, NULL);
	notice(w, 7, MAILBOX | EMAIL);
	turn(w);
	assert_heard(&e, 1, "{\"Email\":\"abcd0001-7\"}");
	push_disable(&e.c);
}

static void test_no_type_at_all_hears_nothing(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, 0, "");
	baseline(w, 5);
	notice(w, 6, TYPE_ALL);
	turn(w);
	assert_heard(&e, 0, NULL);
	push_disable(&e.c);
}

static void test_every_client_of_the_account_hears(void **state)
{
	struct world *w = *state;
	struct ear e[600];
	for (size_t i = 0; i < countof(e); i++) {
		ear_init(w, &e[i]);
		enable(&e[i], TYPE_ALL, "");
	}
	baseline(w, 5);
	notice(w, 6, EMAIL);
	/* At most 256 frames a turn: the others' come in the next ones. */
	turn(w);
	assert_heard(&e[255], 1, NULL);
	assert_heard(&e[256], 0, NULL);
	turn(w);
	turn(w);
	for (size_t i = 0; i < countof(e); i++)
		assert_heard(&e[i], 1, "abcd0001-6");
	assert_int_equal(w->watches, 1);
	for (size_t i = 0; i < countof(e); i++)
		push_disable(&e[i].c);
	assert_int_equal(w->unwatches, 1);
}

/* ---- when ----------------------------------------------------------------- */

static void test_burst_leaves_as_two_frames(void **state)
{
	struct world *w = *state;
	struct ear e;
	window_ms = 60;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "");
	baseline(w, 5);
	notice(w, 6, EMAIL);
	turn(w);
	assert_heard(&e, 1, "\"Email\":\"abcd0001-6\"");
	uint64_t first = loop_now_ms(w->loop);
	for (uint64_t m = 7; m < 50; m++) {
		notice(w, m, m & 1 ? EMAIL : MAILBOX);
		turn(w);
	}
	while (e.heard < 2)
		assert_int_equal(loop_turn(w->loop, 100, NULL), 0);
	assert_true(loop_now_ms(w->loop) >= first + window_ms);
	assert_heard(&e, 2,
		"\"Mailbox\":\"abcd0001-48\",\"Email\":"
		"\"abcd0001-49\"");
	push_disable(&e.c);
}

static void test_enabling_again_opens_no_second_window(void **state)
{
	struct world *w = *state;
	struct ear e;
	window_ms = 3600000;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "");
	baseline(w, 5);
	notice(w, 6, EMAIL);
	turn(w);
	push_disable(&e.c);
	enable(&e, TYPE_ALL, "u1:abcd0001-5");
	baseline(w, 6);
	turn(w);
	assert_heard(&e, 1, NULL);
	push_disable(&e.c);
}

static void test_new_throttle_governs_who_waits(void **state)
{
	struct world *w = *state;
	struct ear e;
	window_ms = 3600000;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "");
	baseline(w, 5);
	notice(w, 6, EMAIL);
	turn(w);
	notice(w, 7, EMAIL);
	turn(w);
	assert_heard(&e, 1, NULL);
	window_ms = 0;
	push_reconfigure(w->hub);
	turn(w);
	assert_heard(&e, 2, "abcd0001-7");
	push_disable(&e.c);
}

static void test_slow_reader_gets_one_newest_state(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "");
	baseline(w, 5);
	e.unsent = 100;
	for (uint64_t m = 6; m < 1000; m++) {
		notice(w, m, EMAIL);
		turn(w);
	}
	assert_heard(&e, 0, NULL);
	e.unsent = 0;
	push_room(&e.c);
	turn(w);
	assert_heard(&e, 1, "abcd0001-999");
	push_disable(&e.c);
}

static void test_owner_hears_once_of_each_batch(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, EMAIL, "");
	baseline(w, 5);
	notice(w, 6, MAILBOX);
	assert_int_equal(e.pended, 0);
	notice(w, 7, EMAIL);
	notice(w, 8, EMAIL);
	assert_int_equal(e.pended, 1);
	turn(w);
	notice(w, 9, EMAIL);
	assert_int_equal(e.pended, 2);
	push_disable(&e.c);
}

/* ---- resuming ------------------------------------------------------------- */

static void test_token_brings_exactly_what_was_missed(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "u1:abcd0001-5");
	baseline_part(w, 3, THREAD);
	baseline_part(w, 5, MAILBOX);
	turn(w);
	assert_heard(&e, 0, NULL);
	baseline_part(w, 9, EMAIL);
	baseline_end(w);
	turn(w);
	assert_heard(&e, 1, "{\"Email\":\"abcd0001-9\"}");
	push_disable(&e.c);
}

static void test_token_of_now_brings_nothing(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "u1:abcd0001-9");
	baseline(w, 9);
	turn(w);
	assert_heard(&e, 0, NULL);
	notice(w, 10, EMAIL);
	turn(w);
	assert_heard(&e, 1, "abcd0001-10");
	push_disable(&e.c);
}

static void test_token_ahead_of_this_worker_is_not_told_again(void **state)
{
	struct world *w = *state;
	struct ear first, e;
	ear_init(w, &first);
	enable(&first, TYPE_ALL, "");
	baseline(w, 9);
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "u1:abcd0001-10");
	notice(w, 10, EMAIL);
	turn(w);
	assert_heard(&first, 1, "abcd0001-10");
	assert_heard(&e, 0, NULL);
	notice(w, 11, EMAIL);
	turn(w);
	assert_heard(&e, 1, "abcd0001-11");
	push_disable(&first.c);
	push_disable(&e.c);
}

static void test_unreadable_token_gets_the_full_state(void **state)
{
	static const char *const bad[] = {
		"nonsense", "u1:abcd0002-9", "u2:abcd0001-9"};
	struct world *w = *state;
	for (size_t i = 0; i < countof(bad); i++) {
		struct ear e;
		ear_init(w, &e);
		enable(&e, TYPE_ALL, bad[i]);
		baseline(w, 9);
		turn(w);
		assert_heard(&e, 1, "\"Thread\":\"abcd0001-9\"");
		push_disable(&e.c);
	}
}

static void test_full_state_is_of_wanted_types_only(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, EMAIL, "nonsense");
	baseline(w, 9);
	turn(w);
	assert_heard(&e, 1, "{\"u1\":{\"Email\":\"abcd0001-9\"}}");
	push_disable(&e.c);
}

static void test_change_before_the_baseline_is_news(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "");
	notice(w, 6, EMAIL);
	baseline(w, 5);
	turn(w);
	assert_heard(&e, 1, "{\"Email\":\"abcd0001-6\"}");
	push_disable(&e.c);
}

/* ---- lives of the store --------------------------------------------------- */

static void test_what_moved_while_the_store_was_away_is_told(void **state)
{
	struct world *w = *state;
	struct ear e;
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "");
	baseline(w, 5);
	push_restart(w->hub);
	baseline_part(w, 5, MAILBOX | THREAD);
	baseline_part(w, 8, EMAIL);
	baseline_end(w);
	turn(w);
	assert_heard(&e, 1, "{\"Email\":\"abcd0001-8\"}");
	push_disable(&e.c);
}

static void test_resume_waits_for_the_new_store(void **state)
{
	struct world *w = *state;
	struct ear old, e;
	ear_init(w, &old);
	enable(&old, TYPE_ALL, "");
	baseline(w, 5);
	push_restart(w->hub);
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "u1:abcd0001-6");
	turn(w);
	assert_heard(&e, 0, NULL);
	baseline(w, 8);
	turn(w);
	assert_heard(&e, 1, "abcd0001-8");
	push_disable(&old.c);
	push_disable(&e.c);
}

static void test_new_generation_is_all_news(void **state)
{
	struct world *w = *state;
	struct ear e;
	struct push_notice n = {.account = A,
		.modseq = 2,
		.generation = 7,
		.types = TYPE_ALL,
		.baseline = true};
	ear_init(w, &e);
	enable(&e, TYPE_ALL, "");
	baseline(w, 50);
	push_restart(w->hub);
	push_notice(w->hub, &n);
	n.types = 0;
	n.modseq = 0;
	n.baseline_end = true;
	push_notice(w->hub, &n);
	turn(w);
	assert_heard(&e, 1, "\"Email\":\"7-2\"");
	push_disable(&e.c);
}

static void plain_init(struct world *w, struct ear *e)
{
	*e = (struct ear){0};
	push_client_init(&e->c, w->hub, &plain_ops);
}

static void test_plain_and_with_token_tell_the_same(void **state)
{
	struct world *w = *state;
	struct ear a, b;
	plain_init(w, &a);
	ear_init(w, &b);
	enable(&a, TYPE_ALL, "");
	enable(&b, TYPE_ALL, "");
	baseline(w, 4);
	for (uint64_t modseq = 5; modseq < 7; modseq++) {
		notice(w, modseq, EMAIL);
		turn(w);
	}
	assert_string_equal(a.last, "{\"@type\":\"StateChange\",\"changed\":{"
				    "\"u1\":{\"Email\":\"abcd0001-6\"}}}");
	assert_string_equal(a.token, "u1:abcd0001-6");
	assert_heard(&b, 2, "\"pushState\":\"u1:abcd0001-6\"");
	push_disable(&a.c);
	push_disable(&b.c);
}

static void test_it_stands_when_the_first_baseline_is_whole(void **state)
{
	struct world *w = *state;
	struct ear a, b;
	plain_init(w, &a);
	plain_init(w, &b);
	enable(&a, TYPE_ALL, "");
	baseline_part(w, 4, TYPE_ALL);
	turn(w);
	assert_int_equal(a.stood, 0);
	baseline_end(w);
	assert_int_equal(a.stood, 1);
	assert_string_equal(a.token, "u1:abcd0001-4");
	enable(&b, TYPE_ALL, ""); /* from inside */
	assert_int_equal(b.stood, 1);
	push_restart(w->hub);
	baseline(w, 4);
	assert_int_equal(a.stood, 1);
	assert_int_equal(b.stood, 1);
	assert_int_equal(a.heard + b.heard, 0);
	push_disable(&a.c);
	push_disable(&b.c);
}

static void count(void *ctx, uint64_t account, const void *cookie)
{
	assert_int_equal(account, A);
	assert_memory_equal(cookie, "key", 3);
	++*(unsigned *)ctx;
}

static void test_each_watched_account_is_named_once(void **state)
{
	struct world *w = *state;
	struct ear a, b;
	unsigned n = 0;
	ear_init(w, &a);
	ear_init(w, &b);
	enable(&a, TYPE_ALL, "");
	enable(&b, TYPE_ALL, "");
	push_each(w->hub, count, &n);
	assert_int_equal(n, 1);
	push_disable(&a.c);
	push_disable(&b.c);
	n = 0;
	push_each(w->hub, count, &n);
	assert_int_equal(n, 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_change_is_told_with_states_and_token),
		T(test_only_wanted_types_are_told),
		T(test_no_type_at_all_hears_nothing),
		T(test_every_client_of_the_account_hears),
		T(test_burst_leaves_as_two_frames),
		T(test_enabling_again_opens_no_second_window),
		T(test_new_throttle_governs_who_waits),
		T(test_slow_reader_gets_one_newest_state),
		T(test_owner_hears_once_of_each_batch),
		T(test_token_brings_exactly_what_was_missed),
		T(test_token_of_now_brings_nothing),
		T(test_token_ahead_of_this_worker_is_not_told_again),
		T(test_unreadable_token_gets_the_full_state),
		T(test_full_state_is_of_wanted_types_only),
		T(test_change_before_the_baseline_is_news),
		T(test_what_moved_while_the_store_was_away_is_told),
		T(test_resume_waits_for_the_new_store),
		T(test_new_generation_is_all_news),
		T(test_plain_and_with_token_tell_the_same),
		T(test_it_stands_when_the_first_baseline_is_whole),
		T(test_each_watched_account_is_named_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
