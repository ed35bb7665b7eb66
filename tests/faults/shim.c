/* Beneath libc: counts the calls on files below one directory, and makes one of them (or all from one on, or every other) fail,
   move only half, or be the last of the process. Loaded with LD_PRELOAD; armed by `faults_arm`. Syncs are counted but not done. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PASS, FAIL, SHORT, BEFORE, TORN, AFTER };

static char root[4096];
static size_t root_length;
static int mode, target, code, sticky, armed, calls;
static char below[1 << 16]; /* by descriptor */

void faults_arm(const char *directory, int mode_, int target_, int code_, int sticky_) {
    root_length = strlen(directory);
    memcpy(root, directory, root_length + 1);
    mode = mode_, target = target_, code = code_, sticky = sticky_, calls = 0, armed = 1;
}

int faults_disarm(void) {
    armed = 0;
    return calls;
}

static int is_below(const char *path) {
    return armed && path && !strncmp(path, root, root_length);
}

static int is_open_below(int fd) {
    return armed && fd >= 0 && fd < (int)sizeof below && below[fd];
}

static int verdict(int counted) {
    if (!counted) return PASS;
    int number = __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
    int is_due = number == target || (sticky && number > target && (number - target) % sticky == 0);
    return is_due ? mode : PASS;
}

static void die(void) {
    raise(SIGKILL);
}

#define REAL(name)                                                  \
    ({                                                              \
        static __typeof__(name) *found;                             \
        if (!found) found = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
        found;                                                      \
    })

/* `call` under the fault that is due; `lost` is what a failure returns */
#define GUARDED(counted, lost, call)                 \
    int due = verdict(counted);                      \
    if (due == FAIL) {                               \
        errno = code;                                \
        return lost;                                 \
    }                                                \
    if (due == BEFORE || due == TORN) die();         \
    __typeof__(call) result = call;                  \
    if (due == AFTER) die();                         \
    return result;

/* the same for transfers of `count` bytes, which can also move half of them */
#define TRANSFER(fd, count, call)                             \
    int due = verdict(is_open_below(fd));                     \
    if (due == FAIL) {                                        \
        errno = code;                                         \
        return -1;                                            \
    }                                                         \
    if (due == BEFORE) die();                                 \
    if (due == SHORT || due == TORN) count = (count + 1) / 2; \
    ssize_t result = call;                                    \
    if (due == TORN || due == AFTER) die();                   \
    return result;

#define OPENING(name)                                          \
    int name(const char *path, int flags, ...) {               \
        va_list list;                                          \
        va_start(list, flags);                                 \
        mode_t bits = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0; \
        va_end(list);                                          \
        int counted = is_below(path);                          \
        int due = verdict(counted);                            \
        if (due == FAIL) {                                     \
            errno = code;                                      \
            return -1;                                         \
        }                                                      \
        if (due == BEFORE || due == TORN) die();               \
        int fd = REAL(name)(path, flags, bits);                \
        if (fd >= 0 && fd < (int)sizeof below) below[fd] = (char)counted; \
        if (due == AFTER) die();                               \
        return fd;                                             \
    }
OPENING(open)
OPENING(open64)

int close(int fd) {
    int due = verdict(is_open_below(fd));
    if (due == BEFORE || due == TORN) die();
    if (fd >= 0 && fd < (int)sizeof below) below[fd] = 0;
    int result = REAL(close)(fd);
    if (due == AFTER) die();
    if (due == FAIL) {
        errno = code;
        return -1;
    }
    return result;
}

ssize_t read(int fd, void *data, size_t count) { TRANSFER(fd, count, REAL(read)(fd, data, count)) }
ssize_t write(int fd, const void *data, size_t count) { TRANSFER(fd, count, REAL(write)(fd, data, count)) }

#define AT_OFFSET(name, type) \
    ssize_t name(int fd, type data, size_t count, off_t at) { TRANSFER(fd, count, REAL(name)(fd, data, count, at)) }
AT_OFFSET(pread, void *)
AT_OFFSET(pread64, void *)
AT_OFFSET(pwrite, const void *)
AT_OFFSET(pwrite64, const void *)

/* of several pieces only the first is moved when half is due */
#define VECTOR(name)                                                           \
    ssize_t name(int fd, const struct iovec *pieces, int count, off_t at) {    \
        struct iovec first = count > 0 ? pieces[0] : (struct iovec){0, 0};     \
        size_t length = first.iov_len, asked = length;                         \
        TRANSFER(fd, length,                                                   \
                 length == asked ? REAL(name)(fd, pieces, count, at)           \
                                 : (first.iov_len = length, REAL(name)(fd, &first, 1, at))) \
    }
VECTOR(preadv)
VECTOR(preadv64)
VECTOR(pwritev)
VECTOR(pwritev64)

int fsync(int fd) { GUARDED(is_open_below(fd), -1, is_open_below(fd) ? 0 : REAL(fsync)(fd)) }
int fdatasync(int fd) { GUARDED(is_open_below(fd), -1, is_open_below(fd) ? 0 : REAL(fdatasync)(fd)) }
int ftruncate(int fd, off_t length) { GUARDED(is_open_below(fd), -1, REAL(ftruncate)(fd, length)) }
int ftruncate64(int fd, off_t length) { GUARDED(is_open_below(fd), -1, REAL(ftruncate64)(fd, length)) }
int fallocate(int fd, int how, off_t at, off_t length) {
    GUARDED(is_open_below(fd), -1, REAL(fallocate)(fd, how, at, length))
}
int fallocate64(int fd, int how, off64_t at, off64_t length) {
    GUARDED(is_open_below(fd), -1, REAL(fallocate64)(fd, how, at, length))
}
int rename(const char *from, const char *to) { GUARDED(is_below(from) || is_below(to), -1, REAL(rename)(from, to)) }
int renameat(int a, const char *from, int b, const char *to) {
    GUARDED(is_below(from) || is_below(to), -1, REAL(renameat)(a, from, b, to))
}
int link(const char *from, const char *to) { GUARDED(is_below(from) || is_below(to), -1, REAL(link)(from, to)) }
int unlink(const char *path) { GUARDED(is_below(path), -1, REAL(unlink)(path)) }
int unlinkat(int at, const char *path, int flags) { GUARDED(is_below(path), -1, REAL(unlinkat)(at, path, flags)) }
int mkdir(const char *path, mode_t bits) { GUARDED(is_below(path), -1, REAL(mkdir)(path, bits)) }
int mkdirat(int at, const char *path, mode_t bits) { GUARDED(is_below(path), -1, REAL(mkdirat)(at, path, bits)) }
DIR *opendir(const char *path) { GUARDED(is_below(path), NULL, REAL(opendir)(path)) }

#define STAT(name, type) \
    int name(const char *path, struct type *to) { GUARDED(is_below(path), -1, REAL(name)(path, to)) }
STAT(stat, stat)
STAT(stat64, stat64)
STAT(lstat, stat)
STAT(lstat64, stat64)
STAT(statvfs, statvfs)
STAT(statvfs64, statvfs64)
int fstat(int fd, struct stat *to) { GUARDED(is_open_below(fd), -1, REAL(fstat)(fd, to)) }
int fstat64(int fd, struct stat64 *to) { GUARDED(is_open_below(fd), -1, REAL(fstat64)(fd, to)) }
int fstatat(int at, const char *path, struct stat *to, int flags) {
    GUARDED(is_below(path), -1, REAL(fstatat)(at, path, to, flags))
}
int fstatat64(int at, const char *path, struct stat64 *to, int flags) {
    GUARDED(is_below(path), -1, REAL(fstatat64)(at, path, to, flags))
}
