/*
 * A Maildir with its Maildir++ folders: cur/ and new/ of each, in the order of the
 * names (they begin with the time). Folders are made known even when they are
 * empty, parents first.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/jmapctl/import.h"
#include "cmd/jmapctl/maildir.h"
#include "core/base/utf8.h"

#define FOLDERS_FILE_MAX ((size_t)16 << 20)
#define MORE_FILE_MAX ((size_t)1 << 30)
#define DEPTH 32 /* levels that a folder's name may have */

struct level {
	struct str name[DEPTH];
	unsigned n;
};

struct dir {
	struct str name; /* ".Up.Down", or "." */
	struct level path;
	struct transfer_folder head;
	struct str role;
	uint32_t number;
};

/* Keywords of a message that has more than letters can say. */
struct more {
	struct map_node node;
	struct str unique, keywords;
};

struct maildir {
	struct import *im;
	const char *path;
	struct arena arena;
	struct str folders; /* jmapd-folders */
	struct dir *dir;
	size_t dirs, dirs_cap;
	/* Of the folder that is read: */
	const struct dir *at;
	struct maildir_letters letters;
	struct arena more_arena;
	struct map more;
	struct buf raw, file, keywords;
};

/* ---- names ---------------------------------------------------------------- */

struct names {
	char **at;
	size_t n, cap;
};

static void names_fini(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->at[i]);
	free(l->at);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is in a folder; none when the folder is not there. */
static int names_read(const char *path, struct names *l, struct err *e)
{
	DIR *d = opendir(path);
	struct dirent *f;
	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, "%s", path);
	while ((f = readdir(d))) {
		if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, ".."))
			continue;
		if (l->n == l->cap) {
			l->cap = max_of(l->cap * 2, (size_t)256);
			l->at = mem_grow(l->at, l->cap * sizeof(*l->at));
		}
		l->at[l->n++] = mem_strdup(f->d_name);
	}
	closedir(d);
	if (l->n)
		qsort(l->at, l->n, sizeof(*l->at), by_name);
	return 0;
}

bool maildir_is(const char *path)
{
	static const char *const parts[] = {"cur", "new"};
	for (size_t i = 0; i < countof(parts); i++) {
		struct buf sub cleanup(buf_fini) = {0};
		struct stat st;
		buf_fmt(&sub, "%s/%s", path, parts[i]);
		if (stat(buf_z(&sub), &st) == 0 && S_ISDIR(st.st_mode))
			return true;
	}
	return false;
}

/* ---- folders -------------------------------------------------------------- */

/* The line of jmapd-folders that tells of it. */
static bool told_folder(struct maildir *m, struct dir *d)
{
	struct str rest = m->folders, line, dir, sort, flag;
	uint64_t v;
	bool found = false;
	while (str_cut(&rest, '\n', &line)) {
		struct str name, role;
		if (!str_cut(&line, '\t', &dir) || !str_eq(dir, d->name) ||
			!str_cut(&line, '\t', &role) ||
			!str_cut(&line, '\t', &sort) || !str_u64(sort, &v) ||
			!str_cut(&line, '\t', &flag))
			continue;
		d->role = role;
		d->head = (struct transfer_folder){
			.sort_order = (uint32_t)v,
			.flags = FOLDER_EXACT,
		};
		if (str_eq(flag, STR("1")))
			d->head.flags |= FOLDER_SUBSCRIBED;
		d->path.n = 0;
		while (d->path.n < DEPTH && str_cut(&line, '\t', &name))
			d->path.name[d->path.n++] = name;
		found = d->path.n > 0;
	}
	return found;
}

/* One level: modified UTF-7, else UTF-8, else whatever can be read of it. */
static struct str level_name(struct maildir *m, struct str s)
{
	struct buf out cleanup(buf_fini) = {0};
	if (utf7_decode(s, &out))
		return arena_str(&m->arena, buf_str(&out));
	while (!utf8_valid(s) && s.n) {
		char c[4];
		uint32_t cp;
		s = str_skip(s, utf8_decode(s, &cp));
		buf_add(&out, c, utf8_encode(cp, c));
	}
	buf_adds(&out, s);
	return arena_str(&m->arena, buf_str(&out));
}

static void split_folder(struct maildir *m, struct dir *d)
{
	struct str rest = str_skip(d->name, 1), name;
	if (!rest.n)
		d->path.name[d->path.n++] = STR("INBOX");
	while (d->path.n < DEPTH && str_cut(&rest, '.', &name))
		if (name.n)
			d->path.name[d->path.n++] = level_name(m, name);
}

static void add_dir(struct maildir *m, struct str name)
{
	if (m->dirs == m->dirs_cap) {
		m->dirs_cap = max_of(m->dirs_cap * 2, (size_t)64);
		m->dir = mem_grow(m->dir, m->dirs_cap * sizeof(*m->dir));
	}
	struct dir *d = &m->dir[m->dirs++];
	*d = (struct dir){.name = arena_str(&m->arena, name)};
	if (!told_folder(m, d))
		split_folder(m, d);
}

static int by_depth(const void *a, const void *b)
{
	const struct dir *x = a, *y = b;
	if (x->path.n != y->path.n)
		return x->path.n < y->path.n ? -1 : 1;
	return str_cmp(x->name, y->name);
}

static int find_dirs(struct maildir *m, struct err *e)
{
	struct buf path cleanup(buf_fini) = {0}, text cleanup(buf_fini) = {0};
	struct names l = {0};
	buf_fmt(&path, "%s/" MAILDIR_FOLDERS, m->path);
	int ret = file_read(buf_z(&path), FOLDERS_FILE_MAX, &text, e);
	m->folders = arena_str(&m->arena, buf_str(&text));
	if (ret == 0)
		ret = names_read(m->path, &l, e);
	if (ret == 0)
		add_dir(m, STR("."));
	for (size_t i = 0; i < l.n && ret == 0; i++) {
		buf_reset(&path);
		buf_fmt(&path, "%s/%s", m->path, l.at[i]);
		if (l.at[i][0] == '.' && maildir_is(buf_z(&path)))
			add_dir(m, str_of(l.at[i]));
	}
	names_fini(&l);
	if (m->dirs)
		qsort(m->dir, m->dirs, sizeof(*m->dir), by_depth);
	return ret;
}

/* Below --mailbox nothing has a role, and the Maildir's own messages are in it. */
static int make_known(struct maildir *m, struct dir *d, struct err *e)
{
	bool moved = m->im->args->mailbox != NULL;
	bool top = str_eq(d->name, STR("."));
	int ret = 0;
	if (moved || (top && !(d->head.flags & FOLDER_EXACT)))
		ret = import_top(m->im, &d->number, e);
	if (top && d->number)
		return ret;
	for (unsigned i = 0; i < d->path.n && ret == 0; i++) {
		bool told = i + 1 == d->path.n && !moved;
		ret = import_folder(m->im, d->number, d->path.name[i],
			told ? &d->head : NULL, told ? d->role : STR_NONE,
			&d->number, e);
	}
	return ret;
}

/* ---- messages ------------------------------------------------------------- */

static int read_more(struct maildir *m, const char *dir, struct err *e)
{
	struct buf path cleanup(buf_fini) = {0}, text cleanup(buf_fini) = {0};
	struct str rest, line, unique;
	buf_fmt(&path, "%s/" MAILDIR_MORE, dir);
	int ret = file_read(buf_z(&path), MORE_FILE_MAX, &text, e);
	for (rest = buf_str(&text); ret == 0 && str_cut(&rest, '\n', &line);) {
		if (!str_cut(&line, '\t', &unique))
			continue;
		struct more *k = arena_new(&m->more_arena, sizeof(*k));
		k->unique = arena_str(&m->more_arena, unique);
		k->keywords = arena_str(&m->more_arena, line);
		map_put(&m->more, &k->node, hash_str(unique));
	}
	return ret;
}

static void add_keyword(struct maildir *m, struct str k)
{
	if (m->keywords.n && k.n)
		buf_addc(&m->keywords, ' ');
	buf_adds(&m->keywords, k);
}

static void read_keywords(struct maildir *m, const struct maildir_name *n)
{
	struct map_node *node;
	buf_reset(&m->keywords);
	for (size_t i = 0; i < n->flags.n; i++) {
		m->im->trashed += n->flags.p[i] == 'T';
		add_keyword(m, maildir_keyword(&m->letters, n->flags.p[i]));
	}
	map_each (&m->more, hash_str(n->unique), node) {
		const struct more *k = container_of(node, struct more, node);
		if (str_eq(k->unique, n->unique))
			add_keyword(m, k->keywords);
	}
}

static int64_t time_of_file(const char *path, struct str raw)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return import_time_of(raw);
	return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

static int one_message(
	struct maildir *m, const char *sub, const char *name, struct err *e)
{
	struct maildir_name n;
	buf_reset(&m->file);
	buf_fmt(&m->file, "%s/%s", sub, name);
	const char *path = buf_z(&m->file);
	if (!import_read(m->im, path, &m->raw))
		return 0;
	maildir_name_read(str_of(name), &n);
	read_keywords(m, &n);
	return import_message(m->im,
		&(struct import_message){
			.where = path,
			.raw = buf_str(&m->raw),
			.as_is = n.crlf,
			.folder = m->at->number,
			.received_ms = n.has_time ? n.received_ms
						  : time_of_file(path,
							    buf_str(&m->raw)),
			.keywords = buf_str(&m->keywords),
		},
		e);
}

static int each_message(struct maildir *m, const char *sub, struct err *e)
{
	struct names l = {0};
	int ret = names_read(sub, &l, e);
	for (size_t i = 0; i < l.n && ret == 0; i++) {
		if (l.at[i][0] != '.')
			ret = one_message(m, sub, l.at[i], e);
		import_progress(m->im, m->im->done + 1);
	}
	names_fini(&l);
	return ret;
}

static int one_folder(struct maildir *m, const struct dir *d, struct err *e)
{
	struct buf path cleanup(buf_fini) = {0}, sub cleanup(buf_fini) = {0};
	buf_addz(&path, m->path);
	if (!str_eq(d->name, STR(".")))
		buf_fmt(&path, "/%.*s", STR_ARG(d->name));
	m->at = d;
	int ret = maildir_letters_read(&m->letters, buf_z(&path), e);
	if (ret == 0)
		ret = read_more(m, buf_z(&path), e);
	buf_fmt(&sub, "%s/new", buf_z(&path));
	if (ret == 0)
		ret = each_message(m, buf_z(&sub), e);
	buf_reset(&sub);
	buf_fmt(&sub, "%s/cur", buf_z(&path));
	if (ret == 0)
		ret = each_message(m, buf_z(&sub), e);
	maildir_letters_fini(&m->letters);
	m->letters = (struct maildir_letters){0};
	map_fini(&m->more);
	m->more = (struct map){0};
	arena_fini(&m->more_arena);
	return ret;
}

/* How many there are, for the progress that a terminal shows. */
static int count_all(struct maildir *m, struct err *e)
{
	static const char *const parts[] = {"cur", "new"};
	int ret = 0;
	for (size_t i = 0; i < m->dirs * 2 && ret == 0; i++) {
		struct buf path cleanup(buf_fini) = {0};
		struct names l = {0};
		buf_fmt(&path, "%s/%.*s/%s", m->path,
			STR_ARG(m->dir[i / 2].name), parts[i % 2]);
		ret = names_read(buf_z(&path), &l, e);
		m->im->units += l.n;
		names_fini(&l);
	}
	return ret;
}

int import_maildir(struct import *im, const char *path, struct err *e)
{
	struct maildir m = {.im = im, .path = path};
	int ret = find_dirs(&m, e);
	if (ret == 0 && im->terminal)
		ret = count_all(&m, e);
	for (size_t i = 0; i < m.dirs && ret == 0; i++)
		ret = make_known(&m, &m.dir[i], e);
	for (size_t i = 0; i < m.dirs && ret == 0; i++)
		ret = one_folder(&m, &m.dir[i], e);
	arena_fini(&m.arena);
	free(m.dir);
	buf_fini(&m.raw);
	buf_fini(&m.file);
	buf_fini(&m.keywords);
	return ret;
}
