/*
 * Frames of import and restore, as a peer on the control socket sends them, into a
 * real account: whatever they say, the stream ends, and what was stored can be read.
 * The first byte says which; then packets, each behind two bytes of its length.
 */
#include "cmd/jmapd/store/transfer.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <urcu.h>

#include "core/base/log.h"
#include "core/mime/mime.h"
#include "core/store/backup.h"
#include "core/store/internal.h"
#include "test/fuzz/fuzz.h"

#define ACCOUNT_INPUTS 64 /* as many share an account */

struct house {
	char dir[32];
	struct store_role st;
	char name[40]; /* of the account there is */
	uint64_t id;
	unsigned inputs;
};

static struct house *house;

static void house_free(void)
{
	exec_free(house->st.exec);
	store_close(house->st.store);
	dir_delete(house->dir, NULL);
	free(house->st.notebook);
	free(house);
	rcu_unregister_thread();
}

static void house_build(void)
{
	house = mem_new(sizeof(*house));
	rcu_register_thread();
	log_init("fuzz", LOG_ERROR);
	mime_setup();
	strcpy(house->dir, "/dev/shm/jmapd-fuzzXXXXXX");
	check(mkdtemp(house->dir) != NULL);
	check(store_open(house->dir, 8, NULL, &house->st.store, NULL) == 0);
	check(exec_new(1, &house->st.exec, NULL) == 0);
	house->st.notebook = mem_new(sizeof(*house->st.notebook));
	house->st.at_work.book = house->st.notebook;
	atexit(house_free);
}

static void next_account(void)
{
	struct dir_account gone;

	if (house->inputs % ACCOUNT_INPUTS == 0) {
		if (house->id)
			check(dir_remove(house->st.store, str_of(house->name),
				      &gone, NULL) == 0);
		snprintf(house->name, sizeof(house->name), "u%u@example.org",
			house->inputs);
		check(dir_add(house->st.store, str_of(house->name), STR_NONE,
			      &house->id, NULL) == 0);
	}
	house->inputs++;
}

/* As many as the socket holds, and the end. */
static void send_packets(int fd, struct tape t)
{
	while (t.n) {
		size_t n = (size_t)tape_take(&t, 2);

		n = min_of(n, t.n);
		if (n && send(fd, t.p, n, MSG_DONTWAIT) < 0)
			break;
		t = (struct tape){t.p + n, t.n - n};
	}
	check(shutdown(fd, SHUT_WR) == 0);
}

/* Every Email is whole and in a mailbox. */
static void look(void)
{
	struct account *a cleanup(account_put) = NULL;
	struct tx *t cleanup(tx_end) = NULL;
	struct arena arena cleanup(arena_fini) = {0};
	const uint64_t *ids;
	size_t n;

	check(account_get(house->st.store, house->id, &a, NULL) == 0);
	check(tx_begin(a, TX_READ, &t, NULL) == 0);
	check(email_after(t, 0, 1000, &arena, &ids, &n, NULL) == 0);
	for (size_t i = 0; i < n; i++) {
		struct email m;

		check(email_find(t, ids[i],
			      EMAIL_WANT_MAILBOXES | EMAIL_WANT_KEYWORDS,
			      &arena, &m, NULL) == 1);
		check(m.mailboxes_n > 0 && m.size > 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct stream s = {0};
	struct err e = {0};
	int fd[2], ret;

	if (!n)
		return 0;
	if (!house)
		house_build();
	next_account();
	check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) == 0);
	send_packets(fd[1], (struct tape){data + 1, n - 1});
	s.st = &house->st;
	s.fd = fd[0];
	s.account.id = house->id;
	ret = data[0] & 1 ? restore_run(&s, &e) : import_run(&s, &e);
	check(ret == 0 || (ret < 0 && e.text[0]));
	look();
	buf_fini(&s.in);
	close(fd[0]);
	close(fd[1]);
	return 0;
}
