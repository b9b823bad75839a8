"""Since when somebody may do nothing any more: what they had kept until then is not done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from casemate.accounts import Accounts


def token(revoked_at: float | None = None, user: str | None = None) -> Any:
    return SimpleNamespace(revoked_at=revoked_at, user=user)


def user(created_at: float, disabled_at: float | None = None) -> Any:
    return SimpleNamespace(created_at=created_at, disabled_at=disabled_at)


KNOWN: Any = SimpleNamespace(
    _directory=SimpleNamespace(
        tokens={
            "good": token(),
            "gone": token(50.0),
            **{f"eve{n}": token(at, "eve") for n, at in enumerate((40.0, 60.0, None))},
            "ada1": token(70.0, "ada"),
        },
        users={"ada": user(10.0), "bob": user(10.0, 30.0)},
    )
)


@pytest.mark.parametrize(
    ("who", "since"),
    [
        ("token:good", None),
        ("token:gone", 50.0),
        ("token:forgotten", None),  # its time was over, long ago
        ("user:ada", 10.0),  # a session that ended is no end of hers; who had her name before is
        ("user:bob", 30.0),
        ("user:eve", 60.0),  # removed with her sessions
        ("user:nobody", float("inf")),
        ("function:t/f", None),
        ("anonymous:public", None),
        ("", None),
    ],
)
def test_since_when(who: str, since: float | None) -> None:
    assert Accounts.sent_away(KNOWN, who) == since
