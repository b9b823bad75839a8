"""Audits the node once an hour and when somebody asks, and tells what is new of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from casemate.background import Background
from casemate.decoding import DECODING_ERRORS, decodable
from casemate.model.facts import Fact, NodeAudited, WeaknessFound
from casemate.model.level import Level
from casemate.node_audit import judging
from casemate.node_audit.judging import RULE_OF, counts_of, score_of
from casemate.node_audit.state import NodeState
from casemate.operations.node import KeepNodeValue, ReadNodeValue
from casemate.operations.node_audit import (
    MAX_POINTS,
    MAX_WEAKNESSES,
    NodeAuditReport,
    ScorePoint,
    Weakness,
)
from casemate.store.interface import Store

FIRST_SECONDS = 120.0
"""After the start: what was there before is in order by then, and nobody waits for it."""
EVERY_SECONDS = 3600.0
FRESH_SECONDS = 2.0
"""For so long who asks gets what was found last."""
LOOK_SECONDS = 60.0
"""Within which an audit is made, or given up."""
TELL_SECONDS = 86_400.0
"""Something grave is told of once in so many seconds."""
MAX_TOLD = 20
"""Weaknesses that are told one by one at a time; the rest is told as one."""
MOST_REMEMBERED = 2000
"""Of what was told; beyond that nothing is told one by one until a day has passed."""
_VALUE = "node audit"
_GRAVE = (Level.CRITICAL, Level.HIGH)
_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the store keeps."""

    points: tuple[ScorePoint, ...] = ()
    """The newest first."""
    told: dict[str, float] = {}
    """When something grave was told last, by rule and what it is about."""


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    state: NodeState
    weaknesses: tuple[Weakness, ...]
    at: float


class NodeAudit:
    """One per gateway. Belongs to its event loop; nothing of it is done at the node's start."""

    def __init__(
        self,
        store: Store,
        look: Callable[[], Awaitable[NodeState]],
        happened: Callable[[Fact], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Judge what `look` returns; remember scores in `store`."""
        self._store = store
        self._look = look
        self._happened = happened
        self._clock = clock
        self._kept: _Kept | None = None
        self._found: _Found | None = None
        self._looking = asyncio.Lock()
        self._background = Background()

    def start(self) -> None:
        """Audit from now on, a while after the start for the first time."""
        self._background.start(self._repeat())

    async def close(self) -> None:
        """Stop."""
        await self._background.close()

    @property
    def score(self) -> int | None:
        """The score as it was found last; None: not since the start."""
        if self._found is None or self._kept is None or not self._kept.points:
            return None
        return self._kept.points[0].score

    async def _repeat(self) -> None:
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - logged; it is looked again in an hour
                _log.exception("the node could not be audited")
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self, *, fresh: float = 0.0) -> _Found:
        """Audit the node, unless what was found is no older than `fresh` seconds."""
        async with self._looking:
            found = self._found
            if found is not None and 0 <= self._clock() - found.at < fresh:
                return found
            async with asyncio.timeout(LOOK_SECONDS):
                state = await self._look()
                weaknesses = await asyncio.to_thread(judging.judge, state)
            found = _Found(state=state, weaknesses=weaknesses, at=self._clock())
            await self._note(found)
            self._found = found
            return found

    async def report(self, project: str | None) -> NodeAuditReport:
        """Return what is weak, of a project alone where one is named."""
        found = await self.look(fresh=FRESH_SECONDS)
        weaknesses = [one for one in found.weaknesses if project in (None, one.project)]
        shown = weaknesses[:MAX_WEAKNESSES]
        rules = sorted({one.rule for one in shown})
        return NodeAuditReport(
            at=found.at,
            score=score_of(weaknesses),
            weaknesses=tuple(shown),
            counts=counts_of(weaknesses),
            more=len(weaknesses) - len(shown),
            versions=found.state.versions if project is None else {},
            rules=tuple(RULE_OF[rule].told for rule in rules),
        )

    async def history(self, most: int) -> tuple[ScorePoint, ...]:
        """Return how the score changed, newest first."""
        return (await self._known()).points[:most]

    async def _known(self) -> _Kept:
        if self._kept is None:
            stored = await self._store.read(ReadNodeValue(name=_VALUE))
            try:
                self._kept = (
                    _Kept() if not stored else msgspec.json.decode(stored, type=decodable(_Kept))
                )
            except DECODING_ERRORS:
                _log.error("the scores of the node's audit cannot be read, and begin anew")
                self._kept = _Kept()
        return self._kept

    async def _note(self, found: _Found) -> None:
        """Remember the score and tell what is new."""
        before, now = await self._known(), found.at
        point = ScorePoint(
            at=now, score=score_of(found.weaknesses), counts=counts_of(found.weaknesses)
        )
        last = before.points[0] if before.points else None
        changed = last is None or last.score != point.score
        told = {key: at for key, at in before.told.items() if 0 <= now - at < TELL_SECONDS}
        news = [one for one in found.weaknesses if one.level in _GRAVE and _key(one) not in told]
        if not changed and not news:
            return
        room = max(0, MOST_REMEMBERED - len(told))
        told |= {_key(one): now for one in news[: min(room, 50 * MAX_TOLD)]}
        points = (point, *before.points)[:MAX_POINTS] if changed else before.points
        kept = _Kept(points=points, told=told)
        # Kept first: what is told twice a day would be worse than what is told a day late.
        await self._store.change(KeepNodeValue(name=_VALUE, value=msgspec.json.encode(kept)))
        self._kept = kept
        if changed:
            self._happened(_audited(point, last))
        self._tell(news, now, min(room, MAX_TOLD))

    def _tell(self, news: Sequence[Weakness], now: float, singly: int) -> None:
        for one in news[:singly]:
            self._happened(
                WeaknessFound(
                    at=now,
                    project=one.project,
                    rule=one.rule,
                    level=one.level.value,
                    subject=one.subject,
                    reason=one.seen,
                    mended_by=one.command,
                    count=one.count,
                )
            )
        rest = news[singly:]
        if rest:
            self._happened(
                WeaknessFound(
                    at=now,
                    rule="NODE",
                    level=rest[0].level.value,
                    subject="more",
                    reason="many at once; casemate audit node lists them",
                    mended_by="casemate audit node",
                    count=len(rest),
                )
            )


def _key(one: Weakness) -> str:
    return f"{one.rule} {one.project} {one.subject}"[:300]


def _audited(point: ScorePoint, last: ScorePoint | None) -> NodeAudited:
    counts = point.counts
    return NodeAudited(
        at=point.at,
        score=point.score,
        before=-1 if last is None else last.score,
        critical=counts.get("critical", 0),
        high=counts.get("high", 0),
        medium=counts.get("medium", 0),
        low=counts.get("low", 0),
    )
