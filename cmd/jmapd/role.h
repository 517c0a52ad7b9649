/*
 * What every role does at its start, and its line to the master.
 *
 * A role's main reads top to bottom: inherit, limits, pin, settle (configuration
 * and whatever else the master tells before START), drop privileges, confine, say
 * ready, loop. The store, which has threads as soon as it is told of links, is
 * confined between its configuration and the rest of what it is told.
 */
#pragma once

#include <stdbool.h>

#include "cmd/jmapd/ctl.h"
#include "cmd/jmapd/sandbox.h"
#include "core/io/loop.h"

struct role {
	const char *name;
	unsigned index;
	struct loop *loop;
	struct watch ctl;
	struct buf in; /* scratch of ctl_recv() */
	bool configured;
	/* Packets other than CONF and PING; descriptors left in p are closed. */
	void (*on_packet)(struct role *r, struct ctl_packet *p);
	/* After a new configuration was swapped in. */
	void (*on_conf)(struct role *r);
	/* The master is gone: nobody supervises, finish and end. */
	void (*on_orphan)(struct role *r);
};

/* Stats and control line at their fixed numbers; the log; crash reports. */
void role_inherit(struct role *r, const char *name, unsigned index);
/* Handles packets, waiting for them, until the configuration is current. */
void role_configure(struct role *r);
/*
 * Handles packets, waiting for them, until START; conf is current afterwards. Ends
 * the process when the master goes away meanwhile.
 */
void role_settle(struct role *r);
/* As many descriptors as the hard limit allows. */
void role_limits(void);
/* Onto the index-th CPU of the inherited mask. */
void role_pin(unsigned index);
/* From root to the configured user, for good; no capability, no new privileges. */
void role_drop(void);
/* Into its sandbox, unless the configuration says no; what it is given then stays
 * all it has (sandbox.h). The process has no other thread yet. */
void role_confine(enum sandbox_role role, int ring_fd);
/* From here packets are handled in the loop; tells the master READY. */
void role_ready(struct role *r);
/* A packet to the master; 0 when it was dropped since the master does not read. */
int role_tell(struct role *r, enum ctl_type t, uint64_t a, uint64_t b,
	struct str rest);
