/*
 * The flag is 1 from doorbell_arm() until somebody takes it back: the ringer that
 * will write the pipe, or the sleeper that woke up by itself.
 *
 * No wake-up is lost. Every access to the flag is an atomic exchange, so they all
 * stand in one order, and each synchronizes with every one after it (each reads
 * what the one before it wrote: one unbroken release sequence, C17 5.1.2.4). Take
 * the exchange of an arm and that of a ring:
 *  - the arm comes first: the first ring after it finds 1 and writes the pipe;
 *  - the ring comes first: what was published before it is visible to what is
 *    read after the arm, so the sleeper sees it when it looks again.
 *
 * An exchange does the work of "store, seq_cst fence" and "seq_cst fence, load"
 * at the same price: where a fence would stand there is one locked instruction,
 * on a line that nobody else wants as long as nobody sleeps. ThreadSanitizer
 * follows exchanges and does not follow fences. A plain load or store of the flag
 * breaks the chain; test/model/doorbell.pml, built with -DNOFENCE, finds the
 * wake-up that this loses.
 *
 * A peer that does not play by this harms itself: its own message is heard late,
 * or it wakes up for nothing.
 */
#include "ipc/doorbell.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "core/base/base.h"

void doorbell_arm(struct doorbell *d)
{
	/* pairs: doorbell_ring */
	atomic_exchange_explicit(&d->flag->sleeps, 1, memory_order_seq_cst);
}

void doorbell_disarm(struct doorbell *d)
{
	/* An exchange to keep the chain whole for the arm after it. */
	atomic_exchange_explicit(&d->flag->sleeps, 0, memory_order_seq_cst);
}

bool doorbell_answer(struct doorbell *d)
{
	char rings[PIPE_BUF]; /* there is one, unless the ringer is hostile */
	ssize_t n;

	/* The flag first: no ring that takes it later is emptied away. */
	doorbell_disarm(d);
	n = read(d->fd, rings, sizeof(rings));
	check(n >= 0 || errno == EAGAIN);
	return n != 0;
}

bool doorbell_ring(struct doorbell *d)
{
	ssize_t n;

	/* pairs: doorbell_arm */
	if (!atomic_exchange_explicit(
		    &d->flag->sleeps, 0, memory_order_seq_cst))
		return false;
	/* EAGAIN: it is full, so it is readable. EPIPE: nobody is there. */
	n = write(d->fd, "", 1);
	check(n == 1 || (n < 0 && (errno == EAGAIN || errno == EPIPE)));
	return true;
}
