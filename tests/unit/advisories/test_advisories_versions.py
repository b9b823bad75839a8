"""Versions come in the order of their ecosystem: PEP 440, and Semantic Versioning 2.0.0."""

from __future__ import annotations

from functools import cmp_to_key

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from casemate.advisories.errors import VersionError
from casemate.advisories.packages import Ecosystem
from casemate.advisories.semver import semver_key
from casemate.advisories.versions import canonical, spellings, version_key

# As section 11 of the specification has them.
SPECIFIED = [
    *("1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2"),
    *("1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "2.0.0", "2.1.0", "2.1.1"),
]
PEP440 = [
    *("1.0.dev456", "1.0a1", "1.0a2.dev456", "1.0a12.dev456", "1.0a12", "1.0b1.dev456", "1.0b2"),
    *("1.0b2.post345.dev456", "1.0b2.post345", "1.0rc1.dev456", "1.0rc1", "1.0", "1.0+abc.5"),
    *("1.0+abc.7", "1.0+5", "1.0.post456.dev34", "1.0.post456", "1.0.15", "1.1.dev1", "1!0.1"),
]


def test_the_orders_of_both_specifications() -> None:
    assert sorted(sorted(SPECIFIED), key=semver_key) == SPECIFIED
    shuffled = sorted(PEP440)
    assert sorted(shuffled, key=lambda v: version_key(Ecosystem.PYPI, v)) == PEP440


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1.2", "1.2.3.4", "v1.2.3", "=1.2.3", "01.2.3", "1.02.3", "1.2.3-", "1.2.3+"),
        *(
            "1.2.3-01",
            "1.2.3-a..b",
            "1.2.3-é",
            "\uff11.2.3",
            "1.2.3 ",
            "1.2.3\n",
            "-1.2.3",
            "1.2.x",
        ),
        *("1.2.3-a_b", "1.2.3+a_b", "1.2.3+a+b", "²" + ".0.0", "9" * 300 + ".0.0"),
    ],
)
def test_what_is_no_semantic_version_is_refused(text: str) -> None:
    with pytest.raises(VersionError):
        semver_key(text)


@pytest.mark.parametrize("text", ["", "abc", "1.0-", "1..0", "1" * 300, "1.0+", "\U0001d7d9.0x"])
def test_what_is_no_version_of_python_is_refused(text: str) -> None:
    with pytest.raises(VersionError):
        version_key(Ecosystem.PYPI, text)


def test_huge_numbers_are_ordered() -> None:
    small, large = "1.0.0-" + "9" * 200, "1.0.0-1" + "0" * 200
    assert semver_key(small) < semver_key(large)
    assert version_key(Ecosystem.PYPI, "9" * 250) < version_key(Ecosystem.PYPI, "1" + "0" * 250)


_numbers = st.integers(0, 30)
_identifier = st.one_of(
    _numbers.map(str),
    st.text("abcXYZ-019", min_size=1, max_size=4).filter(lambda t: not t.isdigit()),
)
_semver = st.builds(
    lambda core, pre, build: (
        ".".join(map(str, core))
        + (f"-{'.'.join(pre)}" if pre else "")
        + (f"+{'.'.join(build)}" if build else "")
    ),
    st.tuples(_numbers, _numbers, _numbers),
    st.lists(_identifier, max_size=3),
    st.lists(_identifier, max_size=2),
)


def _by_the_text(left: str, right: str) -> int:
    """Compare as sections 10 and 11 say, word by word."""
    (a, _, _), (b, _, _) = left.partition("+"), right.partition("+")
    (core_a, _, pre_a), (core_b, _, pre_b) = a.partition("-"), b.partition("-")
    for x, y in zip(core_a.split("."), core_b.split("."), strict=True):
        if int(x) != int(y):
            return -1 if int(x) < int(y) else 1
    if not pre_a or not pre_b:
        return bool(pre_b) - bool(pre_a) if bool(pre_a) == bool(pre_b) else (1 if pre_b else -1)
    list_a, list_b = pre_a.split("."), pre_b.split(".")
    for x, y in zip(list_a, list_b, strict=False):
        if x == y:
            continue
        if x.isdigit() and y.isdigit():
            return -1 if int(x) < int(y) else 1
        if x.isdigit() != y.isdigit():
            return -1 if x.isdigit() else 1
        return -1 if x < y else 1
    return (len(list_a) > len(list_b)) - (len(list_a) < len(list_b))


@given(st.lists(_semver, min_size=2, max_size=6))
def test_keys_compare_as_the_specification_says(versions: list[str]) -> None:
    by_key = sorted(versions, key=semver_key)
    assert [semver_key(v) for v in by_key] == [
        semver_key(v) for v in sorted(versions, key=cmp_to_key(_by_the_text))
    ]
    for left in versions:
        for right in versions:
            order = (semver_key(left) > semver_key(right)) - (semver_key(left) < semver_key(right))
            assert order == _by_the_text(left, right)


_pep440 = st.builds(
    lambda epoch, release, pre, post, dev, local: (
        f"{epoch}{'.'.join(map(str, release))}{pre}{post}{dev}{local}"
    ),
    st.sampled_from(["", "1!", "0!"]),
    st.lists(st.integers(0, 12), min_size=1, max_size=4),
    st.sampled_from(["", "a1", "b0", "rc2", "-alpha.1", "_C3"]),
    st.sampled_from(["", ".post1", "-2", ".rev3"]),
    st.sampled_from(["", ".dev0", "dev4"]),
    st.sampled_from(["", "+local.1", "+CU118"]),
)


@given(_pep440, _pep440)
def test_canonical_texts_are_equal_if_and_only_if_the_versions_are(a: str, b: str) -> None:
    equal = Version(a) == Version(b)
    assert (canonical(Ecosystem.PYPI, a) == canonical(Ecosystem.PYPI, b)) == equal
    assert Version(canonical(Ecosystem.PYPI, a)) == Version(a)


def test_what_is_no_version_stays_itself() -> None:
    assert canonical(Ecosystem.PYPI, "2004-legacy-x") == "2004-legacy-x"
    assert canonical(Ecosystem.NPM, "1.2") == "1.2"
    assert canonical(Ecosystem.NPM, "1.2.3+build") == "1.2.3"


def test_a_local_version_has_the_holes_of_what_it_is_made_of() -> None:
    assert spellings(Ecosystem.PYPI, "2.1+cu118") == ("2.1+cu118", "2.1")
    assert spellings(Ecosystem.PYPI, "2.1") == ("2.1",)
    assert spellings(Ecosystem.NPM, "1.0.0+b") == ("1.0.0+b",)
