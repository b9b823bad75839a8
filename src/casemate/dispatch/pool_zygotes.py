"""The zygotes of one version: those that instances are forked from, and older ones that serve."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator

from casemate.dispatch import renewal
from casemate.dispatch.failed_starts import not_imported, unavailable
from casemate.dispatch.queued import again
from casemate.dispatch.renewal import InUse
from casemate.dispatch.resting import UNMEASURED, Resting
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.path import RefusedError
from casemate.sandbox.client import SandboxClient
from casemate.sandbox.instance import Instance
from casemate.sandbox.opening import ImportFailedError
from casemate.sandbox.zygote import Zygote

_BUSY_RATE, _QUIET_RATE = 10.0, 1.0
"""Calls a second from which on a version may have two, and below which it has one."""
_ONE_SECONDS = 120.0
"""How long it has one from when there was no memory for two: an import costs more than it."""
_FAILED_IMPORT_SECONDS = 1.0
"""How long a failed import is remembered, so that a flood of calls does not repeat it."""


class PoolZygotes:
    """Opens zygotes, one at a time, and lets go of them. All methods run on the event loop.

    One that was replaced is *leaving*: its instances serve on while there are no others, for a
    minute at most. One that is *gone* gets no call any more.
    """

    def __init__(
        self,
        client: SandboxClient,
        loop: asyncio.AbstractEventLoop,
        *,
        begun: Callable[[Zygote], None],
        opened: Callable[[Version, Zygote], None],
        failed: Callable[[RefusedError], None],
        ended: Callable[[], None],
        done: Callable[[], None],
    ) -> None:
        """Call `opened` with what a zygote was opened for and the zygote, or `failed` with why not.

        `begun` is called before with one that instances can be asked of, if there is no other.
        `done` is called after either, `ended` when the last one in use has ended.
        """
        self._client = client
        self._loop = loop
        self._on_begun = begun
        self._on_opened = opened
        self._on_failed = failed
        self._on_ended = ended
        self._on_done = done
        self._newest: InUse | None = None
        self._second: InUse | None = None
        self._opening: asyncio.Task[None] | None = None
        self._failure: tuple[float, RefusedError] | None = None
        self._leaving: list[tuple[Zygote, float]] = []
        self._gone: list[Zygote] = []
        self._has_two = False
        """Whether there are to be two at once, of different layouts."""
        self._one_until = float("-inf")

    # -- which there are -----------------------------------------------------------------------

    @property
    def current(self) -> Zygote | None:
        """The newest of those that instances are forked from."""
        return None if self._newest is None else self._newest.zygote

    @property
    def second(self) -> Zygote | None:
        """The one before, if there are two at once."""
        return None if self._second is None else self._second.zygote

    def next(self) -> Zygote | None:
        """Return what the next instance is to be forked from: of two the one that has fewer."""
        newest, second = self.current, self.second
        if newest is None or second is None:
            return newest
        more = len(second.instances) - len(newest.instances)
        return second if more < 0 or (more == 0 and secrets.randbits(1)) else newest

    @property
    def opening(self) -> bool:
        """Whether one is being opened."""
        return self._opening is not None

    @property
    def any(self) -> bool:
        """Whether there is any, or will be."""
        return bool(self._newest or self._opening or self._leaving or self._gone)

    @property
    def any_old(self) -> bool:
        """Whether there is one that was replaced."""
        return bool(self._leaving or self._gone)

    @property
    def lacks_successors(self) -> bool:
        """Whether instances serve whose zygote was replaced, and nothing else does."""
        newest = self.current
        if newest is None or newest.instances:
            return False
        return any(zygote.instances for zygote, _ in self._leaving)

    def _all(self) -> Iterator[Zygote]:
        yield from (one.zygote for one in (self._newest, self._second) if one is not None)
        yield from (zygote for zygote, _ in self._leaving)
        yield from self._gone

    def of(self, instance: Instance) -> Zygote | None:
        """Return what an instance was forked from, None if it has ended."""
        newest = self._newest
        if newest is not None and _is_of(newest.zygote, instance):
            return newest.zygote
        return next((z for z in self._all() if _is_of(z, instance)), None)

    def is_of_old(self, instance: Instance) -> bool:
        """Tell whether an instance was forked from one that was replaced."""
        return self.is_of_gone(instance) or any(_is_of(z, instance) for z, _ in self._leaving)

    def is_of_gone(self, instance: Instance) -> bool:
        """Tell whether an instance is to get no call any more."""
        return any(_is_of(z, instance) for z in self._gone)

    # -- opening -------------------------------------------------------------------------------

    def failure(self) -> RefusedError | None:
        """Return why the import has failed a moment ago, if it has."""
        if self._failure is not None:
            failed_at, refusal = self._failure
            if self._loop.time() - failed_at < _FAILED_IMPORT_SECONDS:
                return again(refusal)
            self._failure = None
        return None

    def open(self, version: Version) -> asyncio.Task[None]:
        """Have one opened, unless one is being opened; return the task, which never raises.

        Beside one that is in use it gets another layout than that has.
        """
        if self._opening is None:
            self._opening = self._loop.create_task(self._open(version))
        return self._opening

    async def _open(self, asked: Version) -> None:
        try:
            zygote = await self._client.open(asked, beside=self.current, begun=self._begun)
        except (ImportFailedError, NotFoundError) as error:
            refusal = not_imported(error)
            if self._newest is None:
                self._failure = (self._loop.time(), refusal)
            self._opening_failed(refusal)
        except (OSError, CasemateError) as error:
            self._opening_failed(unavailable(error))
        else:
            self._on_opened(asked, zygote)
        finally:
            self._opening = None
        self._on_done()

    def _begun(self, zygote: Zygote) -> None:
        if self._newest is None:
            self._on_begun(zygote)

    def _opening_failed(self, refusal: RefusedError) -> None:
        if self._newest is not None:  # which serves on
            self._newest.not_replaced(self._loop.time())
        self._on_failed(refusal)

    def adopt(self, zygote: Zygote) -> None:
        """Have instances forked from this one from now on, and from the one before if two are."""
        before, self._newest = self._newest, InUse(zygote, self._loop.time())
        if before is not None:
            self._leave_second()
            self._second = before
            if not self._has_two:
                self._leave_second()
        zygote.on_ended = lambda _reason: self._ended(zygote)
        if not zygote.alive:
            self._ended(zygote)

    def _leave_second(self) -> None:
        """Have no more instances forked from the older one of two."""
        if self._second is not None:
            self._leaving.append((self._second.zygote, self._loop.time()))
            self._second = None

    def _ended(self, zygote: Zygote) -> None:
        if zygote is self.current:
            self._newest, self._second = self._second, None
            if self._newest is None:
                self._on_ended()
        elif zygote is self.second:
            self._second = None
        else:
            self._leaving = [one for one in self._leaving if one[0] is not zygote]
            self._gone = [one for one in self._gone if one is not zygote]

    # -- two at once ---------------------------------------------------------------------------

    def wants_two(self, rate: float, project: str, now: float) -> Resting | None:
        """Return what a second one would hold, if at so many calls a second there is to be one."""
        zygote = self.current
        if zygote is None or now < self._one_until:
            return None
        if rate < (_QUIET_RATE if self._has_two else _BUSY_RATE):
            return None
        # Its files are there already. All save their makers the same: they serve with one too.
        return Resting(zygote.memory or UNMEASURED, 1.0, 0.0, project)

    def have_two(self, *, allowed: bool) -> None:
        """Have two from the next one on that is opened, or one."""
        if self._has_two and not allowed:
            self._one_until = self._loop.time() + _ONE_SECONDS
            self._leave_second()
        self._has_two = allowed

    # -- letting go ----------------------------------------------------------------------------

    def called(self) -> None:
        """Take note of a call: what it has learnt is of use for as long as its zygote is."""
        if self._newest is not None:
            self._newest.calls += 1

    def is_due(self, now: float) -> bool:
        """Tell whether another one is to be opened beside the one in use."""
        newest = self._newest
        if newest is None or now < newest.again_at:
            return False
        age = now - newest.opened_at
        lacks_second = self._has_two and self._second is None
        due = newest.is_due(now, in_turns=self._has_two)
        due = due or (self.second is not None and self.second.outdated)
        return due or (lacks_second and age >= renewal.SECOND_AFTER_SECONDS)

    def is_overdue(self, now: float) -> bool:
        """Tell whether the one in use is to go though none took its place."""
        return self._newest is not None and self._newest.is_overdue(now)

    def retire(self) -> None:
        """Have nothing forked from any of them, and no more calls go to their instances."""
        self._gone += self._all_in_use()
        self._newest = self._second = None
        self._leaving = []

    def _all_in_use(self) -> list[Zygote]:
        gone = set(self._gone)
        return [zygote for zygote in self._all() if zygote not in gone]

    def replaced_long_ago(self, now: float) -> bool:
        """Tell whether what waits of one that was replaced is to go."""
        return any(now - since > renewal.OVERLAP_SECONDS for _, since in self._leaving)

    def tend(self, now: float) -> None:
        """End replaced ones from which no instance is left, and those that stay for too long."""
        late = [z for z, since in self._leaving if now - since > renewal.OVERLAP_SECONDS]
        self._leaving = [one for one in self._leaving if one[0] not in late]
        self._gone += late
        for zygote in [zygote for zygote, _ in self._leaving] + self._gone:
            if zygote.alive and not zygote.instances:
                zygote.close()
        self._leaving = [one for one in self._leaving if one[0].alive]
        self._gone = [one for one in self._gone if one.alive]

    def close(self) -> None:
        """End all, and with them every instance."""
        for zygote in list(self._all()):
            zygote.close()
        self._newest = self._second = None

    def weigh(self, parts: int) -> None:
        """Give the function one of `parts` of its project's weight, when the CPU is short."""
        for zygote in self._all():
            zygote.weigh(parts)


def _is_of(zygote: Zygote, instance: Instance) -> bool:
    return zygote.instances.get(instance.number) is instance
