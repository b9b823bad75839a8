"""Start a server, wait for its first right answer, end it with everything it started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.client import Connection, Endpoint, Reply, encode, event, is_right
from bench.errors import StartError
from bench.processes import ProcessId, end_with_parent, kill, tree

POLL = 0.001
GRACE = 5.0


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**more: str) -> dict[str, str]:
    """Return an environment without the settings of the shell the run was started from."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | more


class Server:
    """A server process in a session of its own, its output in `log`."""

    def __init__(
        self, command: Sequence[str], *, env: dict[str, str], folder: Path, log: Path
    ) -> None:
        """Start it. `started` is the clock (time.perf_counter) just before."""
        self.log = log
        with log.open("wb") as output:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    @property
    def process(self) -> int:
        """The id of the first process."""
        return self._process.pid

    def processes(self) -> list[ProcessId]:
        """Return all its processes."""
        return tree(self._process.pid)

    def ended(self) -> bool:
        """Tell whether the first process has ended."""
        return self._process.poll() is not None

    def tail(self) -> str:
        """Return the last lines of its output, for an error message."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return " | ".join(text.split("\n")[-6:]).strip(" |")

    def stop(self) -> None:
        """Ask it to end; kill what is left after 5 seconds. Stopping twice is fine."""
        known = set(self.processes())
        if not self.ended():
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(GRACE)
            except subprocess.TimeoutExpired:
                known |= set(self.processes())
                self._process.kill()
                self._process.wait()
        kill(known)


def first_answer(server: Server, endpoint: Endpoint, timeout: float = 30.0) -> float:
    """Return the milliseconds from the start of the process to its first right answer.

    Asks again each millisecond. Raises StartError if the server ends, answers 200 with something
    wrong, or takes longer than `timeout` seconds.
    """
    request = encode(endpoint, event(0))
    last: Reply | Exception | None = None
    while time.perf_counter() - server.started < timeout:
        try:
            connection = Connection(endpoint, timeout)
            try:
                last = connection.exchange(request)
            finally:
                connection.close()
        except (OSError, ValueError) as error:
            last = error
        else:
            if is_right(last, 0):
                return (time.perf_counter() - server.started) * 1000
            if last.status == 200:
                break
        if server.ended():
            break
        time.sleep(POLL)
    raise StartError(
        f"No right answer from {endpoint.url}; the last was {last!r}. Its output: {server.tail()}",
        next_step=f"Read {server.log}.",
    )
