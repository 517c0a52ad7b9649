/*
 * A worker that is not what it was. The master starts this program for each role
 * (JMAPD_EXE); the store and the first worker are the real ones, any other worker
 * waits for an order: the file attack.INDEX in run-dir, a word and its arguments.
 * What came of it goes to the file did.INDEX. Meanwhile it answers pings, and closes
 * the connections that the kernel gives it.
 *
 *	main.c    the role: control line, orders
 *	ring.c    well-formed calls, and raw access to the memory
 *	lies.c    what no worker would write into its ring
 *	claims.c  well-formed calls that it has no right to
 *	floods.c  more than anybody wants
 *	shared.c  what it does to descriptors and memory that are not its own
 *	line.c    what it tells the master
 */
#pragma once

#include "cmd/jmapd/role.h"
#include "core/base/call.h"
#include "ipc/link.h"
#include "ipc/msg.h"

#define DOORS 64

/* A listening socket, its own or another's. */
struct door {
	int fd;
	uint64_t id, owner;
	struct listener *listener;
};

struct hostile {
	struct role role;
	struct link link;
	bool linked;
	struct door door[DOORS];
	size_t doors;
	uint64_t serve; /* bit set of owners */
	uint64_t calls; /* the last call's number */
	struct timer timer;
	bool busy; /* main thread */
};

/* Runs in a thread of its own; writes what came of it to out. */
struct attack {
	const char *word;
	void (*run)(struct hostile *h, struct str args, struct buf *out);
};

/* Each list ends with a NULL word. */
extern const struct attack lies[], claims[], floods[], shared[], line[];

/* ---- ring.c ---------------------------------------------------------------- */

/* Waits for room; the program ends when none comes. */
void put(struct hostile *h, uint16_t type, const void *head, size_t head_n,
	struct str rest);
void publish(struct hostile *h);
/* The number of a new call. who may be NULL. Not published. */
uint64_t open_call(struct hostile *h, enum call_kind kind,
	const struct login *who, uint64_t body_len, struct str head);
void say_chunk(struct hostile *h, uint16_t type, uint64_t call, struct str s);
void say_credit(struct hostile *h, uint64_t call, uint64_t bytes);
/* Reads replies until that call's is whole, giving credit; its status. */
unsigned answer_to(struct hostile *h, uint64_t call, struct buf *body);
/* Open, body, end, answer. */
unsigned ask(struct hostile *h, enum call_kind kind, const struct login *who,
	struct str head, struct str body, struct buf *answer);
/* A whole call that is answered with some bytes more than that. */
void say_echo(struct hostile *h, const struct login *who, size_t bytes);
/* An app password's handle; the program ends when it is none. */
struct login log_in(struct hostile *h, struct str token);
/* Takes what is there of the reply ring; returns how many records. */
size_t take_replies(struct hostile *h);
/* The next word; the program ends when there is none. */
struct str word_of(struct str *args);
uint64_t number_of(struct str *args);
uint64_t now_ms(void);
void nap(void); /* a millisecond */
