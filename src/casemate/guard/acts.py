"""Which packages of others act: what they reach, start, write and use, and what they may not.

A package acts when its code is on the stack between an act and the function's own code nearest to
it: `requests`, which calls `urllib3`, which connects, and both of them; not a framework that calls
the function's code, which then acts itself. Where a thread began counts as what led to it.

Good against packages that do more than they are for, and to see what each does. Code that means to
get around it can: it is in the same process. The sandbox and the grants hold behind it.
"""

from __future__ import annotations

import _thread
import contextlib
import errno
import sys
from collections.abc import Callable, Iterable, Mapping
from sys import _getframe  # what a package makes of `sys` later changes nothing here
from types import CodeType, FrameType, ModuleType
from typing import Any

from .identity import identity
from .package_files import Owners, owners_in, owners_of

KINDS = (
    "egress",
    "process",
    "file",
    "native",
    "bucket",
    "table",
    "queue",
    "topic",
    "secret",
    "function",
)
EVERY = "*"
"""Stands for each package that is not named."""
MAX_MET = 64
"""Pairs of a package and a kind that are told of one invocation."""
MAX_TOLD = 16
"""Denials that are told of one invocation. What comes after is denied all the same."""
_MAX_FRAMES = 10_000
_MAX_SEEN = 4_096
_MAX_THREADS = 1_024
"""Whose beginnings are known at once; beyond, those of older ones are forgotten."""
_UNTOLD = "(a stack too deep to tell)"
_OF_OPERATIONS = {kind: kind for kind in KINDS} | {"identity": "secret"}
"""Kinds by the first word of what is asked of the host. A token of the function's is a secret."""
_namespace = ModuleType.__getattribute__

Tell = Callable[[str, str, str], None]
"""Takes a package, the kind of its act and what it was, when it was denied."""


class PackageDeniedError(PermissionError):
    """The manifest denies a package what it, or what it called, was about to do.

    Not the sink guard's BlockedError: a package that can do without goes on.
    """


class Acts:
    """Those of one process, for one invocation after the other."""

    __slots__ = (
        "_denied",
        "_kinds",
        "_seen",
        "_threads",
        "_told",
        "deps",
        "met",
        "owners",
        "root",
        "tell",
    )

    def __init__(self, root: str, deps: str = "/function/deps/") -> None:
        """`root` is the folder of the function's own code, `deps` that of packages."""
        self.root = root
        self.deps = deps
        self.owners: Owners = {}
        self.tell: Tell | None = None
        """Takes each denial to the host, at once."""
        self.met: dict[tuple[str, str], int] = {}
        """How often packages did what, in this invocation."""
        self._denied: dict[str, frozenset[str]] = {}
        self._kinds: frozenset[str] = frozenset()
        self._seen: dict[int, tuple[CodeType, tuple[str, ...]]] = {}
        """Packages of code that was met, by its identity; it is held so that this stays its own."""
        self._threads: dict[int, tuple[object, tuple[str, ...]]] = {}
        """What led to the start of threads, by their identity; they are held as code is."""
        self._told: set[tuple[str, str, str]] = set()

    def learn(self) -> None:
        """Find out whose the files of packages are."""
        self.owners = owners_in(self.deps.rstrip("/"))

    def deny(self, denied: Mapping[str, Iterable[str]]) -> None:
        """Deny packages kinds of acts; what is said of a package counts instead of EVERY."""
        self._denied = {package: frozenset(kinds) for package, kinds in denied.items()}
        self._kinds = frozenset().union(*self._denied.values())

    @property
    def denies(self) -> bool:
        """Tell whether anything is denied."""
        return bool(self._kinds)

    def begin(self) -> None:
        """An invocation begins."""
        if self.met:
            self.met = {}
        if self._told:
            self._told.clear()

    def operation(self, name: str) -> None:
        """Something is asked of the host, such as `table.get`. Raises PackageDeniedError."""
        kind = _OF_OPERATIONS.get(name.partition(".")[0])
        if kind is not None:
            self.act(kind, name)

    def act(self, kind: str, what: str) -> None:
        """An act is about to be done. Raises PackageDeniedError."""
        if not self.owners:
            return
        packages = self.acting()
        if kind in self._kinds:
            for package in packages:
                if kind in self._denied.get(package, self._denied.get(EVERY, ())) or (
                    package == _UNTOLD
                ):
                    self._refuse(package, kind, what)
        for package in packages:
            key = package, kind
            count = self.met.get(key, 0)
            if count or len(self.met) < MAX_MET:
                self.met[key] = count + 1

    def _refuse(self, package: str, kind: str, what: str) -> None:
        told = package, kind, what
        if told not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(told)
            # A host that cannot be told must not keep the act from being stopped.
            with contextlib.suppress(Exception):
                if self.tell is not None:
                    self.tell(*told)
        raise PackageDeniedError(
            errno.EACCES,
            f"the package {package} may not use {kind} ({what}): {self.line(package)} in "
            "casemate.toml, below the function",
        )

    def line(self, package: str) -> str:
        """Return the table of the manifest by which a package is denied something."""
        return f"packages.{package}" if package in self._denied else 'packages."*"'

    # -- who -----------------------------------------------------------------------------------

    def acting(self) -> tuple[str, ...]:
        """Return the packages between here and the function's own code, the nearest first."""
        found: dict[str, None] = {}
        frame: FrameType | None = _getframe(1)
        for _ in range(_MAX_FRAMES):
            if frame is None:
                # Of a thread: what led to it ended long ago.
                found |= dict.fromkeys(self._begun_by())
                return tuple(found)
            code = frame.f_code
            if code.co_filename.startswith(self.root) and _is_of_a_module(frame):
                return tuple(found)
            for package in self._packages_of(code):
                found[package] = None
            frame = frame.f_back
        return (*found, _UNTOLD)

    def _packages_of(self, code: CodeType) -> tuple[str, ...]:
        file = code.co_filename
        if not file.startswith(self.deps):
            return ()
        seen = self._seen.get(identity(code))
        if seen is not None:
            return seen[1]
        if len(self._seen) >= _MAX_SEEN:
            self._seen.clear()
        packages = owners_of(self.owners, file[len(self.deps) :])
        self._seen[identity(code)] = code, packages
        return packages

    def thread(self, thread: object) -> None:
        """A thread is about to be started: keep what led to that."""
        packages = self.acting() if self.owners else ()
        if packages:
            if len(self._threads) >= _MAX_THREADS:
                self._threads.clear()
            # Not on the thread, which can be of any class.
            self._threads[identity(thread)] = thread, packages

    def _begun_by(self) -> tuple[str, ...]:
        """Return the packages that led to the start of this thread."""
        if not self._threads:
            return ()
        running = getattr(sys.modules.get("threading"), "_active", {}).get(_thread.get_ident())
        return self._threads.get(identity(running), (None, ()))[1]


def _is_of_a_module(frame: FrameType) -> bool:
    """Tell whether code runs in the module whose file it says it is of: any code can say so."""
    module: Any = sys.modules.get(str(frame.f_globals.get("__name__")))
    return (
        isinstance(module, ModuleType)
        and _namespace(module, "__dict__") is frame.f_globals
        and frame.f_globals.get("__file__") == frame.f_code.co_filename
    )
