/*
 * One client of JMAP over WebSocket (RFC 8887).
 *
 * Kept as small as can be while nothing is under way; each request under way has
 * its struct jws_call.
 */
#pragma once

#include <urcu/hlist.h>

#include "proto/front/priv.h"

struct jws {
	struct ws *w;
	struct front *f;
	struct push_client push;
	/* The first of an account's is in front.accounts, all are in a ring. */
	struct map_node node;
	struct cds_list_head ring;
	struct cds_hlist_head calls; /* of struct jws_call */
	struct login login;
	uint32_t place; /* of its account in the crowd */
	bool first : 1;
	bool draining : 1;	  /* Close 1001 after the last answer */
	unsigned goes_first : 16; /* answers that the next push waits for */
};
_Static_assert(sizeof(struct jws) - sizeof(struct push_client) <= 104,
	"ten thousand idle clients keep one each");

/* A message came; a message over the limit came (its start). */
void jws_on_message(struct ws *w, bool text, char *p, size_t n);
void jws_on_too_big(struct ws *w, bool text, struct str start);
/*
 * A push is pending: the answers to writes that are under way go before it, so
 * that whoever made a change holds its new state when told of it.
 */
void jws_writes_first(struct jws *j);
/* Nobody waits for their answers any more. */
void jws_cancel_calls(struct jws *j);
