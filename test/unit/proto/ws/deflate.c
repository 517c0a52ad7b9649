/*
 * Messages deflated and inflated, against zlib as the other side: windows,
 * contexts, what they cost and when they are given back.
 */
#include "proto/ws/deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <zlib.h>

#include <cmocka.h>

#include "conf/conf.h"
#include "core/base/metrics.h"

#define LIMIT 1000000

static struct conf conf;
static struct deflate_pool *pool;
static struct deflate *d;
static struct deflate_terms terms;
static struct buf msg;

static void agree(bool fresh, unsigned bits)
{
	terms = (struct deflate_terms){.on = true,
		.server_bits = bits & 15,
		.client_bits = bits & 15,
		.server_fresh = fresh,
		.client_fresh = fresh};
	deflate_agree(pool, &terms);
}

static int setup(void **state)
{
	conf_defaults(&conf);
	conf_swap(&conf, false);
	pool = deflate_pool_new();
	d = deflate_new();
	terms = (struct deflate_terms){
		.server_fresh = true, .client_fresh = true};
	return 0;
}

static int teardown(void **state)
{
	deflate_leave(pool, &terms, d);
	deflate_pool_free(pool); /* it checks that nothing is charged */
	buf_fini(&msg);
	return 0;
}

/* Text that compresses, another one for each seed. */
static struct str text(size_t n, unsigned seed)
{
	static struct buf b;

	buf_reset(&b);
	for (unsigned i = 0; b.n < n; i++) {
		seed = seed * 1103515245 + 12345;
		buf_fmt(&b, "{\"id\":\"M%u\"},", seed >> 20);
	}
	return str_n(b.p, n);
}

/* The client: inflates with that window, from one message to the next. */
static void client_reads(z_stream *z, struct str packed, struct str want)
{
	struct buf in cleanup(buf_fini) = {0}, out cleanup(buf_fini) = {0};

	buf_adds(&in, packed);
	buf_adds(&in, STR("\0\0\xff\xff"));
	z->next_in = (Bytef *)in.p;
	z->avail_in = (uInt)in.n;
	z->next_out = (Bytef *)buf_room(&out, want.n + 1);
	z->avail_out = (uInt)want.n + 1;
	assert_int_equal(inflate(z, Z_SYNC_FLUSH), Z_OK);
	assert_int_equal(z->avail_in, 0);
	assert_int_equal(z->avail_out, 1);
	if (want.n)
		assert_memory_equal(out.p, want.p, want.n);
}

static struct str packed_of(struct str a)
{
	return deflate_out(
		pool, &terms, d, str_n(a.p, 7), str_skip(a, 7), 1000);
}

static void every_window_is_kept_to(void **state)
{
	for (unsigned bits = 9; bits <= 15; bits++) {
		z_stream z = {0};

		deflate_leave(pool, &terms, d);
		d = deflate_new();
		agree(false, bits);
		assert_int_equal(inflateInit2(&z, -(int)bits), Z_OK);
		for (unsigned i = 0; i < 40; i++) {
			struct str s = text(600 + 997 * i, i / 3);

			client_reads(&z, packed_of(s), s);
		}
		assert_int_equal(inflateEnd(&z), Z_OK);
	}
}

static void what_was_sent_is_referred_to(void **state)
{
	size_t first, second;

	agree(false, 15);
	first = packed_of(text(700, 1)).n;
	second = packed_of(text(700, 1)).n;
	assert_true(second < 30 && second < first / 3);
}

static void without_takeover_equal_messages_are_equal(void **state)
{
	struct buf first cleanup(buf_fini) = {0};

	agree(true, 15);
	buf_adds(&first, packed_of(text(700, 1)));
	assert_true(str_eq(packed_of(text(700, 1)), buf_str(&first)));
}

/* A sender may forget: the client reads on. */
static void an_idle_history_is_given_back(void **state)
{
	z_stream z = {0};
	size_t first;

	agree(false, 15);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	client_reads(&z, packed_of(text(700, 1)), text(700, 1));
	deflate_rest(pool, d, 1000 + 29999);
	first = packed_of(text(700, 1)).n;
	assert_true(first < 30);
	deflate_rest(pool, d, 1000 + 30000);
	assert_true(packed_of(text(700, 1)).n > 100);
	assert_int_equal(inflateEnd(&z), Z_OK);
}

static void a_history_over_the_budget_is_not_kept(void **state)
{
	struct deflate_terms other = {
		.on = true, .server_bits = 15, .client_bits = 15};

	conf.ws_deflate_memory = 32768 + 8192;
	agree(false, 15);
	assert_false(terms.server_fresh);
	conf.ws_deflate_memory = 32768 + 600; /* it was reloaded */
	packed_of(text(700, 1));
	assert_true(packed_of(text(700, 1)).n > 100);
	deflate_agree(pool, &other);
	assert_true(other.server_fresh && other.client_fresh);
}

static void takeover_is_agreed_on_while_the_budget_lasts(void **state)
{
	struct deflate_terms t[4], asked = {.on = true,
					   .server_bits = 15,
					   .client_bits = 15,
					   .client_asked = true};

	conf.ws_deflate_memory = 3 * 4096 + 8192;
	for (size_t i = 0; i < 4; i++) {
		t[i] = asked;
		deflate_agree(pool, &t[i]);
		assert_int_equal(t[i].client_fresh, i == 3);
		assert_int_equal(t[i].server_fresh, i == 3);
		/* A window that is not kept may be as large as it likes. */
		assert_int_equal(t[i].client_bits, i == 3 ? 15 : 12);
	}
	deflate_leave(pool, &t[0], NULL);
	t[0] = asked;
	deflate_agree(pool, &t[0]);
	assert_false(t[0].client_fresh);
	for (size_t i = 0; i < 4; i++)
		deflate_leave(pool, &t[i], NULL);
}

static void no_budget_is_no_takeover_but_compression(void **state)
{
	conf.ws_deflate_memory = 0;
	agree(false, 15);
	assert_true(terms.server_fresh && terms.client_fresh && terms.on);
	assert_true(packed_of(text(700, 1)).n < 400);
}

/* In. */

/* Inflates the pieces of one message; what the last step said. */
static enum inflate_result take(struct str s, size_t piece, uint64_t limit)
{
	enum inflate_result ret = INFLATE_DONE;
	struct str part;

	buf_reset(&msg);
	while (s.n && ret == INFLATE_DONE) {
		part = str_n(s.p, min_of(piece, s.n));
		s = str_skip(s, part.n);
		do
			ret = deflate_in(pool, d, &part, &msg, limit);
		while (ret == INFLATE_MORE);
		assert_true(ret != INFLATE_DONE || !part.n);
	}
	part = deflate_in_tail(d);
	while (ret == INFLATE_DONE || ret == INFLATE_MORE) {
		ret = deflate_in(pool, d, &part, &msg, limit);
		if (ret == INFLATE_DONE)
			break;
	}
	if (ret == INFLATE_DONE && !deflate_in_end(pool, &terms, d))
		ret = INFLATE_BAD;
	return ret;
}

static void client_packs(z_stream *z, struct str s, struct buf *out)
{
	buf_reset(out);
	z->next_in = (Bytef *)(uintptr_t)s.p;
	z->avail_in = (uInt)s.n;
	z->next_out = (Bytef *)buf_room(out, s.n + 100);
	z->avail_out = (uInt)s.n + 100;
	assert_int_equal(deflate(z, Z_SYNC_FLUSH), Z_OK);
	out->n = s.n + 100 - z->avail_out - 4;
}

/* The same with every window, whole and in pieces; contexts go on. */
static void messages_in_any_pieces_inflate(void **state)
{
	struct buf packed cleanup(buf_fini) = {0};

	for (unsigned bits = 9; bits <= 15; bits++) {
		z_stream z = {0};

		deflate_leave(pool, &terms, d);
		d = deflate_new();
		agree(false, bits);
		assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, -(int)bits, 8,
					 Z_DEFAULT_STRATEGY),
			Z_OK);
		for (unsigned i = 0; i < 30; i++) {
			struct str s = text(1 + 1777 * i, i / 3);

			client_packs(&z, s, &packed);
			assert_int_equal(take(buf_str(&packed),
						 i % 3 ? i : SIZE_MAX, LIMIT),
				INFLATE_DONE);
			assert_true(str_eq(buf_str(&msg), s));
		}
		(void)deflateEnd(&z);
	}
}

static void the_limit_holds_while_it_inflates(void **state)
{
	struct buf packed cleanup(buf_fini) = {0};
	z_stream z = {0};

	agree(true, 15);
	assert_int_equal(
		deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY),
		Z_OK);
	client_packs(&z, text(100000, 1), &packed);
	assert_int_equal(
		take(buf_str(&packed), SIZE_MAX, 100000), INFLATE_DONE);
	assert_int_equal(msg.n, 100000);
	assert_int_equal(take(buf_str(&packed), 10, 99999), INFLATE_TOO_BIG);
	assert_int_equal(msg.n, 99999);
	(void)deflateEnd(&z);
}

static void a_limit_of_nothing_takes_the_empty_message(void **state)
{
	agree(true, 15);
	assert_int_equal(take(STR("\0"), 1, 0), INFLATE_DONE);
	assert_int_equal(take(STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), 1, 0),
		INFLATE_TOO_BIG);
}

static void a_message_cut_anywhere_is_bad(void **state)
{
	struct str whole = STR("\xf2\x48\xcd\xc9\xc9\x07\x00");

	agree(true, 15);
	for (size_t n = 1; n < whole.n - 1; n++) {
		deflate_leave(pool, &terms, d);
		d = deflate_new();
		assert_int_equal(
			take(str_n(whole.p, n), 1, LIMIT), INFLATE_BAD);
	}
}

static void last_blocks_are_followed_by_others(void **state)
{
	struct buf b cleanup(buf_fini) = {0};

	agree(false, 15);
	for (int i = 0; i < 1000; i++)
		buf_adds(&b, STR("\xf3\x48\xcd\xc9\xc9\x07\x00"));
	assert_int_equal(take(buf_str(&b), SIZE_MAX, LIMIT), INFLATE_DONE);
	assert_int_equal(msg.n, 5000);
	/* "Hello" once more, as a reference back: RFC 7692 7.2.3.2 */
	assert_int_equal(
		take(STR("\xf2\x00\x11\x00\x00"), 1, LIMIT), INFLATE_DONE);
	assert_true(str_eq(buf_str(&msg), STR("Hello")));
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_window_is_kept_to),
		T(what_was_sent_is_referred_to),
		T(without_takeover_equal_messages_are_equal),
		T(an_idle_history_is_given_back),
		T(a_history_over_the_budget_is_not_kept),
		T(takeover_is_agreed_on_while_the_budget_lasts),
		T(no_budget_is_no_takeover_but_compression),
		T(messages_in_any_pieces_inflate),
		T(the_limit_holds_while_it_inflates),
		T(a_limit_of_nothing_takes_the_empty_message),
		T(a_message_cut_anywhere_is_bad),
		T(last_blocks_are_followed_by_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
