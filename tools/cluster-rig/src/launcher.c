/* Calls plugins one after the other, inside a node's namespaces, and tells when each call began and ended by the
 * machine's monotonic clock. A line of the input is one call, its words apart by tabs:
 *
 *   number  verb  container  interface  file-of-configuration  CNI_ARGS  signal  after-µs  pause-ms
 *
 * `signal` (0: none) is sent after so long; 19 (SIGSTOP) is followed by SIGCONT after the pause. A line of the output:
 *
 *   number  began-ns  ended-ns  exit-status-or-128+signal  what-it-printed
 *
 * Started as: launcher PLUGIN, with the plugins' environment. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void nap(int64_t ns) {
  struct timespec t = {ns / 1000000000LL, ns % 1000000000LL};
  while (nanosleep(&t, &t) == -1 && errno == EINTR) {
  }
}

static char answer[65536];
static const int64_t longest = 120000000000LL; /* a call that takes longer is killed */

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  char *line = NULL;
  size_t room = 0;
  while (getline(&line, &room, stdin) > 0) {
    line[strcspn(line, "\n")] = 0;
    char *word[9], *rest = line;
    for (int i = 0; i < 9; i++) {
      word[i] = strsep(&rest, "\t");
      if (word[i] == NULL) return 3;
    }
    int number = atoi(word[6]);
    int64_t after = atoll(word[7]) * 1000, pause = atoll(word[8]) * 1000000;
    setenv("CNI_COMMAND", word[1], 1);
    setenv("CNI_CONTAINERID", word[2], 1);
    setenv("CNI_IFNAME", word[3], 1);
    setenv("CNI_ARGS", word[5], 1);

    int out[2];
    if (pipe2(out, O_CLOEXEC) != 0) return 4;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, word[4], O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char *args[] = {argv[1], NULL};
    extern char **environ;
    pid_t child;
    int64_t began = now();
    int failed = posix_spawn(&child, argv[1], &actions, NULL, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    if (failed) {
      fprintf(stderr, "launcher: %s: %s\n", argv[1], strerror(failed));
      return 5;
    }

    size_t length = 0;
    int sent = number == 0;
    for (;;) {
      int64_t due = began + (sent ? longest : after) - now();
      if (due <= 0) {
        kill(child, sent ? SIGKILL : number);
        if (!sent && number == SIGSTOP) {
          nap(pause);
          kill(child, SIGCONT);
        }
        if (sent) break;
        sent = 1;
        continue;
      }
      struct pollfd one = {out[0], POLLIN, 0};
      struct timespec wait = {due / 1000000000LL, due % 1000000000LL};
      if (ppoll(&one, 1, &wait, NULL) <= 0) continue;
      ssize_t got = read(out[0], answer + length, sizeof answer - 1 - length);
      if (got <= 0) break;
      length += got;
    }
    int status = 0;
    waitpid(child, &status, 0);
    int64_t ended = now();
    close(out[0]);
    answer[length] = 0;
    for (size_t i = 0; i < length; i++)
      if (answer[i] == '\n' || answer[i] == '\t') answer[i] = ' ';
    printf("%s\t%lld\t%lld\t%d\t%s\n", word[0], (long long)began, (long long)ended,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), answer);
    fflush(stdout);
  }
  return 0;
}
