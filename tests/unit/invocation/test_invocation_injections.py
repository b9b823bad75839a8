"""What the guard in an instance tells becomes a bounded record on one line."""

from __future__ import annotations

import time

import msgspec
import pytest

from casemate.invocation.injections import recorder
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import Version
from casemate.model.function import FunctionSpec
from casemate.model.path import Admitted, RawInvocation, Request
from casemate.model.principal import ANONYMOUS
from casemate.sandbox.frames import GuardHead

HEAD = GuardHead(
    sink="sql",
    mode="block",
    place="app.py:12",
    location="app:query",
    source="event",
    pointer="/items/0/name",
    decoding=["base64", "JSON"],
    changed="ends the string literal that it stands in",
    fix="pass it as a parameter",
)


def recorded(**changes: object) -> Denial:
    raw = RawInvocation(
        trigger="http",
        project="shop",
        function="orders",
        qualifier=None,
        credential=None,
        content_type="",
        body=b"",
        received_at=1.0,
        remote_address="192.0.2.7",
    )
    version = Version(
        project="shop",
        function="orders",
        number=3,
        digest="a" * 64,
        spec=FunctionSpec(name="orders", handler="app:handler"),
        created_at=1.0,
        created_by="user:ada",
    )
    request = Request(id="inv_1", raw=raw, event=b"{}")
    found: list[Denial] = []
    admitted = Admitted(request=request, version=version, principal=ANONYMOUS)
    recorder(admitted, found.append)(msgspec.structs.replace(HEAD, **changes))
    return found[0]


def test_the_owner_finds_who_where_what_and_what_to_write() -> None:
    denial = recorded()
    assert denial.kind is DenialKind.INJECTION
    assert denial.principal == ANONYMOUS.text
    assert (denial.action, denial.resource) == ("guard:sql", "app.py:12")
    assert (denial.project, denial.function, denial.version) == ("shop", "orders", 3)
    assert (denial.invocation, denial.remote_address) == ("inv_1", "192.0.2.7")
    assert abs(denial.at - time.time()) < 60
    assert denial.reason == (
        "/items/0/name of the event, decoded from base64, then JSON ends the string literal that "
        "it stands in. Fix: pass it as a parameter. If this is a false alarm: "
        '[[function.orders.guard]] sink = "sql", location = "app:query", reason = "..."'
    )


def test_other_sources_are_named() -> None:
    assert recorded(source="table:notes", decoding=[]).reason.startswith(
        "/items/0/name of table:notes ends"
    )
    assert recorded(pointer="", decoding=[]).reason.startswith("The whole of the event ends")


def test_what_was_let_through_says_so() -> None:
    assert recorded(mode="report").reason.startswith("Let through by an exception of the manifest.")


@pytest.mark.parametrize("field", ["sink", "place", "location", "source", "pointer", "changed"])
def test_a_hostile_instance_writes_one_short_line(field: str) -> None:
    denial = recorded(**{field: "x\n\x1b[2J\u202e" + "y" * 100_000})
    for text in (denial.action, denial.resource, denial.reason):
        assert text.isprintable()
        assert len(text) < 2000
