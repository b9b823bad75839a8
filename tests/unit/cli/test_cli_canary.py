"""Updates brought live: only packages are tried, and files stay only with what is promoted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from test_cli_operate import SPEC

from casemate.api.control import Deployment
from casemate.cli import canary as canary_module
from casemate.cli.canary import Canary, Pair, tell_left
from casemate.cli.errors import CommandError
from casemate.cli.names import FunctionName
from casemate.cli.watching import Result, Tried
from casemate.model.deployment import TrialTerms
from casemate.model.metrics import Metrics, VersionMetrics
from support.facts import ADA

OLD, NEW, OTHER = ("a" * 64, "c" * 64, "d" * 64)
NAME = FunctionName("shop", "cart")


@pytest.fixture
def shop(node, monkeypatch):
    """Version 1 of shop/cart, live; a deploy that uploads nothing."""
    for digest in (OLD, NEW):
        node.control.bundles[digest] = b""
        node.control.specs[digest] = SPEC
    asyncio.run(node.control.deploy("shop", "cart", OLD, approve=False, by=ADA))

    def deploy(_client: Any, wanted: Sequence[Any], *, force: bool, trial: Any) -> None:
        assert not force
        asked = [Deployment(*one.name[:2], one.built.digest) for one in wanted]
        asyncio.run(node.control.deploy_all(asked, approve=False, trial=trial, by=ADA))

    monkeypatch.setattr(canary_module, "deploy", deploy)

    async def metrics(*_: object) -> Any:
        return Metrics(at=1.0, started_at=1.0, functions=())

    object.__setattr__(node.parts.service, "metrics", metrics)
    return node


def pair(old: str = OLD, name: FunctionName = NAME) -> Pair:
    return Pair(name, SimpleNamespace(digest=old), SimpleNamespace(digest=NEW))  # type: ignore[arg-type]


def tried(result: Result, name: str = "shop/cart") -> Tried:
    return Tried(
        function=name,
        version=2,
        back=1,
        result=result,
        reason="",
        old=VersionMetrics(version=1),
        new=VersionMetrics(version=2),
    )


class Files:
    """Written or not."""

    def __init__(self) -> None:
        self.written = False
        self.taken_back = False

    def write(self) -> list[str]:
        self.written = True
        return ["requirements.txt"]

    def take_back(self) -> None:
        assert self.written
        self.taken_back = True


def test_what_is_promoted_is_written(shop, monkeypatch) -> None:
    begun: list[Any] = []

    def watch(_client: Any, aliases: Sequence[Any], seconds: int) -> list[Tried]:
        begun.extend(aliases)
        assert seconds == 60
        return [tried(Result.PROMOTED)]

    monkeypatch.setattr(canary_module.watching, "watch", watch)
    files = Files()
    written, found = Canary(25, 60).bring_live([pair()], files.write, files.take_back)
    assert written == ["requirements.txt"] and not files.taken_back
    assert [one.result for one in found] == [Result.PROMOTED]
    (alias,) = begun
    assert alias.trial is not None and (alias.trial.version, alias.trial.back) == (2, 1)
    assert [(t.version, t.weight) for t in alias.targets] == [(1, 75), (2, 25)]


@pytest.mark.parametrize("result", [Result.GONE_BACK, Result.UNDECIDED, Result.OVERTAKEN])
def test_what_is_not_is_taken_back(shop, monkeypatch, capsys, result: Result) -> None:
    monkeypatch.setattr(canary_module.watching, "watch", lambda *_: [tried(result)])
    files = Files()
    written, found = Canary(None, 60).bring_live([pair()], files.write, files.take_back)
    assert written == [] and files.taken_back
    tell_left(found)
    said = capsys.readouterr().err
    assert ("casemate promote shop/cart 2" in said) == (result is Result.UNDECIDED)
    assert ("errors ls shop/cart --version 2`" in said) == (result is Result.GONE_BACK)


def test_one_of_several_that_is_promoted_keeps_the_files(shop, monkeypatch) -> None:
    both = [tried(Result.PROMOTED), tried(Result.GONE_BACK, "shop/other")]
    monkeypatch.setattr(canary_module.watching, "watch", lambda *_: both)
    files = Files()
    written, _ = Canary(None, 60).bring_live([pair()], files.write, files.take_back)
    assert written and not files.taken_back


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CommandError("gone"), OSError()])
def test_whatever_ends_it_early_takes_files_back(shop, monkeypatch, error: BaseException) -> None:
    def watch(*_: object) -> list[Tried]:
        raise error

    monkeypatch.setattr(canary_module.watching, "watch", watch)
    files = Files()
    with pytest.raises(type(error)):
        Canary(None, 60).bring_live([pair()], files.write, files.take_back)
    assert files.taken_back


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([pair(old=OTHER)], "more than packages would change"),
        ([pair(name=FunctionName("shop", "elsewhere"))], "None of the functions is on the node"),
    ],
)
def test_what_cannot_be_tried_is_not_written(shop, pairs: list[Pair], said: str) -> None:
    files = Files()
    with pytest.raises(CommandError, match=said):
        Canary(None, 60).bring_live(pairs, files.write, files.take_back)
    assert not files.written
    assert len(shop.control.deployed["shop", "cart"].versions) == 1


def test_a_function_that_is_shared_already_is_not_tried(shop) -> None:
    one = Deployment("shop", "cart", NEW)
    terms = TrialTerms(weight=50, seconds=60)
    asyncio.run(shop.control.deploy_all([one], approve=False, trial=terms, by=ADA))
    files = Files()
    with pytest.raises(CommandError, match="more than packages"):
        Canary(None, 60).bring_live([pair()], files.write, files.take_back)
    assert not files.written
