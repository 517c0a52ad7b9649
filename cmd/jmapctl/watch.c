/*
 * `jmapctl watch`: a small WebSocket client (RFC 6455, RFC 8887) that enables push
 * and prints every StateChange as it comes. It is the tool to see whether push
 * works, so it says what the server said when it does not.
 */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cmd/jmapctl/jmapctl.h"
#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/jw.h"
#include "core/base/log.h"
#include "core/io/conn.h"

#define MESSAGE_MAX (1u << 20) /* bytes of a message that we take */

const char watch_usage[] =
	"watch URL --user USER [--password-stdin] [--ca FILE]\n"
	"      [--insecure] [--types A,B] [--push-state S] [--count N]\n"
	"      print every StateChange; URL is wss://HOST[:PORT][/PATH]\n";

struct watch_args {
	const char *url, *user, *ca, *types, *push_state;
	bool from_stdin, insecure, tls;
	unsigned long count; /* 0: until interrupted */
	char host[256], port[16], path[512];
};

struct watcher {
	const struct watch_args *a;
	struct loop *loop;
	struct conn *conn;
	char key[32];
	bool open;
	struct buf message; /* fragments so far */
	unsigned long seen;
	int status;
};

/* ---- frames; a client masks (RFC 6455 5.3) -------------------------------- */

static void send_frame(struct watcher *w, unsigned opcode, struct str payload)
{
	uint8_t mask[4];
	struct buf b cleanup(buf_fini) = {0};
	random_bytes(mask, sizeof(mask));
	buf_addc(&b, (char)(0x80 | opcode));
	if (payload.n < 126) {
		buf_addc(&b, (char)(0x80 | payload.n));
	} else {
		check(payload.n <= 65535);
		buf_addc(&b, (char)(0x80 | 126));
		buf_addc(&b, (char)(payload.n >> 8));
		buf_addc(&b, (char)payload.n);
	}
	buf_add(&b, mask, sizeof(mask));
	for (size_t i = 0; i < payload.n; i++)
		buf_addc(&b, (char)(payload.p[i] ^ mask[i & 3]));
	conn_write(w->conn, buf_str(&b));
}

static void enable_push(struct watcher *w)
{
	struct buf b cleanup(buf_fini) = {0};
	struct str types = w->a->types ? str_of(w->a->types) : STR_NONE, t;
	struct jw j;
	jw_init(&j, &b);
	jw_obj(&j);
	jw_kstrz(&j, "@type", "WebSocketPushEnable");
	jw_key(&j, STR("dataTypes"));
	if (!types.n) {
		jw_null(&j);
	} else {
		jw_arr(&j);
		while (str_cut(&types, ',', &t))
			jw_str(&j, t);
		jw_arr_end(&j);
	}
	if (w->a->push_state)
		jw_kstrz(&j, "pushState", w->a->push_state);
	jw_obj_end(&j);
	send_frame(w, 1, buf_str(&b));
}

static void stop(struct watcher *w, int status)
{
	w->status = status;
	conn_close(w->conn, 1000);
}

static void on_text(struct watcher *w, struct str text)
{
	char now[CLOCK_UTC_MAX];
	clock_utc(clock_real_ms(), now);
	printf("%s %.*s\n", now, STR_ARG(text));
	fflush(stdout);
	if (w->a->count && ++w->seen >= w->a->count) {
		send_frame(w, 8, STR("\x03\xe8"));
		stop(w, EXIT_GOOD);
	}
}

static void on_close_frame(struct watcher *w, struct str p)
{
	unsigned code =
		p.n >= 2 ? (unsigned)(uint8_t)p.p[0] << 8 | (uint8_t)p.p[1]
			 : 1005;
	struct log_quoted why = log_quote(p.n > 2 ? str_skip(p, 2) : STR_NONE);
	fprintf(stderr, "jmapctl: the server closed: %u %s\n", code, why.z);
	stop(w, EXIT_FAILED);
}

static void on_frame(struct watcher *w, unsigned first, struct str p)
{
	unsigned opcode = first & 15;
	if (opcode == 8) {
		on_close_frame(w, p);
	} else if (opcode == 9) {
		send_frame(w, 10, p);
	} else if (opcode < 3) {
		buf_adds(&w->message, p);
		if (first & 0x80) {
			on_text(w, buf_str(&w->message));
			buf_reset(&w->message);
		}
	}
}

/* Bytes of one whole frame, 0 when more are needed, -1 when it is too big. */
static long take_frame(struct watcher *w, const char *p, size_t n)
{
	const uint8_t *u = (const uint8_t *)p;
	size_t head = 2, len;
	if (n < 2)
		return 0;
	len = u[1] & 127;
	if (len >= 126) {
		size_t bytes = len == 126 ? 2 : 8;
		len = 0;
		if (n < head + bytes)
			return 0;
		for (size_t i = 0; i < bytes; i++)
			len = len << 8 | u[head + i];
		head += bytes;
	}
	if (u[1] & 0x80 || len > MESSAGE_MAX - w->message.n)
		return -1;
	if (n < head + len)
		return 0;
	on_frame(w, u[0], str_n(p + head, len));
	return (long)(head + len);
}

/* ---- the handshake (RFC 6455 4.1) ----------------------------------------- */

static void send_handshake(struct watcher *w, struct str password)
{
	uint8_t nonce[16];
	struct buf key cleanup(buf_fini) = {0};
	struct buf login cleanup(buf_fini) = {0};
	struct buf basic cleanup(buf_fini) = {0};
	struct buf b cleanup(buf_fini) = {0};
	random_bytes(nonce, sizeof(nonce));
	base64_add(&key, str_n(nonce, sizeof(nonce)));
	snprintf(w->key, sizeof(w->key), "%s", buf_z(&key));
	buf_fmt(&login, "%s:%.*s", w->a->user, STR_ARG(password));
	base64_add(&basic, buf_str(&login));
	buf_fmt(&b,
		"GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: %s\r\n"
		"Sec-WebSocket-Protocol: jmap\r\n"
		"Authorization: Basic %s\r\n\r\n",
		w->a->path, w->a->host, w->a->port, w->key, buf_z(&basic));
	conn_write(w->conn, buf_str(&b));
	secret_wipe(b.p, b.n);
	secret_wipe(login.p, login.n);
	secret_wipe(basic.p, basic.n);
}

/* Does the answer prove that the server speaks WebSocket? */
static bool accepts(struct watcher *w, struct str head)
{
	struct buf want cleanup(buf_fini) = {0};
	struct buf all cleanup(buf_fini) = {0};
	uint8_t sha[SHA1_LEN];
	buf_fmt(&all, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", w->key);
	sha1(buf_str(&all), sha);
	base64_add(&want, str_n(sha, sizeof(sha)));
	buf_reset(&all);
	buf_adds(&all, head);
	return str_starts(head, STR("HTTP/1.1 101 ")) &&
	       strstr(buf_z(&all), buf_z(&want));
}

static size_t on_head(struct watcher *w, const char *p, size_t n)
{
	const char *end = memmem(p, n, "\r\n\r\n", 4);
	if (!end)
		return 0;
	struct str head = str_n(p, (size_t)(end - p));
	if (!accepts(w, head)) {
		struct str line = str_n(head.p, str_find(head, '\r'));
		struct log_quoted q = log_quote(line);
		fprintf(stderr, "jmapctl: no WebSocket there: %s\n", q.z);
		stop(w, EXIT_FAILED);
		return n;
	}
	w->open = true;
	fprintf(stderr, "jmapctl: connected to %s\n", w->a->url);
	enable_push(w);
	return head.n + 4;
}

/* ---- the connection ------------------------------------------------------- */

static size_t on_data(struct conn *c, char *p, size_t n)
{
	struct watcher *w = conn_up(c);
	size_t done = 0;
	if (!w->open)
		return on_head(w, p, n);
	while (!conn_closing(c)) {
		long took = take_frame(w, p + done, n - done);
		if (took < 0) {
			fprintf(stderr,
				"jmapctl: a frame that no server sends\n");
			stop(w, EXIT_FAILED);
		}
		if (took <= 0)
			break;
		done += (size_t)took;
	}
	return done;
}

static void on_closed(struct conn *c, enum conn_end why)
{
	struct watcher *w = conn_up(c);
	if (why != CONN_END_US) {
		fprintf(stderr, "jmapctl: %s\n",
			why == CONN_END_TLS ? "TLS failed (is the "
					      "certificate trusted? "
					      "--ca, --insecure)"
					    : "the connection ended");
		w->status = EXIT_FAILED;
	}
	loop_stop(w->loop, 0);
}

static const struct conn_ops ops = {.on_data = on_data, .on_closed = on_closed};

static int dial(const struct watch_args *a, int *fd_r, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *all = NULL;
	int ret = getaddrinfo(a->host, a->port, &hints, &all);
	if (ret)
		return err_set(
			e, -EHOSTUNREACH, "%s: %s", a->host, gai_strerror(ret));
	ret = err_set(e, -EHOSTUNREACH, "%s: no address", a->host);
	for (struct addrinfo *i = all; i && ret < 0; i = i->ai_next) {
		int fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, i->ai_addr, i->ai_addrlen) < 0) {
			ret = err_sys(e, "%s:%s", a->host, a->port);
			fd_closep(&fd);
			continue;
		}
		*fd_r = fd;
		ret = 0;
	}
	freeaddrinfo(all);
	return ret;
}

static int read_ca(const char *path, struct buf *out, struct err *e)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	if (path && !f)
		return err_sys(e, "%s", path);
	while (f && !feof(f) && !ferror(f) && out->n < MESSAGE_MAX)
		out->n += fread(buf_room(out, 4096), 1, 4096, f);
	if (f)
		fclose(f);
	return 0;
}

static int watch(const struct watch_args *a, struct str password, struct err *e)
{
	struct watcher w = {.a = a};
	struct tls_ctx *tls = NULL;
	struct buf ca cleanup(buf_fini) = {0};
	int fd = -1, ret = read_ca(a->ca, &ca, e);
	if (!ret && a->tls)
		ret = tls_client_new(buf_str(&ca), a->insecure, &tls, e);
	if (!ret)
		ret = dial(a, &fd, e);
	if (ret < 0)
		return ret;
	w.loop = loop_new(e);
	if (!w.loop)
		return e->code;
	w.conn = conn_new(
		w.loop, fd, tls, a->tls ? a->host : NULL, 10000, &ops, &w);
	send_handshake(&w, password);
	ret = loop_run(w.loop, e);
	loop_free(w.loop);
	buf_fini(&w.message);
	if (tls)
		tls_unref(tls);
	return ret < 0 ? ret : w.status;
}

/* ---- arguments ------------------------------------------------------------ */

/* wss://HOST[:PORT][/PATH]; https and http are taken for wss and ws. */
static int parse_url(struct watch_args *a, struct err *e)
{
	static const struct {
		const char *scheme;
		bool tls;
	} schemes[] = {{"wss://", true}, {"https://", true}, {"ws://", false},
		{"http://", false}};
	struct str url = str_of(a->url), host = STR_NONE;
	for (size_t i = 0; i < countof(schemes) && !host.p; i++)
		if (str_starts(url, str_of(schemes[i].scheme))) {
			a->tls = schemes[i].tls;
			host = str_skip(url, strlen(schemes[i].scheme));
		}
	size_t slash = str_find(host, '/');
	struct str path = str_skip(host, slash), port = STR_NONE;
	host.n = slash;
	size_t colon = host.n;
	while (colon && host.p[colon - 1] != ':' && host.p[colon - 1] != ']')
		colon--;
	if (colon && host.p[colon - 1] == ':') {
		port = str_skip(host, colon);
		host.n = colon - 1;
	}
	if (host.n >= 2 && host.p[0] == '[')
		host = str_n(host.p + 1, host.n - 2);
	if (!host.n || host.n >= sizeof(a->host) || path.n >= sizeof(a->path) ||
		port.n >= sizeof(a->port))
		return err_set(e, -EINVAL, "%s is no wss:// URL", a->url);
	snprintf(a->host, sizeof(a->host), "%.*s", STR_ARG(host));
	snprintf(a->port, sizeof(a->port), "%.*s",
		STR_ARG(port.n	 ? port
			: a->tls ? STR("443")
				 : STR("80")));
	snprintf(a->path, sizeof(a->path), "%.*s",
		STR_ARG(path.n > 1 ? path : STR("/jmap/ws")));
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: jmapctl %s", watch_usage);
	return EXIT_USAGE;
}

static bool take_option(struct watch_args *a, int opt)
{
	switch (opt) {
	case 'u':
		a->user = optarg;
		return true;
	case 'c':
		a->ca = optarg;
		return true;
	case 't':
		a->types = optarg;
		return true;
	case 's':
		a->push_state = optarg;
		return true;
	case 'n':
		a->count = strtoul(optarg, NULL, 10);
		return true;
	case 'p':
		return a->from_stdin = true;
	case 'k':
		return a->insecure = true;
	default:
		return false;
	}
}

int watch_main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"user", required_argument, NULL, 'u'},
		{"ca", required_argument, NULL, 'c'},
		{"types", required_argument, NULL, 't'},
		{"push-state", required_argument, NULL, 's'},
		{"count", required_argument, NULL, 'n'},
		{"password-stdin", no_argument, NULL, 'p'},
		{"insecure", no_argument, NULL, 'k'},
		{0},
	};
	struct watch_args a = {0};
	struct buf password cleanup(buf_fini) = {0};
	struct err e = {0};
	int opt;
	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (!take_option(&a, opt))
			return usage();
	if (optind != argc - 1 || !a.user)
		return usage();
	a.url = argv[optind];
	log_init("jmapctl", LOG_WARN);
	int ret = parse_url(&a, &e);
	if (!ret)
		ret = secret_read(a.from_stdin, false, &password, &e);
	if (!ret)
		ret = watch(&a, buf_str(&password), &e);
	if (password.n)
		secret_wipe(password.p, password.n);
	if (ret < 0)
		fprintf(stderr, "jmapctl: %s\n", e.text);
	return ret < 0 ? EXIT_FAILED : ret;
}
