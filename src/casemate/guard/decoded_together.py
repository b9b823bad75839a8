"""The forms of many short texts at once: of each those that `decoding.decoded` gives of it alone.

Each decoder goes through all of the texts, put together with null characters between them, by what
works in C. To ask for each text which of its signs a decoder needs takes ten times as long.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Container, Iterator, Sequence
from unicodedata import is_normalized

from .batches import base64_of, plain_of
from .decoding import (
    BASE64,
    BEGINNING,
    ESCAPES,
    JWT,
    MIN_CODED,
    NORMAL_FORMS,
    SPACED,
    WITH_SPACE,
    base64_forms,
    bytes_forms,
    form_fields,
    has_hex,
    hex_forms,
    is_hex,
    json_forms,
    multipart_forms,
    normalized,
    unescaped,
    unquoted,
)

Made = dict[str, list[tuple[str, object]]]
"""By text, how encodings were undone and what came of it, in the order of `decoded`."""
Spend = Callable[[int], None]
MAX_TOGETHER = 4096
"""Characters of a text that is decoded together with others."""
FAILED_COST = 400
"""What a text costs, in characters, that is no JSON, but looks like some from both of its ends."""
TOKEN_COST, BEARER_COST = 120, 200
"""What a text costs that looks like a token, such as any name with a dot, and what more it costs
behind the word `Bearer`."""
_NULLS = ("\0", "%00", "\\u0000", "\\x00", "\\000")
"""What is a null character, or comes to one."""
_REFERENCE = re.compile(r"(&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][^\t\n\f <&#;]{0,31}+;?))")
"""As the standard library has it, a reference of HTML to a character: each name begins so."""
_BLANK = re.compile(r"\s")
_JSON_SPACE = " \t\n\r"
_LINES = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_VALUE = r'(?:[\]{\["0-9-]|true|false|null|NaN|Infinity)'
_MAY_BE_JSON = re.compile(
    rf'\[[ \t\n\r]*+(?:\]|{_VALUE}.*\])|\{{[ \t\n\r]*+(?:\}}|".*\}})|".*"', re.DOTALL
)
"""What JSON begins and ends with; no text that is none takes longer than to see that."""
_TOKEN = re.compile("(?:[bB][eE][aA][rR][eE][rR] )?" + JWT.pattern)


def apart_of(texts: list[str]) -> tuple[list[str], list[str]]:
    """Return the texts that may be decoded together, and those that may not."""
    joined = "|".join(texts)
    nulls = [null for null in _NULLS if null in joined]
    if not nulls and len(max(texts, key=len)) < MAX_TOGETHER:
        return texts, []
    alone = [t for t in texts if len(t) >= MAX_TOGETHER or any(null in t for null in nulls)]
    done = set(alone)
    return [text for text in texts if text not in done], alone


def decoded_together(
    texts: Sequence[str],
    normal: Container[str] = (),
    spend: Spend = lambda cost: None,
    normal_cost: int = 0,
) -> Made:
    """Return the forms of different texts, as `apart_of` has them.

    Those in `normal` are put into no normal form. `spend` is told what it costs, of each normal
    form that was made `normal_cost` for each character.
    """
    made: Made = {}
    joined = "\0".join(texts)
    if not joined.isascii():
        other = [text for text in texts if not text.isascii() and text not in normal]
        # What is in the second form is in the first one, too.
        other = [text for text in other if not is_normalized(NORMAL_FORMS[1], text)]
        if other:
            _normal_forms(other, made, spend, normal_cost)
    if "%" in joined:
        _of_urls([text for text in texts if "%" in text], made)
    if "+" in joined:
        _of_blanks([text for text in texts if "+" in text], made)
    if "=" in joined:
        for text in [text for text in texts if "=" in text and "=" in text.rstrip("=")]:
            _add(made, text, form_fields(text))
    if "&" in joined and ";" in joined:
        _of_html([text for text in texts if "&" in text and ";" in text], made)
    if "\\" in joined:
        _of_escapes([text for text in texts if "\\" in text], made)
    if "{" in joined or "[" in joined or '"' in joined:
        _of_json([t for t in texts if t.lstrip()[:1] in ("{", "[", '"') and t], made, spend)
    if "--" in joined and "\n" in joined:
        for text in [text for text in texts if text[:2] == "--" and "\n" in text]:
            _add(made, text, multipart_forms(text))
    long = [text for text in texts if len(text) >= MIN_CODED]
    if long:
        _of_digits(
            [text for text in long if " " not in text or text[:5] in WITH_SPACE], made, spend
        )
    return made


def _add(made: Made, text: str, forms: Iterator[tuple[str, object]]) -> None:
    found = list(forms)
    if found:
        made.setdefault(text, []).extend(found)


def _add_changed(made: Made, texts: Sequence[str], how: str, forms: Sequence[str]) -> list[str]:
    """Add the forms that differ from their texts; return these forms."""
    changed = []
    for text, form in zip(texts, forms, strict=True):
        if form != text:
            made.setdefault(text, []).append((how, form))
            changed.append(form)
    return changed


def _normal_forms(texts: Sequence[str], made: Made, spend: Spend, cost: int) -> None:
    # A null character combines with nothing, and nothing is put before it.
    first, second = NORMAL_FORMS
    joined = "\0".join(texts)
    composed = normalized(first, joined)
    before: Sequence[str] = texts
    if composed != joined:
        before = composed.split("\0")
        spend(cost * sum(map(len, _add_changed(made, texts, first, before))))
    compatible = normalized(second, composed)
    if compatible != composed:
        forms = zip(texts, before, compatible.split("\0"), strict=True)
        for text, known, form in forms:
            if form not in (text, known):
                spend(cost * len(form))
                made.setdefault(text, []).append((second, form))


def _of_urls(texts: Sequence[str], made: Made) -> None:
    joined = "\0".join(texts)
    plain = unquoted(joined)
    if plain != joined:
        _add_changed(made, texts, "URL encoding", plain.split("\0"))


def _of_blanks(texts: Sequence[str], made: Made) -> None:
    plain = unquoted("\0".join(texts).replace("+", " "))
    _add_changed(made, texts, "URL encoding", plain.split("\0"))


def _of_html(texts: Sequence[str], made: Made) -> None:
    if not texts:
        return
    # No reference goes on beyond the end of a line.
    parts = _REFERENCE.split("\n\0".join(texts))
    references = parts[1::2]
    known = {reference: html.unescape(reference) for reference in set(references)}
    parts[1::2] = map(known.__getitem__, references)
    _add_changed(made, texts, "HTML entities", "".join(parts).split("\n\0"))


def _of_escapes(texts: Sequence[str], made: Made) -> None:
    joined = "\0".join(texts)
    plain = ESCAPES.sub(unescaped, joined)
    if plain != joined:
        _add_changed(made, texts, "escapes", plain.split("\0"))


def _of_json(texts: Sequence[str], made: Made, spend: Spend) -> None:
    for text in texts:
        bare = text.strip(_JSON_SPACE)
        if _LINES.search(bare):
            _add(made, text, json_forms(text))
        elif _MAY_BE_JSON.fullmatch(bare):
            try:
                document = json.loads(bare)
            except (ValueError, RecursionError):
                spend(FAILED_COST)
            else:
                made.setdefault(text, []).append(("JSON", document))


def _of_digits(texts: Sequence[str], made: Made, spend: Spend) -> None:
    tokens = [text for text in texts if "." in text and _TOKEN.fullmatch(text)]
    if tokens:
        bearers = sum([" " in text for text in tokens])
        spend(TOKEN_COST * len(tokens) + BEARER_COST * bearers)
        _of_tokens(tokens, made)
    # Neither base64 nor hex has a dot.
    bare = [text for text in texts if "." not in text]
    coded = [text for text in bare if BASE64.fullmatch(text)]
    if coded:
        data = base64_of(coded)
        plain, others = plain_of(coded, data)
        for text, form in plain.items():
            made.setdefault(text, []).append(("base64", form))
        for text in others:
            _add(made, text, bytes_forms(data[text], "base64"))
    done = set(coded)
    joined = "\0".join(texts)
    blank, data_url = _BLANK.search(joined) is not None, "data:" in joined
    for text in texts if blank or data_url else ():
        if text in done:
            continue
        # What has no blank and is none by its look is none without its blanks either. Most others
        # begin with what is no digit.
        if text[:5] == "data:" or (SPACED.fullmatch(text, 0, BEGINNING) and _BLANK.search(text)):
            _add(made, text, base64_forms(text))
    if has_hex("\0".join(["", *bare, ""])):
        for text in filter(is_hex, bare):
            _add(made, text, hex_forms(text))


def _of_tokens(texts: Sequence[str], made: Made) -> None:
    segments = [(text[7:] if text[6:7] == " " else text).split(".")[:2] for text in texts]
    coded = list({s for both in segments for s in both if BASE64.fullmatch(s)})
    if not coded:
        return
    data = base64_of(coded)
    plain, others = plain_of(coded, data)
    forms: dict[str, list[object]] = {segment: [form] for segment, form in plain.items()}
    forms.update((s, [form for _, form in bytes_forms(data[s], "")]) for s in others)
    for text, both in zip(texts, segments, strict=True):
        for name, segment in zip(("head", "body"), both, strict=True):
            for form in forms.get(segment, ()):
                made.setdefault(text, []).append((f"a token's {name}", form))
