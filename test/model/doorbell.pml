/*
 * One byte ring, its starved flag and both doorbells (ipc/ring.c, ipc/doorbell.c)
 * on a machine with store buffers: a store waits in its process's queue, and that
 * process's loads go on meanwhile (x86-TSO). An exchange waits until the queue of
 * its process is empty and acts on memory at once.
 *
 * The writer puts N records and sleeps when there is no room, the reader takes
 * them and sleeps when there is none. A lost wake-up leaves both asleep, which
 * spin reports as an invalid end state.
 *
 * Broken on purpose, must fail:
 *   NOFENCE          sleeps is loaded and stored without an order
 *   NOFENCE_STARVED  the same for starved
 *   NOLOOK           the reader sleeps without looking again
 *   NORETRY          the writer sleeps without trying its put again
 *   NORELIEVE        the reader does not ring when the writer starved
 */
#define N 4		/* records */
#define CAP 2		/* records that the ring holds */

#define WRITER 0
#define READER 1

/* Shared memory. */
#define TAIL 0
#define HEAD 1
#define STARVED 2
#define SLEEPS 3	/* + side */
#define WORDS 5
byte mem[WORDS];

/* The store buffers; queued and newest let a process load its own stores. */
chan queue[2] = [3] of { byte, byte };
byte queued[10];
byte newest[10];

/* The kernel's: no buffer lies before it. */
bool eventfd[2];

inline store(side, word, value) {
	atomic {
		queue[side]!word, value;
		queued[side * WORDS + word]++;
		newest[side * WORDS + word] = value
	}
}

inline load(side, word, value_r) {
	d_step {
		if
		:: queued[side * WORDS + word] > 0 ->
			value_r = newest[side * WORDS + word]
		:: else ->
			value_r = mem[word]
		fi
	}
}

inline exchange(side, word, value, old_r) {
	atomic {
		empty(queue[side]);
		old_r = mem[word];
		mem[word] = value
	}
}

inline load_and_store(side, word, value, old_r) {
	load(side, word, old_r);
	if
	:: old_r != value ->
		store(side, word, value)
	:: else
	fi
}

#ifdef NOFENCE
#define exchange_sleeps load_and_store
#else
#define exchange_sleeps exchange
#endif
#ifdef NOFENCE_STARVED
#define exchange_starved load_and_store
#else
#define exchange_starved exchange
#endif

proctype drain(byte side) {
	byte word, value;

end:	do
	:: atomic {
		queue[side]?word, value ->
		mem[word] = value;
		queued[side * WORDS + word]--;
		word = 0;
		value = 0
	   }
	od
}

inline doorbell_arm(side) {
	exchange_sleeps(side, SLEEPS + side, 1, old)
}

inline doorbell_disarm(side) {
	exchange_sleeps(side, SLEEPS + side, 0, old)
}

inline doorbell_answer(side) {
	doorbell_disarm(side);
	eventfd[side] = false
}

inline doorbell_ring(from, side) {
	exchange_sleeps(from, SLEEPS + side, 0, old);
	if
	:: old ->
		eventfd[side] = true
	:: else
	fi
}

/* ok = the record is in; starved is set when it is not. */
inline ring_put() {
	if
	:: tail - seen < CAP
	:: else ->
		load(WRITER, HEAD, seen);
		if
		:: tail - seen < CAP
		:: else ->
			exchange_starved(WRITER, STARVED, 1, old);
			load(WRITER, HEAD, seen)
		fi
	fi;
	assert(tail - seen <= CAP);
	ok = tail - seen < CAP;
	if
	:: ok ->
		tail++;
		left--
	:: else
	fi
}

inline ring_publish() {
	store(WRITER, TAIL, tail)
}

proctype writer() {
	byte tail, seen, old, left = N;
	bool ok;

	do
	:: left == 0 ->
		break
	:: left > 0 ->
		ring_put();
		if
		:: ok ->
			if
			:: ring_publish();
			   doorbell_ring(WRITER, READER)
			:: skip		/* more in one publish */
			fi
		:: else ->
			ring_publish();
			doorbell_ring(WRITER, READER);
			doorbell_arm(WRITER);
#ifndef NORETRY
			ring_put();
#endif
			if
			:: ok ->
				doorbell_disarm(WRITER)
			:: else ->
				eventfd[WRITER];	/* sleeps */
				doorbell_answer(WRITER)
			fi
		fi
	od;
	ring_publish();
	doorbell_ring(WRITER, READER)
}

inline ring_release() {
	head++;
	store(READER, HEAD, head);
	exchange_starved(READER, STARVED, 0, old)
}

proctype reader() {
	byte head, seen, old;

	do
	:: head == N ->
		break
	:: head < N && head < seen ->
		ring_release();
#ifndef NORELIEVE
		if
		:: old ->
			doorbell_ring(READER, WRITER)
		:: else
		fi
#endif
	:: head < N && head == seen ->
		load(READER, TAIL, seen);
		assert(seen >= head && seen - head <= CAP);
		if
		:: seen > head
		:: else ->
			doorbell_arm(READER);
#ifndef NOLOOK
			load(READER, TAIL, seen);
#endif
			if
			:: seen > head ->
				doorbell_disarm(READER)
			:: else ->
				eventfd[READER];	/* sleeps */
				doorbell_answer(READER)
			fi
		fi
	od
}

init {
	atomic {
		run drain(WRITER);
		run drain(READER);
		run writer();
		run reader()
	}
}
