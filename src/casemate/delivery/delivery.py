"""Brings kept events to their functions. See `casemate.delivery`."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from random import SystemRandom

from casemate.admission import Catalogue
from casemate.data.coordination import ALONE, Coordination, Watcher
from casemate.data.interface import Message, ProjectData
from casemate.delivery.admitted import AdmissionMarks
from casemate.delivery.attempt import Attempts, give_back, lease_seconds
from casemate.delivery.consumers import Consumers
from casemate.delivery.fair import FairShare, Slot
from casemate.delivery.lane import Lane
from casemate.delivery.leased import Batch, Known, Leased, Name, Place, read_known, read_message
from casemate.delivery.resuming import Resuming
from casemate.delivery.settling import Settler
from casemate.delivery.timers import Timers
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.path import RawInvocation, Sealed
from casemate.model.trigger import INBOX
from casemate.operations.leases import FindNextDue, LeaseMessages

_log = logging.getLogger(__name__)
_SLOTS_FOR_EACH_CORE = 32
_LONGEST_TIMER = 3600.0
"""Seconds; what is due later is looked at again by then."""
_FAILED_SECONDS = 2.0
"""Pause after a lease that failed, such as on a full disk."""

Run = Callable[[RawInvocation], Awaitable[Sealed]]


class Delivery:
    """One per gateway. All methods run on the event loop."""

    def __init__(
        self,
        data: ProjectData,
        catalogue: Catalogue,
        run: Run,
        loop: asyncio.AbstractEventLoop,
        marks: AdmissionMarks,
        *,
        cores: int = 1,
        refusal: Callable[[], str] = str,
        coordination: Coordination = ALONE,
        deleting: Callable[[], float],
        refused: Callable[[Leased, Version, str, float], str] = lambda *_: "",
    ) -> None:
        """Take events from `data` along the path, which is `run`; `marks` are of who kept them.

        While `refusal` gives a reason nothing is leased; see `rest`. `coordination` is that of the
        data, whose other nodes have their share. By `deleting` events are too old on a node that is
        alone. `refused` is `Keepers.refusal`: what has one becomes a dead letter.
        """
        self._refusal = refusal
        self._coordination = coordination
        self._clock = coordination.clock
        """The time by which messages are kept and due, which is no node's own where many share."""
        self._data = data
        self._catalogue = catalogue
        self._marks = marks
        self._settler = Settler(data, self._lost)
        # By a clock that was set forward by mistake all that waits would be given up.
        ages = deleting if coordination is ALONE else self._clock
        self._attempts = Attempts(
            run, self._settler, SystemRandom().random, self.due, refused, self._clock, ages
        )
        self._fair = FairShare(max(1, cores) * _SLOTS_FOR_EACH_CORE)
        self._lanes: dict[Name, Lane] = {}
        self._costs: dict[Name, float] = {}
        """What events of functions took lately whose lane was closed: those that are live."""
        self._consumers = Consumers(catalogue)
        self._coming: Counter[Name] = Counter()
        """Events that are being kept, and are leased by that."""
        self._timers = Timers(loop)
        self._resuming = Resuming(data, self.due)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._loop = loop

    # -- what there is to consume --------------------------------------------------------------

    def start(self) -> None:
        """Begin: what an earlier process left is taken up in the background."""
        self._consumers.begin()
        self._data.watch(self.ready)
        told = Watcher(self._share_again, self._take_orphans, self._give_back_all)
        self._coordination.watch(told)
        self._coordination.heed(self._refusal)
        self.update()
        self._spawn(self._resuming.resume_all(self._catalogue.projects()))

    def update(self) -> None:
        """Take over the triggers of the versions that are live now."""
        new = self._consumers.update()
        live = self._consumers.functions
        self._costs = {name: cost for name, cost in self._costs.items() if name in live}
        self._coordination.follow(self._consumers.projects)
        for place in new:
            self.ready(*place)
        for lane in [
            lane for name, lane in self._lanes.items() if self._catalogue.is_quarantined(*name)
        ]:
            self._want(lane)

    # -- what tells that there is something to do ----------------------------------------------

    def ready(self, project: str, kind: str, name: str) -> None:
        """Look at a place that may have a message to lease."""
        place = (project, kind, name)
        owner = self._consumers.owner(place)
        if owner is None or self._rests(project):
            return
        lane = self._opened(owner)
        lane.more[place] = None
        self._want(lane)
        self._dispatch()

    def due(self, place: Place, at: float) -> None:
        """Look at a place at the data's time `at`, unless it is looked at before."""
        if self._rests(place[0]) or self._consumers.owner(place) is None:
            return
        when = self._loop.time() + min(max(at - self._clock(), 0.0), _LONGEST_TIMER)
        self._timers.set(place, when, lambda: self.ready(*place))

    # -- slots ---------------------------------------------------------------------------------

    def _want(self, lane: Lane) -> None:
        version = self._catalogue.most_live(lane.project, lane.function)
        now = self._loop.time()
        if self._catalogue.is_quarantined(lane.project, lane.function):
            version = None
        if version is None or self._rests(lane.project) or not lane.wants:
            self._fair.rest(lane.project, lane.function)
            if lane.idle or version is None:
                self._close_lane(lane)
        elif lane.refused_until > now:
            self._fair.rest(lane.project, lane.function)
            self._wake_at(lane, lane.refused_until)
        else:
            lane.slots = self._slots(version)
            self._fair.want(lane.project, lane.function, lane.slots)

    def _slots(self, version: Version) -> int:
        """Return how many events of a function may run here at a time."""
        limit = version.spec.limits.concurrency
        return self._coordination.share(version.project, version.function, limit)

    def _wake_at(self, lane: Lane, when: float) -> None:
        """Look at a lane at monotonic time `when`, or earlier."""
        name = (lane.project, lane.function)
        self._timers.set(name, when, lambda: self._wake(name))

    def _wake(self, name: Name) -> None:
        # By its name: the timer can be of a lane that was closed, and this one relies on it.
        lane = self._lanes.get(name)
        if lane is None or self._rests(lane.project):
            return
        until = lane.complete(self._loop.time())
        self._want(lane)
        self._dispatch()
        if until is not None:
            self._wake_at(lane, until)

    def _opened(self, name: Name) -> Lane:
        """Return the lane of a function, which is opened if there is none."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = self._lane(name)
        return lane

    def _lane(self, name: Name) -> Lane:
        """Return a new lane that knows what the last one of its function has learnt."""
        lane = Lane(*name)
        lane.cost = self._costs.get(name, lane.cost)
        return lane

    def _close_lane(self, lane: Lane) -> None:
        """Let go of a lane; what it has leased and not run goes back."""
        if lane.running or lane.filling:
            return
        self._give_back(lane)
        name = (lane.project, lane.function)
        if name in self._consumers.functions:
            self._costs[name] = lane.cost
        if self._lanes.pop(name, None) is not None and lane.places:
            self._spawn(self._look_again(tuple(lane.places)))

    def _lost(self, place: Place) -> None:
        """Look at a place again: ends of attempts there were not kept, so their leases end."""
        if not self._stopping:
            self._spawn(self._look_again((place,)))

    async def _look_again(self, places: tuple[Place, ...]) -> None:
        """Set timers for what waits in places that were leased from, once all has been settled."""
        for place in places:
            # It may be for a lease of our own, which is over by the time all is settled.
            self._timers.drop(place)
            await self._settler.idle(place)
            if self._rests(place[0]) or self._consumers.owner(place) is None:
                continue
            later = await self._next_due(place)
            if later is not None:
                self.due(place, later)

    async def _next_due(self, place: Place) -> float | None:
        """Return when to look at a place again: soon where that cannot be told."""
        project, kind, name = place
        try:
            return await self._data.read(FindNextDue(project=project, kind=kind, name=name))
        except CasemateError:
            return self._clock() + _FAILED_SECONDS

    def _give_back(self, lane: Lane) -> None:
        for leased in lane.unfinished():
            lane.places.add(leased.place)
            self._settler.add(leased.place, (give_back(leased.message),))

    def _dispatch(self) -> None:
        if not self._resting:
            self._give_out()

    def _give_out(self) -> None:
        while (slot := self._fair.take()) is not None:
            self._begin(slot)

    def _begin(self, slot: Slot) -> None:
        lane = self._lanes.get((slot.project, slot.function))
        if lane is None or self._rests(slot.project):
            self._fair.rest(slot.project, slot.function)
            self._fair.give_back(slot, 0.0)
            return
        lane.running += 1
        self._spawn(self._work(lane, slot))

    def _next_slot(self, lane: Lane) -> Slot | None:
        """Return a slot for what a lane has ready, if it is its turn; others get theirs."""
        if self._resting:
            return None
        slot = self._fair.take()
        if slot is not None:
            name = (slot.project, slot.function)
            if lane.ready and self._lanes.get(name) is lane:
                lane.running += 1
                self._give_out()  # what one gives back can let more than one have their turn
                return slot
            self._begin(slot)
        self._give_out()
        return None

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, lane: Lane, slot: Slot) -> None:
        """Use a slot, and go on for as long as it is the lane's turn: a task less for each."""
        following: Slot | None = slot
        while following is not None:
            following = await self._use(lane, following)

    async def _use(self, lane: Lane, slot: Slot) -> Slot | None:
        """Use one slot: run a batch that is ready, or see what there is. Return the next one."""
        began, ran = self._loop.time(), False
        batch: Batch | None = None
        try:
            if not lane.ready and not lane.filling and not self._rests(lane.project):
                await self._fill(lane)
            if lane.ready and not self._rests(lane.project):
                batch = lane.ready.popleft()
                self._fill_ahead_if_low(lane)
                await self._run(lane, batch)
                ran = batch.ran
                lane.ran(self._loop.time() - began)
        except Exception:  # noqa: BLE001 - logged; leases end by themselves
            _log.exception("a delivery to %s/%s failed", lane.project, lane.function)
            if batch is not None:
                lane.places.add(batch.place)
        except BaseException:
            self._give_slot_back(lane, slot, began)
            raise
        following = self._following(lane, slot, began)
        if not ran:
            # An event that is refused suspends nothing, and the next may be as hard to refuse.
            await asyncio.sleep(0)
        return following

    def _following(self, lane: Lane, slot: Slot, began: float) -> Slot | None:
        """Give a slot back; return the one for what a lane has ready, if it is its turn."""
        if lane.ready and lane.refused_until <= began and not self._waits(lane):
            following = self._fair.pass_on(slot, self._loop.time() - began)
            if following is not None:
                return following
        self._give_slot_back(lane, slot, began)
        return self._next_slot(lane)

    def _give_slot_back(self, lane: Lane, slot: Slot, began: float) -> None:
        lane.running -= 1
        self._fair.give_back(slot, self._loop.time() - began)
        # Who wants more, and did before, stands in line again by giving back.
        if not lane.wants or lane.refused_until > began or lane.filling or self._waits(lane):
            self._want(lane)

    def _waits(self, lane: Lane) -> bool:
        """Tell whether what a lane has is not to be run at present."""
        quarantined = self._catalogue.is_quarantined(lane.project, lane.function)
        return quarantined or self._rests(lane.project)

    async def _run(self, lane: Lane, batch: Batch) -> None:
        version = self._catalogue.find(lane.project, lane.function, batch.qualifier or None)
        settings = version or self._catalogue.most_live(lane.project, lane.function)
        if settings is None:
            lane.places.add(batch.place)
            self._settler.add(batch.place, [give_back(m.message) for m in batch.messages])
            return
        if not self._settler.has_room(batch.place):
            await self._settler.room(batch.place)
        waiting = self._consumers.waiting(lane.project, lane.function)
        pause = await self._attempts.run(batch, settings, waiting)
        if pause is not None:
            lane.ready.appendleft(batch)
            lane.refused_until = max(lane.refused_until, self._loop.time() + pause)
        else:
            lane.refused_until = 0.0

    # -- leases --------------------------------------------------------------------------------

    def _fill_ahead_if_low(self, lane: Lane) -> None:
        version = self._catalogue.most_live(lane.project, lane.function)
        if version is not None and lane.is_low(version):
            lane.filling = True  # now: until the task begins the lane must not be closed
            self._spawn(self._fill_ahead(lane))

    async def _fill_ahead(self, lane: Lane) -> None:
        await self._fill(lane)
        self._want(lane)
        self._dispatch()

    async def _fill(self, lane: Lane) -> None:
        """Lease messages, from each place in turn, until there are some or none."""
        lane.filling = True
        before = len(lane.ready)
        try:
            while len(lane.ready) <= before and (place := lane.next_place()) is not None:
                await self._lease(lane, place)
                self._want(lane)
                self._dispatch()
        finally:
            lane.filling = False

    async def _lease(self, lane: Lane, place: Place) -> None:
        version = self._catalogue.most_live(lane.project, lane.function)
        if version is None or self._consumers.owner(place) is None:
            return
        limit, seconds = lane.appetite(version), lease_seconds(version.spec)
        try:
            await self._resuming.resume(lane.project)
            until, lease_ends = self._loop.time() + seconds, self._clock() + seconds
            project, kind, name = place
            found = await self._data.change(
                LeaseMessages(project=project, kind=kind, name=name, limit=limit, lease=seconds)
            )
        except NotFoundError:
            return  # nothing was ever sent there
        except CasemateError as error:
            _log.error("messages of %s wait: %s", "/".join(place), error)
            self.due(place, self._clock() + _FAILED_SECONDS)
            return
        lane.places.add(place)
        self._add(lane, self._read(place, found, until), version)
        if self._rests(lane.project):
            self._give_back(lane)
            return
        if len(found) == limit:
            lane.more[place] = None
            return
        self._want(lane)
        self._dispatch()  # before it is asked: what is here does not wait for the answer
        later = await self._next_due(place)
        if later is not None and later < lease_ends:
            self.due(place, later)  # what is due afterwards is looked for by `_look_again`

    def _read(self, place: Place, found: Sequence[Message], until: float) -> Iterator[Leased]:
        """Read messages that are leased `until` then."""
        trigger = self._consumers.trigger(place)
        for message in found:
            yield read_message(place, message, until, trigger, self._marks)

    def _add(self, lane: Lane, found: Iterable[Leased], version: Version) -> None:
        """Put leased messages to the end of a lane."""
        now = self._loop.time()
        for leased in found:
            lane.add(leased, version, now)
        partial = lane.complete(now)
        if partial is not None:
            self._wake_at(lane, partial)

    # -- what is kept just now -----------------------------------------------------------------

    def coming(self, project: str, function: str) -> None:
        """Have the ends that wait in an inbox written along with what is about to be kept there.

        Before it: the pages that they free take what is kept.
        """
        self._settler.along((project, INBOX, function))

    def room(self, project: str, function: str, count: int) -> float:
        """Return for how many seconds to lease so many events of an inbox; 0: they are to wait.

        They wait where anything that came before may, and where more would be leased than run
        soon. After more than 0, `take` is to be told what became of them.
        """
        name = (project, function)
        version = self._catalogue.most_live(project, function)
        if (
            version is None
            or self._rests(project)
            or self._consumers.owner((project, INBOX, function)) is None
        ):
            return 0.0
        if not self._resuming.is_done(project):
            return 0.0  # which would end these leases as well
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lane(name)
            lane.slots = self._slots(version)
        if not lane.slots or not lane.has_room(version, self._coming[name] + count):
            return 0.0
        self._coming[name] += count
        return lease_seconds(version.spec)

    def take(
        self,
        project: str,
        function: str,
        known: Sequence[Known | None],
        leased: Sequence[Message],
        until: float,
    ) -> None:
        """Take events for which there was room, leased `until` then (loop time), or none."""
        name, place = (project, function), (project, INBOX, function)
        self._coming[name] -= len(known)
        if not self._coming[name]:
            del self._coming[name]
        if not leased:
            return
        version = self._catalogue.most_live(project, function)
        if version is None or self._rests(project) or self._consumers.owner(place) is None:
            self._settler.add(place, [give_back(message) for message in leased])
            return
        lane = self._opened(name)
        self._add(lane, read_known(place, leased, known, until, self._marks), version)
        self._want(lane)
        self._dispatch()

    # -- rests ---------------------------------------------------------------------------------

    @property
    def _resting(self) -> bool:
        """Nothing is leased or begun; what runs ends."""
        return self._stopping or bool(self._refusal())

    def _rests(self, project: str) -> bool:
        """Tell the same of what is kept of a project: its database may not have seen this node."""
        return self._resting or bool(self._coordination.refusal(project))

    def rest(self) -> None:
        """Give back what is leased and has not begun: the node takes nothing at the moment."""
        self._give_back_all()
        self._coordination.look()

    def _give_back_all(self) -> None:
        for lane in self._lanes.values():
            self._give_back(lane)

    def resume(self) -> None:
        """Look at all places again: the node takes events again."""
        self._coordination.look()
        for place in self._consumers.places():
            self.ready(*place)

    # -- other nodes ---------------------------------------------------------------------------

    def _share_again(self) -> None:
        """Go by what this node's share is now."""
        if self._resting:
            return
        for lane in tuple(self._lanes.values()):
            version = self._catalogue.most_live(lane.project, lane.function)
            if version is not None and not self._slots(version):
                self._give_back(lane)
            self._want(lane)
        self._dispatch()

    def _take_orphans(self, project: str) -> None:
        """End the leases of nodes that are gone, and look at what becomes free."""
        if not self._rests(project) and project in self._catalogue.projects():
            self._spawn(self._resuming.again(project))

    # -- the end -------------------------------------------------------------------------------

    async def stop(self, seconds: float) -> None:
        """Lease nothing more, let what runs end for so long, and keep what became of it."""
        self._stopping = True
        self._coordination.heed(lambda: "The node ends.")
        self._coordination.look()
        self._resuming.stop()
        self._timers.drop_all()
        for lane in self._lanes.values():
            self._give_back(lane)
        if self._tasks:
            _, late = await asyncio.wait(tuple(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
        await self._settler.close()

    @property
    def running(self) -> int:
        """Slots that are held."""
        return self._fair.running
