"""Secrets that a module of the code's own holds as texts, where the event names an attribute."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard import guarded

HANDLER = """
from importlib import import_module
def handler(event, context):
    settings = import_module("tools." + event["m"])
    found = getattr(settings, event["k"])
    return found(event["a"]) if callable(found) else found
"""
SETTINGS = """
API_PASSWORD = "a-long-and-random-text"
access_token = b"another"
TITLE = "Lists"
SIZE = 3

def check_password(text):
    return len(text) > 8
"""


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        *(("API_PASSWORD", "blocked"), ("access_token", "blocked")),
        *(("TITLE", "ok"), ("SIZE", "ok"), ("check_password", "ok")),
    ],
)
def test_the_event_names_no_secret(tmp_path: Path, name: str, outcome: str) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "__init__.py").touch()
    (tmp_path / "tools" / "settings.py").write_text(SETTINGS)
    (one,) = guarded(tmp_path, HANDLER, [{"m": "settings", "k": name, "a": "x"}])
    assert one.outcome == outcome, one
