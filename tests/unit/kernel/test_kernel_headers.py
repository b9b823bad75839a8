"""The tables, flags and structures are those of the kernel's headers, for each machine.

Headers of both are in Debian's linux-libc-dev. What is not installed is not compared.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from casemate.kernel import (
    argument_rules,
    filter_code,
    generate,
    landlock,
    linux,
    notifications,
    seccomp,
)
from casemate.kernel.machines import AARCH64, MACHINES, Machine

HEADERS = Path("/usr/include")
each_machine = pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)


def _calls(machine: Machine) -> dict[str, int]:
    header = generate.header(HEADERS, machine.name)
    if not header.exists():
        pytest.skip(f"the kernel's headers for {machine.name} are not installed")
    return generate.numbers(header.read_text())


@each_machine
def test_names_and_numbers_are_the_kernel_s(machine: Machine) -> None:
    known = _calls(machine)
    newest = max(known.values())
    for name, number in machine.calls.items():
        # A header of an older kernel lacks the newest calls.
        if name in known or number <= newest:
            assert known[name] == number, name
    last = max(machine.calls.values())
    missing = {name for name, number in known.items() if number <= last} - set(machine.calls)
    assert not missing, "run: python -m casemate.kernel.generate"


@each_machine
def test_the_table_is_what_the_generator_writes(machine: Machine) -> None:
    text = generate.table(machine.name, machine.calls, machine.audit_architecture)
    written = Path(generate.__file__).with_name(f"numbers_{machine.name}.py").read_text()
    assert written == text


@each_machine
def test_a_filter_sees_the_architecture_of_the_headers(machine: Machine) -> None:
    elf = HEADERS / "linux/elf-em.h"
    if not elf.exists():
        pytest.skip("the kernel's headers are not installed")
    seen = generate.audit_architecture(elf.read_text(), machine.name)
    assert seen == machine.audit_architecture


def test_the_generic_table_agrees_with_aarch64() -> None:
    """It is there on every Linux with headers, also where those of aarch64 are not."""
    header = HEADERS / "asm-generic/unistd.h"
    if not header.exists():
        pytest.skip("the kernel's headers are not installed")
    text = header.read_text()
    known = {
        name: int(number)
        for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)$", text, re.MULTILINE)
    }
    renamed = {"newfstatat": "fstatat"}
    newest = max(known.values())
    for name, number in AARCH64.calls.items():
        if number <= newest:
            assert known[renamed.get(name, name)] == number, name


def test_a_header_that_is_none_is_refused() -> None:
    assert generate.numbers("#define __NR_a 3\n#define __NR_syscalls 4\n# define __NR_b 5\n") == {
        "a": 3
    }
    with pytest.raises(ValueError, match="EM_AARCH64"):
        generate.audit_architecture("#define EM_X86_64 62\n", "aarch64")


# -- flags and structures --------------------------------------------------------------------------

CONSTANTS = {
    "MS_RDONLY": linux.MS_RDONLY,
    "MS_NOSUID": linux.MS_NOSUID,
    "MS_NODEV": linux.MS_NODEV,
    "MS_NOEXEC": linux.MS_NOEXEC,
    "MS_REMOUNT": linux.MS_REMOUNT,
    "MS_BIND": linux.MS_BIND,
    "MS_REC": linux.MS_REC,
    "MS_PRIVATE": linux.MS_PRIVATE,
    "CLONE_NEWTIME": linux.CLONE_NEWTIME,
    "CLONE_NEWNS": linux.CLONE_NEWNS,
    "CLONE_NEWCGROUP": linux.CLONE_NEWCGROUP,
    "CLONE_NEWUTS": linux.CLONE_NEWUTS,
    "CLONE_NEWIPC": linux.CLONE_NEWIPC,
    "CLONE_NEWUSER": linux.CLONE_NEWUSER,
    "CLONE_NEWPID": linux.CLONE_NEWPID,
    "CLONE_NEWNET": linux.CLONE_NEWNET,
    "CLONE_CHILD_CLEARTID": linux.CLONE_CHILD_CLEARTID,
    "CLONE_CHILD_SETTID": linux.CLONE_CHILD_SETTID,
    "CLONE_THREAD": linux.CLONE_THREAD,
    "SIGCHLD": linux.SIGCHLD,
    "PR_GET_TID_ADDRESS": linux._PR_GET_TID_ADDRESS,
    "PR_SET_NO_NEW_PRIVS": linux._PR_SET_NO_NEW_PRIVS,
    "PR_CAPBSET_DROP": linux._PR_CAPBSET_DROP,
    "PR_SET_DUMPABLE": linux._PR_SET_DUMPABLE,
    "PR_CAP_AMBIENT": linux._PR_CAP_AMBIENT,
    "PR_CAP_AMBIENT_CLEAR_ALL": linux._PR_CAP_AMBIENT_CLEAR_ALL,
    "PR_SET_PDEATHSIG": linux._PR_SET_PDEATHSIG,
    "PR_SET_SECCOMP": argument_rules._SET_SECCOMP,
    "SECCOMP_SET_MODE_FILTER": linux._SECCOMP_SET_MODE_FILTER,
    "SECCOMP_FILTER_FLAG_TSYNC": linux._FILTER_TSYNC,
    "SECCOMP_FILTER_FLAG_NEW_LISTENER": linux._FILTER_NEW_LISTENER,
    "SECCOMP_FILTER_FLAG_TSYNC_ESRCH": linux._FILTER_TSYNC_ESRCH,
    "SECCOMP_RET_ALLOW": filter_code._ALLOW,
    "SECCOMP_RET_ERRNO": filter_code._ERRNO,
    "SECCOMP_RET_USER_NOTIF": filter_code._NOTIFY,
    "SECCOMP_RET_KILL_PROCESS": filter_code._KILL,
    "SECCOMP_IOCTL_NOTIF_ADDFD": seccomp._NOTIFY_ADD_DESCRIPTOR,
    "SECCOMP_IOCTL_NOTIF_RECV": notifications._RECV,
    "SECCOMP_IOCTL_NOTIF_SEND": notifications._SEND,
    "SECCOMP_IOCTL_NOTIF_ID_VALID": notifications._ID_VALID,
    "OPEN_TREE_CLONE": linux._OPEN_TREE_CLONE,
    "OPEN_TREE_CLOEXEC": linux._OPEN_TREE_CLOEXEC,
    "AT_FDCWD": linux._AT_FDCWD,
    "MOVE_MOUNT_F_EMPTY_PATH": linux._MOVE_MOUNT_F_EMPTY_PATH,
    "FSOPEN_CLOEXEC": linux._FSOPEN_CLOEXEC,
    "FSMOUNT_CLOEXEC": linux._FSMOUNT_CLOEXEC,
    "FSCONFIG_SET_STRING": linux._FSCONFIG_SET_STRING,
    "FSCONFIG_CMD_CREATE": linux._FSCONFIG_CMD_CREATE,
    "MOUNT_ATTR_RDONLY": linux._MOUNT_ATTR_RDONLY,
    "MOUNT_ATTR_NOSUID": linux._MOUNT_ATTR_NOSUID,
    "MOUNT_ATTR_NODEV": linux._MOUNT_ATTR_NODEV,
    "MOUNT_ATTR_NOEXEC": linux._MOUNT_ATTR_NOEXEC,
    "TIOCSTI": argument_rules.TERMINAL_INJECTION[0],
    "TIOCLINUX": argument_rules.TERMINAL_INJECTION[1],
    "F_SETLK": argument_rules._LOCKS[0],
    "F_SETLKW": argument_rules._LOCKS[1],
    "F_OFD_SETLK": argument_rules._LOCKS[2],
    "F_OFD_SETLKW": argument_rules._LOCKS[3],
    "F_SETPIPE_SZ": argument_rules._SET_PIPE_SIZE,
    "LOCK_SH": argument_rules._LOCK_SHARED,
    "LOCK_EX": argument_rules._LOCK_EXCLUSIVE,
    "LOCK_UN": argument_rules._LOCK_NOT,
    "LOCK_NB": argument_rules._LOCK_AT_ONCE,
    "SO_LINGER": argument_rules._LINGER,
    "MADV_MERGEABLE": argument_rules._MERGEABLE,
    "EPERM": filter_code._EPERM,
    "EACCES": filter_code._EACCES,
    "EINVAL": filter_code._EINVAL,
    "ENOSYS": filter_code._ENOSYS,
    "EAFNOSUPPORT": filter_code._EAFNOSUPPORT,
    "LANDLOCK_ACCESS_FS_EXECUTE": landlock._EXECUTE,
    "LANDLOCK_ACCESS_FS_WRITE_FILE": landlock._WRITE_FILE,
    "LANDLOCK_ACCESS_FS_READ_FILE": landlock._READ_FILE,
    "LANDLOCK_ACCESS_FS_READ_DIR": landlock._READ_DIR,
    "LANDLOCK_ACCESS_FS_MAKE_CHAR": landlock._MAKE_CHAR,
    "LANDLOCK_ACCESS_FS_MAKE_BLOCK": landlock._MAKE_BLOCK,
    "LANDLOCK_ACCESS_FS_IOCTL_DEV": landlock._IOCTL_DEVICE,
    "LANDLOCK_ACCESS_NET_CONNECT_TCP": landlock._NET_CONNECT,
    "_LINUX_CAPABILITY_VERSION_3": 0x20080522,
}
SIZES = {
    "struct seccomp_notif": notifications._NOTIFICATION.size,
    "struct seccomp_notif_resp": notifications._RESPONSE.size,
    "struct landlock_path_beneath_attr": linux._LANDLOCK_RULE.size,
    "struct landlock_net_port_attr": linux._LANDLOCK_PORT_RULE.size,
    "struct sock_fprog": 16,
    "struct sock_filter": 8,
    "struct __user_cap_data_struct[2]": len(linux._NO_CAPABILITIES),
}
OFFSETS = {
    ("struct seccomp_data", "nr"): filter_code._NR,
    ("struct seccomp_data", "arch"): filter_code._ARCH,
    ("struct seccomp_data", "args[0]"): filter_code._ARG0,
    ("struct seccomp_data", "args[1]"): filter_code._ARG1,
    ("struct seccomp_data", "args[2]"): filter_code._ARG2,
    ("struct sock_fprog", "filter"): 8,
}
INCLUDED = ("linux/mount", "linux/sched", "linux/prctl", "linux/seccomp", "linux/landlock")
INCLUDED += ("linux/fcntl", "linux/filter", "linux/capability", "linux/audit", "linux/errno")
INCLUDED += ("asm/ioctls", "asm/socket", "asm/ioctl", "asm/mman", "asm/signal")


@each_machine
def test_flags_and_structures_are_the_kernel_s(machine: Machine, tmp_path: Path) -> None:
    """Compiled for this machine with the headers of each: both have 64 bits, low byte first."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not generate.header(HEADERS, machine.name).exists():
        pytest.skip("no C compiler, or no headers of that machine")
    lines = [f"#include <{name}.h>" for name in INCLUDED]
    for name, value in CONSTANTS.items():
        lines.append(f'_Static_assert((unsigned){name} == {value & 0xFFFFFFFF}u, "{name}");')
    for name, value in SIZES.items():
        lines.append(f'_Static_assert(sizeof({name}) == {value}, "size of {name}");')
    for (name, member), value in OFFSETS.items():
        told = f"__builtin_offsetof({name}, {member}) == {value}"
        lines.append(f'_Static_assert({told}, "{name}, {member}");')
    source = tmp_path / "checked.c"
    source.write_text("\n".join(lines) + "\n")
    folders = ["-isystem", f"{HEADERS}/{machine.name}-linux-gnu", "-isystem", str(HEADERS)]
    done = subprocess.run(
        [compiler, "-std=gnu11", "-nostdinc", *folders, "-fsyntax-only", str(source)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
