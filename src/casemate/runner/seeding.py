"""Gives generators of random numbers new seeds: restored, they would repeat what they gave.

That of `random` takes a tenth of a small call to be seeded, and most functions never ask for it. So
the base zygote has the module, but nobody finds it before somebody imports it; who does so has its
generator seeded, then and before each call from then on.
"""

from __future__ import annotations

import _random
import contextlib
import ctypes
import os
import random
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_SEED_BYTES = 32
_module: Any = random
_generator: Any = _module._inst
"""Whose methods the functions of `random` are, whoever has imported them under which name."""
_seed, _from_bytes = _random.Random.seed, int.from_bytes


class _Import:
    """A finder and loader of `random`, for whom it is there already."""

    def __init__(self) -> None:
        self.asked = False
        """Whether anybody has the module, or some of it."""
        self._spec = random.__spec__

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, _: object = None
    ) -> ModuleSpec | None:
        """Find `random`, and leave all others to be found by others."""
        if name != "random" or path is not None:
            return None
        return ModuleSpec(name, self, origin=self._spec.origin if self._spec else None)  # type: ignore[arg-type]

    def create_module(self, _: ModuleSpec) -> ModuleType:
        """Return what was imported before."""
        return random

    def exec_module(self, module: ModuleType) -> None:
        """Seed it, instead of making it anew."""
        module.__spec__ = self._spec
        self.asked = True
        _reseed_random()


_import = _Import()


def set_aside() -> bool:
    """Have `random` be found by who imports it from now on; False if somebody has it by now.

    Those who hold some of it already would not be noticed.
    """
    if _held_by_others():
        return False
    sys.meta_path.insert(0, _import)
    del sys.modules["random"]
    return True


def _held_by_others() -> bool:
    bound = (one for one in vars(random).values() if getattr(one, "__self__", 0) is _generator)
    parts = {id(random), id(_generator), *map(id, bound)}
    return any(
        id(value) in parts
        for name, module in list(sys.modules.items())
        if name not in ("random", __name__) and isinstance(module, ModuleType)
        for value in list(vars(module).values())
    )


def _reseed_random() -> None:
    # What `random.seed` does for a number, which costs half of what none does.
    _seed(_generator, _from_bytes(os.urandom(_SEED_BYTES), "little"))
    if _generator.gauss_next is not None:
        _generator.gauss_next = None


def forget_seeds() -> None:
    """Have generators that go on alike in every copy of this process seed themselves when used.

    SQLite's belongs to the library, not to a connection: `random()` of what the import has opened
    would give each call the same numbers.
    """
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        vars(tempfile)["_name_sequence"] = None
    sqlite = sys.modules.get("_sqlite3")
    if sqlite is not None:
        # Python has no way to it. One that is linked otherwise does not show it.
        with contextlib.suppress(AttributeError, OSError):
            ctypes.CDLL(getattr(sqlite, "__file__", None)).sqlite3_randomness(0, None)


def reseed() -> None:
    """Give all that are there new seeds."""
    modules = sys.modules
    imported: Any = modules.get("random")
    if imported is not None or _import.asked:
        _reseed_random()
        if imported is not None and (imported is not _module or imported._inst is not _generator):
            imported.seed(_from_bytes(os.urandom(_SEED_BYTES), "little"))  # another one of it
    numpy_random = modules.get("numpy.random")
    if numpy_random is not None:
        words = numpy_random.bit_generator.randbits(128)
        numpy_random.seed([words >> shift & 0xFFFFFFFF for shift in range(0, 128, 32)])
    ssl = modules.get("_ssl")
    if ssl is not None:
        ssl.RAND_add(os.urandom(32), 32.0)
