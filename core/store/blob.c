/*
 * Bytes by their SHA-256, of messages and of uploads: rows up to 64 KB, else files.
 *
 * A large one is written to blobs/new/<sha> and synced, file and directory, before
 * its transaction commits; then it is moved to blobs/<sha>. When a death comes in
 * between, or the disk fails, the next open moves what the database knows and deletes
 * the rest: it looks into the small blobs/new/ only. A file has its name there only
 * when it is whole: nobody writes over one that may be held. One whose last holder
 * (an email, or an upload) has gone is deleted after the commit; until that has
 * happened its name stands in blob_gone.
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
	char *kept, *new, *part; /* part: comes to be new */
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
		.part = path_fmt("%s/blobs/new/%s.part", a->dir, buf_z(&hex)),
	};
}

static void path_fini(struct blob_path *p)
{
	free(p->kept);
	free(p->new);
	free(p->part);
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

static int write_part(const char *path, struct str raw, struct err *e)
{
	int fd cleanup(fd_close) =
		open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_sys(e, "open %s", path);
	return write_all(fd, raw, path, e);
}

static int write_file(const struct blob_path *p, struct str raw, struct err *e)
{
	int ret = write_part(p->part, raw, e);

	if (ret == 0 && rename(p->part, p->new) < 0)
		ret = err_sys(e, "move %s", p->part);
	if (ret < 0)
		unlink(p->part);
	return ret;
}

static bool is_kept(const struct blob_path *p, uint64_t size)
{
	struct stat st;

	return stat(p->kept, &st) == 0 && (uint64_t)st.st_size == size;
}

static bool holds(struct digests *d, const uint8_t sha[SHA256_LEN])
{
	for (size_t i = 0; i < d->n; i++)
		if (memcmp(d->at[i].b, sha, SHA256_LEN) == 0)
			return true;
	return false;
}

/*
 * 1: its file is there. 0: it is to come. One that was committed and could not be
 * moved is the only one: it must not be taken for one of this transaction, which
 * may be undone.
 */
static int is_there(struct tx *t, const uint8_t sha[SHA256_LEN],
	const struct blob_path *p, uint64_t size, struct err *e)
{
	if (is_kept(p, size) || holds(&t->files_new, sha))
		return 1;
	if (!holds(&t->account->unkept, sha))
		return 0;
	if (rename(p->new, p->kept) == 0)
		return 1;
	return errno == ENOENT ? 0 : err_sys(e, "move %s", p->new);
}

int blob_write(struct tx *t, const uint8_t sha[SHA256_LEN], struct str raw,
	struct err *e)
{
	struct account *a = t->account;
	struct blob_path p = path_of(a, sha);
	char *dir = path_fmt("%s/blobs/new", a->dir);
	int ret = is_there(t, sha, &p, raw.n, e);

	if (ret == 0) {
		digests_add(&t->files_new, sha);
		ret = write_file(&p, raw, e);
		if (ret == 0)
			ret = dir_sync(dir, e);
		if (ret == -EDQUOT || ret == -EFBIG)
			ret = err_set(e, -ENOSPC, "no room for a message");
	}
	free(dir);
	path_fini(&p);
	return min_of(ret, 0);
}

int blob_take(struct tx *t, struct spool *s, struct err *e)
{
	struct account *a = t->account;
	const uint8_t *sha = spool_id(s)->sha;
	struct blob_path p = path_of(a, sha);
	char *dir = path_fmt("%s/blobs/new", a->dir);
	int ret = is_there(t, sha, &p, spool_size(s), e);

	if (ret == 0) {
		digests_add(&t->files_new, sha);
		ret = spool_move(s, p.new, e);
		if (ret == 0)
			ret = dir_sync(dir, e);
	}
	free(dir);
	path_fini(&p);
	return min_of(ret, 0);
}

void blob_undo(struct tx *t, size_t keep)
{
	while (t->files_new.n > keep) {
		struct blob_path p = path_of(
			t->account, t->files_new.at[--t->files_new.n].b);

		if (!t->account->doubt)
			unlink(p.new);
		path_fini(&p);
	}
}

/* ---- who has it ------------------------------------------------------------ */

/* An email, or an upload. */
struct holder {
	int64_t id;
	uint64_t size;
	bool upload;
};

/* One of them; 1, 0, < 0. */
static int holder_by(struct tx *t, const char *sql, const uint8_t *sha,
	struct holder *h, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db, sql, &s, e);

	if (ret < 0)
		return ret;
	db_bind_blob(s, 1, str_n(sha, SHA256_LEN));
	if (!h->upload)
		db_bind_i64(s, 2, (int64_t)digest_key(sha));
	ret = db_step(s, e);
	if (ret > 0) {
		h->id = db_i64(s, 0);
		h->size = (uint64_t)db_i64(s, 1);
	}
	db_done(s);
	return ret;
}

static int email_of(struct tx *t, const uint8_t sha[SHA256_LEN],
	struct holder *h, struct err *e)
{
	h->upload = false;
	return holder_by(t,
		"SELECT b.email, m.size FROM blob b JOIN email m"
		" ON m.id = b.email WHERE m.sha = ? AND b.hash = ? LIMIT 1",
		sha, h, e);
}

static int holder_of(struct tx *t, const uint8_t sha[SHA256_LEN],
	struct holder *h, struct err *e)
{
	int ret = email_of(t, sha, h, e);

	if (ret != 0)
		return ret;
	h->upload = true;
	return holder_by(t, "SELECT id, size FROM upload WHERE sha = ? LIMIT 1",
		sha, h, e);
}

static int is_held(struct tx *t, const uint8_t sha[SHA256_LEN], struct err *e)
{
	struct holder h;

	return holder_of(t, sha, &h, e);
}

int blob_unref(struct tx *t, const uint8_t sha[SHA256_LEN], struct err *e)
{
	int ret = is_held(t, sha, e);

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
	if (rename(p.new, p.kept) < 0 && errno != ENOENT) {
		log_warn("account=%" PRIu64 " rename %s: errno=%d", a->id,
			p.new, errno);
		digests_add(&a->unkept, sha);
	}
	path_fini(&p);
}

static bool is_gone(const char *path)
{
	return unlink(path) == 0 || errno == ENOENT;
}

/* False: something of it may still be there. */
static bool delete_file(struct account *a, const uint8_t sha[SHA256_LEN])
{
	struct blob_path p = path_of(a, sha);
	bool kept = is_gone(p.kept), new = is_gone(p.new);

	path_fini(&p);
	return kept && new;
}

void blob_committed(struct tx *t)
{
	struct account *a = t->account;

	for (size_t i = 0; i < t->files_new.n; i++)
		keep_file(a, t->files_new.at[i].b);
	t->files_new.n = 0;
	/* It may have come back in the same transaction. */
	for (size_t i = 0; i < t->files_gone.n; i++) {
		const uint8_t *sha = t->files_gone.at[i].b;
		int held = is_held(t, sha, NULL);

		if (held < 0 || (held == 0 && !delete_file(a, sha)))
			a->blobs_stuck = true;
	}
	a->blobs_gone |= t->files_gone.n > 0;
	a->blobs_gone &= !a->blobs_stuck;
	t->files_gone.n = 0;
}

/* ---- at the opening of an account ----------------------------------------- */

static int recover_one(struct tx *t, const char *name, struct err *e)
{
	struct buf sha cleanup(buf_fini) = {0};
	const uint8_t *b;
	char *path;
	int ret = 0;

	if (hex_decode(str_of(name), &sha) && sha.n == SHA256_LEN) {
		b = (const uint8_t *)sha.p;
		ret = is_held(t, b, e);
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
	int ret = db_stmt(t->db, "SELECT sha FROM blob_gone", &s, e);

	if (ret < 0)
		return ret;
	while ((ret = db_step(s, e)) > 0)
		if (db_bytes(s, 0).n == SHA256_LEN)
			digests_add(&d, (const uint8_t *)db_bytes(s, 0).p);
	db_done(s);
	for (size_t i = 0; i < d.n && ret == 0; i++) {
		ret = is_held(t, d.at[i].b, e);
		if (ret == 0 && !delete_file(t->account, d.at[i].b))
			t->account->blobs_stuck = true;
		ret = min_of(ret, 0);
	}
	if (ret == 0 && d.n && !t->account->blobs_stuck)
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

static int read_some(
	int fd, uint64_t at, uint64_t left, struct buf *out, struct err *e)
{
	while (left) {
		ssize_t n = pread(fd, buf_room(out, left), left, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "a message's file");
		if (n == 0)
			return err_set(e, -EIO, "a message's file ends early");
		out->n += (size_t)n;
		at += (uint64_t)n;
		left -= (uint64_t)n;
	}
	return 1;
}

static int read_file(struct tx *t, const uint8_t sha[SHA256_LEN], uint64_t at,
	uint64_t n, struct buf *out, struct err *e)
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
	return read_some(fd, at, n, out, e);
}

static int read_row(struct tx *t, const struct holder *h, uint64_t at,
	uint64_t n, struct buf *out, struct err *e)
{
	struct db_stmt *s;
	int ret = h->upload
			  ? db_stmt(t->db,
				    "SELECT raw FROM upload_body"
				    " WHERE id = ?",
				    &s, e)
			  : db_stmt(t->db, "SELECT raw FROM body WHERE id = ?",
				    &s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, h->id);
	ret = db_step(s, e);
	if (ret > 0 && db_bytes(s, 0).n != h->size)
		ret = err_set(e, -EUCLEAN, "a message's row is not whole");
	if (ret > 0 && n)
		buf_add(out, db_bytes(s, 0).p + at, n);
	db_done(s);
	return ret;
}

static int read_at(struct tx *t, const struct blob_id *b, uint64_t at,
	uint64_t n, struct buf *out, struct err *e)
{
	struct holder h;
	int ret = holder_of(t, b->sha, &h, e);

	if (ret <= 0)
		return ret;
	at = min_of(at, h.size);
	n = min_of(n, h.size - at);
	if (n > BLOB_MAX)
		return err_set(e, -EUCLEAN, "a message's file is too large");
	return h.size > BODY_ROW_MAX ? read_file(t, b->sha, at, n, out, e)
				     : read_row(t, &h, at, n, out, e);
}

int blob_read(
	struct tx *t, const struct blob_id *b, struct buf *out, struct err *e)
{
	return read_at(t, b, 0, UINT64_MAX, out, e);
}

int blob_piece(struct tx *t, const struct blob_id *b, uint64_t offset, size_t n,
	struct buf *out, struct err *e)
{
	return read_at(t, b, offset, n, out, e);
}

int blob_size(
	struct tx *t, const struct blob_id *b, uint64_t *size_r, struct err *e)
{
	struct holder h = {0};
	int ret = holder_of(t, b->sha, &h, e);

	*size_r = h.size;
	return ret;
}

int blob_email(
	struct tx *t, const struct blob_id *b, uint64_t *id_r, struct err *e)
{
	struct holder h = {0};
	int ret = email_of(t, b->sha, &h, e);

	*id_r = (uint64_t)h.id;
	return ret;
}
