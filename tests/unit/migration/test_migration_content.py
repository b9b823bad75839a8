"""Whatever is kept, its ports give the same before and after it was moved there and back."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from migration_samples import RESOURCES, FakeKeys, Folder, Shared, to_folder, to_server

from casemate.data import NewMessage

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)
SCALAR = st.one_of(
    TEXT,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
)
VALUE = st.one_of(SCALAR, st.none(), st.booleans(), st.lists(TEXT, max_size=3))
ITEMS = st.lists(
    st.fixed_dictionaries({"id": SCALAR, "at": SCALAR}, optional={"colour": SCALAR, "x": VALUE}),
    max_size=6,
)
KEYS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=6
)
OBJECTS = st.dictionaries(
    KEYS, st.tuples(st.binary(max_size=40), st.sampled_from([1, 1000, 5000])), max_size=4
)
MESSAGES = st.lists(
    st.builds(
        NewMessage,
        body=st.sampled_from([b"{}", b'"\\u0000"', b"[1]"]),
        key=TEXT,
        priority=st.integers(-100, 100),
        labels=st.binary(max_size=5),
        attributes=st.dictionaries(st.sampled_from(["a", "b.c"]), TEXT, max_size=2),
        caller=TEXT,
    ),
    max_size=6,
)


async def seen(data: Any) -> list[Any]:
    pages = [
        [(one.value, one.revision, one.labels) for one in page.items]
        for page in (
            await data.query_items("shop", "sorted"),
            await data.query_items("shop", "sorted", descending=True),
        )
    ]
    objects = [
        (info, (await data.get_object("shop", "files", info.key)))
        for info in (await data.list_objects("shop", "files")).objects
    ]
    return [pages, objects, await data.queue_info("shop", "queue", "jobs")]


async def handed_out(data: Any) -> list[Any]:
    found = []
    while leased := await data.lease("shop", "queue", "jobs", limit=9, lease=60.0):
        found += leased
    return found


@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(items=ITEMS, objects=OBJECTS, messages=MESSAGES)
def test_random_content_is_the_same(
    shared: Shared, keys: FakeKeys, items: Any, objects: Any, messages: Any
) -> None:
    async def fill(data: Any) -> None:
        await data.ensure("shop", RESOURCES)
        for item in items:
            await data.put_item("shop", "sorted", item)
        for key, (content, times) in objects.items():
            await data.put_object("shop", "files", key, content * times)
        if messages:
            await data.send_many("shop", "queue", "jobs", messages)

    if names := shared.schemas():
        shared.sql(f"DROP SCHEMA {', '.join(names)} CASCADE")
    base = Path(tempfile.mkdtemp())
    try:
        shared.path = base / "blobs"
        here, back = Folder(base / "node", keys), Folder(base / "back", keys)
        here.with_store(nothing)
        here.with_data(fill)
        before = here.with_data(seen)
        to_server(here, shared)
        assert shared.with_data(seen) == before
        shared.stop()
        to_folder(shared, back)
        assert back.with_data(seen) == before
        (here.folders.store / "records.db.move").unlink()
        assert back.with_data(handed_out) == here.with_data(handed_out)
    finally:
        shutil.rmtree(base)


async def nothing(_store: Any) -> None:
    """Only open it."""
