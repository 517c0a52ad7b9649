#include "proto/jmap/idset.h"

#include "core/base/map.h"

enum { CAP_MIN = 64 };

void idset_fini(struct idset *s)
{
	free(s->at);
	*s = (struct idset){0};
}

/* Where it is, or where it would be. */
static size_t place(const struct idset *s, uint64_t id)
{
	size_t i = hash_u64(id) & (s->cap - 1);

	while (s->at[i] && s->at[i] != id)
		i = (i + 1) & (s->cap - 1);
	return i;
}

bool idset_has(const struct idset *s, uint64_t id)
{
	return s->cap && id && s->at[place(s, id)] == id;
}

static void grow(struct idset *s)
{
	struct idset bigger = {.cap = max_of(s->cap * 2, (size_t)CAP_MIN)};

	bigger.at = mem_new(bigger.cap * sizeof(*bigger.at));
	bigger.n = s->n;
	for (size_t i = 0; i < s->cap; i++)
		if (s->at[i])
			bigger.at[place(&bigger, s->at[i])] = s->at[i];
	free(s->at);
	*s = bigger;
}

bool idset_add(struct idset *s, uint64_t id)
{
	size_t i;

	if (id == 0)
		return false;
	if (s->n * 2 >= s->cap)
		grow(s);
	i = place(s, id);
	if (s->at[i])
		return false;
	s->at[i] = id;
	s->n++;
	return true;
}
