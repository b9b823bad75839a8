"""Decides which files of a source tree stay out of its bundle."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from pathspec import GitIgnoreSpec

from casemate.build.errors import SourceTreeError

IGNORE_FILE = ".casemateignore"
_MAX_BYTES = 64 * 1024
_MAX_PATTERN = 500
_MAX_STARS = 4
"""In one name of a pattern, and of `**` in a pattern: each multiplies the time of a match."""
_BACKEND = "simple"
"""The one that is everywhere: what stays out must not depend on what else is installed."""
DEFAULT_PATTERNS = (
    # Secrets.
    *(".env*", ".netrc", ".pypirc", ".npmrc", ".aws/", ".ssh/", "id_rsa", "id_ed25519"),
    # History, environments, what tools leave behind.
    *(".git", ".hg/", ".svn/", ".venv/", "venv/", "node_modules/", ".casemate/", IGNORE_FILE),
    *("__pycache__/", "*.pyc", "*.pyo", "*.egg-info/", ".DS_Store", ".idea/", ".vscode/"),
    # What editors lay beside a file while it is changed: its unsaved text, their locks, backups.
    *(".*.sw?", ".#*", r"\#*#", "*~"),
    *(".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".hypothesis/", ".tox/", ".nox/"),
    # The locks that a build writes; the bundle's manifest holds the lock's hash. What is accepted
    # for now is no part of a function.
    *("*.cp3*-*.lock", "casemate-packages.toml"),
)


class Ignore:
    """A set of patterns, matched as git does (gitignore(5)), without negation.

    A pattern with a `/` other than at its end is matched from the root, any other at every depth;
    a trailing `/` matches folders only; `*` and `?` stay within a name, `**` crosses folders.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Compile the patterns. Raises SourceTreeError for one that cannot be used."""
        checked = [_checked(pattern) for pattern in patterns]
        self._spec = GitIgnoreSpec.from_lines(checked, backend=_BACKEND)

    def matches(self, path: str, *, folder: bool) -> bool:
        """Tell if a path relative to the root stays out."""
        return bool(path) and self._spec.match_file(f"{path}/" if folder else path)


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


def _checked(pattern: str) -> str:
    """Return the pattern as it is compiled. Raises SourceTreeError."""
    if pattern.startswith("!"):
        raise SourceTreeError(
            f"{IGNORE_FILE}: {pattern[:80]!r} negates, which is not supported.",
            next_step="List only what stays out.",
        )
    refused = SourceTreeError(f"{IGNORE_FILE}: {pattern[:80]!r} is not a pattern.")
    if not pattern.strip("/ ") or len(pattern) > _MAX_PATTERN:
        raise refused
    names = pattern.split("/")
    if names.count("**") > _MAX_STARS or any(_stars(name) > _MAX_STARS for name in names):
        raise SourceTreeError(
            f"{IGNORE_FILE}: {pattern[:80]!r} has more than {_MAX_STARS} `*` in one name.",
            next_step="Write it as several patterns.",
        )
    literal = _with_open_brackets_literal(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # sets that Python reads in two ways
            [compiled] = GitIgnoreSpec.from_lines([literal], backend=_BACKEND).patterns
    except (ValueError, IndexError, FutureWarning, re.error) as error:
        raise refused from error
    if not compiled.include:  # it would keep nothing out, without a word
        raise refused
    return literal


def _stars(name: str) -> int:
    return len(re.findall(r"\*+", name))


def _with_open_brackets_literal(pattern: str) -> str:
    """Escape each `[` that no `]` closes: else the whole pattern would match nothing."""
    last = pattern.rfind("]")
    return pattern[: last + 1] + re.sub(r"(?<!\\)\[", r"\\[", pattern[last + 1 :])
