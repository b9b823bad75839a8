"""Measure what runs later: how much of it, beside a task queue, and what a noisy neighbour costs.

    python -m bench.delivery [--json FILE] [--seconds N] [--rounds N]

In each round the same function is called by 64 connections that wait for their answers, and sent
events by 64 that do not; the latter rate is that of events sent *and* run, from the first to the
end of the last. A Celery worker (two processes, kept) does the same work with Valkey as broker,
which keeps on disk what it acknowledges. Then a quiet function is sent 20 events a second, alone
and beside functions that are flooded. Exit codes: 0 measured, 1 not.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from bench.capabilities import CheckoutNode
from bench.client import Connection, Endpoint, encode, event
from bench.environment import INTERPRETER, SOURCES, Environments
from bench.errors import BenchError
from bench.figures import median, p99, percentile
from bench.load import run, run_accepted, spent_by_load
from bench.processes import adopt_orphans, clear_leftovers
from bench.roles import LOAD, ByRole, microseconds
from bench.servers import Server, clean_environment, free_port

ROOT = Path(__file__).parent.parent
CONNECTIONS = 64
TARGET_SHARE = 0.8
"""Of the rate of calls that are waited for."""
_PACE = 20.0
_PREFER = (("Prefer", "respond-async"),)
_MANIFEST = """
[project]
name = "{project}"
"""
_FUNCTION = """
[function.{name}]
handler = "handler:{handler}"
python = "{python}"
isolation = "{isolation}"
limits = {{ concurrency = {concurrency}, queue = 1000 }}
"""
_BENCH = (
    ("fresh", "handle", "request", 16),
    ("reused", "handle", "instance", 16),
    ("quiet", "note", "instance", 1),
    ("noisy", "burn", "request", 16),
)
_CROWD = tuple((f"noisy{n}", "burn", "request", 16) for n in range(3))

Figures = dict[str, Any]


def manifest(project: str, functions: tuple[tuple[str, str, str, int], ...]) -> str:
    """Return a manifest of functions: name, handler, isolation, concurrency."""
    return _MANIFEST.format(project=project) + "".join(
        _FUNCTION.format(
            name=name,
            handler=handler,
            isolation=isolation,
            concurrency=concurrency,
            python=INTERPRETER.minor,
        )
        for name, handler, isolation, concurrency in functions
    )


def later(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose calls are not waited for."""
    return Endpoint(port=endpoint.port, path=endpoint.path, headers=(*endpoint.headers, *_PREFER))


def wait_for(endpoint: Endpoint, seconds: float = 120.0) -> None:
    """Send one more event, and return when it has run: by then all before it were handed out."""
    connection = Connection(endpoint, timeout=30)
    try:
        identity = json.loads(connection.exchange(encode(later(endpoint), event(7))).body)["id"]
        _, _, project, function = endpoint.path.split("/")
        path = f"/api/v1/functions/{project}/{function}/invocations/{identity}"
        lines = [f"GET {path} HTTP/1.1", f"Host: {endpoint.host}:{endpoint.port}"]
        lines += [f"{name}: {value}" for name, value in endpoint.headers]
        asking = "\r\n".join([*lines, "", ""]).encode("latin-1")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            reply = connection.exchange(asking)
            if reply.status != 200:
                raise BenchError(f"a status was answered with {reply.status}: {reply.body!r}")
            if json.loads(reply.body)["finished_at"] is not None:
                return
            time.sleep(0.01)
    finally:
        connection.close()
    raise BenchError(f"an event had not run after {seconds:.0f} s.")


class Reached(Protocol):
    """A node, as far as functions of it are called."""

    def endpoint(self, function: str) -> Endpoint:
        """Return where a function is invoked."""
        ...


def rates(
    node: Reached, function: str, seconds: int, spending: Callable[[], ByRole] = dict
) -> tuple[Figures, dict[str, ByRole]]:
    """Return calls that are waited for, and events that are sent and run, a second.

    Also the microseconds of processor time of both, by what `spending` tells of the node's.
    """
    endpoint = node.endpoint(function)
    run(endpoint, CONNECTIONS, 1)

    def spent() -> ByRole:
        return spending() | {LOAD: spent_by_load()}

    first = spent()
    waited = run(endpoint, CONNECTIONS, seconds)
    second = spent()
    began = time.monotonic()
    accepted = run_accepted(endpoint, CONNECTIONS, seconds)
    wait_for(endpoint)
    through = (accepted.right + 1) / (time.monotonic() - began)
    third = spent()
    if waited.wrong or waited.lost or accepted.wrong or accepted.lost:
        raise BenchError(f"{function}: wrong or lost answers: {waited}, {accepted}.")
    used = {
        "waited_for": microseconds(first, second, waited.right),
        "sent_and_run": microseconds(second, third, accepted.right + 1),
    }
    return {
        "waited_for": waited.per_second,
        "accepted": accepted.per_second,
        "sent_and_run": through,
        "share": through / waited.per_second,
    }, used


# -- a peer ----------------------------------------------------------------------------------------


@contextmanager
def valkey(folder: Path) -> Iterator[int]:
    """Run a Valkey that keeps on disk what it acknowledges; give its port."""
    program = shutil.which("valkey-server") or shutil.which("redis-server")
    if program is None:
        raise BenchError("valkey-server is not installed; `scripts/bootstrap test` installs it.")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    server = Server(command, env=clean_environment(), folder=folder, log=folder / "valkey.log")
    try:
        time.sleep(0.5)
        yield port
    finally:
        server.stop()


def celery_rate(environments: Environments, seconds: int) -> float:
    """Return how many tasks a second a Celery worker with two processes was sent and ran."""
    python = environments.python("celery")
    folder = Path(tempfile.mkdtemp(prefix="cmcelery-", dir="/var/tmp"))
    shutil.copy(SOURCES / "celery" / "work.py", folder)
    shutil.copy(SOURCES / "delivery" / "handler.py", folder)
    try:
        with valkey(folder) as port:
            env = clean_environment(BENCH_PORT=str(port))
            command = [str(python), "-m", "celery", "-A", "work", "worker", "-c", "2"]
            worker = Server(
                [*command, "--loglevel", "ERROR"], env=env, folder=folder, log=folder / "worker.log"
            )
            try:
                done = subprocess.run(
                    [str(python), "work.py", str(seconds), str(port)],
                    cwd=folder,
                    env=env,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=300,
                )
            finally:
                worker.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    words = done.stdout.split()
    if done.returncode != 0 or words[:1] != ["RATE"]:
        raise BenchError(f"the Celery client ended with {done.returncode}: {done.stderr[-500:]}")
    return float(words[1])


# -- neighbours ------------------------------------------------------------------------------------


def quiet_figures(node: CheckoutNode, seconds: float) -> Figures:
    """Send the quiet function an event, and call it, 20 times a second; return both lags in ms."""
    endpoint = node.endpoint("quiet")
    node.ask("quiet", {})
    waits: list[float] = []
    connection, other = Connection(endpoint, 60), Connection(endpoint, 60)
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        if passed * _PACE < sent:
            time.sleep(max(0.0, sent / _PACE - passed))
            continue
        connection.exchange(encode(later(endpoint), {"at": time.time()}))
        before = time.perf_counter()
        other.exchange(encode(endpoint, {"at": time.time()}))
        waits.append((time.perf_counter() - before) * 1000)
        sent += 1
    deadline = time.monotonic() + 60
    lags: list[float] = []
    while len(lags) < 2 * sent and time.monotonic() < deadline:
        lags += node.ask("quiet", {})
        time.sleep(0.1)
    connection.close()
    other.close()
    milliseconds = [lag * 1000 for lag in lags]
    return {
        "sent": sent,
        "missing": 2 * sent - len(lags),
        "event_p50": percentile(milliseconds, 0.5),
        "event_p99": p99(milliseconds),
        "call_p50": percentile(waits, 0.5),
        "call_p99": p99(waits),
    }


@contextmanager
def flood(endpoints: list[Endpoint], seconds: float) -> Iterator[None]:
    """Send functions more than they can run, for as long as the block takes and a little longer."""
    threads = [
        threading.Thread(target=run_accepted, args=(endpoint, 4, int(seconds) + 2))
        for endpoint in endpoints
    ]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def fairness(node: CheckoutNode, seconds: float) -> dict[str, Figures]:
    """Return the quiet function's figures alone, and beside noise of its own and another project.

    The backlog of one part is still there in the next: noise only grows.
    """
    quiet = node.endpoint("quiet")

    def of(project: str, function: str) -> Endpoint:
        return Endpoint(
            port=quiet.port, path=f"/invoke/{project}/{function}", headers=quiet.headers
        )

    found = {"alone": quiet_figures(node, seconds)}
    with flood([of("crowd", name) for name, *_ in _CROWD], seconds):
        found["beside another project"] = quiet_figures(node, seconds)
    with flood([of("bench", "noisy")], seconds):
        found["beside both"] = quiet_figures(node, seconds)
    return found


# -- all of it -------------------------------------------------------------------------------------


def measure(seconds: int, rounds: int) -> Figures:
    """Return all figures."""
    node, environments = CheckoutNode(ROOT), Environments(lambda line: print(line, flush=True))
    try:
        node.deploy(manifest("bench", _BENCH), SOURCES / "delivery")
        crowd = node.folder / "crowd"
        shutil.copytree(SOURCES / "delivery", crowd)
        (crowd / "casemate.toml").write_text(manifest("crowd", _CROWD), "utf-8")
        node.command("deploy", folder=crowd)
        found: dict[str, list[Figures]] = {"fresh": [], "reused": []}
        peer: list[float | None] = []
        for _ in range(rounds):
            for function, figures in found.items():
                figures.append(rates(node, function, seconds)[0])
            peer.append(celery_rate(environments, seconds))
        shared = fairness(node, max(6.0, 2.0 * seconds))
    finally:
        node.close()
    result: Figures = {
        function: {name: median(one[name] for one in figures) for name in figures[0]}
        for function, figures in found.items()
    }
    result["celery"] = median(peer)
    result["quiet"] = shared
    result["met"] = {
        function: (result[function]["share"] or 0) >= TARGET_SHARE for function in found
    }
    return result


def text(result: Figures) -> str:
    """Return the figures as lines."""
    lines = []
    for function in ("fresh", "reused"):
        one = result[function]
        verdict = "met" if result["met"][function] else "MISSED"
        lines.append(
            f"{function:7} waited for {one['waited_for']:7.0f}/s  accepted {one['accepted']:7.0f}/s"
            f"  sent and run {one['sent_and_run']:7.0f}/s  ({one['share']:.0%}, "
            f"at least {TARGET_SHARE:.0%}: {verdict})"
        )
    lines.append(f"celery  sent and run {result['celery']:7.0f}/s")
    lines.append("quiet function, ms         event p50    p99   call p50    p99")
    for name, one in result["quiet"].items():
        lines.append(
            f"  {name:24} {one['event_p50']:9.1f} {one['event_p99'] or 0:6.1f}"
            f"  {one['call_p50']:9.1f} {one['call_p99'] or 0:6.1f}   {one['missing']} missing"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.delivery", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    adopt_orphans()
    try:
        result = measure(arguments.seconds, arguments.rounds)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        clear_leftovers()
    print(text(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
