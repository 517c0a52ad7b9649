#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/jmapd/master/master.h"
#include "core/base/log.h"
#include "core/io/tls.h"

#define PEM_MAX (1u << 20) /* bytes of a certificate or key file */

/* ---- reading and checking ------------------------------------------------- */

static int read_file(const char *path, struct buf *out, struct err *e)
{
	int fd cleanup(fd_close) = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "%s", path);
	ssize_t n;
	while ((n = read(fd, buf_room(out, 4096), 4096)) > 0) {
		out->n += (size_t)n;
		if (out->n > PEM_MAX)
			return err_set(e, -EFBIG, "%s: over 1 MB", path);
	}
	return n < 0 ? err_sys(e, "%s", path) : 0;
}

static bool wants_tls(const struct conf *c)
{
	for (uint32_t i = 0; i < c->listen.n; i++)
		if (c->listen.at[i].tls)
			return true;
	return false;
}

static int check_tls(
	const struct conf *c, struct buf *cert, struct buf *key, struct err *e)
{
	struct tls_ctx *t;
	if (!wants_tls(c))
		return 0;
	int ret = read_file(c->tls_cert, cert, e);
	if (!ret)
		ret = read_file(c->tls_key, key, e);
	if (!ret)
		ret = tls_server_new(
			buf_str(cert), buf_str(key), STR_NONE, &t, e);
	if (!ret)
		tls_unref(t);
	return ret;
}

int config_check(const char *path, struct conf *c, struct buf *cert,
	struct buf *key, struct err *e)
{
	conf_defaults(c);
	int ret = conf_load(path, c, e);
	if (ret < 0)
		return ret;
	ret = check_tls(c, cert, key, e);
	return ret < 0 ? err_add(e, "tls-cert, tls-key") : 0;
}

/* ---- telling the roles ---------------------------------------------------- */

void config_tell(struct child *c)
{
	struct ctl_head h = {.type = CTL_CONF};
	struct err e = {0};
	int fd cleanup(fd_close) = conf_seal(&c->m->conf, &e);
	if (fd < 0)
		log_error("configuration: %s", e.text);
	else
		child_tell(c, &h, STR_NONE, &fd, 1);
}

/* Keys go to workers only. */
void config_tell_tls(struct child *c)
{
	struct master *m = c->m;
	struct ctl_head h = {
		.type = CTL_TLS,
		.a = m->cert.n,
		.b = m->key_pem.n,
	};
	if (c->kind != CHILD_WORKER || !m->cert.n)
		return;
	struct buf all cleanup(buf_fini) = {0};
	buf_adds(&all, buf_str(&m->cert));
	buf_adds(&all, buf_str(&m->key_pem));
	int fd cleanup(fd_close) = memfd_create("jmapd-tls", MFD_CLOEXEC);
	if (fd < 0 || write(fd, all.p, all.n) != (ssize_t)all.n)
		log_error("certificate: memfd errno=%d", errno);
	else
		child_tell(c, &h, STR_NONE, &fd, 1);
	secret_wipe(all.p, all.n);
}

/* ---- listeners ------------------------------------------------------------ */

static bool same_door(
	const struct conf_listener *a, const struct conf_listener *b)
{
	return !strcmp(a->text, b->text) && a->tls == b->tls &&
	       a->proto == b->proto;
}

static struct door *find_door(struct master *m, const struct conf_listener *l)
{
	struct door *d;
	cds_list_for_each_entry (d, &m->doors, node) {
		if (same_door(&d->conf, l))
			return d;
	}
	return NULL;
}

/*
 * An address whose words changed is closed before it is opened anew: the kernel
 * would else share it between the old and the new meaning.
 */
static struct door *find_address(
	struct master *m, const struct conf_listener *l)
{
	struct door *d;
	cds_list_for_each_entry (d, &m->doors, node) {
		if (!d->keep && !strcmp(d->conf.text, l->text))
			return d;
	}
	return NULL;
}

static void drop_doors(struct master *m, uint64_t after_id)
{
	struct door *d, *next;
	cds_list_for_each_entry_safe (d, next, &m->doors, node) {
		if (d->id > after_id)
			door_close(m, d);
	}
}

/* Opens what is new, closes what is gone. On an error the old ones stay. */
static int move_doors(
	struct master *m, const struct conf_listeners *want, struct err *e)
{
	struct door *d, *next;
	uint64_t before = m->door_ids;
	cds_list_for_each_entry (d, &m->doors, node)
		d->keep = false;
	for (uint32_t i = 0; i < want->n; i++)
		if ((d = find_door(m, &want->at[i])))
			d->keep = true;
	for (uint32_t i = 0; i < want->n; i++) {
		if (find_door(m, &want->at[i]))
			continue;
		struct door *old = find_address(m, &want->at[i]);
		if (old)
			door_close(m, old);
		int ret = door_open(m, &want->at[i], &d, e);
		if (ret < 0) {
			drop_doors(m, before);
			return ret;
		}
		d->keep = true;
	}
	cds_list_for_each_entry_safe (d, next, &m->doors, node) {
		if (!d->keep)
			door_close(m, d);
		else if (d->id > before)
			for (unsigned i = 0; i < m->workers; i++)
				door_tell(d, &m->worker[i]);
	}
	return 0;
}

/* ---- start and reload ----------------------------------------------------- */

static unsigned cpus(void)
{
	cpu_set_t set;
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)max_of(CPU_COUNT(&set), 1);
}

int config_start(struct master *m, struct err *e)
{
	int ret = config_check(m->path, &m->conf, &m->cert, &m->key_pem, e);
	if (ret < 0)
		return ret;
	log_set_level(m->conf.log_level);
	m->workers = (unsigned)m->conf.worker_pool_size;
	if (!m->workers)
		m->workers = cpus();
	m->workers = min_of(m->workers, (unsigned)MASTER_WORKERS);
	return move_doors(m, &m->conf.listen, e);
}

static void tell_all(struct child *c)
{
	config_tell(c);
	config_tell_tls(c);
	tickets_tell(c);
}

int config_reload(struct master *m, struct err *e)
{
	struct conf next;
	struct buf cert cleanup(buf_fini) = {0};
	struct buf key cleanup(buf_fini) = {0};
	int ret = config_check(m->path, &next, &cert, &key, e);
	if (!ret) {
		conf_keep_restart(&m->conf, &next);
		ret = move_doors(m, &next.listen, e);
	}
	if (ret < 0) {
		log_error("reload: %s; nothing changed", e->text);
		return ret;
	}
	m->conf = next;
	log_set_level(next.log_level);
	buf_fini(&m->cert);
	buf_fini(&m->key_pem);
	buf_move(&m->cert, &cert);
	buf_move(&m->key_pem, &key);
	tickets_set_lifetime(m);
	each_child(m, tell_all);
	log_info("reloaded %s", m->path);
	return 0;
}
