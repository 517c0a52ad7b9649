/*
 * A copy that becomes an account (backup.h): files come, are checked, and change
 * places with those that are there.
 *
 * What is trusted: nothing that came until restore_check(). SHA256SUMS is compared
 * with what was hashed on the way, in the order in which it came, so that a file
 * that is cut, changed or missing is seen before anything is touched.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/store/backup.h"
#include "core/store/internal.h"

enum restore_part { PART_NONE, PART_DB, PART_BLOB, PART_SUMS };

struct restore {
	struct store *store;
	uint64_t account;
	char *dir, *dir_new, *dir_old; /* dir: NULL once it is dir_new */
	enum restore_part part;
	char name[BACKUP_NAME_MAX];
	uint64_t left; /* bytes of the file that comes */
	int fd;
	struct sha256 *hash;
	struct buf sums; /* what SHA256SUMS must say */
	size_t sums_at;
	bool has_db, has_sums;
	struct db *db;
};

static int damaged(struct err *e, const char *why)
{
	return err_set(e, -EUCLEAN, "the backup is damaged: %s", why);
}

int restore_new(
	struct store *s, uint64_t account, struct restore **r_r, struct err *e)
{
	struct restore *r cleanup(restore_free) = mem_new(sizeof(*r));
	char *new;
	int ret;

	r->store = s;
	r->account = account;
	r->fd = -1;
	r->dir_new = path_fmt("%s/accounts/%" PRIu64 ".new", s->dir, account);
	r->dir_old = path_fmt("%s/accounts/%" PRIu64 ".old", s->dir, account);
	r->dir = path_fmt("%s/accounts/%" PRIu64 ".in-XXXXXX", s->dir, account);
	if (!mkdtemp(r->dir)) {
		ret = err_sys(e, "make %s", r->dir);
		free(steal(r->dir));
		return ret;
	}
	new = path_fmt("%s/blobs", r->dir);
	ret = dir_make(new, e);
	free(new);
	new = path_fmt("%s/blobs/new", r->dir);
	if (ret == 0)
		ret = dir_make(new, e);
	free(new);
	if (ret == 0)
		*r_r = steal(r);
	return ret;
}

/* ---- files come ----------------------------------------------------------- */

static enum restore_part part_of(struct str name)
{
	struct buf sha cleanup(buf_fini) = {0};

	if (str_eq(name, STR(BACKUP_DB)))
		return PART_DB;
	if (str_eq(name, STR(BACKUP_SUMS)))
		return PART_SUMS;
	if (!str_starts(name, STR(BACKUP_BLOBS)))
		return PART_NONE;
	name = str_skip(name, sizeof(BACKUP_BLOBS) - 1);
	return name.n == 2 * SHA256_LEN && hex_decode(name, &sha) ? PART_BLOB
								  : PART_NONE;
}

/* A file is whole: what was promised of it? */
static int file_end(struct restore *r, struct err *e)
{
	struct buf hex cleanup(buf_fini) = {0};
	uint8_t sha[SHA256_LEN];

	if (r->part == PART_SUMS) {
		if (r->sums_at != r->sums.n)
			return damaged(e, BACKUP_SUMS " lists other files");
		r->has_sums = true;
		return 0;
	}
	sha256_end(steal(r->hash), sha);
	hex_add(&hex, str_n(sha, sizeof(sha)));
	if (close(r->fd) < 0)
		return err_sys(e, "write %s", r->name);
	r->fd = -1;
	if (r->part == PART_BLOB && !str_ends(str_of(r->name), buf_str(&hex)))
		return damaged(e, "a message is not what its name says");
	buf_fmt(&r->sums, "%s  %s\n", buf_z(&hex), r->name);
	r->has_db |= r->part == PART_DB;
	return 0;
}

static int file_open(struct restore *r, struct err *e)
{
	char *path = path_fmt("%s/%s", r->dir, r->name);
	int ret = 0;

	r->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (r->fd < 0)
		ret = errno == EEXIST ? damaged(e, "a file comes twice")
				      : err_sys(e, "make %s", path);
	else
		r->hash = sha256_begin();
	free(path);
	return ret;
}

int restore_file(
	struct restore *r, struct str name, uint64_t size, struct err *e)
{
	int ret = 0;

	if (r->left)
		return damaged(e, "a file is cut");
	r->part = part_of(name);
	if (r->part == PART_NONE || r->has_sums)
		return err_set(e, -EUCLEAN, "this is no backup of jmapd");
	snprintf(r->name, sizeof(r->name), "%.*s", STR_ARG(name));
	r->left = size;
	if (r->part != PART_SUMS)
		ret = file_open(r, e);
	if (ret == 0 && size == 0)
		ret = file_end(r, e);
	return ret;
}

static int keep_bytes(struct restore *r, struct str bytes, struct err *e)
{
	sha256_add(r->hash, bytes.p, bytes.n);
	while (bytes.n) {
		ssize_t n = write(r->fd, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "write %s", r->name);
		bytes = str_skip(bytes, (size_t)n);
	}
	return 0;
}

static int compare_sums(struct restore *r, struct str bytes, struct err *e)
{
	if (bytes.n > r->sums.n - r->sums_at ||
		memcmp(r->sums.p + r->sums_at, bytes.p, bytes.n) != 0)
		return damaged(e, "a file is not what " BACKUP_SUMS " says");
	r->sums_at += bytes.n;
	return 0;
}

int restore_bytes(struct restore *r, struct str bytes, struct err *e)
{
	int ret;

	if (bytes.n > r->left)
		return damaged(e, "a file is longer than it should be");
	if (bytes.n == 0)
		return 0;
	ret = r->part == PART_SUMS ? compare_sums(r, bytes, e)
				   : keep_bytes(r, bytes, e);
	if (ret < 0)
		return ret;
	r->left -= bytes.n;
	return r->left ? 0 : file_end(r, e);
}

/* ---- is it an account? ---------------------------------------------------- */

static int check_version(struct restore *r, struct err *e)
{
	int64_t version;
	int ret = db_version(r->db, &version, e);

	if (ret == 0 && version < 1)
		return damaged(e, "its database holds no mail");
	if (ret == 0)
		ret = schema_mail(r->db, e);
	if (ret == -EPROTO)
		return err_set(e, -EPROTO,
			"the backup was made by a newer jmapd (schema %" PRId64
			")",
			version);
	return ret;
}

static bool has_blob(const struct restore *r, struct str sha, uint64_t size)
{
	struct buf hex cleanup(buf_fini) = {0};
	struct stat st;
	char *path;
	bool has;

	hex_add(&hex, sha);
	path = path_fmt("%s/" BACKUP_BLOBS "%s", r->dir, buf_z(&hex));
	has = stat(path, &st) == 0 && (uint64_t)st.st_size == size;
	free(path);
	return has;
}

static int check_blobs(struct restore *r, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(
		r->db, "SELECT sha, size FROM email WHERE size > ?", &s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, BODY_ROW_MAX);
	while ((ret = db_step(s, e)) > 0)
		if (!has_blob(r, db_bytes(s, 0), (uint64_t)db_i64(s, 1))) {
			ret = damaged(e, "a message is missing");
			break;
		}
	db_done(s);
	return ret;
}

static int check_meta(struct restore *r, struct err *e)
{
	int64_t n = 0;
	int ret = db_number(
		r->db, &n, e, "SELECT count(*) FROM meta WHERE id = 1", "");

	if (ret > 0 && n != 1)
		return damaged(e, "its database has no counters");
	return min_of(ret, 0);
}

/* Everything that came is on disk. */
static int sync_all(const struct restore *r, struct err *e)
{
	int fd cleanup(fd_close) =
		open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, "open %s", r->dir);
	return syncfs(fd) < 0 ? err_sys(e, "sync %s", r->dir) : 0;
}

int restore_check(struct restore *r, struct err *e)
{
	char *path;
	int ret;

	if (r->left || !r->has_db || !r->has_sums)
		return damaged(e, "it ends too early");
	path = path_fmt("%s/" BACKUP_DB, r->dir);
	ret = db_open(path, 0, &r->db, e);
	free(path);
	if (ret == 0)
		ret = db_check(r->db, e);
	if (ret == 0)
		ret = check_version(r, e);
	if (ret == 0)
		ret = check_meta(r, e);
	if (ret == 0)
		ret = check_blobs(r, e);
	if (ret == 0)
		ret = sync_all(r, e);
	return ret;
}

/* ---- it takes the place --------------------------------------------------- */

/* What the account must not fall behind of. One that cannot be opened may be why
 * it is restored: then nothing of it is known. */
static struct meta live_meta(const struct restore *r)
{
	struct account *a cleanup(account_put) = NULL;
	struct tx *t cleanup(tx_end) = NULL;
	struct err e = {0};

	if (account_get(r->store, r->account, &a, &e) < 0 ||
		tx_begin(a, TX_READ, &t, &e) < 0) {
		log_warn("account=%" PRIu64 " restored, before: %s", r->account,
			e.text);
		return (struct meta){0};
	}
	return t->meta;
}

/* A generation that no state of it was ever told with. */
static int renew(struct restore *r, struct err *e)
{
	struct meta live = live_meta(r);
	uint32_t generation = (uint32_t)live.generation;
	int64_t own = 0;
	int ret = db_number(
		r->db, &own, e, "SELECT generation FROM meta WHERE id = 1", "");

	while (generation == live.generation || generation == own) {
		random_bytes(&generation, sizeof(generation));
		generation |= 1;
	}
	if (ret > 0)
		ret = db_run(r->db, e,
			"UPDATE meta SET generation = ?,"
			" next_mailbox = max(next_mailbox, ?),"
			" next_thread = max(next_thread, ?),"
			" next_email = max(next_email, ?) WHERE id = 1",
			"iiii", (int64_t)generation, (int64_t)live.next_mailbox,
			(int64_t)live.next_thread, (int64_t)live.next_email);
	if (ret == 0)
		ret = db_run(r->db, e, "DELETE FROM delivery", "");
	return ret;
}

int restore_swap(struct restore *r, struct err *e)
{
	char *accounts = path_fmt("%s/accounts", r->store->dir);
	int ret = renew(r, e);

	/* Closing brings the log into the file. */
	db_close(steal(r->db));
	if (ret == 0)
		ret = dir_sync(r->dir, e);
	if (ret == 0)
		ret = dir_delete(r->dir_new, e);
	if (ret == 0)
		ret = dir_delete(r->dir_old, e);
	if (ret == 0 && rename(r->dir, r->dir_new) < 0)
		ret = err_sys(e, "move %s", r->dir);
	if (ret == 0) {
		free(steal(r->dir));
		ret = dir_sync(accounts, e);
	}
	if (ret == 0)
		ret = account_replace(
			r->store, r->account, r->dir_new, r->dir_old, e);
	if (ret == -ENOTRECOVERABLE) {
		free(steal(r->dir_new));
		free(steal(r->dir_old));
	}
	free(accounts);
	return ret;
}

static void delete (const char *dir)
{
	struct err e = {0};

	if (dir && dir_delete(dir, &e) < 0)
		log_warn("restore: %s", e.text);
}

void restore_free(struct restore *r)
{
	if (!r)
		return;
	db_close(r->db);
	fd_closep(&r->fd);
	sha256_free(r->hash);
	delete (r->dir);
	delete (r->dir_new);
	delete (r->dir_old);
	buf_fini(&r->sums);
	free(r->dir);
	free(r->dir_new);
	free(r->dir_old);
	free(r);
}

/* ---- at the opening of the store ------------------------------------------ */

/* "12.new" of an account that has no files is that account. */
static int sweep_new(const struct store *s, struct str name, struct err *e)
{
	char *dir = path_fmt("%s/accounts/%.*s", s->dir, STR_ARG(name));
	char *live = path_fmt("%s/accounts/%.*s", s->dir,
		(int)(name.n - (sizeof(".new") - 1)), name.p);
	int ret = 0;

	if (access(live, F_OK) < 0 && rename(dir, live) < 0)
		ret = err_sys(e, "move %s", dir);
	free(dir);
	free(live);
	return ret;
}

static int sweep_rest(const struct store *s, struct str name, struct err *e)
{
	char *dir = path_fmt("%s/accounts/%.*s", s->dir, STR_ARG(name));
	int ret = dir_delete(dir, e);

	free(dir);
	return ret;
}

/* Of the names "<id>.<what>" those that are the half of a swap, or all. */
static int sweep(const struct store *s, bool new, struct err *e)
{
	char *path = path_fmt("%s/accounts", s->dir);
	DIR *d = opendir(path);
	struct dirent *f;
	int ret = d ? 0 : err_sys(e, "open %s", path);

	free(path);
	while (d && ret == 0 && (f = readdir(d))) {
		struct str name = str_of(f->d_name), rest = name, id;
		uint64_t n;

		if (!str_cut(&rest, '.', &id) || !rest.n || !str_u64(id, &n))
			continue;
		if (!new)
			ret = sweep_rest(s, name, e);
		else if (str_eq(rest, STR("new")))
			ret = sweep_new(s, name, e);
	}
	if (d)
		closedir(d);
	return ret;
}

int backup_sweep(struct store *s, struct err *e)
{
	char *path = path_fmt("%s/accounts", s->dir);
	int ret = sweep(s, true, e);

	/* What has taken the place stays there: the other one may go. */
	if (ret == 0)
		ret = dir_sync(path, e);
	free(path);
	return ret < 0 ? ret : sweep(s, false, e);
}
