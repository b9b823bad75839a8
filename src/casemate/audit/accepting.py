"""Findings that may stay: a comment with a reason and an end, or a baseline from before.

A comment without a reason, or past its day, accepts nothing, and is told.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec

from casemate.audit.finding import Accepted, Finding
from casemate.audit.workspace import Workspace
from casemate.model.errors import CasemateError

_COMMENT = re.compile(
    r"(?:#|//|--|/\*)\s{0,4}casemate:\s{0,4}allow\s{1,4}(?P<rules>[A-Za-z0-9_,-]{1,200})"
    r"(?P<rest>[^\n]{0,400})"
)
_UNTIL = re.compile(r"\buntil=(\d{4}-\d{2}-\d{2})\b")
_REASON = re.compile(r"\breason=(\S[^\n]{0,300})")
_REACH = 1
"""Lines above a finding in which a comment counts, beside its own."""
MAX_DAYS = 731
"""Days that a comment may accept something ahead: an end that nobody comes to is none."""
MAX_BASELINE_BYTES = 16 << 20
VERSION = 2
"""In the first, fingerprints held the folder."""


class Exception_(msgspec.Struct, frozen=True):  # noqa: N801 - `Exception` is Python's
    """A comment that accepts findings of rules at its line."""

    rules: frozenset[str]
    until: str
    reason: str
    line: int


class Baseline(msgspec.Struct, frozen=True):
    """Fingerprints of findings that were there before."""

    fingerprints: frozenset[str]


def read_baseline(path: Path) -> Baseline:
    """Return a baseline that `write_baseline` has written. Raises CasemateError."""
    make = "Make one: `casemate audit PATH --write-baseline FILE`"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BASELINE_BYTES + 1)
    except OSError as error:
        raise CasemateError(
            f"The baseline {path} cannot be read: {error.strerror}.",
            next_step=f"Name a file that is there and that you may read. {make}",
        ) from error
    if len(data) > MAX_BASELINE_BYTES:
        raise CasemateError(
            f"{path} is larger than {MAX_BASELINE_BYTES:,} bytes, too large for a baseline.",
            next_step=make,
        )
    try:
        found = json.loads(data)
        listed = found["fingerprints"]
        if found["version"] != VERSION or not isinstance(listed, list):
            raise TypeError
        return Baseline(frozenset(map(str, listed)))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CasemateError(
            f"{path} is not a baseline of an audit, expected JSON with `version` {VERSION!r} and "
            "`fingerprints`.",
            next_step=make,
        ) from error


def baseline_text(findings: Iterable[Finding]) -> str:
    """Return the text of a baseline that accepts these findings."""
    told = {each.fingerprint: each for each in findings}
    others = {also.fingerprint for each in told.values() for also in each.also}
    listed = sorted({*told, *others})
    return json.dumps({"version": VERSION, "fingerprints": listed}, indent=1) + "\n"


class Acceptance:
    """Tells findings that may stay from those that may not."""

    def __init__(self, workspace: Workspace, today: str, baseline: Baseline | None) -> None:
        """Accept by comments in the files of a workspace until `today`, and by a baseline."""
        self._workspace = workspace
        self._today = today
        self._baseline = baseline
        self._comments: dict[str, dict[int, Exception_]] = {}

    def split(self, found: Iterable[Finding]) -> tuple[list[Finding], list[Accepted]]:
        """Return the findings that count, and those that are accepted."""
        kept: list[Finding] = []
        accepted: list[Accepted] = []
        for each in found:
            comment = self._comment(each)
            if comment is not None:
                accepted.append(
                    Accepted(finding=each, by="comment", reason=comment.reason, until=comment.until)
                )
            elif self._baseline is not None and each.fingerprint in self._baseline.fingerprints:
                accepted.append(Accepted(finding=each, by="baseline"))
            else:
                kept.append(each)
        self._say_misplaced(kept, accepted)
        return kept, accepted

    def _say_misplaced(self, kept: Iterable[Finding], accepted: Iterable[Accepted]) -> None:
        """Note comments that accept nothing, where a finding of theirs is at another line."""
        used = {
            (each.finding.place.file, each.reason, each.until)
            for each in accepted
            if each.by == "comment"
        }
        for each in kept:
            for comment in self._comments.get(each.place.file, {}).values():
                key = (each.place.file, comment.reason, comment.until)
                if each.rule in comment.rules and key not in used:
                    used.add(key)
                    where = f"{each.rule} is reported at line {each.place.line}"
                    what = f"the exception accepts nothing here: {where}; write it there or above"
                    self._workspace.note(each.place.file, what, comment.line)

    def _comment(self, finding: Finding) -> Exception_ | None:
        comments = self._of(finding.place.file)
        for line in range(finding.place.line, finding.place.line - _REACH - 1, -1):
            found = comments.get(line)
            if found is not None and finding.rule in found.rules:
                return found
        return None

    def _of(self, file: str) -> dict[int, Exception_]:
        if file not in self._comments:
            self._comments[file] = {}
            text = self._workspace.template(file)
            if text is not None and "casemate:" in text:
                for at, line in enumerate(text.split("\n"), 1):
                    found = self._read(file, at, line) if "casemate:" in line else None
                    if found is not None:
                        self._comments[file][at] = found
        return self._comments[file]

    def _read(self, file: str, at: int, line: str) -> Exception_ | None:
        match = _COMMENT.search(line)
        if match is None:
            return None
        until, reason = _UNTIL.search(match["rest"]), _REASON.search(match["rest"])
        rules = frozenset(match["rules"].split(","))
        if reason is None or until is None:
            self._workspace.note(file, "an exception needs until=YYYY-MM-DD and reason=...", at)
            return None
        if until[1] < self._today:
            self._workspace.note(file, f"the exception ended on {until[1]}", at)
            return None
        days = _days(self._today, until[1])
        if days is None or days > MAX_DAYS:
            why = "is not a day" if days is None else f"is more than {MAX_DAYS} days away"
            self._workspace.note(file, f"the exception accepts nothing: {until[1]} {why}", at)
            return None
        return Exception_(rules, until[1], reason[1].strip().removesuffix("*/").strip(), at)


def _days(begin: str, end: str) -> int | None:
    """Return the days between two days; None if one of them is none."""
    try:
        return (date.fromisoformat(end) - date.fromisoformat(begin)).days
    except ValueError:
        return None
