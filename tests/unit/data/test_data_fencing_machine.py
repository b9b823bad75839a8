"""Many who lease the same few messages: whatever happens, only the newest lease has an effect."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from data_support import Clock, Data, FrozenClock, end_of
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)

from casemate.data import Fate, Message, Settlement

PLACE = ("p", "queue", "rest")
MESSAGES = 2


class FencingMachine(RuleBasedStateMachine):
    """A holder is a lease that somebody once got; it may try anything at any time."""

    make: Callable[[Path], Data] = Data
    holders = Bundle("holders")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="casemate-data-"))
        self.clock = Clock()
        self.patches = [FrozenClock(self.clock)]
        for patched in self.patches:
            patched.start()
        self.data = self.make(self.folder / "d")
        self.newest: dict[str, int] = {}
        """The highest number of each message that is there."""
        self.held: dict[str, bool] = {}
        """Whether the newest lease has neither ended nor was lost."""

    def teardown(self) -> None:
        self.data.finish()
        for patched in self.patches:
            patched.stop()
        shutil.rmtree(self.folder)

    @initialize()
    def fill(self) -> None:
        for _ in range(MESSAGES):
            identity = self.data.send(*PLACE, b"1")
            self.newest[identity], self.held[identity] = 0, False

    @rule(target=holders, seconds=st.sampled_from([0.0, 0.0, 10.0]))
    def lease(self, seconds: float) -> object:
        found = self.data.lease(*PLACE, limit=MESSAGES, lease=seconds)
        for message in found:
            assert message.fence == self.newest[message.id] + 1
            self.newest[message.id], self.held[message.id] = message.fence, True
        return multiple(*found)

    def is_newest(self, holder: Message) -> bool:
        return self.newest.get(holder.id) == holder.fence

    def may(self, holder: Message) -> bool:
        return self.is_newest(holder) and self.held[holder.id]

    @rule(holder=holders, counted=st.booleans())
    def take_back(self, holder: Message, counted: bool) -> None:
        """The next attempt then has the number that this one had, unless it counted."""
        expected = self.may(holder)
        end = end_of(holder, Fate.RETRY, counted=counted)
        assert self.data.settle(*PLACE, [end]) == expected
        if expected:
            self.held[holder.id] = False

    @rule(holder=holders, fate=st.sampled_from(list(Fate)), attempt=st.integers(1, 4))
    def settle_who_has_lost_it(self, holder: Message, fate: Fate, attempt: int) -> None:
        """It has no effect, not even for who knows which attempt runs now."""
        if not self.may(holder):
            end = Settlement(id=holder.id, fence=holder.fence, attempt=attempt, fate=fate)
            assert self.data.settle(*PLACE, [end]) == 0

    @rule(holder=holders, fate=st.sampled_from([Fate.DONE, Fate.DEAD]))
    def settle(self, holder: Message, fate: Fate) -> None:
        expected = self.may(holder)
        assert self.data.settle(*PLACE, [end_of(holder, fate)]) == expected
        if expected:
            self.replace(holder.id)

    @rule(holder=holders, seconds=st.sampled_from([0.0, 10.0]))
    def extend(self, holder: Message, seconds: float) -> None:
        found = self.data.extend(*PLACE, [holder.lease], lease=seconds)
        assert found == self.may(holder)

    @rule(holder=holders)
    def acknowledge(self, holder: Message) -> None:
        expected = self.is_newest(holder)
        assert self.data.acknowledge(*PLACE, [holder.lease]) == expected
        if expected:
            self.replace(holder.id)

    def replace(self, identity: str) -> None:
        del self.newest[identity], self.held[identity]
        new = self.data.send(*PLACE, b"1")
        self.newest[new], self.held[new] = 0, False

    @rule()
    def resume(self) -> None:
        self.data.take_over()
        self.data.resume("p")
        self.held = dict.fromkeys(self.held, False)

    @rule()
    def wait(self) -> None:
        self.clock.pass_(11)

    @invariant()
    def nothing_is_lost(self) -> None:
        if self.newest:
            assert self.data.queue_info(*PLACE).waiting == len(self.newest)


TestFencing = FencingMachine.TestCase
TestFencing.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
