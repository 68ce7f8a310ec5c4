/* Stands between a process and the C library's calls that touch files below one folder.
 *
 * Loaded by LD_PRELOAD. Three things can be asked of it, by the functions at the end: to count
 * the calls, to let the n-th of them fail (or all from the n-th on), and to write down every call
 * that changes a file, with its data, so that a test can replay them up to any moment.
 *
 * A record of the trace is one line of numbers and names and, after it, the data of a write:
 *   write PATH OFFSET LENGTH\n<data>    truncate PATH LENGTH    create PATH    mkdir PATH
 *   rename PATH\tPATH    link PATH\tPATH    unlink PATH    rmdir PATH    sync PATH    note TEXT
 * with tabs between the parts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#define FILES 4096

static char root[PATH_MAX];
static size_t root_length;
static char *paths[FILES]; /* of the open files below the root, by descriptor */
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static long calls, fail_at;
static int fail_with, fail_on, trace = -1;
static char failed[64];

#define OURS 0x5eed

enum { /* in the place of an error number */
  SHORT_WRITE = -1, /* half of a write is written */
  KILL = -2,        /* the process ends before the call */
};

#define REAL(name) \
  static __typeof__(&name) real; \
  if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
  return root_length && path && !strncmp(path, root, root_length) &&
         (path[root_length] == '/' || !path[root_length]);
}

/* The absolute path that `name` means, or NULL if it is not below the root. */
static const char *located(int folder, const char *name, char *into) {
  if (!root_length || !name) return NULL;
  if (name[0] == '/') {
    snprintf(into, PATH_MAX, "%s", name);
  } else if (folder == AT_FDCWD) {
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return NULL;
    if ((size_t)snprintf(into, PATH_MAX, "%s/%s", here, name) >= PATH_MAX) return NULL;
  } else {
    char link[64], base[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = syscall(SYS_readlink, link, base, sizeof base - 1);
    if (length <= 0) return NULL;
    base[length] = 0;
    if ((size_t)snprintf(into, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return NULL;
  }
  return below(into) ? into : NULL;
}

static const char *path_of(int descriptor) {
  return descriptor >= 0 && descriptor < FILES ? paths[descriptor] : NULL;
}

/* Whether this call is to fail: 0, or the error number (or SHORT_WRITE). */
static int turn(const char *name, int may_be_short) {
  int with = 0;
  pthread_mutex_lock(&guard);
  calls++;
  if (fail_at && (calls == fail_at || (fail_on && calls > fail_at))) {
    if (fail_with == KILL) kill(getpid(), SIGKILL);
    if (fail_with != SHORT_WRITE || may_be_short) {
      with = fail_with;
      if (!failed[0]) snprintf(failed, sizeof failed, "%s", name);
    }
  }
  pthread_mutex_unlock(&guard);
  return with;
}

#define MAY_FAIL(name, value) \
  do { \
    int with = turn(name, 0); \
    if (with > 0) { \
      errno = with; \
      return value; \
    } \
  } while (0)

static void put(const char *data, size_t length) {
  while (length) {
    ssize_t done = syscall(SYS_write, trace, data, length);
    if (done <= 0) _exit(99); /* a trace with a hole proves nothing */
    data += done;
    length -= (size_t)done;
  }
}

static void record(const char *what, const char *a, const char *b, const void *data, size_t n) {
  if (trace < 0) return;
  char line[3 * PATH_MAX];
  int kept = errno;
  int length = snprintf(line, sizeof line, "%s\t%s%s%s\n", what, a, b ? "\t" : "", b ? b : "");
  pthread_mutex_lock(&guard);
  put(line, (size_t)length);
  if (data) put(data, n);
  pthread_mutex_unlock(&guard);
  errno = kept;
}

static void record_write(int descriptor, off_t at, const void *data, size_t n) {
  char where[64];
  if (trace < 0) return;
  snprintf(where, sizeof where, "%lld\t%zu", (long long)at, n);
  record("write", path_of(descriptor), where, data, n);
}

static void opened(int descriptor, const char *path) {
  if (descriptor < 0 || descriptor >= FILES) return;
  free(paths[descriptor]);
  paths[descriptor] = strdup(path);
}

static int open_below(int folder, const char *name, int flags, mode_t mode, const char *path) {
  struct stat before;
  MAY_FAIL("open", -1);
  int existed = syscall(SYS_newfstatat, AT_FDCWD, path, &before, 0) == 0;
  int made = (int)syscall(SYS_openat, folder, name, flags, mode);
  if (made < 0) return made;
  opened(made, path);
  if ((flags & O_CREAT) && !existed) record("create", path, NULL, NULL, 0);
  else if (flags & O_TRUNC) record("truncate", path, "0", NULL, 0);
  return made;
}

#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | __O_TMPFILE)) { \
    va_list more; \
    va_start(more, flags); \
    mode = va_arg(more, mode_t); \
    va_end(more); \
  }

#define OPEN(symbol) \
  int symbol(const char *name, int flags, ...) { \
    MODE(flags) \
    char into[PATH_MAX]; \
    const char *path = located(AT_FDCWD, name, into); \
    if (path) return open_below(AT_FDCWD, name, flags, mode, path); \
    return (int)syscall(SYS_openat, AT_FDCWD, name, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(symbol) \
  int symbol(int folder, const char *name, int flags, ...) { \
    MODE(flags) \
    char into[PATH_MAX]; \
    const char *path = located(folder, name, into); \
    if (path) return open_below(folder, name, flags, mode, path); \
    return (int)syscall(SYS_openat, folder, name, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

int close(int descriptor) {
  REAL(close);
  if (path_of(descriptor)) {
    free(paths[descriptor]);
    paths[descriptor] = NULL;
  }
  return real(descriptor);
}

static ssize_t written(int descriptor, const void *data, size_t n, off_t at, const char *name) {
  int with = turn(name, 1);
  if (with > 0) {
    errno = with;
    return -1;
  }
  if (with == SHORT_WRITE && n > 1) n /= 2;
  ssize_t done = at < 0 ? syscall(SYS_write, descriptor, data, n)
                        : syscall(SYS_pwrite64, descriptor, data, n, at);
  if (done > 0) {
    off_t start = at < 0 ? lseek(descriptor, 0, SEEK_CUR) - done : at;
    record_write(descriptor, start, data, (size_t)done);
  }
  return done;
}

ssize_t write(int descriptor, const void *data, size_t n) {
  if (path_of(descriptor)) return written(descriptor, data, n, -1, "write");
  return syscall(SYS_write, descriptor, data, n);
}

#define PWRITE(symbol) \
  ssize_t symbol(int descriptor, const void *data, size_t n, off_t at) { \
    if (path_of(descriptor)) return written(descriptor, data, n, at, "pwrite"); \
    return syscall(SYS_pwrite64, descriptor, data, n, at); \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

/* As one write each: callers go on after a short one. */
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
  if (!path_of(descriptor)) return syscall(SYS_writev, descriptor, parts, count);
  for (int i = 0; i < count; i++)
    if (parts[i].iov_len)
      return written(descriptor, parts[i].iov_base, parts[i].iov_len, -1, "writev");
  return 0;
}

/* Python copies by it, and falls back to read and write where it is not there. */
#define SENDFILE(symbol) \
  ssize_t symbol(int to, int from, off_t *at, size_t n) { \
    if (path_of(to)) { \
      errno = ENOTSOCK; \
      return -1; \
    } \
    return syscall(SYS_sendfile, to, from, at, n); \
  }
SENDFILE(sendfile)
SENDFILE(sendfile64)

ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *into, size_t n, unsigned flags) {
  if (path_of(to)) {
    errno = EXDEV;
    return -1;
  }
  return syscall(SYS_copy_file_range, from, at, to, into, n, flags);
}

ssize_t read(int descriptor, void *data, size_t n) {
  if (path_of(descriptor)) MAY_FAIL("read", -1);
  return syscall(SYS_read, descriptor, data, n);
}

#define PREAD(symbol) \
  ssize_t symbol(int descriptor, void *data, size_t n, off_t at) { \
    if (path_of(descriptor)) MAY_FAIL("pread", -1); \
    return syscall(SYS_pread64, descriptor, data, n, at); \
  }
PREAD(pread)
PREAD(pread64)

#define SYNC(symbol) \
  int symbol(int descriptor) { \
    REAL(symbol); \
    if (!path_of(descriptor)) return real(descriptor); \
    MAY_FAIL(#symbol, -1); \
    record("sync", path_of(descriptor), NULL, NULL, 0); \
    return 0; /* the test decides what a disk has kept; waiting for this one teaches nothing */ \
  }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(symbol) \
  int symbol(int descriptor, off_t length) { \
    if (path_of(descriptor)) MAY_FAIL("ftruncate", -1); \
    int done = (int)syscall(SYS_ftruncate, descriptor, length); \
    if (!done && path_of(descriptor)) { \
      char size[32]; \
      snprintf(size, sizeof size, "%lld", (long long)length); \
      record("truncate", path_of(descriptor), size, NULL, 0); \
    } \
    return done; \
  }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

#define MMAP(symbol) \
  void *symbol(void *at, size_t n, int rights, int flags, int descriptor, off_t from) { \
    if (path_of(descriptor)) MAY_FAIL("mmap", MAP_FAILED); \
    return (void *)syscall(SYS_mmap, at, n, rights, flags, descriptor, from); \
  }
MMAP(mmap)
MMAP(mmap64)

static int moved(const char *what, int result, int a, const char *from, int b, const char *to) {
  char first[PATH_MAX], second[PATH_MAX];
  if (!result && located(a, from, first) && located(b, to, second))
    record(what, first, second, NULL, 0);
  return result;
}

int renameat(int a, const char *from, int b, const char *to) {
  char into[PATH_MAX];
  if (located(a, from, into)) MAY_FAIL("rename", -1);
  int done = (int)syscall(SYS_renameat2, a, from, b, to, 0, OURS);
  return moved("rename", done, a, from, b, to);
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

#ifdef __x86_64__
/* Libraries in Rust rename by the system call itself, past the C library: the kernel hands those
 * to `trapped`. Ours are told by a sixth argument, which the call does not have. */
static void trapped(int signal, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  int a = AT_FDCWD, b = AT_FDCWD;
  const char *from = (const char *)registers[REG_RDI], *to = (const char *)registers[REG_RSI];
  (void)signal;
  if (info->si_syscall != SYS_rename) {
    a = (int)registers[REG_RDI];
    from = (const char *)registers[REG_RSI];
    b = (int)registers[REG_RDX];
    to = (const char *)registers[REG_R10];
  }
  int done = renameat(a, from, b, to);
  registers[REG_RAX] = done < 0 ? -errno : done;
}

static void trap_renames(void) {
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rename, 2, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
  struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSYS, &action, NULL);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) _exit(98);
}
#else
static void trap_renames(void) {}
#endif

int linkat(int a, const char *from, int b, const char *to, int flags) {
  char into[PATH_MAX];
  if (located(b, to, into)) MAY_FAIL("link", -1);
  return moved("link", (int)syscall(SYS_linkat, a, from, b, to, flags), a, from, b, to);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int folder, const char *name, int flags) {
  char into[PATH_MAX];
  const char *path = located(folder, name, into);
  if (path) MAY_FAIL("unlink", -1);
  int done = (int)syscall(SYS_unlinkat, folder, name, flags);
  if (!done && path) record(flags & AT_REMOVEDIR ? "rmdir" : "unlink", path, NULL, NULL, 0);
  return done;
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int mkdirat(int folder, const char *name, mode_t mode) {
  char into[PATH_MAX];
  const char *path = located(folder, name, into);
  if (path) MAY_FAIL("mkdir", -1);
  int done = (int)syscall(SYS_mkdirat, folder, name, mode);
  if (!done && path) record("mkdir", path, NULL, NULL, 0);
  return done;
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

/* What the tests call. */

__attribute__((visibility("default"))) void interposed_watch(const char *folder) {
  static int trapping;
  snprintf(root, sizeof root, "%s", folder);
  root_length = strlen(root);
  if (!trapping++) trap_renames();
}

__attribute__((visibility("default"))) void interposed_fail(long at, int with, int on) {
  pthread_mutex_lock(&guard);
  calls = 0;
  failed[0] = 0;
  fail_at = at;
  fail_with = with;
  fail_on = on;
  pthread_mutex_unlock(&guard);
}

__attribute__((visibility("default"))) long interposed_calls(void) { return calls; }
__attribute__((visibility("default"))) const char *interposed_failed(void) { return failed; }

__attribute__((visibility("default"))) void interposed_trace(int descriptor) {
  trace = descriptor;
}

__attribute__((visibility("default"))) void interposed_note(const char *text) {
  record("note", text, NULL, NULL, 0);
}
