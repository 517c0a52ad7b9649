#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/jmapd/master/master.h"
#include "core/base/log.h"

#define UNIX_MODE 0666	/* who may connect is the directory's business */
#define MISSED_MS 1000	/* a sibling not back by then is stood in for */
#define STOPPED_MS 3000 /* without a PONG */

static bool is_unix(const struct conf_listener *l)
{
	return l->addr.ss_family == AF_UNIX;
}

int door_open(struct master *m, const struct conf_listener *l,
	struct door **d_r, struct err *e)
{
	struct door *d = mem_new(sizeof(*d));
	size_t want = is_unix(l) ? 1 : m->workers;
	d->conf = *l;
	d->id = ++m->door_ids;
	while (d->n < want) {
		int ret = sock_listen((const struct sockaddr *)&l->addr,
			l->addr_len, l->text, UNIX_MODE, &d->fd[d->n], e);
		if (ret < 0) {
			while (d->n)
				close(d->fd[--d->n]);
			free(d);
			return ret;
		}
		d->n++;
	}
	cds_list_add_tail(&d->node, &m->doors);
	*d_r = d;
	return 0;
}

void door_close(struct master *m, struct door *d)
{
	struct ctl_head h = {.type = CTL_UNLISTEN, .a = d->id};
	for (unsigned i = 0; i < m->workers; i++)
		child_tell(&m->worker[i], &h, STR_NONE, NULL, 0);
	if (is_unix(&d->conf))
		unlink(((struct sockaddr_un *)&d->conf.addr)->sun_path);
	while (d->n)
		close(d->fd[--d->n]);
	cds_list_del(&d->node);
	free(d);
}

/* Every worker inherits every socket, its siblings' too. */
void door_tell(struct door *d, struct child *c)
{
	struct ctl_head h = {.type = CTL_LISTEN, .a = d->id};
	if (d->conf.tls)
		h.flags |= CTL_LISTEN_TLS;
	if (d->conf.proto == LISTEN_LMTP)
		h.flags |= CTL_LISTEN_LMTP;
	for (size_t i = 0; i < d->n; i++) {
		h.b = is_unix(&d->conf) ? UINT_MAX : i;
		child_tell(c, &h, STR_NONE, &d->fd[i], 1);
	}
}

/*
 * Flags and state of a socket are one for all who hold it. No worker has a reason to
 * touch them; one that is not what it was may do so all the same.
 */
static bool is_well(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && !(flags & O_NONBLOCK) &&
		fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return false;
	return poll(&p, 1, 0) == 0;
}

static bool door_is_well(const struct door *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (!is_well(d->fd[i]))
			return false;
	return true;
}

void doors_mend(struct master *m)
{
	struct door *d, *next;
	struct err e = {0};
	cds_list_for_each_entry_safe (d, next, &m->doors, node) {
		struct conf_listener conf = d->conf;
		if (door_is_well(d))
			continue;
		log_warn("listener %s was shut down, opened anew", conf.text);
		door_close(m, d);
		if (door_open(m, &conf, &d, &e) < 0) {
			log_error("%s", e.text);
			continue;
		}
		for (unsigned i = 0; i < m->workers; i++)
			door_tell(d, &m->worker[i]);
	}
}

/* Can it accept, or is somebody else to do it? */
static bool serves(const struct child *c, uint64_t now)
{
	if (c->state == CHILD_UP)
		return now - c->pong_ms < STOPPED_MS;
	if (c->state == CHILD_STARTING)
		return now - c->born_ms < MISSED_MS;
	return now - c->died_ms < MISSED_MS;
}

/* The next sibling that can. */
static unsigned stand_in(struct master *m, unsigned index, uint64_t now)
{
	for (unsigned i = 1; i < m->workers; i++) {
		unsigned other = (index + i) % m->workers;
		if (m->worker[other].state == CHILD_UP &&
			serves(&m->worker[other], now))
			return other;
	}
	return index;
}

void doors_share(struct master *m)
{
	uint64_t serve[MASTER_WORKERS] = {0}, now = loop_now_ms(m->loop);
	for (unsigned i = 0; i < m->workers; i++) {
		serve[i] |= 1ull << i;
		if (!serves(&m->worker[i], now))
			serve[stand_in(m, i, now)] |= 1ull << i;
	}
	for (unsigned i = 0; i < m->workers; i++) {
		struct child *c = &m->worker[i];
		struct ctl_head h = {.type = CTL_SERVE, .a = serve[i]};
		if (!child_alive(c) || c->serves == serve[i])
			continue;
		c->serves = serve[i];
		child_tell(c, &h, STR_NONE, NULL, 0);
	}
}
