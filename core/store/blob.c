/*
 * Messages by their SHA-256: rows of body up to 64 KB, else files.
 *
 * A large one is written to blobs/new/<sha> and synced, file and directory, before
 * its transaction commits; then it is moved to blobs/<sha>. When a death comes in
 * between, the next open moves what the database knows and deletes the rest: it
 * looks into the small blobs/new/ only. A file whose last email was destroyed is
 * deleted after the commit; until that has happened its name stands in blob_gone.
 *
 * An older snapshot may find a destroyed email's file gone: then it reads "not
 * there", as a newer one would.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/store/internal.h"

#define BLOB_MAX ((uint64_t)1 << 30) /* bytes that one read may take */

struct blob_path {
	char *kept, *new;
};

uint64_t digest_key(const uint8_t sha[SHA256_LEN])
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | sha[i];
	return v;
}

static struct blob_path path_of(
	const struct account *a, const uint8_t sha[SHA256_LEN])
{
	struct buf hex cleanup(buf_fini) = {0};

	hex_add(&hex, str_n(sha, SHA256_LEN));
	return (struct blob_path){
		.kept = path_fmt("%s/blobs/%s", a->dir, buf_z(&hex)),
		.new = path_fmt("%s/blobs/new/%s", a->dir, buf_z(&hex)),
	};
}

static void path_fini(struct blob_path *p)
{
	free(p->kept);
	free(p->new);
}

/* ---- writing -------------------------------------------------------------- */

static int write_all(int fd, struct str raw, const char *path, struct err *e)
{
	while (raw.n) {
		ssize_t n = write(fd, raw.p, raw.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "write %s", path);
		raw = str_skip(raw, (size_t)n);
	}
	return fsync(fd) < 0 ? err_sys(e, "sync %s", path) : 0;
}

static int write_file(const char *path, struct str raw, struct err *e)
{
	int fd cleanup(fd_close) =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	return write_all(fd, raw, path, e);
}

static bool is_kept(const struct blob_path *p, struct str raw)
{
	struct stat st;

	return stat(p->kept, &st) == 0 && (uint64_t)st.st_size == raw.n;
}

static bool holds(struct digests *d, const uint8_t sha[SHA256_LEN])
{
	for (size_t i = 0; i < d->n; i++)
		if (memcmp(d->at[i].b, sha, SHA256_LEN) == 0)
			return true;
	return false;
}

int blob_write(struct tx *t, const uint8_t sha[SHA256_LEN], struct str raw,
	struct err *e)
{
	struct account *a = t->account;
	struct blob_path p = path_of(a, sha);
	char *dir = path_fmt("%s/blobs/new", a->dir);
	int ret = 0;

	if (!is_kept(&p, raw) && !holds(&t->files_new, sha)) {
		digests_add(&t->files_new, sha);
		ret = write_file(p.new, raw, e);
		if (ret == 0)
			ret = dir_sync(dir, e);
		if (ret == -EDQUOT || ret == -EFBIG)
			ret = err_set(e, -ENOSPC, "no room for a message");
	}
	free(dir);
	path_fini(&p);
	return ret;
}

void blob_undo(struct tx *t, size_t keep)
{
	while (t->files_new.n > keep) {
		struct blob_path p = path_of(
			t->account, t->files_new.at[--t->files_new.n].b);

		unlink(p.new);
		path_fini(&p);
	}
}

/* ---- whether an email has it ---------------------------------------------- */

/* The email that has it; 1, 0, < 0. */
static int owner(struct tx *t, const uint8_t sha[SHA256_LEN], int64_t *id_r,
	struct err *e)
{
	return db_number(t->db, id_r, e,
		"SELECT b.email FROM blob b JOIN email m ON m.id ="
		" b.email WHERE b.hash = ? AND m.sha = ? LIMIT 1",
		"ib", (int64_t)digest_key(sha), str_n(sha, SHA256_LEN));
}

int blob_unref(struct tx *t, const uint8_t sha[SHA256_LEN], struct err *e)
{
	int64_t id;
	int ret = owner(t, sha, &id, e);

	if (ret != 0)
		return min_of(ret, 0);
	digests_add(&t->files_gone, sha);
	return db_run(t->db, e,
		"INSERT INTO blob_gone (sha) VALUES (?)"
		" ON CONFLICT (sha) DO NOTHING",
		"b", str_n(sha, SHA256_LEN));
}

/* ---- after the commit ----------------------------------------------------- */

static void keep_file(struct account *a, const uint8_t sha[SHA256_LEN])
{
	struct blob_path p = path_of(a, sha);

	/* It is safe where it is; the next open tries again. */
	if (rename(p.new, p.kept) < 0 && errno != ENOENT)
		log_warn("account=%" PRIu64 " rename %s: errno=%d", a->id,
			p.new, errno);
	path_fini(&p);
}

static void delete_file(struct account *a, const uint8_t sha[SHA256_LEN])
{
	struct blob_path p = path_of(a, sha);

	unlink(p.kept);
	unlink(p.new);
	path_fini(&p);
}

void blob_committed(struct tx *t)
{
	int64_t id;

	for (size_t i = 0; i < t->files_new.n; i++)
		keep_file(t->account, t->files_new.at[i].b);
	t->files_new.n = 0;
	/* It may have come back in the same transaction. */
	for (size_t i = 0; i < t->files_gone.n; i++)
		if (owner(t, t->files_gone.at[i].b, &id, NULL) == 0)
			delete_file(t->account, t->files_gone.at[i].b);
	t->account->blobs_gone |= t->files_gone.n > 0;
	t->files_gone.n = 0;
}

/* ---- at the opening of an account ----------------------------------------- */

static int recover_one(struct tx *t, const char *name, struct err *e)
{
	struct buf sha cleanup(buf_fini) = {0};
	const uint8_t *b;
	char *path;
	int64_t id;
	int ret = 0;

	if (hex_decode(str_of(name), &sha) && sha.n == SHA256_LEN) {
		b = (const uint8_t *)sha.p;
		ret = owner(t, b, &id, e);
		if (ret > 0)
			keep_file(t->account, b);
	}
	if (ret == 0) {
		path = path_fmt("%s/blobs/new/%s", t->account->dir, name);
		unlink(path);
		free(path);
	}
	return min_of(ret, 0);
}

static int recover_new(struct tx *t, struct err *e)
{
	char *path = path_fmt("%s/blobs/new", t->account->dir);
	DIR *d = opendir(path);
	struct dirent *f;
	int ret = 0;

	if (!d)
		ret = err_sys(e, "open %s", path);
	free(path);
	while (d && ret == 0 && (f = readdir(d)))
		if (f->d_name[0] != '.')
			ret = recover_one(t, f->d_name, e);
	if (d)
		closedir(d);
	return ret;
}

static int recover_gone(struct tx *t, struct err *e)
{
	struct digests d = {0};
	struct db_stmt *s;
	int64_t id;
	int ret = db_stmt(t->db, "SELECT sha FROM blob_gone", &s, e);

	if (ret < 0)
		return ret;
	while ((ret = db_step(s, e)) > 0)
		if (db_bytes(s, 0).n == SHA256_LEN)
			digests_add(&d, (const uint8_t *)db_bytes(s, 0).p);
	db_done(s);
	for (size_t i = 0; i < d.n && ret == 0; i++) {
		ret = owner(t, d.at[i].b, &id, e);
		if (ret == 0)
			delete_file(t->account, d.at[i].b);
		ret = min_of(ret, 0);
	}
	if (ret == 0 && d.n)
		ret = db_run(t->db, e, "DELETE FROM blob_gone", "");
	digests_fini(&d);
	return ret;
}

int blob_recover(struct tx *t, struct err *e)
{
	int ret = recover_new(t, e);

	return ret < 0 ? ret : recover_gone(t, e);
}

/* ---- reading -------------------------------------------------------------- */

static int read_all(int fd, struct buf *out, struct err *e)
{
	struct stat st;
	uint64_t left;

	if (fstat(fd, &st) < 0)
		return err_sys(e, "a message's file");
	left = (uint64_t)st.st_size;
	if (left > BLOB_MAX)
		return err_set(e, -EUCLEAN, "a message's file is too large");
	while (left) {
		ssize_t n = read(fd, buf_room(out, left), left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "a message's file");
		if (n == 0)
			return err_set(e, -EIO, "a message's file ends early");
		out->n += (size_t)n;
		left -= (uint64_t)n;
	}
	return 1;
}

static int read_file(struct tx *t, const uint8_t sha[SHA256_LEN],
	struct buf *out, struct err *e)
{
	struct blob_path p = path_of(t->account, sha);
	int fd cleanup(fd_close) = open(p.kept, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		fd = open(p.new, O_RDONLY | O_CLOEXEC);
	/* Moved between the two looks. */
	if (fd < 0 && errno == ENOENT)
		fd = open(p.kept, O_RDONLY | O_CLOEXEC);
	path_fini(&p);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "a message's file");
	return read_all(fd, out, e);
}

int blob_read(
	struct tx *t, const struct blob_id *b, struct buf *out, struct err *e)
{
	struct db_stmt *s;
	bool row = false;
	int64_t id;
	int ret = owner(t, b->sha, &id, e);

	if (ret <= 0)
		return ret;
	ret = db_stmt(t->db, "SELECT raw FROM body WHERE id = ?", &s, e);
	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, id);
	ret = db_step(s, e);
	if (ret > 0) {
		row = !db_is_null(s, 0);
		if (row)
			buf_adds(out, db_bytes(s, 0));
	}
	db_done(s);
	return ret <= 0 || row ? ret : read_file(t, b->sha, out, e);
}

int blob_email(
	struct tx *t, const struct blob_id *b, uint64_t *id_r, struct err *e)
{
	int64_t id = 0;
	int ret = owner(t, b->sha, &id, e);

	*id_r = (uint64_t)id;
	return ret;
}
