/*
 * LMTP (RFC 2033), server side: mail comes in, one reply a recipient.
 *
 * EHLO offers PIPELINING, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, SIZE. A message
 * is streamed to the backend as it arrives (one CALL_DELIVER for all recipients);
 * 250 is said only when the commit is on disk. Return-Path and Received are put on
 * top here, so that what the store hashes for doubles is told apart: see the head.
 */
#pragma once

#include "core/io/conn.h"
#include "proto/jmap/backend.h"

struct lmtp_pool;
struct lmtp_pool *lmtp_pool_new(struct loop *l, struct backend *b);
void lmtp_accept(struct lmtp_pool *p, int fd);
/* Idle sessions get 421, messages under way are finished. */
void lmtp_drain(struct lmtp_pool *p);
size_t lmtp_count(const struct lmtp_pool *p);
void lmtp_pool_free(struct lmtp_pool *p);
