"""What exceeds a node's caps is refused with the figures; what a default asks for never is."""

from __future__ import annotations

import msgspec
import pytest

from casemate.model.caps import Caps
from casemate.model.errors import InvalidInputError
from casemate.model.function import Limits

GIB = 1 << 30


@pytest.mark.parametrize("memory", [1, 128 << 20, GIB, 64 * GIB, 1 << 45])
def test_defaults_are_within_the_caps_of_every_host(memory: int) -> None:
    Caps.of_host(memory).require("report", Limits())


def test_caps_follow_the_host() -> None:
    caps = Caps.of_host(8 * GIB)
    assert caps == Caps(memory=4 * GIB, tmp=2 * GIB, concurrency=128, warm=64)
    caps.require("report", Limits(memory=4 * GIB, tmp=2 * GIB, concurrency=128))


def test_each_excess_is_told_with_both_figures() -> None:
    asked = Limits(memory=64 * GIB, tmp=3 * GIB, concurrency=1000, open_files=65_536)
    with pytest.raises(InvalidInputError) as caught:
        msgspec.structs.replace(Caps.of_host(8 * GIB), open_files=1024).require("report", asked)
    for text in (
        "memory = 65536MB (this node gives at most 4096MB)",
        "tmp = 3072MB (this node gives at most 2048MB)",
        "concurrency = 1000 (this node gives at most 128)",
        "open_files = 65536 (this node gives at most 1024)",
    ):
        assert text in caught.value.message
    assert "--max-memory" in str(caught.value.next_step)
    assert "in [function.report.limits]" in str(caught.value.next_step)


def test_what_is_asked_to_be_warm_is_told_with_the_tables_of_who_asks() -> None:
    caps = Caps.of_host(8 * GIB)
    caps.require_warm(64, 0, ["a"])
    with pytest.raises(InvalidInputError) as caught:
        caps.require_warm(60, 5, ["a", "b"])
    assert "warm = 60" in caught.value.message
    assert "in [function.a.limits], [function.b.limits], or" in str(caught.value.next_step)
    with pytest.raises(InvalidInputError) as caught:
        caps.require_warm(65, 0, ["a", "b", "c", "d"])
    assert "[function.c.limits], ..., or" in str(caught.value.next_step)
