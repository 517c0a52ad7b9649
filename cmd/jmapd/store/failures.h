/*
 * Failed logins: who has had so many of late that the next is not even looked at.
 *
 * The counts live here because the store alone sees what comes at all workers. Two
 * of them, each a debt that the window pays off evenly: of an address (IPv4 whole,
 * IPv6 by its /64) and of an account, by the name as given, whether there is one or
 * not. Once a debt is full, one more failure is allowed each window / limit.
 *
 * Nobody may lock an owner out. So an address at which an account was let in before
 * is asked only for what it failed at that very account, whatever others did to the
 * account or at the address; the price is that who shares an address can tell. An
 * app password that is good is never held up by any of this (login.c): nobody guesses
 * 256 bits. And the same wrong credential, again from the same address, is refused
 * by memory and counts once a window: it is a device that knows an old password, and
 * guesses nothing. That memory ends when any credential changes.
 *
 * All is kept by 64-bit hashes under a key of this process, which nobody can aim at,
 * FAILURES_MAX of each kind; a further one drops the one not seen for longest. What
 * is dropped is forgiven, so a full table never holds anybody up. Nothing outlives
 * the store. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/base/str.h"

#define FAILURES_MAX 65536 /* entries of each kind */

struct failures;

/* One login that is tried. */
struct login_try {
	uint64_t from;	     /* 0: of no address */
	uint64_t account;    /* 0: it names none */
	uint64_t credential; /* all of it, at that address */
	uint64_t changes;    /* of credentials, when it began */
};

struct failures *failures_new(void);
void failures_free(struct failures *f);

/*
 * address: 16 bytes, IPv4 mapped; zeroes: none is known. user: may be empty (a
 * token alone). The caller fills in changes: failures_changes().
 */
struct login_try login_try_of(
	const uint8_t address[16], struct str user, struct str secret);

/* Seconds until it may be tried; 0: now. */
uint32_t failures_wait(
	struct failures *f, const struct login_try *t, uint64_t now_ms);
/* Is that very credential known to be wrong? */
bool failures_known(
	struct failures *f, const struct login_try *t, uint64_t now_ms);

#define FAILURES_ADDRESS 1u
#define FAILURES_ACCOUNT 2u
/* It was tried and is wrong. Returns which debts are full now. */
unsigned failures_count(
	struct failures *f, const struct login_try *t, uint64_t now_ms);
/* That account was let in at that address. */
void failures_good(struct failures *f, const struct login_try *t);

/* How often credentials changed: read it before the credential is looked at. */
uint64_t failures_changes(struct failures *f);
/* Credentials changed: what was wrong may be right now. */
void failures_changed(struct failures *f);
