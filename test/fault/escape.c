/*
 * Code that was smuggled into a role: loaded into jmapd by LD_PRELOAD
 * (test_sandbox.py), awake in the role that TEST_ESCAPE_ROLE names. At the next
 * connection of a client (worker) or the next account (store) it tries what the words
 * of TEST_ESCAPE say: to write a file, to connect out, to run a program, to start
 * a ring. What comes of it is to be seen in TEST_ESCAPE_DIR or on TEST_ESCAPE_PORT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT __attribute__((visibility("default")))

static atomic_bool awake; /* until it has done it */
static const char *ways, *dir;
static in_port_t port;

static void say(const char *text)
{
	ssize_t n = write(2, text, strlen(text));
	(void)n;
}

static void write_file(void)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/open", dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
}

static void connect_out(void)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		say("escape: connect failed\n");
	close(fd);
}

static void run_program(void)
{
	char path[256];
	char *const none[] = {NULL};
	snprintf(path, sizeof(path), "%s/exec", dir);
	pid_t pid = fork();
	if (pid == 0) {
		execve("/usr/bin/touch", (char *const[]){"touch", path, NULL},
			none);
		_exit(1);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void start_ring(void)
{
	syscall(SYS_io_uring_setup, 1, NULL);
}

static void escape(void)
{
	static const struct {
		const char *way;
		void (*fn)(void);
	} all[] = {
		{"open", write_file},
		{"connect", connect_out},
		{"exec", run_program},
		{"ring", start_ring},
	};
	if (!atomic_exchange(&awake, false))
		return;
	say("escape: tried\n");
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (strstr(ways, all[i].way))
			all[i].fn();
	say("escape: went on\n");
}

OUT int accept4(int fd, struct sockaddr *a, socklen_t *n, int flags)
{
	int (*real)(int, struct sockaddr *, socklen_t *, int) =
		(__typeof__(real))dlsym(RTLD_NEXT, "accept4");
	int got = real(fd, a, n, flags);
	if (got >= 0)
		escape();
	return got;
}

OUT int mkdir(const char *path, mode_t mode)
{
	int (*real)(const char *, mode_t) =
		(__typeof__(real))dlsym(RTLD_NEXT, "mkdir");
	if (strstr(path, "/accounts/"))
		escape();
	return real(path, mode);
}

__attribute__((constructor)) static void wake(int argc, char **argv)
{
	const char *role = getenv("TEST_ESCAPE_ROLE");
	ways = getenv("TEST_ESCAPE");
	dir = getenv("TEST_ESCAPE_DIR");
	const char *number = getenv("TEST_ESCAPE_PORT");
	if (argc < 2 || !role || !ways || !dir || !number ||
		strcmp(argv[1], role) != 0)
		return;
	port = (in_port_t)atoi(number);
	atomic_store(&awake, true);
}
