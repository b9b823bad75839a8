"""Small languages of NoSQL databases, as tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..origin import Span
from ..plain_names import is_hidden
from ..quoted import WORD, Language, judge, language, opens_quotes, tokenize
from ..spans import around, neutral
from ..verdict import Verdict

_DOUBLE = r'"(?:[^"\\]|\\.)*"'
_SINGLE = r"'(?:[^'\\]|\\.)*'"
_FIX_CODE = "pass values as arguments (Code scope, script params, KEYS and ARGV), not in the code"
FIX_SCALAR = (
    "make a scalar of what is one: str(event['name']), or check its type; no operators from outside"
)

JAVASCRIPT: Language = language(
    "script",
    _FIX_CODE,
    strings=rf"{_SINGLE}|{_DOUBLE}|`(?:[^`\\]|\\.)*`",
    opened=r"['\"`]|/\*",
    comments=r"//[^\r\n]*|/\*.*?\*/",
    words=r"[^\W\d][\w$]*",
    harmless=frozenset(("true", "false", "null", "undefined")),
)
LUA: Language = language(
    "script",
    _FIX_CODE,
    strings=rf"{_SINGLE}|{_DOUBLE}|\[(?P<eq>=*)\[.*?\](?P=eq)\]",
    opened=r"['\"]",
    comments=r"--\[\[.*?\]\]|--[^\r\n]*",
    words=r"[^\W\d]\w*",
    harmless=frozenset(("true", "false", "nil")),
)
JSON: Language = language(
    "JSON document",
    "build the document as a dict: json.dumps({'name': value})",
    strings=_DOUBLE,
    opened='"',
    names=False,
)
LUCENE: Language = language(
    "query string",
    "use a match or term query with the value in it, or simple_query_string, made for users",
    strings=_DOUBLE,
    opened='"',
    words=r"(?:\\.|[\w.@-]|[^\x00-\x7f])+",
    names=False,
)
EXPRESSION: Language = language(
    "DynamoDB expression",
    "use a placeholder, and ExpressionAttributeValues={':v': value} or ExpressionAttributeNames",
    strings=r"(?!)",
    opened=r"(?!)",
    words=r"[:#]?[^\W\d][\w.-]*",
    chosen=r"(?:\A|\(|(?<=\bAN)D|(?<=\bO)R)\s*(?P<name>\w+)\s*(?:=|<>|<=?|>=?)\s*:\w",
)
PATHS: Language = language(
    "path expression",
    "take the value out of the expression and compare in Python: [u for u in users if u['name'] == "
    "value]; or put it into a literal as json.dumps(value) does",
    strings=rf"{_SINGLE}|{_DOUBLE}|`(?:[^`\\]|\\.)*`",
    opened=r"['\"`]",
    words=r"[^\W\d]\w*",
    comments=r"#[^\r\n]*(?=\n)",
    chosen=r"[.&?]\s*(?P<name>\w+)(?!\w|\s*\()",
)
"""JMESPath, JSONPath, jq and the like."""
GRAPHQL: Language = language(
    "GraphQL document",
    "pass values as variables: a document `query($name: String!) {...}` of the code, and "
    "variable_values={'name': name}",
    strings=rf'"""(?:[^"\\]|\\.|"(?!""))*"""|{_DOUBLE}',
    opened='"',
    comments=r"#[^\r\n]*",
    words=r"[^\W\d]\w*",
    names=False,
)
MAX_KEYS = 256
"""Characters of a path of keys that the event may choose."""
_LONE_NAME = re.compile(r"[^\W\d]\w*(?:-\w+)*")
_KEYS = re.compile(r"\$?\.?([^\W\d]\w*)((?:\.[^\W\d]\w*|\[\d{1,6}\])*)", re.ASCII)
_KEY = re.compile(r"[^\W\d]\w*", re.ASCII)
_REGEX_MARK = re.compile(r"[*+?{}()\[\]|^$\\]")
_REGEX_ESCAPE = re.compile(r"\\[^\w]")
_INDEX_MARK = re.compile(r"[*?,]|^-|^_all$")
_GLOB_MARK = re.compile(r"[*?\[\]]")
_FIELD = re.compile(r"(?<![\w/])[^\W\d]\w*:[\w(\"*]")
_IN_QUOTES = re.compile(r'(?:[^"\\]|\\.)*+', re.DOTALL)
_OPERATORS = re.compile(r"\b(?:AND|OR|NOT|TO)\b")


def judge_pattern(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than literal characters of a regular expression."""
    for span in spans:
        before = text[: span.start]
        escaped = (len(before) - len(before.rstrip("\\"))) % 2  # of the value's first character
        value = _REGEX_ESCAPE.sub("", text[span.start - escaped : span.end])
        if not span.vouched and _REGEX_MARK.search(value):
            return Verdict(span.origin, "is a pattern of its own", "escape it: re.escape(value)")
    return None


def judge_part(text: str, spans: Sequence[Span]) -> Verdict | None:
    """As `judge_pattern` within a pattern of the code; one that is the event's whole is meant."""
    whole = spans[0].start == 0 and spans[0].end == len(text)
    return None if whole else judge_pattern(text, spans)


def judge_program(text: str, spans: Sequence[Span]) -> Verdict | None:
    """As `judge_path` for jq, where a lone name is a function, such as `env`."""
    return judge(text, spans, PATHS)


def judge_path(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than a literal of a path expression, or a lone name."""
    if _LONE_NAME.fullmatch(text):
        return None  # a key, as of a dict
    keys = _KEYS.fullmatch(text) if len(text) <= MAX_KEYS else None
    if keys is not None and not any(is_hidden(key) for key in _KEY.findall(text)):
        return None  # one key after the other
    return judge(text, spans, PATHS)


def judge_graphql(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than a value, or a field that is not hidden.

    A document that is the event's as a whole is one of a client, whom the server answers.
    """
    if not any(map(str.strip, around(text, spans))):
        return None
    doubtful = [s for s in spans if not s.vouched]
    verdict = judge(text, doubtful, GRAPHQL)
    if verdict is not None or not any(s.exact for s in doubtful):
        return verdict
    words = {(start, end) for kind, start, end in tokenize(text, GRAPHQL) if kind == WORD}
    for span in doubtful:
        word = (span.start, span.end) in words
        if word and span.exact and is_hidden(text[span.start : span.end]):
            return Verdict(span.origin, "asks for a field that is hidden", GRAPHQL.fix)
    return None


def judge_glob(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data widens a pattern of keys."""
    for span in spans:
        if not span.vouched and _GLOB_MARK.search(text, span.start, span.end):
            return Verdict(span.origin, "widens a pattern of keys", "ask for keys by their names")
    return None


def judge_index(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data names more than one index: `a,b`, `a*`."""
    for span in spans:
        part = text[span.start : span.end]
        if not span.vouched and _INDEX_MARK.search(part):
            fix = "choose the index from a collection in the code, or refuse `*` and `,` in it"
            return Verdict(span.origin, "names more than one index", fix)
    return None


def judge_lucene(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than words of a query string outside of quotes."""
    for span in spans:
        inside = text.count('"', 0, span.start) % 2 == 1
        if not inside and _OPERATORS.search(text, span.start, span.end) and not span.checked:
            return Verdict(span.origin, "is an operator of a query string", LUCENE.fix)
    words = [s for s in spans if not re.fullmatch(r"[\w\s.,@-]*", text[s.start : s.end])]
    return judge(text, words, LUCENE) if words else None


def judge_search(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than words of a query that the code has put together."""
    own = neutral(text, spans)
    for span in spans:
        part = text[span.start : span.end]
        quoted = opens_quotes(own[: span.start])
        if span.checked or part == text or (quoted and _IN_QUOTES.fullmatch(part)):
            continue
        depth = 0
        for sign in part:
            depth += (sign == "(") - (sign == ")")
            if depth < 0:
                break
        if depth < 0 or _OPERATORS.search(part) or _FIELD.search(part):
            return Verdict(span.origin, "is an operator of a query string", LUCENE.fix)
    return None


def judge_command(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data chooses a command, or adds arguments by white space."""
    for span in spans:
        if span.vouched:
            continue
        begins = not text[: span.start].strip()
        if begins or re.search(r"\s", text[span.start : span.end]):
            words = "chooses the command" if begins else "adds arguments to the command"
            fix = "call the method of the command, such as r.get(key): each argument by itself"
            return Verdict(span.origin, words, fix)
    return None
