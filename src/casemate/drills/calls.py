"""Attacks by code that runs: system calls, files, programs, the network, processes, capabilities.

What the kernel refuses for want of a right is not told to the node; the invocation's record is all
there is of these (ADR 15).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from casemate.drills.drill import Drill, Way

_SYSTEM_CALL, _CAPABILITY = "system-call", "capability"
_REFUSED = frozenset({errno.EPERM, errno.ENOSYS, errno.EACCES})
_IDENTITY = frozenset({errno.EINVAL, errno.EPERM})
_ABSENT = frozenset({errno.ENOENT})
_READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.EXDEV, errno.EBUSY})
_UNREACHABLE = frozenset({errno.EACCES, errno.EPERM, errno.ENETUNREACH, errno.EADDRNOTAVAIL})
_NO_FAMILY = frozenset({errno.EAFNOSUPPORT})
_ESCAPE, _EXPLOIT = "T1611", "T1068"

_BY_TECHNIQUE: dict[str, tuple[str, ...]] = {
    _ESCAPE: (
        "mount-tmpfs", "mount-proc", "mount-bind", "mount-remount-root", "mount-remount-function",
        "mount-remount-tmp-exec", "umount-tmp", "umount-function", "umount-root", "chroot",
        "pivot-root", "open-tree", "open-tree-recursive", "fsopen", "fsopen-proc", "fsconfig",
        "fsmount", "fspick", "mount-setattr", "name-to-handle-at", "open-by-handle-at",
        "setns-own-pidfd", "mknod-memory", "mknod-disk", "mknodat-memory",
    ),
    "T1055": (
        "ptrace-traceme", "ptrace-attach", "ptrace-seize", "process-vm-readv", "process-vm-writev",
        "process-mrelease", "pidfd-getfd", "kcmp", "move-pages", "migrate-pages",
    ),
    _EXPLOIT: (
        "modify-ldt", "bpf", "perf-event-open", "userfaultfd", "io-uring-setup", "io-uring-enter",
        "io-uring-register", "io-submit", "io-setup", "fanotify-init", "quotactl",
    ),
    "T1552": ("keyctl-session", "keyctl-search", "add-key", "request-key", "syslog"),
    "T1529": ("reboot", "kexec-load", "kexec-file-load"),
    "T1547.006": ("init-module", "finit-module", "delete-module"),
    "T1070.006": ("settimeofday", "clock-settime", "adjtimex", "clock-adjtime"),
    "T1565": ("sethostname", "setdomainname", "swapon", "acct", "iopl", "ioperm"),
    "T1559": ("shmget", "semget", "msgget", "mq-open"),
}  # fmt: skip
_SILENT: dict[str, tuple[str, ...]] = {
    "T1548": (
        "setuid-root", "setgid-root", "setresuid-root", "setresuid-other", "setgroups", "capset",
        "prctl-ambient", "prctl-securebits", "prctl-mm", "chown-root", "setxattr-capability",
        "sched-fifo", "setpriority-higher",
    ),
    _EXPLOIT: ("process-madvise", "personality", "vmsplice", "memfd-secret", "lookup-dcookie"),
}  # fmt: skip
_NAMESPACES = ("time", "mount", "cgroup", "uts", "ipc", "user", "pid", "network")
_ABSENT_FILES = {
    "/etc/passwd": "T1087", "/etc/shadow": "T1003.008", "/root/.bashrc": "T1552.001",
    "/home": "T1083", "/var/log": "T1083", "/proc/1/environ": "T1552.001",
    "/proc/self/status": "T1082", "/proc/sys/kernel/core_pattern": _ESCAPE,
    "/sys/fs/cgroup": _ESCAPE, "/sys/kernel": "T1082", "/bin/sh": "T1059.004",
    "/run/casemate": "T1552.001", "/bundles": "T1213", "/dev/mem": _EXPLOIT, "/dev/kmsg": "T1082",
    "/dev/kvm": _EXPLOIT, "/dev/fuse": _ESCAPE, "/dev/net/tun": "T1090",
    "/var/run/docker.sock": _ESCAPE,
    "/var/run/secrets/kubernetes.io/serviceaccount/token": "T1552.007",
}  # fmt: skip
_MODIFY = (
    "open", "truncate", "unlink", "rename", "chmod", "utime", "mkdir", "symlink", "root", "library",
    "rename-root", "chmod-device", "unlink-device",
)  # fmt: skip
_FAMILIES = {
    "netlink": (16, 3, 0), "packet": (17, 3, 0), "bluetooth": (31, 3, 0), "alg": (38, 5, 0),
    "vsock": (40, 1, 0), "xdp": (44, 3, 0), "can": (29, 3, 1), "key": (15, 3, 2),
}  # fmt: skip
_RAW = {"tcp": (2, 3, 6), "icmp": (2, 3, 1), "ip": (2, 3, 255), "icmp6": (10, 3, 58)}
_REACH = {
    "127.0.0.1": "T1046", "169.254.169.254": "T1552.005", "192.0.2.1": "T1041",
    "10.0.0.1": "T1046", "100.100.100.200": "T1552.005",
}  # fmt: skip
_TCP, _DATAGRAM, _DNS = 80, 9, 53
_USES = {
    "bucket_get": "T1530", "bucket_put": "T1565.001", "bucket_list": "T1619",
    "bucket_delete": "T1485", "table_get": "T1213", "table_put": "T1565.001",
    "table_query": "T1213", "table_delete": "T1485", "queue_send": "T1565.001",
    "topic_publish": "T1565.001", "secret": "T1555.006", "secret_unknown": "T1555.006",
    "invoke": "T1648", "invoke_itself": "T1496",
}  # fmt: skip


def _call(
    id: str,
    title: str,
    technique: str,
    play: dict[str, Any],
    refused: frozenset[int],
    denied: str = "",
    cloud: str = "",
) -> Drill:
    return Drill(
        id=id,
        title=title,
        way=Way.CALL,
        risk=2,
        technique=technique,
        cloud=cloud,
        play={"function": "attacker", "event": play},
        refused=refused,
        denied=denied,
    )


def _system_calls() -> Iterator[Drill]:
    for denied, table in ((_SYSTEM_CALL, _BY_TECHNIQUE), ("", _SILENT)):
        for technique, names in table.items():
            for name in names:
                play = {"attack": "call", "name": name}
                refused = _REFUSED if denied else _REFUSED | _IDENTITY
                yield _call(
                    f"call-{name}", f"Make the system call {name}", technique, play, refused, denied
                )
    for name in _NAMESPACES:
        title = f"Make a {name} namespace"
        play = {"attack": "call", "name": f"unshare-{name}"}
        yield _call(f"unshare-{name}", f"{title} by unshare", _ESCAPE, play, _REFUSED, _SYSTEM_CALL)
        play = {"attack": "clone", "name": name}
        yield _call(f"clone-{name}", f"{title} by clone", _ESCAPE, play, _REFUSED, _SYSTEM_CALL)


def _files() -> Iterator[Drill]:
    for path, technique in _ABSENT_FILES.items():
        name = path.strip("/").replace("/", "-").replace(".", "")
        yield _call(
            f"read-{name}", f"Read {path}", technique, {"attack": "read", "path": path}, _ABSENT
        )
    for how in _MODIFY:
        yield _call(
            f"modify-{how}",
            f"Change the code or the root of the sandbox: {how}",
            "T1554",
            {"attack": "modify", "how": how},
            _READ_ONLY,
        )
    yield _call(
        "set-user-id",
        "Run a set-user-id file",
        "T1548.001",
        {"attack": "set_user_id_file"},
        _REFUSED,
    )
    yield _call(
        "run-shell",
        "Start a shell",
        "T1059.004",
        {"attack": "execute", "path": "/bin/sh"},
        _REFUSED | _ABSENT,
    )
    yield _call(
        "run-memory",
        "Run a program that is no file",
        "T1620",
        {"attack": "execute_memory"},
        _REFUSED,
    )
    yield _call(
        "map-code", "Map a file of /tmp as code", "T1620", {"attack": "map_executable"}, _REFUSED
    )


def _network() -> Iterator[Drill]:
    for name, (family, kind, protocol) in _FAMILIES.items():
        play = {"attack": "open_socket", "family": family, "kind": kind, "protocol": protocol}
        yield _call(
            f"socket-{name}", f"Open a {name} socket", "T1095", play, _NO_FAMILY, _SYSTEM_CALL
        )
    for name, (family, kind, protocol) in _RAW.items():
        play = {"attack": "open_socket", "family": family, "kind": kind, "protocol": protocol}
        yield _call(f"raw-{name}", f"Open a raw {name} socket", "T1095", play, _REFUSED)
    for address, technique in _REACH.items():
        name = address.replace(".", "-")
        cloud = "Steal credentials from the metadata service" if technique == "T1552.005" else ""
        play = {"attack": "connect", "address": address, "port": _TCP}
        yield _call(
            f"connect-{name}", f"Connect to {address}", technique, play, _UNREACHABLE, cloud=cloud
        )
    play = {"attack": "send_datagram", "address": "192.0.2.1", "port": _DATAGRAM}
    yield _call("datagram", "Send a datagram out", "T1048", play, _UNREACHABLE)
    play = {"attack": "send_datagram", "address": "192.0.2.1", "port": _DNS}
    yield _call("datagram-dns", "Tunnel data through DNS", "T1071.004", play, _UNREACHABLE)
    yield _call(
        "listen-port",
        "Open a port for a back door",
        "T1205",
        {"attack": "bind", "port": 8080},
        _REFUSED,
        _SYSTEM_CALL,
    )
    yield _call(
        "listen-any",
        "Listen without an address",
        "T1205",
        {"attack": "listen"},
        _REFUSED,
        _SYSTEM_CALL,
    )
    yield _call(
        "loopback-up",
        "Bring an interface up",
        "T1090",
        {"attack": "bring_up_loopback"},
        frozenset({*_REFUSED, errno.ENOTTY}),
    )
    for name in ("NPROC", "NOFILE", "MEMLOCK"):
        yield _call(
            f"limit-{name.lower()}",
            f"Raise the limit {name}",
            "T1499",
            {"attack": "raise_limit", "name": name},
            frozenset({1}),
        )


def _capabilities() -> Iterator[Drill]:
    clouds = {
        "secret": "Retrieve secrets from the secrets manager",
        "bucket_list": "Enumerate buckets",
        "bucket_get": "Exfiltrate objects of a bucket",
        "bucket_delete": "Delete objects of a bucket",
        "invoke": "Invoke another function by its role",
    }
    for use, technique in _USES.items():
        yield Drill(
            id=f"grant-{use.replace('_', '-')}",
            title=f"Use what is not granted: {use.replace('_', ' ')}",
            way=Way.CALL,
            risk=2,
            technique=technique,
            cloud=clouds.get(use, ""),
            play={"function": "greedy", "event": {"use": use}},
            denied=_CAPABILITY,
        )


def drills() -> tuple[Drill, ...]:
    """Return the attacks by code that runs."""
    return (*_system_calls(), *_files(), *_network(), *_capabilities())
