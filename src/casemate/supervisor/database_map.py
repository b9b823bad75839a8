"""The file that says which other databases there are in which projects may live: `--databases`.

    west = "postgresql://casemate:PASSWORD@db4,db5/projects?sslrootcert=/etc/casemate/db-ca.pem"
    east = "file:/etc/casemate/east.url"

Only its owner may read it: a URL has a password, as a rule. What is wrong with it is told without
any part of a URL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from casemate.model.errors import InvalidInputError
from casemate.model.function import NAME_PATTERN
from casemate.model.processes import MAX_DATABASES

MAIN: Final = "main"
"""What the database of `--store` is called."""
MAX_FILE: Final = 64 * 1024
_NAME = re.compile(NAME_PATTERN)
_FILE = "file:"
_FORM = 'Write one line for each: NAME = "postgresql://..." or NAME = "file:PATH".'


def databases_of(path: Path, read_url: Callable[[Path], str]) -> Mapping[str, str]:
    """Return the URLs that a file names, by the names of databases.

    `read_url` reads the file of one. Raises InvalidInputError.
    """
    found = _parsed(path)
    if len(found) > MAX_DATABASES:
        raise _bad(path, f"it names {len(found)} databases; expected at most {MAX_DATABASES}")
    urls: dict[str, str] = {}
    for name, url in found.items():
        if not _NAME.fullmatch(name) or name == MAIN:
            raise _bad(path, f"{name[:80]!r} is not a name: expected a DNS label, not {MAIN!r}")
        if not isinstance(url, str) or not url:
            raise _bad(path, f"{name} is not a text that says where it is")
        urls[name] = read_url(Path(url.removeprefix(_FILE))) if url.startswith(_FILE) else url
    by_url: dict[str, str] = {}
    for name, url in urls.items():
        if (other := by_url.setdefault(url, name)) != name:
            raise _bad(path, f"{other} and {name} are the same database")
    return urls


def encoded(urls: Mapping[str, str]) -> str:
    """Return URLs as a process is told them."""
    return msgspec.json.encode(dict(urls)).decode()


def _parsed(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(MAX_FILE + 1)
    except OSError as error:
        raise InvalidInputError(
            f"The databases of projects cannot be read from {path}: {error.strerror}.",
            next_step="Name a file that holds them and that only the node's user may read.",
        ) from error
    if mode & 0o077:
        raise InvalidInputError(
            f"{path} has URLs of databases, and others than its owner may read it.",
            next_step=f"Run: chmod 600 {path}",
        )
    if len(content) > MAX_FILE:
        raise _bad(path, f"it has more than {MAX_FILE} bytes")
    import tomllib  # of the few nodes that are given such a file

    try:
        return tomllib.loads(content.decode())
    except (UnicodeDecodeError, RecursionError) as error:
        raise _bad(path, "it is no text, or nested too deep") from error
    except tomllib.TOMLDecodeError as error:
        # What it says can have a part of a password; where it is cannot.
        place = re.search(r"\(at (line \d+, column \d+|end of document)\)$", str(error))
        where = f" ({place.group(1)})" if place else ""
        raise _bad(path, f"it is no TOML{where}") from None


def _bad(path: Path, why: str) -> InvalidInputError:
    return InvalidInputError(f"{path} is not a file of databases: {why}.", next_step=_FORM)
