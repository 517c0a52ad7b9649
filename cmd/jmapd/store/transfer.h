/*
 * Streams: control connections that carry contents (cmd/transfer.h): import,
 * export, backup, restore.
 *
 * Each has a thread of its own, at most STREAMS_MAX at once, which may block on
 * its peer; no executor ever does. What changes the account is a job in its write
 * turn, which the thread waits for itself. A peer that reads nothing of what it
 * is sent for STREAM_SILENCE_S is cut (an export holds a snapshot meanwhile); so
 * are all when the store drains. While mail is
 * restored nothing else may stream from or into that account.
 */
#pragma once

#include "cmd/admin.h"
#include "cmd/jmapd/store/role.h"
#include "cmd/transfer.h"

#define STREAMS_MAX 4
#define STREAM_SILENCE_S 60

struct streams;
struct streams *streams_new(struct store_role *st);
/* A connection came with its first packet; fd is taken over. Main thread. */
void stream_start(struct streams *s, int fd, struct str words);
/* Main thread: all are cut; true when none is left. */
bool streams_cut(struct streams *s);
/* Cuts and waits for them; executors still run. */
void streams_join(struct streams *s);
void streams_free(struct streams *s);

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

/* A packet; the head struct is between its letter and rest. < 0: no peer. */
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
