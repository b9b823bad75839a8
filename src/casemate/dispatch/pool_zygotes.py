"""The zygotes of one version: the one that instances are forked from, and older ones that serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from casemate.dispatch.failed_starts import not_imported, unavailable
from casemate.dispatch.queued import again
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError
from casemate.model.path import RefusedError
from casemate.sandbox.client import ImportFailedError, SandboxClient
from casemate.sandbox.instance import Instance
from casemate.sandbox.zygote import Zygote

_RECYCLE_SECONDS = 3600.0
_RECYCLE_FORKS = 100_000
_AGING_PART = 0.95
"""Of the time or forks that one is good for: then another is opened ahead of calls."""
_OVERLAP_SECONDS = 60.0
"""How long spares of one that was replaced may wait for a call."""
_FAILED_IMPORT_SECONDS = 1.0
"""How long a failed import is remembered, so that a flood of calls does not repeat it."""


class PoolZygotes:
    """Opens zygotes, one at a time, and lets go of them. All methods run on the event loop."""

    def __init__(
        self,
        client: SandboxClient,
        loop: asyncio.AbstractEventLoop,
        *,
        opened: Callable[[Version, Zygote], None],
        failed: Callable[[RefusedError], None],
        ended: Callable[[], None],
        done: Callable[[], None],
    ) -> None:
        """Call `opened` with what a zygote was opened for and the zygote, or `failed` with why not.

        `done` is called after either, `ended` when the one in use has ended.
        """
        self._client = client
        self._loop = loop
        self._on_opened = opened
        self._on_failed = failed
        self._on_ended = ended
        self._on_done = done
        self.current: Zygote | None = None
        """The one that instances are forked from."""
        self.opened_at = 0.0
        self._opening: asyncio.Task[None] | None = None
        self._failure: tuple[float, RefusedError] | None = None
        self._old: list[Zygote] = []
        self._replaced_at = 0.0

    @property
    def opening(self) -> bool:
        """Whether one is being opened."""
        return self._opening is not None

    @property
    def any(self) -> bool:
        """Whether there is any, or will be."""
        return bool(self.current or self._opening or self._old)

    def failure(self) -> RefusedError | None:
        """Return why the import has failed a moment ago, if it has."""
        if self._failure is not None:
            failed_at, refusal = self._failure
            if self._loop.time() - failed_at < _FAILED_IMPORT_SECONDS:
                return again(refusal)
            self._failure = None
        return None

    @property
    def any_old(self) -> bool:
        """Whether one that is not in use any more has instances."""
        return bool(self._old)

    def open(self, version: Version) -> asyncio.Task[None]:
        """Have one opened, unless one is being opened; return the task, which never raises."""
        if self._opening is None:
            self._opening = self._loop.create_task(self._open(version))
        return self._opening

    async def _open(self, asked: Version) -> None:
        try:
            zygote = await self._client.open(asked)
        except (ImportFailedError, NotFoundError) as error:
            refusal = not_imported(error)
            self._failure = (self._loop.time(), refusal)
            self._on_failed(refusal)
        except (OSError, CasemateError) as error:
            self._on_failed(unavailable(error))
        else:
            self._on_opened(asked, zygote)
        finally:
            self._opening = None
        self._on_done()

    def adopt(self, zygote: Zygote) -> None:
        """Have instances forked from this one from now on."""
        self.current = zygote
        self.opened_at = self._loop.time()
        zygote.on_ended = lambda _reason: self._ended(zygote)
        if not zygote.alive:
            self._ended(zygote)

    def _ended(self, zygote: Zygote) -> None:
        if zygote is self.current:
            self.current = None
            self._on_ended()
        elif zygote in self._old:
            self._old.remove(zygote)

    def retire(self) -> None:
        """Have no more instances forked from the one in use; it ends with its last one."""
        if self.current is not None:
            self._old.append(self.current)
            self.current = None
            self._replaced_at = self._loop.time()

    def is_worn(self, now: float) -> bool:
        """Tell whether the one in use was used for too long.

        Instances of one zygote share the layout of their memory and their hash seed.
        """
        return self._has_used(1.0, now)

    def is_aging(self, now: float) -> bool:
        """Tell whether the one in use will soon be worn."""
        return self._has_used(_AGING_PART, now)

    def _has_used(self, part: float, now: float) -> bool:
        if self.current is None:
            return False
        age, forks = now - self.opened_at, self.current.forks
        return age > part * _RECYCLE_SECONDS or forks > part * _RECYCLE_FORKS

    def replaced_long_ago(self, now: float) -> bool:
        """Tell whether what waits of one that was replaced is to go."""
        return bool(self._old) and now - self._replaced_at > _OVERLAP_SECONDS

    def is_of_old(self, instance: Instance) -> bool:
        """Tell whether an instance was forked from one that is not in use any more."""
        return any(z.instances.get(instance.number) is instance for z in self._old)

    def tend(self) -> None:
        """End old ones from which no instance is left."""
        left = []
        for zygote in self._old:
            if zygote.alive and not zygote.instances:
                zygote.close()
            if zygote.alive:
                left.append(zygote)
        self._old = left

    def close(self) -> None:
        """End all, and with them every instance."""
        for old in self._old:
            old.close()
        if self.current is not None:
            self.current.close()
            self.current = None

    def weigh(self, parts: int) -> None:
        """Give the function one of `parts` of its project's weight, when the CPU is short."""
        for zygote in (self.current, *self._old):
            if zygote is not None:
                zygote.weigh(parts)
