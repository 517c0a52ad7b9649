/*
 * The keys of TLS session tickets. The master makes them, so that all workers have
 * the same and a reload changes none; they are written nowhere and end with it. A
 * key seals for one tls-ticket-lifetime and opens for another: no ticket dies
 * before its time, and once both are gone nobody opens one again (RFC 5077 5.5).
 */
#include "cmd/jmapd/master/master.h"
#include "core/base/log.h"

static uint64_t lifetime_ms(const struct master *m)
{
	return m->conf.tls_ticket_lifetime * 1000;
}

void tickets_set_lifetime(struct master *m)
{
	m->tickets.lifetime_s = (uint32_t)m->conf.tls_ticket_lifetime;
}

void tickets_make(struct master *m)
{
	tickets_set_lifetime(m);
	tls_tickets_rotate(&m->tickets);
	m->tickets_ms = loop_now_ms(m->loop);
}

void tickets_tell(struct child *c)
{
	struct master *m = c->m;
	struct ctl_head h = {.type = CTL_TICKETS};
	if (c->kind == CHILD_WORKER)
		child_tell(
			c, &h, str_n(&m->tickets, sizeof(m->tickets)), NULL, 0);
}

void tickets_tick(struct master *m)
{
	uint64_t now = loop_now_ms(m->loop);
	if (now - m->tickets_ms < lifetime_ms(m))
		return;
	m->tickets_ms = now;
	tls_tickets_rotate(&m->tickets);
	each_child(m, tickets_tell);
	log_info("new key of session tickets");
}
