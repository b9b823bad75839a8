"""Decides which files of a source tree stay out of its bundle."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from casemate.build.errors import SourceTreeError
from casemate.build.patterns import expression_of

IGNORE_FILE = ".casemateignore"
_MAX_BYTES = 64 * 1024
_MAX_PATTERN = 500
_MAX_PATTERNS = 1000
"""Each is held against each name of the tree."""
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
        self._patterns = [_compiled(pattern) for pattern in patterns]

    def matches(self, path: str, *, folder: bool) -> bool:
        """Tell if a path relative to the root stays out."""
        text = f"{path}/" if folder else path
        return bool(path) and any(each.match(text) for each in self._patterns)


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
    added = [pattern for pattern in own if pattern and not pattern.startswith("#")]
    if len(added) > _MAX_PATTERNS:
        raise SourceTreeError(
            f"{IGNORE_FILE} has more than {_MAX_PATTERNS} patterns.",
            next_step="Leave out folders as a whole, by a pattern such as data/.",
        )
    return Ignore([*DEFAULT_PATTERNS, *added])


def _compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern as it is matched. Raises SourceTreeError."""
    if pattern.startswith("!"):
        raise SourceTreeError(
            f"{IGNORE_FILE}: {pattern[:80]!r} negates, which is not supported.",
            next_step="List only what stays out.",
        )
    refused = SourceTreeError(
        f"{IGNORE_FILE}: {pattern[:80]!r} is not a pattern.",
        next_step=f"Write one of git's, of at most {_MAX_PATTERN} characters, without classes such "
        "as [:alpha:].",
    )
    if len(pattern) > _MAX_PATTERN or pattern.startswith("#"):
        raise refused
    try:
        return expression_of(pattern)
    except ValueError as error:
        raise refused from error
