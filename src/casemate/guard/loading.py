"""Loads the function's own modules with their syntax tree rewritten. Dependencies are left alone.

The build has rewritten them already (`bytecode.py`); what it did not is rewritten here. A module
whose tree cannot be rewritten is loaded as it is: its texts are searched at the sinks.
"""

from __future__ import annotations

import builtins
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import CodeType

from .bytecode import read_kept
from .core import Guard
from .imported import since
from .inlining import PREFIX, SUFFIX
from .names import NAMES
from .rewriting import compile_rewritten


class Loader(SourceFileLoader):
    """Takes the rewritten code that the build kept, or compiles from source, rewritten."""

    guard: Guard

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        # None from both has the interpreter say what is wrong with the source.
        code = (
            read_kept(fullname, path)
            or compile_rewritten(self.get_data(path), path)
            or super().get_code(fullname)
        )
        if code is not None:
            self.guard.constants.add_code(code)
            self.guard.files[code.co_filename] = code.co_filename
        return code


def load_rewritten(guard: Guard) -> None:
    """Have modules below `guard.root` loaded rewritten, from now on."""
    provenance = guard.provenance
    for name in NAMES:
        setattr(builtins, f"{PREFIX}{name}{SUFFIX}", getattr(provenance, name))
    loader = type("OwnCodeLoader", (Loader,), {"guard": guard})
    finder = FileFinder.path_hook(
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (loader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )
    root = guard.root

    def own_code(path: str) -> object:
        if not (path + "/").startswith(root):
            raise ImportError(f"{path} is not the function's own code")
        return finder(path)

    sys.path_hooks.insert(0, own_code)  # type: ignore[arg-type]
    for path in list(sys.path_importer_cache):
        if (path + "/").startswith(root):
            del sys.path_importer_cache[path]


def own_modules(guard: Guard) -> list[str]:
    """Return the names of the function's own modules that are imported."""
    found = []
    for name, module in since():
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.startswith(guard.root):
            found.append(name)
    return found
