"""Handing the node over to another version: the same process, its listening socket kept open.

The gateway drains as for a stop, while connections wait in the kernel's queue. Once nothing of the
node runs any more, this process becomes the version that is current by now (execve(2)): it keeps
its pid, so a service manager sees no restart, and the socket, so no connection is refused. Should
that version not come to serve, it becomes the former one again, once.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, MutableMapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from casemate import __version__
from casemate.supervisor.log import report
from casemate.supervisor.options import ServeOptions
from casemate.upgrade.asking import HAND_OVER, OPENED_BY, Requests, State
from casemate.upgrade.errors import UpgradeError
from casemate.upgrade.versions import Versions, program

VARIABLE = "CASEMATE_HANDED_OVER"
"""PID:DESCRIPTOR:FORMER, what one version leaves to the next; FORMER is empty on the way back."""


class Handover:
    """What a supervisor got from the version before, and what it leaves to the next."""

    def __init__(
        self,
        data: Path,
        environ: MutableMapping[str, str] | None = None,
        arguments: Sequence[str] | None = None,
    ) -> None:
        """Take what was left to this process; no child gets to see it."""
        environ = os.environ if environ is None else environ
        left = environ.pop(VARIABLE, "")
        self._environ = dict(environ)
        self._arguments = sys.argv[1:] if arguments is None else list(arguments)
        self._versions = Versions()
        self._kept: socket.socket | None = None
        self._former: Path | None = None
        self._next: Path | None = None
        self._take(left)
        self._data = data
        self._requests: Requests | None = None
        self._not_asked = ""
        self._listen()

    def _listen(self) -> None:
        try:
            self._requests, self._not_asked = Requests(self._data), ""
        except OSError as error:
            self._not_asked = str(error)

    def tell(self) -> None:
        """Say that nobody can ask for a handover, if so: once it is known that the data is ours."""
        if self._requests is None:
            self._listen()  # at a first start the folder is there now
        if self._not_asked:
            report(f"this node cannot be asked to hand over to another version: {self._not_asked}")

    def _take(self, left: str) -> None:
        pid, _, rest = left.partition(":")
        number, _, former = rest.partition(":")
        if pid != str(os.getpid()) or not number.isdecimal():
            return
        try:
            kept = socket.socket(fileno=int(number))
            # Not for the processes of the node, which get a copy where they need one.
            kept.set_inheritable(False)
            kept.getsockname()
        except OSError as error:
            report(f"the socket of the version before cannot be had: {error}")
            return
        self._kept = kept
        self._former = Path(former) if former else None

    @property
    def due(self) -> bool:
        """Whether this process is to become another version once the node has ended."""
        return self._next is not None

    def listener(self) -> socket.socket | None:
        """Return the bound socket of the version before, None at a start of its own."""
        return None if self._kept is None else _copy(self._kept)

    def options(self, options: ServeOptions) -> ServeOptions:
        """Return the options without what was meant for one start, of which this is not one."""
        if self._kept is None:
            return options
        return replace(options, recover_owner=False, tls_new_authority=False, accepted_losses=())

    def served(self) -> None:
        """Take note that this version serves: there is no way back any more."""
        self._former = None
        if self._kept is not None and not self.due:
            self._kept.close()
            self._kept = None

    def look(
        self,
        listener: socket.socket,
        problem: Callable[[], str],
        drain: Callable[[], None],
        *,
        opened_by: Callable[[str], None],
        serving: bool,
        calls: int = 0,
    ) -> None:
        """Answer who asks, if somebody does.

        `problem` says what else is in the way; `drain` is called when the node is to end for it,
        `opened_by` with where the vault's master key may be from now on. `calls` run or wait to.
        """
        asked = None if self._requests is None else self._requests.next()
        if asked is None or self._requests is None:
            return
        request, sender = asked
        refused = ""
        if request.startswith(OPENED_BY):
            opened_by(request.removeprefix(OPENED_BY).decode(errors="replace"))
        if request == HAND_OVER and not self.due:
            refused = "it does not serve" if not serving else problem() or self._prepare(listener)
            report(
                f"it does not hand over: {refused}"
                if refused
                else f"it hands over to {self._next}: running calls are finished first"
            )
        state = State(
            version=__version__,
            prefix=str(self._versions.own),
            serving=serving,
            handing_over=self.due,
            calls=calls,
            problem=refused,
        )
        self._requests.answer(sender, state)
        if request == HAND_OVER and self.due and not refused:
            drain()

    def _prepare(self, listener: socket.socket) -> str:
        """Keep what the next version needs; return what is in the way."""
        try:
            target = self._versions.current()
            if target is None:
                return f"{self._versions.folder} names no current version"
            if self._arguments[:1] != ["serve"]:
                return "it was not started by `casemate serve`"
            self._kept = _copy(listener)
        except (OSError, UpgradeError) as error:
            return str(error)
        self._next = target
        return ""

    def cancel(self) -> None:
        """End without another version: somebody wants the node to stop."""
        self._next = self._former = None
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def go_on(self) -> None:
        """Become the next version, if one is due; nothing of the node may run any more."""
        if self._next is None or self._kept is None:
            return
        if self._requests is not None:
            self._requests.close()
        try:
            self._become(self._next, former=str(self._versions.own))
        except OSError as error:
            report(f"{self._next} cannot be started, {self._versions.own} goes on: {error}")
            self._become(self._versions.own, former="")

    def go_back(self, error: Exception) -> None:
        """Become the former version, if this one did not come to serve after it."""
        if self._former is None or self._kept is None:
            return
        report(f"this version does not start: {error}")
        report(f"{self._former} goes on")
        self._become(self._former, former="")

    def _become(self, environment: Path, *, former: str) -> None:
        if self._kept is None:
            return
        self._kept.set_inheritable(True)
        left = f"{os.getpid()}:{self._kept.fileno()}:{former}"
        command = program(environment, self._arguments)
        os.execve(command[0], command, {**self._environ, VARIABLE: left})  # noqa: S606  # nosec B606

    def close(self) -> None:
        """Give back the name by which the node is asked."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None


def _copy(listener: socket.socket) -> socket.socket:
    """Return another descriptor of a socket.

    Not `dup` of the socket, which would have it block again: for the gateway too, which accepts.
    """
    return socket.socket(fileno=os.dup(listener.fileno()))
