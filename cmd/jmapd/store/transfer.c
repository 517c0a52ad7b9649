#include "cmd/jmapd/store/transfer.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <urcu.h>

#include "core/base/clock.h"
#include "core/base/log.h"

struct streams {
	struct store_role *st;
	int64_t patience_ms;
	struct cds_list_head list; /* main thread */
	size_t n;
	/* Whose account they work on: one that restores must be alone. */
	pthread_mutex_t lock;
	struct {
		const struct stream *s;
		uint64_t account;
	} at[STREAMS_MAX];
};

static const struct stream_verb verbs[] = {
	{"import", false, import_run},
	{"export", false, export_run},
	{"account backup", false, backup_run},
	{"account restore", true, restore_run},
};

/* ---- patience ------------------------------------------------------------- */

void patience_init(struct patience *p, int64_t max_ms)
{
	p->max_us = p->left_us = max_ms * 1000;
}

void patience_waited(struct patience *p, int64_t us)
{
	p->left_us = max_of(p->left_us - us, (int64_t)0);
}

void patience_moved(struct patience *p, size_t bytes)
{
	int64_t us = (int64_t)bytes * 1000000 / STREAM_BYTES_S;
	p->left_us = min_of(p->left_us + us, p->max_us);
}

/* Until the peer has read or written; the caller tries it again. */
static int await(struct stream *s, short events, struct err *e)
{
	struct patience *patience = &s->patience;
	struct pollfd p = {.fd = s->fd, .events = events};
	uint64_t since = clock_mono_ns();
	int n = poll(&p, 1, (int)((patience->left_us + 999) / 1000));
	if (n < 0 && errno != EINTR)
		return err_sys(e, "peer");
	patience_waited(
		patience, n == 0 ? patience->left_us
				 : (int64_t)(clock_mono_ns() - since) / 1000);
	if (n <= 0 && !patience->left_us)
		return err_set(e, -ETIMEDOUT, "the peer is too slow");
	return 0;
}

/* ---- packets -------------------------------------------------------------- */

int stream_send(struct stream *s, char letter, const void *head, size_t head_n,
	struct str rest, struct err *e)
{
	struct iovec part[3] = {
		{&letter, 1}, {(void *)head, head_n}, {(void *)rest.p, rest.n}};
	struct msghdr m = {.msg_iov = part, .msg_iovlen = 3};
	check(1 + head_n + rest.n <= ADMIN_PACKET);
	for (;;) {
		ssize_t n = sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		int ret = 0;
		if (n >= 0) {
			patience_moved(&s->patience, (size_t)n);
			return 0;
		}
		if (errno == EAGAIN)
			ret = await(s, POLLOUT, e);
		else if (errno != EINTR)
			ret = err_sys(e, "peer");
		if (ret < 0)
			return ret;
	}
}

/* Its bytes to s->in; 1, 0: not yet, < 0. */
static int take_packet(struct stream *s, struct err *e)
{
	ssize_t n = recv(s->fd, buf_room(&s->in, ADMIN_PACKET), ADMIN_PACKET,
		MSG_TRUNC | MSG_DONTWAIT);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		return err_sys(e, "peer");
	if (n == 0)
		return err_set(e, -EPIPE, "the peer is gone");
	if (n > ADMIN_PACKET)
		return err_set(e, -EPROTO, "a packet is too long");
	s->in.n = (size_t)n;
	patience_moved(&s->patience, (size_t)n);
	return 1;
}

int stream_recv(
	struct stream *s, char *letter_r, struct str *rest_r, struct err *e)
{
	int ret;
	buf_reset(&s->in);
	while ((ret = take_packet(s, e)) == 0) {
		ret = await(s, POLLIN, e);
		if (ret < 0)
			break;
	}
	if (ret < 0)
		return ret;
	*letter_r = s->in.p[0];
	*rest_r = str_skip(buf_str(&s->in), 1);
	return 0;
}

bool stream_head(struct str *rest, void *head, size_t n)
{
	if (rest->n < n)
		return false;
	memcpy(head, rest->p, n);
	*rest = str_skip(*rest, n);
	return true;
}

int stream_send_file(struct stream *s, int fd, uint64_t size, struct err *e)
{
	char piece[TRANSFER_BODY];
	int ret = 0;
	while (size && ret == 0) {
		ssize_t n =
			read(fd, piece, min_of(size, (uint64_t)sizeof(piece)));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read a file");
		if (n == 0)
			return err_set(e, -EIO, "a file ends early");
		ret = stream_send(
			s, FRAME_BODY, NULL, 0, str_n(piece, (size_t)n), e);
		size -= (uint64_t)n;
	}
	return ret;
}

/* ---- turns ---------------------------------------------------------------- */

void turn_init(struct turn *t, void (*run)(struct turn *t))
{
	t->run = run;
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->over, NULL);
}

void turn_fini(struct turn *t)
{
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->over);
}

static void on_turn(struct job *j)
{
	struct turn *t = container_of(j, struct turn, job);
	t->run(t);
	pthread_mutex_lock(&t->lock);
	t->running = false;
	pthread_cond_signal(&t->over);
	pthread_mutex_unlock(&t->lock);
}

void stream_submit(struct stream *s, struct turn *t)
{
	check(!t->running);
	t->running = true;
	t->job = (struct job){
		.account = s->account.id,
		.writes = true,
		.run = on_turn,
	};
	exec_submit(s->st->exec, &t->job);
}

void stream_wait(struct turn *t)
{
	pthread_mutex_lock(&t->lock);
	while (t->running)
		pthread_cond_wait(&t->over, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

/* ---- one stream ----------------------------------------------------------- */

static void leave(struct streams *all, const struct stream *s)
{
	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < STREAMS_MAX; i++)
		if (all->at[i].s == s)
			all->at[i].s = NULL;
	pthread_mutex_unlock(&all->lock);
}

/* Its place among those of that account; there is one for each stream. */
static int enter(struct streams *all, const struct stream *s, struct err *e)
{
	size_t slot = STREAMS_MAX;
	int ret = 0;
	pthread_mutex_lock(&all->lock);
	for (size_t i = 0; i < STREAMS_MAX; i++) {
		const struct stream *o = all->at[i].s;
		if (!o)
			slot = i;
		else if (all->at[i].account == s->account.id &&
			 (o->verb->alone || s->verb->alone))
			ret = err_set(e, -EBUSY,
				"%s of this account is under way",
				o->verb->words);
	}
	if (ret == 0) {
		check(slot < STREAMS_MAX);
		all->at[slot].s = s;
		all->at[slot].account = s->account.id;
	}
	pthread_mutex_unlock(&all->lock);
	return ret;
}

static int find_account(struct stream *s, struct err *e)
{
	struct str name = buf_str(&s->words);
	int ret = dir_by_name(s->st->store, name, &s->account, NULL, e);
	if (ret == 0)
		ret = err_set(e, -ENOENT, "there is no account %.*s",
			(int)min_of(name.n, (size_t)128), name.p);
	return min_of(ret, 0);
}

static int run(struct stream *s, struct err *e)
{
	struct streams *all = s->st->streams;
	int ret = find_account(s, e);
	if (ret == 0)
		ret = enter(all, s, e);
	if (ret < 0)
		return ret;
	ret = stream_send(s, FRAME_GO, NULL, 0, STR_NONE, e);
	if (ret == 0)
		ret = s->verb->run(s, e);
	leave(all, s);
	return ret;
}

static void *on_thread(void *arg)
{
	struct stream *s = arg;
	struct err e = {0};
	rcu_register_thread();
	int ret = run(s, &e);
	if (ret < 0)
		log_info("account=%" PRIu64 " %s: %s", s->account.id,
			s->verb->words, e.text);
	/* It may have gone: then that was the reason. */
	if (ret < 0)
		stream_send(s, ADMIN_ERROR, NULL, 0, str_of(e.text), NULL);
	else
		stream_send(s, ADMIN_OK, NULL, 0, STR_NONE, NULL);
	store_done(s->st, &s->done, true);
	rcu_unregister_thread();
	return NULL;
}

/* ---- all of them: main thread --------------------------------------------- */

static void stream_free(struct stream *s)
{
	close(s->fd);
	buf_fini(&s->words);
	buf_fini(&s->in);
	free(s);
}

static void on_done(struct store_role *st, struct done *d)
{
	struct stream *s = container_of(d, struct stream, done);
	if (!s->joined)
		check(pthread_join(s->thread, NULL) == 0);
	cds_list_del(&s->node);
	st->streams->n--;
	stream_free(s);
}

static const struct stream_verb *find_verb(struct str *words)
{
	for (size_t i = 0; i < countof(verbs); i++) {
		struct str rest = *words, want = str_of(verbs[i].words), w,
			   have;
		bool same = true;
		while (same && str_cut(&want, ' ', &w))
			same = str_cut(&rest, '\0', &have) && str_eq(w, have);
		if (!same)
			continue;
		*words = rest;
		return &verbs[i];
	}
	return NULL;
}

static int begin(struct streams *all, struct stream *s, struct err *e)
{
	sigset_t every, was;
	if (all->n >= STREAMS_MAX)
		return err_set(e, -EAGAIN,
			"%d imports, exports, backups or restores are under "
			"way already",
			STREAMS_MAX);
	patience_init(&s->patience, all->patience_ms);
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &was);
	int ret = pthread_create(&s->thread, NULL, on_thread, s);
	pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (ret)
		return err_set(e, -ret, "cannot start a thread");
	cds_list_add_tail(&s->node, &all->list);
	all->n++;
	return 0;
}

void stream_start(struct streams *all, int fd, struct str words)
{
	struct stream *s = mem_new(sizeof(*s));
	struct err e = {0};
	s->st = all->st;
	s->fd = fd;
	s->done.fn = on_done;
	s->verb = find_verb(&words);
	buf_adds(&s->words, words);
	int ret = s->verb ? 0 : err_set(&e, -EINVAL, "no such command");
	if (ret == 0)
		ret = begin(all, s, &e);
	if (ret < 0) {
		stream_send(s, ADMIN_ERROR, NULL, 0, str_of(e.text), NULL);
		stream_free(s);
	}
}

bool streams_cut(struct streams *all)
{
	struct stream *s;
	cds_list_for_each_entry (s, &all->list, node)
		if (shutdown(s->fd, SHUT_RDWR) < 0)
			check(errno == ENOTCONN);
	return all->n == 0;
}

void streams_join(struct streams *all)
{
	struct stream *s;
	streams_cut(all);
	cds_list_for_each_entry (s, &all->list, node) {
		check(pthread_join(s->thread, NULL) == 0);
		s->joined = true;
	}
}

struct streams *streams_new(struct store_role *st, int64_t patience_ms)
{
	struct streams *all = mem_new(sizeof(*all));
	all->st = st;
	all->patience_ms = patience_ms;
	CDS_INIT_LIST_HEAD(&all->list);
	pthread_mutex_init(&all->lock, NULL);
	return all;
}

void streams_free(struct streams *all)
{
	check(all->n == 0);
	pthread_mutex_destroy(&all->lock);
	free(all);
}
