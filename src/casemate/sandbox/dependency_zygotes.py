"""Zygotes that have imported the dependencies of several functions, and become the one of one.

Each is made for functions of one project whose dependencies are equal, file by file, and that are
confined alike. It becomes the zygote of one function, once and for good: no two functions ever
have one, and nothing is forked from it before. See ADR 0154.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from casemate.egress.interface import Egress
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, UnavailableError
from casemate.sandbox import protocol
from casemate.sandbox.meter import Meters
from casemate.sandbox.report import Report
from casemate.sandbox.system_calls import DeniedCall, SystemCallWatch

MAX_KNOWN = 4_096
"""Bundles of which it is known what they import, and versions that no such zygote fits."""
_TRIES = 3
_MODULE = re.compile(protocol.MODULE_PATTERN)
"""How often in a row a version may come to nothing by one for a reason that passes."""
_UNMEASURED = 64 << 20
"""Bytes that one is taken to hold until that is known: as the large libraries do."""


class Kind(NamedTuple):
    """What has to be the same for a function to take a zygote that was made for another one."""

    project: str
    python: str
    fingerprint: str
    """Of the dependencies' files."""
    ports: tuple[int, ...]
    open_files: int
    tmp: int
    restorable: bool


class Wanted(NamedTuple):
    """What a version would take."""

    version: Version
    kind: Kind
    modules: frozenset[str]
    """What it imports itself: nothing else of its dependencies is to be run for it."""


def modules_of(files: Iterable[str]) -> frozenset[str]:
    """Return the outermost modules among files of dependencies that an import has loaded.

    Of a package without an `__init__` that is each of the outermost modules in it.
    """
    found: set[str] = set()
    inside: dict[str, list[str]] = {}
    for file in files:
        head, _, rest = file.partition("/")
        if not rest or rest.startswith("__init__."):
            found.add(head.partition(".")[0])
        else:
            inside.setdefault(head, []).append(rest)
    for head, rests in inside.items():
        if head not in found:
            found |= {f"{head}.{name}" for name in modules_of(rests)}
    return frozenset(filter(_is_asked_for, found))


def _is_asked_for(module: str) -> bool:
    """Tell whether a module has a name that a request may have; others are imported later."""
    short = len(module) <= protocol.MAX_MODULE_NAME
    return short and _MODULE.fullmatch(module) is not None


class DependencyZygote:
    """One of them, as long as it is no function's."""

    def __init__(self, number: int, wanted: Wanted) -> None:
        """Made by DependencyZygotes.prepare only."""
        self.number = number
        self.version = wanted.version
        """A version whose dependencies are mounted in it; of the rest of its bundle is nothing."""
        self.kind = wanted.kind
        self.modules = wanted.modules
        self.alive = True
        self.memory = _UNMEASURED
        self.seconds = 0.0
        """How long the import took."""
        self.since = 0.0
        self.request: protocol.PrepareDependencies | None = None
        self.report: Report | None = None
        self.watch: SystemCallWatch | None = None
        self.reason = ""
        """Why it has ended."""
        self.on_denied: Callable[[DeniedCall], None] = lambda _: None
        self.on_watch_failed: Callable[[], None] = lambda: None

    def fits(self, wanted: Wanted) -> bool:
        """Tell whether it can become the zygote of a version."""
        least = self.version.spec.limits.memory
        return (
            self.kind == wanted.kind
            and self.modules <= wanted.modules
            and least <= wanted.version.spec.limits.memory
        )


class Link(Protocol):
    """What is needed of the way to the supervisor."""

    loop: asyncio.AbstractEventLoop
    meters: Meters

    def send(self, request: protocol.Request, descriptors: list[int] | tuple[int, ...]) -> None:
        """Send a request. Raises SupervisorLostError."""
        ...

    async def require(self, version: Version) -> None:
        """Raise CasemateError if nobody vouches for a version."""
        ...


class Files(Protocol):
    """Where bundles are held while they are in use; see `BundleSource`."""

    async def acquire(self, digest: str) -> None:
        """Have a bundle's files there until `release`."""
        ...

    async def require_whole(self, digest: str) -> None:
        """Look at all files. Raises CasemateError."""
        ...

    def release(self, digest: str) -> None:
        """Need the files no longer."""
        ...


class DependencyZygotes:
    """Those that wait for a function or are being made. All methods run on the event loop."""

    def __init__(
        self,
        link: Link,
        files: Files,
        egress: Egress,
        numbers: Iterator[int],
        kind_of: Callable[[Version], Kind | None],
    ) -> None:
        """`numbers` are those of all zygotes, `kind_of` tells what a version can take."""
        self._link = link
        self._files = files
        self._egress = egress
        self._numbers = numbers
        self._kind_of = kind_of
        self._waiting: dict[int, DependencyZygote] = {}
        self._being_made: dict[int, tuple[DependencyZygote, asyncio.Future[None]]] = {}
        self.on_lost: Callable[[DependencyZygote], None] = lambda _: None
        """Takes one that waited for a function and ended by itself."""
        self._modules: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._unfit: OrderedDict[str, int] = OrderedDict()
        """How often bundles did not start by one; those of _TRIES never do again."""

    # -- what versions import ------------------------------------------------------------------

    def saw(self, version: Version, files: Iterable[str]) -> None:
        """Note which files of dependencies the whole import of a version has loaded."""
        if version.digest in self._modules:
            self._modules.move_to_end(version.digest)
            return
        self._modules[version.digest] = modules_of(files)
        if len(self._modules) > MAX_KNOWN:
            self._modules.popitem(last=False)

    def never_for(self, version: Version) -> None:
        """Make none for this bundle again: it cannot start by one."""
        self._note_unfit(version, _TRIES)

    def came_to_nothing(self, version: Version) -> None:
        """Take it that this bundle did not start by one, as the node was: that passes."""
        self._note_unfit(version, self._unfit.get(version.digest, 0) + 1)

    def came_to_use(self, version: Version) -> None:
        """Take it that this bundle has started by one."""
        if self._unfit.get(version.digest, _TRIES) < _TRIES:
            del self._unfit[version.digest]

    def _note_unfit(self, version: Version, times: int) -> None:
        self._unfit[version.digest] = max(times, self._unfit.get(version.digest, 0))
        if len(self._unfit) > MAX_KNOWN:
            self._unfit.popitem(last=False)

    def wanted(self, version: Version) -> Wanted | None:
        """Return what a version could start from; None if it is to start by itself."""
        modules = self._modules.get(version.digest)
        unfit = self._unfit.get(version.digest, 0) >= _TRIES
        if not modules or unfit or len(modules) > protocol.MAX_MODULES:
            return None
        kind = self._kind_of(version)
        return None if kind is None else Wanted(version, kind, modules)

    # -- making and taking ---------------------------------------------------------------------

    def __iter__(self) -> Iterator[DependencyZygote]:
        """Go through those that wait for a function."""
        return iter(list(self._waiting.values()))

    @property
    def memory(self) -> int:
        """Bytes that they hold."""
        making = (one for one, _ in self._being_made.values())
        return sum(one.memory for one in (*self._waiting.values(), *making))

    async def prepare(self, wanted: Wanted, *, seconds: float) -> DependencyZygote:
        """Make one, within so many seconds. Raises OSError and CasemateError."""
        version = wanted.version
        await self._link.require(version)
        await self._files.acquire(version.digest)
        zygote = DependencyZygote(next(self._numbers), wanted)
        made: asyncio.Future[None] = self._link.loop.create_future()
        self._being_made[zygote.number] = zygote, made
        begun = self._link.loop.time()
        try:
            zygote.report = Report(self._link.loop, lambda: self._connect(zygote))
            # Before it is used: here nobody waits.
            await self._files.require_whole(version.digest)
            self._ask(zygote)
            async with asyncio.timeout(seconds):
                await made
            zygote.report.require_descriptors()
            if not zygote.alive:
                raise UnavailableError(f"Dependencies are not prepared: {zygote.reason}.")
        except TimeoutError as error:
            self.close(zygote)
            raise UnavailableError("Dependencies take too long to import.") from error
        except BaseException:
            self.close(zygote)
            raise
        finally:
            self._being_made.pop(zygote.number, None)
        zygote.since = self._link.loop.time()
        zygote.seconds = zygote.since - begun
        self._waiting[zygote.number] = zygote
        return zygote

    def _ask(self, zygote: DependencyZygote) -> None:
        limits = zygote.version.spec.limits
        kind = zygote.kind
        request = protocol.PrepareDependencies(
            z=zygote.number,
            python=kind.python,
            digest=zygote.version.digest,
            project=kind.project,
            modules=tuple(sorted(zygote.modules)),
            memory=limits.memory,
            cpu=limits.cpu,
            processes=limits.processes,
            open_files=kind.open_files,
            tmp=kind.tmp,
            ports=kind.ports,
            restorable=kind.restorable,
        )
        zygote.request = request
        if zygote.report is not None:
            with zygote.report.other_ends() as descriptors:
                self._link.send(request, descriptors)

    def _connect(self, zygote: DependencyZygote) -> None:
        """Take over the descriptors that it sent before it ran any code of dependencies."""
        if zygote.report is None:
            return
        listeners, notify = zygote.report.take_descriptors(len(zygote.kind.ports))
        if not zygote.alive:
            for descriptor in (*listeners, *([] if notify is None else [notify])):
                os.close(descriptor)
            return
        zygote.on_denied = lambda call: self.spoil(zygote.number, f"it was denied {call.name}")
        zygote.on_watch_failed = lambda: self.close(zygote)
        if notify is not None:
            zygote.watch = SystemCallWatch(
                notify,
                self._link.loop,
                lambda call: zygote.on_denied(call),  # noqa: PLW0108 - it is another one later
                on_failed=lambda _: zygote.on_watch_failed(),
            )
        if listeners:
            # It is granted nothing: what is connected now would be the function's later.
            ports = dict(zip(zygote.kind.ports, listeners, strict=True))
            self._egress.open(zygote.number, ports, ())
            for descriptor in listeners:
                os.close(descriptor)

    async def take(self, version: Version) -> DependencyZygote | None:
        """Return one that becomes the zygote of this version, and of no other; None without one.

        It holds the bundle that it was made of until `release_files`.
        """
        wanted = self.wanted(version) if self._waiting else None
        if wanted is None:
            return None
        fitting = [one for one in self._waiting.values() if one.fits(wanted)]
        if not fitting:
            return None
        # No other call may get it while it is looked at.
        zygote = self._waiting.pop(max(fitting, key=lambda one: len(one.modules)).number)
        self._being_made[zygote.number] = zygote, self._link.loop.create_future()
        try:
            await self._link.require(zygote.version)
        except CasemateError:
            self.close(zygote)
            return None
        finally:
            self._being_made.pop(zygote.number, None)
        return zygote if zygote.alive else None

    async def verify(self) -> None:
        """End those for whose bundle nobody vouches any more."""
        for zygote in self:
            try:
                await self._link.require(zygote.version)
            except CasemateError:
                self.close(zygote)

    def release_files(self, zygote: DependencyZygote) -> None:
        """Hold the bundle no longer that its dependencies were mounted of."""
        self._files.release(zygote.version.digest)

    # -- ending --------------------------------------------------------------------------------

    def spoil(self, number: int, reason: str) -> None:
        """End one that did what no function may do, and make none for its bundle again.

        Nobody could say of which function it was. Each then imports by itself, and what it is not
        let do is recorded as its own.
        """
        zygote = self._get(number)
        if zygote is not None and zygote.alive:
            zygote.reason = reason
            self.never_for(zygote.version)
            self.close(zygote)

    def _get(self, number: int) -> DependencyZygote | None:
        made = self._being_made.get(number)
        return self._waiting.get(number) if made is None else made[0]

    def close(self, zygote: DependencyZygote) -> None:
        """End one. Closing twice is fine."""
        if zygote.alive:
            with contextlib.suppress(CasemateError):
                self._link.send(protocol.Close(zygote.number), ())
            self._ended(zygote, zygote.reason or "closed")

    def close_all(self) -> None:
        """End all."""
        for zygote in self:
            self.close(zygote)

    def _ended(self, zygote: DependencyZygote, reason: str) -> None:
        zygote.alive = False
        zygote.reason = reason
        self._waiting.pop(zygote.number, None)
        made = self._being_made.get(zygote.number)
        if made is not None and not made[1].done():
            made[1].set_result(None)
        if zygote.watch is not None:
            zygote.watch.close()
        if zygote.report is not None:
            zygote.report.close()
        self._egress.close(zygote.number)
        self.release_files(zygote)

    def handle(self, event: protocol.Event) -> None:
        """Take an event of one of these; others are passed over."""
        zygote = self._get(event.z)
        if zygote is None:
            return
        if isinstance(event, protocol.Opened):
            made = self._being_made.get(event.z)
            if made is not None and not made[1].done():
                made[1].set_result(None)
        elif isinstance(event, protocol.Held):
            zygote.memory = event.memory
        elif isinstance(event, protocol.ZygoteEnded) and zygote.alive:
            error = None if zygote.report is None else zygote.report.error()
            waited = event.z in self._waiting
            self._ended(zygote, event.reason if error is None else error.message)
            if waited:
                self.on_lost(zygote)

    def numbers(self) -> list[int]:
        """Return the numbers of those that wait or are being made."""
        return [*self._waiting, *self._being_made]
