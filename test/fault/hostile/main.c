#include "test/fault/hostile/hostile.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"
#include "core/base/log.h"
#include "core/io/listener.h"

#define LOOK_MS 10

struct order {
	struct hostile *h;
	void (*run)(struct hostile *h, struct str args, struct buf *out);
	struct buf words;
	struct str args;
	bool done; /* by __atomic */
};

static struct order order; /* one at a time */

static void path_of(struct hostile *h, const char *what, char path[256])
{
	snprintf(path, 256, "%s/%s.%u", conf_get()->run_dir, what,
		h->role.index);
}

/* ---- orders ---------------------------------------------------------------- */

static bool find(struct str word)
{
	static const struct attack *const lists[] = {
		lies, claims, floods, shared, line};

	for (size_t i = 0; i < countof(lists); i++)
		for (const struct attack *a = lists[i]; a->word; a++)
			if (str_eq(word, str_of(a->word))) {
				order.run = a->run;
				return true;
			}
	return false;
}

/* Whole or not at all: its name comes last. */
static void report(struct hostile *h, struct str text)
{
	char tmp[256], path[256];
	int fd;

	path_of(h, "tmp", tmp);
	path_of(h, "did", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	check(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	close(fd);
	check(rename(tmp, path) == 0);
}

static void *run_order(void *arg)
{
	struct order *o = arg;
	struct buf out cleanup(buf_fini) = {0};

	buf_addz(&out, "done");
	o->run(o->h, o->args, &out);
	report(o->h, buf_str(&out));
	__atomic_store_n(&o->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static bool read_order(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	buf_reset(&order.words);
	n = read(fd, buf_room(&order.words, 65536), 65536);
	check(n > 0 && unlink(path) == 0);
	order.words.n += (size_t)n;
	close(fd);
	return true;
}

static void look_for_order(struct hostile *h)
{
	char path[256];
	pthread_t id;

	if (h->busy && __atomic_load_n(&order.done, __ATOMIC_ACQUIRE))
		h->busy = false;
	path_of(h, "attack", path);
	if (h->busy || !h->linked || !read_order(path))
		return;
	order.args = buf_str(&order.words);
	check(find(word_of(&order.args)));
	order.h = h;
	order.done = false;
	h->busy = true;
	check(pthread_create(&id, NULL, run_order, &order) == 0);
	check(pthread_detach(id) == 0);
}

static void on_timer(struct timer *t)
{
	struct hostile *h = container_of(t, struct hostile, timer);

	look_for_order(h);
	timer_set(h->role.loop, t, loop_now_ms(h->role.loop) + LOOK_MS);
}

/* ---- the role -------------------------------------------------------------- */

static void take_link(struct hostile *h, struct ctl_packet *p)
{
	struct err e = {0};

	check(p->fds == LINK_FDS);
	check(!h->linked); /* the store does not die of us */
	check(link_open_worker(&h->link, p->fd, &e) == 0);
	p->fds = 0;
	h->linked = true;
}

static void on_accept(void *ctx, int fd)
{
	close(fd);
}

/* The kernel gives it connections, also those of a sibling that is down; their
 * clients come again. */
static void refuse_clients(struct hostile *h, struct door *d)
{
	bool mine = d->owner < 64 && h->serve >> d->owner & 1;

	if (mine && !d->listener)
		d->listener = listener_new(h->role.loop, d->fd, on_accept, h);
	else if (!mine && d->listener)
		listener_free(steal(d->listener));
}

static void serve(struct hostile *h, uint64_t owners)
{
	h->serve = owners;
	for (size_t i = 0; h->role.loop && i < h->doors; i++)
		refuse_clients(h, &h->door[i]);
}

static void take_door(struct hostile *h, struct ctl_packet *p)
{
	check(p->fds == 1 && h->doors < DOORS);
	struct door *d = &h->door[h->doors++];

	*d = (struct door){p->fd[0], p->head.a, p->head.b, NULL};
	p->fds = 0;
	if (h->role.loop)
		refuse_clients(h, d);
}

static void leave_door(struct hostile *h, uint64_t id)
{
	for (size_t i = 0; i < h->doors; i++) {
		struct door *d = &h->door[i];

		if (d->id != id)
			continue;
		d->owner = UINT64_MAX;
		refuse_clients(h, d);
	}
}

static void on_packet(struct role *r, struct ctl_packet *p)
{
	struct hostile *h = container_of(r, struct hostile, role);

	if (p->head.type == CTL_LINK)
		take_link(h, p);
	else if (p->head.type == CTL_LISTEN)
		take_door(h, p);
	else if (p->head.type == CTL_SERVE)
		serve(h, p->head.a);
	else if (p->head.type == CTL_UNLISTEN)
		leave_door(h, p->head.a);
	else if (p->head.type == CTL_DRAIN)
		exit(0);
}

static void on_orphan(struct role *r)
{
	exit(0);
}

static int hostile_main(unsigned index)
{
	static struct hostile h = {
		.role = {.on_packet = on_packet, .on_orphan = on_orphan}};
	struct err e = {0};

	role_inherit(&h.role, "worker", index);
	role_settle(&h.role);
	role_drop();
	h.serve |= 1ull << index;
	h.role.loop = loop_new(&e);
	check(h.role.loop);
	for (size_t i = 0; i < h.doors; i++)
		refuse_clients(&h, &h.door[i]);
	timer_init(&h.timer, on_timer);
	timer_set(h.role.loop, &h.timer, loop_now_ms(h.role.loop) + 1);
	role_ready(&h.role);
	return loop_run(h.role.loop, &e) < 0;
}

int main(int argc, char **argv)
{
	const char *real = getenv("HOSTILE_REAL");
	uint64_t index;

	check(argc == 3 && real && str_u64(str_of(argv[2]), &index));
	if (!strcmp(argv[1], "@worker") && index > 0)
		return hostile_main((unsigned)index);
	execv(real, argv);
	return 1;
}
