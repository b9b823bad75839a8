"""Items: keys, conditions, indexes, ranges, pages, TTL, and what an item may hold."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest
from data_support import RESOURCES, Clock, Data
from hypothesis import given
from hypothesis import strategies as st

from casemate.data import LimitError, Range
from casemate.data.item_content import MAX_VALUES, encode_item, exact, item_of
from casemate.model.errors import ConflictError, InvalidInputError, NotFoundError
from casemate.model.grant import Resources, TableIndex, TableSpec

FOR_SQLITE_ALONE: frozenset[str] = frozenset()

KEYS = [-(2**63), -1.5, 0, 2**53, 2**53 + 1, 2**63 - 1, 1e300, "", "A", "a", "\uffff", "\U0001f600"]
"""In the order of tables. U+FFFF sorts before U+1F600 by code point, not by UTF-16 unit."""


def values(page) -> list[object]:
    return [item.value for item in page.items]


def ids(page) -> list[object]:
    return [item.value["id"] for item in page.items]


def everything(data: Data, table: str, **question) -> list[object]:
    found, after = [], None
    while True:
        page = data.query_items("p", table, after=after, **question)
        found += values(page)
        after = page.after
        if after is None:
            return found


def test_numbers_come_before_text_and_are_exact(data: Data) -> None:
    for key in reversed(KEYS):
        data.put_item("p", "plain", {"id": key})
    assert ids(data.query_items("p", "plain")) == KEYS
    assert ids(data.query_items("p", "plain", descending=True)) == KEYS[::-1]
    for key in KEYS:
        found = data.get_item("p", "plain", key)
        assert found.value["id"] == key
        assert type(found.value["id"]) is type(key)


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.text(st.characters(exclude_categories=["Cs"])),
        ),
    )
)
def test_items_are_kept_exactly(value) -> None:
    encoded = encode_item(value)
    list(exact(encoded))
    back = item_of(encoded)
    assert back == value
    assert {k: type(v) for k, v in back.items()} == {k: type(v) for k, v in value.items()}


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        None,
        {},
        {"id": None},
        {"id": True},
        {"id": []},
        {"id": 2**63},
        {"id": "x" * 1025},
        b'{"id": NaN}',
        b'{"id": "\\ud800"}',
        {"id": "nul\0"},
        {"id": 1, "v": 2**63},
        {"id": 1, "v": -(2**63) - 1},
        {"id": 1, "v": {"in": [10**40]}},
        {"id": 1, "v": nested(32)},
        {"id": 1, "v": {"in": nested(31)}},
        b'{"id": 1, "v": 1e999}',
        b'{"id": 1, "v": Infinity}',
        b'{"id": 1, "v": "\\udfff"}',
        b'{"id": 1, "v": "\xff"}',
        b'{"id": 1, "v": {1: 2}}',
        b'{"id": 1} x',
        b'{"id": 1, "v": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)
def test_what_cannot_be_an_item(data: Data, value) -> None:
    with pytest.raises(InvalidInputError):
        data.put_item("p", "plain", value)
    assert values(data.query_items("p", "plain")) == []


@pytest.mark.parametrize(
    "value",
    [
        2**63 - 1,
        -(2**63),
        1e300,
        0.1234567890123456,
        "9" * 40,
        '[{"' * 40,
        "[[" + '\\"' * 40,
        nested(31),
        {"in": nested(30)},
    ],
)
def test_what_looks_like_too_much_and_is_not(data: Data, value: object) -> None:
    data.put_item("p", "plain", {"id": 1, "v": value})
    assert data.get_item("p", "plain", 1).value["v"] == value


def test_a_large_item_is_checked_too(data: Data) -> None:
    data.ensure("p", Resources(tables=(TableSpec(name="large", key="id", max_item=1 << 20),)))
    data.put_item("p", "large", {"id": 1, "v": [1.5] * 20_000})
    data.put_item("p", "large", {"id": 1, "v": [2**63 - 1] * 20_000})
    for last in (2**64, nested(40)):
        with pytest.raises(InvalidInputError):
            data.put_item("p", "large", {"id": 1, "v": [[2**62] * 20_000, {"a": last}]})


def test_an_item_has_so_many_values(data: Data) -> None:
    """Commas and brackets within texts are none."""
    data.ensure("p", Resources(tables=(TableSpec(name="large", key="id", max_item=1 << 20),)))
    data.put_item("p", "large", {"id": ",[{" * 100, "v": ",[{" * MAX_VALUES})
    data.put_item("p", "large", {"id": 1, "v": [1] * (MAX_VALUES - 4)})
    with pytest.raises(InvalidInputError, match="more than 50,000 values"):
        data.put_item("p", "large", {"id": 1, "v": [1] * MAX_VALUES})
    with pytest.raises(InvalidInputError, match="more than 50,000 values"):
        data.put_item("p", "large", {"id": 1, "v": [{}] * MAX_VALUES})


LARGE = {
    "keys": {"id": 1} | {f"k{n}": n for n in range(36_000)},
    "numbers": {"id": 1, "v": [9_007_199_254_740_993_123 - n for n in range(22_000)]},
    "lists": {"id": 1, "v": [[]] * 49_000},
    "dictionaries": {"id": 1, "v": [{"a": 1}] * 20_000},
    "brackets": {"id": 1, "v": [[[[[[[[[[1]]]]]]]]]] * 4000},
    "a text": {"id": 1, "v": "\u20ac[" * 100_000},
}


@pytest.mark.parametrize("kind", LARGE)
def test_large_items_of_many_hold_nobody_up(data: Data, kind: str) -> None:
    """Who else needs the loop waits for a piece of one item, not for all of them."""
    data.ensure("p", Resources(tables=(TableSpec(name="large", key="id", max_item=1 << 20),)))
    encoded = msgspec.json.encode(LARGE[kind])

    async def late() -> list[float]:
        puts = [
            asyncio.ensure_future(data.port.put_item("p", "large", encoded, labels=b"%d" % n))
            for n in range(8)
        ]
        waited: list[float] = []
        while not all(put.done() for put in puts):
            began = time.thread_time()
            await asyncio.sleep(0)
            waited.append(time.thread_time() - began)
        await asyncio.gather(*puts)
        return sorted(waited)

    # The shortest of five: a collection of garbage may be among them. A piece takes up to 0.02 s on
    # a slow machine; all of them many times that.
    assert min(data.run(late())[-1] for _ in range(5)) < 0.04


def test_size_limit(data: Data) -> None:
    data.put_item("p", "plain", {"id": 1, "v": "x" * 2900})
    with pytest.raises(LimitError):
        data.put_item("p", "plain", {"id": 1, "v": "x" * 3000})


def test_conditions_and_revisions(data: Data) -> None:
    assert data.put_item("p", "plain", {"id": 1}, if_revision=0).revision == 1
    with pytest.raises(ConflictError):
        data.put_item("p", "plain", {"id": 1}, if_revision=0)
    assert data.put_item("p", "plain", {"id": 1.0, "v": 2}, if_revision=1).revision == 2
    with pytest.raises(ConflictError):
        data.delete_item("p", "plain", 1, if_revision=1)
    data.delete_item("p", "plain", 1, if_revision=2)
    data.delete_item("p", "plain", 1)
    with pytest.raises(NotFoundError):
        data.get_item("p", "plain", 1)
    assert data.put_item("p", "plain", {"id": 1}).revision == 3


def test_one_of_many_wins(data: Data) -> None:
    async def race() -> list[object]:
        return await asyncio.gather(
            *(
                data.port.put_item("p", "plain", {"id": 1, "n": n}, if_revision=0)
                for n in range(50)
            ),
            return_exceptions=True,
        )

    results = data.run(race())
    assert sum(1 for result in results if not isinstance(result, Exception)) == 1


def test_the_sort_value_belongs_to_the_table(data: Data) -> None:
    with pytest.raises(InvalidInputError):
        data.get_item("p", "plain", 1, 2)
    with pytest.raises(InvalidInputError):
        data.get_item("p", "sorted", 1)
    with pytest.raises(InvalidInputError):
        data.put_item("p", "sorted", {"id": 1})
    with pytest.raises(InvalidInputError):
        data.query_items("p", "plain", key=1, sort=Range(equals=1))
    with pytest.raises(InvalidInputError):
        data.query_items("p", "sorted", sort=Range(equals=1))
    with pytest.raises(InvalidInputError):
        data.query_items("p", "sorted", key="k", index="by-colour", sort=Range(equals=1))


def fill(data: Data) -> list[dict[str, object]]:
    items = [
        {"id": key, "at": at, "colour": colour, "size": size}
        for key, at, colour, size in [
            ("a", 1, "red", 3),
            ("a", 2.5, "red", 1),
            ("a", "2026-01", "blue", 2),
            ("a", "2026-02", "red", "x"),
            ("a", "2027-01", None, 1),
            ("b", 1, "red", 2),
        ]
    ]
    for item in items:
        data.put_item("p", "sorted", item)
    return items


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Range(), [1, 2.5, "2026-01", "2026-02", "2027-01"]),
        (Range(equals=1), [1]),
        (Range(equals="2026-01"), ["2026-01"]),
        (Range(begins_with="2026-"), ["2026-01", "2026-02"]),
        (Range(begins_with=""), ["2026-01", "2026-02", "2027-01"]),
        (Range(at_least=2), [2.5, "2026-01", "2026-02", "2027-01"]),
        (Range(less_than=""), [1, 2.5]),
        (Range(at_least="2026-02", less_than="2027"), ["2026-02"]),
        (Range(begins_with="2026-", at_least="2026-02"), ["2026-02"]),
        (Range(begins_with="\U0010ffff"), []),
    ],
)
def test_ranges(data: Data, condition: Range, expected) -> None:
    fill(data)
    found = data.query_items("p", "sorted", key="a", sort=condition)
    assert [item.value["at"] for item in found.items] == expected
    back = data.query_items("p", "sorted", key="a", sort=condition, descending=True)
    assert [item.value["at"] for item in back.items] == expected[::-1]


@pytest.mark.parametrize(
    "bad",
    [
        Range(equals=True),
        Range(begins_with=5),
        Range(at_least=2**63),
        Range(less_than=[]),
        Range(equals="\0"),
    ],
)
def test_ranges_that_are_none(data: Data, bad: Range) -> None:
    with pytest.raises(InvalidInputError):
        data.query_items("p", "sorted", key="a", sort=bad)


def test_indexes_follow_the_items(data: Data) -> None:
    items = fill(data)
    red = [i for i in items if i["colour"] == "red"]
    found = data.query_items("p", "sorted", index="by-colour", key="red")
    assert values(found) == red
    by_size = data.query_items("p", "sorted", index="by-colour-size", key="red")
    assert [i["size"] for i in values(by_size)] == [1, 2, 3, "x"]
    data.put_item("p", "sorted", {**red[0], "colour": "green"})
    data.put_item("p", "sorted", {**red[1], "colour": True})
    data.delete_item("p", "sorted", "b", 1)
    assert values(data.query_items("p", "sorted", index="by-colour", key="red")) == [red[2]]
    assert len(data.query_items("p", "sorted", index="by-colour").items) == 3
    with pytest.raises(NotFoundError):
        data.query_items("p", "sorted", index="by-smell", key=1)
    with pytest.raises(InvalidInputError):
        data.put_item("p", "sorted", {"id": "a", "at": 1, "colour": "x" * 1025})


def test_an_index_is_built_changed_and_dropped(data: Data) -> None:
    for number in range(20):
        data.put_item("p", "plain", {"id": number, "parity": number % 2, "third": number % 3})

    def declare(*indexes: TableIndex) -> None:
        spec = TableSpec(name="plain", key="id", max_item=3000, indexes=indexes)
        data.ensure("p", Resources(tables=(spec,)))

    declare(TableIndex(name="i", key="parity"))
    assert ids(data.query_items("p", "plain", index="i", key=1)) == list(range(1, 20, 2))
    declare(TableIndex(name="i", key="third"), TableIndex(name="j", key="parity", sort="id"))
    assert ids(data.query_items("p", "plain", index="i", key=1)) == list(range(1, 20, 3))
    found = data.query_items("p", "plain", index="j", key=0, sort=Range(at_least=10))
    assert ids(found) == list(range(10, 20, 2))
    data.reopen()
    declare()
    with pytest.raises(NotFoundError):
        data.query_items("p", "plain", index="i", key=1)
    data.put_item("p", "plain", {"id": 1, "parity": "x"})


def test_a_declaration_with_other_keys(data: Data) -> None:
    for spec in (
        TableSpec(name="plain", key="other"),
        TableSpec(name="plain", key="id", sort="at"),
        TableSpec(name="sorted", key="id"),
    ):
        with pytest.raises(ConflictError):
            data.ensure("p", Resources(tables=(spec,)))
    assert data.resources("p") == Resources(
        buckets=tuple(sorted(RESOURCES.buckets, key=lambda spec: spec.name)),
        tables=RESOURCES.tables,
        queues=RESOURCES.queues,
        topics=RESOURCES.topics,
    )


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"key": "k"},
        {"index": "by-colour"},
        {"index": "by-colour", "key": "red"},
        {"index": "by-colour-size", "key": "red"},
    ],
)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_hold_each_item_once(data: Data, question, descending: bool) -> None:
    for number in range(25):
        item = {"id": "k" if number < 20 else number, "at": number % 5 + number / 100}
        data.put_item("p", "sorted", {**item, "colour": "red", "size": number % 3})
    whole = values(data.query_items("p", "sorted", descending=descending, **question))
    for limit in (1, 4, 20):
        found = everything(data, "sorted", limit=limit, descending=descending, **question)
        assert found == whole
    assert len(whole) == (20 if question.get("key") == "k" else 25)


def test_a_page_is_bounded_in_bytes(data: Data) -> None:
    spec = TableSpec(name="large", key="id", max_item=2 << 20)
    data.ensure("p", Resources(tables=(spec,)))
    for number in range(6):
        data.put_item("p", "large", {"id": number, "v": "x" * 1_500_000})
    page = data.query_items("p", "large")
    assert ids(page) == [0, 1]
    assert [item["id"] for item in everything(data, "large")] == list(range(6))


def test_forged_marks(data: Data) -> None:
    fill(data)
    mark = data.query_items("p", "sorted", key="a", limit=1).after
    other = data.query_items("p", "sorted", limit=1).after
    changed = mark[:-2] + ("AA" if mark[-2:] != "AA" else "BB")
    for bad in (other, changed, mark[:-3], mark + "A", "", "%", "é", "a" * 20_000, 5, mark + "\n"):
        with pytest.raises(InvalidInputError):
            data.query_items("p", "sorted", key="a", after=bad)
    for question in (
        {"key": "b"},
        {"key": "a", "descending": True},
        {"key": "a", "sort": Range(at_least=0)},
    ):
        with pytest.raises(InvalidInputError):
            data.query_items("p", "sorted", after=mark, **question)
    data.ensure("q", RESOURCES)
    with pytest.raises(InvalidInputError):
        data.query_items("q", "sorted", key="a", after=mark)
    data.reopen()
    assert len(data.query_items("p", "sorted", key="a", after=mark).items) == 4


def test_time_to_live(data: Data, clock: Clock) -> None:
    until = clock.now + 10
    data.put_item("p", "sorted", {"id": "a", "at": 1, "colour": "red", "until": until})
    data.put_item("p", "sorted", {"id": "a", "at": 2, "colour": "red", "until": "never"})
    assert data.get_item("p", "sorted", "a", 1).revision == 1
    clock.pass_(10)
    with pytest.raises(NotFoundError):
        data.get_item("p", "sorted", "a", 1)
    for question in ({"key": "a"}, {}, {"index": "by-colour", "key": "red"}):
        assert [i["at"] for i in values(data.query_items("p", "sorted", **question))] == [2]
    with pytest.raises(ConflictError):
        data.put_item("p", "sorted", {"id": "a", "at": 1}, if_revision=1)
    again = data.put_item("p", "sorted", {"id": "a", "at": 1, "until": until}, if_revision=0)
    assert again.revision == 2
    data.sweep()
    assert data.put_item("p", "sorted", {"id": "a", "at": 1}).revision == 3


def test_another_attribute_for_time_to_live(data: Data, clock: Clock) -> None:
    for number in range(3):
        data.put_item("p", "plain", {"id": number, "gone": clock.now + number})
    spec = TableSpec(name="plain", key="id", ttl="gone", max_item=3000)
    data.ensure("p", Resources(tables=(spec,)))
    clock.pass_(1)
    assert ids(data.query_items("p", "plain")) == [2]
    data.ensure("p", Resources(tables=(TableSpec(name="plain", key="id", max_item=3000),)))
    assert ids(data.query_items("p", "plain")) == [0, 1, 2]


def test_errors_show_no_values(data: Data) -> None:
    planted = "planted-value"
    for call in (
        lambda: data.get_item("p", "plain", planted),
        lambda: data.put_item("p", "plain", {"id": [planted]}),
        lambda: data.put_item("p", "plain", {"id": planted * 200}),
        lambda: data.put_item("p", "plain", b'{"id": "planted-value", "v": 1e999}'),
        lambda: data.query_items("p", "plain", key=planted, after=planted),
        lambda: data.put_object("p", "files", planted, b"", content_type="planted-value"),
        lambda: data.get_object("p", "files", planted),
        lambda: data.send("p", "queue", "jobs", b"planted-value"),
    ):
        with pytest.raises((InvalidInputError, NotFoundError)) as caught:
            call()
        assert planted not in str(caught.value)


def test_labels_are_those_of_the_last_write(data: Data) -> None:
    assert data.put_item("p", "plain", {"id": 1}, labels=b"one").labels == b"one"
    assert data.get_item("p", "plain", 1).labels == b"one"
    data.put_item("p", "plain", {"id": 1})
    assert data.get_item("p", "plain", 1).labels == b""
    data.put_item("p", "plain", {"id": 1}, labels=b"two")
    assert [item.labels for item in data.query_items("p", "plain").items] == [b"two"]
    with pytest.raises(InvalidInputError):
        data.put_item("p", "plain", {"id": 1}, labels=b"x" * 20_000)
