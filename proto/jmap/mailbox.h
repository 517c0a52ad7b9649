/*
 * What the files of Mailbox share (RFC 8621 2): mailbox.c has the type, and its hooks
 * for /query and /queryChanges are in mailbox_query.c.
 */
#pragma once

#include "proto/jmap/type.h"

/* Bytes of a name that are looked at at all: in NFC it may be shorter than sent. */
#define MAILBOX_NAME_INPUT 1024

extern const char *const mailbox_query_args[];

int mailbox_query_open(
	struct query *q, struct json_object *filter, struct json_object *sort);
int mailbox_query_page(struct query *q, int64_t position, uint64_t limit,
	struct email_ids *ids_r);
int mailbox_query_touched(
	struct query *q, uint64_t since, const uint64_t **ids_r, size_t *n_r);
