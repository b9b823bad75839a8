"""A sandbox whose zygotes and instances do what a test says, and a loop whose time is virtual."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from casemate.dispatch.saturation import Saturation
from casemate.dispatch.shares import ProjectShare, Shares
from casemate.model.deployment import Version
from casemate.model.function import Limits
from casemate.model.invocation import Outcome
from casemate.sandbox.frames import Reply
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import SupervisorLostError
from support.core import version


class StuckError(Exception):
    """Nothing is scheduled: whoever waits now waits for ever."""


class _Jump(selectors.DefaultSelector):
    """Does not wait for a timer but moves the clock to it."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise StuckError
        self.loop.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop of which a minute takes microseconds."""

    now = 1000.0

    def __init__(self) -> None:
        selector = _Jump()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self.now


class FakeInstance(Instance):
    """An instance without a process. `on_end` is called as by the real one."""

    def __init__(
        self,
        zygote: FakeZygote,
        number: int,
        on_ready: Callable[[Instance], None],
        on_end: Callable[[Instance], None],
        *,
        restorable: bool = False,
    ) -> None:
        self.restorable = restorable
        self.born = self.begun = zygote.loop.time()
        self.served = 0
        self.pages = zygote.sandbox.pages
        self.is_quiet = True
        self.zygote = zygote
        self.number = number
        self.last: Reply | None = None
        self.is_ready = False
        self.serving = False
        self.closed = False
        self.ready_callback, self.end_callback = on_ready, on_end

    @property
    def alive(self) -> bool:
        return not self.closed

    def quiet(self) -> bool:
        return self.is_quiet

    def close(self) -> None:
        """Kill: the supervisor's notice comes later."""
        if not self.closed:
            self.closed = True
            self.zygote.loop.call_soon(self.zygote.instances.pop, self.number, None)

    def get_ready(self) -> None:
        if not self.zygote.is_whole:
            self.zygote.held.append(self)
        elif not self.closed and not self.is_ready:
            self.is_ready = True
            self.ready_callback(self)

    def expire(self) -> None:
        """Be killed because its time is up."""
        if not self.closed:
            self.die(Outcome.TIMEOUT)

    def die(self, outcome: Outcome = Outcome.CRASHED) -> None:
        """End by itself, as seen by the gateway."""
        self.zygote.instances.pop(self.number, None)
        if self.closed:
            return
        self.closed = True
        if self.serving:
            return
        if not self.is_ready:
            self.last = Reply(outcome, type="T", message="m", trace="t")
        self.end_callback(self)


class FakeZygote:
    """A zygote without a process."""

    def __init__(self, sandbox: FakeSandbox, version: Version) -> None:
        self.loop = sandbox.loop
        self.sandbox = sandbox
        self.version = version
        self.alive = True
        self.closing = False
        self.outdated = False
        self.forks = 0
        self.is_whole, self.held = False, list[FakeInstance]()
        self.restorable = sandbox.restores
        self.instances: dict[int, FakeInstance] = {}
        self.on_ended: Callable[[str], None] = lambda reason: None
        self.parts = 1
        self.memory, self.files, self.seconds = sandbox.memory, sandbox.files, sandbox.open_seconds

    @property
    def restores(self) -> bool:
        return self.restorable and self.sandbox.restorer_answers is not None

    def weigh(self, parts: int) -> None:
        self.parts = parts

    def found_whole(self) -> None:
        self.is_whole = True
        for instance in self.held:
            instance.get_ready()

    def make_ready(self, instance: Instance, done: Callable[[Instance, str], None]) -> bool:
        if not self.sandbox.restorer_answers:
            return self.sandbox.restorer_answers is not None
        problem = self.sandbox.problem
        self.sandbox.made_ready.append(instance)
        self.loop.call_at(self.sandbox.set_back_at(), done, instance, problem)
        return True

    def spawn(
        self,
        on_ready: Callable[[Instance], None],
        on_end: Callable[[Instance], None],
        *,
        restorable: bool = False,
    ) -> FakeInstance:
        if self.sandbox.spawn_fault is not None:
            raise self.sandbox.spawn_fault
        number, self.forks = self.forks, self.forks + 1
        instance = FakeInstance(self, number, on_ready, on_end, restorable=restorable)
        self.instances[number] = instance
        self.sandbox.spawned.append(instance)
        if self.sandbox.stillborn and (restorable or not self.sandbox.stillborn_traced_only):
            self.loop.call_later(self.sandbox.fork_seconds, instance.die, self.sandbox.stillborn)
        elif self.sandbox.automatic:
            self.loop.call_later(self.sandbox.fork_seconds, instance.get_ready)
        return instance

    def close(self) -> None:
        if self.alive and not self.closing:
            self.closing = True
            self.loop.call_soon(self.end, "closed")

    def end(self, reason: str = "gone") -> None:
        """Be gone, with all instances."""
        if not self.alive:
            return
        self.alive = False
        instances, self.instances = self.instances, {}
        for instance in instances.values():
            instance.die()
        self.on_ended(reason)


class NoDependencies:
    """In place of the zygotes that import dependencies ahead: no version has any."""

    memory = 0

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def numbers(self) -> list[int]:
        return []

    def wanted(self, _: Version) -> None:
        return None

    def close_all(self) -> None:
        pass


class FakeSandbox:
    """In place of the sandbox's client."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.automatic = True
        """Zygotes open and instances get ready by themselves."""
        self.open_seconds = 0.05
        self.memory, self.files = 3 << 20, 0
        self.fork_seconds = 0.002
        self.open_fault: Exception | None = None
        self.spawn_fault: Exception | None = None
        self.stillborn: Outcome | None = None
        self.stillborn_traced_only = False
        """Only those die at birth that are to be restored, as with a restorer that is killed."""
        self.restores = False
        self.restorer_answers: bool | None = True
        """False: it says nothing. None: nobody can be asked."""
        self.problem = ""
        self.pages = 50
        """How many pages each restore writes back."""
        self.made_ready: list[Instance] = []
        self.set_back_seconds = 0.0
        """What one costs the only process that sets them back; 0: it has never more than one."""
        self._set_back_until = 0.0
        self.looks = False
        """Whether files are looked at for `look_seconds` once a zygote has imported."""
        self.look_seconds = 0.03
        self.look_faults: list[Exception | None] = []
        """What one look after the other ends with; None: then another zygote is opened."""
        self.opens = 0
        self.beside: list[FakeZygote | None] = []
        """The zygotes whose layout was not wanted, of each that was opened."""
        self.opening: list[asyncio.Future[None]] = []
        self.zygotes: list[FakeZygote] = []
        self.spawned: list[FakeInstance] = []
        self.ahead = NoDependencies()

    def set_back_at(self) -> float:
        """Return when one that is to be set back now is ready: after those before it."""
        if not self.set_back_seconds:
            return self.loop.time() + 0.0002
        self._set_back_until = max(self._set_back_until, self.loop.time()) + self.set_back_seconds
        return self._set_back_until

    async def open(
        self,
        version: Version,
        *,
        beside: FakeZygote | None = None,
        begun: Callable[[FakeZygote], None] = lambda _: None,
    ) -> FakeZygote:
        self.opens += 1
        self.beside.append(beside)
        if self.automatic:
            await asyncio.sleep(self.open_seconds)
        else:
            gate = self.loop.create_future()
            self.opening.append(gate)
            try:
                await gate
            finally:
                self.opening.remove(gate)
        if self.open_fault is not None:
            raise self.open_fault
        zygote = FakeZygote(self, version)
        self.zygotes.append(zygote)
        if self.looks:
            begun(zygote)
            while self.look_faults:
                await asyncio.sleep(self.look_seconds)
                zygote.end("its files were changed")
                if isinstance(fault := self.look_faults.pop(0), Exception):
                    raise fault
                zygote = FakeZygote(self, version)
                self.zygotes.append(zygote)
                begun(zygote)
            await asyncio.sleep(self.look_seconds)
        self.loop.call_soon(zygote.found_whole)
        return zygote

    @property
    def starting(self) -> list[FakeInstance]:
        return [i for i in self.spawned if not i.is_ready and not i.closed]

    @property
    def living(self) -> list[FakeInstance]:
        return [i for i in self.spawned if not i.closed]


def lost() -> SupervisorLostError:
    return SupervisorLostError("the supervisor takes no requests")


def version_of(*, number: int = 1, name: str = "f", **changes: Any) -> Version:
    """`concurrency`, `queue` and other limits are given by name; so is `isolation`."""
    own = {k: changes.pop(k) for k in ("isolation", "trust") if k in changes}
    return version(number, name=name, limits=Limits(**changes), **own)


class Cores(Saturation):
    """Cores that are short, or not, as a test says."""

    def __init__(self, *, short: bool) -> None:
        super().__init__(1, "/nowhere")
        self.short = short

    def look(self) -> bool:
        return self.short


def alone(loop: asyncio.AbstractEventLoop, *, short: bool = False) -> ProjectShare:
    """Return the share of a project beside which there is none."""
    return Shares(loop, cores=1, saturation=Cores(short=short)).of("t")


def run(scenario: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario; raises what the loop's callbacks and forgotten tasks raised."""
    faults: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        loop.set_exception_handler(lambda _loop, context: faults.append(context))
        runner.run(scenario(loop))
    assert not faults, faults
