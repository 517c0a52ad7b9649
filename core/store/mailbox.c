/*
 * Mailboxes and the rules of their tree (RFC 8621 2): sibling names differ, a role
 * is given once, no loops, at most MAILBOX_DEPTH levels.
 *
 * Changes that are right only together (two mailboxes swap their names) break a rule
 * in between: between mailbox_defer() and mailbox_judge() those rules sleep, all but
 * that parents are there and that there is no loop.
 */
#include <errno.h>

#include "core/base/utf8.h"
#include "core/store/internal.h"
#include "core/store/query.h"

#define COLUMNS                                                            \
	"id, parent, sort_order, subscribed, total_emails, unread_emails," \
	" total_threads, unread_threads, name, role"

static void read_row(struct db_stmt *s, struct arena *a, struct mailbox *m)
{
	*m = (struct mailbox){
		.id = (uint64_t)db_i64(s, 0),
		.parent = (uint64_t)db_i64(s, 1),
		.sort_order = (uint32_t)db_i64(s, 2),
		.subscribed = db_i64(s, 3) != 0,
		.total_emails = (uint64_t)db_i64(s, 4),
		.unread_emails = (uint64_t)db_i64(s, 5),
		.total_threads = (uint64_t)db_i64(s, 6),
		.unread_threads = (uint64_t)db_i64(s, 7),
		.name = arena_str(a, db_bytes(s, 8)),
		.role = arena_str(a, db_bytes(s, 9)),
	};
}

int mailbox_list(struct tx *t, struct arena *a, const struct mailbox **m_r,
	size_t *n_r, struct err *e)
{
	struct mailbox *all = NULL, *grown;
	size_t n = 0, cap = 0;
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		"SELECT " COLUMNS " FROM mailbox"
		" ORDER BY sort_order, name, id",
		&s, e);

	if (ret < 0)
		return ret;
	while ((ret = db_step(s, e)) > 0) {
		if (n == cap) {
			cap = max_of(cap * 2, (size_t)16);
			grown = arena_new(a, cap * sizeof(*all));
			if (n)
				memcpy(grown, all, n * sizeof(*all));
			all = grown;
		}
		read_row(s, a, &all[n++]);
	}
	db_done(s);
	*m_r = all;
	*n_r = n;
	return ret;
}

int mailbox_find(struct tx *t, uint64_t id, struct arena *a,
	struct mailbox *m_r, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(
		t->db, "SELECT " COLUMNS " FROM mailbox WHERE id = ?", &s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)id);
	ret = db_step(s, e);
	if (ret > 0)
		read_row(s, a, m_r);
	db_done(s);
	return ret;
}

static int with_role(
	struct tx *t, struct str role, uint64_t *id_r, struct err *e)
{
	int64_t id = 0;
	int ret;

	*id_r = 0;
	if (role.n == 0)
		return 0;
	/* While the rules sleep two may have it. */
	ret = db_number(t->db, &id, e,
		"SELECT id FROM mailbox WHERE role = ? ORDER BY id LIMIT 1",
		"t", role);
	*id_r = ret > 0 ? (uint64_t)id : 0;
	return min_of(ret, 0);
}

uint64_t mailbox_with_role(struct tx *t, struct str role)
{
	uint64_t id;

	return with_role(t, role, &id, NULL) < 0 ? 0 : id;
}

int mailbox_trash(struct tx *t, uint64_t *id_r, struct err *e)
{
	int ret;

	if (!t->trash_known) {
		ret = with_role(t, STR("trash"), &t->trash, e);
		if (ret < 0)
			return ret;
		t->trash_known = true;
	}
	*id_r = t->trash;
	return 0;
}

int mailboxes_exist(struct tx *t, const uint64_t *ids, size_t n, struct err *e)
{
	int64_t id;
	int ret = 1;

	for (size_t i = 0; i < n && ret > 0; i++)
		ret = db_number(t->db, &id, e,
			"SELECT id FROM mailbox WHERE id = ?", "i",
			(int64_t)ids[i]);
	return ret;
}

/* ---- the rules ------------------------------------------------------------ */

/* RFC 5198 2: no control characters, no line or paragraph separator, no mark of
 * the byte order. */
static bool character_ok(uint32_t cp)
{
	return cp >= 0x20 && !(cp >= 0x7f && cp < 0xa0) && cp != 0x2028 &&
	       cp != 0x2029 && cp != 0xfeff;
}

static bool name_ok(struct str name)
{
	uint32_t cp;

	if (name.n == 0 || name.n > MAILBOX_NAME || !utf8_valid(name))
		return false;
	while (name.n) {
		name = str_skip(name, utf8_decode(name, &cp));
		if (!character_ok(cp))
			return false;
	}
	return true;
}

static int parent_of(
	struct tx *t, uint64_t id, uint64_t *parent_r, struct err *e)
{
	int64_t parent = 0;
	int ret = db_number(t->db, &parent, e,
		"SELECT parent FROM mailbox WHERE id = ?", "i", (int64_t)id);

	*parent_r = (uint64_t)parent;
	return ret;
}

/* Levels below id, itself included. */
static int height(struct tx *t, uint64_t id, int64_t *levels_r, struct err *e)
{
	*levels_r = 1;
	if (id == 0)
		return 0;
	return min_of(0, db_number(t->db, levels_r, e,
				 "WITH RECURSIVE down (id, level) AS ("
				 "SELECT ?, 1 UNION SELECT m.id,"
				 " d.level + 1 FROM mailbox m JOIN down d"
				 " ON m.parent = d.id WHERE d.level < 64)"
				 " SELECT max(level) FROM down",
				 "i", (int64_t)id));
}

static int check_parent(
	struct tx *t, uint64_t id, uint64_t parent, struct err *e)
{
	int64_t levels;
	int ret = parent ? height(t, id, &levels, e) : 0;

	if (ret < 0 || parent == 0)
		return ret;
	for (; parent; levels++) {
		if (parent == id ||
			(levels >= MAILBOX_DEPTH && !t->mailbox_defer))
			return MAILBOX_BAD_PARENT;
		ret = parent_of(t, parent, &parent, e);
		if (ret < 0)
			return ret;
		if (ret == 0)
			return MAILBOX_BAD_PARENT;
	}
	return MAILBOX_OK;
}

int mailbox_namesake(
	struct tx *t, const struct mailbox *m, uint64_t *id_r, struct err *e)
{
	int64_t id = 0;
	int ret = db_number(t->db, &id, e,
		"SELECT id FROM mailbox WHERE parent = ? AND name = ?"
		" AND id <> ? LIMIT 1",
		"iti", (int64_t)m->parent, m->name, (int64_t)m->id);

	*id_r = (uint64_t)id;
	return ret;
}

static int check_role(struct tx *t, const struct mailbox *m, struct err *e)
{
	int64_t other;
	int ret = m->role.n ? db_number(t->db, &other, e,
				      "SELECT id FROM mailbox WHERE role = ?"
				      " AND id <> ? LIMIT 1",
				      "ti", m->role, (int64_t)m->id)
			    : 0;

	return ret > 0 ? MAILBOX_ROLE_TAKEN : ret;
}

/* m->id 0: it is new. */
static int judge(struct tx *t, const struct mailbox *m, struct err *e)
{
	uint64_t other;
	int ret = check_parent(t, m->id, m->parent, e);

	if (ret == MAILBOX_OK && !name_ok(m->name))
		ret = MAILBOX_BAD_NAME;
	if (ret != MAILBOX_OK || t->mailbox_defer)
		return ret;
	ret = mailbox_namesake(t, m, &other, e);
	if (ret != 0)
		return ret < 0 ? ret : MAILBOX_NAME_TAKEN;
	return check_role(t, m, e);
}

void mailbox_defer(struct tx *t, bool defer)
{
	t->mailbox_defer = defer;
}

int mailbox_judge(struct tx *t, uint64_t id, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct mailbox m;
	int ret = mailbox_find(t, id, &tmp, &m, e);

	check(!t->mailbox_defer);
	return ret > 0 ? judge(t, &m, e) : ret;
}

/* ---- changes -------------------------------------------------------------- */

int mailbox_create(
	struct tx *t, const struct mailbox *m, uint64_t *id_r, struct err *e)
{
	struct mailbox new = *m;
	uint64_t id;
	int ret;

	new.id = 0;
	ret = judge(t, &new, e);
	if (ret != MAILBOX_OK)
		return ret;
	id = t->meta.next_mailbox++;
	ret = db_run(t->db, e,
		"INSERT INTO mailbox (" COLUMNS ")"
		" VALUES (?, ?, ?, ?, 0, 0, 0, 0, ?, ?)",
		"iiiitt", (int64_t)id, (int64_t)m->parent,
		(int64_t)m->sort_order, (int64_t)m->subscribed, m->name,
		m->role);
	if (ret < 0)
		return ret;
	t->trash_known = false;
	log_change(t, TYPE_MAILBOX, id, CHANGE_CREATED, false);
	*id_r = id;
	return MAILBOX_OK;
}

static bool same(const struct mailbox *a, const struct mailbox *b)
{
	return a->parent == b->parent && a->sort_order == b->sort_order &&
	       a->subscribed == b->subscribed && str_eq(a->name, b->name) &&
	       str_eq(a->role, b->role);
}

static int store_row(struct tx *t, const struct mailbox *m, struct err *e)
{
	log_change(t, TYPE_MAILBOX, m->id, CHANGE_UPDATED, false);
	return db_run(t->db, e,
		"UPDATE mailbox SET parent = ?, sort_order = ?,"
		" subscribed = ?, name = ?, role = ? WHERE id = ?",
		"iiitti", (int64_t)m->parent, (int64_t)m->sort_order,
		(int64_t)m->subscribed, m->name, m->role, (int64_t)m->id);
}

/* Whoever is the trash by now: the counts follow. */
static int follow_trash(struct tx *t, uint64_t was, struct err *e)
{
	uint64_t is;
	int ret;

	t->trash_known = false;
	ret = mailbox_trash(t, &is, e);
	return ret < 0 || is == was ? ret : thread_retrash(t, was, is, e);
}

int mailbox_update(struct tx *t, const struct mailbox *m, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct mailbox old;
	uint64_t trash;
	int ret = mailbox_find(t, m->id, &tmp, &old, e);

	if (ret <= 0)
		return ret < 0 ? ret : MAILBOX_NOT_FOUND;
	if (same(&old, m))
		return MAILBOX_OK;
	ret = judge(t, m, e);
	if (ret != MAILBOX_OK)
		return ret;
	ret = mailbox_trash(t, &trash, e);
	if (ret == 0)
		ret = store_row(t, m, e);
	return ret ? ret : follow_trash(t, trash, e);
}

/* The emails of a mailbox, oldest first. */
static int emails_in(struct tx *t, uint64_t id, struct arena *a,
	struct email_ids *r, struct err *e)
{
	struct email_query q = {
		.mailbox = id,
		.ascending = true,
		.limit = INT64_MAX,
	};

	return email_query(t, &q, a, r, e);
}

static int take_out(struct tx *t, uint64_t mailbox, uint64_t id, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	uint64_t *rest;
	struct email m;
	size_t n = 0;
	int ret = email_find(t, id, EMAIL_WANT_MAILBOXES, &tmp, &m, e);

	if (ret < 0)
		return ret;
	if (ret == 0 || m.mailboxes_n <= 1)
		return email_destroy(t, id, e);
	rest = arena_new(&tmp, m.mailboxes_n * sizeof(*rest));
	for (size_t i = 0; i < m.mailboxes_n; i++)
		if (m.mailboxes[i] != mailbox)
			rest[n++] = m.mailboxes[i];
	return email_update(t, id, NULL, 0, rest, n, e);
}

static int empty_out(struct tx *t, uint64_t id, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct email_ids in;
	int ret = emails_in(t, id, &tmp, &in, e);

	for (size_t i = 0; i < in.n && ret == 0; i++)
		ret = take_out(t, id, in.at[i], e);
	/* What the list index has and email has not is damage. */
	if (ret > 0)
		return err_set(e, -EUCLEAN, "a mailbox lists a lost email");
	return ret;
}

int mailbox_destroy(
	struct tx *t, uint64_t id, bool remove_emails, struct err *e)
{
	struct arena tmp cleanup(arena_fini) = {0};
	struct mailbox m;
	uint64_t trash;
	int64_t child;
	int ret = mailbox_find(t, id, &tmp, &m, e);

	if (ret <= 0)
		return ret < 0 ? ret : MAILBOX_NOT_FOUND;
	ret = db_number(t->db, &child, e,
		"SELECT id FROM mailbox WHERE parent = ? LIMIT 1", "i",
		(int64_t)id);
	if (ret != 0)
		return ret < 0 ? ret : MAILBOX_HAS_CHILD;
	if (m.total_emails && !remove_emails)
		return MAILBOX_HAS_EMAIL;
	ret = mailbox_trash(t, &trash, e);
	if (ret == 0)
		ret = empty_out(t, id, e);
	if (ret == 0)
		ret = db_run(t->db, e, "DELETE FROM mailbox WHERE id = ?", "i",
			(int64_t)id);
	if (ret < 0)
		return ret;
	log_change(t, TYPE_MAILBOX, id, CHANGE_DESTROYED, false);
	return follow_trash(t, trash, e);
}
