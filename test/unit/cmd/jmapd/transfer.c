/* Streams: a peer that does not get on loses its place. */
#include "cmd/jmapd/store/transfer.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/log.h"
#include "core/store/internal.h"

#define MINUTE_US INT64_C(60000000)

/* ---- patience ------------------------------------------------------------- */

static void one_byte_a_minute_is_too_slow(void **state)
{
	struct patience p;
	int minutes = 0;
	patience_init(&p, STREAM_SILENCE_S * 1000);
	do {
		patience_moved(&p, 1);
		patience_waited(&p, MINUTE_US - 1);
	} while (p.left_us && ++minutes < 5);
	assert_int_equal(minutes, 1);
}

static void who_moves_its_bytes_may_take_all_day(void **state)
{
	struct patience p;
	patience_init(&p, STREAM_SILENCE_S * 1000);
	for (int i = 0; i < 24 * 60 * 2; i++) {
		patience_waited(&p, MINUTE_US / 2);
		patience_moved(&p, 30 * STREAM_BYTES_S);
		assert_true(p.left_us == MINUTE_US);
	}
}

static void many_bytes_win_no_more_than_there_was(void **state)
{
	struct patience p;
	patience_init(&p, 1000);
	patience_moved(&p, ADMIN_PACKET);
	assert_true(p.left_us == 1000000);
	patience_waited(&p, INT64_MAX);
	assert_true(p.left_us == 0);
}

/* ---- packets -------------------------------------------------------------- */

static void pair(int fd[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
}

static void a_peer_that_sends_nothing_is_cut(void **state)
{
	struct stream s = {0};
	int fd[2];
	char letter;
	struct str rest;
	pair(fd);
	s.fd = fd[0];
	patience_init(&s.patience, 20);
	assert_int_equal(write(fd[1], "Bx", 2), 2);
	assert_int_equal(stream_recv(&s, &letter, &rest, NULL), 0);
	assert_int_equal(letter, 'B');
	assert_int_equal(stream_recv(&s, &letter, &rest, NULL), -ETIMEDOUT);
	assert_true(s.patience.left_us == 0);
	buf_fini(&s.in);
	close(fd[0]);
	close(fd[1]);
}

static void a_peer_that_reads_nothing_is_cut(void **state)
{
	static const char zeros[TRANSFER_BODY];
	struct stream s = {0};
	int fd[2], ret = 0, sent = 0;
	pair(fd);
	s.fd = fd[0];
	patience_init(&s.patience, 20);
	for (; ret == 0; sent++)
		ret = stream_send(&s, FRAME_BODY, NULL, 0,
			str_n(zeros, sizeof(zeros)), NULL);
	assert_int_equal(ret, -ETIMEDOUT);
	assert_true(sent > 1);
	close(fd[0]);
	close(fd[1]);
}

static void a_peer_that_hangs_up_is_gone_at_once(void **state)
{
	struct stream s = {0};
	int fd[2];
	char letter;
	struct str rest;
	pair(fd);
	s.fd = fd[0];
	patience_init(&s.patience, 1000000000);
	close(fd[1]);
	assert_int_equal(stream_recv(&s, &letter, &rest, NULL), -EPIPE);
	assert_int_equal(
		stream_send(&s, FRAME_GO, NULL, 0, STR_NONE, NULL), -EPIPE);
	buf_fini(&s.in);
	close(fd[0]);
}

/* ---- places --------------------------------------------------------------- */

struct fixture {
	char dir[32];
	struct store_role st;
};

static struct fixture *fixture_new(int64_t patience_ms)
{
	struct fixture *f = mem_new(sizeof(*f));
	uint64_t id;
	log_init("test", LOG_ERROR);
	strcpy(f->dir, "/tmp/jmapd-streamXXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(store_open(f->dir, 8, NULL, &f->st.store, NULL), 0);
	assert_int_equal(dir_add(f->st.store, STR("alice@example.org"),
				 STR_NONE, &id, NULL),
		0);
	pthread_mutex_init(&f->st.done_lock, NULL);
	CDS_INIT_LIST_HEAD(&f->st.done);
	f->st.done_bell.fd = eventfd(0, EFD_CLOEXEC);
	f->st.streams = streams_new(&f->st, patience_ms);
	return f;
}

/* What the main thread does of those that are over, when one is. */
static void take_done(struct fixture *f)
{
	struct cds_list_head *first;
	uint64_t n;
	assert_int_equal(read(f->st.done_bell.fd, &n, sizeof(n)), sizeof(n));
	pthread_mutex_lock(&f->st.done_lock);
	f->st.done_rung = false;
	while (!cds_list_empty(&f->st.done)) {
		first = f->st.done.next;
		cds_list_del(first);
		struct done *d = container_of(first, struct done, node);
		pthread_mutex_unlock(&f->st.done_lock);
		d->fn(&f->st, d);
		pthread_mutex_lock(&f->st.done_lock);
	}
	pthread_mutex_unlock(&f->st.done_lock);
}

static void fixture_free(struct fixture *f)
{
	while (!streams_cut(f->st.streams))
		take_done(f);
	streams_free(f->st.streams);
	store_close(f->st.store);
	close(f->st.done_bell.fd);
	pthread_mutex_destroy(&f->st.done_lock);
	assert_int_equal(dir_delete(f->dir, NULL), 0);
	free(f);
}

/* The peer's end. */
static int start(struct fixture *f)
{
	int fd[2];
	pair(fd);
	stream_start(f->st.streams, fd[0], STR("import\0alice@example.org"));
	return fd[1];
}

static void assert_heard(int fd, const char *want)
{
	char packet[200] = {0};
	ssize_t n = recv(fd, packet, sizeof(packet) - 1, 0);
	assert_true(n > 0);
	assert_string_equal(packet, want);
}

static void who_is_silent_loses_its_place(void **state)
{
	struct fixture *f = fixture_new(50);
	int fd[STREAMS_MAX], one;
	for (int i = 0; i < STREAMS_MAX; i++)
		fd[i] = start(f);
	/* Nobody was taken off yet. */
	one = start(f);
	assert_heard(one, "e4 imports, exports, backups or restores are under "
			  "way already");
	close(one);
	for (int i = 0; i < STREAMS_MAX; i++) {
		assert_heard(fd[i], "G");
		assert_heard(fd[i], "ethe peer is too slow");
	}
	take_done(f);
	one = start(f);
	assert_heard(one, "G");
	close(one);
	for (int i = 0; i < STREAMS_MAX; i++)
		close(fd[i]);
	fixture_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_byte_a_minute_is_too_slow),
		cmocka_unit_test(who_moves_its_bytes_may_take_all_day),
		cmocka_unit_test(many_bytes_win_no_more_than_there_was),
		cmocka_unit_test(a_peer_that_sends_nothing_is_cut),
		cmocka_unit_test(a_peer_that_reads_nothing_is_cut),
		cmocka_unit_test(a_peer_that_hangs_up_is_gone_at_once),
		cmocka_unit_test(who_is_silent_loses_its_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
