"""The acts that the interpreter's audit events (PEP 578) tell of: network, processes, files."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from posixpath import join, normpath  # as they are before the guard follows what they make
from sys import _getframe
from typing import Any

from .acts import Acts

Act = Callable[[Acts, tuple[Any, ...]], None]
"""Takes the arguments of an audit event. Raises PackageDeniedError."""

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_SYSTEM = (
    f"{sys.base_prefix}/",
    f"{sys.prefix}/",
    *("/usr/", "/lib/", "/lib64/", "/bin/", "/sbin/", "/etc/", "/proc/self/"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty"),
)
"""What everybody may read, and nobody can write: reading there is no act."""
_MODULES = (".py", ".pyc", ".so")
"""Whoever imports, or prints a trace, has these read: that is no act either."""

_IMPORTING = "<frozen importlib._bootstrap_external>"


def _egress(event: str, acts: Acts, _arguments: tuple[Any, ...]) -> None:
    acts.act("egress", event)


def _process(event: str, acts: Acts, _arguments: tuple[Any, ...]) -> None:
    acts.act("process", event)


def _native(event: str, acts: Acts, arguments: tuple[Any, ...]) -> None:
    if arguments[0] is None and not hasattr(sys.modules.get("ctypes"), "pythonapi"):
        return  # `ctypes` does that when it is imported
    acts.act("native", event)


def _open(acts: Acts, arguments: tuple[Any, ...]) -> None:
    path, _mode, flags = arguments
    if isinstance(path, int):
        return  # opened before
    written = isinstance(flags, int) and flags & _WRITES
    if acts.owners and (written or not _is_read_by_all(acts, path)):
        acts.act("file", "open")


def _read(event: str, acts: Acts, arguments: tuple[Any, ...]) -> None:
    if not acts.owners or _is_read_by_all(acts, arguments[0]):
        return
    if _getframe(2).f_code.co_filename != _IMPORTING:  # which looks for a module
        acts.act("file", event)


def _write(event: str, acts: Acts, _arguments: tuple[Any, ...]) -> None:
    acts.act("file", event)


def _database(acts: Acts, arguments: tuple[Any, ...]) -> None:
    if arguments[0] not in (":memory:", b":memory:", "", b""):
        acts.act("file", "sqlite3.connect")


def _is_read_by_all(acts: Acts, path: object) -> bool:
    """Tell whether a file is the system's, or of a package: who reads it does nothing."""
    if path is None:
        return False  # the working folder
    if isinstance(path, int):
        return True  # opened before
    try:
        text = os.fsdecode(path)  # type: ignore[arg-type]
    except (TypeError, UnicodeError):
        return False
    if not text.startswith("/") or "/." in text:
        text = normpath(join(os.getcwd(), text))
    return text.startswith((acts.deps, *_SYSTEM)) or text.endswith(_MODULES)


def _named(act: Callable[[str, Acts, tuple[Any, ...]], None], *events: str) -> dict[str, Act]:
    return {event: partial(act, event) for event in events}


EVENTS: dict[str, Act] = {
    **_named(_egress, "socket.connect", "socket.sendto", "socket.sendmsg"),
    **_named(
        _process,
        *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"),
        *("os.fork", "os.forkpty", "pty.spawn"),
    ),
    **_named(_native, "ctypes.dlopen", "ctypes.dlsym"),
    **_named(_read, "os.listdir", "os.scandir"),
    **_named(
        _write,
        *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink"),
        *("os.truncate", "os.chmod", "os.chown", "os.utime", "os.setxattr", "os.removexattr"),
    ),
    "open": _open,
    "sqlite3.connect": _database,
}
"""What is looked at, by audit event."""
