"""A pattern of the code's has checked a text only where it matched all of it, or took the rest out.

One that looks at the beginning, looks for something, or replaces blanks says nothing of the rest.
"""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

RATED = r"""
import re
RULE = "({hours}) * 19 * 1.25"
CLOCK = re.compile(r"(\d{1,2}):([0-5]\d)")
DIGITS = re.compile(r"\d+")
OTHERS = re.compile(r"[^\d]")
NUMBERS = re.compile(r"[\d\s()*+./-]+")
def handler(event, context):
    hours = event["hours"]
    HOW
    return eval(RULE.format(hours=hours), {"__builtins__": {}})
"""
HOSTILE = {"hours": "8) * 40 * (1"}
FIRST = {"hours": "a8) * 40 * (1"}


def rated(how: str) -> str:
    return RATED.replace("HOW", how)


def unless(check: str) -> str:
    return rated(f"if not {check}: return 0")


def test_what_was_not_looked_at_is_not_checked(tmp_path: Path) -> None:
    cases = {
        "search": (unless(r're.search(r"\d", hours)'), HOSTILE),
        "match": (unless(r're.match(r"\d+", hours)'), HOSTILE),
        "compiled": (unless("DIGITS.match(hours)"), HOSTILE),
        "is not None": (unless("DIGITS.search(hours) is not None"), HOSTILE),
        "twice": (unless("DIGITS.match(hours) and DIGITS.search(hours, 3)"), HOSTILE),
        "anything": (unless(r're.fullmatch(r".*", hours)'), HOSTILE),
        "not too long": (unless(r're.fullmatch(r"(.{1,80})", hours)'), HOSTILE),
        "lines too": (unless(r're.match(r"^[\s\S]+$", hours)'), HOSTILE),
        "blanks": (rated(r'hours = re.sub(r"\s+", "", hours)'), HOSTILE),
        "nothing": (rated("hours = CLOCK.sub(lambda m: str(int(m[1])), hours)"), HOSTILE),
        "a clock": (
            rated("hours = CLOCK.sub(lambda m: str(int(m[1])), hours)"),
            {"hours": "8:30) * 40 * (1"},
        ),
        "the first alone": (rated(r'hours = re.sub(r"[^\d]", "", hours, count=1)'), FIRST),
        "the first, compiled": (rated("hours = OTHERS.sub('', hours, 1)"), FIRST),
        "each by itself": (rated(r'hours = re.sub(r"([^\d])", r"\1", hours)'), HOSTILE),
        "each by a function": (rated("hours = OTHERS.sub(lambda m: m[0], hours)"), HOSTILE),
        "a module": (
            r"""
            import importlib, re
            def handler(event, context):
                return importlib.import_module(re.sub(r"\s", "", event["name"])).__name__
            """,
            {"name": "this"},
        ),
    }
    assert_blocked(tmp_path, cases, {"code"}, [])


def test_what_was_matched_as_a_whole_is(tmp_path: Path) -> None:
    sums = {"hours": "8 + 7.5"}
    assert_passes(
        tmp_path,
        {
            "fullmatch": (unless("NUMBERS.fullmatch(hours)"), sums),
            "of re": (unless(r're.fullmatch(r"[\d\s()*+./-]+", hours)'), sums),
            "to its end": (unless(r're.match(r"[\d\s()*+./-]+$", hours)'), sums),
            "between": (unless(r're.search(r"^[\d\s()*+./-]+$", hours)'), sums),
            "not too long": (unless(r're.fullmatch(r"(?=.{1,40}$)[\d+*. ]+", hours)'), sums),
            "a point": (unless(r're.fullmatch(r"[\d+ ]+\.+\d+", hours)'), sums),
            "others out": (rated(r'hours = re.sub(r"[^\d\s()*+./-]", "", hours)'), sums),
            "no letters": (rated(r'hours = re.sub(r"[^\d+. ]+", "", hours)'), {"hours": "8 h + 1"}),
            "a clock": (
                rated("hours = CLOCK.sub(lambda m: str(int(m[1])), hours)"),
                {"hours": "8:30"},
            ),
            "the only one": (rated("hours = OTHERS.sub('', hours, 1)"), {"hours": "8h"}),
            "by a function": (
                rated("hours = OTHERS.sub(lambda m: '', hours)"),
                {"hours": "8 h + 1"},
            ),
            "by numbers": (
                rated("hours = OTHERS.sub(lambda m: str(ord(m[0])), hours)"),
                {"hours": "8 + 1"},
            ),
        },
        [],
    )
