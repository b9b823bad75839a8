"""Updates brought live: only packages are tried, and only what is promoted is written."""

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
from casemate.model.errors import CasemateError, ConflictError
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

    def __init__(self, error: CasemateError | None = None) -> None:
        self.written = False
        self._error = error

    def write(self) -> list[str]:
        if self._error is not None:
            raise self._error
        self.written = True
        return ["requirements.txt"]


def test_what_is_promoted_is_written_then(shop, monkeypatch) -> None:
    begun: list[Any] = []
    files = Files()

    def watch(_client: Any, aliases: Sequence[Any], seconds: int) -> list[Tried]:
        begun.extend(aliases)
        assert seconds == 60
        assert not files.written  # a kill now leaves the folder as it is
        return [tried(Result.PROMOTED)]

    monkeypatch.setattr(canary_module.watching, "watch", watch)
    written, found = Canary(25, 60).bring_live([pair()], files.write)
    assert written == ["requirements.txt"] and files.written
    assert [one.result for one in found] == [Result.PROMOTED]
    (alias,) = begun
    assert alias.trial is not None and (alias.trial.version, alias.trial.back) == (2, 1)
    assert [(t.version, t.weight) for t in alias.targets] == [(1, 75), (2, 25)]


@pytest.mark.parametrize("result", [Result.GONE_BACK, Result.UNDECIDED, Result.OVERTAKEN])
def test_what_is_not_is_not_written(shop, monkeypatch, capsys, result: Result) -> None:
    monkeypatch.setattr(canary_module.watching, "watch", lambda *_: [tried(result)])
    files = Files()
    written, found = Canary(None, 60).bring_live([pair()], files.write)
    assert written == [] and not files.written
    tell_left(found)
    said = capsys.readouterr().err
    assert ("casemate promote shop/cart 2" in said) == (result is Result.UNDECIDED)
    assert ("errors ls shop/cart --version 2`" in said) == (result is Result.GONE_BACK)


def test_one_of_several_that_is_promoted_is_written(shop, monkeypatch) -> None:
    both = [tried(Result.PROMOTED), tried(Result.GONE_BACK, "shop/other")]
    monkeypatch.setattr(canary_module.watching, "watch", lambda *_: both)
    files = Files()
    written, _ = Canary(None, 60).bring_live([pair()], files.write)
    assert written and files.written


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CommandError("gone"), OSError()])
def test_whatever_ends_it_early_leaves_files_as_they_were(
    shop, monkeypatch, error: BaseException
) -> None:
    def watch(*_: object) -> list[Tried]:
        raise error

    monkeypatch.setattr(canary_module.watching, "watch", watch)
    files = Files()
    with pytest.raises(type(error)):
        Canary(None, 60).bring_live([pair()], files.write)
    assert not files.written


def promoted(shop: Any) -> None:
    """Have all callers get the new bundle, as a run that was killed before it wrote has left it."""
    asyncio.run(shop.control.deploy("shop", "cart", NEW, approve=False, by=ADA))


def test_what_an_earlier_run_brought_live_is_only_written(shop) -> None:
    promoted(shop)
    files = Files()
    written, found = Canary(None, 60).bring_live([pair()], files.write)
    assert written == ["requirements.txt"] and files.written and found == []
    assert len(shop.control.deployed["shop", "cart"].versions) == 2


def test_files_that_cannot_be_written_are_told_with_what_is_live(shop) -> None:
    promoted(shop)
    files = Files(ConflictError("requirements.txt was changed meanwhile."))
    with pytest.raises(CommandError, match="shop/cart is live, and not in the files") as caught:
        Canary(None, 60).bring_live([pair()], files.write)
    assert "meanwhile" in caught.value.message and "again" in str(caught.value.next_step)


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
        Canary(None, 60).bring_live(pairs, files.write)
    assert not files.written
    assert len(shop.control.deployed["shop", "cart"].versions) == 1


def test_a_function_that_is_being_tried_is_not_tried_beside(shop) -> None:
    """As a run that was killed leaves it, until the node ends the trial."""
    one = Deployment("shop", "cart", NEW)
    terms = TrialTerms(weight=50, seconds=60)
    asyncio.run(shop.control.deploy_all([one], approve=False, trial=terms, by=ADA))
    files = Files()
    with pytest.raises(CommandError, match="Version 2 of shop/cart is being tried") as caught:
        Canary(None, 60).bring_live([pair()], files.write)
    assert "casemate promote shop/cart 1" in str(caught.value.next_step)
    assert not files.written
