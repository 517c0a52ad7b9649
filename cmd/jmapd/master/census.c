/*
 * The census (ipc/census.h): each life of a worker gets memory to count its
 * clients in, and every other worker a view of it. What a dead one counted is
 * forgotten at once, before its next life begins.
 */
#include "ipc/census.h"

#include <unistd.h>

#include "cmd/jmapd/master/master.h"
#include "core/base/log.h"

_Static_assert(MASTER_WORKERS <= CENSUS_WORKERS, "each is seen by all");

/* Of that worker, to another. */
static void show(const struct child *of, struct child *to)
{
	struct ctl_head h = {.type = CTL_CENSUS, .a = of->index, .b = of->life};

	if (of != to)
		child_tell(to, &h, STR_NONE, &of->census, of->census >= 0);
}

static void show_to_all(const struct child *of)
{
	struct master *m = of->m;

	for (unsigned i = 0; i < m->workers; i++)
		show(of, &m->worker[i]);
}

void census_birth(struct child *c)
{
	struct master *m = c->m;
	struct ctl_head h = {.type = CTL_CENSUS, .a = c->index, .b = c->life};
	struct str key = str_n(&m->census_key, sizeof(m->census_key));
	struct err e = {0};
	int own cleanup(fd_close) = -1;

	if (census_make(&own, &c->census, &e) < 0) {
		log_error("census worker=%u: %s", c->index, e.text);
		child_kill(c, "no census could be made");
		return;
	}
	child_tell(c, &h, key, &own, 1);
	show_to_all(c);
	for (unsigned i = 0; i < m->workers; i++)
		if (m->worker[i].census >= 0)
			show(&m->worker[i], c);
}

void census_death(struct child *c)
{
	fd_closep(&c->census);
	show_to_all(c);
}
