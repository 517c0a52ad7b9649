/*
 * The configuration: one flat YAML file in, one sealed snapshot out.
 *
 * `struct conf` is plain memory without pointers. The master parses and checks
 * the file (conf_load), seals the struct into a memfd (conf_seal), and every role
 * maps that (conf_map) and swaps it in (conf_swap). Readers take conf_get() anew
 * whenever they need a value, and keep no pointer across a loop turn; threads
 * other than the loop hold rcu_read_lock() around it.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/log.h"

#define CONF_LISTENERS 32

enum conf_kind {
	CONF_SEC,
	CONF_MSEC,
	CONF_BYTES,
	CONF_COUNT,
	CONF_FLAG,
	CONF_TEXT,
	CONF_PATH,
	CONF_LEVEL,
	CONF_LISTEN,
};

enum conf_applies { CONF_LIVE, CONF_LISTENERS_ONLY, CONF_RESTART };

enum listen_proto { LISTEN_HTTP, LISTEN_LMTP };

struct conf_listener {
	char text[128];		      /* "127.0.0.1:8080" or "unix:/path" */
	struct sockaddr_storage addr; /* resolved: numeric addresses only */
	socklen_t addr_len;
	enum listen_proto proto;
	bool tls;
	bool plain; /* the word that allows http off loopback */
};

struct conf_listeners {
	uint32_t n;
	struct conf_listener at[CONF_LISTENERS];
};

#define CONF_FIELD_SEC(f, max) uint64_t f;
#define CONF_FIELD_MSEC(f, max) uint64_t f;
#define CONF_FIELD_BYTES(f, max) uint64_t f;
#define CONF_FIELD_COUNT(f, max) uint64_t f;
#define CONF_FIELD_FLAG(f, max) bool f;
#define CONF_FIELD_TEXT(f, max) char f[(max) + 1];
#define CONF_FIELD_PATH(f, max) char f[(max) + 1];
#define CONF_FIELD_LEVEL(f, max) enum log_level f;
#define CONF_FIELD_LISTEN(f, max) struct conf_listeners f;

struct conf {
#define OPT(f, key, kind, def, lo, hi, applies, text) CONF_FIELD_##kind(f, hi)
#include "conf/options.def"
#undef OPT
};

/* One row of options.def, for whoever prints or compares options. */
struct conf_option {
	const char *key;
	enum conf_kind kind;
	const char *def; /* as it would stand in the file */
	uint64_t min, max;
	enum conf_applies applies;
	const char *text;
	size_t offset, size; /* of the field in struct conf */
};
extern const struct conf_option conf_options[];
extern const size_t conf_options_n;

const char *conf_unit(enum conf_kind k); /* "seconds", "" for none */

/* "libyaml 0.2.5" */
const char *conf_library_version(void);

/* All defaults. */
void conf_defaults(struct conf *c);

/*
 * Reads and checks a whole file. On an error *c is untouched and e says
 * "FILE:LINE:COLUMN: what is wrong; what would be right" (-EINVAL), or why the
 * file cannot be read. Checks that span options (heartbeat < timeout, tls needs
 * a certificate, plain off loopback) are part of it. Warnings are logged.
 */
int conf_load(const char *path, struct conf *c, struct err *e);
/* The same from memory; name stands for the file in errors. */
int conf_parse(
	struct str yaml, const char *name, struct conf *c, struct err *e);

/* Writes option o of c as it would stand in the file, without its key. */
void conf_print(
	const struct conf *c, const struct conf_option *o, struct buf *out);
/* The whole sample file: every option, its sentence, unit and default. */
void conf_sample(struct buf *out);

/* Does o differ between the two? */
bool conf_differs(const struct conf *a, const struct conf *b,
	const struct conf_option *o);
/*
 * What a reload makes of it: *next keeps the old value of every option that
 * needs a restart; returns how many there were, each logged as a warning.
 */
size_t conf_keep_restart(const struct conf *now, struct conf *next);

/* A sealed memfd with c (caller closes), and its map in another process. */
int conf_seal(const struct conf *c, struct err *e);
int conf_map(int fd, const struct conf **c_r, struct err *e);

/* This process's configuration; all defaults until the first swap. */
const struct conf *conf_get(void);
/*
 * Makes c (from conf_map, or static memory with mapped = false) current; the old
 * map goes when no RCU reader holds it.
 */
void conf_swap(const struct conf *c, bool mapped);
