"""The gateway's way to the supervisor: has zygotes opened, has them fork, hears of deaths."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence

import msgspec

from casemate.decoding import DECODING_ERRORS
from casemate.egress.interface import Egress
from casemate.model.deployment import Version
from casemate.model.grant import Grant, GrantKind
from casemate.runner import control
from casemate.sandbox import protocol
from casemate.sandbox.meter import Meters
from casemate.sandbox.opening import (
    Asked,
    BundleSource,
    Opening,
    Require,
    Usual,
    Variables,
    egress_grants,
)
from casemate.sandbox.restorer import RestorerLink
from casemate.sandbox.system_calls import DeniedCall
from casemate.sandbox.zygote import SupervisorLostError, Zygote
from casemate.sandbox.zygotes import Zygotes

_log = logging.getLogger(__name__)
_MAX_PACKETS_PER_TURN = 64
_decode_event = msgspec.json.Decoder(protocol.Event).decode


Loaded = Callable[[Version, list[str], bool], None]
"""Takes which files of dependencies a version has loaded, and whether a call did."""
Replaced = Callable[[str, tuple[str, ...], int], None]
"""Takes a minor version, some files that it runs with and that were replaced, and their number."""
Narrow = Callable[[Version, tuple[Grant, ...]], tuple[Grant, ...]]
"""Gives those of a version's grants that hold."""
CutOff = Callable[[Version], tuple[str, ...]]
"""Gives the hosts that a version's connections are cut off from."""


class SandboxClient:
    """One per gateway."""

    on_late: Callable[[Version, list[str]], None] | None = None
    """Told which files of dependencies a call has loaded."""

    may_restore = False  # as `opening.Link` says; set once there is a restorer

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
        lets pass is started, and no other. With `learn` every function finds the proxy, granted or
        not. `variables` gives what the environment of
        a project's functions holds beside their own, `narrow` what of its grants of egress a
        version has now, `usual` which shapes at sinks are usual of it and whether others are
        refused, `asked` about which system calls its filter asks and whether they are refused; if
        not, `on_met_calls` is told of them, and of none when it begins. `on_loaded` is told which
        files of dependencies a version has loaded, `on_replaced` that files of an interpreter were
        replaced on the host. `cut` gives which hosts nothing of a version goes to, whatever it is
        granted. `dependencies` tells what a bundle shares with others of equal dependencies;
        without it none are imported ahead.
        """
        self._sock = _with_room(sock)
        self.loop = loop
        self._bundles = bundles
        self._require = require
        self._egress = egress
        self.on_filter_kill = on_filter_kill
        self._on_loaded = on_loaded
        self._on_replaced = on_replaced
        self._narrow = narrow
        self._asked = asked
        self._cut = cut
        self._zygotes = zygotes
        self._opening = Opening(
            self,
            zygotes=zygotes,
            bundles=bundles,
            egress=egress,
            on_denied_call=on_denied_call,
            on_met_calls=on_met_calls,
            learn=learn,
            variables=variables,
            usual=usual,
            asked=asked,
            dependencies=dependencies,
        )
        self.ahead = self._opening.ahead
        """Zygotes that have imported dependencies and are no function's yet."""
        self.problems: dict[str, str] = {}
        """Interpreters that cannot be used now, by minor version, and why."""
        self._restorer: RestorerLink | None = None
        self.meters = Meters(loop)
        self.lost: asyncio.Future[None] = loop.create_future()
        loop.add_reader(sock.fileno(), self._readable)

    def send(self, request: protocol.Request, descriptors: list[int] | tuple[int, ...]) -> None:
        """Send a request. Raises SupervisorLostError, NotTakenError."""
        payload = msgspec.json.encode(request)
        protocol.require_taken(request, payload)
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
        return self._restorer is not None and self._restorer.is_open

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
        """Open a zygote for a version, as `Opening.open` does. Raises what that raises."""
        return await self._opening.open(version, approved=approved, beside=beside, begun=begun)

    @property
    def hears_denied_calls(self) -> bool:
        """False once a function's filter was found to have no listener."""
        return self._opening.hears_denied_calls

    async def require(self, version: Version) -> None:
        """Raise CasemateError if nobody vouches for a version."""
        await self._require(version)

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

    def let_out(self, zygote: Zygote) -> None:
        """Tell the proxy what a zygote's version may reach."""
        grants = egress_grants(zygote.version)
        if self._narrow is not None:
            grants = self._narrow(zygote.version, grants)
        # Before: nothing of it gets out until the proxy knows what it is cut off from.
        self._cut_off(zygote)
        version = zygote.version
        in_tables = GrantKind.EGRESS in version.spec.grants_in_tables
        self._egress.grant(zygote.number, grants, version.function, in_tables=in_tables)

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
        if late and files and self.on_late is not None:
            self.on_late(zygote.version, files)
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
            try:
                event = _decode_event(data)
            except DECODING_ERRORS as error:
                for descriptor in descriptors:
                    os.close(descriptor)
                _log.error("the supervisor has sent what is no event: %s", type(error).__name__)
                self._supervisor_lost()
                return
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
        self._opening.heard(event)
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
                self.may_restore = True

    def _on_told(self, z: int, i: int, ready: bool, pages: int, cpu_us: int | None) -> None:
        """Take what the restorer says of an instance."""
        zygote = self._zygotes.get(z)
        if zygote is not None:
            if ready:
                zygote.measured(i, cpu_us)
            zygote.made_ready(i, "" if ready else "it is not held by a restorer", pages)

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


def _with_room(sock: socket.socket) -> socket.socket:
    """Return a socket that never waits, for which a full one is an error."""
    sock.setblocking(False)
    # For a burst of requests while the supervisor is busy.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
    return sock
