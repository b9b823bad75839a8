"""The order of versions, by ecosystem: PEP 440 for PyPI, Semantic Versioning for npm."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from packaging.version import InvalidVersion, Version

from casemate.advisories.errors import VersionError
from casemate.advisories.limits import MAX_VERSION_CHARS
from casemate.advisories.packages import Ecosystem
from casemate.advisories.semver import semver_key


@lru_cache(maxsize=1 << 16)
def version_key(ecosystem: Ecosystem, text: str) -> Any:
    """Return what a version of an ecosystem compares by. Raises VersionError."""
    if ecosystem is Ecosystem.NPM:
        return semver_key(text)
    if len(text) > MAX_VERSION_CHARS:
        raise VersionError(f"A version has more than {MAX_VERSION_CHARS} characters.")
    try:
        return Version(text)
    except (InvalidVersion, ValueError) as error:
        raise VersionError(f"{text[:80]!a} is not a version (PEP 440).") from error


@lru_cache(maxsize=1 << 16)
def canonical(ecosystem: Ecosystem, text: str) -> str:
    """Return a form in which equal versions are equal texts; what is no version stays as it is.

    Lists of versions hold some from before there was a rule for them: these are compared as texts.
    """
    try:
        key = version_key(ecosystem, text)
    except VersionError:
        return text
    if not isinstance(key, Version):
        return text.partition("+")[0]
    release = list(key.release)
    while len(release) > 1 and release[-1] == 0:
        del release[-1]
    epoch = f"{key.epoch}!" if key.epoch else ""
    pre = "".join(map(str, key.pre)) if key.pre else ""
    post = f".post{key.post}" if key.post is not None else ""
    dev = f".dev{key.dev}" if key.dev is not None else ""
    local = f"+{key.local}" if key.local else ""
    return f"{epoch}{'.'.join(map(str, release))}{pre}{post}{dev}{local}"


@lru_cache(maxsize=1 << 16)
def spellings(ecosystem: Ecosystem, text: str) -> tuple[str, ...]:
    """Return a version, and for a local one (`2.1+cu118`) also the public one it was made of.

    What holds of either holds of it: a build with other options has the same holes.
    """
    if ecosystem is Ecosystem.PYPI and "+" in text:
        return text, text.partition("+")[0]
    return (text,)
