"""Env files are read in the one way that all programs agree on, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemate.cli.env_file import MAX_ENTRIES, MAX_FILE_BYTES, parse_env_file
from casemate.cli.errors import CommandError

SECRET = "hunter2hunter2"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("\n# A=1\n   \n", {}),
        ("A=value", {"A": "value"}),
        ("A=value\r\nB=other\r\n", {"A": "value", "B": "other"}),
        ("\ufeffA=value\n", {"A": "value"}),
        ("export A=value\n", {"A": "value"}),
        ("A=\nB=x\n", {"A": "", "B": "x"}),
        ("A=a=b==\n", {"A": "a=b=="}),
        ("A=value   # said so\n", {"A": "value"}),
        ("A=https://u:p@h/?a=b&c=d\n", {"A": "https://u:p@h/?a=b&c=d"}),
        ("A='two $words # \"and\" \\n'\n", {"A": 'two $words # "and" \\n'}),
        ("A='one\ntwo'\nB=x\n", {"A": "one\ntwo", "B": "x"}),
        ('A="one\\ntwo\\t\\"x\\" \\\\ \\$"\n', {"A": 'one\ntwo\t"x" \\ $'}),
        ("A=\"it's\" # comment\nB=''", {"A": "it's", "B": ""}),
        ("A=ümläut\n", {"A": "ümläut"}),
    ],
)
def test_what_is_read(text: str, values: dict[str, str]) -> None:
    assert parse_env_file(text.encode()) == values


@pytest.mark.parametrize(
    ("line", "at"),
    [
        (f"A = {SECRET}", 1),
        (f" A={SECRET}", 1),
        (f"B=x\nA= {SECRET}", 2),
        (f"A={SECRET} {SECRET}", 1),
        (f"A={SECRET}#{SECRET}", 1),
        (f"A=${{HOME}}{SECRET}", 1),
        (f"A=$(cat {SECRET})", 1),
        (f"A=`{SECRET}`", 1),
        (f"A={SECRET}\\", 1),
        (f"A={SECRET}'x'", 1),
        (f"A='{SECRET}", 1),
        (f"A='{SECRET}'x", 1),
        (f'A="{SECRET}', 1),
        (f'A="${SECRET}"', 1),
        (f'A="\\x{SECRET}"', 1),
        (f"A='a\nb'\nC={SECRET} x", 3),
        (f"A={SECRET}\nA={SECRET}", 2),
        (f"1A={SECRET}", 1),
        (f"A-B={SECRET}", 1),
        (SECRET, 1),
        (f"A={SECRET}\0", 1),
        (f"B=x\nA={SECRET}\rB=x", 2),
        (f"set A={SECRET}", 1),
    ],
)
def test_what_is_refused_by_its_line_and_without_its_text(line: str, at: int) -> None:
    with pytest.raises(CommandError) as caught:
        parse_env_file(line.encode())
    assert f"Line {at} " in str(caught.value)
    assert SECRET not in f"{caught.value} {caught.value.next_step}"
    assert caught.value.__cause__ is None


def test_other_encodings_are_refused() -> None:
    with pytest.raises(CommandError, match="Line 2 "):
        parse_env_file(b"A=x\nB=\xff\xfe\n")


def test_bounds() -> None:
    with pytest.raises(CommandError, match="KiB"):
        parse_env_file(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(CommandError, match="most of one file"):
        parse_env_file(b"".join(b"A%d=x\n" % number for number in range(MAX_ENTRIES + 1)))


@given(st.text(alphabet="AB=_'\"\\$#` \n\txé1", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        values = parse_env_file(text.encode())
    except CommandError:
        return
    assert all(name.replace("_", "a").isalnum() for name in values)


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,9}", fullmatch=True), st.text()))
def test_what_is_quoted_comes_back(values: dict[str, str]) -> None:
    kept = {name: value for name, value in values.items() if not set("'\0\r") & set(value)}
    text = "".join(f"{name}='{value}'\n" for name, value in kept.items())
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    assert parse_env_file(data) == kept
