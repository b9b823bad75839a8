"""How zygotes come to be: started, or made of what has imported their dependencies ahead."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Protocol

from casemate.egress.interface import Egress
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, UnavailableError
from casemate.model.function import Layout, Trust
from casemate.model.grant import Grant, GrantKind
from casemate.runner.network import PROXY_PORT
from casemate.sandbox import protocol
from casemate.sandbox.dependency_zygotes import DependencyZygote, DependencyZygotes, Kind
from casemate.sandbox.frames import ErrorHead
from casemate.sandbox.report import Report
from casemate.sandbox.system_calls import DeniedCall, SystemCallWatch
from casemate.sandbox.zygote import Link as ZygoteLink
from casemate.sandbox.zygote import Zygote, is_restorable
from casemate.sandbox.zygotes import Zygotes

_log = logging.getLogger(__name__)
_IMPORT_SECONDS_LEAST = 10.0


class BundleSource(Protocol):
    """Where the supervisor finds the files of bundles while they are in use."""

    async def acquire(self, digest: str) -> None:
        """Have a bundle's files there until `release`. NotFoundError if the node has no such."""
        ...

    async def require_whole(self, digest: str) -> None:
        """Look at all of the files that were acquired. NotFoundError if one was changed."""
        ...

    def release(self, digest: str) -> None:
        """Need the files no longer."""
        ...

    def size(self, digest: str) -> int:
        """Return the bytes of the files."""
        ...


def egress_grants(version: Version) -> tuple[Grant, ...]:
    """Return what a version may reach in the network."""
    return tuple(g for g in version.spec.grants if g.kind is GrantKind.EGRESS)


def egress_ports(grants: tuple[Grant, ...], *, proxy_always: bool = False) -> tuple[int, ...]:
    """Return the local ports that lead there: the proxy's, where one is needed, and forwards'."""
    proxy = [PROXY_PORT] if proxy_always or any(g.forward is None for g in grants) else []
    return (*proxy, *sorted(g.forward for g in grants if g.forward is not None))


class ImportFailedError(CasemateError):
    """The function's module cannot be imported."""

    def __init__(self, error: ErrorHead, output: str) -> None:
        """Keep the exception as the zygote described it, and what the import printed."""
        super().__init__(f"{error.type}: {error.message}")
        self.error = error
        self.output = output


def _together(variables: dict[str, str], own: dict[str, str]) -> dict[str, str]:
    """Return a function's variables, and the others where there is room for all of them."""
    together = variables | own
    return together if len(together) <= protocol.MAX_VARIABLES else own


Variables = Callable[[str], Awaitable[dict[str, str]]]
"""Gives variables of the environment of a project's functions."""
Require = Callable[[Version], Awaitable[None]]
"""Raises CasemateError if nobody vouches for a version."""


Usual = Callable[[Version], tuple[tuple[str, ...], bool]]
"""Gives the shapes at sinks that are usual of a version, and whether others are refused."""
Asked = Callable[[Version], tuple[tuple[str, ...], bool]]
"""Gives the system calls about which a version's filter asks, and whether they are refused."""


class Link(ZygoteLink, Protocol):
    """What is needed of the way to the supervisor."""

    may_restore: bool
    """Whether there is or was a restorer: another one takes the place of one that has ended."""

    async def require(self, version: Version) -> None:
        """Raise CasemateError if nobody vouches for a version."""
        ...


class Opening:
    """Opens zygotes. All methods run on the event loop."""

    def __init__(
        self,
        link: Link,
        *,
        zygotes: Zygotes,
        bundles: BundleSource,
        egress: Egress,
        on_denied_call: Callable[[Zygote, DeniedCall], None],
        on_met_calls: Callable[[Zygote, tuple[str, ...]], None],
        learn: bool,
        variables: Variables | None,
        usual: Usual | None,
        asked: Asked | None,
        dependencies: Callable[[str], str | None] | None,
    ) -> None:
        """Fill `zygotes`; the rest is as `SandboxClient` was given it."""
        self._link = link
        self._loop = link.loop
        self._zygotes = zygotes
        self._bundles = bundles
        self._egress = egress
        self._numbers = numbers = itertools.count(1)
        self._on_denied_call = on_denied_call
        self._on_met_calls = on_met_calls
        self._learn = learn
        self._variables = variables
        self._usual = usual
        self._asked = asked
        self._dependencies = dependencies
        self.hears_denied_calls = True
        """False once a function's filter was found to have no listener."""
        self.ahead = DependencyZygotes(link, bundles, egress, numbers, self._kind_of)
        """Zygotes that have imported dependencies and are no function's yet."""
        self._opening: dict[int, asyncio.Future[protocol.ZygoteEnded | None]] = {}

    def heard(self, event: protocol.Event) -> None:
        """Take an event of a zygote that may be opening."""
        opening = self._opening.get(event.z)
        if opening is not None and not opening.done():
            if isinstance(event, protocol.Opened):
                opening.set_result(None)
            elif isinstance(event, protocol.ZygoteEnded):
                opening.set_result(event)

    async def open(
        self,
        version: Version,
        *,
        approved: bool = True,
        beside: Zygote | None = None,
        begun: Callable[[Zygote], None] = lambda _: None,
    ) -> Zygote:
        """Start a zygote for a version and wait for its import.

        One that is opened `beside` another gets another layout of memory than that has.

        One that is not approved yet has no way to the network until `Zygote.let_out`: what its
        import left running, and what it answers, reach nothing that nobody has allowed.

        `begun` is called with one that was asked for: instances can be asked for meanwhile. They
        are forked once it has imported, and get no event before the files of its bundle were looked
        at. If it comes to nothing they are ended, and `begun` may be called with another one.

        Raises ImportFailedError with the function's own error, UnavailableError otherwise.
        """
        await self._link.require(version)
        variables = await self._variables(version.project) if self._variables else {}
        await self._bundles.acquire(version.digest)
        if approved and beside is None:
            ahead = await self._taken(version)
            if ahead is not None:
                if (zygote := await self._become(ahead, version, variables, begun)) is not None:
                    return zygote
                # The files went with it.
                await self._bundles.acquire(version.digest)
        return await self._start(version, variables, approved=approved, beside=beside, begun=begun)

    async def _taken(self, version: Version) -> DependencyZygote | None:
        """Return what has imported a version's dependencies, if there is such a zygote."""
        try:
            return await self.ahead.take(version)
        except BaseException:
            self._bundles.release(version.digest)
            raise

    async def _start(
        self,
        version: Version,
        variables: dict[str, str],
        *,
        approved: bool,
        beside: Zygote | None,
        begun: Callable[[Zygote], None],
    ) -> Zygote:
        """Start a zygote that imports all by itself; the files are held for it."""
        number = next(self._numbers)
        zygote = self._zygotes.begin(self._new(number, version))
        opened: asyncio.Future[protocol.ZygoteEnded | None] = self._loop.create_future()
        self._opening[number] = opened
        ports = egress_ports(egress_grants(version), proxy_always=self._learn)
        try:
            report = Report(self._loop, lambda: self._connect(zygote, report, ports))
        except BaseException:
            self._zygotes.drop(number)
            del self._opening[number]
            self._bundles.release(version.digest)
            raise
        asked = self._loop.time()
        # Beside the import, which takes longer than to look at the files of large dependencies.
        whole = self._looking_at(version)
        try:
            try:
                request = self._request_for(zygote, version, ports, variables, beside)
                with report.other_ends() as descriptors:
                    self._link.send(request, descriptors)
            except BaseException:
                self._zygotes.drop(number)
                self._bundles.release(version.digest)
                raise
            self._begin(zygote, begun)
            ended = await self._opened(number, opened, version.spec.limits.timeout)
            if ended is not None:
                raise self._failure(ended, report)
            report.require_descriptors()
            await whole
            zygote.found_whole()
            self._link.loaded(zygote, report.loaded(), late=False)
            self.ahead.saw(version, report.loaded())
            zygote.seconds = self._loop.time() - asked
            # Not before: what is connected at import would be shared by all instances.
            if approved:
                zygote.let_out()
        except BaseException:
            zygote.close()
            raise
        finally:
            whole.cancel()
            del self._opening[number]
            report.close()
        return zygote

    def _looking_at(self, version: Version) -> asyncio.Future[None]:
        """Begin to look at all files of a version beside its start."""
        whole = asyncio.ensure_future(self._bundles.require_whole(version.digest))
        # Whether or not somebody still waits for it: it is told of already.
        whole.add_done_callback(lambda done: done.cancelled() or done.exception())
        return whole

    @staticmethod
    def _begin(zygote: Zygote, begun: Callable[[Zygote], None]) -> None:
        """Have instances asked for that are made as soon as the zygote has imported.

        Not where the module is imported in the instance: its code would run before all files were
        looked at.
        """
        if zygote.version.spec.trust is Trust.NORMAL:
            begun(zygote)

    async def _become(
        self,
        ahead: DependencyZygote,
        version: Version,
        variables: dict[str, str],
        begun: Callable[[Zygote], None],
    ) -> Zygote | None:
        """Make a dependency zygote this version's; None if it came to nothing, and then it is gone.

        Then the version starts by itself now, and from now on if the import itself failed. Raises
        ImportFailedError only if that takes too long.
        """
        number, report = ahead.number, ahead.report
        zygote = self._zygotes.begin(self._new(number, version))
        zygote.ahead = ahead
        zygote.watch = ahead.watch
        ahead.on_denied = lambda call: self._on_denied_call(zygote, call)
        ahead.on_watch_failed = zygote.close
        opened: asyncio.Future[protocol.ZygoteEnded | None] = self._loop.create_future()
        self._opening[number] = opened
        asked = self._loop.time()
        whole = self._looking_at(version)
        try:
            request = self._request_for(zygote, version, ahead.kind.ports, variables, None)
            prepared = ahead.request
            # What is usual of it may have changed since it was looked at.
            if prepared is None or not prepared.fits(request):
                raise UnavailableError("A dependency zygote no longer fits the function.")
            self._link.send(request, ())
            self._begin(zygote, begun)
            ended = await self._opened(number, opened, version.spec.limits.timeout)
            if report is None:
                raise UnavailableError("It has no report.")
            if ended is not None:
                raise self._failure(ended, report)
            await whole
            zygote.found_whole()
            self._link.loaded(zygote, report.loaded(), late=False)
            # What it would take to make it again without the other.
            zygote.seconds = ahead.seconds + self._loop.time() - asked
            self.ahead.came_to_use(version)
            zygote.let_out()
        except CasemateError as error:
            zygote.close()
            if opened.cancelled():
                raise  # it takes too long: no wait for as long again
            name = f"{version.project}/{version.function}"
            _log.info("%s imports its dependencies by itself: %s", name, error.message)
            if isinstance(error, ImportFailedError):
                self.ahead.never_for(version)
            else:
                self.ahead.came_to_nothing(version)
            return None
        except BaseException:
            zygote.close()
            raise
        finally:
            whole.cancel()
            del self._opening[number]
            if report is not None:
                report.close()
        return zygote

    def _kind_of(self, version: Version) -> Kind | None:
        """Return what a version could share the import of its dependencies with, before it begins.

        None if it is confined, or its import watched, in a way of its own.
        """
        fingerprint = None if self._dependencies is None else self._dependencies(version.digest)
        spec, limits = version.spec, version.spec.limits
        _, strict = ((), False) if self._usual is None else self._usual(version)
        asked, _ = ((), True) if self._asked is None else self._asked(version)
        of_its_own = spec.trust is not Trust.NORMAL or spec.layout is not Layout.SHARED
        if fingerprint is None or of_its_own or spec.packages or strict or asked:
            return None
        return Kind(
            project=version.project,
            python=str(spec.python),
            fingerprint=fingerprint,
            ports=egress_ports(egress_grants(version), proxy_always=self._learn),
            open_files=limits.open_files,
            tmp=limits.tmp,
            restorable=is_restorable(version, restores=self._link.may_restore),
        )

    def _new(self, number: int, version: Version) -> Zygote:
        """Return the handle of a zygote to open."""
        asked, refused = ((), True) if self._asked is None else self._asked(version)
        # The restorer does not see calls that the listener lets through, nor what they leave.
        restores = self._link.may_restore and (refused or not asked)
        zygote = Zygote(self._link, number, version, restores=restores)
        zygote.asked, zygote.refused = asked, refused
        return zygote

    def _request_for(
        self,
        zygote: Zygote,
        version: Version,
        ports: tuple[int, ...],
        variables: dict[str, str],
        beside: Zygote | None,
    ) -> protocol.Open:
        """Return what the supervisor is told of a version, to open a zygote or to make one its."""
        spec, limits = version.spec, version.spec.limits
        shapes, strict = ((), False) if self._usual is None else self._usual(version)
        kind = protocol.Open if zygote.ahead is None else protocol.Become
        return kind(
            z=zygote.number,
            python=str(spec.python),
            digest=version.digest,
            project=version.project,
            function=version.function,
            handler=spec.handler,
            isolation=spec.isolation,
            trust=spec.trust,
            memory=limits.memory,
            cpu=limits.cpu,
            processes=limits.processes,
            open_files=limits.open_files,
            tmp=limits.tmp,
            response=limits.response,
            ports=ports,
            environment=_together(variables, spec.environment),
            guard=tuple(
                protocol.GuardRule(rule.sink, rule.location, rule.mode) for rule in spec.guard
            ),
            packages=tuple(protocol.PackageRule(rule.name, rule.deny) for rule in spec.packages),
            shapes=shapes,
            strict=strict,
            calls=zygote.asked,
            refused=zygote.refused,
            layout=spec.layout,
            restorable=zygote.restorable,
            beside=None if beside is None else beside.number,
        )

    def _connect(self, zygote: Zygote, report: Report, ports: tuple[int, ...]) -> None:
        """Take over the descriptors that a zygote sent before it ran a function's code."""
        listeners, notify = report.take_descriptors(len(ports))
        if not zygote.alive:
            for descriptor in (*listeners, *([] if notify is None else [notify])):
                os.close(descriptor)
            return
        if notify is not None:
            zygote.watch = SystemCallWatch(
                notify,
                self._loop,
                lambda call: self._on_denied_call(zygote, call),
                # What nobody hears of must not go on.
                on_failed=lambda _: zygote.close(),
                passing=() if zygote.refused else zygote.asked,
                on_met=lambda name: self._on_met_calls(zygote, (name,)),
            )
            if zygote.asked and not zygote.refused:
                self._on_met_calls(zygote, ())
        elif self.hears_denied_calls:
            self.hears_denied_calls = False
            _log.warning(
                "system calls that a function's filter denies are refused but not recorded: "
                "something outside this node has the listener of its filter, or the kernel is "
                "older than 5.7; casemate doctor says so as well"
            )
        if listeners:
            self._egress.open(zygote.number, dict(zip(ports, listeners, strict=True)), ())
            for descriptor in listeners:
                os.close(descriptor)

    @staticmethod
    async def _opened(
        number: int,
        opened: asyncio.Future[protocol.ZygoteEnded | None],
        timeout: float,  # noqa: ASYNC109
    ) -> protocol.ZygoteEnded | None:
        """Wait for the import; return how it failed, None if it did not."""
        seconds = max(timeout, _IMPORT_SECONDS_LEAST)
        try:
            return await asyncio.wait_for(opened, seconds)
        except TimeoutError:
            reason = (
                f"the import took longer than {seconds:g} s, which is limits.timeout in "
                f"casemate.toml, and {_IMPORT_SECONDS_LEAST:g} s at least"
            )
            return protocol.ZygoteEnded(number, reason, protocol.Fault.FUNCTION)

    @staticmethod
    def _failure(ended: protocol.ZygoteEnded, report: Report) -> CasemateError:
        """Return the error to raise, with the function's own words where there are any."""
        printed = report.printed()
        error = report.error()
        if error is not None:
            return ImportFailedError(error, printed)
        if ended.fault is protocol.Fault.FUNCTION:
            head = ErrorHead("init-error", "InitFailed", ended.reason, "")
            return ImportFailedError(head, printed)
        return UnavailableError(f"The function cannot be started: {ended.reason}.")
