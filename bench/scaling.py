"""What is measured of Casemate alone: first calls, memory, and many deployed functions."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.client import Connection, encode, event, is_right
from bench.errors import BenchError, WrongAnswerError
from bench.figures import p99, percentile
from bench.judge import HELD
from bench.measure import latency
from bench.processes import ProcessId, pss
from bench.results import PLAIN, TABLES, Figures
from bench.roles import ByRole, memory, microseconds, processor_seconds
from bench.servers import clean_environment, first_answer
from bench.settings import Settings
from bench.targets.casemate import PROJECT, Node, Plan

KEEP_SHORT = 2
"""Seconds of keep time of the functions whose zygote is to be gone."""
PAUSE = 0.1
"""Seconds between first calls: what one call leaves to do must not slow the next."""
AHEAD_SECONDS = 3.0
"""In which a node has imported pandas ahead of a call."""
IDLE_TIMEOUT = 60.0
"""Seconds within which idle instances must have gone."""
PROCESSES_AT_REST = 3
"""A function that nobody calls keeps its zygote, the init of its pid namespace, and what its zygote
has forked ahead for the next call."""
SAME_SECONDS = 2.0
"""For so long there are as many processes as there are to be, before they are taken to be at rest.
Instances end one by one, and then each zygote forks one ahead."""
DEPLOY_TIMEOUT = 150.0
TURNS = 5


def call(node: Node, project: str, names: Sequence[str]) -> list[float]:
    """Call each function once, over one connection; return the times in milliseconds.

    Raises WrongAnswerError unless each answer is right.
    """
    times = []
    connection = Connection(node.endpoint(names[0], project), timeout=30)
    try:
        for number, name in enumerate(names):
            request = encode(node.endpoint(name, project), event(number))
            begun = time.perf_counter()
            reply = connection.exchange(request)
            times.append((time.perf_counter() - begun) * 1000)
            if not is_right(reply, number):
                raise WrongAnswerError(f"{name} answered {reply.status} {reply.body[:200]!r}")
            time.sleep(PAUSE)
    finally:
        connection.close()
    return times


def spending_call(node: Node, names: Sequence[str]) -> tuple[list[float], ByRole]:
    """Do the same, and return the microseconds of processor time by call as well."""
    before = processor_seconds(node.processes())
    times = call(node, PROJECT, names)
    return times, microseconds(before, processor_seconds(node.processes()), len(names))


def mean(parts: Sequence[ByRole]) -> ByRole:
    """Return the mean of each part."""
    names = dict.fromkeys(name for each in parts for name in each)
    return {name: sum(each.get(name, 0.0) for each in parts) / len(parts) for name in names}


def wait_until_at_most(node: Node, count: int, timeout: float) -> list[ProcessId]:
    """Wait until the node has no more than `count` processes; return those there at the end."""
    end = time.monotonic() + timeout
    while len(found := node.processes()) > count and time.monotonic() < end:
        time.sleep(0.1)
    return found


def wait_until_there_are(node: Node, count: int, timeout: float) -> list[ProcessId]:
    """Wait until the node has had `count` processes for a while; return those at the end."""
    end = time.monotonic() + timeout
    since = time.monotonic()
    while time.monotonic() < end and time.monotonic() - since < SAME_SECONDS:
        found = node.processes()
        if len(found) != count:
            since = time.monotonic()
        time.sleep(0.1)
    return node.processes()


class Scaling:
    """Fills in the figures step by step; a step that fails says so and costs only its own."""

    def __init__(
        self,
        settings: Settings,
        python: Path,
        say: Callable[[str], None],
        remaining: Callable[[], float],
    ) -> None:
        """`python` has numpy and pandas, for the bare import; `remaining` seconds are left."""
        self.figures = Figures()
        self.not_measured: list[str] = []
        self._settings, self._python = settings, python
        self._say, self._remaining = say, remaining

    def measure(self) -> None:
        """Take all steps, as long as there is time."""
        steps: tuple[tuple[str, Callable[[], None]], ...] = (
            ("bare import", self._bare_import),
            ("50 requests per second", lambda: self._with_nodes(1, self._paced)),
            ("first calls, zygote gone", lambda: self._with_nodes(1, self._zygote_gone)),
            ("first calls beside one of the same dependencies", self._shared_with_node),
            ("memory of a live instance", lambda: self._with_nodes(1, self._live_instances)),
            ("functions at rest", lambda: self._with_nodes(1, self._at_rest)),
            (
                "many deployed functions",
                lambda: self._with_nodes(len(self._settings.deployed), self._overhead),
            ),
        )
        for title, step in steps:
            if self._remaining() <= 0:
                self.not_measured.append(f"{title}: the time for the run was over")
                continue
            self._say(title)
            try:
                step()
            except (BenchError, OSError, ValueError, subprocess.SubprocessError) as error:
                self.not_measured.append(f"{title}: {error}")

    def _with_nodes(self, count: int, step: Callable[..., None]) -> None:
        with contextlib.ExitStack() as stack:
            nodes = []
            for _ in range(count):
                nodes.append(Node())
                stack.callback(nodes[-1].close)
            step(*nodes)

    def _shared_with_node(self) -> None:
        self._with_nodes(1, self._shared)

    def _deploy(self, node: Node, plans: Sequence[Plan]) -> None:
        node.deploy(plans, timeout=max(5.0, min(DEPLOY_TIMEOUT, self._remaining())))

    def _bare_import(self) -> None:
        """Time a new interpreter that imports numpy and pandas and ends."""
        code = "import time; a = time.perf_counter(); import numpy, pandas"
        command = [str(self._python), "-I", "-c", code + "; print(time.perf_counter() - a)"]
        whole, inside = [], []
        for _ in range(self._settings.imports + 1):
            begun = time.perf_counter()
            output = subprocess.check_output(command, env=clean_environment(), timeout=60)
            whole.append((time.perf_counter() - begun) * 1000)
            inside.append(float(output) * 1000)
        # the first one reads the files from disk
        self.figures.bare_import_ms = percentile(whole[1:], 0.5)
        self.figures.import_only_ms = percentile(inside[1:], 0.5)

    def _paced(self, node: Node) -> None:
        """Ask a plain function at a low, steady rate instead of back to back."""
        node.start()
        self._deploy(node, [Plan(name="plain")])
        latency(node.endpoint("plain"), 20, 1.0)
        found = latency(node.endpoint("plain"), self._settings.paced_requests, 60.0, every=0.02)
        if found.failed:
            raise WrongAnswerError(f"{found.failed} of {self._settings.paced_requests} failed")
        self.figures.paced_p50_ms = percentile(found.times_ms, 0.5)
        self.figures.paced_p99_ms = p99(found.times_ms)

    def _zygote_gone(self, node: Node) -> None:
        """First calls of functions whose zygote has gone, and what is left when they have."""
        plain = [f"plain-{number}" for number in range(self._settings.first_calls)]
        tables = [f"tables-{number}" for number in range(self._settings.first_calls_tables)]
        keep = f"{KEEP_SHORT}s"
        plans = [Plan(name=name, keep=keep) for name in ("warm", *plain)]
        for number, name in enumerate(tables):
            # Confined differently, so that none starts from what was imported for the others.
            limits = f"open_files = {256 + number}"
            plans.append(Plan(name=name, handler=TABLES, keep=keep, limits=limits))
        node.start()
        self._deploy(node, plans)
        # a node has what it needs for an interpreter once one function has been and gone
        call(node, PROJECT, ["warm"])
        time.sleep(2 * KEEP_SHORT + 2)
        empty = node.processes()
        self.figures.empty_node_processes = len(empty)
        self.figures.empty_node_memory = pss(empty)
        times: dict[str, list[float]] = {PLAIN: [], TABLES: []}
        spent: dict[str, list[ByRole]] = {PLAIN: [], TABLES: []}
        for _ in range(self._settings.first_call_passes):
            for kind, names in ((PLAIN, plain), (TABLES, tables)):
                found, parts = spending_call(node, names)
                times[kind] += found
                spent[kind].append(parts)
                left = wait_until_at_most(node, len(empty), KEEP_SHORT + 15)
                self.figures.past_keep_processes = len(left) - len(empty)
                self.figures.past_keep_memory = pss(left)
                if len(left) > len(empty):
                    raise BenchError(f"{len(left) - len(empty)} processes outlive the keep time")
        self.figures.first_gone_plain_ms = percentile(times[PLAIN], 0.5)
        self.figures.first_gone_tables_ms = percentile(times[TABLES], 0.5)
        self.figures.first_us["first_gone_plain_ms"] = mean(spent[PLAIN])
        self.figures.first_us["first_gone_tables_ms"] = mean(spent[TABLES])

    def _shared(self, node: Node) -> None:
        """First calls of pandas functions, zygote gone, while one that has imported is there."""
        count = self._settings.shared_first_calls
        names = [f"tables-{number}" for number in range(count)]
        plans = [Plan(name="beside", handler=TABLES)]
        plans += [Plan(name=name, handler=TABLES, keep=f"{KEEP_SHORT}s") for name in names]
        node.start()
        self._deploy(node, plans)
        time.sleep(KEEP_SHORT + 2)
        call(node, PROJECT, ["beside"])
        times: list[float] = []
        spent: list[ByRole] = []
        for name in names:
            # What one call takes is made anew in the background.
            time.sleep(AHEAD_SECONDS)
            found, parts = spending_call(node, [name])
            times += found
            spent.append(parts)
        self.figures.first_shared_tables_ms = percentile(times, 0.5)
        self.figures.first_us["first_shared_tables_ms"] = mean(spent)

    def _live_instances(self, node: Node) -> None:
        """Hold calls in a plain handler and weigh what came for them, wherever it is kept."""
        node.start()
        self._deploy(node, [Plan(name="hold", handler="hold")])
        endpoint = node.endpoint("hold")
        wrong: list[str] = []

        def hold(number: int, seconds: float) -> None:
            try:
                connection = Connection(endpoint, timeout=30)
                reply = connection.exchange(encode(endpoint, {"n": number, "hold": seconds}))
                connection.close()
                if reply.status != 200:
                    wrong.append(f"{reply.status} {reply.body[:200]!r}")
            except (OSError, ValueError) as error:
                wrong.append(repr(error))

        hold(0, 0.0)
        time.sleep(1.0)
        before = set(node.processes())
        weight_before = pss(before)
        threads = [threading.Thread(target=hold, args=(n, 3.0)) for n in range(HELD)]
        for thread in threads:
            thread.start()
        time.sleep(2.0)
        now = set(node.processes())
        new, weight = now - before, pss(now) - weight_before
        for thread in threads:
            thread.join()
        if wrong or not new:
            raise WrongAnswerError(f"{len(new)} processes for {HELD} calls; wrong: {wrong}")
        self.figures.instances_seen = len(new)
        # a clean copy is a process of its own, or memory of one that was there before
        self.figures.instance_memory = weight / HELD

    def _at_rest(self, node: Node) -> None:
        """Weigh a node whose functions are all at rest, without an instance, then call each."""
        names = [f"plain-{number}" for number in range(self._settings.crowd)]
        node.start()
        warm = Plan(name="warm", keep="1s")
        self._deploy(node, [warm])
        call(node, PROJECT, ["warm"])
        time.sleep(KEEP_SHORT + 3)
        alone = node.processes()
        before, weight = len(alone), pss(alone)
        self._deploy(node, [warm, *(Plan(name=n) for n in names)])
        call(node, PROJECT, names)
        expected = before + PROCESSES_AT_REST * len(names)
        rest = wait_until_there_are(node, expected, IDLE_TIMEOUT)
        self.figures.crowd = len(names)
        self.figures.crowd_memory = pss(rest)
        self.figures.crowd_parts = memory(rest)
        self.figures.rest_memory = (self.figures.crowd_memory - weight) / len(names)
        self.figures.crowd_processes = len(rest)
        if len(rest) != expected:
            raise BenchError(
                f"{len(rest) - before} processes for {len(names)} functions at rest, a zygote,"
                " its init and one forked ahead for each were expected: their first calls would not"
                " be first calls"
            )
        times, self.figures.first_us["first_kept_ms"] = spending_call(node, names)
        self.figures.first_kept_ms = percentile(times, 0.5)
        self.figures.first_kept_max_ms = max(times)

    def _overhead(self, *nodes: Node) -> None:
        """Time one function on nodes with few and with many functions, in turns."""
        times: dict[int, list[float]] = {}
        for count, node in zip(self._settings.deployed, nodes, strict=True):
            node.start()
            plans = [Plan(name=f"plain-{number}") for number in range(count)]
            self._deploy(node, plans)
            node.stop()
            self.figures.start_ms[count] = first_answer(node.start(), node.endpoint("plain-0"))
            checked = sorted({0, count // 2, count - 1, *range(0, count, max(1, count // 10))})
            call(node, PROJECT, [f"plain-{number}" for number in checked])
            self.figures.deployed = count
            times[count] = []
        for _ in range(TURNS):
            for count, node in zip(self._settings.deployed, nodes, strict=True):
                latency(node.endpoint("plain-0"), 20, 1.0)
                times[count] += latency(node.endpoint("plain-0"), 100, 2.0).times_ms
        self.figures.overhead_ms = {count: percentile(t, 0.5) for count, t in times.items()}
