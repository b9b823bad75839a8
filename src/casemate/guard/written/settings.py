"""Files of settings, recipes of make among them: data is one value, and begins no line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..origin import Span
from ..spans import neutral
from ..verdict import Verdict
from .lines import BREAKS, MAX_LINE, before_in_line, begun, doubtful, is_whole

FIX_MAKE = (
    'hand the value over as a variable of the environment and use it as "$$NAME" in the recipe; '
    "or double each `$` in it"
)
FIX_LINE = (
    "take line ends out of the value, or have a library write the file: json.dumps, yaml.safe_dump"
)
_ENDS = {"'": re.compile(r"['$\r\n]"), '"': re.compile(r"[\"$`\\\r\n]")}
_VARIABLE_OF_MAKE = re.compile(
    r" {0,8}(?:(?:export|override) {1,8})?([A-Za-z_][\w.-]{0,63})[ \t]{0,8}(?:::?:?|[?+!])?="
)
RECIPE = re.compile(r"[$`;|&<>\r\n]")
"""Signs by which the value of a variable of make's is more than text in a recipe."""
_YAML_LINE = re.compile(
    r"[\r\n]([ \t]{0,80})(?:-[ \t]|[\"']?[\w.-]{1,80}[\"']?[ \t]{0,8}:(?:\s|\Z))"
)
_YAML_KEY = re.compile(r"[ ]{1,80}(?:-[ ]{1,8})?(?=[\"']?[\w.-]{1,80}[\"']?:[ ])")
_BEGINS_VALUE = re.compile(r"(?:[\w\"'.-][ \t]{0,8}:|(?:^|\s)-)[ \t]{1,40}\Z")
_VALUED = re.compile(r"(?::|^|\s-)[ \t]{0,8}[{\[]")
_FLOW = re.compile(r"\s*+(?:\{.*\}|\[.*\])\s*+", re.DOTALL)
_ENDS_FLOW = re.compile(r"[{}\[\]]|:\s")
_EXPANDED = re.compile(r"(?<!\$)(\$++)[({]")
_COMMENT = re.compile(r"[ \t]{0,40}#")
_SIGNS = re.compile(r"[\"'`$;{}\r\n\x0b\x0c\x85\u2028\u2029]")
_OPENS = re.compile(r"(?:^|[=:\s(,\[{])(['\"])")
_VARIABLE = re.compile(r"(?<!\\)\$\{?([A-Za-z_]\w{0,63})")
_SUBSTITUTES = re.compile(r"\$\(|`[^`\n]+`")
_ESCAPED_TEXT = re.compile(r'(?:[^"\\\r\n]|\\[^\r\n])*+')
_ENDS_DIRECTIVE = re.compile(r"[;{}]|[\r\n]")
_DIRECTIVES = re.compile(r"[;{}][ \t]*(?:#[^\n]*)?$", re.MULTILINE)


def judge_settings(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data begins a line in a file of settings, and is not quoted there."""
    if is_whole(text, spans):
        return None
    own = neutral(text, spans)
    for span in doubtful(spans):
        part = text[span.start : span.end]
        if _SIGNS.search(part) is None:
            continue
        before = before_in_line(text, span)
        # Quotes are the code's own if no data before has brought them.
        written = before_in_line(own, span)
        quote = "" if _COMMENT.match(before) else _quote(written)
        if quote and (quote not in part or _stays_quoted(before, part, quote)):
            if quote == '"' and _SUBSTITUTES.search(part):
                return Verdict(span.origin, "is a command within a setting", FIX_LINE)
            if quote == '"' and _shows_another(own, part):
                return Verdict(span.origin, "shows another setting in its place", FIX_LINE)
            continue
        if quote == '"':
            return Verdict(span.origin, "ends the quotes of a setting", FIX_LINE)
        begins = before.strip() and next(begun(text, span), None) is not None
        if begins or (not quote and _begins_key(before, part)):
            return Verdict(span.origin, "begins a line of its own among settings", FIX_LINE)
    return None


def _begins_key(before: str, part: str) -> bool:
    """Tell whether data behind a key of YAML's has another, as deep as that or less deep."""
    key = _YAML_KEY.match(before)
    if key is None:
        return False
    return any(len(found[1]) <= len(key[0]) for found in _YAML_LINE.finditer(part))


def _shows_another(own: str, part: str) -> bool:
    """Tell whether data has a variable in it, as `$NAME`, that the same file sets."""
    lines = f"\n{own}"
    return any(
        f"\n{name}=" in lines or f"\nexport {name}=" in lines
        for name in set(_VARIABLE.findall(part))
    )


def judge_yaml(text: str, spans: Sequence[Span]) -> Verdict | None:
    """As `judge_settings`, of YAML: a line that is indented may be a key or an item as well."""
    verdict = judge_settings(text, spans)
    if verdict is not None or is_whole(text, spans):
        return verdict
    for span in doubtful(spans):
        before = before_in_line(text, span)
        if _quote(before):
            continue
        if _is_flow(before, text[span.start : span.end]):
            return Verdict(span.origin, "is a list or a mapping where a value is due", FIX_LINE)
        # Of a block the data is no key while it stands as deep as where it begins.
        depth = len(before) if not before.strip() else MAX_LINE
        for found in _YAML_LINE.finditer(text, span.start, span.end):
            if len(found[1]) < depth:
                return Verdict(span.origin, "begins a line of its own among settings", FIX_LINE)
    return None


def _is_flow(before: str, part: str) -> bool:
    """Tell whether data without quotes is a list or a mapping of YAML's, or ends one."""
    if "#" in before:
        return False
    opened = before.count("{") + before.count("[") - before.count("}") - before.count("]")
    if opened > 0 and _VALUED.search(before):
        return _ENDS_FLOW.search(part) is not None
    return _BEGINS_VALUE.search(before) is not None and _FLOW.fullmatch(part) is not None


def judge_expansions(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if make expands data: `$(shell ...)`, where `$$(...)` is none."""
    for span in doubtful(spans):
        before = text[max(span.start - MAX_LINE, 0) : span.start]
        for found in _EXPANDED.finditer(text[span.start : span.end]):
            # A sign that the code has doubled stands behind the other.
            signs = len(found[1]) + (
                len(before) - len(before.rstrip("$")) if not found.start() else 0
            )
            if signs % 2:
                return Verdict(span.origin, "is expanded by make", FIX_MAKE)
        part = text[span.start : span.end]
        variable = (
            _VARIABLE_OF_MAKE.match(before_in_line(text, span)) if RECIPE.search(part) else None
        )
        if variable is not None and _is_used_bare(text, variable[1], part):
            words = "is in a variable that make puts into commands, and ends one"
            return Verdict(span.origin, words, FIX_MAKE)
    return None


def _is_used_bare(text: str, name: str, part: str) -> bool:
    """Tell whether a variable with this value is used elsewhere than in quotes of recipes.

    Or ends these. One that is not used in the same file is put into no command.
    """
    uses = [n for use in (f"$({name})", f"${{{name}}}") for n in _places(text, use)]
    return any(
        (ends := _ENDS.get(_quoted_by(text, n))) is None or ends.search(part) is not None
        for n in uses
    )


def _places(text: str, part: str) -> Iterator[int]:
    place = text.find(part)
    while place >= 0:
        yield place
        place = text.find(part, place + len(part))


def _quoted_by(text: str, place: int) -> str:
    """Return the sign of the quotes that a place of a recipe is in; empty without any."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    if line[:1] != "\t":
        return ""
    quote = ""
    for sign in line:
        if sign == "\\" and quote != "'":
            return ""
        if sign in ("'", '"') and quote in ("", sign):
            quote = "" if quote else sign
    return quote


def _stays_quoted(before: str, part: str, quote: str) -> bool:
    """Tell whether data in double quotes has each of its own behind a backslash, in one line.

    `before` is the line up to the data: a backslash at its end may be the first of such a pair.
    """
    opened = before[before.rfind(quote) + 1 :]
    return quote == '"' and _ESCAPED_TEXT.fullmatch(opened + part) is not None


def _quote(before: str) -> str:
    """Return the quote that is open at the end of this part of a line."""
    place = 0
    while (found := _OPENS.search(before, place)) is not None:
        closing = before.find(found[1], found.end())
        if closing < 0:
            return found[1]
        place = closing + 1
    return ""


def judge_blocks(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data ends its directive, as nginx has them; else as settings."""
    if is_whole(text, spans):
        return None
    if _DIRECTIVES.search(text) is None:
        return judge_settings(text, spans)
    for span in doubtful(spans):
        part = text[span.start : span.end]
        if _SIGNS.search(part) is None:
            continue
        before = before_in_line(text, span)
        if _COMMENT.match(before):
            if BREAKS.search(part.rstrip()) is not None:
                return Verdict(span.origin, "ends a comment and begins a line", FIX_LINE)
            continue
        quote = _quote(before)
        if quote:
            ends = quote in part and not _stays_quoted(before, part, quote)
        else:
            ends = _ENDS_DIRECTIVE.search(part) is not None
        if ends:
            return Verdict(span.origin, "ends its directive", FIX_LINE)
    return None
