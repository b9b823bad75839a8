"""Measure capability calls, egress from a sandbox, and the invoke path against an older checkout.

    python -m bench.capabilities [--quick] [--json FILE] [--before FOLDER]

Calls are timed inside the handler. Egress is the same request from the sandbox by the proxy and
from an ordinary process to the same local server. `--before` names a checkout of Casemate, such as
a worktree of commit 8a14233; its node and this one are measured in turns, with the other at rest,
and compared within each round. Exit codes: 0 measured, whether or not targets are met; 1 not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import load
from bench.client import Connection, Endpoint, encode
from bench.environment import HANDLERS, INTERPRETER, SOURCES, check_tools
from bench.errors import BenchError, DeployError, StartError, WrongAnswerError
from bench.figures import p99, percentile, rotated
from bench.local_server import LocalServer
from bench.measure import latency
from bench.processes import adopt_orphans, clear_leftovers
from bench.servers import Server, free_port
from bench.targets.casemate import environment

FUNCTIONS = SOURCES / "capabilities"
REPOSITORY = Path(__file__).parent.parent
FORWARD = 15432
TARGET_US = 150.0
TARGET_RATIO = 1.10
_CALLS = {
    "bucket get, 1 KB": 1.0,
    "bucket head": 1.0,
    "table get, 1 KB": 1.0,
    "secret": 0.5,
    "queue send": 0.25,
    "bucket put, 1 KB": 0.25,
    "invoke": 0.1,
}
"""What is measured, and how often for each time that a bucket is read."""
_KINDS = {"kept connection": "kept", "new connection": "new", "GET with urllib": "http"}
Figures = dict[str, Any]
_MANIFEST = """
[project]
name = "bench"
[bucket.files]
[table.people]
key = "id"
[queue.jobs]
[function.calls]
handler = "handler:handle"
source = "calls"
limits = {{ timeout = "2m" }}
[function.calls.grants]
buckets = [{{ name = "files", actions = ["read", "write"] }}]
tables = [{{ name = "people", actions = ["get", "put"] }}]
queues = ["jobs"]
secrets = ["key"]
invoke = ["callee"]
[function.callee]
handler = "handler:handle"
source = "callee"
internal = true
[function.egress]
handler = "handler:handle"
source = "egress"
limits = {{ timeout = "2m" }}
[[function.egress.grants.egress]]
host = "localhost"
port = {port}
private = true
exception = "the server that is measured against"
[[function.egress.grants.egress]]
host = "127.0.0.1"
port = {port}
forward = {forward}
private = true
exception = "the same without an HTTP proxy"
[[function.egress.guard]]
sink = "url"
location = "*"
reason = "the measuring side chooses the port of its own server"
"""
_PLAIN = """
[project]
name = "bench"
[function.plain]
handler = "handler:handle"
python = "{python}"
[function.reused]
handler = "handler:handle"
python = "{python}"
isolation = "instance"
"""


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured."""

    rounds: int
    calls: int
    requests: int
    """Of egress, and of the invoke path with one connection."""
    load_seconds: int


FULL = Size(rounds=5, calls=2000, requests=1000, load_seconds=3)
QUICK = Size(rounds=2, calls=200, requests=100, load_seconds=1)


class CheckoutNode:
    """A node of any checkout, with data of its own. To be closed."""

    def __init__(self, checkout: Path, *options: str) -> None:
        """Start it with options of `serve`. Raises StartError."""
        self.folder = Path(tempfile.mkdtemp(prefix="cmcap-", dir="/var/tmp"))
        self.port = free_port()
        self._env = environment(PYTHONPATH=str(checkout / "src"))
        # Its processes are started isolated, and take the code of their interpreter's environment.
        own = checkout / ".venv" / "bin" / "python"
        python = str(own) if own.exists() else sys.executable
        self._program = [python, "-m", "casemate.cli.main"]
        command = [*self._program, "serve", "--json", "--data", str(self.folder / "data")]
        command += ["--port", str(self.port), *options]
        if "master_key" in (checkout / "src/casemate/cli/commands/serve.py").read_text("utf-8"):
            command += ["--master-key", f"file:{self.folder / 'master.key'}"]
        log = self.folder / "serve.log"
        self._server = Server(command, env=self._env, folder=self.folder, log=log)
        first = self._first_line()
        self._key = str(first["key"])
        self._scheme = "https" if first.get("ca_fingerprint") else "http"
        if self._scheme == "https":
            self._env["CASEMATE_CA"] = self._authority()
        self._env["CASEMATE_URL"] = f"{self._scheme}://127.0.0.1:{self.port}"
        self._env["CASEMATE_KEY"] = self._key

    @property
    def environment(self) -> dict[str, str]:
        """What commands of the same checkout need of their environment."""
        return dict(self._env)

    @property
    def process(self) -> int:
        """The id of its first process."""
        return self._server.process

    def _authority(self) -> str:
        """Return the file of the node's own authority, which only this machine has seen."""
        context = ssl._create_unverified_context()
        url = f"https://127.0.0.1:{self.port}/.well-known/casemate-ca.pem"
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            (self.folder / "ca.pem").write_bytes(answer.read())
        return str(self.folder / "ca.pem")

    def _first_line(self) -> Figures:
        end = time.monotonic() + 120
        while time.monotonic() < end and not self._server.ended():
            for line in self._server.log.read_text("utf-8", "replace").splitlines():
                if line.startswith("{") and line.endswith("}"):
                    return dict(json.loads(line))
            time.sleep(0.02)
        tail = self._server.tail()
        self.close()
        raise StartError(f"The node printed no key. Its output: {tail}")

    def read(self, *words: str) -> Any:
        """Run a command of the same checkout that prints JSON; return that. Raises DeployError."""
        return json.loads(self.command(*words))

    def command(self, *words: str, stdin: str = "", folder: Path | None = None) -> str:
        """Run a command of the same checkout; return what it prints. Raises DeployError."""
        done = subprocess.run(
            [*self._program, *words],
            input=stdin,
            cwd=folder or self.folder,
            env=self._env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode != 0:
            raise DeployError(f"`casemate {words[0]}` ended with {done.returncode}: {done.stderr}")
        return done.stdout

    def deploy(self, manifest: str, source: Path, *options: str) -> None:
        """Deploy what a folder holds, with this manifest."""
        project = self.folder / "project"
        ignore = shutil.ignore_patterns("__pycache__", "*.txt")
        shutil.copytree(source, project, ignore=ignore, dirs_exist_ok=True)
        (project / "casemate.toml").write_text(manifest, "utf-8")
        self.command("deploy", *options, folder=project)

    def endpoint(self, function: str, project: str = "bench") -> Endpoint:
        """Return where a function is invoked."""
        headers = (("Authorization", f"Bearer {self._key}"),)
        path = f"/invoke/{project}/{function}"
        return Endpoint(port=self.port, path=path, headers=headers, scheme=self._scheme)

    def ask(self, function: str, event: Figures) -> Any:
        """Invoke a function once. Raises WrongAnswerError."""
        endpoint = self.endpoint(function)
        connection = Connection(endpoint, timeout=150)
        try:
            reply = connection.exchange(encode(endpoint, event))
        finally:
            connection.close()
        if reply.status != 200:
            raise WrongAnswerError(f"{function} answered {event} with {reply.status}.")
        return json.loads(reply.body or b"null")

    def close(self) -> None:
        """End it and remove its data."""
        self._server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _of(times: Sequence[float]) -> Figures:
    return {"p50": percentile(times, 0.5), "p99": p99(times)}


def _over_rounds(rounds: Sequence[Figures]) -> Figures:
    """Return the median over the rounds of each figure, with lowest and highest p50."""
    p50s = [found["p50"] for found in rounds if found["p50"] is not None]
    p99s = [found["p99"] for found in rounds if found["p99"] is not None]
    return {
        "p50": statistics.median(p50s),
        "low": min(p50s),
        "high": max(p50s),
        "p99": statistics.median(p99s) if p99s else None,
    }


def measure_calls(node: CheckoutNode, size: Size) -> Figures:
    """Return microseconds by call, the calls in another order in each round."""
    node.ask("calls", {"call": "prepare"})
    rounds: dict[str, list[Figures]] = {name: [] for name in _CALLS}
    for number in range(size.rounds):
        for name in rotated(list(_CALLS), number):
            count = max(100, int(size.calls * _CALLS[name]))
            rounds[name].append(_of(node.ask("calls", {"call": name, "count": count})))
    return {name: _over_rounds(found) for name, found in rounds.items()}


def _direct(event: Figures) -> Any:
    """Run the same requests in an ordinary process, with the interpreter of the functions."""
    done = subprocess.run(
        [INTERPRETER.path, "-I", FUNCTIONS / "egress" / "handler.py", json.dumps(event)],
        env={},
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
    )
    if done.returncode != 0:
        raise BenchError(f"The direct requests failed: {done.stderr[-500:]}")
    return json.loads(done.stdout)


def measure_egress(node: CheckoutNode, port: int, size: Size) -> Figures:
    """Return microseconds by kind of request, direct and by the proxy, and their ratio."""
    results: Figures = {}
    for name, kind in _KINDS.items():
        direct, proxied = [], []
        inside = port if kind == "http" else FORWARD
        for _ in range(size.rounds):
            event = {"kind": kind, "count": size.requests}
            direct.append(_of(_direct(event | {"port": port})))
            proxied.append(_of(node.ask("egress", event | {"port": inside})))
        results[name] = {
            "direct": _over_rounds(direct),
            "proxied": _over_rounds(proxied),
            "ratio": _ratio(proxied, direct, "p50"),
        }
    return results


def _ratio(above: Sequence[Figures], below: Sequence[Figures], figure: str) -> float:
    """Return the median of the ratios that were taken within one round."""
    pairs = zip(above, below, strict=True)
    ratios: list[float] = [upper[figure] / lower[figure] for upper, lower in pairs]
    return statistics.median(ratios)


def _path(node: CheckoutNode, function: str, size: Size) -> dict[str, float]:
    endpoint = node.endpoint(function)
    latency(endpoint, 20, 2.0)
    one = latency(endpoint, size.requests, 10.0)
    many = load.run(endpoint, 16, size.load_seconds)
    if one.failed or many.wrong or many.lost or not one.times_ms:
        raise WrongAnswerError(f"{function}: {one.failed + many.wrong + many.lost} wrong answers.")
    return {
        "p50_ms": percentile(one.times_ms, 0.5),
        "p99_ms": p99(one.times_ms) or max(one.times_ms),
        "per_second": many.per_second,
    }


def measure_path(before: Path, size: Size) -> Figures:
    """Return the invoke path of both checkouts, by isolation, and the ratios by round."""
    nodes: dict[str, CheckoutNode] = {}
    try:
        for name, checkout in (("before", before), ("after", REPOSITORY)):
            nodes[name] = CheckoutNode(checkout)
            source = nodes[name].folder / "handlers"
            source.mkdir()
            shutil.copy(SOURCES / HANDLERS / "plain.py", source / "handler.py")
            nodes[name].deploy(_PLAIN.format(python=INTERPRETER.minor), source)
        results: Figures = {}
        for function in ("plain", "reused"):
            rounds: dict[str, list[dict[str, float]]] = {name: [] for name in nodes}
            for number in range(size.rounds):
                for name in rotated(list(nodes), number):
                    rounds[name].append(_path(nodes[name], function, size))
            figures = ("p50_ms", "p99_ms", "per_second")
            results[function] = {
                **{
                    name: {
                        figure: statistics.median(r[figure] for r in found) for figure in figures
                    }
                    for name, found in rounds.items()
                },
                "p50_ratio": _ratio(rounds["after"], rounds["before"], "p50_ms"),
                "per_second_ratio": _ratio(rounds["before"], rounds["after"], "per_second"),
            }
        return results
    finally:
        for node in nodes.values():
            node.close()


def measure(size: Size, before: Path | None, say: Callable[[str], None]) -> Figures:
    """Measure all of it."""
    started = time.monotonic()
    results: Figures = {
        "format": 1,
        "started_at": time.time(),
        "settings": msgspec.to_builtins(size),
        "load_before": os.getloadavg()[0],
    }
    with LocalServer() as server:
        node = CheckoutNode(REPOSITORY)
        try:
            node.command("secrets", "set", "bench/key", stdin="a-value-of-thirty-two-bytes-ok!!")
            manifest = _MANIFEST.format(port=server.port, forward=FORWARD)
            node.deploy(manifest, FUNCTIONS, "--approve")
            say("capability calls")
            results["calls_us"] = measure_calls(node, size)
            say("egress")
            results["egress_us"] = measure_egress(node, server.port, size)
        finally:
            node.close()
    if before is not None:
        say(f"the invoke path, against {before}")
        results["invoke_path"] = measure_path(before, size)
    results["targets"] = targets(results)
    results["seconds"] = time.monotonic() - started
    return results


def targets(results: Figures) -> list[Figures]:
    """Return each target and whether it is met; None where it was not measured."""
    get = results["calls_us"]["bucket get, 1 KB"]["p50"]
    verdicts = [
        {
            "what": "bucket get of 1 KB, p50",
            "wanted": f"at most {TARGET_US:.0f} us",
            "measured": get,
            "met": get <= TARGET_US,
        }
    ]
    path = results.get("invoke_path")
    for function in ("plain", "reused"):
        for figure in ("p50_ratio", "per_second_ratio"):
            found = None if path is None else path[function][figure]
            verdicts.append(
                {
                    "what": f"invoke path, {function}, {figure.replace('_', ' ')}",
                    "wanted": f"at most {TARGET_RATIO:.2f}",
                    "measured": found,
                    "met": None if found is None else found <= TARGET_RATIO,
                }
            )
    return verdicts


def text(results: Figures) -> str:
    """Return the figures as lines."""
    lines = ["capability calls inside the handler, us"]
    for name, found in results["calls_us"].items():
        lines.append(f"  {name:18} {_shown(found)}")
    lines.append("egress, us")
    for name, found in results["egress_us"].items():
        for side in ("direct", "proxied"):
            lines.append(f"  {name:16} {side:8} {_shown(found[side])}")
        lines.append(f"  {name:16} ratio    {found['ratio']:8.2f}")
    for function, found in results.get("invoke_path", {}).items():
        lines.append(f"invoke path, {function}")
        for side in ("before", "after"):
            values = "  ".join(f"{name} {value:,.2f}" for name, value in found[side].items())
            lines.append(f"  {side:7} {values}")
        ratios = (found["p50_ratio"], found["per_second_ratio"])
        lines.append(f"  slower by the factor {ratios[0]:.3f} (p50), {ratios[1]:.3f} (per second)")
    words = {True: "met", False: "MISSED", None: "not measured"}
    lines += [f"{t['what']}: {t['wanted']}: {words[t['met']]}" for t in results["targets"]]
    return "\n".join(lines)


def _shown(found: Figures) -> str:
    high = "-" if found["p99"] is None else f"{found['p99']:.0f}"
    return f"p50 {found['p50']:8.1f} ({found['low']:.1f} to {found['high']:.1f})  p99 {high}"


def main(arguments: list[str]) -> int:
    """Measure, print, write the JSON; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="two short rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, too")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="a checkout to compare with")
    chosen = parser.parse_args(arguments)
    if chosen.before is not None and not (chosen.before / "src" / "casemate").is_dir():
        parser.error(f"--before got {chosen.before}; a checkout of Casemate is expected")
    begun = time.monotonic()

    def say(line: str) -> None:
        sys.stderr.write(f"[{time.monotonic() - begun:5.0f} s] {line}\n")

    adopt_orphans()
    try:
        check_tools()
        before = None if chosen.before is None else chosen.before.resolve()
        results = measure(QUICK if chosen.quick else FULL, before, say)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        clear_leftovers()
    sys.stdout.write(text(results) + "\n")
    if chosen.json:
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
