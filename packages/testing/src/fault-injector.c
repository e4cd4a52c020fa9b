/*
 * fault-injector MODE NUMBER REPORT PROGRAM [ARGUMENT…]
 *
 * Runs PROGRAM with the environment, the input and the outputs it was given, and interferes at the NUMBER-th change
 * that it, or a process it started, makes to the kernel or to the disk (0: counts only). MODE is what happens then:
 *
 *   refuse   the change is not made, and its call fails: EIO for the kernel, ENOSPC for the disk;
 *   lose     a netlink request is carried out, and receiving its answer fails with ENOBUFS, as when the socket's
 *            buffer overran; other changes are not counted;
 *   kill     PROGRAM (not what it started) gets SIGKILL before the change;
 *   term     PROGRAM gets SIGTERM before the change, which is made.
 *
 * Changes are: netlink requests but those that ask only, the replacing of iptables' older tables, the making of taps,
 * writes to files (/proc/sys included), and files and folders made, renamed, linked and removed. REPORT is a file that gets a line
 * for each change until the NUMBER-th, this one included. Exits as PROGRAM does, with 128 and the signal's number where
 * a signal ended it, and with 124 where it ran for more than 10 seconds. 125: the injector itself failed.
 *
 * Only system calls of interest stop the program (seccomp(2) with SECCOMP_RET_TRACE), so this costs about 2 ms a run.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* glibc has these in <sys/ptrace.h>, which does not go together with <linux/ptrace.h>. */
long ptrace(int request, ...);

#define SECONDS 10

static enum { REFUSE, LOSE, KILL, TERM } mode;
static long wanted, seen;
static FILE *report;
static pid_t root;
/* The descriptor whose next answer is to be lost; -1: none. */
static int losing = -1;

static void die(const char *what) {
  fprintf(stderr, "fault-injector: %s: %s\n", what, strerror(errno));
  if (root > 0) kill(root, SIGKILL);
  _exit(125);
}

static const int calls[] = {
    SYS_sendto,   SYS_sendmsg, SYS_recvfrom,  SYS_recvmsg, SYS_setsockopt, SYS_write,  SYS_pwrite64, SYS_writev,
    SYS_openat,   SYS_mkdirat, SYS_unlinkat,  SYS_linkat,  SYS_symlinkat,  SYS_ftruncate, SYS_renameat2,
    SYS_ioctl,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_open
    SYS_open,     SYS_mkdir,   SYS_unlink,    SYS_rename,  SYS_link,       SYS_symlink, SYS_rmdir,
#endif
};
#define CALLS (sizeof calls / sizeof *calls)

/* The calls above stop the program; all others go on. */
static void filter(void) {
  struct sock_filter code[CALLS + 3];
  code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (size_t i = 0; i < CALLS; i++)
    code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], CALLS - i, 0);
  code[CALLS + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[CALLS + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
  struct sock_fprog program = {CALLS + 3, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) die("PR_SET_NO_NEW_PRIVS");
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) die("seccomp");
}

/* Up to `size` bytes of the process's memory. */
static ssize_t peek(pid_t pid, uint64_t address, void *to, size_t size) {
  struct iovec local = {to, size}, remote = {(void *)(uintptr_t)address, size};
  return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

static const char *text(pid_t pid, uint64_t address) {
  static char buffer[256];
  memset(buffer, 0, sizeof buffer);
  /* A read that runs into an unmapped page fails as a whole. */
  for (size_t at = 0; at < sizeof buffer - 1; at++)
    if (peek(pid, address + at, buffer + at, 1) != 1 || buffer[at] == 0) break;
  return buffer;
}

static int changes(uint16_t type) {
  int group = type >> 8, verb = type & 0xff;
  if (group == 0) return type >= 16 && (type - 16) % 4 != 2; /* NETLINK_ROUTE; NFNL_MSG_BATCH_BEGIN is 16 too */
  if (group == 1 || group == 2) return verb == 0 || verb == 2; /* conntrack: new, delete */
  return 0; /* nf_tables' changes come in batches */
}

static char name[512];

/* The netlink messages in a buffer, by their types; whether one of them changes something. */
static int netlinkChange(pid_t pid, uint64_t address, uint64_t length) {
  struct nlmsghdr header;
  int change = 0;
  size_t end = snprintf(name, sizeof name, "netlink request of type");
  for (uint64_t at = 0; at + sizeof header <= length; at += NLMSG_ALIGN(header.nlmsg_len)) {
    if (peek(pid, address + at, &header, sizeof header) != sizeof header) break;
    if (header.nlmsg_len < sizeof header) break;
    if (changes(header.nlmsg_type)) change = 1;
    if (end < sizeof name - 16) end += snprintf(name + end, sizeof name - end, " %u", header.nlmsg_type);
  }
  return change;
}

/* The file behind a descriptor; NULL when it is none that could be changed. */
static const char *fileOf(pid_t pid, int fd) {
  static char path[256];
  char link[64];
  snprintf(link, sizeof link, "/proc/%d/fd/%d", pid, fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || path[0] != '/') return NULL;
  path[length] = 0;
  return strncmp(path, "/dev/", 5) == 0 ? NULL : path;
}

/* Whether a path names something already: then making it changes nothing. The program has our root; a path that is
 * not absolute counts as new. */
static int exists(const char *path) { return path[0] == '/' && access(path, F_OK) == 0; }

static int describe(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(name, sizeof name, format, list);
  va_end(list);
  return 1;
}

/* Whether the call is a change, which is then described in `name`; `failure`: the errno its refusal has. */
static int isChange(pid_t pid, const struct ptrace_syscall_info *call, int *failure) {
  const __u64 *args = call->seccomp.args;
  const char *file;
  *failure = EIO;
  switch (call->seccomp.nr) {
    case SYS_sendto:
      return netlinkChange(pid, args[1], args[2]);
    case SYS_sendmsg: {
      struct msghdr message;
      struct iovec part;
      if (peek(pid, args[1], &message, sizeof message) != sizeof message || message.msg_iovlen == 0) return 0;
      if (peek(pid, (uint64_t)(uintptr_t)message.msg_iov, &part, sizeof part) != sizeof part) return 0;
      return netlinkChange(pid, (uint64_t)(uintptr_t)part.iov_base, part.iov_len);
    }
    case SYS_setsockopt: /* IPT_SO_SET_REPLACE, IP6T_SO_SET_REPLACE */
      if ((args[1] != 0 && args[1] != 41) || args[2] != 64) return 0;
      return describe("replacing a legacy table");
    case SYS_ioctl: /* TUNSETIFF, TUNSETPERSIST, TUNSETOWNER, TUNSETGROUP: a link that a program makes */
      if ((args[1] & 0xfffffff8) != 0x400454c8 || (args[1] & 7) < 2) return 0;
      return describe("ioctl %#lx", (unsigned long)args[1]);
    case SYS_write:
    case SYS_pwrite64:
    case SYS_writev:
    case SYS_ftruncate:
      file = fileOf(pid, args[0]);
      if (!file) return 0;
      if (strncmp(file, "/proc/", 6) != 0) *failure = ENOSPC;
      return describe("%s %s", call->seccomp.nr == SYS_ftruncate ? "truncate" : "write", file);
  }
  *failure = ENOSPC;
  switch (call->seccomp.nr) {
    case SYS_openat:
      file = text(pid, args[1]);
      return (args[2] & O_CREAT) != 0 && (!exists(file) || (args[2] & O_TRUNC) != 0) && describe("create %s", file);
    case SYS_mkdirat:
      file = text(pid, args[1]);
      return !exists(file) && describe("mkdir %s", file);
    case SYS_unlinkat:
      return describe("unlink %s", text(pid, args[1]));
    case SYS_linkat:
    case SYS_renameat2:
#ifdef SYS_renameat
    case SYS_renameat:
#endif
      return describe("link or rename to %s", text(pid, args[3]));
    case SYS_symlinkat:
      return describe("link %s", text(pid, args[2]));
#ifdef SYS_open
    case SYS_open:
      file = text(pid, args[0]);
      return (args[1] & O_CREAT) != 0 && (!exists(file) || (args[1] & O_TRUNC) != 0) && describe("create %s", file);
    case SYS_mkdir:
      file = text(pid, args[0]);
      return !exists(file) && describe("mkdir %s", file);
    case SYS_unlink:
    case SYS_rmdir:
      return describe("unlink %s", text(pid, args[0]));
    case SYS_rename:
    case SYS_link:
    case SYS_symlink:
      return describe("link or rename to %s", text(pid, args[1]));
#endif
  }
  return 0;
}

/* Makes the call the process is stopped at return -`error`; `skip`: without being made. */
static void failCall(pid_t pid, int error, int skip) {
#if defined(__x86_64__)
  struct user_regs_struct registers;
  if (ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0) die("PTRACE_GETREGS");
  if (skip) registers.orig_rax = -1;
  registers.rax = -error;
  if (ptrace(PTRACE_SETREGS, pid, 0, &registers) != 0) die("PTRACE_SETREGS");
#elif defined(__aarch64__)
  struct user_pt_regs registers;
  struct iovec all = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all) != 0) die("PTRACE_GETREGSET");
  if (skip) {
    int none = -1;
    struct iovec number = {&none, sizeof none};
    if (ptrace(PTRACE_SETREGSET, pid, (void *)NT_ARM_SYSTEM_CALL, &number) != 0) die("NT_ARM_SYSTEM_CALL");
  }
  registers.regs[0] = -error;
  if (ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all) != 0) die("PTRACE_SETREGSET");
#else
#error "registers of this processor are not known here"
#endif
}

/* The call the process is stopped at, which is at its beginning (seccomp) or at its end; 0 where it was killed. */
static int callOf(pid_t pid, int isEnd, struct ptrace_syscall_info *call) {
  if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof *call, call) > 0) {
    return call->op == (isEnd ? PTRACE_SYSCALL_INFO_EXIT : PTRACE_SYSCALL_INFO_SECCOMP);
  }
#if defined(__x86_64__)
  /* User-mode Linux does not have that request. */
  struct user_regs_struct registers;
  if (errno != EIO || ptrace(PTRACE_GETREGS, pid, 0, &registers) != 0) return 0;
  const __u64 args[] = {registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9};
  if (isEnd) call->exit.is_error = (int64_t)registers.rax < 0;
  else {
    call->seccomp.nr = registers.orig_rax;
    memcpy(call->seccomp.args, args, sizeof args);
  }
  return 1;
#else
  return 0;
#endif
}

/* A process is about to make one of the calls; returns how it goes on. */
static int atCall(pid_t pid) {
  struct ptrace_syscall_info call;
  int failure;
  if (!callOf(pid, 0, &call)) return PTRACE_CONT;
  const int fd = call.seccomp.args[0];
  if (call.seccomp.nr == SYS_recvfrom || call.seccomp.nr == SYS_recvmsg)
    return losing == fd ? PTRACE_SYSCALL : PTRACE_CONT; /* its end is of interest */
  if (!isChange(pid, &call, &failure)) return PTRACE_CONT;
  const int request = call.seccomp.nr == SYS_sendto || call.seccomp.nr == SYS_sendmsg;
  if (mode == LOSE && !request) return PTRACE_CONT;
  if (wanted != 0 && seen >= wanted) return PTRACE_CONT;
  seen++;
  fprintf(report, "%s\n", name);
  fflush(report);
  if (seen != wanted) return PTRACE_CONT;
  if (mode == REFUSE) failCall(pid, failure, 1);
  if (mode == LOSE) losing = fd;
  if (mode == KILL) kill(root, SIGKILL);
  if (mode == TERM) kill(root, SIGTERM);
  return PTRACE_CONT;
}

/* A receiving call of the descriptor in question has ended: its answer is lost, if it had one. */
static void atReceived(pid_t pid) {
  struct ptrace_syscall_info call;
  if (!callOf(pid, 1, &call) || call.exit.is_error) return;
  failCall(pid, ENOBUFS, 0);
  losing = -1;
}

/* Who called us waits for this process; the one that traces has to stay for what PROGRAM leaves behind. */
static void tell(int pipe, int status) {
  if (write(pipe, &status, sizeof status) != sizeof status) _exit(125);
  close(pipe);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void onAlarm(int signal) { (void)signal; }

static int trace(char **program, int pipe) {
  root = fork();
  if (root < 0) die("fork");
  if (root == 0) {
    close(pipe);
    fclose(report);
    raise(SIGSTOP);
    filter();
    execv(program[0], program);
    die(program[0]);
  }
  /* Outputs that this process held would be open as long as what PROGRAM leaves behind. */
  int status, none = open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; fd++) dup2(none, fd);
  if (waitpid(root, &status, WUNTRACED) != root) die("waitpid");
  const long options =
      PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACESYSGOOD |
      PTRACE_O_EXITKILL; /* nothing that hangs outlives this process */
  if (ptrace(PTRACE_SEIZE, root, 0, (void *)options) != 0) die("PTRACE_SEIZE");
  kill(root, SIGCONT);
  struct sigaction action = {.sa_handler = onAlarm}; /* without SA_RESTART: it ends the wait below */
  sigaction(SIGALRM, &action, NULL);
  const double end = now() + SECONDS;
  int answer = -1;
  for (;;) {
    alarm(1);
    const pid_t pid = waitpid(-1, &status, __WALL);
    if (now() > end) {
      if (answer < 0) tell(pipe, 124);
      return 0;
    }
    if (pid < 0 && errno == EINTR) continue;
    if (pid < 0) break; /* all have ended */
    if (!WIFSTOPPED(status)) {
      if (pid != root) continue;
      answer = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      /* What a killed program had started may still work: the answer comes when that has ended. */
      if (mode != KILL || answer != 128 + SIGKILL) tell(pipe, answer);
      continue;
    }
    const int event = status >> 16, signal = WSTOPSIG(status);
    int how = PTRACE_CONT, deliver = 0;
    if (event == PTRACE_EVENT_SECCOMP) how = atCall(pid);
    else if (event == 0 && signal == (SIGTRAP | 0x80)) atReceived(pid);
    else if (event == 0) deliver = signal;
    ptrace(how, pid, 0, (void *)(long)deliver); /* fails where it was killed meanwhile */
  }
  if (mode == KILL && answer == 128 + SIGKILL) tell(pipe, answer);
  return 0;
}

int main(int argc, char **argv) {
  static const char *const modes[] = {"refuse", "lose", "kill", "term"};
  if (argc < 5) {
    fprintf(stderr, "fault-injector MODE NUMBER REPORT PROGRAM [ARGUMENT…]\n");
    return 125;
  }
  while (mode < 4 && strcmp(argv[1], modes[mode]) != 0) mode++;
  if (mode == 4) return fprintf(stderr, "fault-injector: %s is no mode\n", argv[1]), 125;
  wanted = atol(argv[2]);
  report = fopen(argv[3], "we");
  if (!report) die(argv[3]);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) die("pipe2");
  const pid_t tracer = fork();
  if (tracer < 0) die("fork");
  if (tracer == 0) return trace(argv + 4, ends[1]);
  close(ends[1]);
  int status = 125;
  if (read(ends[0], &status, sizeof status) != sizeof status) return 125;
  return status;
}
