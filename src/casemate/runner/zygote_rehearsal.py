"""What a zygote does between its assignment and its first fork, done with nothing of a function.

A first call waits for it. Done in the base zygote, its code is specialised there for all, and what
that writes on is shared. Done once in each blank zygote, the memory that it writes on nevertheless
is that zygote's own before a function is known.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder
from importlib.util import cache_from_source, module_from_spec
from types import SimpleNamespace
from typing import Any

from ..guard import imported
from ..guard.acts import Acts
from ..guard.bytecode import encode, kept_path
from ..guard.constants import Constants
from ..guard.loading import Loader, own_modules
from ..guard.rewriting import compile_rewritten
from . import control, loaded, shared_at_import

FOLDER = "/tmp/rehearsal"  # noqa: S108 - in the base zygote's own tmpfs
_MODULE = "rehearsed"
_SOURCE = b"""def handle(event, context):
    return {"n": event["n"]}
"""
_ROOT = "/function/rehearsed/"
_MOST = 256


class Rehearsal:
    """Made once in the base zygote; done in what is forked from it."""

    def __init__(self, assignment: dict[str, Any], folder: str = FOLDER) -> None:
        """Write the module that is imported; `assignment` stands for what a zygote is told."""
        path = f"{folder}/{_MODULE}.py"
        kept = kept_path(cache_from_source(path))
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        code = compile_rewritten(_SOURCE, path)
        if code is None:
            raise ImportError("the rehearsal's module cannot be rewritten")
        for name, content in ((path, _SOURCE), (kept, encode(code, _SOURCE))):
            with open(name, "wb") as file:
                file.write(content)
        self._folder = folder
        self._assignment = assignment

    def once(self) -> None:
        """Go along the path of an import."""
        self._hear()
        before = shared_at_import.open_descriptors(_MOST)
        for finder in sys.meta_path:
            finder.find_spec("casemate_rehearsed", None)
        for name, value in list(os.environ.items()):
            del os.environ[name]
            os.environ[name] = value
        Acts(_ROOT, f"{_ROOT}deps/").learn()
        known: Any = SimpleNamespace(constants=Constants(), root=_ROOT, files={})
        loader = type("OwnCodeLoader", (Loader,), {"guard": known})
        spec = FileFinder(self._folder, (loader, SOURCE_SUFFIXES)).find_spec(_MODULE)
        if spec is None or spec.loader is None:
            raise ImportError("the rehearsal's module is not there")
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        own_modules(known)
        known.constants.add_module(module)
        imported.since()
        shared_at_import.renewals(shared_at_import.open_descriptors(_MOST) - before)
        loaded.frame(loaded.files())
        gc.collect(1)

    def _hear(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            control.send(ours, self._assignment)
            control.receive(theirs)
