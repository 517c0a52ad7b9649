/*
 * What the options say about each other, and what one says about the world: run
 * when every line has been read, so that the order of lines does not matter.
 */
#include "conf/reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/base/log.h"

/* Where the file says a, else where it says b, else its start. */
static struct conf_mark mark_of(
	const struct conf_reader *r, enum conf_id a, enum conf_id b)
{
	if (r->value[a].line)
		return r->value[a];
	if (r->value[b].line)
		return r->value[b];
	return (struct conf_mark){1, 1};
}

static int check_heartbeat(const struct conf_reader *r)
{
	if (r->c.ws_heartbeat_interval < r->c.ws_client_timeout)
		return 0;
	return conf_bad(r,
		mark_of(r, CONF_ID_ws_heartbeat_interval,
			CONF_ID_ws_client_timeout),
		"ws-heartbeat-interval (%" PRIu64
		" seconds) must be less than ws-client-timeout "
		"(%" PRIu64 " seconds), or idle clients are dropped",
		r->c.ws_heartbeat_interval, r->c.ws_client_timeout);
}

static bool is_host(struct str host)
{
	char z[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (host.n == 0)
		return false;
	if (host.p[0] == '[') { /* RFC 3986 3.2.2 */
		if (host.n < 3 || host.n - 2 >= sizeof(z) ||
			host.p[host.n - 1] != ']')
			return false;
		memcpy(z, host.p + 1, host.n - 2);
		z[host.n - 2] = '\0';
		return inet_pton(AF_INET6, z, &a) == 1;
	}
	for (size_t i = 0; i < host.n; i++) {
		char c = host.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return false;
	}
	return host.p[0] != '.' && host.p[0] != '-';
}

static bool is_base_url(struct str url)
{
	struct str host;
	uint64_t port;
	size_t n;

	if (str_starts(url, STR("https://")))
		url = str_skip(url, 8);
	else if (str_starts(url, STR("http://")))
		url = str_skip(url, 7);
	else
		return false;
	n = url.n > 0 && url.p[0] == '[' ? str_find(url, ']') : 0;
	while (n < url.n && url.p[n] != ':')
		n++;
	host = str_n(url.p, n);
	if (n < url.n) {
		url = str_skip(url, n + 1);
		if (!str_u64(url, &port) || port < 1 || port > 65535)
			return false;
	}
	return is_host(host);
}

static int check_url(const struct conf_reader *r)
{
	struct str url = str_of(r->c.jmap_url);

	if (url.n == 0 || is_base_url(url))
		return 0;
	return conf_bad(r, r->value[CONF_ID_jmap_url],
		"jmap-url: \"%s\" is not a base URL; give "
		"https://HOST or https://HOST:PORT, without a path",
		conf_quote(url).z);
}

static int check_listener(const struct conf_reader *r, uint32_t i)
{
	const struct conf_listener *l = &r->c.listen.at[i];
	struct conf_mark m = r->listener[i];

	for (uint32_t k = 0; k < i; k++) {
		if (conf_listener_same_addr(l, &r->c.listen.at[k]))
			return conf_bad(r, m,
				"listen: %s stands twice; it is in "
				"line %u already",
				l->text, r->listener[k].line);
	}
	if (l->tls && !r->c.tls_cert[0])
		return conf_bad(r, m, "listen: %s tls needs tls-cert%s",
			l->text, r->c.tls_key[0] ? "" : " and tls-key");
	if (l->tls && !r->c.tls_key[0])
		return conf_bad(r, m, "listen: %s tls needs tls-key", l->text);
	if (conf_listener_local(l))
		return 0;
	if (l->proto == LISTEN_HTTP && !l->tls && !l->plain)
		return conf_bad(r, m,
			"listen: %s would carry passwords in the "
			"clear; add the word tls, or plain to allow it",
			l->text);
	if (l->proto == LISTEN_LMTP)
		log_warn("conf %s:%u:%u: lmtp on %s: whoever reaches it can "
			 "deliver mail; keep it on loopback or a unix socket",
			r->name, m.line, m.col, l->text);
	return 0;
}

int conf_check(const struct conf_reader *r)
{
	int ret;

	if (r->c.listen.n == 0)
		return conf_bad(r, mark_of(r, CONF_ID_listen, CONF_ID_listen),
			"no listener; add a line such as "
			"listen: 127.0.0.1:8080");
	ret = check_heartbeat(r);
	if (ret == 0)
		ret = check_url(r);
	for (uint32_t i = 0; ret == 0 && i < r->c.listen.n; i++)
		ret = check_listener(r, i);
	return ret;
}
