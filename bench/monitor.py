"""Measure the monitor: from a fact to the alert at a webhook, while thousands a second happen.

    python -m bench.monitor [--facts PER_SECOND] [--seconds N]

Vault, recorder and monitor are the processes of a node, started and confined as there; the gateway
is played by its own end of the recorder. The webhook is on this machine. Exit codes: 0 measured; 1
a target was missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvloop

from bench.figures import percentile
from bench.processes import spent
from casemate.facts import FactStream
from casemate.folder.folders import Folders
from casemate.model.facts import Fact, InvocationEnded, OperationPerformed, SignedIn
from casemate.model.processes import GATEWAY_UID, MONITOR_UID, RECORDER_UID, SANDBOX_UID, VAULT_UID
from casemate.monitor import MonitorClient
from casemate.monitor.settings import MonitorSettings
from casemate.recorder import RecorderClient, outstanding
from casemate.recorder.memories import Memories
from casemate.sandbox.staging import Staging
from casemate.set_clock import DeletingClock
from casemate.supervisor.recording import Recording
from casemate.supervisor.vault import NodeVault
from casemate.vault import VaultClient, seal_value

TARGET_P50, TARGET_P99 = 0.100, 1.0
TARGET_MEMORY, TARGET_TOGETHER = 60 << 20, 120 << 20
_PROBES_PER_SECOND = 8
_TICK_SECONDS = 0.01
_SECRET = "ops/alerts"
_RULE = """
title: Probe {n}
id: 00000000-0000-4000-8000-{n:012d}
name: probe-{n}
logsource: {{product: casemate}}
detection:
  selection:
    metadata.event_code: SignedIn
    actor.user.name: 'user:probe-{n}'
  condition: selection
level: high
---
"""


class Receiver:
    """A webhook that notes when each alert came."""

    def __init__(self) -> None:
        """Listen on a free port."""
        self.came: dict[str, float] = {}
        came = self.came

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                now = time.time()
                body = self.rfile.read(int(self.headers["content-length"]))
                for found in msgspec.json.decode(body)["findings"]:
                    came.setdefault(found["rule"], now)
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server.server_address[1]}/"


def _fact(number: int) -> Fact:
    now = time.time()
    match number % 4:
        case 0:
            return SignedIn(
                at=now, by=f"user:u{number % 40}", remote_address="192.0.2.7", method="password"
            )
        case 1:
            return InvocationEnded(
                at=now, project="shop", function="orders", version=number % 200, outcome="ok"
            )
        case _:
            return OperationPerformed(
                at=now,
                by=f"user:u{number % 40}",
                remote_address="192.0.2.7",
                project=f"p{number % 8}",
                operation="deployFunctions",
                effect="change",
                action="function:deploy",
                resource=f"project:p{number % 8}",
            )


def _supervise(recording: Recording, stopping: threading.Event) -> None:
    starters = {each.fileno(): each for each in (recording.recorder, recording.monitor)}
    while not stopping.is_set():
        for descriptor in select.select(list(starters), [], [], 0.1)[0]:
            starters[descriptor].serve()


def _memory(pid: int | None) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) << 10
    return 0


def _cpu(pid: int | None) -> float:
    return spent(Path(f"/proc/{pid}/stat").read_text(), children=False)


def _shown(name: str, value: str, met: bool, target: str) -> bool:
    print(f"{name:<34} {value:>12}  ({'met' if met else 'MISSED'}: {target})")
    return met


class Measured(NamedTuple):
    """What one run has found."""

    took: list[float]
    """Seconds from fact to alert."""
    missing: int
    """Alerts that did not come."""
    monitor: int
    """Bytes of memory."""
    recorder: int
    monitor_cpu: float
    """Seconds of processor time while facts came."""
    recorder_cpu: float

    def quantile(self, part: float) -> float:
        """Return within how many seconds this part of the alerts came."""
        return percentile(self.took, part) if self.took else float("inf")


async def measure(
    folder: Path,
    rate: int,
    seconds: int,
    *,
    more: dict[str, Any] | None = None,
    also: Callable[[RecorderClient, int], None] = lambda _recorder, _number: None,
) -> Measured:
    """Have things happen with `more` settings; `also` is called with the number of each."""
    loop, root = asyncio.get_running_loop(), os.geteuid() == 0
    data, receiver, probes = folder / "data", Receiver(), seconds * _PROBES_PER_SECOND
    rules = folder / "rules"
    rules.mkdir()
    (rules / "probes.yml").write_text("".join(_RULE.format(n=n) for n in range(probes)))
    settings = msgspec.convert(
        {
            "rules": str(rules),
            "alerts": {
                "hook": {
                    "kind": "webhook",
                    "url": receiver.url,
                    "secret": _SECRET,
                    "level": "high",
                    "per_minute": 600,
                    "accept": ["private", "plaintext"],
                }
            },
            **(more or {}),
        },
        MonitorSettings,
    )
    folders = Folders(data)
    uids = (GATEWAY_UID, VAULT_UID, RECORDER_UID, MONITOR_UID)
    folders.make(*(uids if root else (None, None, None, None)))
    vault = NodeVault(folders, f"file:{folder / 'key'}", (), root=root, monitors=settings.secrets)
    gateway_vault = VaultClient(vault.connect(), loop)
    sealed = seal_value(await gateway_vault.public_key(), "ops", "alerts", b"whatever it is")
    await gateway_vault.put_secret("ops", "alerts", sealed, "user:bench")
    staging = Staging(
        SANDBOX_UID if root else None, GATEWAY_UID if root else None, f"bench-{os.getpid()}"
    )
    memories = Memories(f"bench-{os.getpid()}", print)
    recording = Recording(
        folders,
        vault,
        settings,
        memories,
        journal=staging.visible(str(folders.journal)),
        node="bench",
        own_addresses=(),
        root=root,
        accept_loss=False,
        accept_records_loss=False,
        clock=DeletingClock().believed,
    )
    stopping, facts = threading.Event(), FactStream()
    supervisor = threading.Thread(target=_supervise, args=(recording, stopping))
    supervisor.start()
    # Not one of `memories`: their locks are a process's, and here the supervisor is the same one.
    memory = os.memfd_create("outstanding")
    os.ftruncate(memory, outstanding.SIZE)
    recorder = RecorderClient(recording.recorder.gateway_end, loop, facts, memory)
    monitor = MonitorClient(recording.monitor.gateway_end, loop)
    await recorder.ready()
    while (await monitor_state(monitor)) is None:
        await asyncio.sleep(0.1)
    try:
        pids = recording.monitor.pid, recording.recorder.pid
        before = [_cpu(pid) for pid in pids]
        told = await _load(facts, rate, seconds, probes, lambda n: also(recorder, n))
        await asyncio.sleep(2.0)
        used = [_cpu(pid) - ago for pid, ago in zip(pids, before, strict=True)]
        came = receiver.came
        took = [came[rule] - at for rule, at in told.items() if rule in came]
        return Measured(took, len(told) - len(took), *map(_memory, pids), *used)
    finally:
        monitor.close()
        await recorder.close()
        gateway_vault.close()
        stopping.set()
        supervisor.join()
        recording.recorder.close()
        recording.monitor.close()
        vault.close()
        memories.close()
        staging.close()
        receiver.server.shutdown()


async def monitor_state(monitor: MonitorClient) -> object | None:
    """Return how the channels are, None while there is no monitor."""
    from casemate.model.errors import CasemateError

    try:
        return await monitor.alerts()
    except CasemateError:
        return None


async def _load(
    facts: FactStream, rate: int, seconds: int, probes: int, also: Callable[[int], None]
) -> dict[str, float]:
    """Have things happen, evenly; return when each probe did."""
    told: dict[str, float] = {}
    began, number = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        while number < elapsed * rate:
            facts.happened(_fact(number))
            also(number)
            number += 1
        while len(told) < min(probes, elapsed * _PROBES_PER_SECOND):
            n, now = len(told), time.time()
            told[f"probe-{n}"] = now
            facts.happened(SignedIn(at=now, by=f"user:probe-{n}", method="password"))
        await asyncio.sleep(_TICK_SECONDS)
    print(f"{number} facts in {seconds} s, {len(told)} of them to be told")
    return told


def _report(found: Measured) -> bool:
    met = _shown("alerts that did not come", str(found.missing), found.missing == 0, "none")
    if not found.took:
        return False
    p50, p99 = found.quantile(0.5), found.quantile(0.99)
    met &= _shown("fact to alert, p50", f"{1000 * p50:.1f} ms", p50 <= TARGET_P50, "at most 100 ms")
    met &= _shown("fact to alert, p99", f"{1000 * p99:.1f} ms", p99 <= TARGET_P99, "at most 1 s")
    monitor, both = found.monitor, found.monitor + found.recorder
    met &= _shown("monitor", f"{monitor / (1 << 20):.1f} MB", monitor <= TARGET_MEMORY, "60 MB")
    met &= _shown("with recorder", f"{both / (1 << 20):.1f} MB", both <= TARGET_TOGETHER, "120 MB")
    return met


def main() -> int:
    """Run and print; return the exit code."""
    grammar = argparse.ArgumentParser(prog="python -m bench.monitor", description="The monitor.")
    grammar.add_argument("--facts", type=int, default=2000, help="a second (default 2000)")
    grammar.add_argument("--seconds", type=int, default=20, help="for so long (default 20)")
    chosen = grammar.parse_args()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        found = uvloop.run(measure(Path(folder), chosen.facts, chosen.seconds))
    return 0 if _report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
