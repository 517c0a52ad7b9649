/*
 * Addresses of accounts: a dot-atom and a domain, UTF-8 allowed (RFC 6531), no
 * quoting, no literals. ASCII letters are kept in lower case.
 */
#include "core/base/utf8.h"
#include "core/store/internal.h"

#define ADDRESS_MAX 254
#define LOCAL_MAX 64

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       (uint8_t)c >= 0x80;
}

/* RFC 5322 3.2.3 atext, in lower case. */
static bool is_atext(char c)
{
	return is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool local_ok(struct str s)
{
	struct str rest = s, atom;

	if (s.n == 0 || s.n > LOCAL_MAX || s.p[s.n - 1] == '.')
		return false;
	while (str_cut(&rest, '.', &atom)) {
		if (atom.n == 0)
			return false;
		for (size_t i = 0; i < atom.n; i++)
			if (!is_atext(atom.p[i]))
				return false;
	}
	return true;
}

static bool label_ok(struct str s)
{
	if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	return true;
}

static bool domain_ok(struct str s)
{
	struct str label;

	if (s.n == 0 || s.p[s.n - 1] == '.')
		return false;
	while (str_cut(&s, '.', &label))
		if (!label_ok(label))
			return false;
	return true;
}

bool address_read(struct str s, struct buf *out)
{
	size_t at;
	struct str low;

	if (s.n == 0 || s.n > ADDRESS_MAX || !utf8_valid(s))
		return false;
	buf_reset(out);
	for (size_t i = 0; i < s.n; i++)
		buf_addc(out, s.p[i] >= 'A' && s.p[i] <= 'Z'
				      ? (char)(s.p[i] | 0x20)
				      : s.p[i]);
	low = buf_str(out);
	at = str_find(low, '@');
	return at < low.n && local_ok(str_n(low.p, at)) &&
	       domain_ok(str_skip(low, at + 1));
}
