/* starter REQUESTS ANSWERS LIBRARY PROGRAM: runs programs for another process, one after the other, as it asks through the
 * one FIFO, and tells through the other how each ended and what it wrote. It ends when nobody can ask any more. PROGRAM is
 * loaded once, with LIBRARY (ready.so.c), and copied each time.
 *
 * Where a new process is made from the pages of the one that starts it, that one should have few.
 *
 * A request: the number of bytes of each of the two parts, 32 bits each; the first part are strings, each with its 0: the
 * folder of namespaces of the thread that asks, its working directory, the program, the number of arguments and these, the
 * variables of the environment; the second is the program's input. An answer: three numbers, wait(2)'s status (or, with
 * bit 31 set, the errno of what failed) and the lengths of what the program wrote to stdout and to stderr; then these. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct text {
	char *bytes;
	size_t length, room;
};

static void grow(struct text *text, size_t room)
{
	if (text->room >= room)
		return;
	text->room = room < 65536 ? 65536 : 2 * room;
	text->bytes = realloc(text->bytes, text->room);
	if (text->bytes == NULL)
		err(1, "no memory");
}

/* 0 at the end. */
static int read_all(int fd, void *to, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t got = read(fd, (char *)to + done, length - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
		done += (size_t)got;
	}
	return 1;
}

static void write_all(int fd, const void *from, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t got = write(fd, (const char *)from + done, length - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err(1, "write");
		done += (size_t)got;
	}
}

/* Whether this process is in that namespace already, or now is. */
static int enter(const char *folder, const char *kind, int type)
{
	char path[256], own[64];
	struct stat wanted, has;
	snprintf(path, sizeof path, "%s/%s", folder, kind);
	snprintf(own, sizeof own, "/proc/self/ns/%s", kind);
	if (stat(path, &wanted) < 0 || stat(own, &has) < 0)
		return 0;
	if (wanted.st_ino == has.st_ino && wanted.st_dev == has.st_dev)
		return 1;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int done = fd >= 0 && setns(fd, type) == 0;
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return done;
}

/* Its number, or that of an error, negative. `theirs` are its stdin, stdout and stderr. */
static pid_t start(const char *program, char **arguments, char **variables, const int theirs[3])
{
	pid_t pid;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t usual;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	for (int to = 0; to < 3; to++)
		posix_spawn_file_actions_adddup2(&actions, theirs[to], to);
	sigemptyset(&usual);
	sigaddset(&usual, SIGPIPE);
	posix_spawnattr_setsigdefault(&attributes, &usual);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	int error = posix_spawn(&pid, program, &actions, &attributes, arguments, variables);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	return error == 0 ? pid : -error;
}

static const char *library, *ready_program;

/* The socket of the program that is ready; negative where it could not be loaded. */
static int ready(void)
{
	static int asking = -1, is_started;
	if (is_started)
		return asking;
	is_started = 1;
	int ends[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	char preload[PATH_MAX], named[32];
	snprintf(preload, sizeof preload, "LD_PRELOAD=%s", library);
	snprintf(named, sizeof named, "READY_SOCKET=%d", ends[1]);
	char *arguments[] = {(char *)ready_program, NULL}, *variables[] = {preload, named, "LD_BIND_NOW=1", NULL};
	fcntl(ends[1], F_SETFD, 0);
	pid_t pid;
	if (posix_spawn(&pid, ready_program, NULL, NULL, arguments, variables) == 0)
		asking = ends[0];
	close(ends[1]);
	return asking;
}

/* Has a copy of the program that is ready begin with a request's text. Returns 0, or an error's number, negative. */
static int start_ready(const char *text, const char *end, const int theirs[3])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(3 * sizeof(int))];
	} control = {.header = {CMSG_LEN(3 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec part = {(char *)text, (size_t)(end - text)};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	memcpy(CMSG_DATA(&control.header), theirs, 3 * sizeof(int));
	return sendmsg(ready(), &message, 0) < 0 ? -errno : 0;
}

/* Writes the input and reads both outputs, until the program and what it left behind have closed them. */
static void talk(int in, const char *input, size_t length, const int outputs[2], struct text told[2])
{
	struct pollfd all[3] = {
		{length > 0 ? in : -1, POLLOUT, 0}, {outputs[0], POLLIN, 0}, {outputs[1], POLLIN, 0}};
	if (length == 0)
		close(in);
	while (all[0].fd >= 0 || all[1].fd >= 0 || all[2].fd >= 0) {
		if (poll(all, 3, -1) < 0)
			continue;
		if (all[0].fd >= 0 && all[0].revents != 0) {
			ssize_t done = write(in, input, length < PIPE_BUF ? length : PIPE_BUF);
			/* It need not read its input. */
			size_t gone = done >= 0 ? (size_t)done : length;
			input += gone;
			length -= gone;
			if (length == 0) {
				close(in);
				all[0].fd = -1;
			}
		}
		for (int at = 1; at < 3; at++) {
			struct text *one = &told[at - 1];
			if (all[at].fd < 0 || all[at].revents == 0)
				continue;
			grow(one, one->length + 4096);
			ssize_t got = read(all[at].fd, one->bytes + one->length, one->room - one->length);
			if (got > 0) {
				one->length += (size_t)got;
			} else if (got == 0 || errno != EINTR) {
				close(all[at].fd);
				all[at].fd = -1;
			}
		}
	}
}

/* Returns the first number of the answer. */
static uint32_t run(char *next, const char *end, const char *input, size_t length, struct text told[2])
{
	const uint32_t failed = 0x80000000u;
	const char *text = next;
	char *folder = next, *directory = folder + strlen(folder) + 1, *program = directory + strlen(directory) + 1;
	char *number = program + strlen(program) + 1;
	size_t count = strtoul(number, NULL, 10), at = 0;
	char *words[4096];
	for (next = number + strlen(number) + 1; next < end; next += strlen(next) + 1) {
		if (at == count)
			words[at++] = NULL;
		if (at + 1 >= sizeof words / sizeof *words)
			return failed | E2BIG;
		words[at++] = next;
	}
	if (at == count)
		words[at++] = NULL;
	words[at] = NULL;
	if (!enter(folder, "mnt", CLONE_NEWNS) || !enter(folder, "net", CLONE_NEWNET) || chdir(directory) < 0)
		return failed | (uint32_t)errno;
	int pipes[3][2];
	for (int which = 0; which < 3; which++)
		if (pipe2(pipes[which], O_CLOEXEC) < 0)
			return failed | (uint32_t)errno;
	const int theirs[3] = {pipes[0][0], pipes[1][1], pipes[2][1]}, outputs[2] = {pipes[1][0], pipes[2][0]};
	/* What is more than a library of it takes at once is started as any other program. */
	const int is_ready = strcmp(program, ready_program) == 0 && end - text <= 65536 && ready() >= 0;
	pid_t pid = is_ready ? start_ready(text, end, theirs) : start(program, words, words + count + 1, theirs);
	for (int which = 0; which < 3; which++)
		close(theirs[which]);
	talk(pipes[0][1], input, pid < 0 ? 0 : length, outputs, told);
	if (pid < 0)
		return failed | (uint32_t)-pid;
	int status;
	if (is_ready)
		return read_all(ready(), &status, sizeof status) ? (uint32_t)status : failed | EPIPE;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failed | (uint32_t)errno;
	return (uint32_t)status;
}

int main(int count, char **words)
{
	if (count != 5)
		errx(2, "starter REQUESTS ANSWERS LIBRARY PROGRAM");
	library = words[3];
	ready_program = words[4];
	signal(SIGPIPE, SIG_IGN);
	int requests = open(words[1], O_RDONLY | O_CLOEXEC), answers = open(words[2], O_WRONLY | O_CLOEXEC);
	if (requests < 0 || answers < 0)
		err(1, "open");
	struct text asked = {0}, told[2] = {{0}, {0}};
	uint32_t lengths[2];
	while (read_all(requests, lengths, sizeof lengths)) {
		size_t whole = (size_t)lengths[0] + lengths[1];
		grow(&asked, whole + 1);
		if (!read_all(requests, asked.bytes, whole))
			break;
		told[0].length = told[1].length = 0;
		char *input = asked.bytes + lengths[0];
		uint32_t status = run(asked.bytes, input, input, lengths[1], told);
		const uint32_t answer[3] = {status, (uint32_t)told[0].length, (uint32_t)told[1].length};
		write_all(answers, answer, sizeof answer);
		for (int which = 0; which < 2; which++)
			write_all(answers, told[which].bytes, told[which].length);
	}
	return 0;
}
