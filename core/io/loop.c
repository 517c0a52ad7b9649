#include "core/io/loop.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/base/clock.h"
#include "core/io/wheel.h"

enum { BATCH = 256 }; /* descriptors served a turn */

struct signal_fn {
	void (*fn)(int signo, void *ctx);
	void *ctx;
};

struct loop {
	int ep;
	bool stopped;
	int code; /* of loop_stop() */
	uint64_t now_ms;
	bool (*before)(void *ctx);
	void (*after)(void *ctx);
	void *hook_ctx;
	struct cds_list_head phase[LOOP_PHASES];
	/* What epoll said; an unwatched one is NULL from then on. */
	struct epoll_event ev[BATCH];
	int ev_at, ev_n;
	struct watch sig;
	sigset_t sig_mask;
	struct signal_fn sig_fn[_NSIG];
	struct wheel wheel;
	struct conn_sends *sends;
	_Alignas(64) char scratch[LOOP_SCRATCH];
};

struct loop *loop_new(struct err *e)
{
	int ep = epoll_create1(EPOLL_CLOEXEC);
	struct loop *l;

	if (ep < 0) {
		err_sys(e, "epoll_create1");
		return NULL;
	}
	l = mem_new(sizeof(*l));
	l->ep = ep;
	l->sig.fd = -1;
	sigemptyset(&l->sig_mask);
	l->now_ms = clock_mono_ms();
	wheel_init(&l->wheel, l->now_ms);
	for (size_t i = 0; i < LOOP_PHASES; i++)
		CDS_INIT_LIST_HEAD(&l->phase[i]);
	return l;
}

/* Runs what is queued now; what that queues here waits for the next turn. */
static void run_phase(struct cds_list_head *phase)
{
	CDS_LIST_HEAD(list);

	cds_list_splice(phase, &list);
	CDS_INIT_LIST_HEAD(phase);
	while (!cds_list_empty(&list)) {
		struct defer *d = cds_list_entry(list.next, struct defer, node);

		loop_undefer(d);
		d->fn(d);
	}
}

static bool has_deferred(struct loop *l)
{
	for (size_t i = 0; i < LOOP_PHASES; i++)
		if (!cds_list_empty(&l->phase[i]))
			return true;
	return false;
}

void loop_free(struct loop *l)
{
	while (has_deferred(l))
		for (size_t i = 0; i < LOOP_PHASES; i++)
			run_phase(&l->phase[i]);
	if (l->sig.fd >= 0)
		close(l->sig.fd);
	close(l->ep);
	free(l);
}

char *loop_scratch(struct loop *l)
{
	return l->scratch;
}

struct conn_sends *loop_sends(const struct loop *l)
{
	return l->sends;
}

void loop_set_sends(struct loop *l, struct conn_sends *s)
{
	l->sends = s;
}

static int wait_ms(struct loop *l, int max_wait_ms)
{
	uint64_t next, now;

	if (l->stopped || max_wait_ms == 0 || has_deferred(l))
		return 0;
	next = wheel_next(&l->wheel);
	if (next == UINT64_MAX)
		return max_wait_ms;
	/* The turn's clock is old by now: what ran since took its time. */
	now = clock_mono_ms();
	next = next > now ? min_of(next - now, (uint64_t)INT_MAX) : 0;
	if (max_wait_ms < 0 || next < (uint64_t)max_wait_ms)
		return (int)next;
	return max_wait_ms;
}

static void run_events(struct loop *l)
{
	while (l->ev_at < l->ev_n) {
		struct epoll_event *ev = &l->ev[l->ev_at++];
		struct watch *w = ev->data.ptr;
		uint32_t events;

		if (!w)
			continue;
		/* A callback before may have changed what is wanted. */
		events = ev->events & (w->events | EPOLLERR | EPOLLHUP);
		if (events)
			w->fn(w, events);
	}
}

int loop_turn(struct loop *l, int max_wait_ms, struct err *e)
{
	int ms = wait_ms(l, max_wait_ms);
	int n;

	if (ms != 0 && l->before && l->before(l->hook_ctx))
		ms = 0;
	n = epoll_wait(l->ep, l->ev, BATCH, ms);
	if (n < 0 && errno != EINTR)
		return err_sys(e, "epoll_wait");
	l->ev_n = max_of(n, 0);
	l->ev_at = 0;
	l->now_ms = clock_mono_ms();
	if (l->after)
		l->after(l->hook_ctx);
	wheel_run(&l->wheel, l->now_ms);
	run_events(l);
	for (size_t i = 0; i < LOOP_PHASES; i++)
		run_phase(&l->phase[i]);
	return 0;
}

int loop_run(struct loop *l, struct err *e)
{
	while (!l->stopped) {
		int ret = loop_turn(l, -1, e);

		if (ret < 0)
			return ret;
	}
	l->stopped = false;
	return l->code;
}

void loop_stop(struct loop *l, int code)
{
	l->stopped = true;
	l->code = code;
}

static void epoll_change(
	struct loop *l, int op, struct watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	check(epoll_ctl(l->ep, op, w->fd, &ev) == 0);
}

void loop_watch(struct loop *l, struct watch *w, int fd, uint32_t events,
	void (*fn)(struct watch *w, uint32_t events))
{
	w->fd = fd;
	w->events = events;
	w->fn = fn;
	epoll_change(l, EPOLL_CTL_ADD, w, events);
}

void loop_rewatch(struct loop *l, struct watch *w, uint32_t events)
{
	if (w->events == events)
		return;
	w->events = events;
	epoll_change(l, EPOLL_CTL_MOD, w, events);
}

void loop_unwatch(struct loop *l, struct watch *w)
{
	if (w->fd < 0)
		return;
	epoll_change(l, EPOLL_CTL_DEL, w, 0);
	w->fd = -1;
	for (int i = l->ev_at; i < l->ev_n; i++)
		if (l->ev[i].data.ptr == w)
			l->ev[i].data.ptr = NULL;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	t->due_ms = 0;
	t->fn = fn;
}

void timer_set(struct loop *l, struct timer *t, uint64_t due_ms)
{
	timer_stop(l, t);
	t->due_ms = max_of(due_ms, (uint64_t)1);
	wheel_add(&l->wheel, t);
}

void timer_stop(struct loop *l, struct timer *t)
{
	if (!t->due_ms)
		return;
	cds_list_del(&t->node);
	t->due_ms = 0;
}

bool timer_is_set(const struct timer *t)
{
	return t->due_ms != 0;
}

void defer_init(struct defer *d, void (*fn)(struct defer *d))
{
	d->node = (struct cds_list_head){NULL, NULL};
	d->fn = fn;
}

void loop_defer(struct loop *l, struct defer *d, enum loop_phase phase)
{
	if (!d->node.next)
		cds_list_add_tail(&d->node, &l->phase[phase]);
}

void loop_undefer(struct defer *d)
{
	if (!d->node.next)
		return;
	cds_list_del(&d->node);
	d->node = (struct cds_list_head){NULL, NULL};
}

void loop_hooks(struct loop *l, bool (*before)(void *ctx),
	void (*after)(void *ctx), void *ctx)
{
	l->before = before;
	l->after = after;
	l->hook_ctx = ctx;
}

uint64_t loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

static void on_signal(struct watch *w, uint32_t events)
{
	struct loop *l = container_of(w, struct loop, sig);
	struct signalfd_siginfo si;

	while (read(w->fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		const struct signal_fn *s = &l->sig_fn[si.ssi_signo];

		if (s->fn)
			s->fn((int)si.ssi_signo, s->ctx);
	}
}

int loop_signal(struct loop *l, int signo, void (*fn)(int signo, void *ctx),
	void *ctx, struct err *e)
{
	int fd;

	check(signo > 0 && signo < _NSIG);
	sigaddset(&l->sig_mask, signo);
	l->sig_fn[signo] = (struct signal_fn){fn, ctx};
	errno = pthread_sigmask(SIG_BLOCK, &l->sig_mask, NULL);
	if (errno)
		return err_sys(e, "pthread_sigmask");
	fd = signalfd(l->sig.fd, &l->sig_mask, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "signalfd");
	if (l->sig.fd < 0)
		loop_watch(l, &l->sig, fd, EPOLLIN, on_signal);
	return 0;
}
