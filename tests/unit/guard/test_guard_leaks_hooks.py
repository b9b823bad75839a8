"""Asking for the exception that is being handled notes it, and answers as it did."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from casemate.guard.leaks.hooks import watch_asking
from casemate.guard.leaks.raised import Raised


@pytest.fixture
def raised(monkeypatch: pytest.MonkeyPatch) -> Iterator[Raised]:
    made = Raised()
    for name in ("exc_info", "exception"):
        plain = getattr(sys, name)
        # A test before this one may have left a watched one.
        monkeypatch.setattr(sys, name, getattr(plain, "__wrapped__", plain))
    for _ in range(2):
        watch_asking(made)
    yield made


def test_what_is_asked_for_is_noted(raised: Raised) -> None:
    assert sys.exc_info() == (None, None, None)
    assert sys.exception() is None
    assert not raised
    for text in ("one", "two"):
        try:
            int(text)
        except ValueError as error:
            kept = error
            found = sys.exception() if text == "one" else sys.exc_info()[1]
            assert found is kept
            if text == "two":
                assert sys.exc_info() == (ValueError, kept, kept.__traceback__)
    said = [text.message for source in raised.sources() for text in source.texts]
    assert "'one'" in " ".join(said) and "'two'" in " ".join(said)
    assert sys.exception() is None
