/*
 * account backup, account restore: the server's files in a tar archive, with
 * SHA256SUMS behind them (core/store/backup.h), so that it can be looked at, and
 * checked, without us.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/jmapctl/jmapctl.h"
#include "cmd/jmapctl/stream.h"
#include "cmd/jmapctl/tar.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/store/backup.h"

/* ---- backup --------------------------------------------------------------- */

struct archive {
	struct stream stream;
	struct tar_out tar;
	struct sha256 *hash; /* of the file that comes */
	char name[TAR_NAME_MAX + 1];
	struct buf sums;
	uint64_t files;
};

static void end_file(struct archive *a)
{
	uint8_t sha[SHA256_LEN];
	sha256_end(steal(a->hash), sha);
	hex_add(&a->sums, str_n(sha, sizeof(sha)));
	buf_fmt(&a->sums, "  %s\n", a->name);
	a->files++;
}

static int on_file(struct archive *a, struct str rest, struct err *e)
{
	struct transfer_file f;
	int ret = stream_head(&rest, &f, sizeof(f), e);
	if (ret == 0 && (a->tar.left || !rest.n || rest.n > TAR_NAME_MAX))
		ret = err_set(e, -EPROTO, "jmapd sent a file that is cut");
	if (ret < 0)
		return ret;
	snprintf(a->name, sizeof(a->name), "%.*s", STR_ARG(rest));
	a->hash = sha256_begin();
	ret = tar_file(&a->tar, str_of(a->name), f.size, e);
	if (f.size == 0)
		end_file(a);
	return ret;
}

static int on_bytes(struct archive *a, struct str rest, struct err *e)
{
	if (!a->hash)
		return err_set(e, -EPROTO, "jmapd sent bytes of no file");
	sha256_add(a->hash, rest.p, rest.n);
	int ret = tar_bytes(&a->tar, rest, e);
	if (ret == 0 && !a->tar.left)
		end_file(a);
	return ret;
}

static int take_all(struct archive *a, struct err *e)
{
	struct str rest;
	char letter;
	for (;;) {
		int ret = stream_recv(&a->stream, &letter, &rest, e);
		if (ret == 0 && letter == ADMIN_OK)
			return 0;
		if (ret == 0 && letter == FRAME_FILE)
			ret = on_file(a, rest, e);
		else if (ret == 0 && letter == FRAME_BODY)
			ret = on_bytes(a, rest, e);
		else if (ret == 0)
			ret = err_set(e, -EPROTO, "jmapd is another version");
		if (ret < 0)
			return ret;
	}
}

static int end_archive(struct archive *a, struct err *e)
{
	int ret = tar_file(&a->tar, STR(BACKUP_SUMS), a->sums.n, e);
	if (ret == 0)
		ret = tar_bytes(&a->tar, buf_str(&a->sums), e);
	if (ret == 0)
		ret = tar_end(&a->tar, e);
	if (ret == 0 && fsync(a->tar.fd) < 0)
		ret = err_sys(e, "%s", a->tar.path);
	return ret;
}

/* The name of a file is on disk, too, when its folder is. */
static int sync_folder(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	struct buf dir cleanup(buf_fini) = {0};
	buf_addz(&dir, slash ? "" : ".");
	if (slash)
		buf_add(&dir, path, (size_t)(slash - path) + 1);
	int fd cleanup(fd_close) =
		open(buf_z(&dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return err_sys(e, "sync %s", buf_z(&dir));
	return 0;
}

static int write_archive(
	struct archive *a, const struct transfer_args *args, struct err *e)
{
	struct buf part cleanup(buf_fini) = {0};
	buf_fmt(&part, "%s.part", args->path);
	a->tar.path = buf_z(&part);
	a->tar.fd = open(
		a->tar.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (a->tar.fd < 0)
		return err_sys(e, "%s", a->tar.path);
	int ret = take_all(a, e);
	if (ret == 0)
		ret = end_archive(a, e);
	if (ret == 0 && rename(a->tar.path, args->path) < 0)
		ret = err_sys(e, "%s", args->path);
	if (ret == 0)
		ret = sync_folder(args->path, e);
	else
		unlink(a->tar.path);
	fd_closep(&a->tar.fd);
	return ret;
}

int backup_main(const struct transfer_args *args)
{
	struct archive a = {.stream = {.fd = -1}};
	struct err e = {0};
	a.tar.time_s = clock_real_ms() / 1000;
	int ret = stream_open(&a.stream, args->socket_path, args->words, &e);
	if (ret == 0)
		ret = write_archive(&a, args, &e);
	if (ret < 0)
		fprintf(stderr, "jmapctl: %s\n", e.text);
	stream_fini(&a.stream);
	sha256_free(a.hash);
	buf_fini(&a.sums);
	return ret < 0 ? EXIT_FAILED : EXIT_GOOD;
}

/* ---- restore -------------------------------------------------------------- */

static int send_file(struct stream *s, struct tar_in *t, const char *name,
	uint64_t size, struct err *e)
{
	char piece[TRANSFER_BODY];
	struct transfer_file f = {.size = size};
	size_t n;
	int ret = stream_send(s, FRAME_FILE, &f, sizeof(f), str_of(name), e);
	for (uint64_t left = size; left && ret == 0; left -= n) {
		ret = tar_read(t, piece, sizeof(piece), &n, e);
		if (ret == 0)
			ret = stream_send(
				s, FRAME_BODY, NULL, 0, str_n(piece, n), e);
	}
	return ret;
}

static int send_archive(struct stream *s, struct tar_in *t, struct err *e)
{
	char name[TAR_NAME_MAX + 1];
	uint64_t size;
	int ret;
	while ((ret = tar_next(t, name, &size, e)) > 0) {
		ret = send_file(s, t, name, size, e);
		if (ret < 0)
			return ret;
	}
	if (ret == 0)
		ret = stream_send(s, FRAME_END, NULL, 0, STR_NONE, e);
	return ret < 0 ? ret : stream_end(s, e);
}

static int restore(const struct transfer_args *args, struct stream *s,
	struct tar_in *t, struct err *e)
{
	struct str rest;
	char letter;
	int ret = stream_open(s, args->socket_path, args->words, e);
	if (ret == 0)
		ret = stream_send(s, FRAME_GO, NULL, 0,
			args->force ? STR("force") : STR_NONE, e);
	if (ret == 0)
		ret = stream_recv(s, &letter, &rest, e);
	if (ret == 0 && letter != FRAME_GO)
		ret = err_set(e, -EPROTO, "jmapd is another version");
	return ret < 0 ? ret : send_archive(s, t, e);
}

int restore_main(const struct transfer_args *args)
{
	struct stream s = {.fd = -1};
	struct tar_in t = {.path = args->path};
	struct err e = {0};
	int ret = 0;
	t.fd = open(args->path, O_RDONLY | O_CLOEXEC);
	if (t.fd < 0)
		ret = err_sys(&e, "%s", args->path);
	if (ret == 0)
		ret = restore(args, &s, &t, &e);
	if (ret < 0)
		fprintf(stderr, "jmapctl: %s\n", e.text);
	stream_fini(&s);
	fd_closep(&t.fd);
	return ret < 0 ? EXIT_FAILED : EXIT_GOOD;
}
