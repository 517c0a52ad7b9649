/*
 * Executors: what may run beside what, and in which order. A job waits at a gate
 * until the test opens it, so that nothing here hangs on time.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/store/exec.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;

/* What happened, as one letter a job: lower case at its start, upper at its end. */
static char story[256];
static size_t story_n;

struct test_job {
	struct job j;
	char name;
	bool gated, open;
	bool started;
};

static struct exec *x;
static struct err e;

static void begin(unsigned threads)
{
	story_n = 0;
	memset(story, 0, sizeof(story));
	assert_int_equal(exec_new(threads, &x, &e), 0);
}

static void tell(char c)
{
	check(story_n < sizeof(story) - 1);
	story[story_n++] = c;
	pthread_cond_broadcast(&moved);
}

static void go(struct test_job *t)
{
	t->started = true;
	tell(t->name);
	while (t->gated && !t->open)
		pthread_cond_wait(&moved, &lock);
	tell((char)(t->name - 'a' + 'A'));
}

static void run(struct job *j)
{
	pthread_mutex_lock(&lock);
	go(container_of(j, struct test_job, j));
	pthread_mutex_unlock(&lock);
}

static size_t batch_n[32], batches;

static void batch(struct job **j, size_t n)
{
	pthread_mutex_lock(&lock);
	batch_n[batches++] = n;
	for (size_t i = 0; i < n; i++)
		go(container_of(j[i], struct test_job, j));
	pthread_mutex_unlock(&lock);
}

static void other_batch(struct job **j, size_t n)
{
	batch(j, n);
}

static struct test_job job(
	char name, uint64_t account, uint64_t conn, bool writes)
{
	return (struct test_job){
		.name = name,
		.j =
			{
				.account = account,
				.conn = conn,
				.writes = writes,
				.run = run,
			},
	};
}

static struct test_job gated(
	char name, uint64_t account, uint64_t conn, bool writes)
{
	struct test_job t = job(name, account, conn, writes);

	t.gated = true;
	return t;
}

static void submit(struct test_job *t)
{
	exec_submit(x, &t->j);
}

static void open_gate(struct test_job *t)
{
	pthread_mutex_lock(&lock);
	t->open = true;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

/* Until that letter was told. */
static void await(char c)
{
	pthread_mutex_lock(&lock);
	while (!strchr(story, c))
		pthread_cond_wait(&moved, &lock);
	pthread_mutex_unlock(&lock);
}

static bool told(char c)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = strchr(story, c);
	pthread_mutex_unlock(&lock);
	return is;
}

static void end(void)
{
	exec_free(x);
}

static void writes_of_an_account_run_one_at_a_time_in_order(void **state)
{
	struct test_job a = gated('a', 1, 0, true), b = job('b', 1, 0, true);
	struct test_job c = job('c', 1, 0, true);

	begin(4);
	submit(&a);
	submit(&b);
	submit(&c);
	await('a');
	assert_false(told('b'));
	open_gate(&a);
	end();
	assert_string_equal(story, "aAbBcC");
}

static void writes_of_two_accounts_run_side_by_side(void **state)
{
	struct test_job a = gated('a', 1, 0, true), b = gated('b', 2, 0, true);

	begin(2);
	submit(&a);
	submit(&b);
	await('a');
	await('b');
	open_gate(&a);
	open_gate(&b);
	end();
}

static void a_read_runs_beside_a_write(void **state)
{
	struct test_job a = gated('a', 1, 7, true), b = job('b', 1, 8, false);

	begin(4);
	submit(&a);
	await('a');
	submit(&b);
	await('B');
	open_gate(&a);
	end();
	assert_string_equal(story, "abBA");
}

static void a_read_waits_for_its_own_running_write(void **state)
{
	struct test_job a = gated('a', 1, 7, true), b = job('b', 1, 7, false);
	struct test_job c = job('c', 1, 8, false);

	begin(4);
	submit(&a);
	await('a');
	submit(&b);
	submit(&c);
	await('C'); /* which came after b */
	assert_false(told('b'));
	open_gate(&a);
	end();
	assert_string_equal(story, "acCAbB");
}

static void a_read_waits_for_its_own_waiting_write_and_no_longer(void **state)
{
	struct test_job a = gated('a', 1, 1, true), b = job('b', 1, 7, true);
	struct test_job c = gated('c', 1, 1, true), r = job('r', 1, 7, false);

	begin(4);
	submit(&a);
	await('a');
	submit(&b);
	submit(&c);
	submit(&r);
	assert_false(told('r'));
	open_gate(&a);
	await('R'); /* though c has not ended */
	open_gate(&c);
	end();
	assert_true(strchr(story, 'r') > strchr(story, 'B'));
}

static void a_read_waits_for_the_last_of_its_own_writes(void **state)
{
	struct test_job a = gated('a', 1, 7, true), b = gated('b', 1, 7, true);
	struct test_job r = job('r', 1, 7, false);

	begin(4);
	submit(&a);
	await('a');
	submit(&b);
	submit(&r);
	open_gate(&a);
	await('b');
	assert_false(told('r'));
	open_gate(&b);
	end();
	assert_string_equal(story, "aAbBrR");
}

static void connection_0_orders_with_nothing(void **state)
{
	struct test_job a = gated('a', 1, 0, true), r = job('r', 1, 0, false);

	begin(4);
	submit(&a);
	await('a');
	submit(&r);
	await('R');
	open_gate(&a);
	end();
}

static void a_read_of_another_account_waits_for_nothing(void **state)
{
	struct test_job a = gated('a', 1, 7, true), r = job('r', 2, 7, false);

	begin(2);
	submit(&a);
	await('a');
	submit(&r);
	await('R');
	open_gate(&a);
	end();
}

static void one_account_gets_half_of_the_threads(void **state)
{
	struct test_job a = gated('a', 1, 0, false),
			b = gated('b', 1, 0, false);
	struct test_job c = job('c', 1, 0, false), d = gated('d', 2, 0, false);
	struct test_job f = job('f', 2, 0, false);

	begin(4);
	submit(&a);
	submit(&b);
	submit(&c);
	await('a');
	await('b');
	submit(&d);
	submit(&f);
	await('d');
	await('F'); /* two threads are left, and c may not have them */
	assert_false(told('c'));
	open_gate(&a);
	await('C');
	open_gate(&b);
	open_gate(&d);
	end();
}

static void one_thread_is_enough_for_everything(void **state)
{
	struct test_job a = gated('a', 1, 7, true), b = job('b', 1, 7, false);
	struct test_job c = job('c', 2, 7, true);

	begin(1);
	submit(&a);
	await('a');
	submit(&b);
	submit(&c);
	open_gate(&a);
	end();
	assert_int_equal(story_n, 6);
}

/* On one thread: an endless row of writes does not starve a read, nor reads a
 * write. */
static void reads_and_writes_take_turns(void **state)
{
	struct test_job a = gated('a', 1, 0, true);
	struct test_job w[3], r[3];

	begin(1);
	submit(&a);
	await('a');
	for (int i = 0; i < 3; i++) {
		w[i] = job((char)('m' + i), 1, 0, true);
		submit(&w[i]);
	}
	for (int i = 0; i < 3; i++) {
		r[i] = job((char)('r' + i), 1, 0, false);
		submit(&r[i]);
	}
	open_gate(&a);
	end();
	assert_string_equal(story, "aArRmMsSnNtToO");
}

static void waiting_writes_with_one_batch_go_together(void **state)
{
	struct test_job first = gated('a', 1, 0, true);
	struct test_job many[80], last = job('z', 1, 0, true);

	begin(2);
	batches = 0;
	submit(&first);
	await('a');
	for (int i = 0; i < 80; i++) {
		many[i] = job('b', 1, 0, true);
		many[i].j.batch = batch;
		submit(&many[i]);
	}
	submit(&last);
	assert_int_equal(exec_load(x), 82);
	open_gate(&first);
	await('Z');
	assert_int_equal(batches, 2);
	assert_int_equal(batch_n[0], EXEC_BATCH);
	assert_int_equal(batch_n[1], 80 - EXEC_BATCH);
	end();
}

/* Only neighbours share a commit: order stays. */
static void a_batch_takes_neighbours_of_its_own_kind_only(void **state)
{
	struct test_job first = gated('a', 1, 0, true);
	struct test_job w[5];
	static const char kind[] = "bbobb";

	begin(2);
	batches = 0;
	submit(&first);
	await('a');
	for (int i = 0; i < 5; i++) {
		w[i] = job((char)('k' + i), 1, 0, true);
		w[i].j.batch = kind[i] == 'b' ? batch : other_batch;
		submit(&w[i]);
	}
	open_gate(&first);
	end();
	assert_string_equal(story, "aAkKlLmMnNoO");
	assert_int_equal(batches, 3);
	assert_int_equal(batch_n[0], 2);
	assert_int_equal(batch_n[1], 1);
	assert_int_equal(batch_n[2], 2);
}

static void a_read_behind_a_batched_write_waits_for_the_batch(void **state)
{
	struct test_job first = gated('a', 1, 0, true);
	struct test_job b = job('b', 1, 7, true), c = gated('c', 1, 8, true);
	struct test_job r = job('r', 1, 7, false), s = job('s', 1, 7, false);

	begin(4);
	batches = 0;
	b.j.batch = c.j.batch = batch;
	submit(&first);
	await('a');
	submit(&b);
	submit(&c);
	submit(&r);
	open_gate(&first);
	await('c');
	submit(&s); /* behind the running batch */
	assert_false(told('r'));
	assert_false(told('s'));
	open_gate(&c);
	end();
	assert_int_equal(batches, 1);
	assert_true(strchr(story, 'r') > strchr(story, 'C'));
	assert_true(strchr(story, 's') > strchr(story, 'C'));
}

static void free_me(struct job *j)
{
	free(container_of(j, struct test_job, j));
}

static void a_job_may_free_itself(void **state)
{
	begin(3);
	for (int i = 0; i < 300; i++) {
		struct test_job *t = mem_new(sizeof(*t));

		*t = job('a', (uint64_t)i % 5, (uint64_t)i % 3, i % 2);
		t->j.run = free_me;
		submit(t);
	}
	end();
}

static struct test_job second;

static void submit_another(struct job *j)
{
	run(j);
	exec_submit(x, &second.j);
}

static void a_job_may_bring_another_one(void **state)
{
	struct test_job a = job('a', 1, 7, true);

	begin(1);
	second = job('b', 1, 7, false);
	a.j.run = submit_another;
	submit(&a);
	await('B');
	end();
	assert_string_equal(story, "aAbB");
}

static void load_is_what_waits_or_runs(void **state)
{
	struct test_job a = gated('a', 1, 0, true), b = job('b', 1, 0, true);

	begin(2);
	assert_int_equal(exec_load(x), 0);
	submit(&a);
	submit(&b);
	assert_int_equal(exec_load(x), 2);
	open_gate(&a);
	await('B');
	end();
}

/* ---- stress --------------------------------------------------------------- */

#define ACCOUNTS 8
#define CONNS 4
#define JOBS 20000

struct stress_job {
	struct job j;
	uint64_t seq;	/* of the account's writes */
	uint64_t after; /* own write that a read must have behind it */
};

static struct {
	_Atomic unsigned writers;
	_Atomic uint64_t done; /* seq of the last write */
} actor[ACCOUNTS];
static _Atomic unsigned wrong, ran;

static void stress_read(struct stress_job *s)
{
	if (atomic_load(&actor[s->j.account].done) < s->after)
		atomic_fetch_add(&wrong, 1);
}

static void stress_write(struct stress_job *s)
{
	uint64_t done = atomic_load(&actor[s->j.account].done);

	if (done + 1 != s->seq)
		atomic_fetch_add(&wrong, 1);
	atomic_store(&actor[s->j.account].done, s->seq);
}

static void stress_one(struct job *j)
{
	struct stress_job *s = container_of(j, struct stress_job, j);
	uint64_t a = j->account;

	if (s->j.writes) {
		if (atomic_fetch_add(&actor[a].writers, 1))
			atomic_fetch_add(&wrong, 1);
		stress_write(s);
		atomic_fetch_sub(&actor[a].writers, 1);
	} else {
		stress_read(s);
	}
	atomic_fetch_add(&ran, 1);
	free(s);
}

static void stress_batch(struct job **j, size_t n)
{
	for (size_t i = 0; i < n; i++)
		stress_one(j[i]);
}

static void order_holds_under_stress(void **state)
{
	uint64_t seq[ACCOUNTS] = {0}, own[ACCOUNTS][CONNS] = {{0}};
	uint32_t r = 1;

	memset(actor, 0, sizeof(actor));
	wrong = ran = 0;
	begin(4);
	for (int i = 0; i < JOBS; i++) {
		struct stress_job *s = mem_new(sizeof(*s));
		uint64_t a, c;

		r = r * 1664525 + 1013904223;
		a = (r >> 8) % ACCOUNTS;
		c = (r >> 12) % CONNS;
		s->j = (struct job){
			.account = a,
			.conn = c + 1,
			.writes = (r >> 20) % 3 == 0,
			.run = stress_one,
			.batch = (r >> 24) % 2 ? stress_batch : NULL,
		};
		if (s->j.writes)
			own[a][c] = s->seq = ++seq[a];
		s->after = own[a][c];
		exec_submit(x, &s->j);
	}
	end();
	assert_int_equal(ran, JOBS);
	assert_int_equal(wrong, 0);
	for (int a = 0; a < ACCOUNTS; a++)
		assert_int_equal(actor[a].done, seq[a]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			writes_of_an_account_run_one_at_a_time_in_order),
		cmocka_unit_test(writes_of_two_accounts_run_side_by_side),
		cmocka_unit_test(a_read_runs_beside_a_write),
		cmocka_unit_test(a_read_waits_for_its_own_running_write),
		cmocka_unit_test(
			a_read_waits_for_its_own_waiting_write_and_no_longer),
		cmocka_unit_test(a_read_waits_for_the_last_of_its_own_writes),
		cmocka_unit_test(connection_0_orders_with_nothing),
		cmocka_unit_test(a_read_of_another_account_waits_for_nothing),
		cmocka_unit_test(one_account_gets_half_of_the_threads),
		cmocka_unit_test(one_thread_is_enough_for_everything),
		cmocka_unit_test(reads_and_writes_take_turns),
		cmocka_unit_test(waiting_writes_with_one_batch_go_together),
		cmocka_unit_test(a_batch_takes_neighbours_of_its_own_kind_only),
		cmocka_unit_test(
			a_read_behind_a_batched_write_waits_for_the_batch),
		cmocka_unit_test(a_job_may_free_itself),
		cmocka_unit_test(a_job_may_bring_another_one),
		cmocka_unit_test(load_is_what_waits_or_runs),
		cmocka_unit_test(order_holds_under_stress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
