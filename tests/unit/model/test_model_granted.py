"""Matching one use to one grant: what no grant names is not found, by whatever name it goes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.model.grant import ACTIONS, BucketSpec, Grant, GrantKind, QueueSpec, Resources
from casemate.model.granted import CompiledGrants, learned_prefix

UPLOADS = Grant(
    kind=GrantKind.BUCKET, name="uploads", actions=("read", "list"), prefixes=("in/", "out/")
)
EVERY_KEY = Grant(kind=GrantKind.BUCKET, name="all", actions=("write",))
API = Grant(kind=GrantKind.EGRESS, name="api.example.com:443", actions=("connect",))
SHARDS = Grant(
    kind=GrantKind.EGRESS, name="*.example.com:443", actions=("connect",), exception="shards"
)
DEEP = Grant(
    kind=GrantKind.EGRESS, name="*.eu.example.com:443", actions=("connect",), exception="shards"
)
QUEUE = Grant(kind=GrantKind.QUEUE, name="jobs", actions=("send",))
GRANTS = CompiledGrants((UPLOADS, EVERY_KEY, API, SHARDS, DEEP, QUEUE))


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ((GrantKind.BUCKET, "uploads", "read", "in/a"), (UPLOADS, "in/")),
        ((GrantKind.BUCKET, "uploads", "list", "out/"), (UPLOADS, "out/")),
        ((GrantKind.BUCKET, "all", "write", ""), (EVERY_KEY, "")),
        ((GrantKind.BUCKET, "all", "write", "any"), (EVERY_KEY, "")),
        ((GrantKind.QUEUE, "jobs", "send"), (QUEUE, "")),
        ((GrantKind.EGRESS, "api.example.com:443", "connect"), (API, "")),
        ((GrantKind.EGRESS, "b.example.com:443", "connect"), (SHARDS, "")),
        ((GrantKind.EGRESS, "a.b.example.com:443", "connect"), (SHARDS, "")),
        ((GrantKind.EGRESS, "b.eu.example.com:443", "connect"), (DEEP, "")),
        ((GrantKind.EGRESS, "eu.example.com:443", "connect"), (SHARDS, "")),
    ],
)
def test_what_is_granted_is_found_with_the_grant_that_decides(use, expected) -> None:
    assert GRANTS.find(*use) == expected


@pytest.mark.parametrize(
    "use",
    [
        (GrantKind.BUCKET, "uploads", "write", "in/a"),
        (GrantKind.BUCKET, "uploads", "read", "in"),
        (GrantKind.BUCKET, "uploads", "read", "IN/a"),
        (GrantKind.BUCKET, "uploads", "read", "/in/a"),
        (GrantKind.BUCKET, "uploads", "read", "other/../in/a"),
        (GrantKind.BUCKET, "uploads", "list", ""),
        (GrantKind.BUCKET, "Uploads", "read", "in/a"),
        (GrantKind.BUCKET, "uploads ", "read", "in/a"),
        (GrantKind.BUCKET, "", "read", "in/a"),
        (GrantKind.TABLE, "uploads", "read", "in/a"),
        (GrantKind.BUCKET, "uploads", "READ", "in/a"),
        (GrantKind.BUCKET, "uploads", "*", "in/a"),
        (GrantKind.BUCKET, "uploads", "", "in/a"),
        (GrantKind.TOPIC, "jobs", "send"),
        (GrantKind.EGRESS, "example.com:443", "connect"),
        (GrantKind.EGRESS, ".example.com:443", "connect"),
        (GrantKind.EGRESS, "a..example.com:443", "connect"),
        (GrantKind.EGRESS, "*.example.com:443", "connect"),
        (GrantKind.EGRESS, "a.*.example.com:443", "connect"),
        (GrantKind.EGRESS, "evil-example.com:443", "connect"),
        (GrantKind.EGRESS, "a.evil-example.com:443", "connect"),
        (GrantKind.EGRESS, "a.example.com.evil.com:443", "connect"),
        (GrantKind.EGRESS, "A.example.com:443", "listen"),
        (GrantKind.EGRESS, "api.example.com:4430", "connect"),
        (GrantKind.EGRESS, "api.example.com:80", "connect"),
        (GrantKind.EGRESS, "a.example.com:80", "connect"),
        (GrantKind.EGRESS, "api.example.com", "connect"),
        (GrantKind.EGRESS, "a.example.com:443.", "connect"),
        (GrantKind.EGRESS, "a.example.com:443:443", "connect"),
        (GrantKind.EGRESS, "10.0.0.1:443", "connect"),
        (GrantKind.EGRESS, "[::1]:443", "connect"),
        (GrantKind.EGRESS, "", "connect"),
        (GrantKind.EGRESS, "." * 300, "connect"),
    ],
)
def test_everything_else_is_denied(use) -> None:
    assert GRANTS.find(*use) is None
    assert CompiledGrants(()).find(*use) is None


def test_an_exact_host_decides_over_a_wildcard_even_if_it_allows_less() -> None:
    private = Grant(
        kind=GrantKind.EGRESS, name="*.example.com:443", actions=("connect",), private=True
    )
    grants = CompiledGrants((private, API))
    found = grants.find(GrantKind.EGRESS, "api.example.com:443", "connect")
    assert found is not None and not found[0].private


@given(
    st.sampled_from(GrantKind),
    st.text(max_size=12),
    st.sampled_from([a for actions in ACTIONS.values() for a in actions]),
    st.text("inout/. ", max_size=6) | st.text(max_size=4),
)
@settings(max_examples=400, deadline=None)
def test_whatever_is_found_covers_the_use(kind, name, action, key) -> None:
    found = GRANTS.find(kind, name, action, key)
    if found is None:
        return
    grant, prefix = found
    assert grant.kind is kind
    assert action in grant.actions
    assert key.startswith(prefix)
    assert prefix in (grant.prefixes or ("",))
    assert grant.name == name or (kind is GrantKind.EGRESS and name.endswith(grant.name[1:]))


@pytest.mark.parametrize(
    ("key", "prefix"),
    [("a/b/c", "a/"), ("a", ""), ("", ""), ("/a", ""), ("a/", "a/"), ("//", "")],
)
def test_the_prefix_to_learn(key, prefix) -> None:
    assert learned_prefix(key) == prefix


def test_a_bundle_gets_the_resources_that_are_granted_and_no_others() -> None:
    bucket, queue = BucketSpec(name="uploads"), QueueSpec(name="jobs")
    resources = Resources(
        buckets=(bucket, BucketSpec(name="jobs")),
        queues=(queue, QueueSpec(name="other")),
        topics=(queue,),
    )
    assert resources.granted((UPLOADS, QUEUE, API)) == Resources(buckets=(bucket,), queues=(queue,))
    assert resources.granted(()) == Resources()
    assert resources.names()[GrantKind.BUCKET] == ("uploads", "jobs")
