"""Finds the CPython interpreters of this host and says which of them may still be used."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from enum import StrEnum
from pathlib import Path

import msgspec

from casemate.build.errors import UnsupportedRuntimeError
from casemate.build.support import old_file_warning, python_support
from casemate.model.function import SUPPORTED_PYTHONS

WARN_DAYS = 180
_PROBE_TIMEOUT = 5.0
_NAME = re.compile(r"^python3(?:\.(?:11|12|13|14))?$")
_SYSTEM_FOLDERS = ("/usr/bin", "/usr/local/bin")
# `_base_executable` and `base_prefix` are those of the installation even when asked in a venv.
# Without json, which takes as long to import as all else here.
_PROBE = """
import os, sys, sysconfig
get = sysconfig.get_config_var
told = [sys.implementation.name, *sys.version_info[:4], getattr(sys, "abiflags", ""),
    sys.implementation.cache_tag, sys._base_executable, sys.base_prefix,
    sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"),
    os.path.join(get("LIBDIR") or "", get("INSTSONAME") or ""),
    int(bool(get("Py_ENABLE_SHARED"))), int(bool(get("Py_GIL_DISABLED")))]
sys.stdout.buffer.write(os.fsencode("\\0".join(map(str, told))))
"""


class RuntimeStatus(StrEnum):
    """Where a Python version stands in its life."""

    SUPPORTED = "supported"
    ENDING = "ending"
    """Fewer than WARN_DAYS days remain."""
    ENDED = "ended"
    """Past its end of life; refused."""


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """One CPython installation.

    `version` is `major.minor.patch`; `path` the real executable, no link, shim or venv;
    `prefix` its `sys.base_prefix`; `stdlib` the folder(s) of the standard library; `library` the
    shared libpython, where the executable needs one.
    """

    version: str
    path: Path
    prefix: Path
    stdlib: tuple[Path, ...]
    library: Path | None
    cache_tag: str
    end_of_life: date
    end_of_life_source: str
    status: RuntimeStatus

    @property
    def minor(self) -> str:
        """Return `major.minor`."""
        return ".".join(self.version.split(".")[:2])

    def visible_paths(self) -> tuple[Path, ...]:
        """Return what a sandbox must show for the interpreter to start, system libraries aside.

        A prefix shared with the rest of the system (`/usr`) is narrowed to what is Python's.
        """
        own = (self.path, *self.stdlib, *((self.library,) if self.library else ()))
        if self.prefix.parent in (Path("/"), Path("/usr")):
            return own
        return (self.prefix, *(p for p in own if not p.is_relative_to(self.prefix)))


def end_of_life(minor: str) -> tuple[date, str]:
    """Return the last day a Python version gets security fixes, and the PEP that says so."""
    known = python_support().python.get(minor)
    if known is None:
        raise UnsupportedRuntimeError(
            f"Python {minor} is not supported; expected one of {', '.join(SUPPORTED_PYTHONS)}."
        )
    return known.ends, known.source


def runtime_status(minor: str, today: date) -> RuntimeStatus:
    """Return where a Python version stands on a day."""
    remaining = (end_of_life(minor)[0] - today).days
    if remaining < 0:
        return RuntimeStatus.ENDED
    return RuntimeStatus.ENDING if remaining < WARN_DAYS else RuntimeStatus.SUPPORTED


def find_interpreters(*, today: date, environ: Mapping[str, str]) -> tuple[Interpreter, ...]:
    """Return one interpreter per minor version (the highest patch), oldest version first.

    Looks at PATH, the system's folders, pyenv's versions and uv's own. Those past their end of
    life are included, marked so.
    """
    candidates = list(dict.fromkeys(_candidates(environ)))
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = [i for i in pool.map(lambda p: _probe(p, today), candidates) if i is not None]
    best: dict[str, Interpreter] = {}
    for interpreter in found:
        held = best.get(interpreter.minor)
        if held is None or _patch(interpreter) > _patch(held):
            best[interpreter.minor] = interpreter
    return tuple(best[minor] for minor in SUPPORTED_PYTHONS if minor in best)


def choose_interpreter(
    interpreters: Sequence[Interpreter], wanted: str | None, *, today: date
) -> tuple[Interpreter, str | None]:
    """Return the interpreter for `wanted` (None: the newest supported one) and a warning, if any.

    Raises UnsupportedRuntimeError if it is unknown, missing, or past its end of life on `today`.
    """
    if wanted is not None:
        ends, source = end_of_life(wanted)
        if runtime_status(wanted, today) is RuntimeStatus.ENDED:
            raise UnsupportedRuntimeError(
                f"Python {wanted} reached its end of life on {ends} ({source}).",
                next_step="Set `python` of the function to a newer version.",
            )
    usable = [
        i
        for i in interpreters
        if runtime_status(i.minor, today) is not RuntimeStatus.ENDED and wanted in (None, i.minor)
    ]
    if not usable:
        raise UnsupportedRuntimeError(
            f"No interpreter for Python {wanted or ' or '.join(SUPPORTED_PYTHONS)} was found; "
            f"this host has {', '.join(i.version for i in interpreters) or 'none that fits'}.",
            next_step="Install one (distribution package, `pyenv install`, or "
            "`uv python install`), or set `python` of the function to one that is there.",
        )
    chosen = max(usable, key=lambda i: [int(n) for n in i.version.split(".")])
    remaining = (chosen.end_of_life - today).days
    warnings = [old_file_warning(today)]
    if runtime_status(chosen.minor, today) is RuntimeStatus.ENDING:
        warnings.insert(
            0,
            f"Python {chosen.minor} reaches its end of life on {chosen.end_of_life} "
            f"({chosen.end_of_life_source}), in {remaining} days; then it will be refused.",
        )
    return chosen, " ".join(filter(None, warnings)) or None


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield real paths of files that look like a supported CPython executable."""
    for folder in dict.fromkeys(_folders(environ)):
        try:
            # Of thousands of names few are looked at: no object of a path is made of each.
            names = sorted(filter(_NAME.match, os.listdir(folder)))  # noqa: PTH208
        except OSError:
            continue
        for name in names:
            if _is_native(folder / name):
                yield Path(os.path.realpath(folder / name))


def _folders(environ: Mapping[str, str]) -> Iterable[Path]:
    path = [Path(p) for p in environ.get("PATH", "").split(os.pathsep) if p.startswith("/")]
    home = environ.get("HOME", "")
    pyenv = environ.get("PYENV_ROOT") or (f"{home}/.pyenv" if home else "")
    data = environ.get("XDG_DATA_HOME") or (f"{home}/.local/share" if home else "")
    managed = environ.get("UV_PYTHON_INSTALL_DIR") or (f"{data}/uv/python" if data else "")
    return [
        *path,
        *map(Path, _SYSTEM_FOLDERS),
        *_version_folders(f"{pyenv}/versions" if pyenv else "", "3.1[1-4]*"),
        *_version_folders(managed, "cpython-3.1[1-4]*"),
    ]


def _version_folders(root: str, pattern: str) -> list[Path]:
    try:
        return [p / "bin" for p in sorted(Path(root).glob(pattern))] if root else []
    except OSError:
        return []


def _is_native(path: Path) -> bool:
    """Tell an ELF executable from a shim, which is a script that decides by the folder it is in."""
    try:
        with path.open("rb") as file:
            return file.read(4) == b"\x7fELF" and os.access(path, os.X_OK)
    except OSError:
        return False


def _probe(path: Path, today: date) -> Interpreter | None:
    """Ask one executable what it is; None if it is not a usable CPython."""
    try:
        done = subprocess.run(
            [str(path), "-I", "-S", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT,
            check=True,
            env={},
            cwd="/",
        )
        told = os.fsdecode(done.stdout).split("\0")
        name, major, small, patch, level, flags, tag, executable, prefix, *rest = told
        standard, platform_standard, library, shared, free_threaded = rest
        minor = f"{major}.{small}"
        usable = (
            name == "cpython"
            and minor in SUPPORTED_PYTHONS
            and level == "final"
            and flags == ""
            and free_threaded == "0"
        )
        if not usable:
            return None
        ends, source = end_of_life(minor)
        return Interpreter(
            version=f"{minor}.{int(patch)}",
            path=Path(os.path.realpath(executable)),
            prefix=Path(prefix),
            stdlib=tuple(dict.fromkeys([Path(standard), Path(platform_standard)])),
            library=Path(library) if shared == "1" and Path(library).is_file() else None,
            cache_tag=tag,
            end_of_life=ends,
            end_of_life_source=source,
            status=runtime_status(minor, today),
        )
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        return None


def _patch(interpreter: Interpreter) -> int:
    return int(interpreter.version.split(".")[2])


def machine() -> str:
    """Return the machine's architecture as wheels name it (`x86_64`, `aarch64`)."""
    return platform.machine()
