"""Semantic Versioning 2.0.0: what a version is, and which of two comes first."""

from __future__ import annotations

from casemate.advisories.errors import VersionError
from casemate.advisories.limits import MAX_VERSION_CHARS

Key = tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]
"""Compares as versions do: numbers, then a version before its releases, then their identifiers."""

_CHARS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-")


def semver_key(text: str) -> Key:
    """Return what a version compares by. Build metadata counts for nothing. Raises VersionError."""
    if len(text) > MAX_VERSION_CHARS:
        raise VersionError(f"A version has more than {MAX_VERSION_CHARS} characters.")
    rest, plus, build = text.partition("+")
    core, dash, pre = rest.partition("-")
    numbers = core.split(".")
    if len(numbers) != 3 or not all(_is_number(each) for each in numbers):
        raise _refused(text)
    if plus and not all(_is_identifier(each) for each in build.split(".")):
        raise _refused(text)
    identifiers = pre.split(".") if dash else []
    if not all(map(_is_identifier, identifiers)):
        raise _refused(text)
    major, minor, patch = map(int, numbers)
    keys = []
    for each in identifiers:
        numeric = each.isdigit()
        if numeric and not _is_number(each):
            raise _refused(text)
        # Numbers come before texts; a longer list comes after its own beginning, as tuples do.
        keys.append((0, int(each), "") if numeric else (1, 0, each))
    return (major, minor, patch, 0 if dash else 1, tuple(keys))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


def _is_identifier(text: str) -> bool:
    return bool(text) and _CHARS.issuperset(text)


def _refused(text: str) -> VersionError:
    return VersionError(f"{text[:80]!a} is not a semantic version, such as `1.2.3-rc.1`.")
