"""What the node of `casemate dev` is told of packages that it cannot look up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from casemate.cli import dev_packages
from casemate.cli.dev_packages import DevPackages
from casemate.cli.hole_check import JudgedBundle
from casemate.cli.names import FunctionName
from casemate.model.vulnerability import JudgedFunction
from casemate.operations.advisories import ExceptAdvisory


class Client:
    url = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.called: list[Any] = []

    def call(self, operation: Any, **_: Any) -> None:
        self.called.append(operation)


def wanted(*, packages: tuple[str, ...] = ("pillow",), live: bool = False) -> Any:
    built = SimpleNamespace(manifest=SimpleNamespace(packages=packages))
    return SimpleNamespace(name=FunctionName("shop", "scale"), built=built, is_live=live)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch, home: object) -> list[JudgedFunction]:
    said = [JudgedFunction(problems=("The node has no advisories yet.",))]

    def judge(_: object, bundles: list[Any]) -> list[JudgedBundle]:
        return [JudgedBundle(function=str(one.name), judged=said[0]) for one in bundles]

    monkeypatch.setattr(dev_packages, "judged_bundles", judge)
    return said


def test_what_cannot_be_looked_up_is_excepted_for_the_run_and_told(
    judged: list[JudgedFunction], capsys: pytest.CaptureFixture[str]
) -> None:
    client = Client()
    DevPackages(client).prepare([wanted()])  # type: ignore[arg-type]
    [made] = client.called
    assert isinstance(made, ExceptAdvisory)
    assert (made.project, made.function, made.advisory) == ("shop", "scale", "")
    told = capsys.readouterr().err
    assert "shop/scale: its packages are not looked up here" in told
    assert "A node that is kept refuses that." in told


def test_nothing_is_asked_of_what_has_no_packages_or_is_live(judged: list[JudgedFunction]) -> None:
    client = Client()
    DevPackages(client).prepare([wanted(packages=()), wanted(live=True)])  # type: ignore[arg-type]
    assert client.called == []


@pytest.mark.parametrize(
    "said",
    [JudgedFunction(), JudgedFunction(problems=("They are old.",), exception="exc_1")],
)
def test_what_is_judged_or_excepted_is_left_alone(
    judged: list[JudgedFunction], said: JudgedFunction
) -> None:
    client = Client()
    judged[0] = said
    DevPackages(client).prepare([wanted()])  # type: ignore[arg-type]
    assert client.called == []
