#include "proto/http/target.h"

#include <ctype.h>

bool http_authority_valid(struct str a)
{
	static const char marks[] = "-._~!$&'()*+,;=%:[]";
	size_t colon = a.n;

	for (size_t i = 0; i < a.n; i++) {
		unsigned char c = (unsigned char)a.p[i];
		if (!isalnum(c) && !(c && strchr(marks, c)))
			return false;
		if (c == ':')
			colon = i;
		if (c == '[' && i)
			return false;
	}
	if (a.n && a.p[0] == '[') {
		size_t end = str_find(a, ']');
		if (end == a.n || end < 3)
			return false;
		if (end + 1 == a.n)
			return true;
		if (a.p[end + 1] != ':')
			return false;
		colon = end + 1;
	} else if (colon != str_find(a, ':') || str_find(a, ']') != a.n) {
		return false;
	}
	for (size_t i = colon + 1; i < a.n; i++)
		if (!isdigit((unsigned char)a.p[i]))
			return false;
	return colon > 0 && a.n > 0 && (colon >= a.n || a.n - colon <= 6);
}

static int unhex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_path_decode(struct str raw, char *to, size_t *n_r)
{
	size_t n = 0;

	for (size_t i = 0; i < raw.n; i++) {
		int hi, lo;
		if (raw.p[i] != '%') {
			to[n++] = raw.p[i];
			continue;
		}
		hi = i + 2 < raw.n ? unhex(raw.p[i + 1]) : -1;
		lo = i + 2 < raw.n ? unhex(raw.p[i + 2]) : -1;
		if (hi < 0 || lo < 0 || (hi | lo) == 0)
			return false;
		to[n++] = (char)(hi << 4 | lo);
		i += 2;
	}
	*n_r = n;
	return true;
}
