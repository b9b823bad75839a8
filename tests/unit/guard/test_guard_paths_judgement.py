"""Where paths lead, compared with the system's own reading; and what leaves a folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casemate.guard.origin import Origin, Span
from casemate.guard.paths.judgement import absolute, inside, judge, resolved

ORIGIN = Origin("event", "/f")
_STEPS = st.lists(
    st.sampled_from(["..", ".", "", "a", "b", "user-1", "link", "loop", "up"]), max_size=8
)
_TEXT = _STEPS.map("/".join)


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as made:
        base = os.path.realpath(made)
        (Path(base) / "a" / "b").mkdir(parents=True)
        os.symlink("/etc", base + "/link")
        os.symlink("loop", base + "/loop")
        os.symlink("..", base + "/a/up")
        yield base


@settings(max_examples=300)
@given(steps=_TEXT)
def test_links_are_followed_as_realpath_does(folder: str, steps: str) -> None:
    if "loop" not in steps:  # Python's versions differ in what a loop comes to
        assert resolved(f"{folder}/{steps}") == os.path.realpath(f"{folder}/{steps}")


@given(path=_TEXT)
def test_absolute_is_abspath(path: str) -> None:
    assert absolute("/" + path) == "/" + os.path.normpath("/" + path).lstrip("/")


def test_a_loop_of_links_ends(folder: str) -> None:
    assert resolved(folder + "/loop/x")


@settings(max_examples=400)
@given(value=_TEXT.filter(bool))
def test_what_ends_outside_is_found(value: str) -> None:
    base = "/srv/files"
    path = f"{base}/{value}"
    span = Span(len(base) + 1, len(path), ORIGIN, exact=True)
    verdict = judge(path, [span])
    if not inside(os.path.normpath(path), base):
        assert verdict is not None
    if ".." not in value.split("/"):
        assert verdict is None


@given(user=st.sampled_from(["ada", "bob"]), value=_TEXT.filter(bool))
def test_the_folder_of_another_value_is_not_reached(user: str, value: str) -> None:
    path = f"/srv/{user}/files/{value}"
    spans = [
        Span(5, 8, ORIGIN, exact=True),
        Span(len(path) - len(value), len(path), ORIGIN, exact=True),
    ]
    if not inside(os.path.normpath(path), f"/srv/{user}/files"):
        assert judge(path, spans) is not None


@pytest.mark.parametrize(
    ("head", "value", "tail", "blocked"),
    [
        ("/srv/", "a.txt", "", False),
        ("/srv/", "a/../b.txt", "", False),
        ("/srv/", "../b.txt", "", True),
        ("/srv/", "..", "/b.txt", True),
        ("/srv/", ".", "/b.txt", False),
        ("/srv/", ".", "./etc", True),
        ("/srv/user-", "x/../../etc", "", True),
        ("/srv/user-", "x/../y", "", True),
        ("/srv/", "a..b", "", False),
        ("/srv/", "...", "", False),
        ("/srv/", "a\0", ".txt", True),
        ("", "/etc/passwd", "", True),
        ("", "a.txt", "", False),
        ("", "../a.txt", "", True),
        ("/", "etc/passwd", "", True),
        ("data/", "../../etc", "", True),
    ],
)
def test_values_by_place(head: str, value: str, tail: str, blocked: bool) -> None:
    span = Span(len(head), len(head) + len(value), ORIGIN, exact=True)
    assert (judge(head + value + tail, [span]) is not None) is blocked


def test_what_the_code_has_chosen_passes() -> None:
    path = "/srv/../etc/hosts"
    for checked in ("member",):
        span = Span(5, len(path), ORIGIN, exact=True, checked=checked)
        assert judge(path, [span]) is None
    foreseen = Span(5, len(path), ORIGIN, exact=True, checked="constant")
    assert judge(path, [foreseen]) is not None


def test_an_absolute_path_that_the_code_allows_passes() -> None:
    span = Span(0, 11, ORIGIN, exact=True)
    assert judge("/etc/passwd", [span], allowed=lambda path: path.startswith("/etc")) is None
