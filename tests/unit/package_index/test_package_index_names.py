"""Look-alikes: made by every transformation of popular names, against every popular name."""

from __future__ import annotations

import time

import pytest

from casemate.package_index import popular_names
from casemate.package_index.names import PopularNames


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("reqeusts", "requests"),
        ("requestss", "requests"),
        ("request5", "requests"),
        ("reqests", "requests"),
        ("rnatplotlib", "matplotlib"),
        ("nurnpy", "numpy"),
        ("pand4s", "pandas"),
        ("pythondateutil", "python-dateutil"),
        ("python-dateuti1", "python-dateutil"),
        ("dateutil-python", "python-dateutil"),
        ("python-requests", "requests"),
        ("requests-python", "requests"),
        ("crypt0graphy", "cryptography"),
        ("Crypto_Graphy", "cryptography"),
        ("djang0", "django"),
        ("beautifulsoup44", "beautifulsoup4"),
        ("requеsts", "requests"),  # noqa: RUF001 - the letter is Cyrillic
        ("ｎｕｍｐｙ", "numpy"),  # noqa: RUF001 - the letters are wide
        ("pandαs", "pandas"),  # noqa: RUF001 - the letter is Greek
    ],
)
def test_a_look_alike_is_told_with_what_it_resembles(name: str, meant: str) -> None:
    assert popular_names().resembled(name) == meant


def test_no_popular_name_resembles_another() -> None:
    popular = popular_names()
    assert len(popular.names) > 4_900
    assert [name for name in popular.names if popular.resembled(name)] == []


@pytest.mark.parametrize(
    "name",
    ["casemate", "acme-billing", "our-own-tools", "x", "a-b", "mypackage", "alpha", "beta", "demo"],
)
def test_a_name_of_ones_own_resembles_nothing(name: str) -> None:
    assert popular_names().resembled(name) is None


def test_every_kind_of_slip_in_the_most_popular_names_is_found() -> None:
    popular = popular_names()
    missed = []
    for name in [one for one in list(popular.names)[:300] if len(one) > 6 and "-" not in one]:
        middle = len(name) // 2
        slips = {
            name[:middle] + name[middle + 1 :],
            name[:middle] + "q" + name[middle:],
            name[:middle] + "q" + name[middle + 1 :],
            name[: middle - 1] + name[middle] + name[middle - 1] + name[middle + 1 :],
            f"python-{name}",
            f"{name}-py",
            name.replace("o", "0"),
            name.replace("l", "1"),
            name[:middle] + "_" + name[middle:],
        }
        missed += [
            s for s in slips if s != name and s not in popular.names and not popular.resembled(s)
        ]
    assert missed == []


def test_a_long_or_odd_name_costs_nothing() -> None:
    popular = popular_names()
    begun = time.process_time()
    for name in ("a" * 100_000, "-" * 100_000, "é" * 100_000, "rn" * 50, "а" * 50_000):  # noqa: RUF001
        popular.resembled(name)
    assert time.process_time() - begun < 2


def test_the_first_of_several_is_named() -> None:
    assert PopularNames(["alphas", "alphat"]).resembled("alpha") == "alphas"
