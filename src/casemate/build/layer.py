"""Keeps installed and compiled dependencies by their lock, so that each is built once.

A layer depends on the lock, the exact interpreter and uv alone. Its files are linked into
bundles, which are never written to again; bundles with equal dependencies share disk and page
cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import msgspec

from casemate.build.compile import compile_tree
from casemate.build.errors import BuildTimeoutError
from casemate.build.install import install
from casemate.build.interpreters import machine
from casemate.build.limits import MAX_SOURCE_FILES, WAIT_TIMEOUT
from casemate.build.lock import Lock
from casemate.build.tree import (
    fresh_folder,
    hash_file,
    normalise_modes,
    publish,
    remove_tree,
    walk_files,
)
from casemate.build.uv_process import UvSession
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.bundle import BundleFile, LockedPackage

_FORMAT = 3
_INDEX = "layer.json"


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """The dependencies of a bundle: files below a `deps` folder, sorted, and what they are."""

    files: tuple[BundleFile, ...]
    packages: tuple[LockedPackage, ...]
    warnings: tuple[str, ...]
    scripts: tuple[str, ...]
    """Names of the console scripts that were left out."""


def dependencies(
    lock: Lock,
    project_root: Path,
    session: UvSession,
    *,
    layers: Path,
    progress: Callable[[str], None],
) -> tuple[Path, Layer]:
    """Return the folder of a lock's dependencies and what is in it, from `layers` if it is there.

    Another process that is installing the same lock is waited for.
    """
    layers.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = _key(lock, session)
    folder = layers / key
    with exclusive(layers / f"{key}.lock"):
        held = _held(folder)
        if held is not None:
            return folder / "deps", held
        staging = fresh_folder(layers, f".{key}@")
        try:
            layer = _make(lock, project_root, session, staging, progress)
            publish(staging / "layer", folder, trash=staging)
        finally:
            remove_tree(staging)
    return folder / "deps", layer


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file (flock(2)); raise BuildTimeoutError if another holds it for too long."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + WAIT_TIMEOUT
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise BuildTimeoutError("Another build of the same does not end.") from error
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def place(source: Path, layer: Layer, target: Path) -> None:
    """Link (or, on another file system, copy) a layer's files into a bundle."""
    made: set[Path] = set()
    for file in layer.files:
        path = target / file.path
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        try:
            os.link(source / file.path, path, follow_symlinks=False)
        except OSError:
            path.write_bytes((source / file.path).read_bytes())
            path.chmod(0o644)
    for folder, _, _ in os.walk(target):
        Path(folder).chmod(0o755)


def _make(
    lock: Lock,
    project_root: Path,
    session: UvSession,
    staging: Path,
    progress: Callable[[str], None],
) -> Layer:
    progress("Installing the dependencies")
    installed, reduced = install(lock, project_root, session)
    progress(f"Compiling {len(reduced.packages)} package(s)")
    files = sorted(path for path, _ in walk_files(installed, max_files=MAX_SOURCE_FILES))
    hashed = tuple(hash_file(installed, path) for path in files)
    # What a package ships but cannot be compiled (templates, tests of parsers) is left as it is.
    compiled, _ = compile_tree(installed, "deps", hashed, session.interpreter, work=session.work)
    normalise_modes(installed)
    layer = Layer(
        files=tuple(sorted((*hashed, *compiled), key=lambda f: f.path)),
        packages=reduced.packages,
        warnings=reduced.warnings,
        scripts=reduced.scripts,
    )
    (staging / "layer").mkdir(mode=0o700)
    shutil.move(installed, staging / "layer" / "deps")
    (staging / "layer" / _INDEX).write_bytes(msgspec.json.encode(layer))
    return layer


def _held(folder: Path) -> Layer | None:
    """Return a layer made before, if its index reads and every file has its size."""
    try:
        layer = msgspec.json.decode((folder / _INDEX).read_bytes(), type=decodable(Layer))
        for file in layer.files:
            if (folder / "deps" / file.path).lstat().st_size != file.size:
                return None
    except (OSError, *DECODING_ERRORS):
        return None
    return layer


def _key(lock: Lock, session: UvSession) -> str:
    interpreter = session.interpreter
    parts = (
        *(str(_FORMAT), metadata.version("uv"), machine(), "pylock" if lock.pylock else "pip"),
        *(interpreter.version, interpreter.cache_tag, str(interpreter.path), lock.text),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
