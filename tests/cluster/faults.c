/* Preloaded into what runs on a machine: its clock is stepped, and its disk is slow to sync, as a
   file says that all programs of the machine have mapped. Two numbers of 64 bits: by how many
   nanoseconds the wall clock is off, and how many microseconds a sync takes longer.
   Clocks that only go forward are left alone: nobody sets those. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BILLION 1000000000LL

static const volatile int64_t none[2] = {0, 0};
static const volatile int64_t *faults = none;

__attribute__((constructor)) static void map_faults(void) {
    const char *path = getenv("CLUSTER_FAULTS");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    void *at = mmap(NULL, sizeof none, PROT_READ, MAP_SHARED, file, 0);
    if (at != MAP_FAILED) faults = at;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *found) {
    long answer = syscall(SYS_clock_gettime, clock, found);
    int64_t off = faults[0];
    if (answer == 0 && off != 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t all = found->tv_sec * BILLION + found->tv_nsec + off;
        found->tv_sec = all / BILLION;
        found->tv_nsec = all % BILLION;
    }
    return (int)answer;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return (time_t)-1;
    if (found != NULL) *found = now.tv_sec;
    return now.tv_sec;
}

static void wait_for_the_disk(void) {
    int64_t micros = faults[1];
    if (micros > 0) {
        struct timespec wait = {micros / 1000000, micros % 1000000 * 1000};
        nanosleep(&wait, NULL);
    }
}

int fsync(int file) {
    wait_for_the_disk();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    wait_for_the_disk();
    return (int)syscall(SYS_fdatasync, file);
}
