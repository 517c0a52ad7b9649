/*
 * A request being worked on (RFC 8620 3.3, 3.4).
 *
 * Method calls run in order; each appends its response straight to the output. A
 * response is kept only as its place there: a later call that refers to it walks
 * the text (refs.h), and nothing is ever built as a tree.
 *
 * All reads of a request share one snapshot, taken at the first read and anew
 * after a write of the same request. A method that writes has a transaction of
 * its own, committed before its response is written.
 *
 * max-size-response: the output never grows beyond it. What the rest of the request
 * needs at least (an error for each call, the tail) is set aside at the start; a
 * call whose response or expanded arguments do not fit in what is left gets the
 * method error requestTooLarge, and a /set is not begun unless its answer is sure
 * to fit.
 */
#pragma once

#include <json-c/json_types.h>
#include <stdbool.h>

#include "core/base/jw.h"
#include "proto/jmap/engine.h"
#include "proto/jmap/idmap.h"
#include "proto/jmap/ids.h"
#include "proto/jmap/method.h"

enum method_error {
	METHOD_OK,
#define METHOD_ERROR(name, type) ERROR_##name,
#include "proto/jmap/errors.def"
#undef METHOD_ERROR
	METHOD_ERRORS,
};

struct limits {
	size_t response;
	uint64_t calls, get, set, query, changes;
	uint64_t message; /* bytes of an Email */
};

struct invocation {
	struct str name;  /* characters */
	struct str args;  /* raw object */
	struct str id;	  /* raw string with quotes */
	struct str reply; /* name of its response */
	size_t at, n;	  /* its response's arguments, in the output */
};

struct req {
	struct jmap_call *call;
	struct arena arena;
	struct limits limit;
	struct idz account;
	bool using[CAPS];
	bool wrote;   /* call->writing() was told */
	bool unknown; /* whether it happened */
	struct invocation *calls;
	size_t calls_n, now; /* the one that runs */
	struct idmap created;
	bool created_given;
	struct tx *snapshot;
	struct buf *out;
	size_t base;	/* of the body in out */
	size_t reserve; /* bytes that the rest needs at least */
	struct jw w;
	struct err err;
	char why[160]; /* description of a method error */
};

/* Sets the error's description; returns e. */
int req_error(struct req *r, enum method_error e, const char *fmt, ...)
	printf_like(3, 4);

/* Bytes that the running call may still append. */
size_t req_room(const struct req *r);
/* 0, or ERROR_REQUEST_TOO_LARGE when more was appended than there is room. */
int req_fits(struct req *r);
/* The same, asked before n bytes are made. */
int req_wants(struct req *r, size_t n);

/* The request's snapshot. 0, or < 0. */
int req_read(struct req *r, struct tx **t_r);
/* The same, where all that it shows is in the text index: a new snapshot when the
 * one that is there is not. Transactions that req_read() gave end then. */
int req_read_indexed(struct req *r, struct tx **t_r);
/* A write transaction of the caller's; a method error when this call may not. */
int req_write(struct req *r, struct tx **t_r);
/* It is committed: later reads must see it. */
void req_wrote(struct req *r);

/*
 * "#creationId" or an id: the id in *id_r. False when that creation id is not
 * known. more: further creation ids, or NULL.
 */
bool req_id(const struct req *r, const struct idmap *more, struct str s,
	struct str *id_r);

/* Opens the response of the running call: its arguments object follows. */
struct jw *req_reply(struct req *r, const char *name);
void req_reply_end(struct req *r);
