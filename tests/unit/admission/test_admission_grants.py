"""Which deploys widen what a function is granted: compared with every use there is."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from casemate.admission.grants import (
    GrantDifference,
    WideningError,
    describe,
    difference,
    learned,
    require_approval,
    spec_difference,
    suggest,
)
from casemate.model.denial import GrantUse
from casemate.model.errors import ConflictError
from casemate.model.function import (
    Delivery,
    Destination,
    DestinationKind,
    FunctionSpec,
    Isolation,
    Trust,
)
from casemate.model.grant import ACTIONS, Grant, GrantKind
from casemate.model.granted import CompiledGrants
from casemate.model.trigger import (
    BucketTrigger,
    QueueTrigger,
    ResultTrigger,
    ScheduleTrigger,
    ValkeyTrigger,
)


def bucket(*actions: str, below: tuple[str, ...] = (), name: str = "uploads") -> Grant:
    return Grant(kind=GrantKind.BUCKET, name=name, actions=actions, prefixes=below)


def egress(name: str, **rest: object) -> Grant:
    return Grant(**{"kind": GrantKind.EGRESS, "name": name, "actions": ("connect",), **rest})


JOBS = Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",))
API = egress("api.example.com:443")
SHARDS = egress("*.example.com:443", exception="all the shards")


def use(grant: str, action: str, prefix: str = "", *, version: int = 1, count: int = 1) -> GrantUse:
    return GrantUse(
        project="shop",
        function="cart",
        version=version,
        grant=grant,
        action=action,
        prefix=prefix,
        first_at=1.0,
        last_at=2.0,
        count=count,
    )


# -- a reference that knows nothing but single uses -----------------------------------------------

KEYS = ["", "a", "a/", "a/b", "a/b/c", "b", "b/x"]
HOSTS = ["example.com", "a.example.com", "b.example.com", "c.a.example.com", "d.c.a.example.com"]
HOSTS += ["other.test", "10.0.0.1", "api.example.com", "e.a.example.com", "z.example.com"]
Use = tuple[object, ...]


def allowed(grants: tuple[Grant, ...]) -> set[Use]:
    """Every single use, out of a small world, that `grants` allow."""
    found: set[Use] = set()
    for grant in grants:
        if grant.kind is GrantKind.EGRESS:
            continue
        for action, key in itertools.product(grant.actions, KEYS):
            if not grant.prefixes or any(key[: len(p)] == p for p in grant.prefixes):
                found.add((grant.kind, grant.name, action, key))
    for host, port in itertools.product(HOSTS, ("443", "5432")):
        grant = deciding(grants, host, port)
        if grant is not None:
            for private in {False, grant.private}:
                for forward in {False, grant.forward is not None}:
                    found.add((host, port, private, forward))
    return found


def deciding(grants: tuple[Grant, ...], host: str, port: str) -> Grant | None:
    fitting = []
    for grant in grants:
        pattern, _, its_port = grant.name.rpartition(":")
        if grant.kind is not GrantKind.EGRESS or its_port != port:
            continue
        if pattern == host:
            return grant
        if pattern.startswith("*.") and host.endswith(pattern[1:]):
            fitting.append(grant)
    return max(fitting, key=lambda grant: len(grant.name), default=None)


PREFIXES = st.lists(st.sampled_from(["a", "a/", "a/b", "b"]), max_size=3, unique=True).map(tuple)


def some(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True).map(tuple)


BUCKETS = st.builds(
    lambda name, actions, prefixes: bucket(*actions, below=prefixes, name=name),
    st.sampled_from(["x", "y"]),
    some(ACTIONS[GrantKind.BUCKET]),
    PREFIXES,
)
TABLES = st.builds(
    lambda actions: Grant(kind=GrantKind.TABLE, name="x", actions=actions),
    some(ACTIONS[GrantKind.TABLE]),
)
PATTERNS = ["example.com", "a.example.com", "c.a.example.com", "*.example.com", "*.a.example.com"]
PATTERNS += ["10.0.0.1", "b.example.com", "*.c.a.example.com"]
EGRESS = st.builds(
    lambda host, port, private, forward: egress(
        f"{host}:{port}", private=private, forward=None if host[0] == "*" else forward
    ),
    st.sampled_from(PATTERNS),
    st.sampled_from(["443", "5432"]),
    st.booleans(),
    st.sampled_from([None, 5000, 5001]),
)
SETS = st.lists(
    BUCKETS | TABLES | EGRESS | st.just(JOBS), max_size=6, unique_by=lambda grant: grant.text
).map(tuple)


@given(SETS, SETS)
@example(
    (API, egress("*.example.com:443", private=True)), (egress("*.example.com:443", private=True),)
)
@example((SHARDS,), (SHARDS, API))
@settings(max_examples=600, deadline=None)
def test_widening_is_every_use_that_was_not_allowed(
    before: tuple[Grant, ...], after: tuple[Grant, ...]
) -> None:
    found = difference(before, after)
    new = allowed(after) - allowed(before)
    assert found.widens is bool(new)
    assert {grant.text for grant in found.widening} <= {grant.text for grant in after}
    # Taking the widening out of the new grants leaves nothing that was not allowed.
    kept = tuple(grant for grant in after if grant not in found.widening)
    resources = {u for u in new if isinstance(u[0], GrantKind)}
    assert not resources & allowed(kept)
    assert len(found.lines()) >= len(found.widening)


@given(SETS, SETS)
@settings(max_examples=150, deadline=None)
def test_added_and_removed_are_mirror_images(before, after) -> None:
    there, back = difference(before, after), difference(after, before)
    assert there.added == back.removed
    assert there.removed == back.added
    assert not difference(before, before).widens
    assert msgspec.json.decode(msgspec.json.encode(there), type=GrantDifference) == there


@given(SETS)
@settings(max_examples=150, deadline=None)
def test_a_first_deploy_with_any_grant_widens(grants: tuple[Grant, ...]) -> None:
    new = FunctionSpec(name="cart", handler="a:b", grants=grants)
    assert difference((), grants).widens is bool(grants)
    if not grants:
        assert require_approval(None, new, False) == GrantDifference()
        return
    with pytest.raises(WideningError):
        require_approval(None, new, False)
    assert require_approval(None, new, True).added == grants


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ((), (JOBS,), "+ queue jobs: send"),
        (
            (bucket("read", below=("a/",)),),
            (bucket("read", "write", below=("a/", "b/")),),
            '~ bucket uploads: also write; also below "b/"',
        ),
        (
            (bucket("read", below=("a/",)),),
            (bucket("read"),),
            "~ bucket uploads: every key",
        ),
        ((API,), (SHARDS,), '+ egress *.example.com:443: connect (exception: "all the shards")'),
        (
            (API,),
            (egress("api.example.com:443", forward=5000),),
            "~ egress api.example.com:443: also plain TCP by local port 5000",
        ),
        (
            (API,),
            (egress("api.example.com:443", private=True, exception="in the house"),),
            '~ egress api.example.com:443: also private addresses (exception: "in the house")',
        ),
        (
            (API, egress("*.example.com:443", private=True)),
            (egress("*.example.com:443", private=True),),
            '~ egress *.example.com:443: also private addresses (exception: ""); '
            "in place of api.example.com:443",
        ),
    ],
)
def test_a_widening_is_told_exactly(before, after, line) -> None:
    assert difference(before, after).lines() == [line]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((JOBS,), ()),
        ((bucket("read"),), (bucket("read", below=("a/",)),)),
        ((bucket("read", below=("a/",)),), (bucket("read", below=("a/b/", "a/c/")),)),
        ((SHARDS,), (SHARDS, API)),
        ((SHARDS,), (egress("*.eu.example.com:443", exception="less of them"),)),
        ((SHARDS,), (egress("*.example.com:443", exception="another reason"),)),
        (
            (egress("a.example:443", forward=5000),),
            (egress("a.example:443", forward=5001),),
        ),
        ((egress("a.example:443", forward=5000),), (egress("a.example:443"),)),
    ],
)
def test_less_or_the_same_needs_nobody(before, after) -> None:
    live = FunctionSpec(name="cart", handler="a:b", grants=before)
    new = msgspec.structs.replace(live, grants=after)
    assert not require_approval(live, new, False).widens


def test_what_is_no_grant_is_no_widening() -> None:
    live = FunctionSpec(name="cart", handler="a:b")
    new = msgspec.structs.replace(
        live,
        public=True,
        trust=Trust.LOW,
        isolation=Isolation.INSTANCE,
        environment={"A": "b"},
    )
    assert require_approval(live, new, False) == GrantDifference()


@pytest.mark.parametrize("approve", [False, None, 0, 1, "yes"])
def test_nothing_but_true_approves(approve) -> None:
    new = FunctionSpec(name="cart", handler="a:b", grants=(JOBS,))
    with pytest.raises(ConflictError, match="queue jobs: send") as caught:
        require_approval(None, new, approve)
    assert caught.value.difference.added == (JOBS,)
    assert "--approve" in caught.value.next_step


def test_a_message_stays_short_however_much_is_granted() -> None:
    grants = tuple(bucket("read", below=("x" * 1024,), name=f"b{n}") for n in range(100))
    new = FunctionSpec(name="cart", handler="a:b", grants=grants)
    with pytest.raises(WideningError, match="and 80 more") as caught:
        require_approval(None, new, False)
    assert len(str(caught.value)) < 8000
    assert caught.value.difference.widening == grants


def test_a_grant_is_described_with_all_it_allows() -> None:
    assert describe(bucket("read", "write", below=("a/", "b/"))) == (
        'bucket uploads: read, write below "a/", "b/"'
    )
    database = egress("db:5432", forward=5432, private=True, exception="our database")
    assert describe(database) == (
        'egress db:5432: connect by local port 5432, private addresses too (exception: "our '
        'database")'
    )


# -- from uses to grants ---------------------------------------------------------------------------


def test_the_suggestion_covers_the_uses_and_no_more() -> None:
    granted = (
        bucket("read", "write", "delete", below=("a/", "b/", "c/")),
        bucket("read", name="idle"),
        JOBS,
        SHARDS,
    )
    uses = [
        use("bucket uploads", "read", "a/"),
        use("bucket uploads", "write", "b/"),
        use("egress *.example.com:443", "connect"),
        use("secret gone", "read"),
    ]
    assert suggest(granted, uses) == (bucket("read", "write", below=("a/", "b/")), SHARDS)
    assert suggest(granted, []) == ()
    assert suggest((), uses) == ()


def test_uses_of_other_versions_never_widen() -> None:
    granted = (bucket("read", below=("a/b/",)),)
    assert suggest(granted, [use("bucket uploads", "read", "a/")]) == granted
    assert suggest(granted, [use("bucket uploads", "read", "")]) == granted
    assert suggest(granted, [use("bucket uploads", "write", "a/b/")]) == ()
    assert suggest(granted, [use("bucket uploads", "read", "a/b/c/")]) == (
        bucket("read", below=("a/b/c/",)),
    )


@given(
    SETS, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 2)), max_size=9)
)
@settings(max_examples=250, deadline=None)
def test_a_suggestion_is_never_wider_and_covers_every_recorded_use(grants, picks) -> None:
    compiled = CompiledGrants(grants)
    uses = []
    for which, action, prefix in picks:
        if which < len(grants):
            grant = grants[which]
            prefixes = grant.prefixes or ("",)
            uses.append(
                use(
                    grant.text,
                    grant.actions[action % len(grant.actions)],
                    prefixes[prefix % len(prefixes)],
                )
            )
    tighter = suggest(grants, uses)
    assert {g.text for g in tighter} == {u.grant for u in uses}
    assert not any(g.kind is not GrantKind.EGRESS for g in difference(grants, tighter).widening)
    again = CompiledGrants(tighter)
    for one in uses:
        kind, _, name = one.grant.partition(" ")
        if "*" in name:
            continue
        assert compiled.find(GrantKind(kind), name, one.action, one.prefix) is not None
        assert again.find(GrantKind(kind), name, one.action, one.prefix) is not None


def test_first_grants_are_learned_from_uses_alone() -> None:
    database = egress("db:5432", forward=5432, private=True, exception="our database")
    uses = [
        use("function resize", "invoke"),
        use("bucket uploads", "write", "out/"),
        use("bucket uploads", "read", "in/"),
        use("bucket uploads", "read", "in/deep/"),
        use("bucket logs", "write", ""),
        use("bucket logs", "write", "x/"),
        use("table users", "put"),
        use("table users", "get", version=2),
        use("egress api.example.com:443", "connect"),
        use("egress db:5432", "connect"),
        use("nonsense x", "read"),
        use("bucket", "read"),
        use("queue jobs", "receive"),
    ]
    assert learned(uses, (database, JOBS)) == (
        bucket("write", name="logs"),
        bucket("read", "write", below=("in/", "out/")),
        Grant(kind=GrantKind.TABLE, name="users", actions=("get", "put")),
        API,
        database,
        Grant(kind=GrantKind.FUNCTION, name="resize", actions=("invoke",)),
    )
    assert learned([]) == ()


# -- triggers and destinations -------------------------------------------------------------------


def spec_of(*triggers: object, granted: tuple[Grant, ...] = (), **delivery: object) -> FunctionSpec:
    return FunctionSpec(
        name="f", handler="a:b", grants=granted, triggers=triggers, delivery=Delivery(**delivery)
    )


QUEUE = QueueTrigger(name="q", queue="jobs")
WATCH = BucketTrigger(name="b", bucket="uploads", prefix="in/")
TO_DONE = (Destination(kind=DestinationKind.QUEUE, name="done"),)
SENDS = (Grant(kind=GrantKind.QUEUE, name="done", actions=("send",)),)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (spec_of(), spec_of(QUEUE), "+ queue jobs: receive"),
        (
            spec_of(granted=(JOBS,)),
            spec_of(QUEUE, granted=(JOBS,)),
            "+ queue jobs: receive",
        ),
        (spec_of(), spec_of(WATCH), '+ bucket uploads: watch below "in/"'),
        (
            spec_of(WATCH),
            spec_of(WATCH, BucketTrigger(name="c", bucket="uploads")),
            "~ bucket uploads: every key",
        ),
        (spec_of(), spec_of(on_success=TO_DONE), "+ queue done: send"),
        (spec_of(), spec_of(on_failure=TO_DONE), "+ queue done: send"),
        (
            spec_of(),
            spec_of(ResultTrigger(name="r", function="other")),
            "+ function other: watch",
        ),
        (
            spec_of(ValkeyTrigger(name="v", host="a.example.com", port=1, stream="s")),
            spec_of(
                ValkeyTrigger(
                    name="v",
                    host="a.example.com",
                    port=1,
                    stream="s",
                    private=True,
                    exception="it is in this rack",
                )
            ),
            '~ egress a.example.com:1: also private addresses (exception: "it is in this rack")',
        ),
        (
            spec_of(granted=(egress("a.example.com:1"),)),
            spec_of(
                ValkeyTrigger(name="v", host="a.example.com", port=1, stream="s"),
                granted=(egress("a.example.com:1"),),
            ),
            "+ egress a.example.com:1: receive",
        ),
    ],
)
def test_what_a_trigger_sees_and_a_destination_gets_widens(
    before: FunctionSpec, after: FunctionSpec, line: str
) -> None:
    found = spec_difference(before, after)
    assert found.lines() == [line]
    with pytest.raises(WideningError):
        require_approval(before, after, approve=False)
    require_approval(before, after, approve=True)
    assert not spec_difference(after, before).widens


def test_a_first_deploy_with_triggers_needs_approval() -> None:
    assert len(spec_difference(None, spec_of(QUEUE, WATCH, on_success=TO_DONE)).widening) == 3


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (spec_of(QUEUE), spec_of(QueueTrigger(name="z", queue="jobs", batch=5))),
        (spec_of(granted=SENDS), spec_of(on_success=TO_DONE)),
        (spec_of(on_success=TO_DONE), spec_of(on_failure=TO_DONE)),
        (
            spec_of(BucketTrigger(name="c", bucket="uploads")),
            spec_of(BucketTrigger(name="c", bucket="uploads", prefix="in/")),
        ),
        (spec_of(QUEUE, WATCH), spec_of(WATCH)),
        (spec_of(), spec_of(ScheduleTrigger(name="s", every=5.0))),
    ],
)
def test_the_same_or_less_widens_nothing(before: FunctionSpec, after: FunctionSpec) -> None:
    assert not spec_difference(before, after).widens
