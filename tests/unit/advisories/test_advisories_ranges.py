"""Ranges are evaluated as OSV says, whatever the order of their events."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.advisories.errors import VersionError
from casemate.advisories.packages import Ecosystem
from casemate.advisories.ranges import Affected, Kind, Range, forms, ordered

I, F, L, M = int(Kind.INTRODUCED), int(Kind.FIXED), int(Kind.LAST_AFFECTED), int(Kind.LIMIT)  # noqa: E741
NPM, PYPI = Ecosystem.NPM, Ecosystem.PYPI


def affects(
    ecosystem: Ecosystem, version: str, ranges: list[Range], versions: tuple[str, ...]
) -> bool:
    return Affected(ecosystem, ranges, versions).look(forms(ecosystem, version)) is not None


def within(ecosystem: Ecosystem, version: str, events: Range) -> bool:
    return affects(ecosystem, version, [events], ())


def fixes(ecosystem: Ecosystem, version: str, ranges: tuple[Range, ...]) -> tuple[str, ...]:
    found = Affected(ecosystem, ranges).look(forms(ecosystem, version)) or []
    return tuple(text for _, text in sorted(found))


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([(I, "0"), (F, "2.0.0")], ["0.0.0-0", "1.9.9", "2.0.0-rc.1"], ["2.0.0", "3.0.0"]),
        ([(I, "0")], ["0.0.0", "99.0.0"], []),
        ([(I, "1.0.0"), (L, "1.5.0")], ["1.0.0", "1.5.0"], ["0.9.0", "1.5.1", "1.0.0-rc.1"]),
        ([(I, "1.0.0"), (L, "1.0.0")], ["1.0.0"], ["0.9.9", "1.0.1"]),
        (
            [(I, "1.0.0"), (F, "1.2.0"), (I, "2.0.0"), (F, "2.1.0")],
            ["1.0.0", "1.1.0", "2.0.0"],
            ["0.1.0", "1.2.0", "1.9.0", "2.1.0"],
        ),
        ([(I, "0"), (F, "2.0.0"), (I, "2.0.0"), (F, "3.0.0")], ["1.0.0", "2.0.0"], ["3.0.0"]),
        ([(I, "0"), (M, "2.0.0")], ["1.0.0"], ["2.0.0"]),
        ([(I, "0"), (M, "*")], ["1.0.0", "99.0.0"], []),
        ([(I, "0"), (M, "1.0.0"), (M, "3.0.0")], ["2.0.0"], ["3.0.0"]),
        ([(I, "0"), (F, "1.0.0"), (F, "1.0.0")], ["0.1.0"], ["1.0.0"]),
    ],
)
def test_versions_in_and_out_of_a_range(
    events: list[tuple[int, str]], inside: list[str], outside: list[str]
) -> None:
    for seed in range(5):
        shuffled = random.Random(seed).sample(events, len(events))
        made = ordered(NPM, shuffled)
        assert [v for v in (*inside, *outside) if within(NPM, v, made)] == inside


def test_ranges_of_python_follow_its_order() -> None:
    made = ordered(PYPI, [(I, "2.0b1"), (F, "2.0.post1")])
    assert within(PYPI, "2.0", made)
    assert within(PYPI, "2.0rc1", made)
    assert not within(PYPI, "2.0a5", made)
    assert not within(PYPI, "2.0.post1", made)
    assert within(PYPI, "1.0.dev0", ordered(PYPI, [(I, "0")]))


def test_a_local_version_is_affected_as_its_public_one_is() -> None:
    assert affects(PYPI, "1.0+cu118", [ordered(PYPI, [(I, "0"), (L, "1.0")])], ())
    assert affects(PYPI, "1.0+cu118", [], ("1",))
    assert not affects(PYPI, "2.0+cu118", [ordered(PYPI, [(I, "0"), (F, "2.0")])], ())


def test_listed_versions_are_equal_as_versions() -> None:
    assert affects(PYPI, "1.0.0", [], ("1",))
    assert affects(PYPI, "1", [], ("1",))
    assert not affects(PYPI, "1.0.1", [], ("1",))


def test_events_that_are_no_versions_cannot_be_ordered() -> None:
    with pytest.raises(VersionError):
        ordered(NPM, [(I, "0"), (F, "soon")])


def test_the_nearest_fix_is_told() -> None:
    ranges = (
        ordered(NPM, [(I, "0"), (F, "1.2.0"), (I, "2.0.0"), (F, "2.1.0")]),
        ordered(NPM, [(I, "0"), (L, "9.0.0")]),
    )
    assert fixes(NPM, "1.0.0", ranges) == ("1.2.0",)
    assert fixes(NPM, "2.0.5", ranges) == ("2.1.0",)
    assert fixes(NPM, "5.0.0", ranges) == ()


_versions = st.builds("{}.{}.{}".format, *[st.integers(0, 3)] * 3)
_events = st.lists(st.tuples(st.sampled_from([I, F, L]), _versions), min_size=1, max_size=6)


@given(_events, _versions)
def test_a_range_is_what_the_specification_computes(
    events: list[tuple[int, str]], version: str
) -> None:
    """Evaluate as the schema's text does, over the events sorted by number."""
    events = [(I, "0"), *events]
    number = tuple(map(int, version.split(".")))
    affected = False
    keyed = [
        ((-1,) if text == "0" else tuple(map(int, text.split("."))), kind) for kind, text in events
    ]
    for at, kind in sorted(keyed):
        if kind == I and number >= at:
            affected = True
        elif (kind == F and number >= at) or (kind == L and number > at):
            affected = False
    assert within(NPM, version, ordered(NPM, events)) == affected
