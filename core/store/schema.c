/*
 * Schema versions of the two kinds of files (schema.def), and how a file comes to
 * the newest one: all its steps in one transaction.
 */
#include <errno.h>
#include <inttypes.h>

#include "core/store/internal.h"

struct step {
	int version;
	const char *sql;
};

static const struct step mail_steps[] = {
#define MAIL(version, sql) {version, sql},
#define DIRECTORY(version, sql)
#include "core/store/schema.def"
#undef MAIL
#undef DIRECTORY
};
static const struct step directory_steps[] = {
#define MAIL(version, sql)
#define DIRECTORY(version, sql) {version, sql},
#include "core/store/schema.def"
#undef MAIL
#undef DIRECTORY
};

static int run_steps(struct db *db, const struct step *step, size_t n,
	int64_t from, struct err *e)
{
	int ret;

	for (size_t i = 0; i < n; i++) {
		if (step[i].version <= from)
			continue;
		ret = db_exec(db, step[i].sql, e);
		if (ret < 0)
			return ret;
	}
	return db_set_version(db, step[n - 1].version, e);
}

static int upgrade(
	struct db *db, const struct step *step, size_t n, struct err *e)
{
	int64_t newest = step[n - 1].version, is;
	int ret = db_version(db, &is, e);

	if (ret < 0)
		return ret;
	if (is > newest)
		return err_set(e, -EPROTO,
			"data-dir was written by a newer jmapd (schema "
			"%" PRId64 ", this one knows %" PRId64 ")",
			is, newest);
	if (is == newest)
		return 0;
	ret = db_begin(db, true, e);
	if (ret < 0)
		return ret;
	ret = run_steps(db, step, n, is, e);
	if (ret < 0) {
		db_rollback(db);
		return ret;
	}
	return db_commit(db, e);
}

int schema_mail(struct db *db, struct err *e)
{
	return upgrade(db, mail_steps, countof(mail_steps), e);
}

int schema_directory(struct db *db, struct err *e)
{
	return upgrade(db, directory_steps, countof(directory_steps), e);
}
