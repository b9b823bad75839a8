"""Decides which files of a source tree stay out of its bundle."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from casemate.build.errors import SourceTreeError

IGNORE_FILE = ".casemateignore"
_MAX_BYTES = 64 * 1024
DEFAULT_PATTERNS = (
    # Secrets.
    *(".env*", ".netrc", ".pypirc", ".npmrc", ".aws/", ".ssh/", "id_rsa", "id_ed25519"),
    # History, environments, what tools leave behind.
    *(".git", ".hg/", ".svn/", ".venv/", "venv/", "node_modules/", ".casemate/", IGNORE_FILE),
    *("__pycache__/", "*.pyc", "*.pyo", "*.egg-info/", ".DS_Store", ".idea/", ".vscode/"),
    *(".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".hypothesis/", ".tox/", ".nox/"),
    # The locks that a build writes; the bundle's manifest holds the lock's hash.
    "*.cp3*-*.lock",
)


class Ignore:
    """A set of patterns, matched as git does, without negation.

    A pattern with a `/` other than at its end is matched from the root, any other at every depth;
    a trailing `/` matches folders only; `*` and `?` stay within a name, `**` crosses folders.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Compile the patterns. Raises SourceTreeError for one that cannot be used."""
        self._rules = [_compile(pattern) for pattern in patterns]

    def matches(self, path: str, *, folder: bool) -> bool:
        """Tell if a path relative to the root stays out."""
        return any(
            (folder or not only_folders) and regex.fullmatch(path)
            for regex, only_folders in self._rules
        )


def read_ignore(root: Path) -> Ignore:
    """Return the default patterns with those of the tree's `.casemateignore`.

    One pattern a line; blank lines and lines that start with `#` are skipped.
    """
    path = root / IGNORE_FILE
    lines: list[str] = []
    if path.is_file() and not path.is_symlink():
        try:
            data = path.read_bytes()[: _MAX_BYTES + 1]
            if len(data) > _MAX_BYTES:
                raise SourceTreeError(f"{IGNORE_FILE} is larger than {_MAX_BYTES // 1024} KiB.")
            lines = data.decode("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceTreeError(f"{IGNORE_FILE} is not readable UTF-8 text.") from error
    own = [line.strip() for line in lines]
    return Ignore([*DEFAULT_PATTERNS, *(p for p in own if p and not p.startswith("#"))])


def _compile(pattern: str) -> tuple[re.Pattern[str], bool]:
    if pattern.startswith("!"):
        raise SourceTreeError(
            f"{IGNORE_FILE}: {pattern[:80]!r} negates, which is not supported.",
            next_step="List only what stays out.",
        )
    only_folders = pattern.endswith("/")
    body = pattern.rstrip("/")
    prefix = "" if "/" in body else "(?:.*/)?"
    body = body.removeprefix("/")
    if not body or len(pattern) > 500:
        raise SourceTreeError(f"{IGNORE_FILE}: {pattern[:80]!r} is not a pattern.")
    regex, position = "", 0
    while position < len(body):
        step, text = _translate(body, position)
        regex, position = regex + text, position + step
    try:
        return re.compile(prefix + regex, re.DOTALL), only_folders
    except re.error as error:
        raise SourceTreeError(f"{IGNORE_FILE}: {pattern[:80]!r} is not a pattern.") from error


def _translate(body: str, position: int) -> tuple[int, str]:
    """Return how many characters of a pattern were read and the expression they mean."""
    if body.startswith("**/", position):
        return 3, "(?:.*/)?"
    if body.startswith("**", position):
        return 2, ".*"
    character = body[position]
    if character == "*":
        return 1, "[^/]*"
    if character == "?":
        return 1, "[^/]"
    end = body.find("]", position + 2)
    if character == "[" and end > 0:
        inner = body[position + 1 : end].replace("\\", "\\\\")
        return end + 1 - position, "[" + re.sub("^!", "^", inner) + "]"
    return 1, re.escape(character)
