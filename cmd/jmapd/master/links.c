#include <unistd.h>

#include "cmd/jmapd/master/master.h"
#include "core/base/log.h"
#include "ipc/link.h"

/* Fresh memory for that pair of lives; both hear of it, the master keeps none. */
static void join(struct child *worker, struct child *store)
{
	struct err e = {0};
	int to_worker[LINK_FDS], to_store[LINK_FDS];
	struct ctl_head h = {
		.type = CTL_LINK,
		.a = worker->index,
		.b = worker->life,
	};
	if (!child_alive(worker) || !child_alive(store))
		return;
	if (link_new(to_worker, to_store, &e) < 0) {
		log_error("link worker=%u: %s", worker->index, e.text);
		child_kill(worker, "no link could be made");
		return;
	}
	child_tell(store, &h, STR_NONE, to_store, LINK_FDS);
	child_tell(worker, &h, STR_NONE, to_worker, LINK_FDS);
	for (int i = 0; i < LINK_FDS; i++) {
		close(to_worker[i]);
		close(to_store[i]);
	}
}

void links_make(struct child *c)
{
	struct master *m = c->m;
	if (c->kind == CHILD_WORKER) {
		join(c, &m->store);
		return;
	}
	for (unsigned i = 0; i < m->workers; i++)
		join(&m->worker[i], c);
}

void links_cut(struct child *c)
{
	struct master *m = c->m;
	struct ctl_head h = {.type = CTL_UNLINK, .a = c->index};
	if (c->kind == CHILD_WORKER) {
		child_tell(&m->store, &h, STR_NONE, NULL, 0);
		return;
	}
	for (unsigned i = 0; i < m->workers; i++)
		child_tell(&m->worker[i], &h, STR_NONE, NULL, 0);
}
