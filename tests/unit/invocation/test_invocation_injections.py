"""What the guard in an instance tells becomes a bounded record on one line."""

from __future__ import annotations

import time

import msgspec
import pytest

from casemate.invocation.injections import recorder
from casemate.model.denial import Denial, DenialKind
from casemate.model.deployment import Version
from casemate.model.facts import Fact, PackageActed
from casemate.model.function import FunctionSpec, PackageRule
from casemate.model.path import Admitted, RawInvocation, Request
from casemate.model.principal import ANONYMOUS
from casemate.sandbox.frames import GuardHead, PackageDenied, PackagesHead, PackageUsed

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


def admitted(*rules: PackageRule) -> Admitted:
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
        spec=FunctionSpec(name="orders", handler="app:handler", packages=rules),
        created_at=1.0,
        created_by="user:ada",
    )
    request = Request(id="inv_1", raw=raw, event=b"{}")
    return Admitted(request=request, version=version, principal=ANONYMOUS)


def recorded(**changes: object) -> Denial:
    found: list[Denial] = []
    recorder(admitted(), found.append)(msgspec.structs.replace(HEAD, **changes))  # type: ignore[arg-type]
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


def of_packages(head: PackagesHead, *rules: PackageRule) -> list[Fact]:
    found: list[Fact] = []
    recorder(admitted(*rules), found.append)(head)
    return found


def test_what_a_package_was_denied_is_a_denial_of_the_function() -> None:
    head = PackagesHead(denied=(PackageDenied("requests", "egress", "socket.connect", "app.py:3"),))
    for rules, table in (
        ((PackageRule(name="requests", deny=("egress",)),), "requests"),
        ((PackageRule(name="*", deny=("egress",)),), '"*"'),
    ):
        [denial] = of_packages(head, *rules)
        assert isinstance(denial, Denial) and denial.kind is DenialKind.PACKAGE
        assert denial.principal == "function:shop/orders"
        assert (denial.action, denial.resource) == ("package:egress", "package:requests")
        assert (denial.invocation, denial.version) == ("inv_1", 3)
        assert denial.reason == (
            f"[function.orders.packages.{table}] of the manifest denies egress: socket.connect, "
            "from app.py:3"
        )


def test_what_packages_did_is_a_fact() -> None:
    [did] = of_packages(PackagesHead(used=(PackageUsed("requests", "egress", 4),)))
    assert isinstance(did, PackageActed)
    assert (did.package, did.act, did.count, did.digest) == ("requests", "egress", 4, "a" * 64)


def test_hostile_words_of_packages_are_passed_over_or_made_plain() -> None:
    bad = "x\n\x1b[2J\u202e" + "y" * 150
    head = PackagesHead(
        used=(PackageUsed("requests", "nothing", 4), PackageUsed(bad, "file", 1)),
        denied=(PackageDenied(bad, "file", bad, bad),),
    )
    denial, did = of_packages(head)
    assert isinstance(denial, Denial) and isinstance(did, PackageActed)
    for text in (denial.resource, denial.reason, did.package):
        assert text.isprintable() and len(text) < 1000
