"""Unpacks a source distribution and builds a wheel of it, inside the build sandbox.

Standard library only; never imported by the rest of the build. `describe ARCHIVE SOURCE` unpacks
and prints what the build needs, as JSON; `build SOURCE OUTPUT` runs the project's own build (PEP
517). What it runs is a stranger's code: nothing that it prints or writes is believed outside.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

_MAX_BYTES = 1024 * 1024 * 1024
_MAX_FILES = 20_000
_DEFAULT: dict[str, Any] = {
    "requires": ["setuptools>=40.8.0", "wheel"],
    "build-backend": "setuptools.build_meta:__legacy__",
}


def _unpack(archive: str, source: Path) -> Path:
    """Unpack into `source` and return the one folder that was in there."""
    if archive.endswith(".zip"):
        with zipfile.ZipFile(archive) as zipped:
            infos = zipped.infolist()
            _check([info.file_size for info in infos])
            # Names are zipfile's to check; the sandbox has nothing else to write to anyway.
            zipped.extractall(source)  # noqa: S202  # nosec B202
    else:
        with tarfile.open(archive) as tarred:
            members = tarred.getmembers()
            _check([member.size for member in members])
            tarred.extractall(source, members, filter="data")  # nosec B202
    (folder,) = (path for path in source.iterdir() if path.is_dir())
    return folder


def _check(sizes: list[int]) -> None:
    if len(sizes) > _MAX_FILES or sum(sizes) > _MAX_BYTES:
        raise SystemExit("it unpacks to too much")


def _system(folder: Path) -> dict[str, Any]:
    """Return the table `build-system` of a project, or what stands for it (PEP 518)."""
    try:
        told = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _DEFAULT
    return {**_DEFAULT, **told.get("build-system", {})}


def main() -> None:
    """Do one of the two."""
    if sys.argv[1] == "describe":
        folder = _unpack(sys.argv[2], Path(sys.argv[3]))
        json.dump([str(each) for each in _system(folder)["requires"]], sys.stdout)
        return
    (folder,) = (path for path in Path(sys.argv[2]).iterdir() if path.is_dir())
    system = _system(folder)
    os.chdir(folder)
    sys.path[:0] = [str(folder / each) for each in system.get("backend-path", [])]
    module, _, names = str(system["build-backend"]).partition(":")
    backend: Any = importlib.import_module(module)
    for name in names.split(".") if names else []:
        backend = getattr(backend, name)
    backend.build_wheel(sys.argv[3])


if __name__ == "__main__":
    main()
