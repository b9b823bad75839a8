"""Measure egress by the proxy against direct connections, on loopback.

    python -m bench.egress [--json] [--requests N] [--rounds N]

Client, origin and proxy are pinned to cores: a reply on the same core takes a tenth of the time of
one that wakes another core, and left alone the scheduler chooses anew in each run. `one core`
compares the work; `two cores` (the origin on the second) is nearer to an origin elsewhere. Direct
and proxied rounds alternate; each figure is the median of the rounds, with lowest and highest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from casemate.child.start import Child
from casemate.egress import EgressClient, EgressConfig, protocol
from casemate.egress.start import PROGRAM
from casemate.model.grant import Grant, GrantKind

LARGE = 256 << 20
FORWARD = 15432
_REQUEST = b"x" * 100
Results = dict[str, dict[str, dict[str, float]]]
"""Measure, then direct or proxied, then median, low, high."""


def _serve(sock: socket.socket) -> None:
    """Answer each small request with one of the same size, `L` with LARGE bytes."""
    block = bytes(1 << 20)
    with sock:
        while data := sock.recv(4096):
            if data == b"L":
                for _ in range(LARGE // len(block)):
                    sock.sendall(block)
            else:
                sock.sendall(data)


def _origin(core: int, port: Connection) -> None:
    """Run an origin on a core; send its port."""
    os.sched_setaffinity(0, {core})
    server = socket.create_server(("127.0.0.1", 0), backlog=512)
    port.send(server.getsockname()[1])
    while True:
        sock, _ = server.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_serve, args=(sock,), daemon=True).start()


def _kept(address: tuple[str, int], count: int) -> float:
    with socket.create_connection(address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        times = []
        for _ in range(count):
            started = time.perf_counter()
            sock.sendall(_REQUEST)
            sock.recv(4096)
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def _new(address: tuple[str, int], count: int) -> float:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        with socket.create_connection(address) as sock:
            sock.sendall(_REQUEST)
            sock.recv(4096)
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def _large(address: tuple[str, int], _count: int) -> float:
    with socket.create_connection(address) as sock:
        started = time.perf_counter()
        sock.sendall(b"L")
        left = LARGE
        while left:
            left -= len(sock.recv(1 << 18))
        return LARGE / (time.perf_counter() - started) / 1e6


MEASURES: dict[str, Callable[[tuple[str, int], int], float]] = {
    "kept connection, us p50": _kept,
    "new connection, us p50": _new,
    "throughput, MB/s": _large,
}


def _summary(rounds: list[float]) -> dict[str, float]:
    return {"median": statistics.median(rounds), "low": min(rounds), "high": max(rounds)}


async def _measure(core: int, origin_core: int, count: int, rounds: int) -> Results:
    """Return each figure, direct and proxied, with everything but the origin on `core`."""
    receiving, sending = multiprocessing.Pipe(duplex=False)
    origin = multiprocessing.Process(target=_origin, args=(origin_core, sending), daemon=True)
    origin.start()
    port = receiving.recv()
    os.sched_setaffinity(0, {core})
    uid = 64_803 if os.geteuid() == 0 else None
    process = Child(
        PROGRAM, lambda control, heart: EgressConfig(control=control, heart=heart, uid=uid)
    )
    process.receive_ready()
    ours, theirs = protocol.BOUNDS.pair()
    with theirs:
        process.pass_connection(theirs.fileno())
    client = EgressClient(ours, asyncio.get_running_loop(), on_event=lambda _event: None)
    inside = f"127.{random.randint(1, 250)}.{random.randint(1, 250)}.2"
    grant = Grant(
        kind=GrantKind.EGRESS,
        name=f"127.0.0.1:{port}",
        actions=("connect",),
        forward=FORWARD,
        private=True,
    )
    with socket.create_server((inside, FORWARD), backlog=128) as listener:
        client.open(1, {FORWARD: listener.fileno()}, (grant,))
    results: Results = {}
    for name, run in MEASURES.items():
        await asyncio.to_thread(run, (inside, FORWARD), 20)
        direct, proxied = [], []
        for _ in range(rounds):
            direct.append(await asyncio.to_thread(run, ("127.0.0.1", port), count))
            proxied.append(await asyncio.to_thread(run, (inside, FORWARD), count))
        results[name] = {"direct": _summary(direct), "proxied": _summary(proxied)}
    client.shut_down()
    await asyncio.to_thread(process.close)
    origin.kill()
    origin.join()
    return results


def measure(count: int, rounds: int) -> dict[str, Results]:
    """Return the results by placement."""
    cores = sorted(os.sched_getaffinity(0))
    placements = {"one core": (cores[0], cores[0])}
    if len(cores) > 1:
        placements["two cores"] = (cores[0], cores[1])
    return {
        name: asyncio.run(_measure(core, origin_core, count, rounds))
        for name, (core, origin_core) in placements.items()
    }


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    results = measure(arguments.requests, arguments.rounds)
    if arguments.json:
        print(json.dumps(results, indent=2))
        return 0
    for placement, figures in results.items():
        for name, sides in figures.items():
            texts = [
                f"{side} {v['median']:8.1f} ({v['low']:.1f} to {v['high']:.1f})"
                for side, v in sides.items()
            ]
            ratio = sides["proxied"]["median"] / sides["direct"]["median"]
            print(f"{placement:10} {name:24} {'  '.join(texts)}  ratio {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
