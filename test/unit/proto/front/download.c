/* GET /jmap/download: what is asked of the store, and how its bytes go out. */
#include "proto/jmap/ids.h"
#include "test/unit/proto/front/fake.h"

static char blob[BLOB_ID_MAX], path[256], tag[BLOB_ID_MAX + 2];

/* Alice is known already: that was call 0. */
static int setup(void **state)
{
	struct blob_id b = {{1, 2, 3}};
	struct world *w;

	if (world_setup(state) < 0)
		return -1;
	w = *state;
	done(request(w, (struct ask){.path = "/jmap/session",
				.authorization = BASIC_ALICE}));
	answer_login(&w->fb, 0, 7, 1);
	blob_id_of(&b, blob);
	snprintf(path, sizeof(path), "/jmap/download/u7/%s/n.txt", blob);
	snprintf(tag, sizeof(tag), "\"%s\"", blob);
	return 0;
}

static struct ask ask(void)
{
	return (struct ask){.path = path,
		.query = "type=text/plain",
		.authorization = BASIC_ALICE};
}

static struct call_range range_of_call(struct world *w, size_t i)
{
	struct call_range r;

	assert_int_equal(w->fb.calls[i].kind, CALL_DOWNLOAD);
	assert_true(w->fb.calls[i].head.n == sizeof(r) + strlen(blob));
	memcpy(&r, w->fb.calls[i].head.p, sizeof(r));
	assert_memory_equal(
		w->fb.calls[i].head.p + sizeof(r), blob, strlen(blob));
	return r;
}

static void head(struct world *w, size_t i, unsigned status, uint64_t first,
	uint64_t length, uint64_t total)
{
	struct call *c = w->fb.calls[i].c;
	struct call_found f = {first, length, total};

	c->on_head(c, status, &f);
}

static void data(struct world *w, size_t i, const char *bytes)
{
	struct call *c = w->fb.calls[i].c;

	c->on_data(c, str_of(bytes));
}

static void a_blob_streams(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = request(w, ask());
	struct call_range r = range_of_call(w, 1);

	assert_int_equal(r.given + r.none, 0);
	assert_int_equal(w->fb.calls[1].login.account, 7);
	head(w, 1, 200, 0, 10, 10);
	assert_int_equal(fs->status, 200);
	assert_int_equal(fs->length, 10);
	assert_true(has_field(fs, "Content-Type: text/plain\n"));
	assert_true(has_field(
		fs, "Content-Disposition: attachment; filename=\"n.txt\"\n"));
	assert_true(has_field(fs, "X-Content-Type-Options: nosniff\n"));
	assert_true(has_field(fs, "Content-Security-Policy: sandbox"));
	assert_true(has_field(fs, "Accept-Ranges: bytes\n"));
	assert_true(has_field(fs, "Cache-Control: private, immutable"));
	assert_true(has_field(fs, "ETag: \""));
	data(w, 1, "12345");
	data(w, 1, "67890");
	assert_string_equal(buf_z(&fs->out), "1234567890");
	assert_false(fs->ended);
	answer(&w->fb, 1, 200, "");
	assert_true(fs->ended);
	done(fs);
}

static void what_has_left_is_credited(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = request(w, ask());

	head(w, 1, 200, 0, 10, 10);
	data(w, 1, "12345");
	assert_int_equal(w->fb.calls[1].took, 0);
	fs->s.ops->on_room(&fs->s);
	assert_int_equal(w->fb.calls[1].took, 5);
	fs->s.ops->on_room(&fs->s);
	assert_int_equal(w->fb.calls[1].took, 5);
	data(w, 1, "67890");
	answer(&w->fb, 1, 200, "");
	fs->s.ops->on_room(&fs->s); /* nobody is there to be told */
	assert_int_equal(w->fb.calls[1].took, 5);
	done(fs);
}

static void one_that_breaks_off_resets_the_stream(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = request(w, ask());

	head(w, 1, 200, 0, 10, 10);
	data(w, 1, "12345");
	answer(&w->fb, 1, 503, "");
	assert_true(fs->reset);
	assert_false(fs->ended);
	done(fs);
}

static void revoking_cuts_what_is_under_way(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = request(w, ask());

	head(w, 1, 200, 0, 10, 10);
	data(w, 1, "12345");
	front_revoke(w->f, 7, 1);
	front_revoke(w->f, 8, 9);
	assert_false(fs->reset);
	front_revoke(w->f, 7, 2);
	assert_true(fs->reset);
	assert_false(fs->ended);
	done(fs);
}

static void revoking_takes_nothing_from_what_is_whole(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = request(w, ask());

	head(w, 1, 200, 0, 5, 5);
	data(w, 1, "12345");
	answer(&w->fb, 1, 200, "");
	front_revoke(w->f, 7, 2);
	assert_true(fs->ended);
	assert_false(fs->reset);
	done(fs);
}

static void a_client_that_goes_cancels_it(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = request(w, ask());

	head(w, 1, 200, 0, 10, 10);
	done(fs);
	assert_int_equal(w->fb.cancelled, 1);
}

static void a_range_is_asked_for_and_named(void **state)
{
	struct world *w = *state;
	struct ask a = ask();
	struct fake_stream *fs;
	struct call_range r;

	a.range = "bytes=2-5";
	fs = request(w, a);
	r = range_of_call(w, 1);
	assert_true(r.given && !r.none && r.first == 2 && r.last == 5);
	head(w, 1, 206, 2, 4, 10);
	assert_int_equal(fs->status, 206);
	assert_int_equal(fs->length, 4);
	assert_true(has_field(fs, "Content-Range: bytes 2-5/10\n"));
	data(w, 1, "3456");
	answer(&w->fb, 1, 206, "");
	assert_true(fs->ended);
	done(fs);
}

static void a_range_that_cannot_be_is_416(void **state)
{
	struct world *w = *state;
	struct ask a = ask();
	struct fake_stream *fs;

	a.range = "bytes=20-";
	fs = request(w, a);
	head(w, 1, 416, 0, 0, 10);
	answer(&w->fb, 1, 416, "");
	assert_int_equal(fs->status, 416);
	assert_true(has_field(fs, "Content-Range: bytes */10\n"));
	assert_false(has_field(fs, "Cache-Control: private"));
	done(fs);
}

static void head_asks_for_no_bytes(void **state)
{
	struct world *w = *state;
	struct ask a = ask();
	struct fake_stream *fs;
	struct call_range r;

	a.method = "HEAD";
	a.range = "bytes=2-5";
	fs = request(w, a);
	r = range_of_call(w, 1);
	assert_true(r.none && !r.given);
	head(w, 1, 200, 0, 10, 10);
	answer(&w->fb, 1, 200, "");
	assert_int_equal(fs->status, 200);
	assert_int_equal(fs->length, 10);
	assert_true(fs->ended);
	done(fs);
}

static void what_the_client_has_is_304(void **state)
{
	struct world *w = *state;
	struct ask a = ask();
	struct fake_stream *fs;

	a.none_match = tag;
	fs = request(w, a);
	assert_true(range_of_call(w, 1).none);
	head(w, 1, 200, 0, 10, 10);
	answer(&w->fb, 1, 200, "");
	assert_int_equal(fs->status, 304);
	assert_true(fs->ended);
	assert_true(has_field(fs, "ETag: \""));
	assert_false(has_field(fs, "Content-Type"));
	done(fs);
}

static void what_is_not_there_is_404_even_if_the_client_has_it(void **state)
{
	struct world *w = *state;
	struct ask a = ask();
	struct fake_stream *fs;

	a.none_match = "*";
	fs = request(w, a);
	answer(&w->fb, 1, 404, "");
	assert_int_equal(fs->status, 404);
	done(fs);
}

static void other_accounts_and_nonsense_are_404_unasked(void **state)
{
	static const char *const formats[] = {"/jmap/download/u8/%s/n",
		"/jmap/download/%s", "/jmap/download/u7/%s",
		"/jmap/download/u7/x%s/n", "/jmap/download//%s/n",
		"/jmap/download/u7//%s"};
	struct world *w = *state;

	for (size_t i = 0; i < countof(formats); i++) {
		struct buf p cleanup(buf_fini) = {0};
		struct ask a = ask();
		struct fake_stream *fs;
		struct str rest = str_of(formats[i]), part;

		str_cut(&rest, '%', &part);
		buf_adds(&p, part);
		buf_addz(&p, blob);
		buf_adds(&p, str_skip(rest, 1));
		a.path = buf_z(&p);
		fs = request(w, a);
		assert_int_equal(fs->status, 404);
		assert_says(fs, "There is no such blob.");
		assert_int_equal(w->fb.n, 1);
		done(fs);
	}
}

static void a_type_that_is_none_is_400(void **state)
{
	struct world *w = *state;
	struct ask a = ask();
	struct fake_stream *fs;

	a.query = "type=text%0d%0aX:y";
	fs = request(w, a);
	assert_int_equal(fs->status, 400);
	assert_int_equal(w->fb.n, 1);
	done(fs);
}

static void a_store_that_is_away_is_503(void **state)
{
	struct world *w = *state;
	struct fake_stream *fs = request(w, ask());

	answer(&w->fb, 1, 503, "");
	assert_int_equal(fs->status, 503);
	assert_false(fs->reset);
	done(fs);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_blob_streams),
		T(what_has_left_is_credited),
		T(one_that_breaks_off_resets_the_stream),
		T(revoking_cuts_what_is_under_way),
		T(revoking_takes_nothing_from_what_is_whole),
		T(a_client_that_goes_cancels_it),
		T(a_range_is_asked_for_and_named),
		T(a_range_that_cannot_be_is_416),
		T(head_asks_for_no_bytes),
		T(what_the_client_has_is_304),
		T(what_is_not_there_is_404_even_if_the_client_has_it),
		T(other_accounts_and_nonsense_are_404_unasked),
		T(a_type_that_is_none_is_400),
		T(a_store_that_is_away_is_503),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
