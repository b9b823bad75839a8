"""Pickles that make plain values alone, and those that look as if they did."""

import codecs
import datetime
import decimal
import pickle
import uuid
from collections import Counter, OrderedDict, defaultdict, deque

import pytest

from casemate.guard.objects.pickles import is_of_values
from casemate.guard.objects.plain import is_plain_pickle

_PLAIN = [
    {"user": "O'Neil", "cart": [1, 2.5, None, True], "user2": "O'Neil"},
    ["os.system", "__reduce__", "cos\nsystem\n"],
    ("a", b"b", {"c", "d"}, frozenset({1}), bytearray(b"x")),
    10**40,
    [{"id": n, "name": f"customer {n}"} for n in range(50)],
]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [_PLAIN[0], _PLAIN[1], _PLAIN[3], _PLAIN[4]])
def test_values_that_json_has_are_plain(value: object, protocol: int) -> None:
    assert is_plain_pickle(pickle.dumps(value, protocol))


def test_sets_and_bytes_are_plain() -> None:
    assert is_plain_pickle(pickle.dumps(_PLAIN[2], 5))


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return eval, ("1",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value", [_Evil(), [1, {"a": _Evil()}], datetime.date(2026, 1, 1), OrderedDict(a=1), len]
)
def test_what_makes_objects_is_not(value: object, protocol: int) -> None:
    assert not is_plain_pickle(pickle.dumps(value, protocol))


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'id'\ntR.",
        b"(S'id'\nios\nsystem\n.",
        b"(cos\nsystem\nS'id'\no.",
        b"\x80\x02\x82\x01.",
        b"Pname\n.",
        b"\x80\x04K\x01Q.",
        b"\x80\x04K\x01b.",
        pickle.dumps([1]) + b"cos\nsystem\n(S'id'\ntR.",
        pickle.dumps([1]) + b"\n",
        pickle.dumps([1])[:-1],
        b"",
        b"{}",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.",
        b"X" * 100,
        pickle.dumps("x" * (1 << 20)),
    ],
)
def test_what_is_more_torn_or_long_is_not(data: bytes) -> None:
    assert not is_plain_pickle(data)


def test_one_list_in_many_places_is_not() -> None:
    bomb: list[object] = ["lol"]
    for _ in range(30):
        bomb = [bomb] * 10
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert not is_plain_pickle(pickle.dumps(bomb, protocol))
    cycle: list[object] = []
    cycle.append(cycle)
    assert not is_plain_pickle(pickle.dumps(cycle))
    assert not is_plain_pickle(b"\x80\x04]" + b"2\x86" * 40 + b".")


_VALUES = [
    {"at": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "for": datetime.timedelta(1)},
    [datetime.date(2026, 1, 1)] * 2,
    [decimal.Decimal("1.50"), decimal.Decimal("-1E+3")],
    OrderedDict(a=[1]),
    defaultdict(list, a=[1]),
    Counter("abca"),
    deque([1], 3),
    {1, 2},
    (1j, frozenset({b"x"})),
]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("value", [*_VALUES, uuid.UUID(int=5), _PLAIN[0]])
def test_dates_numbers_and_collections_are_values(value: object, protocol: int) -> None:
    assert is_of_values(pickle.dumps(value, protocol))


class _Called:
    """Has a pickle do what it was given."""

    def __init__(self, *reduced: object) -> None:
        self.reduced = reduced

    def __reduce__(self) -> tuple[object, ...]:
        return self.reduced


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [
        *(_Evil(), [datetime.date(2026, 1, 1), _Evil()], len, range(9), slice(1)),
        *(decimal.Decimal("1E+99999"), _Called(bytearray, (10**10,)), _Called(list, ((1,),))),
        _Called(deque, (range(10**9),)),
        _Called(datetime.datetime, (_Evil(),)),
        _Called(defaultdict, (_Evil(),)),
        _Called(OrderedDict, (), {"a": 1}),
        _Called(codecs.encode, ("x", "zlib")),
        _Called(set, ([_Evil()],)),
    ],
)
def test_what_does_more_is_not(value: object, protocol: int) -> None:
    assert not is_of_values(pickle.dumps(value, protocol))


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'id'\ntR.",
        b"\x80\x04\x8c\x08datetime\x8c\x04date\x93(R.",
        b"\x80\x04\x8c\x08datetime\x8c\x04date\x93)R0.x",
        b"\x80\x04)\x93.",
        b"\x80\x04K\x01\x8c\x04date\x93.",
        b"\x80\x04]N\x85R.",
        b"\x80\x04\x8c\x08datetime\x8c\x04date\x93)R}b.",
        b"\x80\x04]N}b.",
        pickle.dumps(datetime.date(2026, 1, 1)) + b"\n",
        pickle.dumps(datetime.date(2026, 1, 1))[:-1],
        pickle.dumps([datetime.date(2026, 1, 1), "x" * (1 << 20)]),
    ],
)
def test_what_is_torn_mixed_or_long_is_not(data: bytes) -> None:
    assert not is_of_values(data)


@pytest.mark.parametrize(
    "data", [b"\0\0\0", b"{}", b"\x80\x04]\x00.", b"\x80\x04\x8c\x01a\xffcos\nsystem\n(S'id'\ntR."]
)
def test_what_breaks_off_at_no_operation_makes_nothing_else(data: bytes) -> None:
    assert is_of_values(data)
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(data)


@pytest.mark.parametrize(
    "data",
    [
        b"I0x1f\ncos\nsystem\n(S'id'\ntR.",  # which pickletools does not read
        b"cos\nsystem\n(S'id'\ntR\x00.",
        b"\x80\x04cos\nsystem\n\x00",
        b"",
        b"\x80\x04]",
        b"\x80\x04K",
    ],
)
def test_what_breaks_off_after_more_or_is_read_otherwise_is_not(data: bytes) -> None:
    assert not is_of_values(data)


def test_one_collection_in_many_places_is_no_value() -> None:
    bomb: list[object] = [OrderedDict(a=1)]
    for _ in range(30):
        bomb = [bomb] * 10
    assert not is_of_values(pickle.dumps(bomb))
    tuples: tuple[object, ...] = (datetime.date(2026, 1, 1),)
    for _ in range(30):
        tuples = (tuples,) * 10
    assert not is_of_values(pickle.dumps(tuples))
