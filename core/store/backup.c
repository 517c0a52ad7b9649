#include "core/store/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/store/internal.h"

/* ---- walking -------------------------------------------------------------- */

int email_after(struct tx *t, uint64_t id, size_t max, struct arena *a,
	const uint64_t **ids_r, size_t *n_r, struct err *e)
{
	uint64_t *ids = arena_new(a, max * sizeof(*ids) + 1);
	struct db_stmt *s;
	size_t n = 0;
	int ret = db_stmt(t->db,
		"SELECT id FROM email WHERE id > ? ORDER BY id LIMIT ?", &s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)id);
	db_bind_i64(s, 2, (int64_t)max);
	while (n < max && (ret = db_step(s, e)) > 0)
		ids[n++] = (uint64_t)db_i64(s, 0);
	db_done(s);
	*ids_r = ids;
	*n_r = n;
	return min_of(ret, 0);
}

uint64_t email_count(const struct tx *t)
{
	return t->meta.emails;
}

int blob_email_in(struct tx *t, const struct blob_id *b, uint64_t mailbox,
	uint64_t *id_r, struct err *e)
{
	int64_t id = 0;
	int ret = db_number(t->db, &id, e,
		"SELECT b.email FROM blob b" /* in this order: few have it */
		" CROSS JOIN email m ON m.id = b.email"
		" CROSS JOIN mailbox_email x ON x.mailbox = ?"
		" AND x.received = m.received AND x.email = m.id"
		" WHERE b.hash = ? AND m.sha = ? LIMIT 1",
		"iib", (int64_t)mailbox, (int64_t)digest_key(b->sha),
		str_n(b->sha, SHA256_LEN));

	*id_r = (uint64_t)id;
	return ret;
}

/* ---- copying -------------------------------------------------------------- */

struct backup {
	char *dir;
	struct tx *snapshot; /* NULL: it is copied, or failed */
	DIR *blobs;
	bool gave_db;
};

static bool is_digest(struct str name)
{
	struct buf sha cleanup(buf_fini) = {0};

	return name.n == 2 * SHA256_LEN && hex_decode(name, &sha);
}

static int make_temp(const struct store *s, uint64_t id, const char *what,
	char **dir_r, struct err *e)
{
	char *dir =
		path_fmt("%s/accounts/%" PRIu64 ".%s-XXXXXX", s->dir, id, what);
	char *blobs = NULL;
	int ret = mkdtemp(dir) ? 0 : err_sys(e, "make %s", dir);

	if (ret < 0) {
		free(dir);
		return ret;
	}
	*dir_r = dir;
	blobs = path_fmt("%s/blobs", dir);
	ret = dir_make(blobs, e);
	free(blobs);
	return ret;
}

/* The copy of a file that stands in both places already is there (blob.c). */
static int link_one(int from, int to, const char *name, struct err *e)
{
	if (!is_digest(str_of(name)))
		return 0;
	if (linkat(from, name, to, name, 0) < 0 && errno != EEXIST)
		return err_sys(e, "link %s", name);
	return 0;
}

static int link_all(const char *from, const char *to, struct err *e)
{
	int fd cleanup(fd_close) = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : opendir(from);
	struct dirent *f;
	int ret = d ? 0 : err_sys(e, "open %s", from);

	while (d && ret == 0 && (f = readdir(d)))
		ret = link_one(dirfd(d), fd, f->d_name, e);
	if (d)
		closedir(d);
	return ret;
}

static int link_blobs(struct backup *b, const struct account *a, struct err *e)
{
	char *from = path_fmt("%s/blobs", a->dir);
	char *new = path_fmt("%s/blobs/new", a->dir);
	char *to = path_fmt("%s/blobs", b->dir);
	int ret = link_all(from, to, e);

	if (ret == 0)
		ret = link_all(new, to, e);
	if (ret == 0 && !(b->blobs = opendir(to)))
		ret = err_sys(e, "open %s", to);
	free(from);
	free(new);
	free(to);
	return ret;
}

int backup_begin(struct account *a, struct backup **b_r, struct err *e)
{
	struct backup *b cleanup(backup_free) = mem_new(sizeof(*b));
	int ret = make_temp(a->store, a->id, "out", &b->dir, e);

	if (ret == 0)
		ret = link_blobs(b, a, e);
	if (ret == 0)
		ret = tx_begin(a, TX_READ, &b->snapshot, e);
	if (ret == 0)
		*b_r = steal(b);
	return ret;
}

int backup_copy(struct backup *b, struct err *e)
{
	char *path = path_fmt("%s/" BACKUP_DB, b->dir);
	int ret = db_backup(b->snapshot->db, path, e);

	tx_end(steal(b->snapshot));
	free(path);
	return ret;
}

static int open_file(const struct backup *b, const char *name, int *fd_r,
	uint64_t *size_r, struct err *e)
{
	char *path = path_fmt("%s/%s", b->dir, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st = {0};
	int ret = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		ret = err_sys(e, "open %s", path);
	free(path);
	if (ret < 0) {
		fd_closep(&fd);
		return ret;
	}
	*fd_r = fd;
	*size_r = (uint64_t)st.st_size;
	return 1;
}

int backup_next(struct backup *b, char name_r[BACKUP_NAME_MAX], int *fd_r,
	uint64_t *size_r, struct err *e)
{
	struct dirent *f;

	check(!b->snapshot);
	if (!b->gave_db) {
		b->gave_db = true;
		snprintf(name_r, BACKUP_NAME_MAX, "%s", BACKUP_DB);
		return open_file(b, name_r, fd_r, size_r, e);
	}
	do {
		errno = 0;
		f = readdir(b->blobs);
		if (!f)
			return errno ? err_sys(e, "read %s", b->dir) : 0;
	} while (!is_digest(str_of(f->d_name)));
	snprintf(name_r, BACKUP_NAME_MAX, BACKUP_BLOBS "%.*s", 2 * SHA256_LEN,
		f->d_name);
	return open_file(b, name_r, fd_r, size_r, e);
}

void backup_free(struct backup *b)
{
	struct err e = {0};

	if (!b)
		return;
	tx_end(b->snapshot);
	if (b->blobs)
		closedir(b->blobs);
	if (b->dir && dir_delete(b->dir, &e) < 0)
		log_warn("backup: %s", e.text);
	free(b->dir);
	free(b);
}
