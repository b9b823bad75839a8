"""Recorded events of a function, done again on two bundles of it, with the answers compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from casemate.cli.bundle_sandbox import START, run_program
from casemate.cli.client import NodeClient, connect
from casemate.cli.debugging import job_of
from casemate.cli.errors import CommandError
from casemate.cli.terminal import progress
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.errors import CasemateError, UnavailableError
from casemate.operations.recordings import ListRecordings, ShowRecording

if TYPE_CHECKING:
    from casemate.build.bundle import BuiltBundle
    from casemate.cli.names import FunctionName
    from casemate.model.function import FunctionSpec
    from casemate.model.recording import Recording

MAX_REPLAYED = 20
"""Recordings of one function that are done again, the newest."""
_SECONDS = 120.0
"""How long one of them may take, on each bundle."""
TIMEOUT = "a timeout"
OutcomeT = TypeVar("OutcomeT")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A recorded event that the new bundle answers in another way."""

    invocation: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What came of doing recorded events again."""

    function: str
    alike: int
    differing: tuple[Difference, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    """Why recordings could not be compared, by invocation."""


@dataclass(frozen=True)
class _Outcome:
    calls: list[str]
    result: str | None = None
    error: str | None = None

    def shown(self) -> str:
        what = f"raised {self.error}" if self.error is not None else f"answered {self.result}"
        asked = [msgspec.json.decode(call)[0] for call in self.calls]
        return f"{what[:300]}, after {', '.join(asked) or 'no use of anything'}"


def recordings_of(client: NodeClient, name: FunctionName) -> list[Recording]:
    """Return the newest recordings of a function. That they were looked at is recorded."""
    listed = client.call(ListRecordings(project=name.project, function=name.function)).recordings
    return [
        client.call(ShowRecording(project=name.project, id=one.id)) for one in listed[:MAX_REPLAYED]
    ]


def require_alike(
    bundles: Sequence[tuple[FunctionName, BuiltBundle, BuiltBundle]],
) -> list[Replayed]:
    """Do the recorded events of functions again on an old and a new bundle of each.

    Raises CommandError if one is answered in another way.
    """
    found = []
    with connect() as client:
        for name, old, new in bundles:
            recordings = recordings_of(client, name)
            with progress(f"Doing {len(recordings)} recorded event(s) of {name} again"):
                found.append(compare(name, old.manifest.function, recordings, old, new))
    for each in found:
        for first in each.differing[:1]:
            raise CommandError(
                f"{each.function} answers recorded events differently; nothing is changed. "
                f"{first.invocation}: {first.old}; now: {first.new}",
                next_step="Check whether this is intended; without --replay it is not checked.",
            )
    return found


def compare(
    name: FunctionName,
    spec: FunctionSpec,
    recordings: Sequence[Recording],
    old: BuiltBundle,
    new: BuiltBundle,
) -> Replayed:
    """Do recorded events again on two bundles, and compare what comes of it.

    What the old one answers differently each time (times, random ids) is left out, and said.
    """
    alike, differing, left = 0, [], {}
    for recording in recordings:
        id = recording.summary.id
        try:
            job = msgspec.json.encode(job_of(spec, recording)) + b"\n"
            before, again = _run(old, job), _run(old, job)
            if before != again:
                left[id] = "the version that is live answers differently each time"
                continue
            after = _run(new, job)
        except CasemateError as error:
            left[id] = error.message
            continue
        if before == after:
            alike += 1
        else:
            differing.append(Difference(invocation=id, old=before.shown(), new=after.shown()))
    return Replayed(function=str(name), alike=alike, differing=tuple(differing), left_out=left)


def _run(built: BuiltBundle, job: bytes) -> _Outcome:
    found = run_job(built, job, _Outcome, seconds=_SECONDS)
    return _Outcome(calls=[], error=found) if isinstance(found, str) else found


def run_job(
    built: BuiltBundle, job: bytes, kind: type[OutcomeT], *, seconds: float
) -> OutcomeT | str:
    """Run one event to its end; return what came of it, or how it ended without telling."""
    program = START.format(module="replaying")
    try:
        finished = run_program(built, program, given=job, seconds=seconds)
    except UnavailableError:
        return TIMEOUT
    try:
        return msgspec.json.decode(finished.output, type=decodable(kind))
    except DECODING_ERRORS:
        return f"the end of the process ({finished.status})"
