"""What functions can read of the host: an interpreter, shared libraries, time zones, locales."""

from __future__ import annotations

import os
from pathlib import Path

from casemate.model.runtime import Runtime

_SHARED = ("/usr/share/zoneinfo", "/usr/lib/locale")
_ROOTS = ("/usr/lib", "/lib")
_MULTIARCH = "*-linux-gnu"


def _folders(*paths: str | Path) -> list[str]:
    return [str(path) for path in paths if Path(path).is_dir() and not Path(path).is_symlink()]


def visible_libraries(runtime: Runtime) -> tuple[list[tuple[str, bool]], dict[str, str]]:
    """Return the folders of the host that functions can read, and the links beside them.

    A folder that goes with True holds more than functions need: only its shared libraries are
    shown, what the C library loads by itself, and the interpreter. Packages that others have
    installed for an interpreter are shown of none.
    """
    standard = f"python{runtime.minor}"
    found: list[tuple[str, bool]] = [(path, False) for path in _folders(*_SHARED)]
    prefix = Path(runtime.prefix) / "lib"
    if str(prefix) in _ROOTS:
        # Not its other folders: the host's own software keeps its files there.
        found += [(path, False) for path in _folders(prefix / standard)]
    else:
        found += [(path, True) for path in _folders(prefix)]
    links = {}
    for name in ("/lib", "/lib64"):
        if Path(name).is_symlink():
            links[name] = os.readlink(name)  # noqa: PTH115
    for root in _ROOTS:
        if root not in links and Path(root).is_dir():
            found += [(path, True) for path in _folders(*sorted(Path(root).glob(_MULTIARCH)))]
    found += [(path, True) for path in _folders("/usr/lib64", "/lib64") if path not in links]
    return found, links
