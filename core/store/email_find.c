/*
 * An email as a list view reads it: one statement, and only what is wanted is taken
 * out of it.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/store/internal.h"

static const struct {
	int bit;
	struct str name;
} flag[] = {
#define KEYWORD(bit, name) {bit, {name, sizeof(name) - 1}},
#include "core/store/keyword.def"
#undef KEYWORD
};

/* Flags first, then the others, which are separated by spaces. */
static void keywords_take(
	struct arena *a, int64_t flags, struct str rest, struct email *m)
{
	size_t n = (size_t)__builtin_popcountll((uint64_t)flags);
	struct str one, *at;

	m->keywords_n = 0;
	if (n == 0 && rest.n == 0)
		return;
	rest = arena_str(a, rest);
	m->keywords = at = arena_new(a, (n + rest.n / 2 + 1) * sizeof(*at));
	for (size_t i = 0; i < countof(flag); i++)
		if (flags & 1ll << flag[i].bit)
			at[m->keywords_n++] = flag[i].name;
	while (str_cut(&rest, ' ', &one))
		at[m->keywords_n++] = one;
}

static int row_take(struct db_stmt *s, uint64_t id, unsigned want,
	struct arena *a, struct email *m, struct err *e)
{
	struct str sha = db_bytes(s, 3);

	*m = (struct email){
		.id = id,
		.thread = (uint64_t)db_i64(s, 0),
		.received_ms = db_i64(s, 1),
		.size = (uint64_t)db_i64(s, 2),
	};
	if (sha.n != SHA256_LEN)
		return err_set(
			e, -EUCLEAN, "email %" PRIu64 " has no digest", id);
	memcpy(m->blob.sha, sha.p, SHA256_LEN);
	if (want & EMAIL_WANT_MAILBOXES)
		m->mailboxes_n = u64s_unpack(a, db_bytes(s, 4), &m->mailboxes);
	if (want & EMAIL_WANT_KEYWORDS)
		keywords_take(a, db_i64(s, 5), db_bytes(s, 6), m);
	if (!(want & EMAIL_WANT_CARD))
		return 1;
	if (db_is_null(s, 7))
		return err_set(
			e, -EUCLEAN, "email %" PRIu64 " has no body", id);
	m->card = arena_str(a, db_bytes(s, 7));
	return 1;
}

int email_find(struct tx *t, uint64_t id, unsigned want, struct arena *a,
	struct email *m_r, struct err *e)
{
	struct db_stmt *s;
	int ret = db_stmt(t->db,
		want & EMAIL_WANT_CARD
			? "SELECT thread, received, size, sha, mailboxes, "
			  "flags,"
			  " keywords, card FROM email LEFT JOIN body"
			  " ON body.id = email.id WHERE email.id = ?"
			: "SELECT thread, received, size, sha, mailboxes, "
			  "flags,"
			  " keywords FROM email WHERE id = ?",
		&s, e);

	if (ret < 0)
		return ret;
	db_bind_i64(s, 1, (int64_t)id);
	ret = db_step(s, e);
	if (ret > 0)
		ret = row_take(s, id, want, a, m_r, e);
	db_done(s);
	return ret;
}
