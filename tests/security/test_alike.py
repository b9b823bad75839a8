"""Absent and forbidden look alike where policy says so: in status, in size and in time."""

from __future__ import annotations

import http.client
import math
import os
import random
import re
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from casemate.accounts.credential import new_text
from support.attacks import until
from support.node import TestNode

pytestmark = pytest.mark.alone
SHARES_NODE = True

SAMPLES, STORM_SAMPLES = 120, int(os.environ.get("CASEMATE_ALIKE_SAMPLES", "1500"))
"""Of each of two."""
DEVIATIONS = 4.0
"""Of what chance alone makes of the share of pairs in which the one took longer."""
TRIES = 3
BY_IDS_NOBODY_GUESSES = frozenset(("error", "near error", "call", "trace"))
"""What is there takes some 0.4 ms longer to be kept from somebody than what is not: it is read, to
see whose it is. Their ids have 96 random bits, so that who asks for one has seen it. In status and
bytes they are alike; in time they are known not to be."""
FAILS = """
def handler(event, context):
    if event.get("how") == "raise":
        raise ValueError("x" * 10_000)
    if event.get("how") == "result":
        return object()
    if event.get("how") == "trace":
        import traceback
        try:
            raise KeyError(event["how"])
        except KeyError:
            return traceback.format_exc()
    if event.get("how") == "blocked":
        import sqlite3
        base = sqlite3.connect(":memory:")
        base.execute("CREATE TABLE t (a)")
        return base.execute("SELECT a FROM t WHERE a = '" + event["name"] + "'").fetchall()
    if event.get("how") == "exit":
        raise SystemExit(3)
    return event
"""


class Pair(NamedTuple):
    """Two requests that nobody may tell apart by their answers."""

    name: str
    method: str
    one: str
    other: str
    key: str


class Answer(NamedTuple):
    status: int
    headers: tuple[tuple[str, int], ...]
    body: bytes
    seconds: float


def ask(connection: http.client.HTTPConnection, method: str, path: str, key: str) -> Answer:
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    started = time.perf_counter()
    connection.request(method, path, "{}" if method == "POST" else None, headers)
    answer = connection.getresponse()
    body = answer.read()
    seconds = time.perf_counter() - started
    told = tuple(sorted((name.lower(), len(value)) for name, value in answer.getheaders()))
    return Answer(answer.status, told, body, seconds)


def masked(answer: Answer) -> tuple[int, tuple[tuple[str, int], ...], bytes]:
    """Return an answer without what is made anew each time; its size stays."""
    body = re.sub(rb"(?:err|inv)_[0-9a-f]{24}", b"", answer.body)
    return answer.status, answer.headers, body


def share(one: list[float], other: list[float]) -> float:
    """Return in which share of all pairs the one took longer (Mann and Whitney's U)."""
    longer = sum((a > b) + (a == b) / 2 for a in one for b in other)
    return longer / (len(one) * len(other))


@pytest.fixture(scope="module")
def world(node: TestNode) -> Iterator[tuple[TestNode, list[Pair]]]:
    """The node with a function, what it left behind, and tokens that may see none of it."""
    node.deploy(FAILS, name="there", project="shop")
    node.deploy(FAILS, name="there", project="mail")
    failed = node.invoke({"how": "raise"}, function="shop/there")
    error, call = failed.json()["error_id"], failed.headers["x-request-id"]
    assert until(lambda: node.client.get(f"{node.url}/api/v1/errors/{error}").status_code == 200)
    keys = {}
    for name, roles in (("nothing", ["invoker@mail"]), ("reader", ["auditor@mail"])):
        made = node.client.post(f"{node.url}/api/v1/tokens", json={"name": name, "roles": roles})
        keys[name] = made.json()["text"]
    api, none = "/api/v1", "0" * 24
    same = error[:-4] + "0000", call[:-4] + "0000"
    pairs = [
        Pair("invoke", "POST", "/invoke/shop/there", "/invoke/shop/xhere", keys["nothing"]),
        Pair("project", "POST", "/invoke/shop/there", "/invoke/xhop/there", keys["nothing"]),
        Pair("anonymous", "POST", "/invoke/shop/there", "/invoke/shop/xhere", ""),
        Pair("error", "GET", f"{api}/errors/{error}", f"{api}/errors/err_{none}", keys["reader"]),
        Pair("near error", "GET", f"{api}/errors/{error}", f"{api}/errors/{same[0]}",
             keys["reader"]),
        Pair("call", "GET", f"{api}/invocations/{call}", f"{api}/invocations/{same[1]}",
             keys["reader"]),
        Pair("trace", "GET", f"{api}/traces/{call}", f"{api}/traces/{same[1]}", keys["reader"]),
        Pair("snapshot", "GET", f"{api}/errors/shop/{error}/snapshot",
             f"{api}/errors/shop/{same[0]}/snapshot", keys["reader"]),
        Pair("function", "GET", f"{api}/functions/shop/there", f"{api}/functions/shop/xhere",
             keys["reader"]),
    ]  # fmt: skip
    yield node, pairs


def tolerated(samples: int) -> float:
    """Return how far from one half a share may be (the deviation of Mann and Whitney's U)."""
    return DEVIATIONS * math.sqrt((2 * samples + 1) / (12 * samples * samples))


def measured(node: TestNode, pair: Pair, samples: int, seed: int) -> tuple[float, float]:
    """Return in which share the one takes longer, and the difference of medians in seconds."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
    order = [True, False] * samples
    random.Random(seed).shuffle(order)
    found: dict[bool, list[float]] = {True: [], False: []}
    for which in (True, False):
        for _ in range(5):
            ask(connection, pair.method, pair.one if which else pair.other, pair.key)
    for which in order:
        answer = ask(connection, pair.method, pair.one if which else pair.other, pair.key)
        found[which].append(answer.seconds)
    connection.close()
    one, other = sorted(found[True]), sorted(found[False])
    return share(one, other), one[samples // 2] - other[samples // 2]


def test_what_chance_makes_is_told_from_what_it_does_not() -> None:
    chosen = random.Random(1)
    times = [chosen.lognormvariate(0, 0.5) for _ in range(2 * SAMPLES)]
    one, other = times[:SAMPLES], times[SAMPLES:]
    assert abs(share(one, other) - 0.5) <= tolerated(SAMPLES)
    assert abs(share([time * 2 for time in one], other) - 0.5) > tolerated(SAMPLES)
    assert tolerated(1500) < tolerated(SAMPLES) / 3


@pytest.mark.parametrize(
    "samples",
    [SAMPLES, pytest.param(STORM_SAMPLES, marks=pytest.mark.storm)],
    ids=["short", "long"],
)
def test_nothing_tells_them_apart(world: tuple[TestNode, list[Pair]], samples: int) -> None:
    node, pairs = world
    different: list[str] = []
    for pair in pairs:
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
        one = masked(ask(connection, pair.method, pair.one, pair.key))
        other = masked(ask(connection, pair.method, pair.other, pair.key))
        connection.close()
        names = [part for part in re.split("/", pair.one) if part not in pair.other]
        body = other[2]
        for name, absent in zip(
            names, [p for p in pair.other.split("/") if p not in pair.one], strict=True
        ):
            body = body.replace(absent.encode(), name.encode())
        assert one == (other[0], other[1], body), pair.name
        if pair.name in BY_IDS_NOBODY_GUESSES:
            continue
        tries = []
        for seed in range(TRIES):
            tries.append(measured(node, pair, samples, seed))
            if abs(tries[-1][0] - 0.5) <= tolerated(samples):
                break
        else:
            different.append(f"{pair.name}: {tries}")
        print(pair.name, one[0], [(round(s, 3), round(d * 1e6)) for s, d in tries])
    assert not different


def test_however_a_function_fails_its_answer_is_the_same(
    world: tuple[TestNode, list[Pair]],
) -> None:
    node, _ = world
    found = set()
    for how in ("raise", "result", "trace", "blocked", "exit"):
        answer = node.invoke({"how": how, "name": "x' OR 'a' = 'a"}, function="shop/there")
        body = re.sub(rb"(?:err|inv)_[0-9a-f]{24}", b"", answer.content)
        sizes = tuple(sorted((name, len(value)) for name, value in answer.headers.items()))
        found.add((answer.status_code, sizes, body))
    assert len(found) == 1 and next(iter(found))[0] == 500


def test_a_token_that_is_a_decoy_is_refused_in_the_same_time(node: TestNode) -> None:
    """A function finds it among its variables: `test_decoys.py`."""
    source = """
import os
def handler(event, context):
    return os.environ["CASEMATE_BACKUP_TOKEN"]
"""
    node.deploy(source, name="looks", project="shop", unguarded=True)
    tokens = [node.invoke({}, function="shop/looks").json(), new_text()[1]]
    times: dict[str, list[float]] = {token: [] for token in tokens}
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=30)
    for _ in range(400):
        random.shuffle(tokens)  # what comes first waits for what the one before left behind
        for token in tokens:
            answer = ask(connection, "GET", "/api/v1/functions", token)
            assert answer.status == 401
            times[token].append(answer.seconds)
    connection.close()
    # What others on the machine do makes requests slower, and none faster.
    one, other = (statistics.quantiles(taken, n=40)[0] for taken in times.values())
    assert abs(one - other) < 0.25 * min(one, other)
