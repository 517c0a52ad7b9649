/*
 * The directory: accounts, their addresses and credentials, in one database under
 * one mutex. A login by token is one lookup by its SHA-256.
 *
 * An account is made in this order: its files, then its row; it is removed in the
 * other order. What a death leaves in between is a folder without a row, which the
 * next start sweeps away.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/utf8.h"
#include "core/store/internal.h"

#define TOKEN_NAME_MAX 63

#define A_COLUMNS "a.id, a.version, a.name, a.hash"

static void read_account(
	struct db_stmt *s, struct dir_account *a, struct buf *hash)
{
	struct str name = db_bytes(s, 2);
	size_t n = min_of(name.n, sizeof(a->name) - 1);

	*a = (struct dir_account){
		.id = (uint64_t)db_i64(s, 0),
		.version = (uint32_t)db_i64(s, 1),
	};
	if (n)
		memcpy(a->name, name.p, n);
	if (hash)
		buf_adds(hash, db_bytes(s, 3));
}

/* One account by one parameter: a number, or bytes (blob or text). */
static int find(struct db *db, const char *sql, const uint64_t *id,
	struct str key, bool blob, struct dir_account *a_r, struct buf *hash,
	struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(db, sql, &s, e);

	if (ret < 0)
		return ret;
	if (id)
		db_bind_i64(s, 1, (int64_t)*id);
	else if (blob)
		db_bind_blob(s, 1, key);
	else
		db_bind_text(s, 1, key);
	ret = db_step(s, e);
	if (ret > 0)
		read_account(s, a_r, hash);
	db_done(s);
	return ret;
}

static int find_name(struct db *db, struct str name, struct dir_account *a_r,
	struct buf *hash, struct err *e)
{
	struct buf low cleanup(buf_fini) = {0};

	if (!address_read(name, &low))
		return 0;
	return find(db, "SELECT " A_COLUMNS " FROM account a WHERE a.name = ?",
		NULL, buf_str(&low), false, a_r, hash, e);
}

static int find_address(struct db *db, struct str address,
	struct dir_account *a_r, struct err *e)
{
	return find(db,
		"SELECT " A_COLUMNS " FROM address d JOIN account a"
		" ON a.id = d.account WHERE d.address = ?",
		NULL, address, false, a_r, NULL, e);
}

/* The same, but not there is an error. */
static int need_name(
	struct db *db, struct str name, struct dir_account *a_r, struct err *e)
{
	int ret = find_name(db, name, a_r, NULL, e);

	if (ret == 0)
		return err_set(
			e, -ENOENT, "no account %.100s", log_quote(name).z);
	return min_of(ret, 0);
}

/* ---- lock and transaction around one change ------------------------------- */

static int change_begin(struct store *s, struct err *e)
{
	int ret;

	pthread_mutex_lock(&s->directory.lock);
	ret = db_begin(s->directory.db, true, e);
	if (ret < 0)
		pthread_mutex_unlock(&s->directory.lock);
	return ret;
}

/* Its one handle sees to its log itself. */
static void checkpoint(struct directory *d)
{
	struct err e;

	if (d->torn || db_log_pages(d->db) < LOG_PAGES_WANTED ||
		db_checkpoint(d->db, &e) == 0)
		return;
	log_warn("directory %s", e.text);
	if (e.code == -ENOTRECOVERABLE) {
		d->torn = true;
		db_abandon(d->db);
	}
}

static int change_end(struct store *s, int ret, struct err *e)
{
	if (ret < 0)
		db_rollback(s->directory.db);
	else
		ret = db_commit(s->directory.db, e);
	if (ret == 0)
		checkpoint(&s->directory);
	pthread_mutex_unlock(&s->directory.lock);
	return ret;
}

/* ---- accounts ------------------------------------------------------------- */

static int take_number(struct db *db, const char *get, const char *step,
	uint64_t *id_r, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(db, get, &s, e);

	if (ret < 0)
		return ret;
	ret = db_step(s, e);
	*id_r = ret > 0 ? (uint64_t)db_i64(s, 0) : 0;
	db_done(s);
	if (ret == 0)
		return err_set(e, -EUCLEAN, "the directory has no counters");
	return ret < 0 ? ret : db_exec(db, step, e);
}

static int insert_account(struct db *db, uint64_t id, struct str name,
	struct str hash, struct err *e)
{
	return db_run(db, e,
		"INSERT INTO account (id, name, version, created, hash)"
		" VALUES (?, ?, 1, ?, ?)",
		"itit", (int64_t)id, name, clock_real_ms(), hash);
}

static int insert_address(
	struct db *db, uint64_t id, struct str address, struct err *e)
{
	struct dir_account other;
	int ret = find_address(db, address, &other, e);

	if (ret > 0)
		return err_set(
			e, -EEXIST, "%.100s is taken", log_quote(address).z);
	if (ret < 0)
		return ret;
	return db_run(db, e,
		"INSERT INTO address (account, address) VALUES (?, ?)", "it",
		(int64_t)id, address);
}

static int add_locked(struct store *s, struct str name, struct str hash,
	uint64_t *id_r, struct err *e)
{
	struct db *db = s->directory.db;
	int ret = take_number(db, "SELECT next_account FROM meta",
		"UPDATE meta SET next_account = next_account + 1", id_r, e);

	if (ret == 0)
		ret = insert_address(db, *id_r, name, e);
	if (ret == 0)
		ret = insert_account(db, *id_r, name, hash, e);
	if (ret == 0)
		ret = account_create(s, *id_r, e);
	return ret;
}

static int bad_address(struct str address, struct err *e)
{
	return err_set(
		e, -EINVAL, "not an address: %.100s", log_quote(address).z);
}

int dir_add(struct store *s, struct str name, struct str hash, uint64_t *id_r,
	struct err *e)
{
	struct buf low cleanup(buf_fini) = {0};
	char *dir;
	int ret;

	if (!address_read(name, &low))
		return bad_address(name, e);
	ret = change_begin(s, e);
	if (ret < 0)
		return ret;
	*id_r = 0;
	ret = add_locked(s, buf_str(&low), hash, id_r, e);
	ret = change_end(s, ret, e);
	/* In doubt (db_commit()) the next start knows; the next one that is added
	 * gets its number. */
	if (ret < 0 && ret != -EEXIST && ret != -ENOTRECOVERABLE && *id_r) {
		dir = account_dir(s, *id_r);
		dir_delete(dir, NULL);
		free(dir);
	}
	return ret;
}

static int grow_version(struct db *db, struct dir_account *a, struct err *e)
{
	a->version++;
	return db_run(db, e, "UPDATE account SET version = ? WHERE id = ?",
		"ii", (int64_t)a->version, (int64_t)a->id);
}

int dir_set_hash(struct store *s, struct str name, struct str hash,
	struct dir_account *a_r, struct err *e)
{
	struct db *db = s->directory.db;
	int ret = change_begin(s, e);

	if (ret < 0)
		return ret;
	ret = need_name(db, name, a_r, e);
	if (ret == 0)
		ret = grow_version(db, a_r, e);
	if (ret == 0)
		ret = db_run(db, e, "UPDATE account SET hash = ? WHERE id = ?",
			"ti", hash, (int64_t)a_r->id);
	return change_end(s, ret, e);
}

int dir_remove(struct store *s, struct str name, struct dir_account *a_r,
	struct err *e)
{
	struct db *db = s->directory.db;
	int64_t id = 0;
	int ret = change_begin(s, e);

	if (ret < 0)
		return ret;
	ret = need_name(db, name, a_r, e);
	if (ret == 0)
		id = (int64_t)a_r->id;
	if (ret == 0)
		ret = db_run(
			db, e, "DELETE FROM token WHERE account = ?", "i", id);
	if (ret == 0)
		ret = db_run(db, e, "DELETE FROM address WHERE account = ?",
			"i", id);
	if (ret == 0)
		ret = db_run(
			db, e, "DELETE FROM account WHERE id = ?", "i", id);
	ret = change_end(s, ret, e);
	if (ret < 0)
		return ret;
	a_r->version++;
	account_gone(s, a_r->id);
	return 0;
}

int dir_add_address(
	struct store *s, struct str name, struct str address, struct err *e)
{
	struct buf low cleanup(buf_fini) = {0};
	struct dir_account a = {0};
	int ret;

	if (!address_read(address, &low))
		return bad_address(address, e);
	ret = change_begin(s, e);
	if (ret < 0)
		return ret;
	ret = need_name(s->directory.db, name, &a, e);
	if (ret == 0)
		ret = insert_address(s->directory.db, a.id, buf_str(&low), e);
	return change_end(s, ret, e);
}

static int remove_address(struct db *db, struct str address, struct err *e)
{
	struct dir_account a = {0};
	int ret = find_address(db, address, &a, e);

	if (ret < 0)
		return ret;
	if (ret == 0)
		return err_set(
			e, -ENOENT, "no address %.100s", log_quote(address).z);
	if (str_eq(str_of(a.name), address))
		return err_set(
			e, -EINVAL, "%.100s is the account's name", a.name);
	return db_run(
		db, e, "DELETE FROM address WHERE address = ?", "t", address);
}

int dir_remove_address(struct store *s, struct str address, struct err *e)
{
	struct buf low cleanup(buf_fini) = {0};
	int ret;

	if (!address_read(address, &low))
		return bad_address(address, e);
	ret = change_begin(s, e);
	if (ret < 0)
		return ret;
	ret = remove_address(s->directory.db, buf_str(&low), e);
	return change_end(s, ret, e);
}

/* ---- lookups -------------------------------------------------------------- */

int dir_by_name(struct store *s, struct str name, struct dir_account *a_r,
	struct buf *hash, struct err *e)
{
	int ret;

	pthread_mutex_lock(&s->directory.lock);
	ret = find_name(s->directory.db, name, a_r, hash, e);
	pthread_mutex_unlock(&s->directory.lock);
	return ret;
}

int dir_by_id(
	struct store *s, uint64_t id, struct dir_account *a_r, struct err *e)
{
	int ret;

	pthread_mutex_lock(&s->directory.lock);
	ret = find(s->directory.db,
		"SELECT " A_COLUMNS " FROM account a WHERE a.id = ?", &id,
		STR_NONE, false, a_r, NULL, e);
	pthread_mutex_unlock(&s->directory.lock);
	return ret;
}

/* user+detail@domain without +detail; false when there is none. */
static bool drop_detail(struct buf *b)
{
	struct buf plain = {0};
	struct str s = buf_str(b);
	size_t at = str_find(s, '@'), plus = str_find(s, '+');

	if (plus == 0 || plus >= at)
		return false;
	buf_add(&plain, s.p, plus);
	buf_adds(&plain, str_skip(s, at));
	buf_fini(b);
	*b = plain;
	return true;
}

int dir_by_address(struct store *s, struct str address, struct dir_account *a_r,
	struct err *e)
{
	struct buf low cleanup(buf_fini) = {0};
	int ret;

	if (!address_read(address, &low))
		return 0;
	pthread_mutex_lock(&s->directory.lock);
	ret = find_address(s->directory.db, buf_str(&low), a_r, e);
	if (ret == 0 && drop_detail(&low))
		ret = find_address(s->directory.db, buf_str(&low), a_r, e);
	pthread_mutex_unlock(&s->directory.lock);
	return ret;
}

struct found {
	struct dir_account *at;
	size_t n;
};

static int list_accounts(struct db *db, struct found *f, struct err *e)
{
	struct db_stmt *s;
	size_t cap = 0;
	int ret = db_stmt(db,
		"SELECT " A_COLUMNS " FROM account a ORDER BY a.name", &s, e);

	if (ret < 0)
		return ret;
	while ((ret = db_step(s, e)) > 0) {
		if (f->n == cap) {
			cap = max_of(cap * 2, (size_t)64);
			f->at = mem_grow(f->at, cap * sizeof(*f->at));
		}
		read_account(s, &f->at[f->n++], NULL);
	}
	db_done(s);
	return ret;
}

/* fn runs without the lock: it may ask the directory again. */
int dir_each(struct store *s, int (*fn)(void *ctx, const struct dir_account *a),
	void *ctx, struct err *e)
{
	struct found f = {0};
	int ret;

	pthread_mutex_lock(&s->directory.lock);
	ret = list_accounts(s->directory.db, &f, e);
	pthread_mutex_unlock(&s->directory.lock);
	for (size_t i = 0; i < f.n && ret >= 0; i++)
		ret = fn(ctx, &f.at[i]);
	free(f.at);
	return min_of(ret, 0);
}

/* ---- tokens --------------------------------------------------------------- */

static int insert_token(struct db *db, uint64_t id, uint64_t account,
	struct str name, const uint8_t *sha, struct err *e)
{
	return db_run(db, e,
		"INSERT INTO token (id, account, sha, created, name)"
		" VALUES (?, ?, ?, ?, ?)",
		"iibit", (int64_t)id, (int64_t)account, str_n(sha, SHA256_LEN),
		clock_real_ms(), name);
}

/* By id in decimal, or by name; 1, 0, < 0. */
static int find_token(struct db *db, uint64_t account, struct str token,
	uint64_t *id_r, struct err *e)
{
	struct db_stmt *s;
	uint64_t id = 0;
	int ret = db_stmt(db,
		"SELECT id FROM token WHERE account = ? AND"
		" (name = ? OR id = ?) ORDER BY id = ? DESC LIMIT 1",
		&s, e);

	if (ret < 0)
		return ret;
	str_u64(token, &id);
	db_bind_i64(s, 1, (int64_t)account);
	db_bind_text(s, 2, token);
	db_bind_i64(s, 3, (int64_t)id);
	db_bind_i64(s, 4, (int64_t)id);
	ret = db_step(s, e);
	if (ret > 0)
		*id_r = (uint64_t)db_i64(s, 0);
	db_done(s);
	return ret;
}

static int add_token(struct db *db, struct str account, struct str name,
	const uint8_t *sha, uint64_t *id_r, struct err *e)
{
	struct dir_account a = {0};
	uint64_t other;
	int ret = need_name(db, account, &a, e);

	if (ret < 0)
		return ret;
	ret = find_token(db, a.id, name, &other, e);
	if (ret > 0)
		return err_set(
			e, -EEXIST, "%s has a token of that name", a.name);
	if (ret < 0)
		return ret;
	ret = take_number(db, "SELECT next_token FROM meta",
		"UPDATE meta SET next_token = next_token + 1", id_r, e);
	return ret < 0 ? ret : insert_token(db, *id_r, a.id, name, sha, e);
}

int dir_add_token(struct store *s, struct str account, struct str name,
	const uint8_t sha[SHA256_LEN], uint64_t *id_r, struct err *e)
{
	int ret;

	if (name.n == 0 || name.n > TOKEN_NAME_MAX || !utf8_valid(name))
		return err_set(e, -EINVAL,
			"a token's name has 1 to %d bytes of UTF-8",
			TOKEN_NAME_MAX);
	ret = change_begin(s, e);
	if (ret < 0)
		return ret;
	ret = add_token(s->directory.db, account, name, sha, id_r, e);
	return change_end(s, ret, e);
}

int dir_by_token(struct store *s, const uint8_t sha[SHA256_LEN],
	struct dir_account *a_r, struct err *e)
{
	int ret;

	pthread_mutex_lock(&s->directory.lock);
	ret = find(s->directory.db,
		"SELECT " A_COLUMNS " FROM token t JOIN account a"
		" ON a.id = t.account WHERE t.sha = ?",
		NULL, str_n(sha, SHA256_LEN), true, a_r, NULL, e);
	pthread_mutex_unlock(&s->directory.lock);
	return ret;
}

static int list_tokens(struct db *db, uint64_t account, struct dir_token **at,
	size_t *n, struct err *e)
{
	struct db_stmt *s;
	size_t cap = 0;
	int ret = db_stmt(db,
		"SELECT id, created, name FROM token WHERE account = ?"
		" ORDER BY id",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)account);
	while ((ret = db_step(s, e)) > 0) {
		struct str name = db_bytes(s, 2);
		struct dir_token *t;

		if (*n == cap) {
			cap = max_of(cap * 2, (size_t)16);
			*at = mem_grow(*at, cap * sizeof(**at));
		}
		t = &(*at)[(*n)++];
		*t = (struct dir_token){
			.id = (uint64_t)db_i64(s, 0),
			.created_ms = db_i64(s, 1),
		};
		memcpy(t->name, name.p, min_of(name.n, sizeof(t->name) - 1));
	}
	db_done(s);
	return ret;
}

int dir_each_token(struct store *s, struct str account,
	int (*fn)(void *ctx, const struct dir_token *t), void *ctx,
	struct err *e)
{
	struct dir_token *at = NULL;
	struct dir_account a = {0};
	size_t n = 0;
	int ret;

	pthread_mutex_lock(&s->directory.lock);
	ret = need_name(s->directory.db, account, &a, e);
	if (ret == 0)
		ret = list_tokens(s->directory.db, a.id, &at, &n, e);
	pthread_mutex_unlock(&s->directory.lock);
	for (size_t i = 0; i < n && ret >= 0; i++)
		ret = fn(ctx, &at[i]);
	free(at);
	return min_of(ret, 0);
}

static int revoke(struct db *db, struct str account, struct str token,
	struct dir_account *a_r, struct err *e)
{
	uint64_t id;
	int ret = need_name(db, account, a_r, e);

	if (ret < 0)
		return ret;
	ret = find_token(db, a_r->id, token, &id, e);
	if (ret == 0)
		return err_set(e, -ENOENT, "%s has no such token", a_r->name);
	if (ret < 0)
		return ret;
	ret = db_run(db, e, "DELETE FROM token WHERE id = ?", "i", (int64_t)id);
	return ret < 0 ? ret : grow_version(db, a_r, e);
}

int dir_revoke_token(struct store *s, struct str account, struct str token,
	struct dir_account *a_r, struct err *e)
{
	int ret = change_begin(s, e);

	if (ret < 0)
		return ret;
	ret = revoke(s->directory.db, account, token, a_r, e);
	return change_end(s, ret, e);
}

/* ---- opening -------------------------------------------------------------- */

int directory_open(struct store *s, struct err *e)
{
	char *path = path_fmt("%s/directory.db", s->dir);
	int ret = db_open(path, DB_CREATE, &s->directory.db, e);

	free(path);
	if (ret == 0)
		ret = schema_directory(s->directory.db, e);
	return ret < 0 ? ret : dir_sync(s->dir, e);
}

void directory_close(struct store *s)
{
	db_close(s->directory.db);
}

static int sweep_one(struct store *s, struct str name, struct err *e)
{
	struct dir_account a = {0};
	char *dir;
	uint64_t id;
	int ret;

	if (!str_u64(name, &id))
		return 0;
	ret = dir_by_id(s, id, &a, e);
	if (ret != 0)
		return min_of(ret, 0);
	dir = account_dir(s, id);
	ret = dir_delete(dir, e);
	free(dir);
	return ret;
}

int directory_sweep(struct store *s, struct err *e)
{
	char *path = path_fmt("%s/accounts", s->dir);
	DIR *d = opendir(path);
	struct dirent *f;
	int ret = d ? 0 : err_sys(e, "open %s", path);

	free(path);
	while (d && ret == 0 && (f = readdir(d)))
		ret = sweep_one(s, str_of(f->d_name), e);
	if (d)
		closedir(d);
	return ret;
}
