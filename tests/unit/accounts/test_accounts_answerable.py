"""Who answers for a caller: who made its token, whose function it is, else itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from casemate.accounts import Accounts

MAKERS = {"1": "user:ada", "2": "token:1", "3": "token:3", "4": "token:gone"}
MAKERS |= {"6": "node", "7": "token:6"}
KNOWN: Any = SimpleNamespace(
    _directory=SimpleNamespace(
        tokens={name: SimpleNamespace(created_by=by) for name, by in MAKERS.items()},
        pipelines={"5": "workload:shop-main"},
    )
)


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        ("user:ada", "user:ada"),
        ("token:1", "user:ada"),
        ("token:2", "user:ada"),
        ("token:3", "token:3"),
        ("token:4", "token:gone"),
        ("token:unknown", "token:unknown"),
        ("token:6", "token:6"),
        ("token:7", "token:6"),
        ("token:5", "workload:shop-main"),
        ("user:5", "user:5"),
        ("function:shop/cart", "project:shop"),
        ("trigger:shop/cart/nightly", "project:shop"),
        ("anonymous:public", "anonymous:public"),
        ("(others)", "(others)"),
        ("", ""),
    ],
)
def test_who_answers(caller: str, expected: str) -> None:
    assert Accounts.answerable(KNOWN, caller) == expected


def test_a_circle_ends() -> None:
    circle: Any = SimpleNamespace(
        _directory=SimpleNamespace(
            tokens={
                "a": SimpleNamespace(created_by="token:b"),
                "b": SimpleNamespace(created_by="token:a"),
            },
            pipelines={},
        )
    )
    assert Accounts.answerable(circle, "token:a") in ("token:a", "token:b")
