"""What people are told: one message of one finding, or of several that came together."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from enum import StrEnum
from itertools import chain, islice, zip_longest
from typing import Any

import msgspec

from casemate import __version__
from casemate.model.level import Level
from casemate.monitor.findings import LEVELS, Found
from casemate.monitor.shares import Share, share_of_finding
from casemate.shown_text import printable

MAX_SHOWN = 20
"""Findings of a message that are shown one by one."""
MAX_IDS = 512
"""Findings that one message stands for."""
MAX_ENTITY = 512
"""Characters of what a finding is of that people are shown."""
_MAX_LINE = 160
_DOTS = ".\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH FULL STOP}\N{HALFWIDTH IDEOGRAPHIC FULL STOP}"
"""Between labels of a host's name, as programs that look names up take them (UTS 46)."""
_LATEST = 253_402_300_799.0
"""Unix time of the end of the year 9999."""


class Kind(StrEnum):
    """Why a message is sent."""

    FINDING = "finding"
    TEST = "test"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent to a channel at once."""

    kind: Kind
    node: str
    at: float
    """Unix time at which it was first tried; tried again, it is the same message."""
    found: tuple[Found, ...]
    """At least one, the oldest first."""

    @property
    def id(self) -> str:
        """By which a receiver knows a message that it has had already."""
        if len(self.found) == 1:
            return self.found[0].id
        ids = "\0".join(each.id for each in self.found)
        return hashlib.sha256(ids.encode()).hexdigest()[:16]

    @property
    def shown(self) -> tuple[Found, ...]:
        """Those that are shown one by one, the newest first: some of each project.

        Who causes hundreds has people see one of somebody else's all the same.
        """
        shares: defaultdict[Share, list[Found]] = defaultdict(list)
        for each in reversed(self.found):
            shares[share_of_finding(each)].append(each)
        in_turn = chain.from_iterable(zip_longest(*shares.values()))
        picked = {each.id for each in islice(filter(None, in_turn), MAX_SHOWN)}
        return tuple(each for each in reversed(self.found) if each.id in picked)

    @property
    def level(self) -> Level:
        """The gravest of what is told."""
        return max((each.level for each in self.found), key=LEVELS.index)

    @property
    def subject(self) -> str:
        """One line."""
        first = self.found[-1]
        more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
        prefix = "TEST " if self.kind is Kind.TEST else ""
        return plain(f"{prefix}[{self.level}] {first.title}{more}: {without_links(first.entity)}")


def test_message(node: str) -> Message:
    """Return a message by which a channel is tried."""
    now = time.time()
    id = hashlib.sha256(f"{node}{now}".encode()).hexdigest()[:16]
    found = Found(
        id=id,
        rule="test",
        title="A test of this channel",
        level=Level.INFORMATIONAL,
        entity=f"node={node}",
        at=now,
        count=1,
        events=(),
        techniques=(),
        project="",
    )
    return Message(kind=Kind.TEST, node=node, at=now, found=(found,))


def plain(text: str, most: int = _MAX_LINE) -> str:
    """Return a text without what is no letter, on one line and bounded: attackers wrote it."""
    return printable(text[:most]) + ("..." if len(text) > most else "")


def without_links(entity: str) -> str:
    """Return who and what a finding is of so that no mail program makes links of it: `a[.]example`.

    Of each value that is `://`, and each dot between what may be labels of a host's name. Names of
    fields are the rule's.
    """
    pairs = (word.partition("=") for word in entity[:MAX_ENTITY].split(" "))
    return " ".join(f"{field}{equals}{_unlinked(value)}" for field, equals, value in pairs)


def _unlinked(value: str) -> str:
    made = value.replace("://", "[:]//")
    around = zip(f" {made}", made, f"{made[1:]} ", strict=False)
    return "".join(
        "[.]" if each in _DOTS and (before.isalnum() or before == "-") and after.isalpha() else each
        for before, each, after in around
    )


def document(message: Message) -> dict[str, Any]:
    """Return a message for programs."""
    newest = message.found[-1]
    return {
        "id": message.id,
        "type": str(message.kind),
        "node": message.node,
        "version": __version__,
        "level": str(message.level),
        "title": newest.title,
        "findings": [msgspec.to_builtins(each) for each in reversed(message.shown)],
        "ids": [each.id for each in message.found],
        "count": sum(each.count for each in message.found),
    }


def text(message: Message) -> str:
    """Return a message for people."""
    lines = [f"Casemate on {message.node}", ""]
    for each in message.shown:
        # Another node may have told of any time.
        at = min(_LATEST, max(0.0, each.at))
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
        lines += [
            plain(f"{each.level}: {each.title}"),
            plain(f"  rule:      {each.rule} {' '.join(each.techniques)}"),
            plain(f"  of:        {without_links(each.entity)}", MAX_ENTITY),
            f"  at:        {when}, {each.count} times",
            f"  finding:   casemate findings show {each.id}",
            "",
        ]
    if len(message.found) > MAX_SHOWN:
        lines.append(f"and {len(message.found) - MAX_SHOWN} more: casemate findings ls")
    return "\n".join(lines)
