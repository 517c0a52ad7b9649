/*
 * Thread (RFC 8621 3).
 */
#include "proto/jmap/types.h"
#include "proto/jmap/verbs.h"

enum { P_ID, P_EMAIL_IDS };

static const struct prop props[] = {
	[P_ID] = {"id", PROP_SERVER | PROP_IMMUTABLE | PROP_DEFAULT},
	[P_EMAIL_IDS] = {"emailIds", PROP_SERVER | PROP_DEFAULT},
};

static int get_one(struct get *g, uint64_t id, struct jw *w, bool *found_r)
{
	const uint64_t *ids;
	struct idz z = id_of('t', id);
	size_t n;
	int ret = thread_emails(g->tx, id, &g->r->arena, &ids, &n, &g->r->err);

	if (ret < 0 || n == 0)
		return ret;
	*found_r = true;
	jw_obj(w);
	jw_kstr(w, "id", str_n(z.z, z.n));
	if (g->props & PROP_BIT(P_EMAIL_IDS)) {
		jw_key(w, STR("emailIds"));
		jw_arr(w);
		for (size_t i = 0; i < n; i++) {
			z = id_of('e', ids[i]);
			jw_str(w, str_n(z.z, z.n));
		}
		jw_arr_end(w);
	}
	jw_obj_end(w);
	return 0;
}

/* All threads at once is more than anybody should ask for: the ids of all Emails
 * come first, then each one's thread, once. */
static int get_all(
	struct get *g, uint64_t max, const uint64_t **ids_r, size_t *n_r)
{
	struct email_query q = {.limit = INT64_MAX};
	struct idmap seen;
	struct email_ids all;
	struct email m;
	uint64_t *ids;
	size_t n = 0;
	int ret = email_query(g->tx, &q, &g->r->arena, &all, &g->r->err);

	if (ret < 0)
		return ret;
	ids = arena_new(&g->r->arena, (max + 1) * sizeof(*ids));
	idmap_init(&seen);
	for (size_t i = 0; i < all.n && n <= max && ret >= 0; i++) {
		struct str key;

		ret = email_find(
			g->tx, all.at[i], 0, &g->r->arena, &m, &g->r->err);
		key = str_n(&m.thread, sizeof(m.thread));
		if (ret <= 0 || idmap_find(&seen, key))
			continue;
		key = arena_str(&g->r->arena, key);
		idmap_put(&seen, &g->r->arena, key, STR_NONE);
		ids[n++] = m.thread;
	}
	idmap_fini(&seen);
	*ids_r = ids;
	*n_r = n;
	return min_of(ret, 0);
}

static const struct type_ops ops = {
	.get_one = get_one,
	.get_all = get_all,
};

const struct jmap_type thread_type = {
	.name = "Thread",
	.type = TYPE_THREAD,
	.id_prefix = 't',
	.props = props,
	.props_n = countof(props),
	.ops = &ops,
};
