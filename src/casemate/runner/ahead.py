"""What is imported of dependencies before a zygote is any function's, and whether that fits one.

A dependency zygote imports the locked packages of functions of one project, confined as a
function's own zygote is, without the code, environment or name of any. Then it waits to become the
zygote of one of them, once and for good. An import can depend on what is not there yet: on
variables, and on modules of the function's code. Both are noted, and where a function has what was
asked for in vain, its zygote is made anew instead.

What is noted is told by the process itself, whose dependencies may lie: then it is the function's
own dependencies that deceive it, as they can whenever they are imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from . import shared_at_import

DEPENDENCIES = "/function/deps"
CODE = "/function/code"
_MOST = 4_096
"""Names that are noted; when there are more, no function fits."""
_MODULES = (".py", ".pyc", ".so")
_NATIVE = ("BLIS_", "GOTO", "KMP_", "MKL_", "NPY_", "NUMEXPR_", "OMP_", "OPENBLAS_", "VECLIB_")
"""Variables that libraries read by getenv(3), where nobody notes it."""


class UnfitError(Exception):
    """What was imported ahead might be another thing in this function."""


class _Variables(dict[bytes, bytes]):
    """The variables of `os.environ`, which notes the names that are asked for."""

    def __init__(self, variables: dict[bytes, bytes]) -> None:
        super().__init__(variables)
        self.names: set[bytes] = set()
        self.all = False

    def _note(self, name: Any) -> None:
        if type(name) is bytes and len(self.names) < _MOST:
            self.names.add(name)
        else:
            self.all = True

    def __getitem__(self, name: bytes) -> bytes:
        self._note(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._note(name)
        return super().__contains__(name)

    def __iter__(self) -> Iterator[bytes]:
        self.all = True
        return super().__iter__()

    def __len__(self) -> int:
        self.all = True
        return super().__len__()


class _Absent:
    """The last finder: notes which modules are imported, or looked for, and are not there."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.many = False

    def find_spec(self, name: str, path: Sequence[str] | None = None, _: object = None) -> None:
        """Find nothing."""
        if path is None and len(self.names) < _MOST:
            self.names.add(name.partition(".")[0])
        elif path is None:
            self.many = True


class Ahead:
    """An import ahead of what a function is."""

    def __init__(self) -> None:
        """Begin to note what is asked for."""
        self._plain: dict[bytes, bytes] = dict(os.environ._data)  # type: ignore[attr-defined]
        self._variables = _Variables(self._plain)
        self._absent = _Absent()
        self._names: frozenset[bytes] = frozenset()
        self._all = True

    def import_all(self, modules: Iterable[str], most: int) -> None:
        """Import modules by name, and look at what that has left.

        Raises whatever one raises, and SharedAtImportError if one left any of the descriptors
        below `most` open: an instance could not open it anew, as the bundle is another mount then.
        """
        sys.path[:] = [DEPENDENCIES, *(p for p in sys.path if p != "/casemate")]
        before = shared_at_import.open_descriptors(most)
        os.environ._data = self._variables  # type: ignore[attr-defined]
        sys.meta_path.append(self._absent)
        try:
            for name in modules:
                __import__(name)
        finally:
            self._names, self._all = frozenset(self._variables.names), self._variables.all
            os.environ._data = dict(self._variables)  # type: ignore[attr-defined]
            if self._absent in sys.meta_path:
                sys.meta_path.remove(self._absent)
        shared_at_import.require_no_child()
        left = shared_at_import.open_descriptors(most) - before
        if left:
            raise shared_at_import.SharedAtImportError(f"{len(left)} descriptors are left open")

    def require_fit(self, variables: dict[str, str]) -> None:
        """Raise UnfitError if a function has what an import has asked for and did not find.

        `variables` are those of its environment; its code is mounted.
        """
        now = {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
        changed = {name for name, value in now.items() if self._plain.get(name) != value}
        if changed and self._all:
            raise UnfitError("an import ahead has read all variables, and the function has others")
        native = {name for name in changed if name.startswith(tuple(map(os.fsencode, _NATIVE)))}
        if asked := sorted(native | (changed & self._names)):
            raise UnfitError(f"an import ahead may have read {os.fsdecode(asked[0])}")
        own = {
            entry.name.partition(".")[0]
            for entry in os.scandir(CODE)
            if entry.name.endswith(_MODULES) or entry.is_dir()
        }
        if self._absent.many or own & self._absent.names:
            raise UnfitError("an import ahead has looked for a module that the function has")
        if taken := sorted(own & {name.partition(".")[0] for name in list(sys.modules)}):
            raise UnfitError(
                f"the function's own {taken[0]} has the name of a module that is there"
            )

    @staticmethod
    def add_code() -> None:
        """Have the function's code found before its dependencies, and nothing by what was there."""
        place = sys.path.index(DEPENDENCIES) if DEPENDENCIES in sys.path else 0
        sys.path.insert(place, CODE)
        # Not importlib.invalidate_caches, which imports all that reads metadata: 10 ms.
        sys.path_importer_cache.clear()
