/*
 * One pass over a JSON text that came from a client: is it I-JSON (RFC 7493), what
 * kind of RFC 8887 message is it, whose?
 *
 * json-c lets through what RFC 8620 3.6.1 calls notJSON: duplicate names, lone
 * surrogates, NaN, trailing bytes. This scanner does not, and it costs no tree. It
 * also finds the top-level "@type", "id" / "requestId" and whether a method of the
 * request may change something, so that the worker need not parse twice. Even of
 * a broken text the id is found when it stands (whole) before or after the fault.
 */
#pragma once

#include <stdbool.h>

#include "core/base/arena.h"

#define SCAN_DEPTH 64	/* levels of nesting; more is notJSON */
#define SCAN_ID_MAX 256 /* characters of a request id */

enum scan_kind {
	SCAN_NONE, /* no @type */
	SCAN_REQUEST,
	SCAN_PUSH_ENABLE,
	SCAN_PUSH_DISABLE,
	SCAN_OTHER, /* some other @type */
};

struct scan {
	bool valid;	 /* I-JSON, whole */
	const char *why; /* "duplicate name", "bad escape", ... */
	size_t at;	 /* byte of the fault */
	bool object;	 /* the top is an object */
	enum scan_kind kind;
	struct str id; /* raw JSON string with quotes, or STR_NONE */
	bool id_bad;   /* an id is there but no string, or too long */
	bool writes;   /* a method in methodCalls may write */
};

void scan_json(struct str text, struct arena *a, struct scan *r);

/* Does a method of that name change anything ("Email/set": true)? Unknown: false. */
bool method_writes(struct str name);
