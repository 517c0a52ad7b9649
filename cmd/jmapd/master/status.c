#include <inttypes.h>

#include "cmd/jmapd/master/master.h"
#include "core/base/clock.h"
#include "core/base/jw.h"

static const char *state_name(const struct child *c)
{
	static const char *const names[] = {
		[CHILD_DOWN] = "down",
		[CHILD_STARTING] = "starting",
		[CHILD_UP] = "up",
		[CHILD_ENDED] = "ended",
	};
	return names[c->state];
}

static uint64_t uptime_s(const struct child *c)
{
	if (!child_alive(c))
		return 0;
	return (loop_now_ms(c->m->loop) - c->born_ms) / 1000;
}

/* What of the counters is told of each kind of role. */
static const struct {
	enum child_kind kind;
	enum metric metric;
} shown[] = {
	{CHILD_WORKER, METRIC_CONNECTIONS},
	{CHILD_WORKER, METRIC_WEBSOCKETS},
	{CHILD_WORKER, METRIC_HTTP_REQUESTS},
	{CHILD_WORKER, METRIC_CALLS},
	{CHILD_WORKER, METRIC_NOTICES},
	{CHILD_WORKER, METRIC_PUSHES},
	{CHILD_STORE, METRIC_CALLS},
	{CHILD_STORE, METRIC_NOTICES},
	{CHILD_STORE, METRIC_NOTICES_MISSED},
	{CHILD_STORE, METRIC_DELIVERIES},
	{CHILD_STORE, METRIC_COMMITS},
	{CHILD_STORE, METRIC_LOGINS},
	{CHILD_STORE, METRIC_LOGINS_FAILED},
};

static void child_text(const struct child *c, struct buf *out)
{
	buf_fmt(out, "%-6s %2u  %-8s pid=%d uptime=%" PRIu64 "s", child_name(c),
		c->index, state_name(c), child_alive(c) ? (int)c->pid : 0,
		uptime_s(c));
	for (size_t i = 0; c->stats && i < countof(shown); i++)
		if (shown[i].kind == c->kind)
			buf_fmt(out, " %s=%" PRIu64,
				metrics_name(shown[i].metric),
				metrics_get(c->stats, shown[i].metric));
	buf_addc(out, '\n');
}

void status_text(struct master *m, struct buf *out)
{
	char since[CLOCK_UTC_MAX];
	clock_utc(m->started_ms / 1000 * 1000, since);
	buf_fmt(out, "jmapd %s since=%s config=%s\n", JMAPD_VERSION, since,
		m->path);
	child_text(&m->store, out);
	for (unsigned i = 0; i < m->workers; i++)
		child_text(&m->worker[i], out);
}

static void child_json(const struct child *c, struct jw *w)
{
	jw_obj(w);
	jw_kstrz(w, "role", child_name(c));
	jw_ku64(w, "index", c->index);
	jw_kstrz(w, "state", state_name(c));
	jw_ku64(w, "pid", child_alive(c) ? (uint64_t)c->pid : 0);
	jw_ku64(w, "uptime", uptime_s(c));
	jw_key(w, STR("metrics"));
	jw_obj(w);
	for (enum metric i = 0; c->stats && i < METRICS; i++)
		jw_ku64(w, metrics_name(i), metrics_get(c->stats, i));
	jw_obj_end(w);
	jw_obj_end(w);
}

void status_json(struct master *m, struct buf *out)
{
	struct jw w;
	jw_init(&w, out);
	jw_obj(&w);
	jw_kstrz(&w, "version", JMAPD_VERSION);
	jw_ku64(&w, "started", (uint64_t)(m->started_ms / 1000));
	jw_kstrz(&w, "config", m->path);
	jw_key(&w, STR("roles"));
	jw_arr(&w);
	child_json(&m->store, &w);
	for (unsigned i = 0; i < m->workers; i++)
		child_json(&m->worker[i], &w);
	jw_arr_end(&w);
	jw_obj_end(&w);
	buf_addc(out, '\n');
}
