"""What functions of an incident could reach, and did, whatever version of them is live by now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

import msgspec

from casemate.cli.client import NodeClient
from casemate.cli.errors import DeniedError, MissingError
from casemate.cli.names import FunctionName
from casemate.model.deployment import Version
from casemate.operations.functions import ShowFunction
from casemate.operations.grants import FunctionGrants, ShowGrants

MAX_VERSIONS = 20
"""The newest of a function that are looked at; what is left out is named."""
_BEFORE_SECONDS = 3600.0
"""Before the first finding: what is noticed had a beginning."""
_NO_GRANTS = "You do not have the right to see its grants (grant:read)."


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What versions of a function that are granted the same could reach meanwhile."""

    function: str
    """With the numbers of its versions."""
    used: tuple[str, ...] = ()
    """Of what it is granted, with how often, since shortly before the first finding."""
    unused: tuple[str, ...] = ()
    """Granted, and not used since then."""
    denied: int = 0
    """Attempts to use more, which were refused; of the newest that are kept."""
    problem: str = ""
    """Why this is not known; empty: it is."""


class Reached(NamedTuple):
    """That of one function."""

    parts: tuple[Reach, ...]
    quarantined: bool = False
    """Whether it takes no calls at present."""


def reach(client: NodeClient, name: FunctionName, opened_at: float) -> Reached:
    """Return what a function could reach and did. Raises CasemateError."""
    try:
        found = client.call(ShowFunction(project=name.project, function=name.function))
    except MissingError:
        return _unknown(name, "It is no longer on the node.")
    except DeniedError:
        return _unknown(name, "You do not have the right to see it (function:read).")
    quarantined = found.quarantine is not None
    grants: list[FunctionGrants] = []
    for version in found.versions[-MAX_VERSIONS:]:
        wanted = ShowGrants(project=name.project, function=name.function, version=version.number)
        try:
            grants.append(client.call(wanted))
        except MissingError:
            continue  # removed just now, and named as all that are gone
        except DeniedError:
            return _unknown(name, _NO_GRANTS)._replace(quarantined=quarantined)
    parts = [
        _of_versions(name, list(alike), opened_at - _BEFORE_SECONDS)
        for _, alike in groupby(grants, key=attrgetter("granted"))
    ]
    problem = _gone(found.versions, [each.version for each in grants], opened_at)
    if problem:
        parts += _unknown(name, problem).parts
    return Reached(parts=tuple(parts), quarantined=quarantined)


def _unknown(name: FunctionName, problem: str) -> Reached:
    return Reached(parts=(Reach(function=str(name), problem=problem),))


def _of_versions(name: FunctionName, alike: Sequence[FunctionGrants], since: float) -> Reach:
    """Return what versions that are granted the same have used of it."""
    counts: dict[tuple[str, str], int] = {}
    for use in (use for each in alike for use in each.uses if use.last_at >= since):
        counts[use.grant, use.action] = counts.get((use.grant, use.action), 0) + use.count
    numbers = [each.version for each in alike]
    granted = [(grant.text, action) for grant in alike[0].granted for action in grant.actions]
    # What is of no version is told of the newest.
    denials = [(each.version or numbers[-1], each) for each in alike[-1].denials]
    return Reach(
        function=f"{name}@{_ranges(numbers)}",
        used=tuple(f"{text} {action} ({n} in all)" for (text, action), n in counts.items()),
        unused=tuple(
            f"{text} {action}" for text, action in granted if (text, action) not in counts
        ),
        denied=sum(one.count for number, one in denials if number in numbers and one.at >= since),
    )


def _gone(versions: Sequence[Version], seen: Sequence[int], opened_at: float) -> str:
    """Return what may have been live then and cannot be examined; empty: all can."""
    if not versions:
        return "It no longer has a version."
    missing = sorted(set(range(1, versions[-1].number + 1)) - set(seen))
    if missing:
        which = f"versions {_ranges(missing)}" if len(missing) > 1 else f"version {missing[0]}"
        return f"Its {which} cannot be examined: removed, or older than the newest {MAX_VERSIONS}."
    if versions[0].created_at > opened_at:
        return (
            "None of its versions is from before the first finding: it came later, or what was "
            "there is removed."
        )
    return ""


def _ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers with those that follow each other as ranges: `1-3,7`."""
    return ",".join(_runs(numbers))


def _runs(numbers: Sequence[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(numbers), key=lambda each: each[1] - each[0]):
        follow = [number for _, number in run]
        yield str(follow[0]) if len(follow) == 1 else f"{follow[0]}-{follow[-1]}"
