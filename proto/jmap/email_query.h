/*
 * What Email/query and Email/queryChanges ask for (RFC 8621 4.4), read from JSON.
 */
#pragma once

#include "core/store/query.h"
#include "proto/jmap/request.h"

/* Conditions and operators of one filter: each may cost a search. */
#define FILTER_CONDITIONS 512

/*
 * Reads a filter, or refuses it: invalidArguments for what is not well-formed,
 * unsupportedFilter for conditions that there are not. *text_r: it has one that
 * asks the text index. All lives in the request's arena.
 */
int email_filter_read(struct req *r, struct json_object *json,
	struct email_filter **f_r, bool *text_r);
/* Reads comparators (at most EMAIL_SORTS), or refuses them. */
int email_sort_read(struct req *r, struct json_object *json,
	const struct email_sort **s_r, size_t *n_r);

/* The properties that email_sort_read() takes; NULL ends them. */
extern const char *const email_sort_names[];
/* The collations (RFC 4790) that there are; NULL ends them. */
extern const char *const email_collations[];
