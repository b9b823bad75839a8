"""`casemate promote --watch`: what ends a trial, and what becomes of it when nobody watches."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import msgspec
import pytest
from test_cli_operate import SPEC

from casemate.cli import watching
from casemate.model.deployment import LIVE, Alias, TrialTerms
from casemate.model.metrics import SECONDS, Durations, FunctionMetrics, Metrics, VersionMetrics
from casemate.operations.trials import StartTrial
from support.facts import ADA

Counts = tuple[int, int]


@pytest.fixture
def shop(node):
    """Versions 1 and 2 of shop/cart, 1 live."""
    for digest in ("a" * 64, "b" * 63 + "c"):
        node.control.bundles[digest] = b""
        node.control.specs[digest] = SPEC
        asyncio.run(node.control.deploy("shop", "cart", digest, approve=False, by=ADA))
    asyncio.run(node.control.rollback("shop", "cart", 1, by=ADA))
    return node


@pytest.fixture
def counts(shop) -> Callable[[Counts, Counts], None]:
    """Sets calls and failures of both versions, told while there is a trial."""
    found: dict[int, Counts] = {}

    async def metrics(project: str | None, function: str | None, _node: str | None) -> Metrics:
        told = tuple(
            VersionMetrics(version=number, calls=calls, failed=failed, run=_quick(calls))
            for number, (calls, failed) in found.items()
            if live(shop).trial is not None
        )
        one = FunctionMetrics(project="shop", function="cart", calls=0, outcomes={}, versions=told)
        return Metrics(at=time.time(), started_at=1.0, functions=(one,))

    object.__setattr__(shop.parts.service, "metrics", metrics)

    def let(old: Counts, new: Counts) -> None:
        found.update({1: old, 2: new})

    return let


def _quick(calls: int) -> Durations:
    return Durations(counts=(calls, *(0 for _ in SECONDS)), seconds=0.001 * calls)


def live(node) -> Alias:
    found = node.control.deployed["shop", "cart"].aliases
    return next(alias for alias in found if alias.name == LIVE)


def shares(node) -> dict[int, int]:
    return {target.version: target.weight for target in live(node).targets}


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.3)
    monkeypatch.setattr(watching, "LEAST_SECONDS", 0)


TRY = ("promote", "shop/cart", "2", "--watch", "2")


def test_a_version_that_does_no_worse_is_promoted(cli, shop, counts) -> None:
    counts((180, 1), (20, 0))
    done = cli(*TRY, "--weight", "25", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["result"], told["version"], told["back"]) == ("promoted", 2, 1)
    assert (told["new"]["calls"], told["old"]["calls"]) == (20, 180)
    assert shares(shop) == {2: 100}
    begun = shop.control.history["shop", "cart"][-2]
    assert [(target.version, target.weight) for target in begun] == [(1, 75), (2, 25)]


def test_one_that_fails_is_gone_back_from_at_once(cli, shop, counts) -> None:
    counts((180, 0), (20, 15))
    began = time.monotonic()
    done = cli("promote", "shop/cart", "2", "--watch", "3600")
    assert time.monotonic() - began < 30
    assert done.code == 1
    assert "version 2 gone back, live is version 1" in done.out
    assert "15 of 20 calls failed, of version 1 0 of 180" in done.out
    assert shares(shop) == {1: 100}


def test_too_few_calls_decide_nothing_and_it_stays_as_it_was(cli, shop, counts) -> None:
    counts((180, 0), (3, 0))
    done = cli(*TRY)
    assert done.code == 1 and "undecided" in done.out and "had 3 calls" in done.out
    assert shares(shop) == {1: 100}


def test_what_somebody_else_decides_meanwhile_stands(cli, shop, counts, monkeypatch) -> None:
    counts((180, 0), (20, 0))
    look = watching._Watched.look

    def back_first(self, *, at_end: bool) -> None:
        if at_end:
            asyncio.run(shop.control.rollback("shop", "cart", 1, by=ADA))
        look(self, at_end=at_end)

    monkeypatch.setattr(watching._Watched, "look", back_first)
    done = cli(*TRY)
    assert done.code == 1 and "overtaken" in done.out
    assert shares(shop) == {1: 100}


def test_a_node_that_is_away_for_a_moment_is_asked_again(cli, shop, counts, monkeypatch) -> None:
    counts((180, 0), (20, 0))
    look, times = watching._Watched.look, [0]

    def away(self, *, at_end: bool) -> None:
        times[0] += 1
        shop.drop_connections = times[0] in (2, 3)
        look(self, at_end=at_end)

    monkeypatch.setattr(watching._Watched, "look", away)
    assert cli(*TRY).code == 0 and times[0] > 4
    assert shares(shop) == {2: 100}


def test_one_that_is_away_at_the_end_is_left_to_end_it(cli, shop, counts, monkeypatch) -> None:
    counts((180, 0), (20, 0))
    look = watching._Watched.look

    def away(self, *, at_end: bool) -> None:
        shop.drop_connections = True
        look(self, at_end=at_end)

    monkeypatch.setattr(watching._Watched, "look", away)
    done = cli(*TRY)
    assert done.code == 5 and "the node goes back by itself" in done.err
    trial = live(shop).trial
    assert trial is not None and trial.back == 1


def test_ctrl_c_goes_back(shop, counts) -> None:
    counts((180, 0), (20, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "casemate.cli.main", "promote", "shop/cart", "2", "--watch", "600"],
        env=os.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 30
        while live(shop).trial is None and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130, errors
    assert "not promoted" in errors
    assert shares(shop) == {1: 100} and live(shop).trial is None


def test_a_share_that_stays(cli, shop, counts) -> None:
    done = cli("promote", "shop/cart", "2", "--weight", "30")
    assert done.out == "shop/cart@live now points to 1=70 2=30.\n"
    assert live(shop).trial is None
    assert cli("promote", "shop/cart", "2", "--weight", "40").code == 1  # which one gives it?
    cli("promote", "shop/cart", "2")
    assert "get version 2 already" in cli("promote", "shop/cart", "2", "--weight", "40").err


def test_a_trial_is_shown(cli, shop, counts) -> None:
    counts((18, 1), (2, 2))
    assert cli("promote", "shop/cart", "9", "--watch", "2").code == 3
    terms = TrialTerms(weight=10, seconds=60)
    wanted = StartTrial(project="shop", function="cart", version=2, terms=terms)
    asyncio.run(shop.control.start_trial(wanted, by=ADA))
    shown = cli("show", "shop/cart").out
    assert "TRIAL of version 2 until 2033" in shown
    assert "version 1 gets all calls" in shown
    rows = [line.split() for line in cli("metrics", "shop/cart").out.splitlines()]
    assert ["shop/cart", "1", "18", "1"] in [row[:4] for row in rows]
    assert ["shop/cart", "2", "2", "2"] in [row[:4] for row in rows]


@pytest.mark.parametrize(
    "arguments",
    [
        ("2=50", "1=50", "--weight", "10"),
        ("2=50", "1=50", "--watch", "10"),
        ("2", "--watch", "10", "--alias", "beta"),
        ("2", "--weight", "0"),
        ("2", "--weight", "100"),
        ("2", "--watch", "100000"),
        ("2", "--watch", "-1"),
    ],
)
def test_what_is_no_trial_is_refused(cli, shop, arguments: tuple[str, ...]) -> None:
    assert cli("promote", "shop/cart", *arguments).code == 2
    assert shares(shop) == {1: 100}


def test_what_some_nodes_have_not_told_decides_nothing_before_the_end(
    cli, shop, counts, monkeypatch
) -> None:
    counts((400, 0), (40, 40))
    whole = shop.parts.service.metrics

    async def partly(*asked: object) -> Metrics:
        return msgspec.structs.replace(await whole(*asked), missing=("b-2",))

    object.__setattr__(shop.parts.service, "metrics", partly)
    began = time.monotonic()
    assert cli(*TRY).code == 1
    assert time.monotonic() - began >= 2.0, "it was gone back from by a part of the counts"
    assert shares(shop) == {1: 100}


def test_none_is_promoted_by_a_part_of_the_counts(cli, shop, counts) -> None:
    counts((400, 0), (400, 0))
    whole = shop.parts.service.metrics

    async def partly(*asked: object) -> Metrics:
        return msgspec.structs.replace(await whole(*asked), missing=("b-2",))

    object.__setattr__(shop.parts.service, "metrics", partly)
    done = cli(*TRY)
    assert done.code == 1
    assert "b-2 told no counts" in done.out
    assert shares(shop) == {1: 100}


def test_without_numbers_none_is_begun(cli, shop) -> None:
    async def metrics(project: str | None, function: str | None, _node: str | None) -> Metrics:
        raise PermissionError

    object.__setattr__(shop.parts.service, "metrics", metrics)
    assert cli(*TRY).code != 0
    assert shares(shop) == {1: 100}
