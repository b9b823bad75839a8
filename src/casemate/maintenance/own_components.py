"""Known holes of the interpreters of this host, and of OpenSSL and SQLite that Casemate runs with.

What belongs to the distribution is patched by it without another version, so that its packages
are what to look at ("security updates"), not the number.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from msgspec.structs import replace

from casemate.build import Interpreter, find_interpreters
from casemate.host_support.holes import standing_of
from casemate.host_support.standing import Standing, State
from casemate.maintenance.libraries import Library, libraries

_COMPONENTS = {"OpenSSL": "openssl", "SQLite": "sqlite"}
_OF_SYSTEM = ("/usr/lib", "/lib")
_NAMES = {"OpenSSL": "libssl", "SQLite": "libsqlite3"}
_MAX_BYTES = 4 << 20


def component_standings(today: date) -> list[Standing]:
    """Return how each of them stands."""
    found = find_interpreters(today=today, environ=os.environ)
    return standings(today, found, libraries(), _mapped())


def standings(
    today: date,
    interpreters: Iterable[Interpreter],
    found: Iterable[Library],
    mapped: Iterable[str],
) -> list[Standing]:
    """Return how they stand. `mapped` are the files that this process has mapped."""
    told = []
    for each in interpreters:
        name = f"vulnerabilities of python {each.minor}"
        if each.path.parent == Path("/usr/bin"):
            told.append(_of_distribution(name, each.version))
        else:
            told.append(standing_of(name, "python", each.version, today))
    files = list(mapped)
    for library in found:
        if library.name not in _COMPONENTS:
            continue
        name = f"vulnerabilities of {library.name} in {library.bundled_in.split()[0]}"
        if library.bundled_in.startswith("Python") and _is_of_system(library.name, files):
            told.append(_of_distribution(name, library.version or "it"))
        else:
            one = standing_of(name, _COMPONENTS[library.name], library.version, today)
            if one.state in (State.ENDED, State.OPEN):
                one = replace(one, next_step=_another_release(library, one.next_step))
            elif library.version is None:
                step = (
                    f"Look whether {library.bundled_in} is its project's newest release; "
                    f"it is used for {library.use}."
                )
                one = replace(one, next_step=step)
            told.append(one)
    return told


def _another_release(library: Library, step: str) -> str:
    """Return what closes the holes of what is no package of its own, but a part of another."""
    wanted = step.removeprefix("Use ").removesuffix(".")
    who = library.bundled_in.split()[0]
    by = "" if who == "Python" else ", which comes with an update of Casemate"
    return (
        f"It is a part of {library.bundled_in}: only a newer {who} with {library.name} {wanted} "
        f"closes them{by}."
    )


def _of_distribution(name: str, version: str) -> Standing:
    detail = f"{version} is the distribution's, which patches it: see security updates"
    return Standing(name=name, state=State.GOOD, detail=detail)


def _is_of_system(library: str, mapped: list[str]) -> bool:
    """Tell whether the interpreter loads a library that belongs to the system."""
    wanted = _NAMES[library]
    return any(
        Path(path).name.startswith(wanted) and path.startswith(_OF_SYSTEM) for path in mapped
    )


def _mapped() -> list[str]:
    try:
        with Path("/proc/self/maps").open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return []
    lines = (line.split(maxsplit=5) for line in text.splitlines())
    return sorted({parts[5] for parts in lines if len(parts) == 6})
