#include "proto/lmtp/path.h"

#define ADDRESS_MAX 320 /* bytes: local part 64, domain 255, "@" */

/* Where the '>' stands that is in no quoted string; n when there is none. */
static size_t find_end(struct str s)
{
	bool quoted = false;
	for (size_t i = 0; i < s.n; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == '>' && !quoted)
			return i;
	}
	return s.n;
}

static bool printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
			return false;
	return true;
}

bool path_cut(struct str *rest, struct str *addr_r)
{
	struct str s = str_trim(*rest);
	if (!s.n || s.p[0] != '<')
		return false;
	s = str_skip(s, 1);
	size_t end = find_end(s);
	if (end == s.n)
		return false;
	struct str addr = str_n(s.p, end);
	/* RFC 5321 4.1.2: a source route is accepted and ignored. */
	if (addr.n && addr.p[0] == '@') {
		size_t colon = str_find(addr, ':');
		if (colon == addr.n)
			return false;
		addr = str_skip(addr, colon + 1);
	}
	if (addr.n > ADDRESS_MAX || !printable(addr))
		return false;
	*addr_r = addr;
	*rest = str_skip(s, end + 1);
	return true;
}

bool param_cut(
	struct str *rest, struct str *key_r, struct str *value_r, bool *bad_r)
{
	*bad_r = false;
	if (!rest->n)
		return false;
	if (rest->p[0] != ' ') {
		*bad_r = true;
		return false;
	}
	struct str s = *rest;
	while (s.n && s.p[0] == ' ')
		s = str_skip(s, 1);
	if (!s.n) {
		*rest = s;
		return false;
	}
	size_t n = str_find(s, ' ');
	struct str word = str_n(s.p, n);
	size_t eq = str_find(word, '=');
	*key_r = str_n(word.p, eq);
	*value_r = eq < word.n ? str_skip(word, eq + 1) : STR_NONE;
	*rest = str_skip(s, n);
	return true;
}
