"""Labels of stored data, as they are kept and as functions get them."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.capabilities.labels import (
    FROM_API,
    LabelledItem,
    LabelledObject,
    LabelledPage,
    kept,
)
from casemate.data.interface import Item, ItemPage, ObjectInfo
from casemate.data.limits import MAX_LABELS_BYTES
from casemate.model.errors import InvalidInputError

LABEL = '[["/name","event","/name"]]'
ITEM = Item(value={"id": "1"}, revision=2, modified_at=3.0, labels=LABEL.encode())


def plain(value: object) -> object:
    return json.loads(msgspec.json.encode(value))


@given(st.text() | st.recursive(st.none() | st.text(), st.lists).map(json.dumps))
def test_what_is_kept_is_a_label_and_not_too_long(text: str) -> None:
    try:
        content = kept(text)
    except InvalidInputError:
        return
    assert len(content) <= MAX_LABELS_BYTES
    assert all(len(entry) == 3 for entry in json.loads(content))


@pytest.mark.parametrize("size", [MAX_LABELS_BYTES, MAX_LABELS_BYTES + 1])
def test_the_limit_is_exact(size: int) -> None:
    text = '[["","event","' + "x" * (size - 17) + '"]]'
    assert len(text) == size
    if size == MAX_LABELS_BYTES:
        assert kept(text) == text.encode()
    else:
        with pytest.raises(InvalidInputError, match="at most"):
            kept(text)


def test_what_came_by_the_api_is_from_outside_as_a_whole() -> None:
    assert kept(FROM_API.decode()) == FROM_API
    assert json.loads(FROM_API)[0][0] == ""


def test_functions_get_labels_as_text() -> None:
    fields = {"value": {"id": "1"}, "revision": 2, "modified_at": 3.0}
    assert plain(LabelledItem.of(ITEM)) == fields | {"labels": LABEL}
    page = ItemPage(items=(ITEM, msgspec.structs.replace(ITEM, labels=b"")), after="x")
    assert plain(LabelledPage.of(page)) == {
        "items": [fields | {"labels": LABEL}, fields],
        "after": "x",
    }
    info = ObjectInfo(
        key="k", revision=1, size=2, modified_at=1.0, sha256="x", labels=LABEL.encode()
    )
    found = plain(LabelledObject.of(info))
    assert isinstance(found, dict)
    assert found.pop("labels") == LABEL
    assert set(found) == set(ObjectInfo.__struct_fields__) - {"labels"}
