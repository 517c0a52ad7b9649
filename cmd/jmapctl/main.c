#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "cmd/admin.h"
#include "cmd/jmapctl/jmapctl.h"
#include "conf/conf.h"
#include "core/base/crypto.h"

static const struct verb {
	const char *words;
	unsigned args;
	enum admin_where where;
	bool secret;
	const char *arguments;
	const char *help;
} verbs[] = {
#define VERB(fn, words, args, where, secret, arguments, help) \
	{words, args, where, secret, arguments, help},
#include "cmd/admin.def"
#undef VERB
};

static int usage(void)
{
	fputs("usage: jmapctl [-c FILE] COMMAND\n", stderr);
	for (size_t i = 0; i < countof(verbs); i++)
		fprintf(stderr, "  %s %s\n      %s\n", verbs[i].words,
			verbs[i].arguments, verbs[i].help);
	fputs("  options\n      every option of the configuration file\n",
		stderr);
	fprintf(stderr, "  %s", watch_usage);
	fputs("New passwords are asked for, or read with --password-stdin; "
	      "with\n"
	      "--no-password only app passwords open the account.\n",
		stderr);
	return EXIT_USAGE;
}

static int print_options(void)
{
	for (size_t i = 0; i < conf_options_n; i++) {
		const struct conf_option *o = &conf_options[i];
		const char *unit = conf_unit(o->kind);
		printf("%s: %s%s%s%s\n    %s\n", o->key,
			o->def[0] ? o->def : "\"\"", unit[0] ? " (" : "", unit,
			unit[0] ? ")" : "", o->text);
	}
	return EXIT_GOOD;
}

/* ---- one command ---------------------------------------------------------- */

struct command {
	const struct verb *verb;
	char *arg[8];
	unsigned n;
	const char *name;    /* --name */
	const char *mailbox; /* --mailbox */
	bool json, from_stdin, no_password, into, force;
};

/* Verbs that carry contents. */
static const struct {
	const char *words;
	int (*run)(const struct transfer_args *a);
} transfers[] = {
	{"import", import_main},
	{"export", export_main},
	{"account backup", backup_main},
	{"account restore", restore_main},
};

/* Do the first words name that verb? Yields how many words it took. */
static unsigned matches(const struct verb *v, char **word, unsigned n)
{
	struct str want = str_of(v->words), w;
	unsigned i = 0;
	while (str_cut(&want, ' ', &w)) {
		if (i >= n || !str_eq(w, str_of(word[i])))
			return 0;
		i++;
	}
	return i;
}

static const struct verb *verb_named(const char *words)
{
	for (size_t i = 0; i < countof(verbs); i++)
		if (!strcmp(verbs[i].words, words))
			return &verbs[i];
	return NULL;
}

static unsigned find_verb(struct command *c)
{
	for (size_t i = 0; i < countof(verbs); i++) {
		unsigned took = matches(&verbs[i], c->arg, c->n);
		if (!took)
			continue;
		c->verb = &verbs[i];
		return took;
	}
	return 0;
}

static int pack_secret(const struct command *c, struct buf *out, struct err *e)
{
	struct buf secret cleanup(buf_fini) = {0};
	int ret = c->no_password ? 0 /* an empty word */
				 : secret_read(c->from_stdin, true, &secret, e);
	buf_adds(out, buf_str(&secret));
	if (secret.n)
		secret_wipe(secret.p, secret.n);
	return ret;
}

/* The packet: the verb's words, then its arguments, joined by NUL. */
static int pack(
	struct command *c, unsigned took, struct buf *out, struct err *e)
{
	bool stream = c->verb->where == ADMIN_STREAM;
	unsigned given = c->n - took + (c->name ? 1 : 0);
	unsigned want = c->verb->args - (c->verb->secret ? 1 : 0);
	if (stream)
		want++; /* the path, which stays here */
	if ((c->mailbox && c->verb != verb_named("import")) ||
		(c->into && c->verb != verb_named("export")) ||
		(c->no_password && !c->verb->secret) ||
		(c->force && c->verb != verb_named("account restore")))
		want = UINT_MAX;
	if (given != want)
		return err_set(e, -1, "%s takes: %s", c->verb->words,
			c->verb->arguments);
	for (unsigned i = 0; i < c->n - stream; i++) {
		buf_addz(out, c->arg[i]);
		buf_addc(out, '\0');
	}
	if (c->name)
		buf_addz(out, c->name);
	else if (c->json)
		buf_addz(out, "--json");
	else if (c->verb->secret)
		return pack_secret(c, out, e);
	else
		out->n--;
	return 0;
}

static int transfer(const struct command *c, const struct conf *conf,
	const char *socket_path, struct str words)
{
	struct transfer_args a = {
		.socket_path = socket_path,
		.words = words,
		.path = c->arg[c->n - 1],
		.mailbox = c->mailbox,
		.max_size_message = conf->max_size_message,
		.into = c->into,
		.force = c->force,
	};
	for (size_t i = 0; i < countof(transfers); i++)
		if (!strcmp(transfers[i].words, c->verb->words))
			return transfers[i].run(&a);
	check(!"a verb of ADMIN_STREAM that nobody runs");
}

static int run(struct command *c, const char *conf_path)
{
	static struct conf conf;
	struct buf words cleanup(buf_fini) = {0};
	struct err e = {0};
	char path[sizeof(conf.run_dir) + sizeof(ADMIN_SOCKET) + 1];
	unsigned took = find_verb(c);
	if (!took)
		return usage();
	conf_defaults(&conf);
	log_init("jmapctl", LOG_ERROR);
	if (conf_load(conf_path, &conf, &e) < 0) {
		fprintf(stderr, "jmapctl: %s\n", e.text);
		return EXIT_FAILED;
	}
	int ret = pack(c, took, &words, &e);
	if (ret < 0) {
		fprintf(stderr, "jmapctl: %s\n", e.text);
		return ret == -1 ? EXIT_USAGE : EXIT_FAILED;
	}
	snprintf(path, sizeof(path), "%s/%s", conf.run_dir, ADMIN_SOCKET);
	if (c->verb->where == ADMIN_STREAM)
		return transfer(c, &conf, path, buf_str(&words));
	return control(path, buf_str(&words));
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"name", required_argument, NULL, 'n'},
		{"mailbox", required_argument, NULL, 'm'},
		{"into", no_argument, NULL, 'i'},
		{"force", no_argument, NULL, 'f'},
		{"json", no_argument, NULL, 'j'},
		{"password-stdin", no_argument, NULL, 'p'},
		{"no-password", no_argument, NULL, 'P'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *conf_path = "/etc/jmapd.conf";
	struct command c = {0};
	int opt;
	/* "watch" has options of its own. */
	if (argc > 1 && !strcmp(argv[1], "watch"))
		return watch_main(argc - 1, argv + 1);
	if (argc == 3 && !strcmp(argv[1], "@man"))
		return man_main(argv[2]);
	while ((opt = getopt_long(argc, argv, "c:", longs, NULL)) != -1) {
		if (opt == 'c')
			conf_path = optarg;
		else if (opt == 'n')
			c.name = optarg;
		else if (opt == 'm')
			c.mailbox = optarg;
		else if (opt == 'i')
			c.into = true;
		else if (opt == 'f')
			c.force = true;
		else if (opt == 'j')
			c.json = true;
		else if (opt == 'p')
			c.from_stdin = true;
		else if (opt == 'P')
			c.no_password = true;
		else
			return usage();
	}
	for (int i = optind; i < argc; i++) {
		if (c.n >= countof(c.arg))
			return usage();
		c.arg[c.n++] = argv[i];
	}
	if (c.n == 1 && !strcmp(c.arg[0], "options"))
		return print_options();
	return run(&c, conf_path);
}
