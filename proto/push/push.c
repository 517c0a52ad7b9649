#include "proto/push/push.h"

#include "core/base/buf.h"
#include "core/base/ids.h"
#include "core/base/jw.h"
#include "core/base/map.h"
#include "core/base/metrics.h"
#include "proto/push/token.h"

#define TURN_FRAMES 256 /* push frames that one turn writes at most */

struct push_hub {
	struct loop *loop;
	const struct push_hub_ops *ops;
	void *ctx;
	struct map watches;
	struct cds_list_head queue; /* clients with something to say now */
	struct defer flush;
	struct frame {
		struct buf text; /* the last one encoded, and of what: */
		const struct push_watch *watch;
		uint16_t types;
		uint64_t version;
	} frames[2]; /* with pushState, plain */
};

/* An account that somebody here watches, and where its types stand. */
struct push_watch {
	struct map_node node;
	uint64_t account;
	uint32_t generation;
	uint64_t modseq[TYPES]; /* as told by the store */
	uint64_t newest;	/* the largest of them */
	uint64_t version;	/* grows with each change to the above */
	bool based;		/* a baseline has come: moves are news */
	bool current;		/* no baseline is under way */
	struct cds_list_head clients;
	size_t cookie_n;
	unsigned char cookie[];
};

static struct push_watch *watch_find(struct push_hub *h, uint64_t account)
{
	struct map_node *n;
	map_each (&h->watches, hash_u64(account), n) {
		struct push_watch *w = container_of(n, struct push_watch, node);
		if (w->account == account)
			return w;
	}
	return NULL;
}

/* ---- what a client is sent ------------------------------------------------ */

static void write_push_state(struct jw *j, const struct push_watch *w)
{
	struct buf token cleanup(buf_fini) = {0};
	token_add(&token, w->account, w->generation, w->newest);
	jw_key(j, STR("pushState"));
	jw_str(j, buf_str(&token));
}

/* RFC 8620 7.1, RFC 8887 4.3.5.1: the StateChange of these types. */
static void encode(
	struct buf *out, const struct push_watch *w, uint16_t types, bool plain)
{
	struct jw j;
	buf_reset(out);
	jw_init(&j, out);
	jw_obj(&j);
	jw_kstrz(&j, "@type", "StateChange");
	jw_key(&j, STR("changed"));
	jw_obj(&j);
	jw_key(&j, str_of(id_of('u', w->account).z));
	jw_obj(&j);
	for (enum type t = 0; t < TYPES; t++) {
		if (!(types & TYPE_BIT(t)))
			continue;
		jw_kstrz(&j, type_name(t),
			state_of(w->generation, w->modseq[t]).z);
	}
	jw_obj_end(&j);
	jw_obj_end(&j);
	if (!plain)
		write_push_state(&j, w);
	jw_obj_end(&j);
}

/* Equal frames for many clients are encoded once. */
static struct str frame_of(const struct push_client *c, uint16_t types)
{
	const struct push_watch *w = c->watch;
	struct frame *f = &c->hub->frames[c->ops->plain];
	if (f->watch != w || f->types != types || f->version != w->version) {
		encode(&f->text, w, types, c->ops->plain);
		f->watch = w;
		f->types = types;
		f->version = w->version;
	}
	return buf_str(&f->text);
}

void push_token(const struct push_client *c, struct buf *out)
{
	const struct push_watch *w = c->watch;
	token_add(out, w->account, w->generation, w->newest);
}

static void say(struct push_client *c, uint64_t now)
{
	struct push_watch *w = c->watch;
	uint16_t types = c->pending;
	c->pending = 0;
	c->told = w->newest;
	c->told_generation = w->generation;
	c->sent_ms = now;
	metrics_add(METRIC_PUSHES, 1);
	c->ops->send(c, frame_of(c, types));
}

/* ---- when ----------------------------------------------------------------- */

static void queue(struct push_client *c)
{
	if (!cds_list_empty(&c->queued))
		return;
	cds_list_add_tail(&c->queued, &c->hub->queue);
	loop_defer(c->hub->loop, &c->hub->flush, LOOP_NOTICES);
}

/* Something is pending: speak now, at the window's end, or when it reads again. */
static void consider(struct push_client *c)
{
	struct push_hub *h = c->hub;
	uint64_t now = loop_now_ms(h->loop);
	if (!c->watch || !c->pending || c->resuming)
		return;
	if (c->ops->unsent(c))
		return; /* push_room() comes back to it */
	uint64_t due = c->sent_ms ? c->sent_ms + c->ops->throttle_ms() : now;
	if (now >= due)
		queue(c);
	else
		timer_set(h->loop, &c->timer, due);
}

static void on_window(struct timer *t)
{
	consider(container_of(t, struct push_client, timer));
}

/* A bounded number of frames a turn: a big account delays nobody else. */
static void on_flush(struct defer *d)
{
	struct push_hub *h = container_of(d, struct push_hub, flush);
	uint64_t now = loop_now_ms(h->loop);
	for (int n = 0; n < TURN_FRAMES && !cds_list_empty(&h->queue); n++) {
		struct push_client *c = cds_list_first_entry(
			&h->queue, struct push_client, queued);
		cds_list_del_init(&c->queued);
		if (c->watch && c->pending && !c->resuming &&
			!c->ops->unsent(c))
			say(c, now);
	}
	if (!cds_list_empty(&h->queue))
		loop_defer(h->loop, d, LOOP_NOTICES);
}

void push_room(struct push_client *c)
{
	consider(c);
}

static bool reconsider(struct map_node *n, void *ctx)
{
	struct push_watch *w = container_of(n, struct push_watch, node);
	struct push_client *c;
	cds_list_for_each_entry (c, &w->clients, node) {
		timer_stop(c->hub->loop, &c->timer);
		consider(c);
	}
	return true;
}

void push_reconfigure(struct push_hub *h)
{
	map_walk(&h->watches, reconsider, NULL);
}

/* ---- notices -------------------------------------------------------------- */

static void renew(struct push_watch *w, uint32_t generation)
{
	if (w->generation == generation)
		return;
	/* A restored account: what was known of it is of another life. */
	w->generation = generation;
	memset(w->modseq, 0, sizeof(w->modseq));
	w->newest = 0;
}

/* The types among n's that stand further than was known. */
static uint16_t advance(struct push_watch *w, const struct push_notice *n)
{
	uint16_t moved = 0;
	for (enum type t = 0; t < TYPES; t++) {
		if (!(n->types & TYPE_BIT(t)) || n->modseq <= w->modseq[t])
			continue;
		w->modseq[t] = n->modseq;
		moved |= (uint16_t)TYPE_BIT(t);
	}
	if (n->modseq > w->newest)
		w->newest = n->modseq;
	w->version++;
	return moved;
}

/* What this client has not been told, by the modseq that its token names. */
static uint16_t missed(struct push_client *c)
{
	const struct push_watch *w = c->watch;
	uint16_t types = 0;
	/* One from beyond what is known here is good: its notice is on its way. */
	bool readable = !c->fresh && c->told_generation == w->generation;
	c->fresh = false;
	if (!readable) {
		c->told = 0;
		return c->types;
	}
	for (enum type t = 0; t < TYPES; t++)
		if (w->modseq[t] > c->told)
			types |= (uint16_t)TYPE_BIT(t);
	return types & c->types;
}

static void settle(struct push_client *c)
{
	if (!c->settling || !c->watch->based)
		return;
	c->settling = false;
	if (c->ops->stands)
		c->ops->stands(c);
}

/* The baseline is whole: those who waited learn what they missed. */
static void on_baseline(struct push_watch *w)
{
	struct push_client *c, *next;
	w->based = w->current = true;
	cds_list_for_each_entry_safe (c, next, &w->clients, node) {
		settle(c);
		if (!c->resuming)
			continue;
		c->resuming = false;
		c->pending |= missed(c);
		consider(c);
	}
}

static void pend(struct push_client *c, unsigned types)
{
	bool first = !c->pending && types;
	c->pending |= (uint16_t)types;
	if (first && c->ops->pended)
		c->ops->pended(c);
}

/* It brought a token from beyond that point. */
static bool knows(const struct push_client *c, const struct push_notice *n)
{
	return c->told_generation == n->generation && n->modseq <= c->told;
}

void push_notice(struct push_hub *h, const struct push_notice *n)
{
	struct push_client *c, *next;
	struct push_watch *w = watch_find(h, n->account);
	if (!w)
		return; /* the last one left meanwhile */
	renew(w, n->generation);
	uint16_t moved = advance(w, n);
	if (n->baseline && !w->based)
		moved = 0; /* where it stood before anybody asked */
	cds_list_for_each_entry_safe (c, next, &w->clients, node) {
		if (c->resuming || knows(c, n))
			continue; /* on_baseline() compares */
		pend(c, moved & c->types);
		consider(c);
	}
	if (n->baseline_end)
		on_baseline(w);
}

/* ---- coming and going ----------------------------------------------------- */

static struct push_watch *watch_new(struct push_hub *h, uint64_t account,
	const void *cookie, size_t cookie_n)
{
	struct push_watch *w = mem_new(sizeof(*w) + cookie_n);
	w->account = account;
	w->cookie_n = cookie_n;
	memcpy(w->cookie, cookie, cookie_n);
	CDS_INIT_LIST_HEAD(&w->clients);
	map_put(&h->watches, &w->node, hash_u64(account));
	h->ops->watch(h->ctx, account, w->cookie);
	return w;
}

static void watch_free(struct push_hub *h, struct push_watch *w)
{
	h->ops->unwatch(h->ctx, w->account);
	map_del(&h->watches, &w->node);
	for (size_t i = 0; i < countof(h->frames); i++)
		if (h->frames[i].watch == w)
			h->frames[i].watch = NULL;
	free(w);
}

void push_client_init(struct push_client *c, struct push_hub *h,
	const struct push_client_ops *ops)
{
	*c = (struct push_client){.ops = ops, .hub = h};
	CDS_INIT_LIST_HEAD(&c->node);
	CDS_INIT_LIST_HEAD(&c->queued);
	timer_init(&c->timer, on_window);
}

/* Where it stands by its own word. */
static void stand(struct push_client *c, struct str token)
{
	c->fresh = !token_find(
		token, c->watch->account, &c->told_generation, &c->told);
}

void push_enable(struct push_client *c, uint64_t account, const void *cookie,
	size_t cookie_n, unsigned types, struct str token)
{
	struct push_hub *h = c->hub;
	struct push_watch *was = c->watch;
	struct push_watch *w = watch_find(h, account);
	if (!w)
		w = watch_new(h, account, cookie, cookie_n);
	/* The newest proof of who asks: an older one may be revoked by now. */
	check(w->cookie_n == cookie_n);
	memcpy(w->cookie, cookie, cookie_n);
	if (was != w) {
		push_disable(c);
		c->watch = w;
		cds_list_add_tail(&c->node, &w->clients);
	}
	c->types = (uint16_t)types;
	c->pending &= c->types;
	timer_stop(h->loop, &c->timer);
	if (token.n) {
		stand(c, token);
		c->resuming = !w->current;
		c->pending = c->resuming ? 0 : missed(c);
	}
	c->settling = true;
	settle(c);
	consider(c);
}

static bool restart_one(struct map_node *n, void *ctx)
{
	container_of(n, struct push_watch, node)->current = false;
	return true;
}

void push_restart(struct push_hub *h)
{
	map_walk(&h->watches, restart_one, NULL);
}

struct each {
	void (*fn)(void *ctx, uint64_t account, const void *cookie);
	void *ctx;
};

static bool each_one(struct map_node *n, void *ctx)
{
	struct push_watch *w = container_of(n, struct push_watch, node);
	struct each *e = ctx;
	e->fn(e->ctx, w->account, w->cookie);
	return true;
}

void push_each(struct push_hub *h,
	void (*fn)(void *ctx, uint64_t account, const void *cookie), void *ctx)
{
	struct each e = {fn, ctx};
	map_walk(&h->watches, each_one, &e);
}

void push_disable(struct push_client *c)
{
	struct push_watch *w = c->watch;
	struct push_hub *h = c->hub;
	if (!w)
		return;
	cds_list_del_init(&c->node);
	cds_list_del_init(&c->queued);
	timer_stop(h->loop, &c->timer);
	c->watch = NULL;
	c->pending = 0;
	c->resuming = c->settling = false;
	if (cds_list_empty(&w->clients))
		watch_free(h, w);
}

struct push_hub *push_hub_new(
	struct loop *l, const struct push_hub_ops *ops, void *ctx)
{
	struct push_hub *h = mem_new(sizeof(*h));
	h->loop = l;
	h->ops = ops;
	h->ctx = ctx;
	CDS_INIT_LIST_HEAD(&h->queue);
	defer_init(&h->flush, on_flush);
	return h;
}

void push_hub_free(struct push_hub *h)
{
	check(!h->watches.n);
	loop_undefer(&h->flush);
	map_fini(&h->watches);
	for (size_t i = 0; i < countof(h->frames); i++)
		buf_fini(&h->frames[i].text);
	free(h);
}
