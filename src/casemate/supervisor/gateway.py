"""The gateway's process as the supervisor has it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

import msgspec

from casemate.child.heartbeat import Pulse
from casemate.model.processes import GatewayConfig

_BOUND, _MODULE = "casemate.child.bound", "casemate.gateway.process"
_END_SECONDS = 5.0
_TIME_ZONES = {
    "PYTHONTZPATH": "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo"
}
"""Where Python is built to look for them. Without it `zoneinfo` reads how Python was built, a table
of a megabyte that stays. What a host has elsewhere is among its packages (tzdata), as before."""


def _documented(environ: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would take docstrings away: what the API says of itself is made of them."""
    return {name: value for name, value in environ.items() if name != "PYTHONOPTIMIZE"}


class GatewayProcess:
    """The gateway, whichever it is at the time."""

    def __init__(self) -> None:
        """Start none yet."""
        self._process: subprocess.Popen[bytes] | None = None
        self.pulse: Pulse | None = None
        """That of the last one."""

    @property
    def started(self) -> bool:
        """Whether there ever was one."""
        return self._process is not None

    @property
    def served(self) -> bool:
        """Whether the last one has answered requests."""
        return self.pulse is not None and self.pulse.felt

    @property
    def calls(self) -> int:
        """How many calls the last one had a moment ago, 255 for that or more."""
        return 0 if self.pulse is None else self.pulse.busy

    def next_pulse(self) -> Pulse:
        """Return the pulse of the one that is about to be started."""
        if self.pulse is not None:
            self.pulse.close()
        self.pulse = Pulse()
        return self.pulse

    def start(
        self,
        config: GatewayConfig,
        descriptors: Sequence[int],
        environment: Mapping[str, str] = {},
    ) -> None:
        """Start one that inherits these, with more in its environment. Raises OSError."""
        self._process = subprocess.Popen(
            [
                # -P: modules are not looked for where the operator stands.
                *(sys.executable, "-P", "-m", _BOUND, str(os.getpid())),
                *(_MODULE, msgspec.json.encode(config).decode()),
            ],
            pass_fds=descriptors,
            env={**_TIME_ZONES, **_documented(os.environ), **environment},
            stdin=subprocess.DEVNULL,
            # Signals of the terminal reach the supervisor alone, which passes them on.
            start_new_session=True,
        )

    @property
    def lives(self) -> bool:
        """Whether there is one now."""
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it lives."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once."""
        self.send(signal.SIGKILL)

    def end(self) -> None:
        """End it at once, and wait for that."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def wait(self) -> int:
        """Wait for its end, which is due, and return its exit code."""
        if self._process is None:
            return 0
        try:
            return self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
