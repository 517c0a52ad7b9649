/*
 * jmapd: a JMAP server. This program is the master, and, started again by it with
 * the name of a role, each of the roles.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/jmapd/master/master.h"
#include "cmd/jmapd/store/store.h"
#include "cmd/jmapd/worker/worker.h"
#include "core/db/db.h"
#include "core/io/tls.h"
#include "core/mime/mime.h"
#include "proto/jmap/engine.h"

#define CONF_PATH_DEFAULT "/etc/jmapd.conf"

static const struct {
	const char *name;
	int (*main)(unsigned index);
} roles[] = {
	{"@worker", worker_main},
	{"@store", store_main},
};

static int usage(void)
{
	fputs("usage: jmapd [-t] [-V] [-c FILE]\n"
	      "  -c FILE  configuration (default " CONF_PATH_DEFAULT ")\n"
	      "  -t       check the configuration and exit\n"
	      "  -V       print the version and those of the libraries\n",
		stderr);
	return 2;
}

static int print_version(void)
{
	const char *const libraries[] = {tls_version(), db_driver_version(),
		jmap_library_version(), mime_library_version(),
		conf_library_version()};
	printf("jmapd %s\n", JMAPD_VERSION);
	for (size_t i = 0; i < countof(libraries); i++)
		puts(libraries[i]);
	return 0;
}

static int check_config(const char *path)
{
	struct conf c;
	struct buf cert cleanup(buf_fini) = {0};
	struct buf key cleanup(buf_fini) = {0};
	struct err e = {0};
	log_init("jmapd", LOG_INFO);
	if (config_check(path, &c, &cert, &key, &e) < 0) {
		fprintf(stderr, "jmapd: %s\n", e.text);
		return 1;
	}
	printf("%s: good\n", path);
	return 0;
}

int main(int argc, char **argv)
{
	const char *path = CONF_PATH_DEFAULT;
	bool check_only = false;
	int opt;
	uint64_t index;
	for (size_t i = 0; argc == 3 && i < countof(roles); i++)
		if (!strcmp(argv[1], roles[i].name) &&
			str_u64(str_of(argv[2]), &index))
			return roles[i].main((unsigned)index);
	while ((opt = getopt(argc, argv, "c:tV")) != -1) {
		if (opt == 'c')
			path = optarg;
		else if (opt == 't')
			check_only = true;
		else if (opt == 'V')
			return print_version();
		else
			return usage();
	}
	if (optind != argc)
		return usage();
	return check_only ? check_config(path) : master_main(path);
}
