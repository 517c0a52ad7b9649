/*
 * EventSource: what is asked for, what is written and when, how it ends.
 */
#include "test/unit/proto/front/fake.h"

#include "core/base/types.h"

#define ALL "types=*&closeafter=no&ping=0"
#define EMAIL TYPE_BIT(TYPE_EMAIL)

static struct fake_stream *ask(
	struct world *w, const char *query, const char *last_id)
{
	struct fake_stream *fs =
		request(w, (struct ask){.path = "/jmap/eventsource",
				   .query = query,
				   .authorization = BASIC_ALICE,
				   .last_event_id = last_id});

	if (w->fb.n && w->fb.calls[w->fb.n - 1].c)
		answer_login(&w->fb, w->fb.n - 1, 7, 1);
	return fs;
}

static void notice(struct world *w, uint64_t modseq, unsigned types, bool base)
{
	struct push_notice n = {.account = 7,
		.modseq = modseq,
		.generation = 1,
		.types = (uint16_t)types,
		.baseline = base,
		.baseline_end = base};

	push_notice(w->hub, &n);
	turn(w);
}

static void change(struct world *w, uint64_t modseq, unsigned types)
{
	notice(w, modseq, types, false);
}

/* One that is open, and what it said so far is forgotten. */
static struct fake_stream *opened(
	struct world *w, const char *query, const char *last_id)
{
	struct fake_stream *fs = ask(w, query, last_id);

	if (!fs->head)
		notice(w, 4, TYPE_ALL, true);
	assert_int_equal(fs->status, 200);
	buf_reset(&fs->out);
	turn(w);
	return fs;
}

static void assert_out(struct fake_stream *fs, const char *text)
{
	assert_string_equal(fs->out.n ? buf_z(&fs->out) : "", text);
	buf_reset(&fs->out);
}

static void it_opens_when_changes_are_sure_to_come(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ask(w, ALL, NULL);

	assert_false(fs->head);
	assert_int_equal(w->fb.watches, 1);
	notice(w, 4, TYPE_ALL, true);
	assert_int_equal(fs->status, 200);
	assert_true(fs->length == UINT64_MAX);
	assert_true(has_field(fs, "Content-Type: text/event-stream\n"));
	assert_true(has_field(fs, "Cache-Control: no-store\n"));
	assert_true(has_field(fs, "X-Accel-Buffering: no\n"));
	assert_out(fs, ":\nid: u7:1-4\n\n");
	done(fs);
	assert_int_equal(w->fb.unwatches, 1);
}

static void a_change_is_one_event_with_an_id(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = opened(w, ALL, NULL);

	change(w, 5, EMAIL);
	assert_out(fs, "event: state\nid: u7:1-5\n"
		       "data: {\"@type\":\"StateChange\",\"changed\":"
		       "{\"u7\":{\"Email\":\"1-5\"}}}\n\n");
	done(fs);
}

static void only_the_wanted_types_are_told(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		opened(w, "types=Email%2CX&closeafter=no&ping=0", NULL);

	change(w, 5, TYPE_BIT(TYPE_THREAD));
	assert_out(fs, "");
	change(w, 6, EMAIL | TYPE_BIT(TYPE_THREAD));
	assert_says(fs, "{\"u7\":{\"Email\":\"1-6\"}}");
	done(fs);
}

static void an_id_resumes_with_what_changed_since(void **state)
{
	struct world *w = *state;
	struct fake_stream *first = opened(w, ALL, NULL), *fs;

	change(w, 5, EMAIL);
	change(w, 6, TYPE_BIT(TYPE_THREAD));
	fs = ask(w, ALL, "u7:1-5");
	turn(w);
	assert_out(fs, ":\n\nevent: state\nid: u7:1-6\n"
		       "data: {\"@type\":\"StateChange\",\"changed\":"
		       "{\"u7\":{\"Thread\":\"1-6\"}}}\n\n");
	done(fs);
	fs = ask(w, "types=Email&closeafter=no&ping=0", "what?");
	turn(w);
	assert_says(fs, "{\"Email\":\"1-5\"}");
	done(fs);
	fs = ask(w, ALL, "u7:1-6");
	turn(w);
	assert_out(fs, ":\n\n");
	done(fs);
	done(first);
}

static void closeafter_state_ends_after_the_first_event(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		opened(w, "types=*&closeafter=state&ping=300", NULL);

	change(w, 5, EMAIL);
	assert_says(fs, "event: state\n");
	assert_true(fs->ended);
	assert_int_equal(w->fb.unwatches, 1);
	change(w, 6, EMAIL);
	done(fs);
}

static void nothing_is_written_behind_unsent_bytes(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = opened(w, ALL, NULL);

	fs->unsent = 1;
	for (uint64_t modseq = 5; modseq < 10; modseq++)
		change(w, modseq, EMAIL);
	change(w, 10, TYPE_BIT(TYPE_THREAD));
	assert_out(fs, "");
	fs->unsent = 0;
	fs->s.ops->on_room(&fs->s);
	turn(w);
	assert_out(fs, "event: state\nid: u7:1-10\n"
		       "data: {\"@type\":\"StateChange\",\"changed\":"
		       "{\"u7\":{\"Thread\":\"1-10\",\"Email\":\"1-9\"}}}\n\n");
	done(fs);
}

/* A timeout of 0 s is due at once: these tests wait for nothing. */
static void turns(struct world *w, const struct fake_stream *fs)
{
	for (int i = 0; i < 20 && !fs->reset; i++)
		assert_int_equal(loop_turn(w->l, 5, NULL), 0);
}

static void what_is_not_taken_in_time_is_cut(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = opened(w, ALL, NULL);

	fs->unsent = 1;
	fs->stuck = true;
	front_reconfigure(w->f);
	turns(w, fs);
	assert_false(fs->reset);
	w->conf.ws_client_timeout = 0;
	front_reconfigure(w->f);
	turns(w, fs);
	assert_true(fs->reset);
	assert_int_equal(w->fb.unwatches, 1);
	done(fs);
}

static void what_leaves_slowly_is_not_late(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = opened(w, ALL, NULL);

	fs->unsent = 1;
	w->conf.ws_client_timeout = 1;
	for (uint64_t end = loop_now_ms(w->l) + 1100; loop_now_ms(w->l) < end;)
		assert_int_equal(loop_turn(w->l, 50, NULL), 0);
	front_reconfigure(w->f);
	turns(w, fs);
	assert_false(fs->reset);
	done(fs);
}

static void the_throttle_is_its_own_and_live(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs;

	w->conf.event_source_throttle = 3600000;
	fs = opened(w, ALL, NULL);
	change(w, 5, EMAIL);
	assert_says(fs, "1-5");
	buf_reset(&fs->out);
	change(w, 6, EMAIL);
	assert_out(fs, "");
	w->conf.event_source_throttle = 0;
	front_reconfigure(w->f);
	turn(w);
	assert_says(fs, "1-6");
	done(fs);
}

static void bad_parameters_are_400(void **state)
{
	static const struct {
		const char *query, *word;
	} t[] = {
		{NULL, "\"types "},
		{"types=&closeafter=no&ping=0", "\"types "},
		{"types=%4&closeafter=no&ping=0", "\"types "},
		{"types=*&ping=0", "\"closeafter "},
		{"types=*&closeafter=yes&ping=0", "\"closeafter "},
		{"types=*&closeafter=no", "\"ping "},
		{"types=*&closeafter=no&ping=+1", "\"ping "},
		{"types=*&closeafter=no&ping=18446744073709551616", "\"ping "},
	};
	struct world *w = *state;

	for (size_t i = 0; i < countof(t); i++) {
		struct fake_stream *fs = ask(w, t[i].query, NULL);

		assert_int_equal(fs->status, 400);
		assert_says(fs, t[i].word);
		done(fs);
	}
	assert_int_equal(w->fb.watches, 0);
}

static void head_has_the_fields_and_no_stream(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs =
		request(w, (struct ask){.method = "HEAD",
				   .path = "/jmap/eventsource",
				   .query = ALL,
				   .authorization = BASIC_ALICE});

	answer_login(&w->fb, 0, 7, 1);
	assert_int_equal(fs->status, 200);
	assert_true(has_field(fs, "Content-Type: text/event-stream\n"));
	assert_true(fs->ended);
	assert_int_equal(w->fb.watches, 0);
	done(fs);
}

static void it_is_no_request_under_way(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = opened(w, ALL, NULL);

	assert_int_equal(fs->s.share->requests, 0);
	done(fs);
}

static void revoking_ends_only_older_ones(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = opened(w, ALL, NULL);

	front_revoke(w->f, 8, 9);
	front_revoke(w->f, 7, 1);
	assert_false(fs->ended);
	front_revoke(w->f, 7, 2);
	assert_true(fs->ended);
	assert_int_equal(w->fb.unwatches, 1);
	front_revoke(w->f, 7, 3);
	done(fs);
}

static void revoking_before_it_opens_is_401(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ask(w, ALL, NULL);

	front_revoke(w->f, 7, 2);
	assert_int_equal(fs->status, 401);
	done(fs);
}

static void a_drain_ends_all(void **state)
{
	struct world *w = *state;
	struct fake_stream *waits = ask(w, ALL, NULL), *fs, *late;

	fs = opened(w, ALL, NULL); /* and that one with it */
	assert_int_equal(waits->status, 200);
	fs->s.ops->on_drain(&fs->s);
	assert_true(fs->ended);
	front_drain(w->f);
	assert_true(waits->ended);
	late = ask(w, ALL, NULL);
	assert_int_equal(late->status, 503);
	done(late);
	done(waits);
	done(fs);
}

static void a_drain_before_it_opens_is_503(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = ask(w, ALL, NULL);

	front_drain(w->f);
	assert_int_equal(fs->status, 503);
	done(fs);
}

static void whoever_hangs_up_gets_the_end(void **state)
{
	struct world *w = *state;
	struct fake_stream *waits = ask(w, ALL, NULL), *fs;

	waits->s.ops->on_hangup(&waits->s);
	assert_true(waits->reset);
	done(waits);
	fs = opened(w, ALL, NULL);
	fs->s.ops->on_hangup(&fs->s);
	assert_true(fs->ended);
	fs->s.ops->on_hangup(&fs->s);
	done(fs);
}

static void a_client_that_leaves_unwatches(void **state)
{
	struct world *w = *state;

	done(ask(w, ALL, NULL));
	assert_int_equal(w->fb.unwatches, 1);
	done(opened(w, ALL, NULL));
	assert_int_equal(w->fb.unwatches, 2);
}

#define T(name) \
	cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(it_opens_when_changes_are_sure_to_come),
		T(a_change_is_one_event_with_an_id),
		T(only_the_wanted_types_are_told),
		T(an_id_resumes_with_what_changed_since),
		T(closeafter_state_ends_after_the_first_event),
		T(nothing_is_written_behind_unsent_bytes),
		T(what_is_not_taken_in_time_is_cut),
		T(what_leaves_slowly_is_not_late),
		T(the_throttle_is_its_own_and_live),
		T(bad_parameters_are_400),
		T(head_has_the_fields_and_no_stream),
		T(it_is_no_request_under_way),
		T(revoking_ends_only_older_ones),
		T(revoking_before_it_opens_is_401),
		T(a_drain_ends_all),
		T(a_drain_before_it_opens_is_503),
		T(whoever_hangs_up_gets_the_end),
		T(a_client_that_leaves_unwatches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
