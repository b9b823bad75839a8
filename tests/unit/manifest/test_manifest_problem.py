import pytest

from casemate.manifest.problem import (
    ManifestError,
    Problem,
    described,
    dotted,
    printable,
    quoted,
    suggestion,
)


def test_a_problem_reads_as_compilers_write_them():
    problem = Problem(file="a.toml", line=3, column=2, key="x.y", found="1", expected="2")
    assert str(problem) == "a.toml:3:2: x.y: found 1, expected 2"
    whole = Problem(
        file="a.toml", line=None, column=None, key="", found="a folder", expected="a file"
    )
    assert str(whole) == "a.toml: found a folder, expected a file"


def test_the_error_ends_in_a_next_step():
    problem = Problem(file="a.toml", line=3, column=2, key="x", found="1", expected="2")
    error = ManifestError((problem,))
    assert str(error).split("\n")[:2] == ["The manifest has 1 mistake:", f"  {problem}"]
    assert str(error).split("\n")[2].startswith("Next: Correct")
    assert str(ManifestError((), next_step="rest.")).endswith("\nNext: rest.")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("function", "f", "http", 0, "path"), "function.f.http[0].path"),
        (("a b", 'q"', ""), '"a b"."q\\"".""'),
        (("\x1b",), '"\\u001b"'),
        (("a" * 100,), '"' + "a" * 80 + '…"'),
    ],
)
def test_dotted(path, text):
    assert dotted(path) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        (True, "true (a boolean)"),
        (3, "3 (an integer)"),
        (1.5, "1.5 (a float)"),
        (float("inf"), "inf (a float)"),
        ({}, "a table"),
        ([1], "an array"),
    ],
)
def test_described(value, text):
    assert described(value) == text


def test_an_integer_of_too_many_digits_for_str_is_described():
    assert described(16**9000) == described(-(16**9000)) == "a huge number (an integer)"


def test_printable_keeps_text_and_escapes_the_rest():
    assert printable("aé漢🙂") == "aé漢🙂"
    assert printable("\n\x1b\u202e\u2028\U000e0001") == "\\u000a\\u001b\\u202e\\u2028\\U000e0001"
    assert quoted('a"\\') == '"a\\"\\\\"'


def test_suggestions():
    assert suggestion("handlr", ["handler", "http"]) == '; did you mean "handler"?'
    assert suggestion("zzz", ["handler"]) == ""
    assert suggestion("h" * 10**6, ["handler"]) == ""
