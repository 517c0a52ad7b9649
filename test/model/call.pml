/*
 * The call and reply rings across the death of either side: what is asked once is
 * done at most once, and everything is answered. Names as in
 * cmd/jmapd/worker/rings.c, cmd/jmapd/store/call.c and link.c, and
 * cmd/jmapd/master/links.c.
 *
 * One connection of a worker asks a write and then a read. The store takes calls
 * off the ring in order; a write runs in the account's turn: CALL_WRITING is put,
 * then the commit, then the reply. Either role may be killed between any two
 * steps; the master then starts it again and joins both by a new link, whose
 * memory is new. A worker that comes back has other clients, which ask anew.
 *
 * Properties:
 *  - a write is committed at most once, whoever dies, and one that was answered
 *    with success was committed;
 *  - a read does not overtake the earlier write of its connection, not even when
 *    both are asked again, unless that write's end is unknown (503);
 *  - no answer comes to who did not ask, or comes twice;
 *  - every call of a worker that lives is answered: else it waits for ever, which
 *    spin reports as an invalid end state.
 *
 * Rings are channels: that a record is whole when it is seen is ring.c's proof, and
 * that nobody sleeps too long doorbell.pml's.
 *
 * Broken on purpose, must fail:
 *   NOWRITING     the commit is not announced by CALL_WRITING
 *   NOLASTWORDS   what the store said before it died is not read
 *   CUTEARLY      the worker hears of the death before it is one
 *   BACKWARDS     calls are asked again last one first
 *   SAMEMEMORY    a new link has the memory of the one before
 */
#define DEATHS 2
#define LINKS 3		/* DEATHS + 1 */
#define LIVES 3
#define WRITE 0		/* the calls' ids; each life of a worker counts anew */
#define READ 1

mtype = { CALL, CALL_WRITING, REPLY };

chan calls[LINKS] = [1] of { byte };		/* id */
chan replies[LINKS] = [2] of { mtype, byte };

#ifdef SAMEMEMORY
#define memory(link) 0
#else
#define memory(link) (link)
#endif

/* The master: who lives, and what it told. A link is 1 + its number; 0: none. */
byte deaths, links;
bool store_up, worker_up;
byte store_life, worker_life;
byte link_of_store, link_of_worker;	/* as told to each */
bool unlinked;		/* CTL_UNLINK waits for the worker */
byte link_owner[LINKS];			/* life of its worker */

/* The database, by life of the worker that asked. */
byte committed[LIVES];

/* The worker's clients, by life. */
bool unknown[LIVES];	/* the write was answered 503 */

/* ---- the store: one process a life ------------------------------------------ */

/* A step of a process that may have been killed before it. */
#define lives(what) store_up && store_life == life && (what)

proctype store(byte life)
{
	byte link, id, owner;
	bool busy;

end:
	do
	/* store_link_up(), also in the place of one that is there */
	:: atomic { lives(!busy && link_of_store != link) ->
		link = link_of_store	/* store_link_down() drops its calls */
	   }
	/* on_call(): the account's turn keeps a read behind the write */
	:: atomic { lives(!busy && link && nempty(calls[memory(link - 1)])) ->
		calls[memory(link - 1)]?id;
		owner = link_owner[link - 1]
	   };
		if
		:: id == WRITE ->
			atomic {
				if
				:: lives(true) -> busy = true
				:: else -> goto dead
				fi
			};
#ifndef NOWRITING
			/* call_writing(); false: it does not write */
			atomic {
				if
				:: lives(nfull(replies[memory(link - 1)])) ->
					replies[memory(link - 1)]!CALL_WRITING, WRITE
				:: !(store_up && store_life == life) -> goto dead
				fi
			};
#endif
			atomic {
				if
				:: lives(true) ->
					committed[owner]++;
					assert(committed[owner] <= 1)
				:: else -> goto dead
				fi
			}
		:: id == READ ->
			atomic {
				if
				:: lives(true) ->
					busy = true;
					/* on a snapshot, behind the write */
					assert(committed[owner] == 1 ||
						unknown[owner] ||
						owner != worker_life ||
						!worker_up)
				:: else -> goto dead
				fi
			}
		fi;
		/* call_done() or call_feed(): into its own link, alive or not */
		atomic {
			if
			:: lives(nfull(replies[memory(link - 1)])) ->
				replies[memory(link - 1)]!REPLY, id
			:: lives(link_of_store != link)	/* nobody reads it */
			:: !(store_up && store_life == life) -> goto dead
			fi;
			busy = false
		}
	:: !(store_up && store_life == life) -> break
	od;
dead:
	skip
}

/* ---- the worker: one process a life ----------------------------------------- */

#define here worker_up && worker_life == life

inline on_record(type, id) {
	if
	:: type == CALL_WRITING -> writing[id] = true
	:: type == REPLY ->
		/* It asked that, and was not answered. */
		assert(opened[id] && !answered[id]);
		assert(id == READ || committed[life] == 1);
		answered[id] = true
	fi
}

/* rings_unlink(): each call that is left is given up or asked again. */
inline leave(id) {
	if
	:: answered[id]
	:: !answered[id] && writing[id] ->
		answered[id] = true;
		unknown[life] = true
	:: else -> opened[id] = false
	fi
}

proctype worker(byte life)
{
	byte link, id;
	mtype type;
	bool opened[2], writing[2], answered[2];
	byte first = WRITE, second = READ;

	do
	/* rings_link() */
	:: atomic { here && !link && !unlinked && link_of_worker ->
		link = link_of_worker
	   }
	/* pump(), in the order in which they were asked */
	:: atomic { here && link && !opened[first] && !answered[first] &&
			nfull(calls[memory(link - 1)]) ->
		calls[memory(link - 1)]!first;
		opened[first] = true
	   }
	:: atomic { here && link && !opened[second] && !answered[second] &&
			(opened[first] || answered[first]) &&
			nfull(calls[memory(link - 1)]) ->
		calls[memory(link - 1)]!second;
		opened[second] = true
	   }
	/* drain_replies() */
	:: atomic { here && link && nempty(replies[memory(link - 1)]) ->
		replies[memory(link - 1)]?type, id;
		on_record(type, id)
	   }
	/* rings_unlink() */
	:: atomic { here && unlinked ->
		unlinked = false;
#ifndef NOLASTWORDS
		do
		:: link && nempty(replies[memory(link - 1)]) ->
			replies[memory(link - 1)]?type, id;
			on_record(type, id)
		:: !link || empty(replies[memory(link - 1)]) -> break
		od;
#endif
		leave(WRITE);
		leave(READ);
#ifdef BACKWARDS
		first = READ;
		second = WRITE;
#endif
		link = 0
	   }
	:: here && answered[WRITE] && answered[READ] -> break
	:: !(here) -> break
	od
}

/* ---- the master ------------------------------------------------------------- */

/* join() */
inline links_make() {
	link_owner[links] = worker_life;
	links++;
	link_of_store = links;
	link_of_worker = links
}

inline links_cut() {
	unlinked = true;
	link_of_worker = 0
}

active proctype master()
{
	atomic {
		store_up = true;
		worker_up = true;
		links_make();
		run store(0);
		run worker(0)
	};
	do
	:: atomic { deaths < DEATHS ->	/* the store is killed */
		deaths++;
#ifdef CUTEARLY
		links_cut()
	   };
	   store_up = false;
#else
		store_up = false
	   };
	   atomic { links_cut() };
#endif
	   atomic {
		store_up = true;
		store_life++;
		links_make();
		run store(store_life)
	   }
	:: atomic { deaths < DEATHS ->	/* the worker is killed */
		deaths++;
		worker_up = false;
		unlinked = false
	   };
	   atomic {
		worker_up = true;
		worker_life++;
		links_make();
		run worker(worker_life)
	   }
	:: break
	od
}
