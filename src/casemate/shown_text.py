"""Texts from outside as they are shown: on one line, and nothing that reads them obeys them."""

from __future__ import annotations

import re

UNSAFE_BELOW_10000 = (
    # C0 without tab, DEL and C1 steer the terminal; line separators and the bidirectional
    # controls (CVE-2021-42574) let text stand where it does not belong; annotations, fillers and
    # what has no width are text that is there and is not shown.
    r"\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b"
    r"\u200e\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
)
"""A class without its line feeds, as expressions of Python and of JSON Schema write it."""
_UNSAFE = (
    # Surrogates cannot be encoded.
    rf"{UNSAFE_BELOW_10000}\ud800-\udfff"
    # Controls of hieroglyphs, a filler and a note's head without a picture are text beyond U+FFFF.
    r"\U00013430-\U0001343f\U00016fe4\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
)
_OUT_OF_PLACE = (
    # Joiners and selectors of variants are of scripts and emoji, but not several in a row, and not
    # where text begins or behind a Latin, Greek or Cyrillic letter, but for those of a key's cap.
    r"(?<![^\u0000-\u007f\u00c0-\u052f])"
    r"[\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]+(?!\u20e3)"
    r"|[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"
    r"|[\u180b-\u180d\u180f\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]{3,}"
)
UNSAFE = re.compile(rf"[\n{_UNSAFE}]|{_OUT_OF_PLACE}")
_MARKS = str.maketrans(
    {
        **{"|": "\\|", "<": "&lt;", ">": "&gt;", "`": "'", "[": "\\[", "]": "\\]", "~": "\\~"},
        **{"*": "\\*", "#": "\\#", "&": "&amp;", "\\": "\\\\", "$": "&#36;"},
    }
)
"""What Markdown would take for more than text."""
_ADDRESS = re.compile(r"(?i)(?<=[a-z]):(?=//)|(?<=mailto):|(?<=xmpp):|(?<=www)\.")
_STRESS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_CALLED = re.compile(
    r"(?<!\w)@(?=\w)|@(?=[\w-]{1,253}\.\w)"
    r"|(?:\\[#~]|&#36;|&amp;|[!%])(?=[\w&\"])|\b(?i:gh)(?=-[0-9])"
)
"""What GitHub and GitLab take for somebody to tell, for an address, or for something of theirs that
is told where it is named: of the text that they show, so that no escape helps, but for what parts
it."""
_BREAKS = re.compile(r"\r\n|\n")


def _visible(match: re.Match[str]) -> str:
    return "".join(map(_code, match[0]))


def _code(char: str) -> str:
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def on_one_line(text: str) -> str:
    """Return a text on one line, each control character shown as an escape such as `\\x1b`."""
    return UNSAFE.sub(_visible, text)


def unsafe_in(text: str) -> tuple[int, str] | None:
    """Return where in a text of several lines the first is of what would be shown as an escape.

    With it what it is, as `U+200B`: for refusing a text that is new.
    """
    # Each process has what shows texts; few refuse any.
    found = re.search(rf"[{_UNSAFE}]|{_OUT_OF_PLACE}", text)
    return None if found is None else (found.start(), f"U+{ord(found[0][0]):04X}")


def printable(text: str, instead: str = "?") -> str:
    """Return a text with `instead` for each character that no terminal prints, or nobody sees."""
    seen = UNSAFE.sub(lambda found: instead * len(found[0]), text)
    if seen.isprintable():
        return seen
    return "".join(each if each.isprintable() else instead for each in seen)


def on_its_lines(text: str) -> str:
    """Return a text of several lines, each as `on_one_line` returns it."""
    return "\n".join(map(on_one_line, _BREAKS.split(text)))


def in_markdown(text: str) -> str:
    """Return a text as Markdown that is but text: no mark, no cell, no link, nobody called."""
    marked = _STRESS.sub(r"\\_", on_one_line(text).translate(_MARKS))
    plain = _ADDRESS.sub(lambda found: f"&#{ord(found[0])};", marked)
    return _CALLED.sub(r"\g<0><!-- -->", plain)
