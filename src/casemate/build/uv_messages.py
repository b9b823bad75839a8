"""Turns what uv prints when it fails into a short error without paths or credentials."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Callable, Iterable, Sequence

from packaging.requirements import Requirement
from packaging.version import Version

from casemate.build.errors import (
    DependencyError,
    HashMismatchError,
    NoMatchingWheelError,
    RequirementConflictError,
    RequirementNotFoundError,
    RequirementsFileError,
    SourceOnlyError,
    StaleLockError,
    UnhashedRequirementError,
)
from casemate.build.interpreters import Interpreter
from casemate.model.errors import CasemateError
from casemate.package_index import INDEX_URL, IndexUnavailableError
from casemate.shown_text import printable

Versions = Callable[[str], Iterable[str]]
"""Returns the versions of a package that may be installed."""
_MAX_MESSAGE = 600
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_INSIDE_PATHS = re.compile(r"(?:file://)?/(?:build|cache|casemate)(?:/[\w.\-+]+)*/?")
_SUBJECT = (
    r"(?<![\w.\-])([A-Za-z0-9][\w.\-]{0,127}+(?:\[[^\]]{0,200}\])?"
    r"(?:[=<>!~]=?=?[\w.*+!,<>=]{1,200}+)?)"
)
_NO_VERSION = re.compile(rf"there (?:is|are) no versions? of {_SUBJECT}")
_AROUND = 2
"""Versions that are told below one that there is not, and above it."""
_WHEEL_ADVICE = (
    "Pin a version that has wheels, use another package, or build a wheel yourself and name its "
    "folder with `--find-links`; or have it built in the sandbox, by an exception in "
    'casemate-packages.toml: [[exception]] package, version, allow = ["source"], a reason and an '
    "end (`expires`)."
)


def nothing_offered(_package: str) -> Iterable[str]:
    return ()


# In this order: the first that matches decides.
_KINDS: tuple[tuple[re.Pattern[str], type[CasemateError], str, str], ...] = (
    (
        re.compile(rf"Hash mismatch for `{_SUBJECT}`"),
        HashMismatchError,
        "The file downloaded for {0} does not have a hash that the lock names.",
        "Do not use it. If the release is known to have changed, lock again (`--relock`).",
    ),
    (
        re.compile(rf"no trusted hash was provided for: `{_SUBJECT}`"),
        UnhashedRequirementError,
        "The lock has no hash for {0}, which another requirement needs.",
        "Lock all dependencies with hashes, or remove the hashes and let Casemate lock.",
    ),
    (
        re.compile(r"must (?:have a hash|have their versions pinned|be pinned)[^:]{0,200}: *(\S+)"),
        UnhashedRequirementError,
        "The lock does not pin {0} to one version with a hash.",
        "Lock all dependencies with hashes, or remove the hashes and let Casemate lock.",
    ),
    (
        re.compile(r"lockfile at `([^`]*)` needs to be updated"),
        StaleLockError,
        "{0} no longer matches pyproject.toml.",
        "Run `uv lock` and build again.",
    ),
    (
        re.compile(r"(?:Request failed|client error|dns error|error sending request|timed out)"),
        IndexUnavailableError,
        "The package index cannot be reached.",
        "Check the network, UV_DEFAULT_INDEX, HTTPS_PROXY and SSL_CERT_FILE, and try again.",
    ),
    (
        re.compile(rf"{_SUBJECT} has no wheels? with a matching"),
        NoMatchingWheelError,
        "{0} has wheels, but none for Python {python} on this machine.",
        "Pin a version that supports it, or set `python` of the function to another one.",
    ),
    (
        re.compile(rf"{_SUBJECT} has no usable wheels"),
        SourceOnlyError,
        "{0} has no wheel that can be used with Python {python} here; building from source would "
        "run its code, and needs a recorded exception.",
        _WHEEL_ADVICE,
    ),
    (
        re.compile(rf"Wheels are required for `{_SUBJECT}`"),
        SourceOnlyError,
        "{0} has no wheel; building from source would run its code, and needs a "
        "recorded exception.",
        _WHEEL_ADVICE,
    ),
    (
        re.compile(rf"{_SUBJECT} was not found in the (?:package registry|provided)"),
        RequirementNotFoundError,
        "There is no package {0} in the index.",
        "Check its spelling and the index.",
    ),
    (
        _NO_VERSION,
        RequirementNotFoundError,
        "There is no {0} in the index.",
        "Ask for a version that exists.",
    ),
    (
        re.compile(r"(?:Couldn't parse requirement|Not a valid `pylock|TOML parse error)"),
        RequirementsFileError,
        "The requirements cannot be read: {text}",
        "Correct the line.",
    ),
    (
        re.compile(r"requirements are unsatisfiable"),
        RequirementConflictError,
        "The requirements cannot be met together: {text}",
        "Loosen one of them.",
    ),
)


def dependency_error(
    errors: str, interpreter: Interpreter, versions: Versions = nothing_offered
) -> CasemateError:
    """Return the error for what a failed uv wrote to its standard error.

    `versions` tells which of a package may be installed, for one that there is not.
    """
    text = _clean(errors, interpreter)
    for pattern, kind, message, advice in _KINDS:
        match = pattern.search(text)
        if match:
            found = (match.group(1).rstrip(".,`"),) if pattern.groups else ()
            told = message.format(*found, python=interpreter.minor, text=_summary(text))
            if pattern is _NO_VERSION:
                told = f"{told.removesuffix('.')}{_nearest(''.join(found), versions)}"
            return kind(told, next_step=advice)
    return DependencyError(
        f"The dependencies could not be resolved or installed: {_summary(text)}",
        next_step="Correct the requirements and build again.",
    )


def _nearest(requirement: str, versions: Versions) -> str:
    """Return the end of a sentence: which versions there are around the one that is wanted."""
    try:
        wanted = Requirement(requirement)
        there = sorted(set(map(Version, versions(wanted.name))))
        asked = min(Version(each.version.removesuffix(".*")) for each in wanted.specifier)
    except (ValueError, CasemateError):  # of no use to who reads it: the error is told without
        return "."
    at = bisect(there, asked)
    around = there[max(at - _AROUND, 0) : at + _AROUND]
    return f"; nearest there {_are(around)}." if around else "."


def _are(versions: Sequence[Version]) -> str:
    *first, last = map(str, versions)
    return f"are {', '.join(first)} and {last}" if first else f"is {last}"


def in_one_line(errors: str, interpreter: Interpreter) -> str:
    """Return what uv wrote to its standard error, without paths, credentials and line ends."""
    return re.sub(r"^error: *", "", _clean(errors, interpreter))


def _clean(errors: str, interpreter: Interpreter) -> str:
    """Drop escape codes, host and sandbox paths, and credentials in addresses."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", errors)
    for path in (interpreter.path, interpreter.prefix):
        if len(path.parts) > 2:
            text = text.replace(str(path), f"python{interpreter.minor}")
    text = _CREDENTIALS.sub("", text).replace(INDEX_URL, "the index")
    text = _INSIDE_PATHS.sub(lambda m: m.group().rstrip("/").rsplit("/", 1)[-1], text)
    return " ".join(
        line.strip() for line in text.splitlines() if line.strip() and not _is_noise(line)
    )


def _is_noise(line: str) -> bool:
    return line.lstrip().startswith(("Using CPython", "Resolved ", "Prepared ", "^", "warning:"))


def _summary(text: str) -> str:
    text = re.sub(r"^error: *", "", text)
    text = printable(text)
    return text if len(text) <= _MAX_MESSAGE else text[:_MAX_MESSAGE] + "…"
