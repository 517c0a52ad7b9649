/*
 * The master: binds sockets, makes shared memory, starts the roles and starts them
 * again, reloads (SIGHUP), drains (SIGTERM), answers jmapctl. It touches no client
 * byte and no database.
 *
 *	child.c   a role's process: birth, packets, death
 *	links.c   which worker is joined to which store
 *	census.c  how workers see whom the others have
 *	doors.c   listening sockets, and who serves whose
 *	reload.c  a configuration: read, checked, applied
 *	tickets.c the keys of TLS sessions: made, changed, told
 *	admin.c   the control socket
 *	master.c  start, signals, the tick, the end
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cmd/jmapd/ctl.h"
#include "cmd/jmapd/stats.h"
#include "conf/conf.h"
#include "core/base/crypto.h"
#include "core/io/loop.h"
#include "core/io/tls.h"
#include "ipc/census.h"

#define MASTER_WORKERS 64

struct master;

enum child_kind { CHILD_WORKER, CHILD_STORE };

enum child_state {
	CHILD_DOWN,	/* to be started at due_ms */
	CHILD_STARTING, /* not READY yet */
	CHILD_UP,
	CHILD_ENDED, /* drained: not started again */
};

struct child {
	struct master *m;
	enum child_kind kind;
	unsigned index;
	enum child_state state;
	pid_t pid;
	uint64_t life;	       /* of this process; never used again */
	int line;	       /* control line; -1 when not alive */
	struct watch ctl;      /* on it */
	struct metrics *stats; /* its counters, this life's */
	uint64_t born_ms, pong_ms, died_ms, due_ms;
	unsigned short_lives; /* in a row */
	bool silent;	      /* killed by us for its silence */
	bool doomed;	      /* killed by us, or dead: no signal more */
	unsigned pings;	      /* that were not answered */
	uint64_t serves;      /* last CTL_SERVE */
	int census;	      /* of a worker's life, to read; -1: none */
};

/* One address of the configuration; a socket per worker, or one for all. */
struct door {
	struct cds_list_head node;
	struct conf_listener conf;
	uint64_t id;
	size_t n;
	int fd[MASTER_WORKERS];
	bool keep; /* reload: stays */
};

struct master {
	const char *path; /* of the configuration file */
	struct loop *loop;
	struct conf conf;
	struct buf cert, key_pem; /* PEM; empty without tls */
	struct tls_tickets tickets;
	uint64_t tickets_ms;	 /* when the first of them was made */
	uint8_t key[SHA256_LEN]; /* of the login MACs */
	struct census_key census_key;
	struct child store;
	struct child worker[MASTER_WORKERS];
	unsigned workers;
	uint64_t lives; /* the last life given out */
	struct cds_list_head doors;
	uint64_t door_ids;
	int notebook_fd;
	struct notebook *notebook;
	struct timer tick;
	uint64_t ticked_ms; /* the last one */
	bool told_ready;    /* sd_notify */
	bool draining;
	bool drained_workers; /* the store was told to end */
	uint64_t drain_end_ms;
	int64_t started_ms; /* wall clock */
	struct buf in;	    /* scratch of ctl_recv() */
	struct admin_server *admin;
};

/* child.c */
void child_init(
	struct master *m, struct child *c, enum child_kind k, unsigned index);
int child_start(struct child *c, struct err *e);
/* To a living child; one that does not read for a second is killed. */
void child_tell(struct child *c, const struct ctl_head *h, struct str rest,
	const int *fds, size_t n);
bool child_alive(const struct child *c);
void child_kill(struct child *c, const char *why);
void child_on_exit(struct child *c, int status);
const char *child_name(const struct child *c);
/* Ping, silence, due restarts. */
void child_tick(struct child *c);
typedef void child_fn(struct child *c);
void each_child(struct master *m, child_fn *fn);

/* links.c: a new link between that child and everybody on the other side. */
void links_make(struct child *c);
void links_cut(struct child *c);

/* census.c: of workers. */
void census_birth(struct child *c);
void census_death(struct child *c);

/* doors.c */
int door_open(struct master *m, const struct conf_listener *l,
	struct door **d_r, struct err *e);
void door_close(struct master *m, struct door *d);
void door_tell(struct door *d, struct child *c);
/* Whom each worker serves beside itself: siblings that are down or silent. */
void doors_share(struct master *m);
/* Workers hold the sockets too: opens anew what was shut down. */
void doors_mend(struct master *m);

/* reload.c */
int config_check(const char *path, struct conf *c, struct buf *cert,
	struct buf *key, struct err *e);
int config_start(struct master *m, struct err *e);
int config_reload(struct master *m, struct err *e);
void config_tell(struct child *c);
void config_tell_tls(struct child *c);

/* tickets.c */
void tickets_make(struct master *m);
void tickets_set_lifetime(struct master *m);
void tickets_tell(struct child *c);
void tickets_tick(struct master *m);

/* admin.c */
int admin_open(struct master *m, struct err *e);
void admin_close(struct master *m);
/* From the store: CTL_ADMIN_OUTPUT, _OK, _ERROR. */
void admin_on_packet(struct master *m, const struct ctl_packet *p);
/* The store died: what it was asked ends with an error. */
void admin_on_store_death(struct master *m);

/* status.c */
void status_text(struct master *m, struct buf *out);
void status_json(struct master *m, struct buf *out);

/* master.c */
int master_main(const char *path);
void master_drain(struct master *m);
