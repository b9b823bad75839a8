/* Preloaded into a process under test (LD_PRELOAD): lets calls on chosen files fail, and writes
 * down what changes files, so that the disk after a power cut can be made from it.
 *
 *   FAULTS_CONTROL  a file of struct control, shared with the test, which changes it at any time
 *   FAULTS_TRACE    a file to which every change of a file below FAULTS_ROOT is appended
 *   FAULTS_ROOT     part of the path of files that are of interest
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { READ = 1, WRITE = 2, SYNC = 4, OPEN = 8, TRUNCATE = 16, NAME = 32 };
enum { SHORT = 10000 }; /* in place of an error: half of it is written */

struct rule {
    uint32_t active, operations, error, every;
    uint64_t calls, hits;
    uint32_t most, unused; /* hits after which the rule rests; 0: never */
    char match[88];
};
struct control {
    struct rule rules[8];
};

static struct control *control;
static int trace = -1;
static const char *root;

#define NEXT(name) ((__typeof__(&name))next(#name))

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) abort();
    return found;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULTS_CONTROL");
    root = getenv("FAULTS_ROOT");
    if (path != NULL) {
        int descriptor = NEXT(open)(path, O_RDWR | O_CLOEXEC);
        if (descriptor >= 0) {
            void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED,
                                descriptor, 0);
            if (mapped != MAP_FAILED) control = mapped;
            NEXT(close)(descriptor);
        }
    }
    path = getenv("FAULTS_TRACE");
    if (path != NULL) {
        int descriptor = NEXT(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor >= 0) { /* out of the way of programs that count descriptors */
            trace = fcntl(descriptor, F_DUPFD_CLOEXEC, 900);
            NEXT(close)(descriptor);
        }
    }
}

static int path_of(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, size - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

/* Returns the error that a call is to fail with, 0 for none. */
static int failing(uint32_t operation, int descriptor, const char *named) {
    char path[4096];
    int known = 0;
    if (control == NULL) return 0;
    for (int i = 0; i < 8; i++) {
        struct rule *rule = &control->rules[i];
        if (!rule->active || !(rule->operations & operation)) continue;
        if (named == NULL) {
            if (!known && !path_of(descriptor, path, sizeof path)) return 0;
            known = 1;
            named = path;
        }
        if (strstr(named, rule->match) == NULL) continue;
        uint64_t call = __atomic_add_fetch(&rule->calls, 1, __ATOMIC_RELAXED);
        if (rule->every > 1 && call % rule->every) continue;
        if (rule->most && rule->hits >= rule->most) continue;
        __atomic_add_fetch(&rule->hits, 1, __ATOMIC_RELAXED);
        return (int)rule->error;
    }
    return 0;
}

struct entry {
    char kind, unused[7];
    uint64_t file;
    int64_t offset;
    uint32_t first, second;
};

static void note(char kind, uint64_t file, int64_t offset, const void *first, size_t first_size,
                 const void *second, size_t second_size) {
    struct entry entry = {.kind = kind, .file = file, .offset = offset,
                          .first = (uint32_t)first_size, .second = (uint32_t)second_size};
    struct iovec parts[3] = {{&entry, sizeof entry}, {(void *)first, first_size},
                             {(void *)second, second_size}};
    int kept = errno;
    if (writev(trace, parts, 3) < 0) abort();
    errno = kept;
}

static int traced(const char *path) {
    return trace >= 0 && (root == NULL || strstr(path, root) != NULL);
}

static uint64_t file_of(int descriptor) {
    struct stat found;
    return fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode) ? found.st_ino : 0;
}

static void note_data(char kind, int descriptor, int64_t offset, const void *data, size_t size) {
    char path[4096];
    if (trace < 0 || descriptor == trace || !path_of(descriptor, path, sizeof path)) return;
    if (!traced(path)) return;
    uint64_t file = file_of(descriptor);
    if (file) note(kind, file, offset, data, size, NULL, 0);
}

#define FAIL(operation, descriptor, named)                     \
    do {                                                       \
        int error = failing(operation, descriptor, named);     \
        if (error) {                                           \
            errno = error;                                     \
            return -1;                                         \
        }                                                      \
    } while (0)

#define FAIL_OR_SHORTEN(descriptor, size)                      \
    do {                                                       \
        int error = failing(WRITE, descriptor, NULL);          \
        if (error == SHORT) {                                  \
            size = size > 1 ? size / 2 : size;                 \
        } else if (error) {                                    \
            errno = error;                                     \
            return -1;                                         \
        }                                                      \
    } while (0)

ssize_t read(int descriptor, void *data, size_t size) {
    FAIL(READ, descriptor, NULL);
    return NEXT(read)(descriptor, data, size);
}

ssize_t pread(int descriptor, void *data, size_t size, off_t offset) {
    FAIL(READ, descriptor, NULL);
    return NEXT(pread)(descriptor, data, size, offset);
}

ssize_t pread64(int descriptor, void *data, size_t size, off64_t offset) {
    FAIL(READ, descriptor, NULL);
    return NEXT(pread64)(descriptor, data, size, offset);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    FAIL_OR_SHORTEN(descriptor, size);
    off_t offset = trace >= 0 ? lseek(descriptor, 0, SEEK_CUR) : 0;
    ssize_t written = NEXT(write)(descriptor, data, size);
    if (written > 0) note_data('W', descriptor, offset, data, (size_t)written);
    return written;
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    FAIL_OR_SHORTEN(descriptor, size);
    ssize_t written = NEXT(pwrite)(descriptor, data, size, offset);
    if (written > 0) note_data('W', descriptor, offset, data, (size_t)written);
    return written;
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    FAIL_OR_SHORTEN(descriptor, size);
    ssize_t written = NEXT(pwrite64)(descriptor, data, size, offset);
    if (written > 0) note_data('W', descriptor, offset, data, (size_t)written);
    return written;
}

static void note_sync(int descriptor) {
    char path[4096];
    struct stat found;
    if (trace < 0 || !path_of(descriptor, path, sizeof path) || !traced(path)) return;
    if (fstat(descriptor, &found) != 0) return;
    if (S_ISDIR(found.st_mode))
        note('D', 0, 0, path, strlen(path), NULL, 0);
    else
        note('S', found.st_ino, 0, NULL, 0, NULL, 0);
}

int fsync(int descriptor) {
    FAIL(SYNC, descriptor, NULL);
    int answer = NEXT(fsync)(descriptor);
    if (answer == 0) note_sync(descriptor);
    return answer;
}

int fdatasync(int descriptor) {
    FAIL(SYNC, descriptor, NULL);
    int answer = NEXT(fdatasync)(descriptor);
    if (answer == 0) note_sync(descriptor);
    return answer;
}

int ftruncate(int descriptor, off_t size) {
    FAIL(TRUNCATE, descriptor, NULL);
    int answer = NEXT(ftruncate)(descriptor, size);
    if (answer == 0) note_data('T', descriptor, size, NULL, 0);
    return answer;
}

int ftruncate64(int descriptor, off64_t size) {
    FAIL(TRUNCATE, descriptor, NULL);
    int answer = NEXT(ftruncate64)(descriptor, size);
    if (answer == 0) note_data('T', descriptor, size, NULL, 0);
    return answer;
}

static int opened(int descriptor, int flags) {
    char path[4096];
    if (descriptor >= 0 && trace >= 0 && flags & (O_CREAT | O_TRUNC) &&
        path_of(descriptor, path, sizeof path) && traced(path)) {
        uint64_t file = file_of(descriptor);
        if (file && flags & O_CREAT) note('O', file, 0, path, strlen(path), NULL, 0);
        if (file && flags & O_TRUNC) note('T', file, 0, NULL, 0, NULL, 0);
    }
    return descriptor;
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

#define OPENING(name)                                          \
    int name(const char *path, int flags, ...) {               \
        va_list rest;                                          \
        va_start(rest, flags);                                 \
        mode_t mode = mode_of(flags, rest);                    \
        va_end(rest);                                          \
        FAIL(OPEN, -1, path);                                  \
        return opened(NEXT(name)(path, flags, mode), flags);   \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(name)                                                  \
    int name(int folder, const char *path, int flags, ...) {              \
        va_list rest;                                                     \
        va_start(rest, flags);                                            \
        mode_t mode = mode_of(flags, rest);                               \
        va_end(rest);                                                     \
        FAIL(OPEN, -1, path);                                             \
        return opened(NEXT(name)(folder, path, flags, mode), flags);      \
    }
OPENING_AT(openat)
OPENING_AT(openat64)

static void whole(int folder, const char *path, char *result, size_t size) {
    char base[4096] = "";
    if (path[0] == '/') {
        snprintf(result, size, "%s", path);
        return;
    }
    if (folder == AT_FDCWD) {
        if (getcwd(base, sizeof base) == NULL) base[0] = 0;
    } else {
        path_of(folder, base, sizeof base);
    }
    snprintf(result, size, "%.4000s/%s", base, path);
}

static void note_names(char kind, int old_folder, const char *old, int new_folder,
                       const char *new) {
    char first[8300], second[8300] = "";
    if (trace < 0) return;
    whole(old_folder, old, first, sizeof first);
    if (new != NULL) whole(new_folder, new, second, sizeof second);
    if (!traced(first) && !traced(second)) return;
    note(kind, 0, 0, first, strlen(first), second, strlen(second));
}

int rename(const char *old, const char *new) {
    FAIL(NAME, -1, new);
    int answer = NEXT(rename)(old, new);
    if (answer == 0) note_names('R', AT_FDCWD, old, AT_FDCWD, new);
    return answer;
}

int renameat(int old_folder, const char *old, int new_folder, const char *new) {
    FAIL(NAME, -1, new);
    int answer = NEXT(renameat)(old_folder, old, new_folder, new);
    if (answer == 0) note_names('R', old_folder, old, new_folder, new);
    return answer;
}

int unlink(const char *path) {
    FAIL(NAME, -1, path);
    int answer = NEXT(unlink)(path);
    if (answer == 0) note_names('U', AT_FDCWD, path, 0, NULL);
    return answer;
}

int unlinkat(int folder, const char *path, int flags) {
    FAIL(NAME, -1, path);
    int answer = NEXT(unlinkat)(folder, path, flags);
    if (answer == 0 && !(flags & AT_REMOVEDIR)) note_names('U', folder, path, 0, NULL);
    return answer;
}
