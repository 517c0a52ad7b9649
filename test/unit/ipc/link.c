/*
 * Links: both sides of one memfd meet in every ring and at both bells.
 */
#include "ipc/link.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

#include "ipc/msg.h"
#include "ipc/shm.h"
#include "test/unit/ipc/pair.h"

/* Opens both sides. */
static void join(struct link *worker, struct link *store)
{
	int w[LINK_FDS], s[LINK_FDS];

	assert_int_equal(link_new(w, s, NULL), 0);
	assert_int_equal(link_open_worker(worker, w, NULL), 0);
	assert_int_equal(link_open_store(store, s, NULL), 0);
}

static void part(struct link *worker, struct link *store)
{
	link_close(worker);
	link_close(store);
}

static void pass(struct ring *w, struct ring *r, const char *text)
{
	struct iovec v = {(char *)text, strlen(text)};
	struct buf got cleanup(buf_fini) = {0};
	uint16_t type;

	assert_int_equal(ring_put(w, 1, &v, 1), 1);
	ring_publish(w);
	assert_int_equal(ring_take(r, &type, &got, 64), 1);
	assert_true(str_eq(buf_str(&got), str_of(text)));
	assert_false(ring_release(r));
}

static void test_calls_reach_the_store(void **state)
{
	struct link w, s;

	join(&w, &s);
	pass(&w.calls, &s.calls, "a call");
	part(&w, &s);
}

static void test_replies_reach_the_worker(void **state)
{
	struct link w, s;

	join(&w, &s);
	pass(&s.replies, &w.replies, "a reply");
	part(&w, &s);
}

static void test_notices_reach_the_worker(void **state)
{
	struct notice in = {.account = 3, .modseq = 9, .kind = NOTICE_CHANGE};
	struct notice out;
	struct link w, s;

	join(&w, &s);
	assert_int_equal(notice_put(&s.notices, &in), 1);
	assert_int_equal(notice_get(&w.notices, &out), 1);
	assert_memory_equal(&in, &out, sizeof(in));
	part(&w, &s);
}

static void test_each_bell_wakes_its_own_side(void **state)
{
	struct link w, s;

	join(&w, &s);
	doorbell_arm(&w.worker_bell);
	assert_false(doorbell_ring(&w.store_bell));
	assert_true(doorbell_ring(&s.worker_bell));
	doorbell_arm(&s.store_bell);
	assert_false(doorbell_ring(&s.worker_bell));
	assert_true(doorbell_ring(&w.store_bell));
	part(&w, &s);
}

/* No part of the memory lies over another. */
static void test_filled_rings_do_not_touch(void **state)
{
	struct notice n = {.account = UINT64_MAX, .modseq = UINT64_MAX};
	struct link w, s;
	struct iovec v;
	char *ones = mem_new(MSG_CHUNK);

	memset(ones, 0xff, MSG_CHUNK);
	v = (struct iovec){ones, MSG_CHUNK};
	join(&w, &s);
	while (ring_put(&w.calls, 1, &v, 1) == 1)
		;
	while (notice_put(&s.notices, &n) == 1)
		;
	assert_true(ring_empty(&w.replies));
	while (ring_put(&s.replies, 1, &v, 1) == 1)
		;
	assert_true(ring_empty(&s.calls));
	assert_int_equal(notice_get(&w.notices, &n), 1);
	assert_false(doorbell_ring(&w.store_bell));
	assert_false(doorbell_ring(&s.worker_bell));
	free(ones);
	part(&w, &s);
}

static void test_open_refuses_memory_of_another_size(void **state)
{
	int fd[LINK_FDS], other[LINK_FDS], small = shm_new("small", 4096, NULL);
	struct link l;
	struct err e = {0};

	assert_int_equal(link_new(fd, other, NULL), 0);
	close(fd[LINK_FD_MEM]);
	fd[LINK_FD_MEM] = small;
	assert_int_equal(link_open_store(&l, fd, &e), -EPROTO);
	assert_true(e.text[0]);
	link_close(&l);
}

static void test_open_that_fails_closes_the_descriptors(void **state)
{
	int fd[LINK_FDS], other[LINK_FDS], small = shm_new("small", 4096, NULL);
	struct link l;

	assert_int_equal(link_new(fd, other, NULL), 0);
	close(fd[LINK_FD_MEM]);
	fd[LINK_FD_MEM] = small;
	assert_int_equal(link_open_worker(&l, fd, NULL), -EPROTO);
	for (int i = 0; i < LINK_FDS; i++)
		assert_int_equal(fcntl(fd[i], F_GETFD), -1);
}

static void test_close_closes_the_descriptors(void **state)
{
	int fd[LINK_FDS], other[LINK_FDS];
	struct link l;

	assert_int_equal(link_new(fd, other, NULL), 0);
	assert_int_equal(link_open_worker(&l, fd, NULL), 0);
	link_close(&l);
	for (int i = 0; i < LINK_FDS; i++)
		assert_int_equal(fcntl(fd[i], F_GETFD), -1);
	link_close(&l);
}

static void test_new_without_descriptors_says_so(void **state)
{
	int fd[LINK_FDS] = {-7, -7, -7}, other[LINK_FDS];
	struct err e = {0};
	int n, held[64];

	/* Leaves room for n more and no other: each step of link_new fails. */
	for (int room = 0; room < 2 * LINK_FDS; room++) {
		struct rlimit old, low;

		assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
		low = (struct rlimit){32, old.rlim_max};
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		for (n = 0; n < 64 && (held[n] = dup(0)) >= 0; n++)
			;
		for (int i = 0; i < room; i++)
			close(held[--n]);
		assert_int_equal(link_new(fd, other, &e), -EMFILE);
		assert_int_equal(fd[0], -7);
		for (int i = 0; i < room; i++) {
			held[n] = dup(0); /* none was left open */
			assert_true(held[n++] >= 0);
		}
		while (n > 0)
			close(held[--n]);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_calls_reach_the_store),
		cmocka_unit_test(test_replies_reach_the_worker),
		cmocka_unit_test(test_notices_reach_the_worker),
		cmocka_unit_test(test_each_bell_wakes_its_own_side),
		cmocka_unit_test(test_filled_rings_do_not_touch),
		cmocka_unit_test(test_open_refuses_memory_of_another_size),
		cmocka_unit_test(test_open_that_fails_closes_the_descriptors),
		cmocka_unit_test(test_close_closes_the_descriptors),
		cmocka_unit_test(test_new_without_descriptors_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
