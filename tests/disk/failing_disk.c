/* A disk that fails at the Nth call that changes something below a folder; preloaded into a test's process.
 *
 * disk_arm(folder, at, how) begins to count writes, syncs, renames, unlinks, truncations and creations. At
 * number `at` it dies as a kill does, a write being half done (DIE), returns an I/O error once (ONCE), is
 * full from then on, so that whatever takes room is refused and removing is not (FULL), or can be read only
 * from then on, as a file system that found an error (READ). disk_seen() is the count. A process that cannot
 * call says FAILING_DISK="HOW AT FOLDER" in its environment, HOW being 1 to 4.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OFF, DIE, ONCE, FULL, READ };
enum { TAKES_ROOM = 1, OTHER = 0 };

static char folder[4096];
static size_t folder_length;
static long at, seen;
static int how = OFF;

void disk_arm(const char *path, long number, int what)
{
    strncpy(folder, path, sizeof folder - 1);
    folder_length = strlen(folder);
    at = number;
    seen = 0;
    how = what;
}

long disk_seen(void) { return seen; }

__attribute__((constructor)) static void arm_by_environment(void)
{
    const char *wanted = getenv("FAILING_DISK");
    int what, length;
    long number;
    if (wanted && sscanf(wanted, "%d %ld %n", &what, &number, &length) == 2)
        disk_arm(wanted + length, number, what);
}

static int below(const char *path)
{
    return how != OFF && path && strncmp(path, folder, folder_length) == 0 &&
           (path[folder_length] == '/' || path[folder_length] == 0);
}

static int open_below(int handle)
{
    char link[64], path[4096];
    if (how == OFF)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return below(path);
}

static int at_below(int directory, const char *path)
{
    return path && path[0] == '/' ? below(path) : directory != AT_FDCWD && open_below(directory);
}

/* Whether this call, which would change something, is to fail; errno is set. Dying is the caller's. */
static int fails(int takes_room)
{
    seen += 1;
    if (how == ONCE && seen == at) {
        errno = EIO;
        return 1;
    }
    if (how == FULL && seen >= at && takes_room) {
        errno = ENOSPC;
        return 1;
    }
    if (how == READ && seen >= at) {
        errno = EROFS;
        return 1;
    }
    return 0;
}

static int dies(void) { return how == DIE && seen + 1 == at; }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
/* What a function that changes something begins with; a write that dies is half done. */
#define CHANGE_OR_HALF(below_it, takes_room, result, half) \
    if (below_it) {                                        \
        if (dies()) {                                      \
            half;                                          \
            _exit(137);                                    \
        }                                                  \
        if (fails(takes_room))                             \
            return result;                                 \
    }
#define CHANGE(below_it, takes_room, result) CHANGE_OR_HALF(below_it, takes_room, result, (void)0)

ssize_t write(int handle, const void *bytes, size_t count)
{
    CHANGE_OR_HALF(open_below(handle), TAKES_ROOM, -1, REAL(write)(handle, bytes, count / 2))
    return REAL(write)(handle, bytes, count);
}

ssize_t pwrite(int handle, const void *bytes, size_t count, off_t place)
{
    CHANGE_OR_HALF(open_below(handle), TAKES_ROOM, -1, REAL(pwrite)(handle, bytes, count / 2, place))
    return REAL(pwrite)(handle, bytes, count, place);
}

ssize_t pwrite64(int handle, const void *bytes, size_t count, off64_t place)
{
    CHANGE_OR_HALF(open_below(handle), TAKES_ROOM, -1, REAL(pwrite64)(handle, bytes, count / 2, place))
    return REAL(pwrite64)(handle, bytes, count, place);
}

ssize_t writev(int handle, const struct iovec *parts, int count)
{
    CHANGE(open_below(handle), TAKES_ROOM, -1)
    return REAL(writev)(handle, parts, count);
}

/* The standard library's streams write by calls of their own, which cannot be taken over. */
size_t fwrite(const void *items, size_t size, size_t count, FILE *stream)
{
    CHANGE_OR_HALF(open_below(fileno(stream)), TAKES_ROOM, 0,
                   (REAL(fwrite)(items, size, count / 2, stream), fflush(stream)))
    return REAL(fwrite)(items, size, count, stream);
}

ssize_t sendfile(int out, int in, off_t *place, size_t count)
{
    CHANGE(open_below(out), TAKES_ROOM, -1)
    return ((ssize_t(*)(int, int, off_t *, size_t))dlsym(RTLD_NEXT, "sendfile"))(out, in, place, count);
}

ssize_t sendfile64(int out, int in, off64_t *place, size_t count)
{
    CHANGE(open_below(out), TAKES_ROOM, -1)
    return ((ssize_t(*)(int, int, off64_t *, size_t))dlsym(RTLD_NEXT, "sendfile64"))(out, in, place, count);
}

int fsync(int handle)
{
    CHANGE(open_below(handle), OTHER, -1)
    return REAL(fsync)(handle);
}

int fdatasync(int handle)
{
    CHANGE(open_below(handle), OTHER, -1)
    return REAL(fdatasync)(handle);
}

int ftruncate(int handle, off_t length)
{
    CHANGE(open_below(handle), TAKES_ROOM, -1)
    return REAL(ftruncate)(handle, length);
}

int ftruncate64(int handle, off64_t length)
{
    CHANGE(open_below(handle), TAKES_ROOM, -1)
    return REAL(ftruncate64)(handle, length);
}

int rename(const char *from, const char *to)
{
    CHANGE(below(to), OTHER, -1)
    return REAL(rename)(from, to);
}

int renameat(int from_in, const char *from, int to_in, const char *to)
{
    CHANGE(at_below(to_in, to), OTHER, -1)
    return REAL(renameat)(from_in, from, to_in, to);
}

int renameat2(int from_in, const char *from, int to_in, const char *to, unsigned int flags)
{
    CHANGE(at_below(to_in, to), OTHER, -1)
    return REAL(renameat2)(from_in, from, to_in, to, flags);
}

int unlink(const char *path)
{
    CHANGE(below(path), OTHER, -1)
    return REAL(unlink)(path);
}

int unlinkat(int directory, const char *path, int flags)
{
    CHANGE(at_below(directory, path), OTHER, -1)
    return REAL(unlinkat)(directory, path, flags);
}

int rmdir(const char *path)
{
    CHANGE(below(path), OTHER, -1)
    return REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode)
{
    CHANGE(below(path), TAKES_ROOM, -1)
    return REAL(mkdir)(path, mode);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
    CHANGE(at_below(directory, path), TAKES_ROOM, -1)
    return REAL(mkdirat)(directory, path, mode);
}

#define MODE_OF(flags)                 \
    mode_t mode = 0;                   \
    if ((flags)&O_CREAT) {             \
        va_list rest;                  \
        va_start(rest, flags);         \
        mode = va_arg(rest, mode_t);   \
        va_end(rest);                  \
    }

int open(const char *path, int flags, ...)
{
    MODE_OF(flags)
    CHANGE((flags & O_CREAT) && below(path), TAKES_ROOM, -1)
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE_OF(flags)
    CHANGE((flags & O_CREAT) && below(path), TAKES_ROOM, -1)
    return REAL(open64)(path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    MODE_OF(flags)
    CHANGE((flags & O_CREAT) && at_below(directory, path), TAKES_ROOM, -1)
    return REAL(openat)(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
    MODE_OF(flags)
    CHANGE((flags & O_CREAT) && at_below(directory, path), TAKES_ROOM, -1)
    return REAL(openat64)(directory, path, flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
    CHANGE(mode[0] != 'r' && below(path), TAKES_ROOM, NULL)
    return REAL(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
    CHANGE(mode[0] != 'r' && below(path), TAKES_ROOM, NULL)
    return REAL(fopen64)(path, mode);
}
