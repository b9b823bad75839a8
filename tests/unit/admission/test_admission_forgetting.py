"""What a declaration would have the data of a project forget, and what it does without that."""

from __future__ import annotations

import pytest

from casemate.admission.forgetting import forgotten, lasting, told
from casemate.model.grant import BucketSpec, Grant, GrantKind, QueueSpec, Resources, TableSpec

PRESENT = Resources(
    buckets=(BucketSpec(name="b", versions=5),),
    tables=(TableSpec(name="t", key="id"), TableSpec(name="u", key="id", ttl="ends")),
    queues=(QueueSpec(name="q", retention=600.0),),
    topics=(QueueSpec(name="q", retention=900.0),),
)
FORGETS = {
    "fewer revisions": (
        Resources(buckets=(BucketSpec(name="b", versions=4, max_object=7),)),
        Resources(buckets=(BucketSpec(name="b", versions=5, max_object=7),)),
        "bucket b: forget all but 4 revisions of objects",
    ),
    "an end for items": (
        Resources(tables=(TableSpec(name="t", key="id", ttl="made", max_item=7),)),
        Resources(tables=(TableSpec(name="t", key="id", max_item=7),)),
        "table t: forget items by their made",
    ),
    "another end for items": (
        Resources(tables=(TableSpec(name="u", key="id", ttl="made"),)),
        Resources(tables=(TableSpec(name="u", key="id", ttl="ends"),)),
        "table u: forget items by their made",
    ),
    "messages for a shorter time": (
        Resources(queues=(QueueSpec(name="q", retention=599.5, max_message=7),)),
        Resources(queues=(QueueSpec(name="q", retention=600.0, max_message=7),)),
        "queue q: forget messages after 599.5 s",
    ),
    "those of a topic": (
        Resources(topics=(QueueSpec(name="q", retention=600.0),)),
        Resources(topics=(QueueSpec(name="q", retention=900.0),)),
        "topic q: forget messages after 600 s",
    ),
}
KEEPS = {
    "the same": PRESENT,
    "nothing": Resources(),
    "more of each": Resources(
        buckets=(BucketSpec(name="b", versions=6),),
        tables=(TableSpec(name="u", key="id"),),
        queues=(QueueSpec(name="q", retention=601.0),),
    ),
    "lower limits": Resources(
        buckets=(BucketSpec(name="b", versions=5, max_object=1, max_total=1),),
        tables=(TableSpec(name="t", key="id", max_item=1),),
        queues=(QueueSpec(name="q", retention=600.0, max_message=1),),
    ),
    "what is new": Resources(
        buckets=(BucketSpec(name="new"),),
        tables=(TableSpec(name="new", key="id", ttl="made"),),
        topics=(QueueSpec(name="new", retention=60.0),),
    ),
}


@pytest.mark.parametrize("way", FORGETS)
def test_it_is_told_and_can_be_left(way: str) -> None:
    declared, without, text = FORGETS[way]
    (found,) = forgotten(PRESENT, declared)
    assert told(found.grant) == text
    assert lasting(PRESENT, declared) == without
    assert forgotten(PRESENT, without) == ()


@pytest.mark.parametrize("way", KEEPS)
def test_this_forgets_nothing(way: str) -> None:
    assert forgotten(PRESENT, KEEPS[way]) == ()
    assert lasting(PRESENT, KEEPS[way]) == KEEPS[way]


def test_a_grant_is_told_by_its_resource() -> None:
    assert told(Grant(kind=GrantKind.TABLE, name="t", actions=("get",))) == "table t"
