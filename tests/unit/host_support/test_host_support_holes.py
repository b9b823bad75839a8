"""What the dated list says of a version: known holes, none, or that it cannot say."""

from __future__ import annotations

import time
from datetime import date, timedelta

import pytest

from casemate.host_support import holes as module
from casemate.host_support.holes import OLD_DAYS, components, numbers_of, standing_of
from casemate.host_support.standing import State

TODAY = components()["openssl"].checked + timedelta(days=1)


def told(component: str, version: str | None, today: date = TODAY):
    return standing_of("x", component, version, today)


@pytest.mark.parametrize(("version", "state", "shown"), [
    ("OpenSSL 3.6.0 1 Oct 2025", State.OPEN, "CVE-2026-34180"),
    ("3.6.2", State.OPEN, "Use 3.6.3 or newer."),
    ("3.6.3", State.GOOD, "no vulnerability is known"),
    ("3.6.10", State.GOOD, "no vulnerability is known"),
    ("OpenSSL 4.0.3 29 Sep 2026", State.GOOD, "4.0.3"),
    ("4.0.0", State.OPEN, "Use 4.0.1 or newer."),
    ("3.0.21", State.GOOD, ""),
    ("3.0.20", State.OPEN, "3.0.21"),
    ("3.2.9", State.ENDED, "gets no fixes"),
    ("1.1.1", State.ENDED, "gets no fixes"),
    ("5.0.0", State.UNKNOWN, "newer than what is known"),
    ("", State.UNKNOWN, "does not say"),
    ("no version", State.UNKNOWN, "does not say"),
    (None, State.UNKNOWN, "does not say"),
])  # fmt: skip
def test_versions_of_openssl(version, state, shown) -> None:
    found = told("openssl", version)
    assert found.state is state
    assert shown in f"{found.detail} {found.next_step}"


def test_a_hole_that_came_later_is_of_no_earlier_release() -> None:
    # CVE-2025-9232 came with 3.0.16.
    [one] = [
        each
        for each in components()["openssl"].closed
        if "CVE-2025-9232" in each.holes and each.fixed == "3.0.18"
    ]
    assert one.since == "3.0.16"
    assert "CVE-2025-9232" in module._open_holes(components()["openssl"], "3.0", (3, 0, 17))[0]
    assert "CVE-2025-9232" not in module._open_holes(components()["openssl"], "3.0", (3, 0, 15))[0]


@pytest.mark.parametrize(("component", "old", "fixed"), [
    ("python", "3.11.16", "3.11.17"), ("python", "3.12.13", "3.12.15"),
    ("python", "3.13.15", "3.13.16"), ("python", "3.14.7", "3.14.8"),
    ("sqlite", "3.50.1", "3.51.3"), ("sqlite", "3.51.2", "3.51.3"),
])  # fmt: skip
def test_pythons_and_sqlite(component, old, fixed) -> None:
    today = components()[component].checked
    assert told(component, old, today).state is State.OPEN
    assert fixed in told(component, old, today).next_step
    assert told(component, fixed, today).state is State.GOOD


def test_a_list_that_is_old_says_so() -> None:
    checked = components()["openssl"].checked
    assert told("openssl", "3.6.3", checked + timedelta(days=OLD_DAYS)).state is State.GOOD
    later = told("openssl", "3.6.3", checked + timedelta(days=OLD_DAYS + 1))
    assert later.state is State.UNKNOWN and "by the old list" in later.detail
    assert later.next_step == "Update Casemate."
    # A hole stays one.
    assert told("openssl", "3.6.0", checked + timedelta(days=9999)).state is State.OPEN


def test_the_list_is_whole() -> None:
    for name, each in components().items():
        assert each.source and each.kept and each.closed, name
        for closed in each.closed:
            assert numbers_of(closed.fixed) is not None
            branch = module._branch(numbers_of(closed.fixed) or (), each.kept)
            assert branch is not None, closed
            assert all(hole.startswith("CVE-") for hole in closed.holes)


def test_hostile_versions_take_no_time() -> None:
    started = time.process_time()
    for text in ("9" * 10**6, "1." * 10**6, "." * 10**6, "1.2.3.4.5" * 10**5):
        told("openssl", text)
    assert time.process_time() - started < 0.5
