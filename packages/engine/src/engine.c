/*
 * The program that runs the plugins' JavaScript: QuickJS, the bytecode of this build, and the little that JavaScript
 * cannot do for itself. It knows nothing of networks. What it gives to JavaScript is the global object `engine`
 * (engine.ts has its type): the libc functions of calls.ts, called with the arguments they are given, UTF-8, a strict
 * look at JSON, a clock, and signals that end waiting instead of the process.
 *
 * Generated at build time (tools/bundle): calls.inc, the table of libc functions, and the bytecode.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "json.h"
#include "memory.h"
#include "quickjs.h"
#include "sha512.h"

/* ---- libc ------------------------------------------------------------------------------------------------------- */

#ifndef STATX_BASIC_STATS /* musl before 1.2.4 has the system call only */
static int statx(int folder, const char *path, int flags, unsigned mask, void *into) {
  return syscall(SYS_statx, folder, path, flags, mask, into);
}
#endif

/* As musl's, which sets FD_CLOEXEC once more by another call, for kernels of long ago. */
static int open_file(const char *path, int flags, unsigned mode) { return syscall(SYS_openat, AT_FDCWD, path, flags, mode); }

/* Newer versions of musl have it under another name than glibc, and older ones under both. */
static int read_folder(int folder, void *into, unsigned length) { return syscall(SYS_getdents64, folder, into, length); }
static int take_lock(int descriptor, int operation);

enum { most_arguments = 6 };
typedef long (*libc_function)(long, long, long, long, long, long);

static const struct {
  const char *name;
  libc_function function;
  int arguments;
} calls[] = {
#define CALL(name, arguments) {#name, (libc_function)name, arguments},
#define open open_file
#undef getdents64
#define getdents64 read_folder
#define flock take_lock
#include "calls.inc"
#undef flock
#undef getdents64
#undef open
#undef CALL
};

/* Of the last call: what runs between it and the question for it may call libc too. */
static int last_errno;

/* The bytes of a Uint8Array, or NULL with an exception. */
static uint8_t *bytes_of(JSContext *context, JSValueConst array, size_t *length) {
  size_t offset, size, whole;
  JSValue buffer = JS_GetTypedArrayBuffer(context, array, &offset, length, &size);
  if (JS_IsException(buffer)) return NULL;
  uint8_t *bytes = JS_GetArrayBuffer(context, &whole, buffer);
  JS_FreeValue(context, buffer); /* the array keeps it */
  return bytes ? bytes + offset : NULL;
}

/* Integers as they are, a Uint8Array as its address: what C makes of int, unsigned, size_t and pointers alike. */
static int argument_of(JSContext *context, JSValueConst value, long *argument) {
  if (JS_IsNumber(value)) {
    int64_t number;
    if (JS_ToInt64(context, &number, value)) return -1;
    *argument = number;
    return 0;
  }
  size_t length;
  uint8_t *bytes = bytes_of(context, value, &length);
  *argument = (long)bytes;
  return bytes ? 0 : -1;
}

/* Whether a call is served. Before, while the program is prepared, there is no time, no chance, no environment and no
 * kernel: what a source took of them then, all calls would share. */
static int started;
/* Whether sources are evaluated for that. */
static int evaluating;

static JSValue too_early(JSContext *context, const char *what) {
  return JS_ThrowTypeError(context, "%s asked for while the program is prepared: ask in the call that needs it", what);
}

static void refuse_preparation(const char *why) {
  dprintf(2, "the program cannot be prepared: %s\n", why);
  _exit(1);
}

static JSValue call_libc(JSContext *context, JSValueConst self, int count, JSValueConst *values, int which) {
  if (!started) return too_early(context, calls[which].name);
  long a[most_arguments] = {0};
  for (int i = 0; i < count && i < most_arguments; i++)
    if (argument_of(context, values[i], &a[i])) return JS_EXCEPTION;
  int result = calls[which].function(a[0], a[1], a[2], a[3], a[4], a[5]);
  last_errno = errno;
  return JS_NewInt32(context, result);
}

static JSValue get_errno(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  return JS_NewInt32(context, last_errno);
}

/* address(bytes): where a Uint8Array lies, for structures that have pointers in them. */
static JSValue address(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  size_t length;
  uint8_t *bytes = bytes_of(context, values[0], &length);
  return bytes ? JS_NewInt64(context, (long)bytes) : JS_EXCEPTION;
}

/* An object with the functions of calls.ts. */
static JSValue make_libc(JSContext *context) {
  JSValue object = JS_NewObject(context);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    JSValue function = JS_NewCFunctionMagic(context, call_libc, calls[i].name, calls[i].arguments,
                                            JS_CFUNC_generic_magic, i);
    JS_SetPropertyStr(context, object, calls[i].name, function);
  }
  JS_SetPropertyStr(context, object, "errno", JS_NewCFunction(context, get_errno, "errno", 0));
  JS_SetPropertyStr(context, object, "address", JS_NewCFunction(context, address, "address", 1));
  return object;
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------ */

static void free_bytes(JSRuntime *runtime, void *opaque, void *bytes) { js_free_rt(runtime, bytes); }

/* A Uint8Array of these bytes, which are js_malloc's and the array's from now on. */
static JSValue array_of(JSContext *context, uint8_t *bytes, size_t length) {
  JSValue buffer = JS_NewArrayBuffer(context, bytes, length, free_bytes, NULL, 0);
  if (JS_IsException(buffer)) return js_free(context, bytes), buffer;
  JSValue arguments[] = {buffer, JS_UNDEFINED, JS_UNDEFINED};
  JSValue array = JS_NewTypedArray(context, 3, arguments, JS_TYPED_ARRAY_UINT8);
  JS_FreeValue(context, buffer);
  return array;
}

/* encode(text): its bytes. Half a surrogate pair becomes U+FFFD, which has as many bytes as QuickJS gives it. */
static JSValue encode(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  size_t length;
  const char *text = JS_ToCStringLen(context, &length, values[0]);
  if (!text) return JS_EXCEPTION;
  uint8_t *bytes = js_malloc(context, length + 1);
  if (!bytes) return JS_FreeCString(context, text), JS_EXCEPTION;
  memcpy(bytes, text, length);
  JS_FreeCString(context, text);
  for (size_t i = 0; i + 2 < length; i++)
    if (bytes[i] == 0xed && bytes[i + 1] >= 0xa0) memcpy(bytes + i, "\xef\xbf\xbd", 3);
  return array_of(context, bytes, length);
}

/*
 * What the system calls text is bytes without NUL. Each byte that is no UTF-8 is one of U+DC80 to U+DCFF here, halves
 * of surrogate pairs that no other text has, so that it comes back as it was (Python's "surrogateescape").
 */

/* The last two bytes in QuickJS's UTF-8 of such a half, after 0xed: the byte it stands for, or 0. */
static uint8_t escaped_byte(const uint8_t *at) {
  if (at[0] != 0xb2 && at[0] != 0xb3) return 0;
  uint8_t byte = (at[0] & 3) << 6 | (at[1] & 0x3f);
  return byte >= 0x80 ? byte : 0;
}

/* systemBytes(text, end): its bytes, and one that is 0 after them if `end`; null for a text with NUL in it. */
static JSValue system_bytes(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  size_t length;
  const char *text = JS_ToCStringLen(context, &length, values[0]);
  if (!text) return JS_EXCEPTION;
  if (memchr(text, 0, length)) return JS_FreeCString(context, text), JS_NULL;
  uint8_t *bytes = js_malloc(context, length + 1);
  if (!bytes) return JS_FreeCString(context, text), JS_EXCEPTION;
  memcpy(bytes, text, length);
  JS_FreeCString(context, text);
  if (memchr(bytes, 0xed, length)) {
    size_t to = 0;
    for (size_t from = 0; from < length; to++) {
      if (bytes[from] != 0xed || from + 2 >= length || bytes[from + 1] < 0xa0) {
        bytes[to] = bytes[from++];
        continue;
      }
      uint8_t byte = escaped_byte(bytes + from + 1);
      if (byte) bytes[to] = byte;
      else memcpy(bytes + to, "\xef\xbf\xbd", 3), to += 2;
      from += 3;
    }
    length = to;
  }
  bytes[length] = 0;
  return array_of(context, bytes, length + JS_ToBool(context, values[1]));
}

/* How many bytes from here are one character, 0 if none; *bad: how many of them to take for one U+FFFD then (the
 * Unicode standard's "maximal subpart", as the WHATWG's decoder). */
static size_t character(const uint8_t *at, size_t left, size_t *bad) {
  uint8_t first = at[0], low = 0x80, high = 0xbf;
  size_t more;
  *bad = 1;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) more = 1;
  else if (first >= 0xe0 && first <= 0xef) more = 2;
  else if (first >= 0xf0 && first <= 0xf4) more = 3;
  else return 0;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  for (size_t i = 1; i <= more; i++, low = 0x80, high = 0xbf) {
    if (i >= left || at[i] < low || at[i] > high) return 0;
    *bad = i + 1;
  }
  return more + 1;
}

/* Nearly all there is. */
static int is_ascii(const uint8_t *bytes, size_t length) {
  uint64_t all = 0, eight;
  size_t at = 0;
  for (; at + 8 <= length; at += 8) {
    memcpy(&eight, bytes + at, 8);
    all |= eight;
  }
  if (at < length && length >= 8) {
    memcpy(&eight, bytes + length - 8, 8);
    all |= eight;
  } else
    for (; at < length; at++) all |= bytes[at];
  return !(all & 0x8080808080808080);
}

/* The text of these bytes; what is no UTF-8 becomes U+FFFD, or what stands for each byte of it if `escape`. */
static JSValue text_of(JSContext *context, const uint8_t *bytes, size_t length, int escape) {
  if (is_ascii(bytes, length)) return JS_NewStringLen(context, (const char *)bytes, length);
  size_t bad, valid = 0;
  while (valid < length) {
    size_t size = character(bytes + valid, length - valid, &bad);
    if (size == 0) break;
    valid += size;
  }
  if (valid == length) return JS_NewStringLen(context, (const char *)bytes, length);
  uint8_t *mended = js_malloc(context, length * 3); /* at worst each byte is a character of its own */
  if (!mended) return JS_EXCEPTION;
  size_t to = 0;
  for (size_t from = 0; from < length;) {
    size_t size = character(bytes + from, length - from, &bad);
    if (size == 0 && escape) {
      memcpy(mended + to, (uint8_t[]){0xed, 0xb0 | bytes[from] >> 6, 0x80 | (bytes[from] & 0x3f)}, 3);
      to += 3;
      from++;
      continue;
    }
    memcpy(mended + to, size ? bytes + from : (const uint8_t *)"\xef\xbf\xbd", size ? size : 3);
    to += size ? size : 3;
    from += size ? size : bad;
  }
  JSValue text = JS_NewStringLen(context, (const char *)mended, to);
  js_free(context, mended);
  return text;
}

/* decode(bytes): text; what is not UTF-8 becomes U+FFFD. systemText(bytes): text that systemBytes makes these of. */
enum { replacing, escaping };
static JSValue decode(JSContext *context, JSValueConst self, int count, JSValueConst *values, int how) {
  size_t length;
  const uint8_t *bytes = bytes_of(context, values[0], &length);
  return bytes ? text_of(context, bytes, length, how == escaping) : JS_EXCEPTION;
}

/* jsonError(text): where it stops being JSON, see json.h: undefined if nowhere, else what was expected and the byte. */
static JSValue json_error_of(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  size_t length, at;
  const char *text = JS_ToCStringLen(context, &length, values[0]);
  if (!text) return JS_EXCEPTION;
  enum json_expected expected = json_check((const uint8_t *)text, length, &at);
  JS_FreeCString(context, text);
  if (expected == json_nothing) return JS_UNDEFINED;
  JSValue found = JS_NewArray(context);
  JS_SetPropertyUint32(context, found, 0, JS_NewInt32(context, expected));
  JS_SetPropertyUint32(context, found, 1, JS_NewInt64(context, at));
  return found;
}

/* sha512(text): of its UTF-8, in hexadecimal. */
static JSValue hash(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  size_t length;
  char digits[128];
  const char *text = JS_ToCStringLen(context, &length, values[0]);
  if (!text) return JS_EXCEPTION;
  sha512((const uint8_t *)text, length, digits);
  JS_FreeCString(context, text);
  return JS_NewStringLen(context, digits, sizeof digits);
}

/* ---- time and signals ------------------------------------------------------------------------------------------- */

/* Instead of libc's, by the linker: QuickJS asks it for Date, and when it begins for where chance begins, which is not
 * used (Math.random is ours). What Date says while the program is prepared, all calls would share. */
int __real_gettimeofday(struct timeval *time, void *zone);
int __wrap_gettimeofday(struct timeval *time, void *zone) {
  if (started) return __real_gettimeofday(time, zone);
  if (evaluating) refuse_preparation("Date asked for while a source is evaluated: ask in the call that needs it");
  *time = (struct timeval){0};
  return 0;
}

static double milliseconds_now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

/* now(): milliseconds since some moment, not set back or forth. */
static JSValue now(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  if (!started) return too_early(context, "the time");
  return JS_NewFloat64(context, milliseconds_now());
}

/* random(): as Math.random, from the kernel. */
static JSValue draw(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  if (!started) return too_early(context, "chance");
  uint64_t bits = 0;
  if (getrandom(&bits, sizeof bits, 0) != sizeof bits) return JS_ThrowInternalError(context, "no random numbers");
  return JS_NewFloat64(context, (bits >> 11) * 0x1p-53);
}

static volatile sig_atomic_t signals_held[65];
/* The first that came while signals are held: who waits is to stop. */
static volatile sig_atomic_t stop_signal;

static void tick(int signal) {}

static void end_waiting_every(struct timeval first, struct timeval next) {
  struct sigaction action = {.sa_handler = tick};
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &(struct itimerval){next, first}, NULL);
}

/*
 * A signal ends a system call that waits. One that begins just after would wait on, so from now on another signal comes
 * every 50 ms, whose handler does nothing.
 */
static const struct timeval often = {.tv_usec = 50000}, never = {0};

static void remember(int signal) {
  int error = errno;
  signals_held[signal] = 1;
  if (!stop_signal) {
    stop_signal = signal;
    end_waiting_every(often, often);
  }
  errno = error;
}

/* For the call at hand: ends it once. What a signal has set going goes on. */
static void end_waiting_after(struct timeval once) {
  if (!stop_signal) end_waiting_every(once, never);
  if (stop_signal) end_waiting_every(often, often); /* it may have come between the two lines */
}

/*
 * flock(2). A lock that is free is taken at once; waiting for another's ends with ETIMEDOUT after two minutes, and with
 * EINTR when a signal asks us to stop.
 */
static int take_lock(int descriptor, int operation) {
  if (!flock(descriptor, operation | LOCK_NB)) return 0;
  if (errno != EWOULDBLOCK || operation & LOCK_NB) return -1;
  end_waiting_after((struct timeval){.tv_sec = 120});
  int result = flock(descriptor, operation), error = errno;
  end_waiting_after(never);
  errno = error == EINTR && !stop_signal ? ETIMEDOUT : error;
  return result;
}

/* When who waited was told to stop, in milliseconds_now; 0 as long as nobody was. */
static double told_to_stop;

/* holdSignal(number, hold): from now on it is remembered, or does again what it did. It ends system calls that wait. */
static JSValue hold_signal(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  int number, hold = JS_ToBool(context, values[1]);
  if (JS_ToInt32(context, &number, values[0]) || number < 1 || number > 64) return JS_EXCEPTION;
  struct sigaction action = {.sa_handler = hold ? remember : SIG_DFL};
  sigaction(number, &action, NULL);
  if (!hold && number == stop_signal) {
    end_waiting_every(never, never);
    stop_signal = 0;
    told_to_stop = 0;
  }
  return JS_UNDEFINED;
}

/*
 * interruption(milliseconds), after a system call said EINTR: the signal for which to stop waiting, 0 to wait on. It is
 * told once: what is waited for afterwards undoes things, and is waited for as long as the milliseconds are not over.
 */
static JSValue interruption(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  double patience, now = milliseconds_now();
  if (JS_ToFloat64(context, &patience, values[0])) return JS_EXCEPTION;
  if (!stop_signal) return JS_NewInt32(context, 0);
  int wait_on = told_to_stop != 0 && now - told_to_stop < patience;
  if (told_to_stop == 0) told_to_stop = now;
  return JS_NewInt32(context, wait_on ? 0 : stop_signal);
}

/* takeSignal(number): whether it came since the last time it was asked for. */
static JSValue take_signal(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  int number;
  if (JS_ToInt32(context, &number, values[0]) || number < 1 || number > 64) return JS_EXCEPTION;
  int came = signals_held[number];
  signals_held[number] = 0;
  return JS_NewBool(context, came);
}

/* collectCycles(): gives back what only refers to itself. For a process that stays; no other lives to see it done. */
static JSValue collect_cycles(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  JS_RunGC(JS_GetRuntime(context));
  return JS_UNDEFINED;
}

/* ---- waiting that is left behind ------------------------------------------------------------------------------- */

/* How far the arena goes. */
static uint8_t *arena_last = arena_end;

/* A child gets nothing of the heap from now on: it would be copied, page by page, when we write to it next. */
static void keep_from_children(void) {
  madvise(arena_start, arena_last - arena_start, MADV_DONTFORK);
  int in_arena = heap->piece_end >= arena_start && heap->piece_end <= arena_last;
  if (heap->piece_end && !in_arena) madvise(heap->piece_end - heap->piece_length, heap->piece_length, MADV_DONTFORK);
}

/*
 * Whether the process that orphans are given to is one that waits for them. Where it is a daemon that waits for its own
 * children only, each would stay as a zombie: a program that makes itself a subreaper knows what it does, the first
 * process of a namespace may not.
 */
static int orphans_are_reaped(void) {
  static const char *const inits[] = {"systemd", "init",       "tini",      "dumb-init", "catatonit", "docker-init",
                                      "pause",   "s6-svscan",  "runit",     "runit-init", "runsvdir", "openrc-init",
                                      "shepherd", "dinit",     "procd",     "minit",     "bash"};
  char text[64];
  ssize_t length = readlink("/proc/self", text, sizeof text - 1);
  if (length <= 0 || (text[length] = 0, atoi(text) != getpid())) return 0; /* /proc of another namespace */
  int file = open("/proc/1/comm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  text[length - (text[length - 1] == '\n')] = 0;
  for (size_t i = 0; i < sizeof inits / sizeof *inits; i++)
    if (!strcmp(text, inits[i])) return 1;
  return 0;
}

/* Closes all but two descriptors, the first less than the second. */
static void close_all_but(unsigned first, unsigned second) {
  const unsigned ranges[][2] = {{0, first - 1}, {first + 1, second - 1}, {second + 1, ~0U}};
  for (int i = 0; i < 3; i++) {
    if (i < 2 && ranges[i][1] + 1 <= ranges[i][0]) continue; /* nothing between */
    if (!syscall(SYS_close_range, ranges[i][0], ranges[i][1], 0)) continue;
    for (unsigned other = ranges[i][0]; other <= ranges[i][1] && other < 1024; other++) close(other); /* before 5.9 */
  }
}

/* Where the process that was left behind takes more to keep. */
static int to_child = -1;

/* Gives it a descriptor to keep for so long. */
static int hand_over(int descriptor, int milliseconds) {
  union {
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } control = {0};
  struct iovec data = {&milliseconds, sizeof milliseconds};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
  return sendmsg(to_child, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof milliseconds;
}

/* What the child does: takes descriptors as long as we are there, keeps them as long as it was told, and no longer. */
static void keep(int from_parent, int milliseconds) {
  double until = milliseconds_now() + milliseconds;
  struct pollfd parent = {.fd = from_parent, .events = POLLIN};
  /* One that goes on for longer than that does its own waiting. */
  while (poll(&parent, 1, 5000) == 1) {
    union {
      char room[CMSG_SPACE(sizeof(int))];
      struct cmsghdr aligned;
    } control;
    struct iovec data = {&milliseconds, sizeof milliseconds};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room};
    if (recvmsg(from_parent, &message, 0) <= 0) break;
    if (milliseconds_now() + milliseconds > until) until = milliseconds_now() + milliseconds;
  }
  close(from_parent);
  double left = until - milliseconds_now();
  if (left > 0) poll(NULL, 0, left + 1);
}

/*
 * leaveBehind(descriptor, message, milliseconds): a process that sends the message on the socket, if there is one,
 * keeps the socket open for so long, and has nothing else of ours: the runtime's pipes end when we do. There is one at
 * most: what is to be kept later is given to it, and a second message is not sent. False where no process can be had,
 * or where it would stay as a zombie.
 */
static JSValue leave_behind(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  static enum { unknown, no, yes } possible;
  int descriptor, milliseconds;
  size_t length = 0;
  const uint8_t *message = NULL;
  if (JS_ToInt32(context, &descriptor, values[0]) || JS_ToInt32(context, &milliseconds, values[2])) return JS_EXCEPTION;
  if (!JS_IsUndefined(values[1]) && !(message = bytes_of(context, values[1], &length))) return JS_EXCEPTION;
  if (to_child >= 0) return JS_NewBool(context, !message && hand_over(descriptor, milliseconds));
  if (possible == unknown) possible = orphans_are_reaped() ? yes : no;
  uint8_t copy[4096];
  int pair[2];
  if (possible == no || length > sizeof copy || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return JS_FALSE;
  if (message) memcpy(copy, message, length);
  keep_from_children();
  pid_t child = fork();
  if (child != 0) {
    close(pair[1]);
    if (child > 0) to_child = pair[0];
    else close(pair[0]);
    return JS_NewBool(context, child > 0);
  }
  if (descriptor < pair[1]) close_all_but(descriptor, pair[1]);
  else close_all_but(pair[1], descriptor);
  if (message) send(descriptor, copy, length, 0);
  keep(pair[1], milliseconds);
  _exit(0);
}

/* ---- what the file says of itself ------------------------------------------------------------------------------- */

/*
 * In the file: that it is ours and of which version, of which build it is (a hash of all that went into it), and
 * which plugin it is, where `cnitool install` has written that. So a file of the same program is known by 32 bytes of it,
 * one of another build by what it begins with (packages/cli looks for that), and one by any name is what it was
 * installed as.
 */
struct mark {
  char version[32], build[32], plugin[32];
};
extern const struct mark mark;

/* Where in the file, -1 when the kernel has not told how the program lies in memory. */
static long mark_offset(void) {
  const ElfW(Phdr) *segment = (const ElfW(Phdr) *)getauxval(AT_PHDR);
  uintptr_t at = (uintptr_t)&mark;
  for (size_t left = getauxval(AT_PHNUM); segment && left > 0; left--, segment++)
    if (segment->p_type == PT_LOAD && at >= segment->p_vaddr && at < segment->p_vaddr + segment->p_filesz)
      return at - segment->p_vaddr + segment->p_offset;
  return -1;
}

/* sameBuild(path): whether the file there is this program, be it another file. One that cannot be read is not. */
static JSValue same_build(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  size_t length;
  char build[sizeof mark.build];
  const char *path = JS_ToCStringLen(context, &length, values[0]);
  if (!path) return JS_EXCEPTION;
  int file = strlen(path) == length ? open_file(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0) : -1;
  JS_FreeCString(context, path);
  if (file < 0) return JS_FALSE;
  long offset = mark_offset();
  int same = offset >= 0 && pread(file, build, sizeof build, offset + offsetof(struct mark, build)) == sizeof build &&
             !memcmp(build, mark.build, sizeof build);
  close(file);
  return JS_NewBool(context, same);
}

/* mark(): [where in the file the plugin's name is, how many bytes there are for it, the name that is there] */
static JSValue get_mark(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
  long offset = mark_offset();
  const char *plugin = mark.plugin;
  JSValue list = JS_NewArray(context);
  JS_SetPropertyUint32(context, list, 0, JS_NewInt64(context, offset < 0 ? -1 : offset + (long)offsetof(struct mark, plugin)));
  JS_SetPropertyUint32(context, list, 1, JS_NewInt64(context, sizeof mark.plugin));
  JS_SetPropertyUint32(context, list, 2, JS_NewStringLen(context, plugin, strnlen(plugin, sizeof mark.plugin)));
  return list;
}

/* ---- the program ------------------------------------------------------------------------------------------------ */

/* Its bytecode. In a program that was prepared there is none: it was evaluated then. */
extern const uint8_t program_start[], program_end[];

static JSValue evaluate(JSContext *context) {
  JSValue function = JS_ReadObject(context, program_start, program_end - program_start, JS_READ_OBJ_BYTECODE);
  return JS_IsException(function) ? function : JS_EvalFunction(context, function);
}

/* ---- the process ------------------------------------------------------------------------------------------------ */

#if defined(__x86_64__)
static const char architecture[] = "x64";
#elif defined(__aarch64__)
static const char architecture[] = "arm64";
#endif

static const JSCFunctionListEntry engine_functions[] = {
    JS_CFUNC_DEF("encode", 1, encode),
    JS_CFUNC_MAGIC_DEF("decode", 1, decode, replacing),
    JS_CFUNC_DEF("systemBytes", 2, system_bytes),
    JS_CFUNC_MAGIC_DEF("systemText", 1, decode, escaping),
    JS_CFUNC_DEF("jsonError", 1, json_error_of),
    JS_CFUNC_DEF("sha512", 1, hash),
    JS_CFUNC_DEF("now", 0, now),
    JS_CFUNC_DEF("random", 0, draw),
    JS_CFUNC_DEF("holdSignal", 2, hold_signal),
    JS_CFUNC_DEF("takeSignal", 1, take_signal),
    JS_CFUNC_DEF("interruption", 1, interruption),
    JS_CFUNC_DEF("collectCycles", 0, collect_cycles),
    JS_CFUNC_DEF("leaveBehind", 3, leave_behind),
    JS_CFUNC_DEF("sameBuild", 1, same_build),
    JS_CFUNC_DEF("mark", 0, get_mark),
};

static JSValue string_of(JSContext *context, const char *string, size_t length) {
  return text_of(context, (const uint8_t *)string, length, 1);
}

static JSValue string_list(JSContext *context, char **strings) {
  JSValue list = JS_NewArray(context);
  for (uint32_t i = 0; strings[i]; i++)
    JS_SetPropertyUint32(context, list, i, string_of(context, strings[i], strlen(strings[i])));
  return list;
}

/* An object of what is `NAME=value`; of two with one name, the last. */
static JSValue environment_of(JSContext *context, char **strings) {
  JSValue object = JS_NewObject(context);
  for (; *strings; strings++) {
    const char *end = strchr(*strings, '=');
    if (!end || end == *strings) continue;
    JSValue name = string_of(context, *strings, end - *strings);
    JSAtom atom = JS_ValueToAtom(context, name);
    JS_FreeValue(context, name);
    JS_DefinePropertyValue(context, object, atom, string_of(context, end + 1, strlen(end + 1)), JS_PROP_C_W_E);
    JS_FreeAtom(context, atom);
  }
  return object;
}

/* An error nobody caught ends the process: there is no sense in going on, and the operator must see it. */
static void end_with(JSContext *context, JSValue error) {
  const char *text = JS_ToCString(context, error);
  JSValue stack = JS_GetPropertyStr(context, error, "stack");
  const char *trace = JS_IsString(stack) ? JS_ToCString(context, stack) : NULL;
  dprintf(2, "%s\n%s", text ? text : "an error without a text", trace ? trace : "");
  _exit(1);
}

/* Promises that were rejected, and whose rejection nobody has asked about yet; each followed by its reason. */
static JSValue *unhandled;
static size_t unhandled_count;

static void track_rejection(JSContext *context, JSValueConst promise, JSValueConst reason, JS_BOOL is_handled,
                            void *opaque) {
  if (!is_handled) {
    unhandled = realloc(unhandled, (unhandled_count + 2) * sizeof *unhandled);
    if (!unhandled) end_without_memory(0);
    unhandled[unhandled_count++] = JS_DupValue(context, promise);
    unhandled[unhandled_count++] = JS_DupValue(context, reason);
    return;
  }
  for (size_t i = 0; i < unhandled_count; i += 2) {
    if (JS_VALUE_GET_PTR(unhandled[i]) != JS_VALUE_GET_PTR(promise)) continue;
    JS_FreeValue(context, unhandled[i]);
    JS_FreeValue(context, unhandled[i + 1]);
    unhandled_count -= 2;
    memmove(unhandled + i, unhandled + i + 2, (unhandled_count - i) * sizeof *unhandled);
    return;
  }
}

static void run_jobs(JSRuntime *runtime) {
  JSContext *context;
  int status;
  while ((status = JS_ExecutePendingJob(runtime, &context)) != 0)
    if (status < 0) end_with(context, JS_GetException(context));
}

/* The engine, and all that the program makes when it is evaluated; it leaves `start` in `engine`. */
static void begin(void) {
  begin_heap();
  JSRuntime *runtime = heap->runtime = JS_NewRuntime2(&memory_functions, NULL);
  JS_SetGCThreshold(runtime, 256 << 20); /* cycles only: everything else is freed when it is let go */
  JS_SetHostPromiseRejectionTracker(runtime, track_rejection, NULL);
  JSContext *context = heap->context = JS_NewContextRaw(runtime);
  JS_AddIntrinsicBaseObjects(context);
  JS_AddIntrinsicDate(context);
  JS_AddIntrinsicRegExp(context);
  JS_AddIntrinsicRegExpCompiler(context);
  JS_AddIntrinsicJSON(context);
  JS_AddIntrinsicProxy(context);
  JS_AddIntrinsicMapSet(context);
  JS_AddIntrinsicTypedArrays(context);
  JS_AddIntrinsicPromise(context);
  JS_AddIntrinsicWeakRef(context);

  heap->engine = JS_NewObject(context);
  JS_SetPropertyFunctionList(context, heap->engine, engine_functions,
                             sizeof engine_functions / sizeof *engine_functions);
  JS_SetPropertyStr(context, heap->engine, "libc", make_libc(context));
  JS_SetPropertyStr(context, heap->engine, "arch", JS_NewString(context, architecture));
  JSValue global = JS_GetGlobalObject(context);
  JS_SetPropertyStr(context, global, "engine", JS_DupValue(context, heap->engine));
  JS_FreeValue(context, global);
  evaluating = 1;
  JSValue result = evaluate(context);
  if (JS_IsException(result)) end_with(context, JS_GetException(context));
  JS_FreeValue(context, result);
}

/* Calls a function of `engine`. Undefined where there is none. */
static JSValue call(const char *name) {
  JSContext *context = heap->context;
  JSValue function = JS_GetPropertyStr(context, heap->engine, name);
  if (!JS_IsFunction(context, function)) return JS_UNDEFINED;
  JSValue result = JS_Call(context, function, JS_UNDEFINED, 0, NULL);
  if (JS_IsException(result)) end_with(context, JS_GetException(context));
  JS_FreeValue(context, function);
  return result;
}

/*
 * QuickJS doubles its table of shapes (one for each set of keys that objects have) when it is half full, and every call
 * would do so, and copy its pages, if the program were prepared shortly before that. With these made and let go, the
 * table has room for as many as a call makes.
 */
static void make_room_for_shapes(JSContext *context) {
  enum { enough = 200 };
  JSValue made[enough];
  uint8_t *start = heap->piece_at;
  for (int i = 0; i < enough; i++) {
    made[i] = JS_NewObject(context);
    JS_SetPropertyUint32(context, made[i], i, JS_TRUE);
  }
  /* It looks whether the table is full when an object of another prototype is made, and at no other time. */
  JS_FreeValue(context, JS_NewObjectProto(context, made[0]));
  for (int i = 0; i < enough; i++) JS_FreeValue(context, made[i]);
  /* Where there was room, nothing of it stays. */
  take_back_from(start);
}

/*
 * The build runs the program once like this: everything that does not depend on the call is done, and the memory it
 * left, which refers to nothing outside the program, is written to a file. Linked into the program as its arena, it is
 * where each call goes on from.
 */
static void prepare(const char *file) {
  const uintptr_t stack = (uintptr_t)&file, most = 64 << 20;
  begin();
  run_jobs(heap->runtime);
  if (unhandled_count) end_with(heap->context, unhandled[1]);
  JSValue start = JS_GetPropertyStr(heap->context, heap->engine, "start");
  if (!JS_IsFunction(heap->context, start)) refuse_preparation("it leaves no function engine.start to serve a call");
  JS_FreeValue(heap->context, start);
  make_room_for_shapes(heap->context);
  const char *too_small = "the arena is too small (arenaSize in tools/bundle/src/executable.ts)";
  if (heap->piece_end != arena_end) refuse_preparation(too_small);
  if (mapped_blocks) refuse_preparation("a source keeps a block of more than 128 KiB, which lies outside of the arena; make it in the call");
  /* Where the stack is differs from run to run: QuickJS notes it (stack_top, stack_limit), and main tells it anew. */
  uintptr_t *words = (uintptr_t *)heap->runtime;
  for (size_t i = 0; i < usable_size(words) / sizeof *words; i++)
    if (words[i] > stack - most && words[i] < stack + most) words[i] = 0;
  /* What the program takes from now on lies elsewhere: a page of the file that is written to is copied first. */
  if (!give_up_free_blocks()) refuse_preparation(too_small);
  size_t length = heap->piece_at - arena_start;
  heap->piece_at = heap->piece_ready = heap->piece_end = NULL;
  int descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (descriptor < 0 || write(descriptor, arena_start, length) != (ssize_t)length) perror(file), _exit(1);
  _exit(0);
}

#ifdef LARGE_PAGES_FOR
/*
 * What was prepared, and room for what a call adds, in pages of 2 MiB instead of hundreds that are each copied at the
 * first write: for a program that uses most of it. Not for one that is called by the thousand, since the kernel may
 * first have to make room for such pages. Where anything of it fails, the small pages stay.
 */
static void in_large_pages(void) {
  enum { page = 2 << 20, room = 256 << 10 };
  const ElfW(Phdr) *segment = (const ElfW(Phdr) *)getauxval(AT_PHDR);
  for (size_t left = getauxval(AT_PHNUM); left > 0 && segment->p_vaddr != (uintptr_t)arena_start; left--) {
    if (left == 1) return;
    segment++;
  }
  size_t length = segment->p_filesz, whole = (length + room + page - 1) & ~(size_t)(page - 1);
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  uint8_t *mapped = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped != MAP_FAILED) {
    uint8_t *start = (uint8_t *)(((uintptr_t)mapped + page - 1) & ~(uintptr_t)(page - 1));
    madvise(start, whole, MADV_HUGEPAGE);
    if (pread(file, start, length, segment->p_offset) == (ssize_t)length &&
        mremap(start, whole, whole, MREMAP_MAYMOVE | MREMAP_FIXED, arena_start) == arena_start) {
      heap->piece_at = arena_start + length;
      heap->piece_ready = heap->piece_end = arena_last = arena_start + whole;
    }
  }
  close(file);
}

static int wants_large_pages(const char *name) {
  const char *slash = strrchr(name, '/');
  return !strcmp(slash ? slash + 1 : name, LARGE_PAGES_FOR);
}
#endif

/* What is only written while the program is linked stays as it is. musl's start of a program at fixed addresses leaves
 * that to the program. */
static void protect_constants(void) {
  const ElfW(Phdr) *segment = (const ElfW(Phdr) *)getauxval(AT_PHDR);
  for (size_t left = getauxval(AT_PHNUM); left > 0; left--, segment++) {
    if (segment->p_type != PT_GNU_RELRO) continue;
    uintptr_t start = segment->p_vaddr & ~(uintptr_t)4095, end = (segment->p_vaddr + segment->p_memsz) & ~(uintptr_t)4095;
    if (end > start) mprotect((void *)start, end - start, PROT_READ);
    return;
  }
}

/* A descriptor that is closed would be the next file's that is opened, and a result would be written into that. What
 * stands there instead can neither be read nor written. */
static void occupy_standard_descriptors(void) {
  struct pollfd standard[] = {{.fd = 0}, {.fd = 1}, {.fd = 2}};
  if (poll(standard, 3, 0) <= 0) return;
  for (int i = 0; i < 3; i++)
    if (standard[i].revents & POLLNVAL) open("/", O_PATH); /* takes the lowest that is free */
}

int main(int count, char **arguments, char **environment) {
  protect_constants();
  occupy_standard_descriptors();
#ifdef LARGE_PAGES_FOR
  if (heap->runtime && count > 0 && wants_large_pages(arguments[0])) in_large_pages();
#endif
  if (!memory_is_there()) end_without_memory(1);
  if (!heap->runtime) {
    if (count == 3 && !strcmp(arguments[1], "--prepare")) prepare(arguments[2]);
    refuse_preparation("call it with --prepare FILE first");
  }
  started = 1;
  /* Whoever writes is told by EPIPE or EFBIG, and can undo what it did. */
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  JSRuntime *runtime = heap->runtime;
  JSContext *context = heap->context;
  JS_UpdateStackTop(runtime);
  struct rlimit stack;
  size_t most = getrlimit(RLIMIT_STACK, &stack) || stack.rlim_cur > 8 << 20 ? 8 << 20 : stack.rlim_cur;
  JS_SetMaxStackSize(runtime, most / 2);
  JS_SetPropertyStr(context, heap->engine, "args", string_list(context, arguments));
  JS_SetPropertyStr(context, heap->engine, "environment", environment_of(context, environment));
  JS_FreeValue(context, call("start"));
  for (;;) {
    run_jobs(runtime);
    if (unhandled_count) end_with(context, unhandled[1]);
    /* The prelude's event loop: waits for the next timer or signal and serves it. Its answer is the status to end
     * with, undefined as long as there is more to wait for. */
    JSValue status = call("turn");
    int32_t code;
    if (!JS_IsUndefined(status) && !JS_ToInt32(context, &code, status)) _exit(code);
  }
}
