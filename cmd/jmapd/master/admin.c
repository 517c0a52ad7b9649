#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/admin.h"
#include "cmd/jmapd/master/master.h"
#include "core/base/log.h"

#define CLIENTS_MAX 64

struct admin_server {
	struct master *m;
	struct watch door;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct cds_list_head clients;
	size_t n;
	uint64_t tickets;
};

struct admin_client {
	struct cds_list_head node;
	struct admin_server *s;
	int fd;
	struct watch w;
	uint64_t ticket; /* 0: asks nothing of the store at the moment */
};

static void client_free(struct admin_client *c)
{
	loop_unwatch(c->s->m->loop, &c->w);
	close(c->fd);
	cds_list_del(&c->node);
	c->s->n--;
	free(c);
}

/* A client that does not read its answer is nobody's problem but its own. */
static void say(struct admin_client *c, char letter, struct str text)
{
	struct buf b cleanup(buf_fini) = {0};
	do {
		size_t n = min_of(text.n, (size_t)ADMIN_PACKET / 2);
		buf_reset(&b);
		buf_addc(&b, letter);
		buf_add(&b, text.p, n);
		if (send(c->fd, b.p, b.n, MSG_NOSIGNAL) < 0)
			return;
		text = str_skip(text, n);
	} while (text.n);
}

static void fail(struct admin_client *c, const char *text)
{
	say(c, ADMIN_ERROR, str_of(text));
}

/* ---- the master's own verbs ----------------------------------------------- */

static void run_status(struct admin_client *c, bool json)
{
	struct buf out cleanup(buf_fini) = {0};
	if (json)
		status_json(c->s->m, &out);
	else
		status_text(c->s->m, &out);
	say(c, ADMIN_OUTPUT, buf_str(&out));
	say(c, ADMIN_OK, STR_NONE);
}

static void run_reload(struct admin_client *c)
{
	struct err e = {0};
	if (config_reload(c->s->m, &e) < 0)
		fail(c, e.text);
	else
		say(c, ADMIN_OK, STR_NONE);
}

/* ---- the store's ---------------------------------------------------------- */

static void pass_on(struct admin_client *c, struct str words)
{
	struct master *m = c->s->m;
	if (m->store.state != CHILD_UP) {
		fail(c, "the store is not there at the moment, try again");
		return;
	}
	if (words.n > CTL_PACKET / 2) {
		fail(c, "the command is too long");
		return;
	}
	c->ticket = ++c->s->tickets;
	struct ctl_head h = {.type = CTL_ADMIN, .a = c->ticket};
	child_tell(&m->store, &h, words, NULL, 0);
}

/* Verbs that go on with the connection: contents never come through here. */
static bool is_stream(struct str words)
{
	static const struct {
		const char *words;
		enum admin_where where;
	} verbs[] = {
#define VERB(fn, words, args, where, secret, arguments, help) {words, where},
#include "cmd/admin.def"
#undef VERB
	};
	for (size_t i = 0; i < countof(verbs); i++) {
		struct str rest = words, want = str_of(verbs[i].words), w, have;
		bool same = verbs[i].where == ADMIN_STREAM;
		while (same && str_cut(&want, ' ', &w))
			same = str_cut(&rest, '\0', &have) && str_eq(w, have);
		if (same)
			return true;
	}
	return false;
}

static void hand_on(struct admin_client *c, struct str words)
{
	struct master *m = c->s->m;
	struct ctl_head h = {.type = CTL_STREAM};
	if (m->store.state != CHILD_UP) {
		fail(c, "the store is not there at the moment, try again");
		return;
	}
	if (words.n > CTL_PACKET / 2) {
		fail(c, "the command is too long");
		return;
	}
	child_tell(&m->store, &h, words, &c->fd, 1);
	client_free(c);
}

static struct admin_client *by_ticket(struct admin_server *s, uint64_t ticket)
{
	struct admin_client *c;
	cds_list_for_each_entry (c, &s->clients, node) {
		if (c->ticket == ticket)
			return c;
	}
	return NULL;
}

void admin_on_packet(struct master *m, const struct ctl_packet *p)
{
	struct admin_client *c =
		m->admin ? by_ticket(m->admin, p->head.a) : NULL;
	if (!c)
		return; /* it hung up */
	if (p->head.type == CTL_ADMIN_OUTPUT) {
		say(c, ADMIN_OUTPUT, p->rest);
		return;
	}
	c->ticket = 0;
	say(c, p->head.type == CTL_ADMIN_OK ? ADMIN_OK : ADMIN_ERROR, p->rest);
}

void admin_on_store_death(struct master *m)
{
	struct admin_client *c;
	if (!m->admin)
		return;
	cds_list_for_each_entry (c, &m->admin->clients, node) {
		if (!c->ticket)
			continue;
		c->ticket = 0;
		fail(c, "the store died meanwhile; what became of it is not "
			"known");
	}
}

/* ---- clients ------------------------------------------------------------- */

static void on_words(struct admin_client *c, struct str words)
{
	struct str rest = words, first = STR_NONE, second = STR_NONE;
	str_cut(&rest, '\0', &first);
	str_cut(&rest, '\0', &second);
	if (c->ticket)
		fail(c, "one command at a time");
	else if (str_eq(first, STR("status")))
		run_status(c, str_eq(second, STR("--json")));
	else if (str_eq(first, STR("reload")))
		run_reload(c);
	else if (is_stream(words))
		hand_on(c, words);
	else
		pass_on(c, words);
}

static void on_client(struct watch *w, uint32_t events)
{
	struct admin_client *c = container_of(w, struct admin_client, w);
	char in[ADMIN_PACKET];
	ssize_t n = recv(c->fd, in, sizeof(in), MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (size_t)n > sizeof(in)) {
		client_free(c);
		return;
	}
	on_words(c, str_n(in, (size_t)n));
	secret_wipe(in, (size_t)n);
}

/* The file's mode keeps others out; this says the same of the process. */
static bool may_speak(int fd)
{
	struct ucred u;
	socklen_t len = sizeof(u);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) < 0)
		return false;
	return u.uid == 0 || u.uid == geteuid();
}

static void on_door(struct watch *w, uint32_t events)
{
	struct admin_server *s = container_of(w, struct admin_server, door);
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (!may_speak(fd) || s->n >= CLIENTS_MAX) {
		close(fd);
		return;
	}
	struct admin_client *c = mem_new(sizeof(*c));
	c->s = s;
	c->fd = fd;
	cds_list_add_tail(&c->node, &s->clients);
	s->n++;
	loop_watch(s->m->loop, &c->w, fd, EPOLLIN, on_client);
}

int admin_open(struct master *m, struct err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd cleanup(fd_close) = socket(
		AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/%s", m->conf.run_dir,
		ADMIN_SOCKET);
	if (fd < 0)
		return err_sys(e, "control socket");
	/* Is another master there? A dead one's socket refuses. */
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return err_set(
			e, -EADDRINUSE, "another jmapd serves %s", a.sun_path);
	unlink(a.sun_path);
	mode_t was = umask(0177);
	int ret = bind(fd, (struct sockaddr *)&a, sizeof(a));
	umask(was);
	if (ret < 0 || listen(fd, 16) < 0)
		return err_sys(e, "%s", a.sun_path);
	struct admin_server *s = mem_new(sizeof(*s));
	s->m = m;
	memcpy(s->path, a.sun_path, sizeof(s->path));
	CDS_INIT_LIST_HEAD(&s->clients);
	int door = fd;
	fd = -1;
	loop_watch(m->loop, &s->door, door, EPOLLIN, on_door);
	m->admin = s;
	return 0;
}

void admin_close(struct master *m)
{
	struct admin_client *c, *next;
	struct admin_server *s = m->admin;
	if (!s)
		return;
	cds_list_for_each_entry_safe (c, next, &s->clients, node)
		client_free(c);
	int door = s->door.fd;
	loop_unwatch(m->loop, &s->door);
	close(door);
	unlink(s->path);
	free(s);
	m->admin = NULL;
}
