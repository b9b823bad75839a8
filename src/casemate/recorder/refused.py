"""What every recorder refuses, in the gateway: found among what it came with, and put aside.

A recorder keeps all that has come together or nothing, so one fact or record that is none held up
all that followed, for ever. What was under way when one refused is sent alone from then on, then in
messages of one; one that is refused `MAX_REFUSALS` times is kept here, and what follows goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final, NamedTuple

from casemate.recorder.outstanding import NO_NUMBER, Outstanding
from casemate.recorder.protocol import Told

MAX_REFUSALS: Final = 3
"""Recorders that refuse one fact or record, the last of them alone, before it is put aside."""
_SPLIT_AT: Final = 2
"""Refusals after which a message goes on in messages of one."""
MAX_ASIDE: Final = 64
"""Facts and records that are put aside. With more of them it is not they that are wrong: what is
refused then waits, and nothing more may begin."""
MAX_ASIDE_BYTES: Final = 8 << 20
_log = logging.getLogger(__name__)


class Sent(NamedTuple):
    """A message that waits to be acknowledged."""

    n: int
    first: int
    """Number of the first of what it holds."""
    told: tuple[Told, ...]
    slots: tuple[int, ...]
    """Where copies of them are; -1: nowhere."""
    size: int
    since: float
    """By the loop's clock, when the first of it was told."""
    refused: int = 0
    """How many recorders have refused it, or something that it was under way with."""

    def parts(self) -> Iterator[Sent]:
        """Yield it as it is sent again."""
        if self.refused < _SPLIT_AT or len(self.told) == 1:
            yield self
            return
        for at, (told, slot) in enumerate(zip(self.told, self.slots, strict=True)):
            size = len(told.fact)
            yield Sent(self.n, self.first + at, (told,), (slot,), size, self.since, self.refused)


class Aside:
    """Facts and records that were put aside. They are kept until the gateway ends.

    Their copies stay in the memory that outlives it, from which another recorder tries them once.
    """

    def __init__(self, outstanding: Outstanding) -> None:
        """Have none yet; copies are in `outstanding`."""
        self._outstanding = outstanding
        self._kept: list[Told] = []
        self._bytes = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)

    def take(self, sent: Sent, why: str) -> bool:
        """Put a message of one aside if it was refused often enough, and there is room for it."""
        if len(sent.told) > 1 or sent.refused < MAX_REFUSALS:
            return False
        (told,), (slot,) = sent.told, sent.slots
        if len(self._kept) >= MAX_ASIDE or self._bytes + sent.size > MAX_ASIDE_BYTES:
            _log.error(
                "one more is refused, a %s, and no room is left to put it aside: it waits",
                told.kind,
            )
            return False
        self._kept.append(told)
        self._bytes += sent.size
        if slot >= 0:
            # Under no number: what is told after it is kept, and lower numbers are passed over.
            self._outstanding.number(slot, told, NO_NUMBER)
        _log.error(
            "put aside, as %d recorders have refused it: number %d, a %s of %d bytes: %s",
            *(sent.refused, sent.first, told.kind, sent.size, why),
        )
        return True

    def problem(self) -> str:
        """Say how many there are, empty where there are none."""
        if not self._kept:
            return ""
        what = (
            "1 fact or record was"
            if len(self._kept) == 1
            else (f"{len(self._kept)} facts or records were")
        )
        return f"{what} refused by every recorder and put aside; the node's log says why."
