/*
 * The hash table and its hashes.
 */
#include "core/base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

#include <cmocka.h>

struct thing {
	struct map_node node;
	unsigned key;
};

static struct thing *find(const struct map *m, uint64_t hash, unsigned key)
{
	struct map_node *n;

	map_each (m, hash, n) {
		struct thing *t = container_of(n, struct thing, node);

		if (t->key == key)
			return t;
	}
	return NULL;
}

static void an_empty_map_finds_nothing(void **state)
{
	struct map m = {0};

	assert_null(map_find(&m, 0));
	assert_null(map_find(&m, 1234));
	map_fini(&m);
}

static void ten_thousand_are_found_and_deleted(void **state)
{
	enum { COUNT = 10000 };
	struct thing *t = mem_new(COUNT * sizeof(*t));
	struct map m = {0};

	for (unsigned i = 0; i < COUNT; i++) {
		t[i].key = i;
		map_put(&m, &t[i].node, hash_u64(i));
	}
	assert_int_equal(m.n, COUNT);
	assert_true(m.cap >= m.n && m.cap < 4 * m.n);
	for (unsigned i = 0; i < COUNT; i += 2)
		map_del(&m, &t[i].node);
	assert_int_equal(m.n, COUNT / 2);
	for (unsigned i = 0; i < COUNT; i++) {
		struct thing *want = i % 2 ? &t[i] : NULL;

		assert_ptr_equal(find(&m, hash_u64(i), i), want);
	}
	map_fini(&m);
	free(t);
}

static void equal_hashes_live_side_by_side(void **state)
{
	struct thing t[100];
	struct map m = {0};
	struct map_node *n;
	unsigned seen = 0;

	for (unsigned i = 0; i < countof(t); i++) {
		t[i].key = i;
		/* One slot for all, two hashes. */
		map_put(&m, &t[i].node, i % 2 ? 5 : 5 + (1ull << 40));
	}
	map_each (&m, 5, n) {
		seen++;
		assert_int_equal(n->hash, 5);
	}
	assert_int_equal(seen, 50);
	for (unsigned i = 0; i < countof(t); i++)
		assert_ptr_equal(find(&m, t[i].node.hash, i), &t[i]);
	map_fini(&m);
}

struct walk {
	struct map *m;
	unsigned seen;
	unsigned stop_at;
};

static bool delete_it(struct map_node *n, void *ctx)
{
	struct walk *w = ctx;

	map_del(w->m, n);
	memset(n, 0xee, sizeof(*n));
	return ++w->seen != w->stop_at;
}

static void a_walk_may_delete_where_it_stands(void **state)
{
	struct thing t[500];
	struct map m = {0};
	struct walk w = {&m, 0, 0};

	for (unsigned i = 0; i < countof(t); i++)
		map_put(&m, &t[i].node, i % 7);
	map_walk(&m, delete_it, &w);
	assert_int_equal(w.seen, countof(t));
	assert_int_equal(m.n, 0);
	map_fini(&m);
}

static void a_walk_ends_on_false(void **state)
{
	struct thing t[50];
	struct map m = {0};
	struct walk w = {&m, 0, 10};

	for (unsigned i = 0; i < countof(t); i++)
		map_put(&m, &t[i].node, hash_u64(i));
	map_walk(&m, delete_it, &w);
	assert_int_equal(w.seen, 10);
	assert_int_equal(m.n, 40);
	map_fini(&m);
}

static void siphash_matches_known_values(void **state)
{
	/* Key 00..0f, messages of the bytes 00, 01, ... (big-endian here). */
	static const uint64_t counting[] = {
		0xdcc40f055801acab, 0x93ca577df39bf4c9};
	/* What CPython's SipHash-1-3 says under the key of all zeroes. */
	static const struct {
		size_t n;
		int64_t want;
	} zeroes[] = {
		{1, 7541581120933061747},
		{6, -2034959046543467301},
		{7, 3389392686435873370},
		{8, -1525574692105212182},
		{9, 8471974163824919394},
	};
	uint8_t bytes[16];
	uint64_t key[2];

	for (uint8_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	memcpy(key, bytes, sizeof(key));
	for (size_t i = 0; i < countof(counting); i++) {
		assert_true(hash_sip13(key, str_n(bytes, i)) ==
			    __builtin_bswap64(counting[i]));
	}
	memset(key, 0, sizeof(key));
	for (size_t i = 0; i < countof(zeroes); i++) {
		assert_true(hash_sip13(key, str_n(bytes, zeroes[i].n)) ==
			    (uint64_t)zeroes[i].want);
	}
}

static void every_byte_and_length_counts(void **state)
{
	char text[40] = {0};

	for (size_t n = 1; n < sizeof(text); n++) {
		uint64_t h = hash_str(str_n(text, n));

		assert_true(h != hash_str(str_n(text, n - 1)));
		for (size_t i = 0; i < n; i++) {
			text[i] ^= 1;
			assert_true(h != hash_str(str_n(text, n)));
			text[i] ^= 1;
		}
		assert_true(h == hash_str(str_n(text, n)));
	}
}

static void numbers_in_a_row_spread_over_the_slots(void **state)
{
	unsigned slot[256] = {0};

	for (uint64_t i = 0; i < 25600; i++)
		slot[hash_u64(i << 20) & 255]++;
	for (size_t i = 0; i < 256; i++)
		assert_in_range(slot[i], 20, 250);
}

static void *hash_in_thread(void *arg)
{
	*(uint64_t *)arg = hash_str(STR("the same"));
	return NULL;
}

static void threads_agree_on_the_key(void **state)
{
	pthread_t thread[4];
	uint64_t got[4];

	for (size_t i = 0; i < countof(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
					 hash_in_thread, &got[i]),
			0);
	for (size_t i = 0; i < countof(thread); i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	for (size_t i = 0; i < countof(thread); i++)
		assert_true(got[i] == hash_str(STR("the same")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_finds_nothing),
		cmocka_unit_test(ten_thousand_are_found_and_deleted),
		cmocka_unit_test(equal_hashes_live_side_by_side),
		cmocka_unit_test(a_walk_may_delete_where_it_stands),
		cmocka_unit_test(a_walk_ends_on_false),
		cmocka_unit_test(siphash_matches_known_values),
		cmocka_unit_test(every_byte_and_length_counts),
		cmocka_unit_test(numbers_in_a_row_spread_over_the_slots),
		cmocka_unit_test(threads_agree_on_the_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
