"""The system calls by what the filters do with them. By name: numbers differ between machines."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from .machines import Machine, current


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ALLOWED = _names("""
read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield
mremap msync madvise dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile
connect accept sendto recvfrom sendmsg recvmsg shutdown getsockname getpeername socketpair
getsockopt exit wait4 kill uname fcntl flock fsync fdatasync truncate ftruncate getdents
getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink readlink chmod fchmod chown fchown
lchown umask gettimeofday getrlimit getrusage sysinfo times getuid getgid setuid setgid geteuid
getegid setpgid getppid getpgrp setsid setreuid setregid getgroups setresuid getresuid setresgid
getresgid getpgid setfsuid setfsgid getsid capget capset rt_sigpending rt_sigtimedwait
rt_sigqueueinfo rt_sigsuspend sigaltstack utime statfs fstatfs getpriority setpriority
sched_setparam sched_getparam sched_setscheduler sched_getscheduler sched_get_priority_max
sched_get_priority_min sched_rr_get_interval mlock munlock mlockall munlockall arch_prctl setrlimit
gettid readahead getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr tkill time futex
sched_getaffinity epoll_create getdents64 set_tid_address restart_syscall fadvise64
timer_create timer_settime timer_gettime timer_getoverrun timer_delete clock_gettime
clock_getres clock_nanosleep exit_group epoll_wait epoll_ctl tgkill utimes waitid ioprio_get openat
mkdirat fchownat futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat fchmodat
faccessat pselect6 ppoll set_robust_list get_robust_list splice tee sync_file_range utimensat
epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4
signalfd4 eventfd2 epoll_create1 dup3 pipe2 preadv pwritev rt_tgsigqueueinfo recvmmsg prlimit64
sendmmsg getcpu sched_setattr sched_getattr renameat2 getrandom memfd_create membarrier mlock2
copy_file_range preadv2 pwritev2 statx rseq pidfd_send_signal pidfd_open close_range openat2
faccessat2 epoll_pwait2 landlock_create_ruleset landlock_add_rule landlock_restrict_self futex_waitv
fchmodat2 futex_wake futex_wait futex_requeue
""")
"""System calls that a function may make, whatever their arguments."""

FORBIDDEN = _names("""
listen inotify_init inotify_add_watch inotify_rm_watch inotify_init1 fork vfork ptrace syslog uselib
personality ustat sysfs vhangup modify_ldt pivot_root _sysctl adjtimex chroot sync acct settimeofday
mount umount2 swapon swapoff reboot sethostname setdomainname iopl ioperm init_module delete_module
quotactl setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr io_setup io_submit
lookup_dcookie clock_settime mbind set_mempolicy mq_open kexec_load add_key request_key keyctl
ioprio_set migrate_pages mknod mknodat vmsplice move_pages perf_event_open fanotify_init
fanotify_mark name_to_handle_at open_by_handle_at clock_adjtime syncfs setns process_vm_readv
process_vm_writev kcmp finit_module kexec_file_load bpf userfaultfd open_tree fsopen fsconfig
fsmount fspick pidfd_getfd process_madvise mount_setattr quotactl_fd memfd_secret process_mrelease
io_uring_setup io_uring_enter io_uring_register shmget shmat shmctl semget semop semctl shmdt msgget
msgsnd msgrcv msgctl
""")
"""Calls answered with EPERM, by name; all that is neither here nor allowed gets ENOSYS."""

NOTABLE = _names("""
truncate ftruncate rename renameat renameat2 mkdir mkdirat rmdir creat link linkat unlink unlinkat
symlink symlinkat chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes
futimesat umask flock fallocate sync_file_range copy_file_range sendfile splice tee getxattr
lgetxattr fgetxattr listxattr llistxattr flistxattr statfs fstatfs openat2 chdir fchdir getdents
preadv pwritev preadv2 pwritev2 readahead setuid setgid setreuid setregid setresuid setresgid
setfsuid setfsgid setpgid getpgid getsid capget kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo
rt_sigtimedwait rt_sigsuspend pidfd_open pidfd_send_signal waitid pause alarm setitimer timer_create
timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime
timerfd_gettime signalfd signalfd4 setpriority sched_setparam sched_setscheduler
sched_setattr sched_getattr ioprio_get mlock munlock mlockall munlockall mlock2 msync
memfd_create membarrier connect accept accept4 shutdown recvmmsg sendmmsg
""")
"""Allowed calls that say something of the function that makes them.

A baseline can learn which of them one makes (ADR 0096). The platform's own code in a sandbox makes
none of them, but `kill`, by which a zygote ends an instance on a host without control groups; nor
does the restorer have an instance make one (`utimensat` is missing for that). Nor does a Python
program that computes, reads files, sleeps or starts threads.
"""

CONDITIONAL = _names("""
ioctl madvise socket setsockopt getsockopt fcntl flock bind socketpair sendto sendmsg sendmmsg clone
execve prctl unshare seccomp execveat move_mount clone3 sched_setaffinity
""")
"""Calls whose answer depends on their arguments or on the program."""

PROBED = frozenset(
    {"fork", "vfork", "personality", "sync", "syncfs", "ioprio_set", "mbind", "set_mempolicy"}
    | {"vmsplice", "memfd_secret", "process_madvise", "setxattr", "lsetxattr", "fsetxattr"}
    | {"removexattr", "lremovexattr", "fremovexattr", "_sysctl", "ustat", "sysfs"}
    | {"lookup_dcookie"}
)
"""Forbidden calls that are refused without a record: libraries try them and go on without.

vfork by subprocess, xattr by shutil, memory policy and process_madvise by allocators and
numerical libraries; the others are old or harmless questions.
"""

SANDBOX_MAKING = _names("""
ptrace process_vm_readv process_vm_writev mount umount2 pivot_root chroot setns open_tree fsopen
fsconfig fsmount fspick mount_setattr bpf perf_event_open userfaultfd add_key request_key keyctl
kexec_load kexec_file_load init_module finit_module delete_module open_by_handle_at pidfd_getfd kcmp
process_madvise io_uring_setup reboot swapon swapoff
""")
"""Calls that make or enter a sandbox, or change the host: the gateway makes none of them."""


def numbered(names: Iterable[str], machine: Machine) -> dict[str, int]:
    """Return the numbers of those calls that a machine has. Old ones are missing on newer kinds."""
    return {name: machine.calls[name] for name in names if name in machine.calls}


@functools.cache
def _known(machine: Machine) -> dict[int, str]:
    names = (*ALLOWED, *FORBIDDEN, *CONDITIONAL)
    return {number: name for name, number in numbered(names, machine).items()}


def name_of(number: int, machine: Machine | None = None) -> str:
    """Return the name of a system call, `syscall-N` for one that is in no table here."""
    return _known(machine or current()).get(number, f"syscall-{number}")
