"""Facts: each a value that says who and from where, and holds no payload."""

from __future__ import annotations

import gc

import msgspec
import pytest

from casemate.model import denial, facts, response_facts
from casemate.model.facts import Fact, SignedIn

KINDS = [
    k
    for module in (facts, response_facts)
    for k in vars(module).values()
    if isinstance(k, type) and issubclass(k, Fact) and k.__module__ == module.__name__
]
KINDS.append(denial.Denial)


@pytest.mark.parametrize("kind", KINDS)
def test_each_says_when_who_from_where_on_what_and_in_which_invocation(kind: type[Fact]) -> None:
    said = {field.name for field in msgspec.structs.fields(kind)}
    assert {"at", "by", "remote_address", "project", "function", "version", "invocation"} <= said
    assert kind.__doc__
    assert kind.__struct_config__.frozen


@pytest.mark.parametrize("kind", KINDS)
def test_none_has_room_for_a_payload(kind: type[Fact]) -> None:
    """Names, numbers and reasons: nothing that could hold bytes or a value of any form."""
    for field in msgspec.structs.fields(kind):
        if (kind.__name__, field.name) == ("NodeTold", "event"):
            continue  # what a fact became in another node's journal, which has no room for one
        text = str(msgspec.inspect.type_info(field.type))
        assert not any(each in text for each in ("AnyType", "BytesType", "DictType")), field.name


def test_they_cost_the_collector_nothing() -> None:
    assert not gc.is_tracked(SignedIn(at=1.0, method="password"))
