"""What the sink guard in an instance tells becomes a record for the owner.

It was written in the function's process, so it is worth what a log line of the function is: it is
shown, never acted on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from casemate.guard.acts import KINDS
from casemate.guard.shapes import MAX_TEXT
from casemate.model.denial import DenialKind, denied_at, denied_to
from casemate.model.deployment import Version
from casemate.model.facts import Actor, Fact, FunctionPlace, PackageActed, ShapesMet
from casemate.model.function import GuardMode
from casemate.model.path import Admitted
from casemate.sandbox.frames import GuardHead, PackageDenied, PackagesHead, ShapesHead
from casemate.sandbox.guard_watch import OnGuard
from casemate.shown_text import printable

_MAX_SHOWN = 200
_MAX_DECODINGS = 6


def recorder(admitted: Admitted, happened: Callable[[Fact], None]) -> OnGuard:
    """Return what takes the guard's frames of one invocation and tells them by `happened`."""

    def record(head: GuardHead | ShapesHead | PackagesHead) -> None:
        version, request = admitted.version, admitted.request
        if isinstance(head, ShapesHead):
            happened(
                ShapesMet(
                    at=time.time(),
                    project=version.project,
                    function=version.function,
                    version=version.number,
                    invocation=request.id,
                    met=tuple(map(_plain_shape, head.met)),
                    refused=tuple(map(_plain_shape, head.refused)),
                )
            )
            return
        if isinstance(head, PackagesHead):
            for fact in _of_packages(head, admitted):
                happened(fact)
            return
        happened(
            denied_at(
                FunctionPlace(version.project, version.function, version.number, request.id),
                at=time.time(),
                kind=DenialKind.INJECTION,
                by=Actor(admitted.principal.text, request.raw.remote_address),
                action=f"guard:{_plain(head.sink)}",
                reason=_reason(head, version.function),
                resource=_plain(head.place),
            )
        )

    return record


def _of_packages(head: PackagesHead, admitted: Admitted) -> Iterator[Fact]:
    """Give what packages did and were not let do, as facts."""
    version, now = admitted.version, time.time()
    place = FunctionPlace(version.project, version.function, version.number, admitted.request.id)
    for denied in head.denied:
        if denied.kind in KINDS:
            yield denied_to(
                place,
                at=now,
                kind=DenialKind.PACKAGE,
                action=f"package:{denied.kind}",
                resource=f"package:{_plain(denied.package)}",
                reason=_denied_reason(denied, version),
            )
    for used in head.used:
        if used.kind in KINDS:
            yield PackageActed(
                at=now,
                project=version.project,
                function=version.function,
                version=version.number,
                invocation=admitted.request.id,
                digest=version.digest,
                package=_plain(used.package),
                act=used.kind,
                count=used.count,
            )


def _denied_reason(denied: PackageDenied, version: Version) -> str:
    named = {rule.name for rule in version.spec.packages}
    table = denied.package if denied.package in named else '"*"'
    place = f", from {_plain(denied.place)}" if denied.place else ""
    return (
        f"[function.{version.function}.packages.{_plain(table)}] of the manifest denies "
        f"{denied.kind}: {_plain(denied.what)}{place}"
    )


def _reason(head: GuardHead, function: str) -> str:
    """Say what happened, what to write instead, and what to write if it was a false alarm."""
    decoded = ""
    if head.decoding:
        decoded = ", decoded from " + ", then ".join(map(_plain, head.decoding[:_MAX_DECODINGS]))
    source = "the event" if head.source == "event" else _plain(head.source)
    let_through = head.mode == GuardMode.REPORT.value
    passed = "Let through by an exception of the manifest. " if let_through else ""
    exception = (
        f'[[function.{function}.guard]] sink = "{_plain(head.sink)}", '
        f'location = "{_plain(head.location)}", reason = "..."'
    )
    return (
        f"{passed}{_plain(head.pointer) or 'The whole'} of {source}{decoded} "
        f"{_plain(head.changed)}. Fix: {_plain(head.fix, 400)}. "
        f"If this is a false alarm: {exception}"
    )


def _plain_shape(text: str) -> str:
    return _plain(text, MAX_TEXT)


def _plain(text: str, most: int = _MAX_SHOWN) -> str:
    """Return text on one line, of bounded length."""
    line = printable(text, "\ufffd")
    return line if len(line) <= most else line[: most - 1] + "…"
