/*
 * Foo/set (RFC 8620 5.3): one write transaction for the whole call.
 *
 * Creates come before updates before destroys. RFC 8620 asks for a valid final
 * state, not for valid steps: what another item of the call stands in the way of
 * (a name that is taken, a parent or a child that is still to come or to go) is
 * tried again as long as something else moves, at most PASSES times. What then still
 * waits is carried out together, if the type can say afterwards what is wrong: two
 * Mailboxes swap their names.
 */
#include "proto/jmap/set.h"

#include <inttypes.h>

#include "proto/jmap/json.h"

enum { PASSES = 16 };

static const char *const names[] = {
	"accountId", "ifInState", "create", "update", "destroy", NULL};

/* Bytes of an item's answer besides what the client sent itself. */
enum { ITEM_ROOM = 3072 };

struct input {
	struct json_object *create, *update, *destroy;
	struct str if_in_state;
	size_t n;
};

static size_t members(struct json_object *o)
{
	return o ? (size_t)json_object_object_length(o) : 0;
}

int set_limit(struct set *s, size_t n)
{
	if (n > s->r->limit.set)
		return req_error(s->r, ERROR_REQUEST_TOO_LARGE,
			"more than maxObjectsInSet (%" PRIu64 ")",
			s->r->limit.set);
	s->items = arena_new(&s->r->arena, n * sizeof(*s->items));
	return 0;
}

static int read_input(struct set *s, struct input *in)
{
	struct req *r = s->r;
	int ret = arg_text(r, s->args, "ifInState", &in->if_in_state);

	if (ret == 0)
		ret = arg_of_type(
			r, s->args, "create", json_type_object, &in->create);
	if (ret == 0)
		ret = arg_of_type(
			r, s->args, "update", json_type_object, &in->update);
	if (ret == 0)
		ret = arg_of_type(
			r, s->args, "destroy", json_type_array, &in->destroy);
	if (ret)
		return ret;
	in->n = members(in->create) + members(in->update);
	if (in->destroy)
		in->n += json_object_array_length(in->destroy);
	return set_limit(s, in->n);
}

int set_add_map(struct set *s, struct json_object *map, enum set_kind kind)
{
	if (!map)
		return 0;
	check(s->items); /* set_limit() made room */
	json_object_object_foreach(map, key, value)
	{
		struct set_item *i = &s->items[s->n++];

		*i = (struct set_item){
			.kind = kind, .key = str_of(key), .value = value};
		if (json_object_get_type(value) != json_type_object)
			return req_error(s->r, ERROR_INVALID_ARGUMENTS,
				"a value is no object");
		if (kind == SET_CREATE && !id_valid(i->key))
			return req_error(s->r, ERROR_INVALID_ARGUMENTS,
				"a creation id is no Id");
	}
	return 0;
}

/* An id that is there twice is destroyed once. */
static int add_destroys(
	struct set *s, struct json_object *list, struct idmap *doomed)
{
	check(s->items); /* set_limit() made room */
	for (size_t k = 0; list && k < json_object_array_length(list); k++) {
		struct set_item *i = &s->items[s->n];
		struct str id;

		*i = (struct set_item){.kind = SET_DESTROY};
		if (!json_text(json_object_array_get_idx(list, k), &i->key))
			return req_error(s->r, ERROR_INVALID_ARGUMENTS,
				"destroy: not an Id[]");
		if (!req_id(s->r, NULL, i->key, &id))
			id = i->key;
		if (idmap_find(doomed, id))
			continue;
		idmap_put(doomed, &s->r->arena, id, id);
		s->n++;
	}
	return 0;
}

/* RFC 8620 5.3: an update of what this call destroys is not even tried. */
static void spare_updates(struct set *s, const struct idmap *doomed)
{
	struct str id;

	for (size_t k = 0; k < s->n && doomed->first; k++) {
		struct set_item *i = &s->items[k];

		if (i->kind != SET_UPDATE || !req_id(s->r, NULL, i->key, &id) ||
			!idmap_find(doomed, id))
			continue;
		set_refuse(i, SET_WILL_DESTROY, NULL);
		i->done = true;
	}
}

static int add_items(struct set *s, const struct input *in)
{
	struct idmap doomed;
	int ret;

	idmap_init(&doomed);
	ret = set_add_map(s, in->create, SET_CREATE);
	if (ret == 0)
		ret = set_add_map(s, in->update, SET_UPDATE);
	if (ret == 0)
		ret = add_destroys(s, in->destroy, &doomed);
	if (ret == 0)
		spare_updates(s, &doomed);
	idmap_fini(&doomed);
	return ret;
}

static int render(struct set *s, struct set_item *i, uint64_t props)
{
	struct buf json cleanup(buf_fini) = {0};
	bool found;
	int ret = get_render(s->r, s->tx, s->type, i->id, props, &json, &found);

	if (ret == 0)
		i->reply = arena_str(&s->r->arena, buf_str(&json));
	return ret;
}

/* RFC 8620 5.3 "created": whatever the client did not send itself. */
static int created(struct set *s, struct set_item *i)
{
	struct idz id = id_of(s->type->id_prefix, i->id);
	uint64_t props = s->created;

	idmap_put(s->made, &s->r->arena, i->key,
		arena_str(&s->r->arena, str_n(id.z, id.n)));
	/* null asked for the default. */
	for (size_t k = 0; k < i->patches_n; k++)
		if (i->patches[k].value)
			props &= ~PROP_BIT(i->patches[k].prop);
	return render(s, i, props | i->told | PROP_BIT(0));
}

static int create(struct set *s, struct set_item *i)
{
	int ret = patch_read(s, i);

	if (ret == 0 && i->error == SET_OK)
		ret = s->type->ops->create(s, i);
	return ret;
}

static int try_create(struct set *s, struct set_item *i)
{
	int ret = s->create(s, i);

	return ret || i->error != SET_OK ? ret : created(s, i);
}

static int try_update(struct set *s, struct set_item *i)
{
	int ret = patch_read(s, i);

	if (ret == 0 && i->error == SET_OK && i->patches_n > 0)
		ret = s->type->ops->update(s, i);
	if (ret || i->error != SET_OK || !i->told)
		return ret;
	return render(s, i, i->told);
}

static int try_item(struct set *s, struct set_item *i)
{
	const struct type_ops *ops = s->type->ops;

	i->error = SET_OK;
	i->retry = false;
	i->bad_n = 0;
	i->told = 0;
	i->reply = STR_NONE;
	if (i->kind == SET_CREATE)
		return try_create(s, i);
	if (!set_ref(s, s->type->id_prefix, i->key, &i->id))
		return set_refuse(i, SET_NOT_FOUND, NULL);
	if (ops->now)
		i->id = ops->now(s->tx, i->id);
	return i->kind == SET_DESTROY ? ops->destroy(s, i) : try_update(s, i);
}

/* *moved_r: something was carried out. */
static int pass(struct set *s, bool *moved_r, bool *wait_r)
{
	for (size_t k = 0; k < s->n; k++) {
		struct set_item *i = &s->items[k];
		int ret;

		if (i->done)
			continue;
		ret = try_item(s, i);
		if (ret)
			return ret;
		i->done = !i->retry;
		*moved_r |= i->error == SET_OK;
		*wait_r |= i->retry;
	}
	return 0;
}

int set_passes(struct set *s, bool *wait_r)
{
	bool moved = true;
	int ret = 0;

	*wait_r = true;
	for (int n = 0; n < PASSES && moved && *wait_r && ret == 0; n++) {
		moved = *wait_r = false;
		ret = pass(s, &moved, wait_r);
	}
	return ret;
}

/* An Email that came later may have given this one another id (RFC 8621 3). */
static int follow(struct set *s)
{
	int ret = 0;

	for (size_t k = 0; s->type->ops->now && k < s->n && ret == 0; k++) {
		struct set_item *i = &s->items[k];
		uint64_t now = s->type->ops->now(s->tx, i->id);

		if (i->kind != SET_CREATE || i->error != SET_OK || now == i->id)
			continue;
		i->id = now;
		ret = created(s, i);
	}
	return ret;
}

static int run_items(struct set *s)
{
	bool wait;
	int ret = set_passes(s, &wait);

	if (ret == 0 && wait && s->type->ops->judge)
		ret = set_together(s);
	return ret ? ret : follow(s);
}

static bool anything_done(const struct set *s)
{
	for (size_t k = 0; k < s->n; k++)
		if (s->items[k].error == SET_OK)
			return true;
	return false;
}

/* What was created is known to the calls that follow (RFC 8620 5.3). */
static void publish(struct set *s)
{
	struct req *r = s->r;

	for (const struct idmap_entry *e = s->made->first; e; e = e->next) {
		size_t before = r->created.bytes + r->created.map.n * 6;

		/* Keys of this call live in its arguments only. */
		idmap_put(&r->created, &r->arena, arena_str(&r->arena, e->key),
			e->id);
		if (r->created_given)
			r->reserve += r->created.bytes + r->created.map.n * 6 -
				      before;
	}
}

static int in_transaction(
	struct set *s, const struct method *m, struct str if_in_state)
{
	struct statez before, after;
	int ret = verb_state(s->r, s->tx, s->type, &before);

	if (ret == 0 && if_in_state.p && !str_eq(if_in_state, str_of(before.z)))
		return req_error(s->r, ERROR_STATE_MISMATCH, "%s", "");
	if (ret == 0)
		ret = run_items(s);
	if (ret == 0)
		ret = verb_state(s->r, s->tx, s->type, &after);
	/* Nothing is said to be done before it is on disk. */
	if (ret == 0 && anything_done(s))
		ret = tx_commit(s->tx, &s->r->err);
	if (ret)
		return ret;
	publish(s);
	req_wrote(s->r);
	set_reply(s, m, &before, &after);
	return 0;
}

int set_run(struct set *s, const struct method *m, struct str if_in_state)
{
	struct tx *t cleanup(tx_end) = NULL;
	struct req *r = s->r;
	/* Its answer must fit once it is done. */
	int ret = req_wants(
		r, 2 * r->calls[r->now].args.n + s->n * ITEM_ROOM + ITEM_ROOM);

	if (ret == 0)
		ret = req_write(r, &t);
	if (ret)
		return ret;
	s->made = arena_new(&r->arena, sizeof(*s->made));
	idmap_init(s->made);
	s->tx = t;
	ret = in_transaction(s, m, if_in_state);
	idmap_fini(s->made);
	return ret;
}

static uint64_t default_props(const struct jmap_type *type)
{
	uint64_t props = type->ops->created;

	for (size_t k = 0; k < type->props_n && !type->ops->created; k++)
		if (type->props[k].flags & PROP_DEFAULT)
			props |= PROP_BIT(k);
	return props;
}

int verb_set(struct req *r, const struct method *m, struct json_object *args)
{
	struct set s = {.r = r,
		.type = m->type,
		.args = args,
		.create = create,
		.created = default_props(m->type)};
	struct input in;
	int ret = args_open(r, args, names, m->type->ops->set_args);

	if (ret == 0)
		ret = read_input(&s, &in);
	if (ret == 0)
		ret = add_items(&s, &in);
	if (ret == 0 && m->type->ops->set_open)
		ret = m->type->ops->set_open(&s);
	return ret ? ret : set_run(&s, m, in.if_in_state);
}
