"""The gateway's way to the supervisor: opens zygotes, has them fork, hears of deaths."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from casemate.egress.interface import Egress
from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, UnavailableError
from casemate.model.function import Layout, Trust
from casemate.model.grant import Grant, GrantKind
from casemate.runner import control
from casemate.runner.network import PROXY_PORT
from casemate.sandbox import protocol
from casemate.sandbox.dependency_zygotes import DependencyZygote, DependencyZygotes, Kind
from casemate.sandbox.frames import ErrorHead
from casemate.sandbox.meter import Meters
from casemate.sandbox.report import Report
from casemate.sandbox.restorer import RestorerLink
from casemate.sandbox.system_calls import DeniedCall, SystemCallWatch
from casemate.sandbox.zygote import SupervisorLostError, Zygote, is_restorable
from casemate.sandbox.zygotes import Zygotes

_log = logging.getLogger(__name__)
_MAX_PACKETS_PER_TURN = 64
_IMPORT_SECONDS_LEAST = 10.0
_decode_event = msgspec.json.Decoder(protocol.Event).decode


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
Loaded = Callable[[Version, list[str], bool], None]
"""Takes which files of dependencies a version has loaded, and whether a call did."""
Replaced = Callable[[str, tuple[str, ...], int], None]
"""Takes a minor version, some files that it runs with and that were replaced, and their number."""
Require = Callable[[Version], Awaitable[None]]
"""Raises CasemateError if nobody vouches for a version."""
Narrow = Callable[[Version, tuple[Grant, ...]], tuple[Grant, ...]]
"""Gives those of a version's grants that hold."""


CutOff = Callable[[Version], tuple[str, ...]]
"""Gives the hosts that a version's connections are cut off from."""
Usual = Callable[[Version], tuple[tuple[str, ...], bool]]
"""Gives the shapes at sinks that are usual of a version, and whether others are refused."""
Asked = Callable[[Version], tuple[tuple[str, ...], bool]]
"""Gives the system calls about which a version's filter asks, and whether they are refused."""


class SandboxClient:
    """One per gateway."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        *,
        zygotes: Zygotes,
        bundles: BundleSource,
        require: Require,
        egress: Egress,
        on_denied_call: Callable[[Zygote, DeniedCall], None],
        on_filter_kill: Callable[[Zygote, str], None],
        on_loaded: Loaded | None = None,
        on_replaced: Replaced = lambda *_: None,
        learn: bool = False,
        variables: Variables | None = None,
        narrow: Narrow | None = None,
        usual: Usual | None = None,
        asked: Asked | None = None,
        on_met_calls: Callable[[Zygote, tuple[str, ...]], None] = lambda *_: None,
        cut: CutOff | None = None,
        dependencies: Callable[[str], str | None] | None = None,
    ) -> None:
        """Speak to the supervisor over a connected SOCK_SEQPACKET socket. Fills `zygotes`.

        `on_denied_call` is told of system calls that a function did not get, `on_filter_kill` of
        an instance, and the invocation that it served, that its filter has ended. What `require`
        lets pass is started, and no other. With `learn`
        every function finds the proxy, granted or not. `variables` gives what the environment of
        a project's functions holds beside their own, `narrow` what of its grants of egress a
        version has now, `usual` which shapes at sinks are usual of it and whether others are
        refused, `asked` about which system calls its filter asks and whether they are refused; if
        not, `on_met_calls` is told of them, and of none when it begins. `on_loaded` is told which
        files of dependencies a version has loaded, `on_replaced` that files of an interpreter were
        replaced on the host. `cut` gives which hosts nothing of a version goes to, whatever it is
        granted. `dependencies` tells what a bundle shares with others of equal dependencies;
        without it none are imported ahead.
        """
        sock.setblocking(False)
        # Room for a burst of requests while the supervisor is busy; a full socket is an error.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self._sock = sock
        self.loop = loop
        self._bundles = bundles
        self._require = require
        self._egress = egress
        self._on_denied_call = on_denied_call
        self.on_filter_kill = on_filter_kill
        self._on_loaded = on_loaded
        self._on_replaced = on_replaced
        self._learn = learn
        self._variables = variables
        self._narrow = narrow
        self._usual = usual
        self._asked = asked
        self._on_met_calls = on_met_calls
        self._cut = cut
        self.hears_denied_calls = True
        """False once a function's filter was found to have no listener."""
        self._numbers = itertools.count(1)
        self._zygotes = zygotes
        self._dependencies = dependencies
        self.ahead = DependencyZygotes(self, bundles, egress, self._numbers, self._kind_of)
        """Zygotes that have imported dependencies and are no function's yet."""
        self._opening: dict[int, asyncio.Future[protocol.ZygoteEnded | None]] = {}
        self.problems: dict[str, str] = {}
        """Interpreters that cannot be used now, by minor version, and why."""
        self._restorer: RestorerLink | None = None
        self.meters = Meters(loop)
        self.lost: asyncio.Future[None] = loop.create_future()
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, request: protocol.Request, descriptors: list[int] | tuple[int, ...]) -> None:
        """Send a request. Raises SupervisorLostError."""
        payload = msgspec.json.encode(request)
        try:
            if descriptors:
                socket.send_fds(self._sock, [payload], descriptors)
            else:
                self._sock.send(payload)
        except OSError as error:
            raise SupervisorLostError(f"the supervisor takes no requests: {error}") from error

    @property
    def restores(self) -> bool:
        """Whether instances can be restored after a call, instead of forked for each."""
        return self._restorer is not None

    def make_ready(self, zygote: int, instance: int) -> bool:
        """Have an instance be as it was at its first call; False if nobody can be asked."""
        return self._restorer is not None and self._restorer.ask(zygote, instance)

    def prepare(self, minor: str) -> None:
        """Have an interpreter ready for the first call."""
        self.send(protocol.Prepare(minor), ())

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

        `begun` is called with one that has imported while the files of its bundle are still looked
        at: instances can be asked for meanwhile, which get no event before that has ended. If it
        comes to nothing they are ended, and `begun` may be called with another one.

        Raises ImportFailedError with the function's own error, UnavailableError otherwise.
        """
        await self._require(version)
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
        opened: asyncio.Future[protocol.ZygoteEnded | None] = self.loop.create_future()
        self._opening[number] = opened
        ports = egress_ports(egress_grants(version), proxy_always=self._learn)
        try:
            report = Report(self.loop, lambda: self._connect(zygote, report, ports))
        except BaseException:
            self._zygotes.drop(number)
            del self._opening[number]
            self._bundles.release(version.digest)
            raise
        asked = self.loop.time()
        # Beside the import, which takes longer than to look at the files of large dependencies.
        whole = self._looking_at(version)
        try:
            try:
                request = self._request_for(zygote, version, ports, variables, beside)
                with report.other_ends() as descriptors:
                    self.send(request, descriptors)
            except BaseException:
                self._zygotes.drop(number)
                self._bundles.release(version.digest)
                raise
            ended = await self._opened(number, opened, version.spec.limits.timeout)
            if ended is not None:
                raise self._failure(ended, report)
            report.require_descriptors()
            await self._look_on(whole, zygote, begun)
            self.loaded(zygote, report.loaded(), late=False)
            self.ahead.saw(version, report.loaded())
            zygote.seconds = self.loop.time() - asked
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
    async def _look_on(
        whole: asyncio.Future[None], zygote: Zygote, begun: Callable[[Zygote], None]
    ) -> None:
        """Wait until all files were looked at, and until then have instances made meanwhile.

        Not where the module is imported in the instance: then its code ran before that.
        """
        if not whole.done() and zygote.version.spec.trust is Trust.NORMAL:
            begun(zygote)
        await whole
        zygote.found_whole()

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
        opened: asyncio.Future[protocol.ZygoteEnded | None] = self.loop.create_future()
        self._opening[number] = opened
        asked = self.loop.time()
        whole = self._looking_at(version)
        try:
            request = self._request_for(zygote, version, ahead.kind.ports, variables, None)
            prepared = ahead.request
            # What is usual of it may have changed since it was looked at.
            if prepared is None or not prepared.fits(request):
                raise UnavailableError("A dependency zygote does not fit the function any more.")
            self.send(request, ())
            ended = await self._opened(number, opened, version.spec.limits.timeout)
            if report is None:
                raise UnavailableError("It has no report.")
            if ended is not None:
                raise self._failure(ended, report)
            await self._look_on(whole, zygote, begun)
            self.loaded(zygote, report.loaded(), late=False)
            # What it would take to make it again without the other.
            zygote.seconds = ahead.seconds + self.loop.time() - asked
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
            restorable=is_restorable(version, restores=self.restores),
        )

    async def require(self, version: Version) -> None:
        """Raise CasemateError if nobody vouches for a version."""
        await self._require(version)

    def _new(self, number: int, version: Version) -> Zygote:
        """Return the handle of a zygote to open."""
        asked, refused = ((), True) if self._asked is None else self._asked(version)
        # The restorer does not see calls that the listener lets through, nor what they leave.
        restores = self.restores and (refused or not asked)
        zygote = Zygote(self, number, version, restores=restores)
        zygote.asked, zygote.refused = asked, refused
        return zygote

    def renew(self, project: str, function: str) -> None:
        """Have another zygote take the place of those that ask about other calls than they would.

        It is made soon, and beside the one before, which serves until then.
        """
        for number in self._zygotes.numbers():
            zygote = self._zygotes.get(number)
            if zygote is None or self._asked is None:
                continue
            version = zygote.version
            if (version.project, version.function) == (project, function):
                now_asked = self._asked(version)
                zygote.outdated = zygote.outdated or now_asked != (zygote.asked, zygote.refused)

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
                self.loop,
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

    def let_out(self, zygote: Zygote) -> None:
        """Tell the proxy what a zygote's version may reach."""
        grants = egress_grants(zygote.version)
        if self._narrow is not None:
            grants = self._narrow(zygote.version, grants)
        # Before: nothing of it gets out until the proxy knows what it is cut off from.
        self._cut_off(zygote)
        self._egress.grant(zygote.number, grants)

    def cut_off(self) -> None:
        """Have what is open cut off from the hosts that hold now."""
        for number in self._zygotes.numbers():
            zygote = self._zygotes.get(number)
            if zygote is not None:
                self._cut_off(zygote)

    def _cut_off(self, zygote: Zygote) -> None:
        if self._cut is not None:
            self._egress.cut(zygote.number, self._cut(zygote.version))

    def files_of(self, zygote: Zygote) -> int:
        """Return the bytes of a zygote's files, its part of those that others have too."""
        return self._bundles.size(zygote.version.digest)

    def loaded(self, zygote: Zygote, files: list[str], *, late: bool) -> None:
        """Tell which files of dependencies were loaded, at import or `late`, in a call."""
        if files and self._on_loaded is not None:
            self._on_loaded(zygote.version, files, late)

    def forget(self, zygote: Zygote) -> None:
        """Release what an ended zygote needed."""
        if zygote.watch is not None:
            zygote.watch.close()
        self._egress.close(zygote.number)
        self._bundles.release(zygote.version.digest)
        if zygote.ahead is not None:
            self.ahead.release_files(zygote.ahead)

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
            reason = f"the import took longer than {seconds:g} s"
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

    def _readable(self) -> None:
        for _ in range(_MAX_PACKETS_PER_TURN):
            try:
                data, descriptors, _ = control.receive_packet(self._sock, protocol.MAX_PACKET)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            if not data:
                self._supervisor_lost()
                return
            event = _decode_event(data)
            if isinstance(event, protocol.Restorer):
                self._on_restorer(event, descriptors)
                continue
            for descriptor in descriptors:
                os.close(descriptor)
            self._on_event(event)

    def _on_event(self, event: protocol.Event) -> None:
        if isinstance(event, protocol.RuntimeReplaced):
            self._on_replaced(event.python, event.files, event.count)
            return
        if isinstance(event, protocol.Interpreter):
            self.problems.pop(event.python, None)
            if event.problem:
                self.problems[event.python] = event.problem
            return
        zygote = self._zygotes.get(event.z)
        if zygote is None:
            self.ahead.handle(event)
            return
        opening = self._opening.get(event.z)
        if opening is not None and not opening.done():
            if isinstance(event, protocol.Opened):
                opening.set_result(None)
            elif isinstance(event, protocol.ZygoteEnded):
                opening.set_result(event)
        if isinstance(event, protocol.ZygoteEnded):
            self._zygotes.end(event.z)
        zygote.handle(event)

    def _on_restorer(self, event: protocol.Restorer, descriptors: Sequence[int]) -> None:
        """Speak to another restorer from now on, or to none."""
        if self._restorer is not None:
            self._restorer.close()
            self._restorer = None
        for descriptor in descriptors:
            if event.problem or self._restorer is not None:
                os.close(descriptor)
            else:
                self._restorer = RestorerLink(descriptor, self.loop, self._on_told)

    def _on_told(self, z: int, i: int, ready: bool, cpu_us: int | None) -> None:
        """Take what the restorer says of an instance."""
        zygote = self._zygotes.get(z)
        if zygote is not None:
            if ready:
                zygote.measured(i, cpu_us)
            zygote.made_ready(i, "" if ready else "it is not held by a restorer")

    def _supervisor_lost(self) -> None:
        self.loop.remove_reader(self._sock.fileno())
        if self._restorer is not None:
            self._restorer.close()
        for number in (*self._zygotes.numbers(), *self.ahead.numbers()):
            self._on_event(protocol.ZygoteEnded(number, "the supervisor is gone"))
        if not self.lost.done():
            self.lost.set_result(None)

    @property
    def zygotes(self) -> int:
        """Number of zygotes open or opening."""
        return len(self._zygotes)

    @property
    def instances(self) -> int:
        """Number of instances alive or starting."""
        return self._zygotes.instances
