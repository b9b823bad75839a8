"""A machine with a node on it, and the bucket that all of them share."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
from scripts.demo_cluster.network import Place
from scripts.demo_cluster.nodes import CASEMATE, risks

from cluster.machines import Machine, Network, run
from support.s3 import HERE

PORT = 8787
KEYS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
_STOP_SECONDS = 40
_KILL_TRIES = 40
_BUCKET = 253


class NodeMachine(Machine):
    """All of a node is killed, frozen and cut off at once. It is root's, as nodes are."""

    def __init__(self, network: Network, number: int, folder: Path, library: Path) -> None:
        """Make it; nothing runs there."""
        super().__init__(network, f"node{number}", 100 + number, folder, library)
        self._device = f"{network.name}{100 + number}i"
        self.place = Place(self.address, PORT, ("nsenter", f"--net=/run/netns/{self.space}"))
        self.url = f"http://{self.address}:{PORT}"
        self.key = ""
        self.frozen = False
        self.was_well = False
        """Since it was started last."""
        self._process: subprocess.Popen[bytes] | None = None

    def start_node(self, store: str, objects: str) -> None:
        """Start it, or start it again; it is not waited for."""
        self.was_well = False
        words = [*self.place.prefix, CASEMATE, "serve", "--json", "--no-playbooks"]
        words += ["--data", str(self.folder / "data"), "--host", self.address]
        words += ["--port", str(PORT), "--master-key", f"file:{self.folder.parent / 'master.key'}"]
        words += ["--store", store, "--objects", objects, *risks(self.place)]
        kept = {name: one for name, one in os.environ.items() if not name.startswith("CASEMATE_")}
        with (self.folder / "out").open("ab") as out, (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                words,
                env={**kept, **KEYS},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        """Tell what a load balancer is told."""
        connection = http.client.HTTPConnection(self.address, PORT, timeout=2)
        try:
            connection.request("GET", "/api/v1/ready")
            is_ready = bool(connection.getresponse().status == 200)
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        self.was_well = self.was_well or is_ready
        return is_ready

    def has_ended(self) -> bool:
        """Tell whether it runs no more, of itself."""
        return self._process is not None and self._process.poll() is not None

    def wait_until_ready(self, seconds: float) -> None:
        """Wait for it. Raises TimeoutError with the last that it said."""
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if time.monotonic() > deadline or self.has_ended():
                raise TimeoutError(f"{self.name} is not ready: {self.said_last()}")
            time.sleep(0.2)

    def said_last(self) -> str:
        """Return the last lines of its log."""
        return " | ".join((self.folder / "log").read_text(errors="replace").splitlines()[-8:])

    def said_key(self) -> str:
        """Return the owner's key, which the first node has told."""
        line = (self.folder / "out").read_text().partition("\n")[0]
        return str(json.loads(line)["key"])

    def wrong(self, part: str) -> str:
        """Return what a part of its health says, as an owner is told."""
        asked = {"authorization": f"Bearer {self.key}"}
        with contextlib.suppress(httpx2.TransportError, KeyError, ValueError, StopIteration):
            told = httpx2.get(f"{self.url}/api/v1/node/health", headers=asked, timeout=3).json()
            return next(one["detail"] for one in told["parts"] if one["name"] == part)
        return ""

    def kill_node(self) -> None:
        """Kill all of it as a machine that dies: nothing starts another or says goodbye."""
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in self._all():
                _signal(pid, number)
        if self._process is not None:
            self._process.wait()
        for _ in range(_KILL_TRIES):  # what was started meanwhile
            if not (left := self.processes()):
                break
            for pid in left:
                _signal(pid, signal.SIGKILL)
            time.sleep(0.05)

    def freeze_node(self) -> None:
        """Stop all of it."""
        self.frozen = True
        for _ in range(2):  # also what was started meanwhile
            for pid in self._all():
                _signal(pid, signal.SIGSTOP)

    def wake_node(self) -> None:
        """Let it go on."""
        for pid in reversed(self._all()):
            _signal(pid, signal.SIGCONT)
        self.frozen = False

    def cut(self, other: str) -> None:
        """Have what is sent to an address reach nobody, without anybody being told."""
        words = ("lladdr", "02:00:00:00:00:01", "dev", self._device, "nud", "permanent")
        run("ip", "-n", self.space, "neigh", "replace", other, *words)

    def join(self) -> None:
        """Send to all again."""
        run("ip", "-n", self.space, "neigh", "flush", "dev", self._device, "nud", "permanent")

    def end(self) -> None:
        """End it, and remove the machine."""
        if self._process is not None and self._process.poll() is None:
            self.join()
            self.wake_node()
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill_node()
        super().end()

    def _all(self) -> list[int]:
        """Return what it started, and what is still there of a start whose parent is gone."""
        found = [self._process.pid] if self._process is not None else []
        found += [pid for pid in self.processes() if pid not in found]
        seen = set(found)
        for one in found:
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{one}/task").iterdir():
                    started = map(int, (task / "children").read_text().split())
                    new = [pid for pid in started if pid not in seen]
                    found += new
                    seen |= set(new)
        return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


@contextlib.contextmanager
def bucket(network: Network, folder: Path) -> Iterator[tuple[str, str]]:
    """Run an S3-compatible server; yield its address, which is its own, and the bucket's URL."""
    address = f"{network.prefix}.{_BUCKET}"
    run("ip", "addr", "add", f"{address}/32", "dev", network.name)
    (folder / "objects").mkdir()
    server = subprocess.Popen(
        ["node", str(HERE / "server.mjs"), str(folder / "objects"), address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        line = server.stdout.readline() if server.stdout is not None else ""
        if not line:
            raise RuntimeError("the S3-compatible server did not start: scripts/bootstrap test")
        endpoint = f"http://{address}:{json.loads(line)['port']}"
        yield address, f"s3://uploads/storm?endpoint={endpoint}&region=us-east-1"
    finally:
        server.kill()
        server.wait()
