"""One run: prepare every target, go round, then Casemate alone, and weigh peers at rest."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Collection, Sequence

from bench import delivery, discards, enqueue, growth, jitter, measure
from bench.environment import HANDLERS as HANDLERS_ENVIRONMENT
from bench.environment import Environments
from bench.errors import BenchError
from bench.figures import rotated
from bench.results import CASEMATE_REQUEST, HANDLERS, PLAIN, Figures, Results, this_machine
from bench.roles import processor_seconds
from bench.scaling import Scaling
from bench.settings import Settings
from bench.targets import ISOLATIONS, PEERS, CasemateTarget, Node, PeerTarget, Plan, Target
from casemate.model.errors import CasemateError

LATER = Plan(name="later", isolation="instance", limits="concurrency = 16, queue = 1000")
"""The function whose events are waited for, and not; limits as `bench.delivery` has them."""
FAILURES = (BenchError, OSError, ValueError, subprocess.SubprocessError)


def names() -> list[str]:
    """Return what `--only` can name: short names, without blanks."""
    ours = (*ISOLATIONS, "scaling", "delivery", "enqueue", "jitter", "discards")
    return [*(f"casemate-{name}" for name in ours), *map(short, PEER_NAMES)]


def short(name: str) -> str:
    """Return a target's name without blanks and signs, for the command line."""
    return name.replace(" --", "-").replace(" +", "-").replace(" ", "-")


PEER_NAMES = [peer.name for peer in PEERS]


class Run:
    """Holds the results while they come in, so that an interrupted run can still be shown."""

    def __init__(
        self, settings: Settings, only: Collection[str], say: Callable[[str], None]
    ) -> None:
        """`only` are short names; empty means everything."""
        self._settings, self._only, self._say = settings, only, say
        self._begun = time.monotonic()
        self._environments = Environments(say)
        self.results = Results(
            started_at=time.time(), machine=this_machine(), settings=settings, figures=Figures()
        )

    def execute(self) -> None:
        """Measure everything. Failures are noted and cost only what failed."""
        try:
            self._rounds()
            self._scaling()
            self._many()
            self._delivery()
            self._enqueue()
            self._jitter()
            self._discards()
            # last: no target is about peers at rest, and a slow machine has no time for all
            self._crowds()
        finally:
            self.results.seconds = time.monotonic() - self._begun

    def _rounds(self) -> None:
        node = Node()
        try:
            ready = self._prepare(self._targets(node))
            for number in range(self._settings.rounds):
                for target in rotated(ready, number * 3):
                    self._cell(target, number)
        finally:
            node.close()

    def _wanted(self, name: str) -> bool:
        return not self._only or name in self._only

    def _remaining(self) -> float:
        return self._settings.budget - (time.monotonic() - self._begun)

    def _targets(self, node: Node) -> list[Target]:
        targets: list[Target] = []
        for handler in HANDLERS:
            for isolation in ISOLATIONS:
                if self._wanted(f"casemate-{isolation}"):
                    targets.append(CasemateTarget(node, handler, isolation))
            for peer in PEERS:
                if self._wanted(short(peer.name)):
                    targets.append(PeerTarget(peer, handler, self._environments))
        return targets

    def _prepare(self, targets: Sequence[Target]) -> list[Target]:
        ready = []
        for target in targets:
            try:
                target.prepare()
                ready.append(target)
            except FAILURES as error:
                self._note(f"{target.name}, {target.handler}: {error}")
        return ready

    def _note(self, line: str) -> None:
        self._say(line)
        if line not in self.results.not_measured:
            self.results.not_measured.append(line)

    def _cell(self, target: Target, number: int) -> None:
        label = f"{target.name}, {target.handler}, round {number + 1}"
        if self._remaining() <= 0:
            self._note(f"{label}: the time for the run was over")
            return
        try:
            found = measure.cell(target, number, self._settings, self._say)
        except FAILURES as error:
            self._note(f"{label}: {error}")
            return
        self.results.cells.append(found)
        self._say(f"{label}: {found.p50_ms or 0:.2f} ms, {found.per_second:,.0f}/s")

    def _crowds(self) -> None:
        for peer in PEERS:
            if not self._wanted(short(peer.name)):
                continue
            count = self._settings.peer_crowd if peer.process_for_each_function else 1
            label = f"{peer.name}, {self._settings.peer_crowd} functions at rest"
            if self._remaining() <= 0:
                self._note(f"{label}: the time for the run was over")
                continue
            self._say(label)
            try:
                targets = [
                    PeerTarget(peer, PLAIN, self._environments, copy=n) for n in range(count)
                ]
                for target in targets:
                    target.prepare()
                self.results.crowds[peer.name] = measure.crowd(targets)
            except FAILURES as error:
                self._note(f"{label}: {error}")

    def _scaling(self) -> None:
        if not self._wanted("casemate-scaling"):
            return
        try:
            python = self._environments.python(HANDLERS_ENVIRONMENT)
        except FAILURES as error:
            self._note(f"casemate alone: {error}")
            return
        scaling = Scaling(
            self._settings, python, lambda line: self._say(f"casemate: {line}"), self._remaining
        )
        # shared, so that what was measured before an interruption is there to be shown
        self.results.figures = scaling.figures
        scaling.measure()
        for line in scaling.not_measured:
            self._note(f"casemate, {line}")
        alike = self._settings.crowd == self._settings.peer_crowd
        if scaling.figures.crowd_memory is not None and alike:
            self.results.crowds[CASEMATE_REQUEST] = scaling.figures.crowd_memory

    def _many(self) -> None:
        count = self._settings.many
        if not count or not self._wanted("casemate-scaling"):
            return
        label = f"casemate, {count:,} functions"
        if self._remaining() <= 0:
            self._note(f"{label}: the time for the run was over")
            return
        self._say(label)
        found = growth.Growth(machine=self.results.machine)
        try:
            growth.functions(found, (count,))
        except FAILURES as error:
            self._note(f"{label}: {error}")
            return
        figures = self.results.figures
        figures.many_ms = {1: found.alone_ms[count], count: found.call_ms[count]}
        figures.many_start_ms = found.start_ms

    def _delivery(self) -> None:
        if not self._wanted("casemate-delivery"):
            return
        if self._remaining() <= 0:
            self._note("casemate, what runs later: the time for the run was over")
            return
        self._say("casemate: what runs later")
        node = Node()
        try:
            node.start()
            node.deploy([LATER], timeout=max(5.0, self._remaining()))
            figures = self.results.figures
            figures.asynchronous, figures.asynchronous_us = delivery.rates(
                node,
                LATER.name,
                self._settings.delivery_time,
                lambda: processor_seconds(node.processes()),
            )
        except FAILURES as error:
            self._note(f"casemate, what runs later: {error}")
        finally:
            node.close()

    def _enqueue(self) -> None:
        def measure() -> None:
            self.results.figures.enqueue = enqueue.run(self._settings.enqueue_time)

        self._by_itself("casemate-enqueue", "how events are kept", measure)

    def _discards(self) -> None:
        def measure() -> None:
            self.results.figures.discards = discards.run(self._settings.discard_calls)

        self._by_itself("casemate-discards", "what is not restored", measure)

    def _jitter(self) -> None:
        def measure() -> None:
            self.results.figures.jitter = jitter.run(self._settings.jitter_time)

        self._by_itself("casemate-jitter", "how late schedules are", measure)

    def _by_itself(self, name: str, what: str, measure: Callable[[], None]) -> None:
        """Measure what has a node of its own, or none, if it is wanted and there is time."""
        if not self._wanted(name):
            return
        if self._remaining() <= 0:
            self._note(f"casemate, {what}: the time for the run was over")
            return
        self._say(f"casemate: {what}")
        try:
            measure()
        except (*FAILURES, CasemateError) as error:
            self._note(f"casemate, {what}: {error}")
