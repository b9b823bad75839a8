"""Bundles of what tests deploy, each built once: a build can be repeated, and gives the same.

A test process deploys functions of the same few lines again and again, with other names and limits.
To build them took three quarters of the processor time of their deploys: all interpreters of the
host are asked what they are, and one is started in a sandbox to compile.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from casemate.build import bundle as building
from casemate.build import pack
from casemate.build.compile import Failure, compile_tree
from casemate.build.interpreters import Interpreter, find_interpreters
from casemate.model.bundle import BundleFile, BundleManifest
from casemate.model.function import FunctionSpec, Project
from casemate.sbom import sbom as sbom_of

_MOST_KEPT, _MOST_FILES = 64, 20
_TELL_WHERE = ("PATH", "HOME", "PYENV_ROOT", "XDG_DATA_HOME", "UV_PYTHON_INSTALL_DIR")
"""Variables by which interpreters are looked for."""


class Packed(NamedTuple):
    """A bundle as it is uploaded."""

    digest: str
    archive: bytes
    manifest: BundleManifest
    sbom: bytes


class _Compiled(NamedTuple):
    files: tuple[BundleFile, ...]
    contents: tuple[bytes, ...]


_packed: OrderedDict[bytes, Packed] = OrderedDict()
_compiled: OrderedDict[tuple[object, ...], _Compiled] = OrderedDict()
_builds = threading.Lock()
"""Held by who builds: it has `build` compile by way of `_compiled_once` meanwhile."""


def packed(root: Path, loaded: Project, spec: FunctionSpec) -> Packed:
    """Build a function, or return what came of it when the same was built before."""
    key = _inputs(root, loaded, spec)
    with _builds, mock.patch.object(building, "compile_tree", _compiled_once):
        known = _packed.get(key) if key is not None else None
        if key is not None and known is not None:
            _packed.move_to_end(key)
            return known
        with tempfile.TemporaryDirectory() as out:
            built = building.build(
                *(root, loaded.name, spec, Path(out)),
                resources=loaded.resources,
                interpreters=interpreters_of_host(),
            )
            archive = Path(out) / "bundle.tar.gz"
            with archive.open("wb") as stream:
                pack(built.path, stream)
            document = sbom_of(built.path, built.manifest)
            made = Packed(built.digest, archive.read_bytes(), built.manifest, document)
        # Packages are of an index, which can have others by then.
        if key is not None and not built.manifest.packages:
            _keep(_packed, key, made)
    return made


def interpreters_of_host() -> tuple[Interpreter, ...]:
    """Return what a build would find, looked for once."""
    return _interpreters(date.today(), *map(os.environ.get, _TELL_WHERE))


@functools.cache
def _interpreters(today: date, *_: str | None) -> tuple[Interpreter, ...]:
    """Return those of this host. To ask each of them what it is takes as long as to compile."""
    return find_interpreters(today=today, environ=os.environ)


def _inputs(root: Path, loaded: Project, spec: FunctionSpec) -> bytes | None:
    """Return what a build depends on, as a digest; None where that is more than a few files."""
    paths = sorted(itertools.islice(root.rglob("*"), _MOST_FILES + 1))
    if len(paths) > _MOST_FILES or any(path.is_symlink() for path in paths):
        return None
    told = hashlib.sha256(repr((loaded.name, spec, loaded.resources)).encode())
    for path in paths:
        content = path.read_bytes() if path.is_file() else None
        told.update(repr((path.relative_to(root), path.stat().st_mode, content)).encode())
    return told.digest()


def _compiled_once(
    root: Path,
    part: str,
    files: Sequence[BundleFile],
    interpreter: Interpreter,
    *,
    work: Path,
    own: bool = False,
) -> tuple[tuple[BundleFile, ...], tuple[Failure, ...]]:
    """Compile a tree, or write what came of the same sources, whose digests `files` has."""
    sources = tuple(file for file in files if file.path.endswith(".py"))
    key = (part, sources, interpreter.path, interpreter.cache_tag, own)
    if (known := _compiled.get(key)) is not None:
        _compiled.move_to_end(key)
        for file, content in zip(known.files, known.contents, strict=True):
            target = root / file.path
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o644)
        return known.files, ()
    added, failures = compile_tree(root, part, files, interpreter, work=work, own=own)
    if not failures and len(sources) <= _MOST_FILES:
        contents = tuple((root / file.path).read_bytes() for file in added)
        _keep(_compiled, key, _Compiled(added, contents))
    return added, failures


def _keep(kept: OrderedDict[Any, Any], key: object, value: object) -> None:
    kept[key] = value
    if len(kept) > _MOST_KEPT:
        kept.popitem(last=False)
