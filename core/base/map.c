/*
 * Chained hash table and the hashes that feed it.
 *
 * Slots double when there are as many nodes as slots, and never shrink: a walk
 * may therefore delete what it stands on. hash_str() is SipHash-1-3 (Aumasson,
 * Bernstein 2012; the 1-3 rounds of Linux and Rust's hash tables), keyed once a
 * process, so that a peer who chooses keys cannot choose their slots.
 */
#include "core/base/map.h"

#include <errno.h>
#include <pthread.h>
#include <sys/random.h>

enum { SLOTS_MIN = 8 };

void map_fini(struct map *m)
{
	free(m->slot);
	*m = (struct map){0};
}

static struct map_node **slot_of(const struct map *m, uint64_t hash)
{
	return &m->slot[hash & (m->cap - 1)];
}

static void grow(struct map *m)
{
	struct map old = *m;

	m->cap = old.cap ? old.cap * 2 : SLOTS_MIN;
	m->slot = mem_new(m->cap * sizeof(struct map_node *));
	for (size_t i = 0; i < old.cap; i++) {
		struct map_node *n = old.slot[i];

		while (n) {
			struct map_node *next = n->next;
			struct map_node **at = slot_of(m, n->hash);

			n->next = *at;
			*at = n;
			n = next;
		}
	}
	free(old.slot);
}

void map_put(struct map *m, struct map_node *n, uint64_t hash)
{
	struct map_node **at;

	if (m->n >= m->cap)
		grow(m);
	at = slot_of(m, hash);
	*n = (struct map_node){.next = *at, .hash = hash};
	*at = n;
	m->n++;
}

void map_del(struct map *m, struct map_node *n)
{
	struct map_node **at;

	check(m->n > 0);
	at = slot_of(m, n->hash);
	while (*at != n) {
		check(*at);
		at = &(*at)->next;
	}
	*at = n->next;
	n->next = NULL;
	m->n--;
}

static struct map_node *match(struct map_node *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct map_node *map_find(const struct map *m, uint64_t hash)
{
	return m->cap > 0 ? match(*slot_of(m, hash), hash) : NULL;
}

struct map_node *map_same(const struct map_node *n)
{
	return match(n->next, n->hash);
}

void map_walk(
	struct map *m, bool (*fn)(struct map_node *n, void *ctx), void *ctx)
{
	for (size_t i = 0; i < m->cap; i++) {
		struct map_node *n = m->slot[i];

		while (n) {
			struct map_node *next = n->next;

			if (!fn(n, ctx))
				return;
			n = next;
		}
	}
}

/* The secret of this process; written once, before anybody reads it. */
static uint64_t hash_key[2];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void hash_key_init(void)
{
	ssize_t r;

	do
		r = getrandom(hash_key, sizeof(hash_key), 0);
	while (r < 0 && errno == EINTR);
	/* getrandom(2): up to 256 bytes always come whole. */
	check(r == (ssize_t)sizeof(hash_key));
}

static const uint64_t *key_get(void)
{
	check(pthread_once(&hash_once, hash_key_init) == 0);
	return hash_key;
}

/* Finalizer of MurmurHash3: a bijection, so no two numbers share a hash. */
uint64_t hash_u64(uint64_t v)
{
	const uint64_t *key = key_get();

	v = (v ^ key[0]) + key[1];
	v = (v ^ v >> 33) * 0xff51afd7ed558ccdu;
	v = (v ^ v >> 33) * 0xc4ceb9fe1a85ec53u;
	return v ^ v >> 33;
}

static uint64_t rotl(uint64_t v, unsigned by)
{
	return v << by | v >> (64 - by);
}

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v2 += s->v3;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v1;
	s->v0 += s->v3;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 = rotl(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t w)
{
	s->v3 ^= w;
	sip_round(s);
	s->v0 ^= w;
}

uint64_t hash_sip13(const uint64_t key[2], struct str str)
{
	struct sip s = {
		key[0] ^ 0x736f6d6570736575u,
		key[1] ^ 0x646f72616e646f6du,
		key[0] ^ 0x6c7967656e657261u,
		key[1] ^ 0x7465646279746573u,
	};
	uint64_t last = (uint64_t)str.n << 56;
	size_t at = 0;

	for (; str.n - at >= 8; at += 8) {
		uint64_t w;

		memcpy(&w, str.p + at, 8);
		sip_word(&s, w);
	}
	for (unsigned i = 0; at + i < str.n; i++)
		last |= (uint64_t)(unsigned char)str.p[at + i] << (8 * i);
	sip_word(&s, last);
	s.v2 ^= 0xff;
	sip_round(&s);
	sip_round(&s);
	sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t hash_str(struct str s)
{
	return hash_sip13(key_get(), s);
}
