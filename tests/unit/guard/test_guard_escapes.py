"""Escapes are undone as the standard library undoes them, by code that takes none of its time."""

from __future__ import annotations

import html
import random
import time
from html.entities import html5
from urllib.parse import unquote

import pytest

from casemate.guard.leaks.escapes import unescaped, unquoted
from casemate.guard.leaks.judgement import Judge
from casemate.guard.leaks.raised import Raised

_PIECES = (
    "&",
    "#",
    "#x",
    ";",
    "65",
    "0041",
    "amp",
    "not",
    "%",
    "%41",
    "%C3",
    "%A9",
    "é",
    "😀",
    "Z",
)


def _made(seed: int) -> list[str]:
    chosen = random.Random(seed)
    names = sorted(html5)
    return [
        "".join(
            "&" + chosen.choice(names)[: chosen.randrange(1, 34)]
            if chosen.random() < 0.2
            else chosen.choice(_PIECES)
            for _ in range(chosen.randrange(1, 12))
        )
        for _ in range(5_000)
    ]


def test_references_and_percents_are_those_of_the_standard_library() -> None:
    for text in _made(1):
        assert unescaped(text) == unquote(html.unescape(text), errors="replace"), text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\n\t\"\/\q", '\n\t"/q'),
        (r"\u0041\u{42}\U00000043\x44\105", "ABCDE"),
        (r"\u{110000}\u12", "u12"),
        ("\\" * 6 + "n", "\\" * 3 + "n"),
        ("\\" * 7 + "n", "\\" * 3 + "\n"),
        (r"\ud83d\ude00 \ud83d", "\U0001f600 \ufffd"),
        ("&#" + "0" * 9_000 + "65;&#x" + "0" * 9_000 + "42", "AB"),
        ("&#" + "1" * 9_000 + ";", "\ufffd"),
        ("\\", "\\"),
    ],
)
def test_one_level_is_undone(text: str, plain: str) -> None:
    assert unescaped(text) == plain


def test_escapes_of_mail_are_undone() -> None:
    assert unquoted("=41=\r\n=3D= \nx?= =?utf-8?Q?y=4") == "A=xy=4"
    assert unquoted("a = b") == "a = b"


@pytest.mark.parametrize(
    "piece",
    ["\\", "\\\\n", "\\u0041", "%41é", "&amp;", "&ab", "=41", "\\u005c%5c&amp;=3D<b>", "é%\x80 "],
)
def test_a_megabyte_of_escapes_takes_a_fraction_of_a_second(piece: str) -> None:
    raised = Raised()
    for name in ("orders", "people", "places"):
        raised.note(ValueError(f"there is no table of {name} here"))
    body = (piece * (1 + (1 << 20) // len(piece))).encode()[: 1 << 20]
    begun = time.thread_time()
    assert Judge(raised).find(b"{}", body) is None
    assert time.thread_time() - begun < 0.9, "0.05 to 0.2 s on an idle core"


def test_a_number_of_thousands_of_signs_hides_nothing_and_seals_no_honest_answer() -> None:
    raised = Raised()
    raised.note(ValueError("there is no table of orders here"))
    many = b"&#" + b"1" * 5_000 + b";"
    assert Judge(raised).find(b"{}", many + b" fine") is None
    assert Judge(raised).find(b"{}", many + b" there is no table: ValueError") is None
    assert Judge(raised).find(b"{}", many + b"ValueError('there is no table of orders here')")
