#include "cmd/jmapd/store/admin.h"

#include <errno.h>
#include <inttypes.h>

#include "cmd/admin.h"
#include "cmd/jmapd/store/role.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"

#define WORDS_MAX 6
#define TOKEN_BYTES 32 /* 256 random bits */

struct admin_task {
	struct slow_task slow;
	struct done done;
	struct store_role *st;
	uint64_t ticket;
	const struct admin_verb *verb;
	struct buf words;
	struct str arg[WORDS_MAX];
	struct buf out;
	struct err e;
	int ret;
	struct dir_account changed; /* id 0: no logins end */
	bool gone;
};

struct admin_verb {
	const char *words;
	unsigned args;
	enum admin_where where;
	bool secret; /* the last word is one; it may be empty */
	int (*run)(struct admin_task *t, struct err *e);
};

/* ---- the verbs ------------------------------------------------------------ */

/* No password has no hash: nobody logs in with one. */
static int hash_of(struct str password, struct buf *hash, struct err *e)
{
	if (password.n == 0)
		return 0;
	if (password.n > 1024)
		return err_set(
			e, -EINVAL, "a password has between 1 and 1024 bytes");
	return password_hash(password, hash, e);
}

static int run_account_add(struct admin_task *t, struct err *e)
{
	struct buf hash cleanup(buf_fini) = {0};
	uint64_t id;
	int ret = hash_of(t->arg[1], &hash, e);
	if (!ret)
		ret = dir_add(t->st->store, t->arg[0], buf_str(&hash), &id, e);
	if (!ret)
		buf_fmt(&t->out, "added %.*s\n", STR_ARG(t->arg[0]));
	return ret;
}

static int list_one(void *ctx, const struct dir_account *a)
{
	struct admin_task *t = ctx;
	buf_fmt(&t->out, "%s\n", a->name);
	return 0;
}

static int run_account_list(struct admin_task *t, struct err *e)
{
	return dir_each(t->st->store, list_one, t, e);
}

static int run_account_passwd(struct admin_task *t, struct err *e)
{
	struct buf hash cleanup(buf_fini) = {0};
	int ret = hash_of(t->arg[1], &hash, e);
	if (!ret)
		ret = dir_set_hash(t->st->store, t->arg[0], buf_str(&hash),
			&t->changed, e);
	return ret;
}

static int run_account_remove(struct admin_task *t, struct err *e)
{
	t->gone = true;
	return dir_remove(t->st->store, t->arg[0], &t->changed, e);
}

static int run_address_add(struct admin_task *t, struct err *e)
{
	return dir_add_address(t->st->store, t->arg[0], t->arg[1], e);
}

static int run_address_remove(struct admin_task *t, struct err *e)
{
	return dir_remove_address(t->st->store, t->arg[0], e);
}

static int run_token_add(struct admin_task *t, struct err *e)
{
	uint8_t secret[TOKEN_BYTES], sha[SHA256_LEN];
	struct buf text cleanup(buf_fini) = {0};
	uint64_t id;
	random_bytes(secret, sizeof(secret));
	base64url_add(&text, str_n(secret, sizeof(secret)));
	sha256(buf_str(&text), sha);
	int ret =
		dir_add_token(t->st->store, t->arg[0], t->arg[1], sha, &id, e);
	if (!ret)
		buf_fmt(&t->out, "%.*s\n", STR_ARG(buf_str(&text)));
	secret_wipe(secret, sizeof(secret));
	secret_wipe(text.p, text.n);
	return ret;
}

static int list_token(void *ctx, const struct dir_token *k)
{
	struct admin_task *t = ctx;
	char date[CLOCK_UTC_MAX];
	clock_utc(k->created_ms, date);
	buf_fmt(&t->out, "%" PRIu64 "\t%s\t%s\n", k->id, k->name, date);
	return 0;
}

static int run_token_list(struct admin_task *t, struct err *e)
{
	return dir_each_token(t->st->store, t->arg[0], list_token, t, e);
}

static int run_token_revoke(struct admin_task *t, struct err *e)
{
	return dir_revoke_token(
		t->st->store, t->arg[0], t->arg[1], &t->changed, e);
}

/* The master answers these itself, */
#define run_status NULL
#define run_reload NULL
/* and these come with their connection (transfer.c). */
#define run_import NULL
#define run_export NULL
#define run_account_backup NULL
#define run_account_restore NULL

static const struct admin_verb verbs[] = {
#define VERB(fn, words, args, where, secret, arguments, help) \
	{words, args, where, secret, run_##fn},
#include "cmd/admin.def"
#undef VERB
};

/* ---- their way ------------------------------------------------------------ */

/* Which verb the words begin with; arg[] gets what follows. */
static const struct admin_verb *parse(struct str words, struct str *arg)
{
	for (size_t i = 0; i < countof(verbs); i++) {
		struct str rest = words, want = str_of(verbs[i].words), w, have;
		bool same = verbs[i].where == ADMIN_STORE;
		while (same && str_cut(&want, ' ', &w))
			same = str_cut(&rest, '\0', &have) && str_eq(w, have);
		unsigned n = 0;
		while (same && n < WORDS_MAX && str_cut(&rest, '\0', &arg[n]))
			n++;
		if (same && verbs[i].secret && n + 1 == verbs[i].args &&
			words.p[words.n - 1] == '\0')
			arg[n++] = STR("");
		if (same && n == verbs[i].args && !rest.n)
			return &verbs[i];
	}
	return NULL;
}

static void tell_output(struct admin_task *t)
{
	struct str rest = buf_str(&t->out);
	while (rest.n) {
		size_t n = min_of(rest.n, CTL_PACKET / 2);
		if (role_tell(&t->st->role, CTL_ADMIN_OUTPUT, t->ticket, 0,
			    str_n(rest.p, n)) <= 0)
			return;
		rest = str_skip(rest, n);
	}
}

static void on_done(struct store_role *st, struct done *d)
{
	struct admin_task *t = container_of(d, struct admin_task, done);
	if (t->ret == 0)
		failures_changed(st->failures); /* perhaps; it costs little */
	if (t->ret == 0 && t->changed.id)
		store_revoke(st, &t->changed, t->gone);
	tell_output(t);
	if (t->ret < 0)
		role_tell(&st->role, CTL_ADMIN_ERROR, t->ticket, 0,
			str_of(t->e.text));
	else
		role_tell(&st->role, CTL_ADMIN_OK, t->ticket, 0, STR_NONE);
	if (t->out.n)
		secret_wipe(t->out.p, t->out.n);
	buf_fini(&t->out);
	buf_fini(&t->words);
	free(t);
}

static void on_slow(struct slow_task *s)
{
	struct admin_task *t = container_of(s, struct admin_task, slow);
	t->ret = t->verb->run(t, &t->e);
	secret_wipe(t->words.p, t->words.n);
	store_done(t->st, &t->done, true);
}

void admin_start(struct store_role *st, uint64_t ticket, struct str words)
{
	struct admin_task *t = mem_new(sizeof(*t));
	t->st = st;
	t->ticket = ticket;
	t->done.fn = on_done;
	t->slow.run = on_slow;
	buf_adds(&t->words, words);
	t->verb = parse(buf_str(&t->words), t->arg);
	if (!t->verb) {
		t->ret = err_set(&t->e, -EINVAL, "no such command");
		on_done(st, &t->done);
	} else if (!hasher_submit(st->hasher, &t->slow)) {
		t->ret = err_set(&t->e, -EAGAIN, "too busy, try again");
		on_done(st, &t->done);
	}
}
