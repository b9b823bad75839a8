"""Nodes of the demo: started, waited for, killed with all that they have started."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from scripts.demo_cluster.errors import DemoError
from scripts.demo_cluster.network import Place

from casemate.model.errors import ProtectionMissingError
from casemate.supervisor.function_ids import function_ids

CASEMATE = str(Path(sys.executable).with_name("casemate"))
_START_SECONDS, _STOP_SECONDS = 90, 40
_KEYS = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
"""Those of the S3-compatible server, which has no others."""


@dataclass(frozen=True)
class Shared:
    """What all nodes are given."""

    folder: Path
    store: str
    objects: str

    @property
    def master_key(self) -> Path:
        """Return the file of the key, made by the first node."""
        return self.folder / "master.key"


@dataclass
class Node:
    """A running node."""

    name: str
    place: Place
    process: subprocess.Popen[bytes]
    started: dict[str, Any]
    """What it said when it began to serve."""

    @property
    def url(self) -> str:
        """Return where it is."""
        return f"http://{self.place.host}:{self.place.port}"

    def kill(self) -> int:
        """Kill it and all that it has started, as a machine that dies; return how many those were.

        Stopped first, so that none of them starts another or says goodbye.
        """
        found = _descendants(self.process.pid)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        self.process.wait()
        return len(found)

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def start(name: str, place: Place, shared: Shared) -> Node:
    """Start a node; it is not waited for."""
    home = shared.folder / name
    home.mkdir()
    command = [*place.prefix, CASEMATE, "serve", "--json", "--data", str(home / "data")]
    command += ["--host", place.host, "--port", str(place.port)]
    command += ["--master-key", f"file:{shared.master_key}"]
    command += ["--store", shared.store, "--objects", shared.objects, *risks(place)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CASEMATE_")}
    with (home / "out").open("wb") as out, (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**kept, **_KEYS},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            start_new_session=True,
        )
    return Node(name, place, process, {})


def risks(place: Place) -> list[str]:
    """Return what the demo's nodes go without, each said by its name."""
    accepted = ["clear-disks"]
    if not place.is_loopback:
        accepted += ["plaintext", "unproved-store"]
    try:
        function_ids(None)
    except ProtectionMissingError:
        accepted.append("shared-uid")
    return [word for risk in accepted for word in ("--accept-risk", risk)]


def wait_until_ready(nodes: Sequence[Node], folder: Path) -> None:
    """Wait until nodes can serve. Raises DemoError with the last words of one that ended."""
    end = time.monotonic() + _START_SECONDS
    for node in nodes:
        while not _is_ready(node):
            if node.process.poll() is not None or time.monotonic() > end:
                log = (folder / node.name / "log").read_text(errors="replace").splitlines()[-12:]
                said = "\n    ".join(log)
                raise DemoError(f"{node.name} does not serve:\n    {said}")
            time.sleep(0.1)
        line = (folder / node.name / "out").read_text().partition("\n")[0]
        node.started = json.loads(line)


def _is_ready(node: Node) -> bool:
    try:
        return httpx2.get(f"{node.url}/api/v1/ready", timeout=3).status_code == 200
    except httpx2.TransportError:
        return False
