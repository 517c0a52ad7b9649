/*
 * The change ring between the store and one worker: what happens to changes that
 * do not fit. Names as in ipc/notice.c; the rest is the rule that the store keeps
 * (ipc/README.md, "Changes that do not fit").
 *
 * Each account's executor commits (cur is the database) and then tells the
 * worker, under the ring's mutex. The store's loop subscribes the worker and
 * repairs what did not fit. The worker takes notices, relieves, sleeps.
 *
 * Two properties:
 *  - the worker ends where every type of every account stands: else it sleeps for
 *    ever, which spin reports as an invalid end state;
 *  - no gap: a client that leaves with the highest modseq it was told, and asks
 *    for what came later, misses nothing: every type that it was not told of
 *    stands above that modseq. Asserted at each notice.
 *
 * The interleaving here is sequential; doorbell.pml has the store buffers.
 *
 * Broken on purpose, must fail:
 *   NOMARK        what does not fit is not kept
 *   OVERTAKE      an account's later notices pass what was kept
 *   HIGHFIRST     the repair begins with the highest modseq
 *   SPLIT         types that stand at one modseq get a notice each
 *   PUSHFIRST     the baseline is read before the subscription stands
 *   NORELIEVE     the worker makes room and does not ring
 *   NOREPAIRLOOK  the store sleeps without trying its repair again
 */
#ifndef COMMITS
#define COMMITS 2	/* of one account; the other has one */
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#define ACCOUNTS 2
#define EMAIL 1		/* TYPE_BIT()s */
#define MAILBOX 2
#define ALL 3

#define at(a, bit) ((a) * 2 + ((bit) >> 1))
#define in(bit, mask) ((mask) & (bit))

/* The database: where each type of each account stands. */
byte cur[4];
byte finished;		/* executors */

/* The subscriber table: one entry an account, for this worker; mutex guards. */
bool mutex;
bool watched[ACCOUNTS];
byte missed[ACCOUNTS];
byte stand[4];

/* The ring and its doorbells. */
chan ring = [SLOTS] of { byte, byte, byte };	/* account, types, modseq */
bool starved;
bool worker_sleeps, worker_rung, store_sleeps, store_rung;

/* What the worker knows. */
byte told[4];
byte token[ACCOUNTS];	/* highest modseq told: pushState */

/* Taken at the head of an atomic, which then goes on. */
#define lock() !mutex -> mutex = true
#define unlock() mutex = false

inline doorbell_ring(sleeps, rung) {
	atomic {
		if
		:: sleeps ->
			sleeps = false;
			rung = true
		:: else
		fi
	}
}

/* The worker may run before and after the mark, not within a step. */
inline notice_put(a, types, modseq) {
	if
	:: atomic { nfull(ring) -> ring!a, types, modseq; ok = true }
	:: atomic { full(ring) -> starved = true };
		if
		:: atomic { nfull(ring) -> ring!a, types, modseq; ok = true }
		:: atomic { full(ring) -> ok = false }
		fi
	fi
}

inline stand_at(a, types, modseq) {
	d_step {
		if
		:: in(EMAIL, types) -> stand[at(a, EMAIL)] = modseq
		:: else
		fi;
		if
		:: in(MAILBOX, types) -> stand[at(a, MAILBOX)] = modseq
		:: else
		fi
	}
}

/* After the commit, still in the account's turn. */
inline tell(a, types, modseq) {
	atomic {
		lock();
		kept = missed[a];
		if
		:: watched[a] -> stand_at(a, types, modseq)
		:: else
		fi
	}
	if
#ifdef OVERTAKE
	:: watched[a] ->
#else
	:: watched[a] && !kept ->
#endif
		notice_put(a, types, modseq)
	:: else ->
		ok = false
	fi;
	atomic {
#ifndef NOMARK
		if
		:: watched[a] && !ok -> missed[a] = missed[a] | types
		:: else
		fi;
#endif
		kept = 0;
		types = 0;
		ok = false;
		unlock()
	}
	doorbell_ring(worker_sleeps, worker_rung)
}

/* One transaction: it takes the next modseq for the types that it changes. */
inline commit(a, types, modseq) {
	atomic {
		if
		:: types = EMAIL
		:: a == 0 -> types = MAILBOX
		:: a == 0 -> types = ALL
		fi;
		modseq++;
		if
		:: in(EMAIL, types) -> cur[at(a, EMAIL)] = modseq
		:: else
		fi;
		if
		:: in(MAILBOX, types) -> cur[at(a, MAILBOX)] = modseq
		:: else
		fi
	}
}

proctype executor(byte a; byte commits) {
	byte modseq, types, kept;
	bool ok;

	do
	:: modseq == commits ->
		break
	:: modseq < commits ->
		commit(a, types, modseq);
		tell(a, types, modseq)
	od;
	finished++
}

inline read_snapshot(a) {
	d_step {
		email = cur[at(a, EMAIL)];
		mailbox = cur[at(a, MAILBOX)]
	}
}

inline watch(a) {
	atomic {
		lock();
		watched[a] = true;
		missed[a] = ALL;	/* nothing was told: all is missed */
		unlock()
	}
}

/* A notice may have come in since: the newer one stands. */
/* A notice may have come in since: the newer one stands. */
inline merge_snapshot(a) {
	atomic {
		lock();
		if
		:: stand[at(a, EMAIL)] < email -> stand[at(a, EMAIL)] = email
		:: else
		fi;
		if
		:: stand[at(a, MAILBOX)] < mailbox ->
			stand[at(a, MAILBOX)] = mailbox
		:: else
		fi;
		email = 0;
		mailbox = 0;
		unlock()
	}
}

inline subscribe(a) {
#ifdef PUSHFIRST
	read_snapshot(a);
	watch(a);
#else
	watch(a);
	read_snapshot(a);
#endif
	merge_snapshot(a)
}

/* types = those of missed[a] to write next, modseq = where they stand. */
inline next_group(a) {
	d_step {
		email = stand[at(a, EMAIL)];
		mailbox = stand[at(a, MAILBOX)];
		if
		:: missed[a] != ALL ->
			types = missed[a]
#ifdef SPLIT
		:: missed[a] == ALL && email <= mailbox ->
			types = EMAIL
		:: missed[a] == ALL && email > mailbox ->
			types = MAILBOX
#else
		:: missed[a] == ALL && email == mailbox ->
			types = ALL
#ifdef HIGHFIRST
		:: missed[a] == ALL && email > mailbox ->
			types = EMAIL
		:: missed[a] == ALL && email < mailbox ->
			types = MAILBOX
#else
		:: missed[a] == ALL && email < mailbox ->
			types = EMAIL
		:: missed[a] == ALL && email > mailbox ->
			types = MAILBOX
#endif
#endif
		fi;
		modseq = (in(EMAIL, types) -> email : mailbox);
		email = 0;
		mailbox = 0
	}
}

inline repair(a) {
	if
	:: atomic { !mutex && missed[a] -> mutex = true; ok = true };
		do
		:: atomic { missed[a] && ok -> next_group(a) };
			notice_put(a, types, modseq);
			if
			:: ok -> missed[a] = missed[a] & (ALL - types)
			:: else
			fi
		:: atomic { !missed[a] || !ok -> break }
		od;
		atomic {
			types = 0;
			modseq = 0;
			ok = false;
			unlock()
		}
		doorbell_ring(worker_sleeps, worker_rung)
	:: atomic { !mutex && !missed[a] }
	fi
}

proctype store_loop() {
	byte email, mailbox, types, modseq;
	bool ok;

	subscribe(0);
	repair(0);
	do
	:: store_sleeps = true;		/* doorbell_arm */
#ifndef NOREPAIRLOOK
	   repair(0);
	   repair(1);
#endif
end:	   atomic {
		store_rung ->		/* slept */
		store_sleeps = false;	/* doorbell_answer */
		store_rung = false
	   }
	   repair(0);
	   repair(1)
	od
}

#define newest(a) (told[at(a, EMAIL)] == cur[at(a, EMAIL)] && \
	told[at(a, MAILBOX)] == cur[at(a, MAILBOX)])
#define no_gap(a, bit) (told[at(a, bit)] == cur[at(a, bit)] || \
	cur[at(a, bit)] > token[a])

inline on_notice() {
	d_step {
		assert(modseq >= token[a]);
		token[a] = modseq;
		if
		:: in(EMAIL, types) -> told[at(a, EMAIL)] = modseq
		:: else
		fi;
		if
		:: in(MAILBOX, types) -> told[at(a, MAILBOX)] = modseq
		:: else
		fi;
		assert(no_gap(a, EMAIL));
		assert(no_gap(a, MAILBOX));
		a = 0;
		types = 0;
		modseq = 0
	}
}

proctype worker() {
	byte a, types, modseq;
	bool was;

	do
	:: ring?a, types, modseq ->	/* notice_get */
		on_notice()
	:: empty(ring) ->
#ifndef NORELIEVE
		atomic {		/* notice_relieve */
			was = starved;
			starved = false
		}
		if
		:: was -> doorbell_ring(store_sleeps, store_rung)
		:: else
		fi;
		was = false;
#endif
		worker_sleeps = true;	/* doorbell_arm */
		if
		:: nempty(ring)
		:: empty(ring) ->	/* sleeps */
			if
			:: worker_rung
			:: finished == ACCOUNTS && newest(0) && newest(1) ->
				break
			fi
		fi;
		atomic {		/* doorbell_answer */
			worker_sleeps = false;
			worker_rung = false
		}
	od
}

init {
	atomic {
		watched[1] = true;
		run executor(0, COMMITS);
		run executor(1, 1);
		run store_loop();
		run worker()
	}
}
