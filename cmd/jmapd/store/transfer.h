/*
 * Streams: control connections that carry contents (cmd/transfer.h): import,
 * export, backup, restore.
 *
 * Each has a thread of its own, at most STREAMS_MAX at once, which may block on
 * its peer; no executor ever does. What changes the account is a job in its write
 * turn, which the thread waits for itself. While mail is restored nothing else may
 * stream from or into that account.
 *
 * A peer keeps its place (an export its snapshot) as long as it gets on: it may let
 * us wait STREAM_SILENCE_S in all, and wins that back by what it reads and writes, a
 * second each STREAM_BYTES_S. One that is silent, or slower than that, is cut; so
 * are all when the store drains. Time in which we work does not count.
 */
#pragma once

#include "cmd/admin.h"
#include "cmd/jmapd/store/role.h"
#include "cmd/transfer.h"

#define STREAMS_MAX 4
#define STREAM_SILENCE_S 60
#define STREAM_BYTES_S 256

struct streams;
/* patience_ms: STREAM_SILENCE_S; a test has less time. */
struct streams *streams_new(struct store_role *st, int64_t patience_ms);
/* A connection came with its first packet; fd is taken over. Main thread. */
void stream_start(struct streams *s, int fd, struct str words);
/* Main thread: all are cut; true when none is left. */
bool streams_cut(struct streams *s);
/* Cuts and waits for them; executors still run. */
void streams_join(struct streams *s);
void streams_free(struct streams *s);

/* ---- patience ------------------------------------------------------------- */

/* How long a peer may still let us wait; 0: not at all. */
struct patience {
	int64_t max_us, left_us;
};
void patience_init(struct patience *p, int64_t max_ms);
void patience_waited(struct patience *p, int64_t us);
void patience_moved(struct patience *p, size_t bytes);

/* ---- what the verbs use, in the stream's thread --------------------------- */

/* A job in the account's write turn that a stream's thread waits for. */
struct turn {
	struct job job;
	void (*run)(struct turn *t); /* on an executor */
	pthread_mutex_t lock;
	pthread_cond_t over;
	bool running;
};
void turn_init(struct turn *t, void (*run)(struct turn *t));
void turn_fini(struct turn *t);

struct stream {
	struct cds_list_head node;
	struct store_role *st;
	struct done done;
	pthread_t thread;
	int fd;
	struct patience patience;
	bool joined;
	const struct stream_verb *verb;
	struct buf words; /* what follows the verb */
	struct dir_account account;
	struct buf in; /* the packet that was read last */
};

struct stream_verb {
	const char *words;
	bool alone; /* nothing else may stream for that account */
	/* 0: 'k' is sent; < 0: 'e' and the sentence. */
	int (*run)(struct stream *s, struct err *e);
};

/* A packet; the head struct is between its letter and rest. < 0: no peer;
 * -ETIMEDOUT: it took too long. */
int stream_send(struct stream *s, char letter, const void *head, size_t head_n,
	struct str rest, struct err *e);
/* Its letter, and what follows it until the next call; < 0: no peer. */
int stream_recv(
	struct stream *s, char *letter_r, struct str *rest_r, struct err *e);
/* Takes a head from the front; false when it is not there. */
bool stream_head(struct str *rest, void *head, size_t n);
/* Submits, and waits until it has run. */
void stream_submit(struct stream *s, struct turn *t);
void stream_wait(struct turn *t);
/* Sends all of an open file as FRAME_BODY. */
int stream_send_file(struct stream *s, int fd, uint64_t size, struct err *e);

int import_run(struct stream *s, struct err *e); /* import.c */
int export_run(struct stream *s, struct err *e); /* export.c */
int backup_run(struct stream *s, struct err *e); /* backup.c */
int restore_run(struct stream *s, struct err *e);
