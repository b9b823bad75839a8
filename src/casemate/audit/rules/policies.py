"""Rules about policies of Casemate beside an application: what they permit beyond a revision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from casemate.audit.finding import Severity
from casemate.audit.model import Place
from casemate.audit.repository import GitError
from casemate.audit.rule import Hit, Risk, Subject, entries
from casemate.audit.rules.examples import project
from casemate.model.account import PolicyFile
from casemate.model.errors import CasemateError

if TYPE_CHECKING:
    from casemate.policy import CompiledPolicies

_SUFFIX = ".cedar"
_MAX_TOLD = 25
"""Requests that are told of one folder."""


def _is_policy(name: str) -> bool:
    return name.endswith(_SUFFIX)


def _widened(subject: Subject) -> Iterator[Hit]:
    if subject.past is not None:
        yield from subject.code.once("widened policies", "", lambda: list(_compared(subject)))


def _compared(subject: Subject) -> Iterator[Hit]:
    """Yield what the policies of each folder permit that those of the revision did not."""
    workspace = subject.workspace
    try:
        before = subject.past.before(_is_policy) if subject.past is not None else None
    except GitError as error:
        workspace.note(".", f"policies are not compared with the revision: {error.message}")
        return
    if before is None:
        return
    names = [name for name in workspace.files if _is_policy(name)]
    now = {name: text for name in names if (text := workspace.text(name)) is not None}
    for folder in sorted({name.rpartition("/")[0] for name in (*before, *now)}):
        old, new = _of(folder, before), _of(folder, now)
        if old != new:
            yield from _widened_in(subject, folder, old, new)


def _of(folder: str, texts: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if name.rpartition("/")[0] == folder}


def _widened_in(
    subject: Subject, folder: str, old: Mapping[str, str], new: Mapping[str, str]
) -> Iterator[Hit]:
    from casemate.policy.widening import widening

    any_file = Place(next(iter((*new, *old))))
    try:
        before, after = _compiled(old), _compiled(new)
    except CasemateError as error:
        what = f"policies are not compared with the revision: {error.message}"
        subject.workspace.notes.say(any_file, what)
        return
    found = widening(before, after)
    prefix = f"{folder}/" if folder else ""
    places = {p.id: Place(f"{prefix}{p.file}", p.line) for p in after.policies}
    for each in found.permitted[:_MAX_TOLD]:
        place = next((places[name] for name in each.by if name in places), any_file)
        kinds = (
            f"{each.principal.partition(':')[0]} {each.action} {each.resource.partition(':')[0]}"
        )
        yield Hit(place=place, text=f"{each.text}, and might not before", subject=kinds)
    if len(found.permitted) > _MAX_TOLD:
        more = len(found.permitted) - _MAX_TOLD
        subject.workspace.notes.say(any_file, f"{more} more kinds of requests are permitted")
    for reason in found.undecided[:_MAX_TOLD]:
        text = f"it cannot be decided whether more is permitted than before: {reason}"
        yield Hit(place=any_file, text=text, subject=f"undecided {reason[:60]}")


def _compiled(texts: Mapping[str, str]) -> CompiledPolicies:
    from casemate.policy import compile_policies

    return compile_policies(
        PolicyFile(
            name=name.rpartition("/")[2].removesuffix(_SUFFIX),
            text=text,
            changed_at=0.0,
            changed_by="",
        )
        for name, text in texts.items()
    )


_rule = entries(Risk.PERMISSIONS, "SAS-05", cwe=269, attack="T1098.003")

RULES = (
    _rule(
        "POL-001",
        "Policies permit more than at the revision",
        Severity.MEDIUM,
        "With --since: this is decided for every possible request. Removing a forbid widens "
        "rights just as adding a permit does.",
        "Look at the request that is shown. If it is intended, have it reviewed; otherwise "
        "narrow the policy: `casemate policy diff FILE --before OLD` shows the same.",
        _widened,
        {},
        project(),
    ),
)
