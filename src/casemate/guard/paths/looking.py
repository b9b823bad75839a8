"""Watches what only looks at a path: whether a file is there, whose it is, and how large.

No audit event tells of `stat` and `access`, so they are wrapped in `os`, where `os.path`, `pathlib`
and `shutil` call them. Judged where the function's own code asks, through these at most: what a
framework looks for is checked by it, and what it opens raises an event. Resolving a path looks at
its parts as well, and is how code checks it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from ..core import Guard
from ..hooks import wrap

LOOKS = ("stat", "lstat", "access", "statvfs", "pathconf", "readlink", "mkfifo", "mknod")
"""Functions of `os` that take a path and raise no audit event."""
ON_LINKS = frozenset(("lstat", "readlink", "mkfifo", "mknod"))
_THROUGH = frozenset(
    [
        *("os", "posixpath", "genericpath", "pathlib", "shutil", "glob"),
        *("threading", "concurrent", "asyncio", "functools"),
    ]
)
_RESOLVING = frozenset(
    ("realpath", "_joinrealpath", "resolve", "samefile", "walk", "makedirs", "rmtree", "ismount")
)
_WORKING = frozenset(("copyfile", "copymode", "copystat", "copytree", "move", "_rmtree_safe_fd"))
"""Functions whose own looks come with an audit event for the same path."""
_MAX_FRAMES = 40
_OWN = os.path.dirname(os.path.dirname(__file__)) + "/"
_SETS = ("supports_dir_fd", "supports_fd", "supports_follow_symlinks", "supports_effective_ids")

CheckPath = Callable[..., None]
"""Takes the guard, a path, and by name whether its last part is followed if it is a link."""


def patch_os(check: CheckPath) -> Callable[[Guard, ModuleType], None]:
    """Return the patch of `os`; `check` blocks the use of a path."""

    def patch(guard: Guard, module: ModuleType) -> None:
        for name in LOOKS:
            original = getattr(module, name, None)
            if original is None:
                continue
            wrap(module, name, _looking(guard, check, last=name not in ON_LINKS))
            # `shutil` looks its functions up in these when it is imported.
            for kept in _SETS:
                functions = getattr(module, kept, None)
                if isinstance(functions, set) and original in functions:
                    functions.add(getattr(module, name))

    return patch


def _looking(
    guard: Guard, check: CheckPath, *, last: bool
) -> Callable[[tuple[Any, ...], dict[str, Any]], None]:
    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        if guard.active and (arguments or "path" in named) and _is_asked(guard.root):
            check(guard, arguments[0] if arguments else named["path"], last=last)

    return before


def _is_asked(root: str) -> bool:
    """Tell whether the function's own code asks, and not to have a path resolved."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_MAX_FRAMES):
        if frame is None:
            return True  # a thread that was given the function itself
        code = frame.f_code
        if code.co_filename.startswith(root):
            return True
        if not code.co_filename.startswith(_OWN):
            if code.co_name in _RESOLVING or code.co_name in _WORKING:
                return False
            if frame.f_globals.get("__name__", "").partition(".")[0] not in _THROUGH:
                return False
        frame = frame.f_back
    return False
