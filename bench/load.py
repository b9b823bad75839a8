"""Throughput with wrk: the Lua script beside this file checks every answer."""

from __future__ import annotations

import json
import resource
import subprocess
from pathlib import Path

import msgspec

from bench.client import Endpoint, answer, event
from bench.errors import BenchError
from bench.servers import clean_environment

SCRIPT = Path(__file__).with_name("load.lua")
ACCEPT_SCRIPT = Path(__file__).with_name("accept.lua")
NUMBER = 7
MARK = "RESULT "


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What wrk counted. `wrong` and `lost` are not part of `per_second`."""

    per_second: float
    p50_ms: float
    p99_ms: float
    right: int
    wrong: int
    """Answers that were no 200 or not the right one."""
    lost: int
    """Connections refused or reset, and timeouts of 10 s."""


def parse(output: str) -> Load:
    """Read the script's one line. Raises BenchError if there is none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            return msgspec.convert(json.loads(line[len(MARK) :]), Load)
    raise BenchError(f"wrk gave no result; it said: {output.strip()[-500:]!r}.")


def run(endpoint: Endpoint, connections: int, seconds: int) -> Load:
    """Load an endpoint from one thread over this many keep-alive connections."""
    body = json.dumps(event(NUMBER), separators=(",", ":"))
    expected = json.dumps(answer(NUMBER), separators=(",", ":"))
    return _wrk(endpoint, connections, seconds, SCRIPT, body, expected)


def run_accepted(endpoint: Endpoint, connections: int, seconds: int) -> Load:
    """Do the same with calls whose events are kept, and answered with 202."""
    body = json.dumps(event(NUMBER), separators=(",", ":"))
    return _wrk(endpoint, connections, seconds, ACCEPT_SCRIPT, body)


def spent_by_load() -> float:
    """Return the seconds on a processor of the loads that have ended, and of other children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wrk(endpoint: Endpoint, connections: int, seconds: int, script: Path, *arguments: str) -> Load:
    command = ["wrk", "--threads", "1", "--connections", str(connections)]
    command += ["--duration", f"{seconds}s", "--timeout", "10s", "--script", str(script)]
    command += [endpoint.url, "--", *arguments]
    command += [part for header in endpoint.headers for part in header]
    result = subprocess.run(
        command,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 30,
    )
    if result.returncode != 0:
        raise BenchError(f"wrk ended with {result.returncode}: {result.stderr.strip()[-500:]}")
    return parse(result.stdout + result.stderr)
