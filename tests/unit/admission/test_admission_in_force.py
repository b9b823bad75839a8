"""A version that is not live may do what it could then and what is allowed now, never more."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.admission import DIRECT, Catalogue, Closure
from casemate.admission.in_force import intersection, is_direct, withdrawn_hosts
from casemate.model.deployment import Version
from casemate.model.function import HttpTrigger
from casemate.model.grant import Grant, GrantKind
from casemate.model.granted import CompiledGrants
from support.core import deployed, version


def public(number: int, *, contract: str = "", routed: bool = True) -> Version:
    spec = version(number).spec
    routes = (HttpTrigger(method="POST", path="/n"),) if routed else ()
    return msgspec.structs.replace(
        version(number),
        spec=msgspec.structs.replace(spec, public=True, http=routes, contract=contract),
    )


def test_routes_are_not_passed_by_direct_calls_of_everybody() -> None:
    for live, direct in (
        ([public(1)], False),
        ([public(1, contract="{}")], True),
        ([public(1, routed=False)], True),
        # While two share the calls the one that closes it counts.
        ([public(1, contract="{}"), public(2)], False),
    ):
        assert is_direct(live) is direct
        closure = Closure(is_live=True, public=True, internal=False, direct=direct)
        assert closure.is_open(DIRECT) is direct
        assert closure.is_open("http")


def bucket(*prefixes: str, actions: tuple[str, ...] = ("read", "write")) -> Grant:
    return Grant(kind=GrantKind.BUCKET, name="b", actions=actions, prefixes=prefixes)


def host(name: str, *, private: bool = False, forward: int | None = None) -> Grant:
    return Grant(
        kind=GrantKind.EGRESS,
        name=name,
        actions=("connect",),
        private=private,
        forward=forward,
        exception="why" if private else "",
    )


buckets = st.builds(
    bucket,
    *(st.sampled_from(["", "a", "ab", "b", "abc"]),) * 2,
    actions=st.sampled_from([("read",), ("write",), ("read", "write")]),
)
hosts = st.builds(
    host, st.sampled_from(["x.test:443", "*.test:443", "y.test:443"]), private=st.booleans()
)
grants = st.tuples(
    st.lists(buckets, max_size=1),
    st.lists(hosts, max_size=3, unique_by=lambda grant: grant.name),
).map(lambda both: (*both[0], *both[1]))


def allowed(found: tuple[Grant, ...]) -> set[tuple[str, ...]]:
    compiled = CompiledGrants(found)
    reach: set[tuple[str, ...]] = set()
    for action, key in itertools.product(("read", "write"), ("a", "ab1", "abc1", "b1", "c")):
        if compiled.find(GrantKind.BUCKET, "b", action, key):
            reach.add((action, key))
    for name in ("x.test:443", "y.test:443", "z.test:443", "test:443"):
        match = compiled.find(GrantKind.EGRESS, name, "connect")
        if match:
            reach.add(("connect", name))
            if match[0].private:
                reach.add(("private", name))
    return reach


@given(grants, grants)
def test_it_allows_just_what_both_allow(then: tuple[Grant, ...], now: tuple[Grant, ...]) -> None:
    assert allowed(intersection(then, now)) == allowed(then) & allowed(now)


def test_a_forward_is_kept_only_as_it_is_now() -> None:
    one, other, none = host("d:5", forward=1), host("d:5", forward=2), host("d:5")
    assert intersection((one,), (one,)) == (one,)
    assert intersection((one,), (other,)) == () == intersection((one,), (none,))


def test_the_catalogue_hands_out_old_versions_with_the_rights_of_now() -> None:
    first = version(1, grants=(bucket(),), public=True)
    second = version(2, grants=(bucket("in/", actions=("read",)),))
    catalogue = Catalogue()
    catalogue.replace([deployed(first, second, live={2: 100}, old={1: 100})])
    for qualifier in ("1", "old"):
        found = catalogue.find("t", "f", qualifier)
        assert found is not None and found.number == 1
        assert found.spec.grants == (bucket("in/", actions=("read",)),)
        assert not found.spec.public
        assert catalogue.find("t", "f", qualifier) is found, "made once"
    catalogue.replace([deployed(first, second, live={1: 100})])
    assert catalogue.find("t", "f") is first


def test_where_nothing_is_live_nothing_is_granted() -> None:
    first = version(1, grants=(bucket(),))
    catalogue = Catalogue()
    catalogue.replace([deployed(first, version(2), live={}, old={1: 100})])
    found = catalogue.find("t", "f", "old")
    assert found is not None and found.spec.grants == ()


@pytest.mark.parametrize(
    ("then", "now", "withdrawn"),
    [
        (["a.org:443"], ["a.org:443"], ()),
        (["a.org:443"], [], ("*",)),
        ([], [], ()),
        (["a.org:443", "b.org:443"], ["b.org:443"], ("a.org",)),
        (["a.org:443", "a.org:80"], ["a.org:80"], ()),
        (["*.a.org:443", "b.org:1"], ["x.a.org:443", "b.org:1"], ()),
        (["*.a.org:443", "b.org:1"], ["a.org:443", "b.org:1"], ("*.a.org",)),
        (["x.a.org:443", "b.org:1"], ["*.a.org:443", "b.org:1"], ()),
        (["[2001:db8::1]:5", "b.org:1"], ["b.org:1"], ("2001:db8::1",)),
    ],
)
def test_hosts_that_were_taken_away_are_told(
    then: list[str], now: list[str], withdrawn: tuple[str, ...]
) -> None:
    first = version(1, grants=tuple(map(host, then)))
    second = version(2, grants=tuple(map(host, now)))
    catalogue = Catalogue()
    seen: list[int] = []
    catalogue.on_replaced = lambda: seen.append(catalogue.revision)
    catalogue.replace([deployed(first, second, live={2: 100})])
    assert seen == [1]
    assert withdrawn_hosts(first, catalogue.in_force(first)) == withdrawn
    assert withdrawn_hosts(second, catalogue.in_force(second)) == ()
    catalogue.replace([])
    assert withdrawn_hosts(first, catalogue.in_force(first)) == (("*",) if then else ())
