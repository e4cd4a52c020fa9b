/* A program that was loaded once and runs many times: with this before its libraries (LD_PRELOAD), and with READY_SOCKET in
 * its environment, it stops where main() would begin. For each request that comes by that socket it makes a copy of itself,
 * and main() begins in there, in the namespaces and with what the request says.
 *
 * In user-mode Linux each page that a new program touches is a stop of several processes, and most of those that `ip`
 * touches are the dynamic linker's work on its libraries.
 *
 * A request: three files, the copy's stdin, stdout and stderr, and the strings of a request to the starter (starter.c), which
 * is who asks. The answer: wait(2)'s status, or,
 * with bit 31 set, the errno of what failed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int Main(int, char **, char **);

static Main *own_main;
static char request[65536], *words[sizeof request / 2];

/* Its length; 0 when nobody can ask any more. */
static size_t next_request(int asked, int files[3])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(3 * sizeof(int))];
	} control;
	struct iovec text = {request, sizeof request};
	struct msghdr message = {
		.msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	ssize_t got;
	while ((got = recvmsg(asked, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
		;
	struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header == NULL || header->cmsg_len != CMSG_LEN(3 * sizeof(int)))
		return 0;
	memcpy(files, CMSG_DATA(header), 3 * sizeof(int));
	return (size_t)got;
}

static int enter(const char *folder)
{
	static const char *const kinds[] = {"mnt", "net"};
	int opened[2];
	for (int which = 0; which < 2; which++) {
		char path[256];
		snprintf(path, sizeof path, "%s/%s", folder, kinds[which]);
		opened[which] = open(path, O_RDONLY | O_CLOEXEC);
	}
	for (int which = 0; which < 2; which++)
		if (setns(opened[which], 0) < 0 || close(opened[which]) < 0)
			return 0;
	return 1;
}

/* In the copy. Returns what main() does. */
static int begin(size_t length, const int files[3])
{
	const char *directory = request + strlen(request) + 1, *program = directory + strlen(directory) + 1;
	char *number = (char *)program + strlen(program) + 1, *word = number + strlen(number) + 1;
	int count = atoi(number), at = 0;
	for (; word < request + length; word += strlen(word) + 1) {
		if (at == count)
			at++;
		words[at++] = word;
	}
	environ = words + count + 1;
	signal(SIGPIPE, SIG_DFL);
	for (int to = 0; to < 3; to++)
		if (dup2(files[to], to) < 0 || close(files[to]) < 0)
			_exit(126);
	if (!enter(request) || chdir(directory) < 0) {
		perror(program);
		_exit(126);
	}
	return own_main(count, words, environ);
}

static int serve(int count, char **arguments, char **variables)
{
	const char *named = getenv("READY_SOCKET");
	if (named == NULL)
		return own_main(count, arguments, variables);
	int asked = atoi(named), files[3];
	for (size_t length; (length = next_request(asked, files)) > 0;) {
		pid_t pid = fork();
		if (pid == 0) {
			close(asked);
			return begin(length, files);
		}
		int status = pid < 0 ? (int)(0x80000000u | (unsigned)errno) : 0;
		for (int which = 0; which < 3; which++)
			close(files[which]);
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (write(asked, &status, sizeof status) != sizeof status)
			break;
	}
	_exit(0);
}

/* Where a program's first instructions go, which say where its main() is. */
int __libc_start_main(Main *main, int count, char **arguments, void (*init)(void), void (*fini)(void),
	void (*unload)(void), void *stack)
{
	typedef int Start(Main *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
	Start *start = (Start *)dlsym(RTLD_NEXT, "__libc_start_main");
	own_main = main;
	return start(serve, count, arguments, init, fini, unload, stack);
}
