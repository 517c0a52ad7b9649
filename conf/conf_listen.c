/*
 * One listener: "ADDRESS:PORT" or "unix:PATH", then words.
 *
 *	127.0.0.1:8080          localhost:8080 is the same
 *	[::1]:443 tls
 *	*:443 tls               every address, IPv6 and IPv4: [::]:443
 *	unix:/run/lmtp lmtp
 *
 * Addresses are numbers: the master must not hang in a resolver, and must open
 * the same sockets tomorrow.
 */
#include "conf/reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

static const char forms[] = "give ADDRESS:PORT, [ADDRESS]:PORT, *:PORT or "
			    "unix:PATH, then words";

static int bad_address(struct str s, struct err *e)
{
	return err_set(e, -EINVAL, "\"%s\" is not an address; %s",
		conf_quote(s).z, forms);
}

static int parse_unix(struct str path, struct conf_listener *l, struct err *e)
{
	struct sockaddr_un *sun = (struct sockaddr_un *)&l->addr;

	if (path.n == 0 || path.p[0] != '/')
		return err_set(e, -EINVAL,
			"\"unix:%s\" has no absolute path; "
			"give unix:/PATH",
			conf_quote(path).z);
	if (path.n >= sizeof(sun->sun_path))
		return err_set(e, -EINVAL,
			"\"unix:%s...\" is too long; at most %zu bytes",
			conf_quote(path).z, sizeof(sun->sun_path) - 1);
	if (memchr(path.p, '\0', path.n))
		return bad_address(path, e);
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, path.p, path.n);
	l->addr_len = sizeof(*sun);
	memcpy(l->text, "unix:", 5);
	memcpy(l->text + 5, path.p, path.n);
	return 0;
}

/* Puts host in, a number or one of the two names; false when it is neither. */
static bool set_host(
	struct str host, bool brackets, uint16_t port, struct conf_listener *l)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)&l->addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&l->addr;
	char z[INET6_ADDRSTRLEN];

	if (host.n == 0 || host.n >= sizeof(z) || memchr(host.p, '\0', host.n))
		return false;
	memcpy(z, host.p, host.n);
	z[host.n] = '\0';
	if (brackets || strcmp(z, "*") == 0) {
		if (brackets && inet_pton(AF_INET6, z, &in6->sin6_addr) != 1)
			return false;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		l->addr_len = sizeof(*in6);
		return true;
	}
	if (strcmp(z, "localhost") == 0)
		strcpy(z, "127.0.0.1");
	if (inet_pton(AF_INET, z, &in4->sin_addr) != 1)
		return false;
	in4->sin_family = AF_INET;
	in4->sin_port = htons(port);
	l->addr_len = sizeof(*in4);
	return true;
}

static void set_text(struct conf_listener *l, uint16_t port)
{
	const struct sockaddr_in *in4 = (const void *)&l->addr;
	const struct sockaddr_in6 *in6 = (const void *)&l->addr;
	char z[INET6_ADDRSTRLEN];

	if (l->addr.ss_family == AF_INET)
		snprintf(l->text, sizeof(l->text), "%s:%u",
			inet_ntop(AF_INET, &in4->sin_addr, z, sizeof(z)), port);
	else
		snprintf(l->text, sizeof(l->text), "[%s]:%u",
			inet_ntop(AF_INET6, &in6->sin6_addr, z, sizeof(z)),
			port);
}

static int parse_address(struct str s, struct conf_listener *l, struct err *e)
{
	struct str host, tail;
	bool brackets = s.n > 0 && s.p[0] == '[';
	uint64_t port;
	size_t n;

	if (str_starts(s, STR("unix:")))
		return parse_unix(str_skip(s, 5), l, e);
	n = str_find(s, brackets ? ']' : ':');
	if (n == s.n)
		return bad_address(s, e);
	host = str_n(s.p + brackets, n - brackets);
	tail = str_skip(s, n + brackets); /* ":PORT" */
	if (tail.n == 0 || tail.p[0] != ':')
		return bad_address(s, e);
	tail = str_skip(tail, 1);
	if (!str_u64(tail, &port) || port < 1 || port > 65535) {
		if (str_find(tail, ':') < tail.n)
			return err_set(e, -EINVAL,
				"\"%s\" is not an address; an IPv6 "
				"address stands in brackets: "
				"[::1]:443",
				conf_quote(s).z);
		return err_set(e, -EINVAL,
			"\"%s\" has no good port; give 1 to 65535",
			conf_quote(s).z);
	}
	if (!set_host(host, brackets, (uint16_t)port, l))
		return err_set(e, -EINVAL,
			"\"%s\" is not a numeric address; give one "
			"like 127.0.0.1:8080, [::1]:443 or *:443",
			conf_quote(s).z);
	set_text(l, (uint16_t)port);
	return 0;
}

static int add_word(struct str word, struct conf_listener *l, struct err *e)
{
	bool lmtp = l->proto == LISTEN_LMTP;

	if (str_eq(word, STR("tls")) && !l->tls)
		l->tls = true;
	else if (str_eq(word, STR("plain")) && !l->plain)
		l->plain = true;
	else if (str_eq(word, STR("lmtp")) && !lmtp)
		l->proto = LISTEN_LMTP;
	else if (str_eq(word, STR("tls")) || str_eq(word, STR("plain")) ||
		 str_eq(word, STR("lmtp")))
		return err_set(e, -EINVAL, "the word %.*s stands twice",
			STR_ARG(word));
	else
		return err_set(e, -EINVAL,
			"\"%s\" is not a word of a listener; "
			"the words are tls, lmtp and plain",
			conf_quote(word).z);
	return 0;
}

/* Takes the next word of *s; false at the end. */
static bool next_word(struct str *s, struct str *word_r)
{
	size_t n = 0;

	*s = str_trim(*s);
	while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t')
		n++;
	*word_r = str_n(s->p, n);
	*s = str_skip(*s, n);
	return n > 0;
}

int conf_listener_parse(struct str s, struct conf_listener *l, struct err *e)
{
	struct str word;
	int ret;

	memset(l, 0, sizeof(*l));
	if (!next_word(&s, &word))
		return err_set(e, -EINVAL, "an empty listener; %s", forms);
	ret = parse_address(word, l, e);
	if (ret < 0)
		return ret;
	while (next_word(&s, &word)) {
		ret = add_word(word, l, e);
		if (ret < 0)
			return ret;
	}
	if (l->tls && l->proto == LISTEN_LMTP)
		return err_set(e, -EINVAL,
			"%s: lmtp and tls do not go together; "
			"leave one out",
			l->text);
	if (l->plain && (l->tls || l->proto == LISTEN_LMTP))
		return err_set(e, -EINVAL,
			"%s: plain is for HTTP without tls; "
			"leave it out beside %s",
			l->text, l->tls ? "tls" : "lmtp");
	return 0;
}

void conf_listener_print(const struct conf_listener *l, struct buf *out)
{
	buf_addz(out, l->text);
	if (l->tls)
		buf_addz(out, " tls");
	if (l->proto == LISTEN_LMTP)
		buf_addz(out, " lmtp");
	if (l->plain)
		buf_addz(out, " plain");
}

bool conf_listener_same_addr(
	const struct conf_listener *a, const struct conf_listener *b)
{
	return strcmp(a->text, b->text) == 0;
}

bool conf_listener_eq(
	const struct conf_listener *a, const struct conf_listener *b)
{
	return conf_listener_same_addr(a, b) && a->proto == b->proto &&
	       a->tls == b->tls && a->plain == b->plain;
}

bool conf_listener_local(const struct conf_listener *l)
{
	const struct sockaddr_in *in4 = (const void *)&l->addr;
	const struct sockaddr_in6 *in6 = (const void *)&l->addr;

	switch (l->addr.ss_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(in4->sin_addr.s_addr) >> 24 == 127;
	default:
		if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
			return in6->sin6_addr.s6_addr[12] == 127;
		return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	}
}
