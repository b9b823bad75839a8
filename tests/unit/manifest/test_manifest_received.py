"""A function that comes in a bundle is held to the same bounds as one in a manifest."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.manifest import ManifestError, check_received
from casemate.manifest.rendering import grants_text
from casemate.manifest.tables import LIMITS
from casemate.model.errors import InvalidInputError
from casemate.model.function import FunctionSpec, HttpTrigger, Limits
from casemate.model.grant import (
    ACTIONS,
    BucketSpec,
    Grant,
    GrantKind,
    QueueSpec,
    Resources,
    TableIndex,
    TableSpec,
)

GOOD = FunctionSpec(name="f", handler="app:handler", python="3.13")


def test_the_defaults_are_valid() -> None:
    check_received(GOOD)


@pytest.mark.parametrize("name", [field.name for field in LIMITS.fields])
@pytest.mark.parametrize("factor", [-1, 10**9])
def test_every_limit_is_bounded_on_both_sides(name: str, factor: int) -> None:
    value = getattr(Limits(), name) or 1
    limits = msgspec.structs.replace(Limits(), **{name: value * factor})
    with pytest.raises(InvalidInputError, match=name):
        check_received(msgspec.structs.replace(GOOD, limits=limits))


def test_no_more_are_kept_ready_than_may_run() -> None:
    limits = Limits(concurrency=4, warm=4)
    check_received(msgspec.structs.replace(GOOD, limits=limits))
    limits = msgspec.structs.replace(limits, warm=5)
    with pytest.raises(InvalidInputError, match="limit warm is 5"):
        check_received(msgspec.structs.replace(GOOD, limits=limits))


def test_a_limit_that_is_not_a_number_is_refused() -> None:
    limits = msgspec.structs.replace(Limits(), timeout=float("nan"))
    with pytest.raises(InvalidInputError, match="timeout"):
        check_received(msgspec.structs.replace(GOOD, limits=limits))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "f\n"},
        {"name": "../f"},
        {"handler": "app"},
        {"handler": "app:handler\n"},
        {"handler": "äpp:handler"},
        {"python": "2.7"},
        {"python": None},
        {"http": (HttpTrigger(method="GE T", path="/x"),)},
        {"http": (HttpTrigger(method="GET", path="x"),)},
        {"http": (HttpTrigger(method="GET", path="/api/v1/keys"),)},
        {"http": (HttpTrigger(method="GET", path="/a/../b"),)},
        {"http": tuple(HttpTrigger(method="GET", path=f"/{n}") for n in range(101))},
    ],
)
def test_what_a_manifest_refuses_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError, match="not valid"):
        check_received(msgspec.structs.replace(GOOD, **change))


# -- grants, resources, environment --------------------------------------------------------------


def grant(kind: GrantKind, name: str, **rest: object) -> Grant:
    return Grant(**{"kind": kind, "name": name, "actions": ACTIONS[kind], **rest})


def egress(name: str, **rest: object) -> Grant:
    return grant(GrantKind.EGRESS, name, **rest)


BUCKET = grant(GrantKind.BUCKET, "uploads", prefixes=("a/", "b/"))
TABLE = grant(GrantKind.TABLE, "users")
RESOURCES = Resources(
    buckets=(BucketSpec(name="uploads", max_object=1025, max_total=1025),),
    tables=(TableSpec(name="users", key="id", indexes=(TableIndex(name="x", key="y"),)),),
    queues=(QueueSpec(name="jobs", retention=60.5),),
    topics=(QueueSpec(name="news"),),
)
GRANTS = (
    BUCKET,
    TABLE,
    grant(GrantKind.QUEUE, "jobs"),
    grant(GrantKind.TOPIC, "news"),
    grant(GrantKind.SECRET, "key"),
    egress("*.example.com:443", exception="all the shards"),
    egress("[::1]:5432", forward=5432, private=True, exception="local database"),
    grant(GrantKind.FUNCTION, "g"),
)


def test_grants_and_resources_of_a_manifest_are_valid() -> None:
    environment = {"LEVEL": "info"}
    check_received(msgspec.structs.replace(GOOD, grants=GRANTS, environment=environment), RESOURCES)


@pytest.mark.parametrize(
    "grants",
    [
        (BUCKET, BUCKET),
        (TABLE, BUCKET),
        (msgspec.structs.replace(BUCKET, actions=()),),
        (msgspec.structs.replace(BUCKET, actions=("write", "read")),),
        (msgspec.structs.replace(BUCKET, actions=("read", "read")),),
        (msgspec.structs.replace(BUCKET, actions=("*",)),),
        (msgspec.structs.replace(BUCKET, actions=("read", "get")),),
        (msgspec.structs.replace(BUCKET, prefixes=("b/", "a/")),),
        (msgspec.structs.replace(BUCKET, prefixes=("",)),),
        (msgspec.structs.replace(BUCKET, prefixes=("a/", "a/b")),),
        (msgspec.structs.replace(BUCKET, prefixes=("a\0",)),),
        (msgspec.structs.replace(BUCKET, forward=5000),),
        (msgspec.structs.replace(BUCKET, private=True),),
        (msgspec.structs.replace(BUCKET, exception="because of this"),),
        (msgspec.structs.replace(BUCKET, name="other"),),
        (msgspec.structs.replace(TABLE, prefixes=("a/",)),),
        (grant(GrantKind.QUEUE, "jobs", actions=("send", "read")),),
        (grant(GrantKind.QUEUE, "jobs", actions=()),),
        (grant(GrantKind.SECRET, "Key"),),
        (grant(GrantKind.SECRET, "key\n"),),
        (grant(GrantKind.FUNCTION, "a/b"),),
        (egress("example.com"),),
        (egress("example.com:0"),),
        (egress("example.com:0443"),),
        (egress("example.com:443 "),),
        (egress("Example.com:443"),),
        (egress("example.com.:443"),),
        (egress("::1:443"),),
        (egress("*:443", exception="everything else"),),
        (egress("*.com:443", exception="everything else"),),
        (egress("*.example.com:443"),),
        (egress("10.0.0.1:443"),),
        (egress("10.0.0.1:443", private=True),),
        (egress("a.example:443", forward=3128),),
        (egress("a.example:443", forward=80),),
        (egress("a.example:443", exception="none needed"),),
        (egress("a.example:443", actions=("connect", "listen")),),
        (egress("a.example:443", forward=5000), egress("b.example:443", forward=5000)),
        tuple(egress(f"h{n:03}.example:443") for n in range(101)),
    ],
)
def test_grants_that_no_manifest_gives_are_refused(grants: tuple[Grant, ...]) -> None:
    resources = RESOURCES.granted(grants)
    with pytest.raises(InvalidInputError, match="not valid"):
        check_received(msgspec.structs.replace(GOOD, grants=grants), resources)


def test_resources_are_those_that_are_granted() -> None:
    granted = msgspec.structs.replace(GOOD, grants=(BUCKET,))
    buckets = Resources(buckets=RESOURCES.buckets)
    check_received(granted, buckets)
    for resources in (Resources(), RESOURCES, Resources(buckets=buckets.buckets * 2)):
        with pytest.raises(InvalidInputError, match="not valid"):
            check_received(granted, resources)
    with pytest.raises(InvalidInputError, match="not valid"):
        check_received(granted)


@pytest.mark.parametrize(
    "resources",
    [
        Resources(buckets=(BucketSpec(name="uploads", max_object=-1),)),
        Resources(buckets=(BucketSpec(name="uploads", max_object=1 << 60),)),
        Resources(buckets=(BucketSpec(name="uploads", versions=0),)),
        Resources(buckets=(BucketSpec(name="UP"),)),
        Resources(buckets=(BucketSpec(name="uploads"), BucketSpec(name="a"))),
        Resources(tables=(TableSpec(name="users", key="id; DROP TABLE x"),)),
        Resources(tables=(TableSpec(name="users", key="id", sort="id"),)),
        Resources(tables=(TableSpec(name="users", key="a", max_item=1),)),
        Resources(
            tables=(TableSpec(name="users", key="a", indexes=(TableIndex(name="x", key="b"),) * 2),)
        ),
        Resources(queues=(QueueSpec(name="jobs", retention=float("nan")),)),
        Resources(queues=(QueueSpec(name="jobs", retention=float("inf")),)),
        Resources(queues=(QueueSpec(name="jobs", retention=60.00000000001),)),
        Resources(queues=(QueueSpec(name="jobs", max_message=1 << 40),)),
    ],
)
def test_resources_that_no_manifest_declares_are_refused(resources: Resources) -> None:
    named = resources.names()
    grants = tuple(grant(kind, name) for kind in GrantKind for name in named.get(kind, ()))
    with pytest.raises(InvalidInputError, match="not valid"):
        check_received(msgspec.structs.replace(GOOD, grants=grants), resources)


@pytest.mark.parametrize(
    "environment",
    [
        {"LD_PRELOAD": "x"},
        {"https_proxy": "x"},
        {"A\n": "x"},
        {"A": "x\0"},
        {"A": "x" * 5000},
        {"DB_PASSWORD": "correct horse"},
        {f"A{n}": "" for n in range(65)},
    ],
)
def test_environments_that_no_manifest_gives_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match="not valid") as caught:
        check_received(msgspec.structs.replace(GOOD, environment=environment))
    assert "correct horse" not in str(caught.value)
    assert str(caught.value).isprintable()


def test_internal_goes_with_no_way_in() -> None:
    check_received(msgspec.structs.replace(GOOD, internal=True))
    with pytest.raises(InvalidInputError, match="internal"):
        check_received(msgspec.structs.replace(GOOD, internal=True, public=True))


NAMES = st.sampled_from(
    ["uploads", "a.example:443", "*.a.example:443", "10.0.0.1:80", "UP", "", "x:"]
)
ANY_GRANT = st.builds(
    Grant,
    kind=st.sampled_from(GrantKind),
    name=NAMES | st.text(max_size=6),
    actions=st.sampled_from(list(ACTIONS.values())) | st.just(("read", "x")) | st.just(()),
    prefixes=st.sampled_from([(), ("a/",), ("a", "a/b"), ("",)]),
    forward=st.sampled_from([None, 5000, 3128, -1]),
    private=st.booleans(),
    exception=st.sampled_from(["", "because of this", "short"]),
)


@given(st.lists(ANY_GRANT, max_size=3).map(tuple))
@settings(max_examples=400, deadline=None)
def test_what_is_accepted_is_what_a_manifest_can_say(
    tmp_path_factory: pytest.TempPathFactory, grants: tuple[Grant, ...]
) -> None:
    from casemate.manifest import load

    resources = RESOURCES.granted(grants)
    try:
        check_received(msgspec.structs.replace(GOOD, grants=grants), resources)
    except InvalidInputError:
        return
    root = tmp_path_factory.getbasetemp() / "received"  # not above the folders of other tests
    root.mkdir(exist_ok=True)
    (root / "app.py").write_text("def handler(event, context): ...")
    text = f'project.name = "t"\nfunction.f.handler = "app:handler"\n{grants_text("f", grants)}'
    text += "".join(f"[{g.kind.value}.{g.name}]\nkey = 'id'\n" for g in grants if g.kind == "table")
    text += "".join(f"[{kind}.uploads]\n" for kind in ("bucket", "queue", "topic"))
    text += '[function.uploads]\nhandler = "app:handler"\n'
    text += "".join(
        f'[function.{g.name}]\nhandler = "app:handler"\n'
        for g in grants
        if g.kind == "function" and g.name not in ("f", "uploads")
    )
    (root / "casemate.toml").write_text(text)
    try:
        loaded = load(root / "casemate.toml")
    except ManifestError as error:
        pytest.fail(f"{text}\n{error}")
    assert loaded.functions[0].grants == grants
