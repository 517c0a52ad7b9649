#include "cmd/jmapctl/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/utf8.h"

/* ---- modified UTF-7 ------------------------------------------------------- */

/* RFC 3501 5.1.3: base 64 with ',' for '/', no padding. */
static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "abcdefghijklmnopqrstuvwxyz0123456789+,";

static int digit_of(char c)
{
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* UTF-16 units, one after the other, become characters. */
static bool add_unit(uint32_t unit, uint32_t *high, struct buf *out)
{
	char c[4];
	if (unit >= 0xd800 && unit < 0xdc00) {
		if (*high)
			return false;
		*high = unit;
		return true;
	}
	if (unit >= 0xdc00 && unit < 0xe000) {
		if (!*high)
			return false;
		unit = 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00);
		*high = 0;
	}
	if (*high)
		return false;
	buf_add(out, c, utf8_encode(unit, c));
	return true;
}

/* What stands between '&' and '-'. */
static bool decode_run(struct str s, struct buf *out)
{
	uint32_t bits = 0, high = 0;
	unsigned n = 0;
	if (!s.n) {
		buf_addc(out, '&');
		return true;
	}
	for (size_t i = 0; i < s.n; i++) {
		int d = digit_of(s.p[i]);
		if (d < 0)
			return false;
		bits = bits << 6 | (uint32_t)d;
		n += 6;
		if (n < 16)
			continue;
		n -= 16;
		if (!add_unit(bits >> n & 0xffff, &high, out))
			return false;
		bits &= (1u << n) - 1;
	}
	return n < 6 && !bits && !high;
}

static bool decode(struct str s, struct buf *out)
{
	while (s.n) {
		size_t plain = str_find(s, '&');
		for (size_t i = 0; i < plain; i++)
			if ((uint8_t)s.p[i] < 0x20 || (uint8_t)s.p[i] >= 0x7f)
				return false;
		buf_add(out, s.p, plain);
		s = str_skip(s, plain);
		if (!s.n)
			break;
		s = str_skip(s, 1);
		size_t end = str_find(s, '-');
		if (end == s.n || !decode_run(str_n(s.p, end), out))
			return false;
		s = str_skip(s, end + 1);
	}
	return true;
}

bool utf7_decode(struct str s, struct buf *out)
{
	struct buf text cleanup(buf_fini) = {0};
	if (!decode(s, &text) || !utf8_valid(buf_str(&text)))
		return false;
	buf_adds(out, buf_str(&text));
	return true;
}

struct run {
	uint32_t bits;
	unsigned n;
	bool open;
};

static void put_unit(struct run *r, uint32_t unit, struct buf *out)
{
	r->bits = r->bits << 16 | unit;
	r->n += 16;
	while (r->n >= 6) {
		r->n -= 6;
		buf_addc(out, digits[r->bits >> r->n & 63]);
	}
	r->bits &= (1u << r->n) - 1;
}

static void close_run(struct run *r, struct buf *out)
{
	if (!r->open)
		return;
	if (r->n)
		buf_addc(out, digits[r->bits << (6 - r->n) & 63]);
	buf_addc(out, '-');
	*r = (struct run){0};
}

static void put_coded(struct run *r, uint32_t cp, struct buf *out)
{
	if (!r->open)
		buf_addc(out, '&');
	r->open = true;
	if (cp >= 0x10000) {
		put_unit(r, 0xd800 + ((cp - 0x10000) >> 10), out);
		cp = 0xdc00 + ((cp - 0x10000) & 0x3ff);
	}
	put_unit(r, cp, out);
}

void utf7_encode(struct str s, const char *also, struct buf *out)
{
	struct run r = {0};
	uint32_t cp;
	while (s.n) {
		s = str_skip(s, utf8_decode(s, &cp));
		if (cp < 0x20 || cp >= 0x7f || strchr(also, (int)cp)) {
			put_coded(&r, cp, out);
			continue;
		}
		close_run(&r, out);
		buf_addc(out, (char)cp);
		if (cp == '&')
			buf_addc(out, '-');
	}
	close_run(&r, out);
}

/* ---- names of files ------------------------------------------------------- */

static struct str digits_of(struct str s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return str_n(s.p, n);
}

/* "<seconds>.M<microseconds>...": the second part may be anything else. */
static void read_time(struct str s, struct maildir_name *n)
{
	struct str sec = digits_of(s);
	uint64_t v;
	if (!str_u64(sec, &v) || v > INT64_MAX / 1000000 || sec.n == s.n ||
		s.p[sec.n] != '.')
		return;
	n->has_time = true;
	n->received_ms = (int64_t)v * 1000;
	s = str_skip(s, sec.n + 1);
	if (!str_starts(s, STR("M")))
		return;
	if (str_u64(digits_of(str_skip(s, 1)), &v) && v < 1000000)
		n->received_ms += (int64_t)v / 1000;
}

void maildir_name_read(struct str file, struct maildir_name *n)
{
	struct str rest = file, part, size = STR_NONE, crlf = STR_NONE;
	size_t info = str_find(file, ':');
	*n = (struct maildir_name){0};
	if (str_starts(str_skip(file, info), STR(":2,")))
		n->flags = str_skip(file, info + 3);
	rest.n = info;
	str_cut(&rest, ',', &n->unique);
	while (str_cut(&rest, ',', &part)) {
		if (str_starts(part, STR("S=")))
			size = str_skip(part, 2);
		else if (str_starts(part, STR("W=")))
			crlf = str_skip(part, 2);
	}
	n->crlf = size.n && str_eq(size, crlf);
	read_time(n->unique, n);
}

void maildir_name_write(struct buf *out, int64_t received_ms, uint64_t id,
	uint32_t run, uint64_t size)
{
	if (received_ms >= 0)
		buf_fmt(out, "%" PRId64 ".M%06dQ", received_ms / 1000,
			(int)(received_ms % 1000) * 1000);
	else
		buf_addz(out, "early.Q");
	buf_fmt(out, "%" PRIu64 "R%08x.jmapd,S=%" PRIu64 ",W=%" PRIu64, id, run,
		size, size);
}

/* ---- keywords ------------------------------------------------------------- */

static const struct {
	char flag;
	struct str keyword;
} standard[] = {
#define FLAG(letter, keyword)                        \
	{                                            \
		letter,                              \
		{                                    \
			keyword, sizeof(keyword) - 1 \
		}                                    \
	}
	FLAG('S', "$seen"),
	FLAG('R', "$answered"),
	FLAG('F', "$flagged"),
	FLAG('D', "$draft"),
	FLAG('P', "$forwarded"),
#undef FLAG
};

struct str maildir_keyword(const struct maildir_letters *l, char flag)
{
	for (size_t i = 0; i < countof(standard); i++)
		if (standard[i].flag == flag)
			return standard[i].keyword;
	return flag >= 'a' && flag <= 'z' ? str_of(l->name[flag - 'a'])
					  : STR_NONE;
}

char maildir_flag(struct maildir_letters *l, struct str keyword)
{
	int room = -1;
	for (size_t i = 0; i < countof(standard); i++)
		if (str_eq(standard[i].keyword, keyword))
			return standard[i].flag;
	for (int i = 0; i < MAILDIR_LETTERS; i++) {
		if (l->name[i] && str_eq(str_of(l->name[i]), keyword))
			return (char)('a' + i);
		if (!l->name[i] && room < 0)
			room = i;
	}
	if (room < 0)
		return 0;
	l->name[room] = str_dup(keyword);
	l->changed = true;
	return (char)('a' + room);
}

int maildir_letters_read(
	struct maildir_letters *l, const char *dir, struct err *e)
{
	struct buf path cleanup(buf_fini) = {0}, text cleanup(buf_fini) = {0};
	struct str rest, line, number;
	uint64_t n;
	buf_fmt(&path, "%s/" MAILDIR_KEYWORDS, dir);
	int ret = file_read(buf_z(&path), 65536, &text, e);
	if (ret < 0)
		return ret;
	for (rest = buf_str(&text); str_cut(&rest, '\n', &line);) {
		if (!str_cut(&line, ' ', &number) || !str_u64(number, &n) ||
			n >= MAILDIR_LETTERS || !line.n)
			continue;
		free(l->name[n]);
		l->name[n] = str_dup(line);
		for (char *c = l->name[n]; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c | 0x20);
	}
	return 0;
}

int maildir_letters_write(
	const struct maildir_letters *l, const char *dir, struct err *e)
{
	struct buf path cleanup(buf_fini) = {0}, text cleanup(buf_fini) = {0};
	if (!l->changed)
		return 0;
	for (int i = 0; i < MAILDIR_LETTERS; i++)
		if (l->name[i])
			buf_fmt(&text, "%d %s\n", i, l->name[i]);
	buf_fmt(&path, "%s/" MAILDIR_KEYWORDS, dir);
	return file_write(buf_z(&path), buf_str(&text), e);
}

void maildir_letters_fini(struct maildir_letters *l)
{
	for (int i = 0; i < MAILDIR_LETTERS; i++)
		free(l->name[i]);
}

/* ---- small files ---------------------------------------------------------- */

int file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
	int fd cleanup(fd_close) = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(e, "%s", path);
	for (;;) {
		ssize_t n = read(fd, buf_room(out, 65536), 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s", path);
		if (n == 0)
			return 0;
		out->n += (size_t)n;
		if (out->n > max)
			return err_set(e, -EFBIG, "%s: it is too large", path);
	}
}

int file_write(const char *path, struct str text, struct err *e)
{
	struct buf part cleanup(buf_fini) = {0};
	buf_fmt(&part, "%s.part", path);
	int fd cleanup(fd_close) = open(
		buf_z(&part), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "%s", path);
	while (text.n) {
		ssize_t n = write(fd, text.p, text.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "%s", path);
		text = str_skip(text, (size_t)n);
	}
	return rename(buf_z(&part), path) < 0 ? err_sys(e, "%s", path) : 0;
}
