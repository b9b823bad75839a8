"""Rules about what the repository held before: secrets that are gone from the tree alone."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from casemate.audit.code.reading import has_endless_line, made_by_program
from casemate.audit.finding import Severity
from casemate.audit.model import Place
from casemate.audit.rule import Hit, Risk, Subject, entries
from casemate.audit.rules.examples import function
from casemate.audit.rules.secret_search import Secret
from casemate.audit.rules.secrets import found_in, is_test, may_hold, secrets_of
from casemate.audit.workspace import PASSED_OVER


class _Kept(msgspec.Struct, frozen=True):
    """A secret, and where it was seen first."""

    secret: Secret
    file: str
    commit: str
    kept: bool


def _history(subject: Subject) -> Iterator[Hit]:
    for each in subject.code.once("history", "", lambda: list(_gone(subject))):
        if each.kept:
            where, severity = "it is still in the newest commit", Severity.HIGH
        else:
            where, severity = "it is gone from the files, and still in the history", Severity.MEDIUM
        if not each.secret.certain:
            severity = severity.shifted(-1)
        yield Hit(
            place=Place(each.file, each.secret.line, each.secret.column),
            text=f"{each.secret.what} was in {each.file} in commit {each.commit[:12]}: {where}",
            subject=f"{each.secret.kind} {each.file} {each.commit[:12]}",
            severity=Severity.LOW if is_test(each.file) else severity,
        )


def _gone(subject: Subject) -> Iterator[_Kept]:
    """Yield the secrets of the history that none of the files has, each where it was first."""
    if subject.past is None:
        return
    found: dict[str, _Kept] = {}
    for version in subject.past.versions(_wanted):
        if has_endless_line(version.text):
            continue
        for secret in found_in(subject, version.file, version.text):
            before = found.get(secret.digest)
            kept = version.kept or (before is not None and before.kept)
            found[secret.digest] = _Kept(secret, version.file, version.commit, kept)
    if found:
        there = set(_there(subject))
        yield from (each for digest, each in found.items() if digest not in there)


def _wanted(name: str) -> bool:
    """Tell whether secrets are looked for in a file, as they are in files of today."""
    return (
        may_hold(name)
        and not made_by_program(name)
        and PASSED_OVER.isdisjoint(name.split("/")[:-1])
    )


def _there(subject: Subject) -> Iterator[str]:
    """Yield what the secrets are known by that files have now: other rules tell of these."""
    for name in subject.workspace.files:
        text = subject.code.text(name) if may_hold(name) else None
        if text is not None:
            yield from (secret.digest for secret in secrets_of(subject, name, text))


_rule = entries(Risk.PERMISSIONS, "SAS-03", cwe=538, attack="T1552.001")

RULES = (
    _rule(
        "SEC-011",
        "Secret in the git history",
        Severity.MEDIUM,
        "Everybody who clones the repository has it: deleting it in a commit only deletes it "
        "from the newest files.",
        "Replace the secret now. Removing it from the history (git filter-repo) helps only "
        "against those who have not cloned it yet.",
        _history,
        {},
        function(),
    ),
)
