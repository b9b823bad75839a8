"""Of the headers of messages those are looked at that have a sign which may say more."""

from __future__ import annotations

import re
import types
from email import policy
from email.message import EmailMessage, Message
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard.core import Guard
from casemate.guard.written import wire


class _Asked(Guard):
    """Keeps what is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.begin({})

    def check(self, sink: str, value: Any, judge: Any) -> None:
        self.asked.append(value)


@pytest.fixture(scope="module")
def watched() -> tuple[_Asked, Any]:
    guard = _Asked()
    kind = type("Message", (Message,), {n: vars(Message)[n] for n in ("__setitem__", "add_header")})
    for name in ("replace_header", "as_string", "as_bytes"):
        member = vars(Message)[name]
        setattr(kind, name, getattr(member, "__wrapped__", member))
    for name in ("__setitem__", "add_header"):
        setattr(kind, name, getattr(vars(Message)[name], "__wrapped__", vars(Message)[name]))
    module = types.ModuleType("email.message")
    module.Message = kind  # type: ignore[attr-defined]
    wire.patch_message(guard, module)
    return guard, kind


@settings(deadline=None, max_examples=200)
@given(value=st.text("ab \"<;:=,/\r\n'é", max_size=6), strict=st.booleans())
def test_each_sign_that_is_judged_is_looked_for(
    watched: tuple[_Asked, Any], value: str, strict: bool
) -> None:
    guard, kind = watched
    message = kind(policy.compat32 if not strict else policy.default)
    guard.asked.clear()
    try:
        message["X-Name"] = value
    except ValueError:
        assert strict
    parts = [value] if re.search('["<;]', value) else []
    breaks = [value] if re.search("[\r\n]", value) and not strict else []
    assert guard.asked == parts + breaks


def test_parameters_by_name_are_looked_at(watched: tuple[_Asked, Any]) -> None:
    guard, kind = watched
    guard.asked.clear()
    kind().add_header("Content-Disposition", "attachment", filename="a\nb")
    assert "a\nb" in guard.asked
    assert issubclass(EmailMessage, Message)
