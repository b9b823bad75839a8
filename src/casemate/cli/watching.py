"""Watching versions that are tried with a share of the calls: promoted, or gone back from.

Only this process decides that one is promoted. When it is gone, or the node cannot be reached, the
trial ends on the node by itself, and all calls go to the version before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import httpx2

from casemate.cli.client import NodeClient
from casemate.cli.errors import CommandError, UnreachableError
from casemate.cli.terminal import GREEN, RED, YELLOW, note, print_line, progress
from casemate.cli.text import quantity
from casemate.metrics.comparing import Verdict, compare
from casemate.model.deployment import LIVE, Alias, TrialTerms
from casemate.model.errors import CasemateError
from casemate.model.metrics import VersionMetrics
from casemate.operations.functions import ShowFunction
from casemate.operations.metrics import ShowMetrics
from casemate.operations.trials import EndTrial

LOOK_SECONDS = 1.0
SPARE_SECONDS = 30
"""By how much a trial is longer than it is watched: for the last look, and the decision."""
LEAST_SECONDS, MOST_SECONDS = 2, 24 * 3600
DEFAULT_WEIGHT = 10
_HASTE_SECONDS = 5.0


class Result(StrEnum):
    """How a trial ended."""

    PROMOTED = "promoted"
    GONE_BACK = "gone-back"
    UNDECIDED = "undecided"
    """Too few calls to tell, or not those of all nodes: gone back as well."""
    OVERTAKEN = "overtaken"
    """Somebody else ended it, or pointed the alias elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What a trial came to."""

    function: str
    version: int
    back: int
    result: Result
    reason: str
    old: VersionMetrics
    new: VersionMetrics

    @property
    def live(self) -> int | None:
        """The version that all calls go to now; None where somebody else decided that."""
        if self.result is Result.OVERTAKEN:
            return None
        return self.version if self.result is Result.PROMOTED else self.back


def terms(weight: int | None, seconds: int) -> TrialTerms:
    """Return how a version is tried that is watched for so many seconds."""
    return TrialTerms(weight=weight or DEFAULT_WEIGHT, seconds=seconds + SPARE_SECONDS)


class _Watched:
    """One trial that is on."""

    def __init__(self, client: NodeClient, alias: Alias) -> None:
        if alias.trial is None:
            raise CommandError(
                f"{alias.project}/{alias.function} is not shared for a time.",
                next_step="See where its calls go: casemate show",
            )
        self._client = client
        self._alias = alias
        self.trial = alias.trial
        self.name = f"{alias.project}/{alias.function}"
        self.old = VersionMetrics(version=alias.trial.back)
        self.new = VersionMetrics(version=alias.trial.version)
        self.done: Tried | None = None

    def look(self, *, at_end: bool) -> None:
        """Compare both versions, and end the trial where that decides it."""
        asked = ShowMetrics(project=self._alias.project, function=self._alias.function)
        metrics = self._client.call(asked)
        if metrics.missing and not at_end:
            return  # what a part of the nodes has counted would seem to be fewer calls than before
        found = {
            version.version: version
            for function in metrics.functions
            for version in function.versions
        }
        self.new = found.get(self.trial.version, self.new)
        self.old = found.get(self.trial.back, self.old)
        if self.trial.version not in found and not self._is_on():
            self._end(Result.OVERTAKEN, "live was pointed elsewhere meanwhile")
            return
        compared = compare(self.old, self.new, at_end=at_end)
        if compared.verdict is Verdict.WORSE:
            self._finish(compared.reason, Result.GONE_BACK)
        elif at_end and metrics.missing:
            who = ", ".join(metrics.missing)
            self._finish(f"{who} told no counts: its calls are not known", Result.UNDECIDED)
        elif at_end:
            few = compared.verdict is Verdict.TOO_FEW
            self._finish(compared.reason, Result.UNDECIDED if few else Result.PROMOTED)

    def _is_on(self) -> bool:
        asked = ShowFunction(project=self._alias.project, function=self._alias.function)
        aliases = self._client.call(asked).aliases
        return any(a.name == LIVE and a.changed_at == self._alias.changed_at for a in aliases)

    def _finish(self, reason: str, result: Result) -> None:
        wanted = self._ending(promote=result is Result.PROMOTED)
        response = self._client.request(wanted)
        if response.status_code == httpx2.codes.CONFLICT:
            self._end(Result.OVERTAKEN, self._client.failure(response).message)
            return
        self._client.answer(wanted, response)
        self._end(result, reason)

    def give_up(self) -> None:
        """Go back at once, if the node can be reached."""
        self._client.request(
            self._ending(promote=False), seconds=_HASTE_SECONDS, connect_seconds=_HASTE_SECONDS
        )

    def _ending(self, *, promote: bool) -> EndTrial:
        return EndTrial(
            project=self._alias.project,
            function=self._alias.function,
            version=self.trial.version,
            since=self._alias.changed_at,
            promote=promote,
        )

    def _end(self, result: Result, reason: str) -> None:
        self.done = Tried(
            function=self.name,
            version=self.trial.version,
            back=self.trial.back,
            result=result,
            reason=reason,
            old=self.old,
            new=self.new,
        )


def watch(client: NodeClient, aliases: Sequence[Alias], seconds: int) -> list[Tried]:
    """Watch trials that have just begun for so many seconds, and decide each.

    Raises UnreachableError if the node cannot be asked at the end: they end there by themselves.
    """
    watched = [_Watched(client, alias) for alias in aliases]
    try:
        _watch(watched, seconds)
    except BaseException:
        for one in watched:
            if one.done is None:
                with suppress(CasemateError):
                    one.give_up()
        left = ", ".join(one.name for one in watched if one.done is None)
        if left:
            note(f"{left}: not promoted; the node goes back by itself, if it has not yet.", YELLOW)
        raise
    return [one.done for one in watched if one.done is not None]


def _watch(watched: Sequence[_Watched], seconds: int) -> None:
    with progress("Watching " + ", ".join(one.name for one in watched)) as step:
        for at_end in _looks(seconds):
            for one in watched:
                if one.done is not None:
                    continue
                try:
                    one.look(at_end=at_end)
                except UnreachableError:
                    if at_end:
                        raise
            step.update("Watching " + "; ".join(map(_standing, watched)))
            if all(one.done is not None for one in watched):
                return


def _looks(seconds: int) -> Iterator[bool]:
    """Yield at each look whether it is the last one."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(LOOK_SECONDS, left))
        yield time.monotonic() >= end
    yield True


def _standing(one: _Watched) -> str:
    if one.done is not None:
        return f"{one.name} {one.done.result.value}"
    return (
        f"{one.name} version {one.new.version}: {quantity(one.new.calls, 'call')}, "
        f"{one.new.failed} failed; "
        f"version {one.old.version}: {one.old.calls}, {one.old.failed}"
    )


def print_tried(tried: Sequence[Tried]) -> None:
    """Show what trials came to."""
    for one in tried:
        style = {Result.PROMOTED: GREEN, Result.GONE_BACK: RED}.get(one.result, YELLOW)
        where = "" if one.live is None else f", live is version {one.live}"
        words = one.result.value.replace("-", " ")
        print_line(f"{one.function}: version {one.version} {words}{where}", style)
        print_line(f"  {one.reason}")
