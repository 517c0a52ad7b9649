/*
 * Mailbox (RFC 8621 2). The rules of the tree are core/store's; here they become
 * SetErrors. The Inbox is where deliveries go: it can be neither destroyed nor
 * robbed of its role.
 */
#include "proto/jmap/mailbox.h"

#include "core/mime/mime.h"
#include "proto/jmap/json.h"
#include "proto/jmap/types.h"
#include "proto/jmap/verbs.h"

enum {
#define MAILBOX_PROP(n, name, flags) P_##n,
#include "proto/jmap/mailbox_props.def"
#undef MAILBOX_PROP
};

static const struct prop props[] = {
#define MAILBOX_PROP(n, name, flags) {name, flags},
#include "proto/jmap/mailbox_props.def"
#undef MAILBOX_PROP
};

/* ---- /get ------------------------------------------------------------------ */

static void write_id(struct jw *w, uint64_t mailbox)
{
	struct idz id = id_of('m', mailbox);

	if (mailbox)
		jw_str(w, str_n(id.z, id.n));
	else
		jw_null(w);
}

static bool is_inbox(const struct mailbox *m)
{
	return str_eq(m->role, STR("inbox"));
}

/* One person's own account: all rights but what the server itself needs, and
 * submission, which is not here. */
static void write_rights(struct jw *w, const struct mailbox *m)
{
	static const char *const all[] = {"mayReadItems", "mayAddItems",
		"mayRemoveItems", "maySetSeen", "maySetKeywords",
		"mayCreateChild", "mayRename"};

	jw_obj(w);
	for (size_t i = 0; i < countof(all); i++)
		jw_kbool(w, all[i], true);
	jw_kbool(w, "mayDelete", !is_inbox(m));
	jw_kbool(w, "maySubmit", false);
	jw_obj_end(w);
}

static void write_prop(struct jw *w, const struct mailbox *m, unsigned p)
{
	jw_key(w, str_of(props[p].name));
	switch (p) {
	case P_ID:
		return write_id(w, m->id);
	case P_NAME:
		return jw_str(w, m->name);
	case P_PARENT_ID:
		return write_id(w, m->parent);
	case P_ROLE:
		return m->role.n ? jw_str(w, m->role) : jw_null(w);
	case P_SORT_ORDER:
		return jw_u64(w, m->sort_order);
	case P_TOTAL_EMAILS:
		return jw_u64(w, m->total_emails);
	case P_UNREAD_EMAILS:
		return jw_u64(w, m->unread_emails);
	case P_TOTAL_THREADS:
		return jw_u64(w, m->total_threads);
	case P_UNREAD_THREADS:
		return jw_u64(w, m->unread_threads);
	case P_MY_RIGHTS:
		return write_rights(w, m);
	default:
		return jw_bool(w, m->subscribed);
	}
}

static int get_one(struct get *g, uint64_t id, struct jw *w, bool *found_r)
{
	struct mailbox m;
	int ret = mailbox_find(g->tx, id, &g->r->arena, &m, &g->r->err);

	if (ret <= 0)
		return ret;
	*found_r = true;
	jw_obj(w);
	for (unsigned p = 0; p < countof(props); p++)
		if (g->props & PROP_BIT(p))
			write_prop(w, &m, p);
	jw_obj_end(w);
	return 0;
}

static int get_all(
	struct get *g, uint64_t max, const uint64_t **ids_r, size_t *n_r)
{
	const struct mailbox *all;
	uint64_t *ids;
	size_t n;
	int ret = mailbox_list(g->tx, &g->r->arena, &all, &n, &g->r->err);

	if (ret < 0)
		return ret;
	n = min_of(n, max + 1);
	ids = arena_new(&g->r->arena, n * sizeof(*ids));
	for (size_t i = 0; i < n; i++)
		ids[i] = all[i].id;
	*ids_r = ids;
	*n_r = n;
	return 0;
}

/* ---- /changes (RFC 8621 2.2) -------------------------------------------------- */

static void changes_more(struct jw *w, const struct changes *c)
{
	bool counts = false;

	jw_key(w, STR("updatedProperties"));
	for (size_t i = 0; i < c->n; i++) {
		if (c->at[i].kind != CHANGE_UPDATED)
			continue;
		counts = c->at[i].counts_only;
		if (!counts)
			break;
	}
	if (!counts) {
		jw_null(w);
		return;
	}
	jw_arr(w);
	for (unsigned p = P_TOTAL_EMAILS; p <= P_UNREAD_THREADS; p++)
		jw_strz(w, props[p].name);
	jw_arr_end(w);
}

/* ---- /set (RFC 8621 2.5) -------------------------------------------------------- */

/* The roles of IANA's registry (RFC 8457), lower case. */
static bool role_known(struct str role)
{
	static const char *const roles[] = {"all", "archive", "drafts",
		"flagged", "important", "inbox", "junk", "memos", "scheduled",
		"sent", "snoozed", "subscribed", "trash"};

	for (size_t i = 0; i < countof(roles); i++)
		if (str_eq(role, str_of(roles[i])))
			return true;
	return false;
}

static void set_name(struct set *s, struct set_item *i, struct mailbox *m,
	const struct patch *p)
{
	struct str sent;

	if (!json_text(p->value, &sent)) {
		set_bad(i, "name", "no String");
		return;
	}
	m->name = sent;
	if (sent.n <= MAILBOX_NAME_INPUT)
		m->name = mime_nfc(sent, &s->r->arena);
	if (!str_eq(m->name, sent))
		i->told |= PROP_BIT(P_NAME);
}

static void set_parent(struct set *s, struct set_item *i, struct mailbox *m,
	const struct patch *p)
{
	struct str ref;

	m->parent = 0;
	if (!p->value)
		return;
	if (!json_text(p->value, &ref)) {
		set_bad(i, "parentId", "no Id");
	} else if (!set_ref(s, 'm', ref, &m->parent)) {
		set_bad(i, "parentId", "no such Mailbox");
		i->retry = ref.n > 0 && ref.p[0] == '#';
	}
}

static void set_role(
	struct set_item *i, struct mailbox *m, const struct patch *p)
{
	bool was_inbox = i->kind == SET_UPDATE && is_inbox(m);
	struct str role = STR_NONE;

	if (p->value && (!json_text(p->value, &role) || !role_known(role)))
		set_bad(i, "role", "no role of the IANA registry");
	else if (was_inbox && !str_eq(role, m->role))
		set_refuse(i, SET_FORBIDDEN, "deliveries need the Inbox");
	m->role = role;
}

static void set_prop(struct set *s, struct set_item *i, struct mailbox *m,
	const struct patch *p)
{
	int64_t order = 0;

	if (p->sub.p) {
		set_refuse(i, SET_INVALID_PATCH, "a path that leads nowhere");
		return;
	}
	switch (p->prop) {
	case P_NAME:
		set_name(s, i, m, p);
		break;
	case P_PARENT_ID:
		set_parent(s, i, m, p);
		break;
	case P_ROLE:
		set_role(i, m, p);
		break;
	case P_SORT_ORDER:
		if (p->value && (!json_int(p->value, &order) || order < 0 ||
					order > INT32_MAX))
			set_bad(i, "sortOrder", "no number below 2^31");
		m->sort_order = (uint32_t)order;
		break;
	case P_IS_SUBSCRIBED:
		m->subscribed = true;
		if (p->value && !json_flag(p->value, &m->subscribed))
			set_bad(i, "isSubscribed", "no Boolean");
		break;
	}
}

/* The sibling that has the name already. */
static int find_namesake(
	struct set *s, struct set_item *i, const struct mailbox *m)
{
	uint64_t other;
	int ret = mailbox_namesake(s->tx, m, &other, &s->r->err);
	struct idz id = id_of('m', other);

	if (ret > 0)
		i->existing = arena_str(&s->r->arena, str_n(id.z, id.n));
	return min_of(ret, 0);
}

/* What the store refused, in RFC 8621's words. */
static int refused(
	struct set *s, struct set_item *i, const struct mailbox *m, int ret)
{
	switch ((enum mailbox_refusal)ret) {
	case MAILBOX_OK:
		return 0;
	case MAILBOX_NOT_FOUND:
		return set_refuse(i, SET_NOT_FOUND, NULL);
	case MAILBOX_BAD_NAME:
		return set_bad(i, "name", "1 to 255 bytes, no controls");
	case MAILBOX_NAME_TAKEN:
		i->retry = true;
		set_refuse(i, SET_ALREADY_EXISTS, "a sibling has that name");
		return find_namesake(s, i, m);
	case MAILBOX_BAD_PARENT:
		i->retry = true;
		return set_bad(i, "parentId",
			"no such Mailbox, a loop, or "
			"too deep");
	case MAILBOX_ROLE_TAKEN:
		i->retry = true;
		return set_bad(i, "role", "another Mailbox has it");
	case MAILBOX_HAS_CHILD:
		i->retry = true;
		return set_refuse(i, SET_MAILBOX_HAS_CHILD, NULL);
	case MAILBOX_HAS_EMAIL:
		return set_refuse(i, SET_MAILBOX_HAS_EMAIL, NULL);
	}
	return ret;
}

static int create(struct set *s, struct set_item *i)
{
	/* RFC 8621 2: true for what the user makes. */
	struct mailbox m = {.subscribed = true};
	int ret;

	for (size_t k = 0; k < i->patches_n; k++)
		set_prop(s, i, &m, &i->patches[k]);
	if (!m.name.p)
		set_bad(i, "name", "missing");
	if (i->error != SET_OK)
		return 0;
	ret = mailbox_create(s->tx, &m, &i->id, &s->r->err);
	return ret < 0 ? ret : refused(s, i, &m, ret);
}

static int update(struct set *s, struct set_item *i)
{
	struct mailbox m;
	int ret = mailbox_find(s->tx, i->id, &s->r->arena, &m, &s->r->err);

	if (ret <= 0)
		return ret < 0 ? ret : set_refuse(i, SET_NOT_FOUND, NULL);
	for (size_t k = 0; k < i->patches_n && i->error == SET_OK; k++)
		set_prop(s, i, &m, &i->patches[k]);
	if (i->error != SET_OK)
		return 0;
	ret = mailbox_update(s->tx, &m, &s->r->err);
	return ret < 0 ? ret : refused(s, i, &m, ret);
}

static int destroy(struct set *s, struct set_item *i)
{
	struct mailbox m;
	int ret = mailbox_find(s->tx, i->id, &s->r->arena, &m, &s->r->err);

	if (ret <= 0)
		return ret < 0 ? ret : set_refuse(i, SET_NOT_FOUND, NULL);
	if (is_inbox(&m))
		return set_refuse(
			i, SET_FORBIDDEN, "deliveries need the Inbox");
	ret = mailbox_destroy(s->tx, i->id, s->flag, &s->r->err);
	return ret < 0 ? ret : refused(s, i, &m, ret);
}

static void defer(struct set *s, bool on)
{
	mailbox_defer(s->tx, on);
}

static int judge(struct set *s, struct set_item *i)
{
	struct mailbox m;
	int ret = mailbox_find(s->tx, i->id, &s->r->arena, &m, &s->r->err);

	if (ret > 0) {
		ret = mailbox_judge(s->tx, i->id, &s->r->err);
		if (ret > 0)
			return refused(s, i, &m, ret);
	}
	return ret;
}

static int set_open(struct set *s)
{
	return arg_flag(s->r, s->args, "onDestroyRemoveEmails", &s->flag);
}

static const char *const set_args[] = {"onDestroyRemoveEmails", NULL};

static const struct type_ops ops = {
	.get_one = get_one,
	.get_all = get_all,
	.changes_more = changes_more,
	.set_args = set_args,
	.set_open = set_open,
	.create = create,
	.update = update,
	.destroy = destroy,
	.defer = defer,
	.judge = judge,
	.query_args = mailbox_query_args,
	.query_open = mailbox_query_open,
	.query_page = mailbox_query_page,
	.query_touched = mailbox_query_touched,
};

const struct jmap_type mailbox_type = {
	.name = "Mailbox",
	.type = TYPE_MAILBOX,
	.id_prefix = 'm',
	.props = props,
	.props_n = countof(props),
	.ops = &ops,
};
