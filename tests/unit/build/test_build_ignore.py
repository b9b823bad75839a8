from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.build.errors import SourceTreeError
from casemate.build.ignore import DEFAULT_PATTERNS, Ignore, read_ignore


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        *((".env", False), ("a/.env.production", False), (".git", True), (".git", False)),
        *(("a/__pycache__", True), ("x.pyc", False), ("a/.venv", True), ("venv", True)),
        *(("node_modules", True), (".ssh", True), ("requirements.txt.cp312-x86_64.lock", False)),
        *((".casemateignore", False), ("id_rsa", False)),
        *((".app.py.swp", False), ("a/.#app.py", False), ("#app.py#", False), ("app.py~", False)),
    ],
)
def test_secrets_and_leftovers_stay_out(path: str, folder: bool) -> None:
    assert Ignore(DEFAULT_PATTERNS).matches(path, folder=folder)


@pytest.mark.parametrize(
    "path", ["app.py", "tests/test_a.py", "casemate.toml", "env.py", "uv.lock", "a.swp", "#a"]
)
def test_the_rest_stays_in(path: str) -> None:
    assert not Ignore(DEFAULT_PATTERNS).matches(path, folder=False)


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "expected"),
    [
        ("*.csv", "a/b.csv", False, True),
        ("/*.csv", "a/b.csv", False, False),
        ("/*.csv", "b.csv", False, True),
        ("data/*.csv", "data/b.csv", False, True),
        ("data/*.csv", "data/x/b.csv", False, False),
        ("data/**/b.csv", "data/x/y/b.csv", False, True),
        ("data/**/b.csv", "data/b.csv", False, True),
        ("data/**", "data/x/y", False, True),
        ("build/", "build", False, False),
        ("build/", "x/build", True, True),
        ("a?c", "abc", False, True),
        ("a?c", "a/c", False, False),
        ("[!a]b", "cb", False, True),
        ("[!a]b", "ab", False, False),
        ("a.b", "axb", False, False),
        ("a+(b)", "a+(b)", False, True),
        ("[", "[", False, True),
        ("a[1", "a[1", False, True),
        ("[ab][1", "b[1", False, True),
        ("\\[a", "[a", False, True),
        ("\\#x", "#x", False, True),
        ("a\\*b", "a*b", False, True),
        ("a\\*b", "axb", False, False),
        ("x/y", "a/x/y", False, False),
        ("**/x/y", "a/x/y", False, True),
        ("*.cp3*-*.l*k", "a.cp312-x.lock", False, True),
        ("a*b*c", "abbc", False, True),
        ("a*b*c", "acb", False, False),
        ("*ab", "aab", False, True),
        ("a*a", "a", False, False),
        ("a/**/", "a", True, False),
        ("a/**/", "a/b", True, True),
        ("a/**/", "a/b", False, False),
        ("a/**/b/**/c", "a/b/x/b/y/c", False, True),
        ("a/**/b/**/c", "a/c/b", False, False),
        ("*", "a", True, True),
        ("**", "a/b", False, True),
        ("**/", "a", False, False),
        ("a/*", "a", True, False),
        ("a[!b]", "a", True, False),
        ("[a\\]]", "]", False, True),
        ("[]a]", "]", False, True),
        ("[a-c]x", "bx", False, True),
        ("b*", "a\nb/b", False, True),
        ("build/", "build/x", False, True),
    ],
)
def test_patterns(pattern: str, path: str, folder: bool, expected: bool) -> None:
    assert Ignore([pattern]).matches(path, folder=folder) is expected


def test_the_file_adds_patterns(tmp_path: Path) -> None:
    (tmp_path / ".casemateignore").write_text("# notes\n\n  tests/  \n")
    ignore = read_ignore(tmp_path)
    assert ignore.matches("tests", folder=True)
    assert ignore.matches(".env", folder=False)
    assert not ignore.matches("# notes", folder=False)


@pytest.mark.parametrize(
    "text", ["!keep", "/", "//", "a//b", "x" * 501, "a\\", "[z-a]x", "[[:alpha:]]"]
)
def test_unusable_patterns_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / ".casemateignore").write_text(text)
    with pytest.raises(SourceTreeError, match=r"\.casemateignore") as refused:
        read_ignore(tmp_path)
    assert refused.value.next_step


LONG = ("a" * 255, "a/" * 60 + "c", ("a" * 15 + "/") * 31 + "y", ("a" * 200 + "/") * 2 + "a" * 100)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "pattern",
    [
        *("*a*a*a*b", "**/a/**/a/**/a/**/b", "*[a]*[a]*a*b", "*a" * 249 + "b", "a**" * 100 + "b"),
        # In several names, where each has many ways to be matched.
        *("*a*a*a*a/*a*a*a*a/*a*a*a*a/x", "**/a*/**/a*/**/a*/**/b", "**/*a*b" * 60 + "/x"),
        *("*" + "a" * 490 + "b", "**/" + "*a" * 100 + "/**/b", "*[!b]" * 90 + "b"),
    ],
)
def test_any_number_of_stars_is_matched_in_linear_time(pattern: str) -> None:
    ignore = Ignore([pattern])
    started = time.process_time()
    assert not any(ignore.matches(path, folder=False) for path in LONG)
    assert time.process_time() - started < 1.0


def test_more_patterns_than_are_held_against_each_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / ".casemateignore").write_text("a\n" * 1000)
    assert read_ignore(tmp_path).matches("a", folder=False)
    (tmp_path / ".casemateignore").write_text("a\n" * 1001)
    with pytest.raises(SourceTreeError, match="more than 1000 patterns") as refused:
        read_ignore(tmp_path)
    assert refused.value.next_step


@given(st.text(alphabet="ab*?[]!^-/\\#. \n", max_size=20), st.text(alphabet="ab[]/*", max_size=12))
def test_a_pattern_of_marks_is_taken_or_refused(pattern: str, path: str) -> None:
    try:
        ignore = Ignore([pattern])
    except SourceTreeError:
        return
    ignore.matches(path, folder=False)
    ignore.matches(path, folder=True)


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_pattern_is_taken_or_refused(pattern: str, path: str) -> None:
    try:
        ignore = Ignore([pattern])
    except SourceTreeError:
        return
    ignore.matches(path, folder=False)
