import re

import pytest

from casemate.manifest.kinds import Choice, Flag, PathTemplate, Pattern, RelativePath, Text
from casemate.manifest.numeric_kinds import Duration, Number, Size, Whole
from casemate.manifest.rejection import RejectedValueError
from casemate.manifest.tables import NAME
from casemate.model.function import HANDLER_PATTERN

KIB = 1024
MIB = 1024 * KIB
HANDLER = Pattern(HANDLER_PATTERN, "module:function")
FOLDER = RelativePath("a folder")


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (NAME, "a", "a"),
        (NAME, "a" * 63, "a" * 63),
        (NAME, "my-shop2", "my-shop2"),
        (HANDLER, "a.b_1:f", "a.b_1:f"),
        (Text(5), "é\n\t", "é\n\t"),
        (Choice(("GET", "*")), "*", "*"),
        (Flag(), True, True),
        (Whole(0, 3), 0, 0),
        (Number(0.5, 64), 2, 2.0),
        (Number(0.5, 64), 0.5, 0.5),
        (Size(KIB, MIB, KIB), "1MB", MIB),
        (Duration(0.01, 60, 1), "10ms", 0.01),
        (FOLDER, ".", "."),
        (FOLDER, "./src//a/", "src/a"),
        (FOLDER, "..src", "..src"),
        (FOLDER, "a b/é", "a b/é"),
        (PathTemplate(), "/users/{id}", "/users/{id}"),
    ],
)
def test_what_is_accepted(kind, given, value):
    parsed = kind.parse(given)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (NAME, name)
        for name in ("", "A", "1a", "-a", "a-", "a_b", "a.b", "a" * 64, "a\n", "é", "\u0430")
    ]
    + [
        (HANDLER, handler)
        for handler in (
            "a",
            ":f",
            "a:",
            "a:b:c",
            "a:b.c",
            ".a:f",
            "a..b:f",
            "a/b:f",
            "é:f",
            "a:ﬁ",
            "a:f\n",
            " a:f",
            "1a:f",
            "a." * 200 + "a:f",
        )
    ]
    + [(Text(5), text) for text in ("123456", "\x1b[2J", "a\x00", "\x7f", "\x9b", "\u202e", 3)]
    + [(Choice(("GET", "*")), value) for value in ("get", "", "GET ", 1, None, ["GET"])]
    + [(Flag(), value) for value in (0, 1, "true", None, [], {})]
    + [(Whole(1, 3), value) for value in (0, 4, -1, True, 1.0, "1", None, 10**4000)]
    + [
        (Number(0.5, 64), value)
        for value in (0.4, 65, True, "1", None, 10**4000, float("nan"), float("inf"), float("-inf"))
    ]
    + [(Size(KIB, MIB, KIB), value) for value in ("2MB", "1023", "0.5KB", 1024, True, None, "1 M")]
    + [(Duration(0.01, 60, 1), value) for value in ("2m", "9ms", "0s", 10, 10.0, True, None, "1")]
    + [
        (FOLDER, path)
        for path in (
            "",
            "/",
            "/a",
            "..",
            "../a",
            "a/../b",
            "a/..",
            "a\\b",
            "a\x00",
            "a\n",
            1,
            "a" * 1025,
            "\u202ea",
            "\x1b",
        )
    ],
)
def test_what_is_rejected(kind, given):
    with pytest.raises(RejectedValueError) as caught:
        kind.parse(given)
    for text in (caught.value.found, caught.value.expected):
        assert text
        assert text.isprintable()
        assert len(text) < 400


@pytest.mark.parametrize("code", [0x34F, 0x200B, 0x2800, 0x3164, 0xFEFF, 0x1D173, 0xE0041])
def test_what_is_not_seen_is_named_with_its_place(code: int) -> None:
    for kind in (Text(9), FOLDER):
        with pytest.raises(RejectedValueError) as caught:
            kind.parse(f"ab{chr(code)}")
        assert f"U+{code:04X}" in caught.value.found.upper()
    with pytest.raises(RejectedValueError, match=f"found U\\+{code:04X} as its character 3"):
        Text(9).parse(f"ab{chr(code)}")


@pytest.mark.parametrize("text", ["\u2764\ufe0f", "\U0001f469\u200d\U0001f4bb", "a\tb\nc"])
def test_emoji_and_lines_are_taken(text: str) -> None:
    assert Text(9).parse(text) == text
    assert re.search(str(Text(9).schema()["pattern"]), text)


def test_a_bare_number_is_told_to_take_quotes_and_a_unit():
    for kind in (Size(KIB, MIB, 64 * KIB), Duration(0.01, 60, 10)):
        with pytest.raises(RejectedValueError) as caught:
            kind.parse(64)
        assert caught.value.found == "64 (an integer)"
        assert "in quotes and with its unit" in caught.value.expected


def test_a_choice_suggests_the_nearest():
    with pytest.raises(RejectedValueError) as caught:
        Choice(("GET", "POST")).parse("post")
    assert caught.value.expected.endswith('; did you mean "POST"?')
