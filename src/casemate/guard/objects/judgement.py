"""Is data that becomes objects from outside, in whatever encoding, and did the code verify it?

For pickle and its like there is no structure to compare: whoever writes one runs code. So what is
from outside is refused whole, unless the function has checked its signature. YAML and jsonpickle
are refused for the tags that make objects.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ..core import Guard
from ..origin import Origin, Span
from ..pieces import as_text
from ..quoted import judge as judge_quoted
from ..spans import around
from ..taint import Taint
from ..verdict import Verdict
from ..written.kinds import Kind
from ..written.languages import TOML, judge_code
from ..written.lines import doubtful, is_whole
from ..written.settings import judge_settings
from .plain import has_tags, is_of_classes, tag_of

HasTags = Callable[[str, int, int], bool]
"""Tells whether a part of a text has tags that make objects."""
SIGNED = "signed"
MAX_DATA = 64 << 20
"""Bytes of a file that is looked at; one that is larger counts as its own."""

FIX_FIND_CLASS = (
    "have find_class look its names up in a collection of the few that are needed: "
    "`if (module, name) not in ALLOWED: raise pickle.UnpicklingError(name)`"
)
FIX_PICKLE = (
    "take data as JSON (json.loads), or verify a signature with hmac.compare_digest before it is "
    "unpickled; an Unpickler with its own find_class may allow single classes"
)
FIX_YAML = "use yaml.safe_load(text)"
FIX_JSON = "use json.loads and make the objects yourself"
FIX_ARRAY = "use numpy.load(file, allow_pickle=False), or take numbers as JSON"
FIX_FRAME = "use a format without code: pandas.read_parquet, read_csv or read_json"

_NUMBERS = re.compile(r"\s*+-?\d++(?:\.\d++)?(?:\s*+,\s*+-?\d++(?:\.\d++)?)*+\s*+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+")
_COMPRESSED = re.compile(rb"(?P<gzip>\x1f\x8b\x08)|\x78[\x01\x5e\x9c\xda]")
"""How gzip and zlib begin."""
_MAX_COMPRESSED = 64
_MIN_DATA = 8
_MIN_PART = 24
"""Characters of a part of the event's text that is no part of it by chance."""
_MAX_TEXTS = 2000
_MAX_SCANNED = 256 * 1024
"""Characters of YAML whose tags are looked for with care; a longer one has one if it looks so."""
_MAX_SLOW = 64 * 1024
"""Bytes that are encoded by the slow encoders, which are written in Python."""

_YAML_TAG = re.compile(
    r"!!?python/|(?:^|[\r\x85\u2028\u2029\ufeff])%TAG|(?:^|[\s\ufeff,\[{:?-])!(?:<|\w*![\w%])",
    re.MULTILINE,
)
_PLAIN_TAGS = frozenset(
    ("!!", kind)
    for kind in (
        *("str", "int", "float", "bool", "null", "seq", "map", "set"),
        *("timestamp", "binary", "omap", "pairs"),
        *("python/none", "python/bool", "python/str", "python/unicode", "python/bytes"),
        *("python/int", "python/long", "python/float", "python/complex"),
        *("python/list", "python/tuple", "python/dict"),
    )
)
"""Tags of YAML itself, and PyYAML's of plain values, which no directive has given another meaning:
that is seen as well."""
_CODE_TAG = re.compile(
    r"py(?:/|\\/|\\u002[fF])(?:object|type|repr|reduce|function|newargs|initargs|class|mod|property)"
)


def content_of(file: Any) -> bytes | str | None:
    """Return all that a file holds, its place kept; None if it cannot be read twice."""
    if isinstance(file, str):
        return file
    if isinstance(file, (bytes, bytearray, memoryview)):
        return bytes(file)
    getvalue = getattr(file, "getvalue", None)
    if callable(getvalue):
        value = getvalue()
        return value if isinstance(value, (bytes, str)) else None
    try:
        place = file.tell()
        file.seek(0)
        try:
            data = file.read(MAX_DATA)
        finally:
            file.seek(place)
    except (AttributeError, OSError, ValueError, TypeError):
        return None
    return data if isinstance(data, (bytes, str)) else None


def _forms(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the texts that an event may hold data as, and what each is called."""
    for how, encode in (("base64", base64.b64encode), ("base64", base64.urlsafe_b64encode)):
        text = encode(data).decode()
        yield how, text
        if text.endswith("="):
            yield how, text.rstrip("=")
    yield "base64", base64.encodebytes(data).decode()
    yield "base64", base64.encodebytes(data).decode().strip()
    yield "hex", data.hex()
    yield "hex", data.hex().upper()
    yield "Latin-1", data.decode("latin-1")
    yield "", data.decode(errors="surrogateescape")
    if len(data) <= _MAX_SLOW:
        yield "base32", base64.b32encode(data).decode()
        yield "base85", base64.b85encode(data).decode()
        yield "ASCII85", base64.a85encode(data).decode()


def outside(guard: Guard, data: bytes | str) -> Origin | None:
    """Return where data is from if all of it is from outside, encoded in any way."""
    if not data or guard.taint is None:
        return None
    if isinstance(data, str):
        return guard.whole(data)
    made = guard.whole(data) if len(data) <= 1 << 20 else None
    if made is not None:
        return made
    for how, text in _forms(data):
        origin = guard.taint.exact(text)
        if origin is None and len(text) >= _MIN_PART:
            origin = guard.taint.holding(text)  # a line of a dump has a name before it, say
        if origin is not None:
            return origin.decoded(how) if how else origin
    return _decoded_from(guard.taint, data)


def _decoded_from(taint: Taint, data: bytes) -> Origin | None:
    """Return the text that data was decoded from, if it was compressed or more than the data.

    Or the first of those that it was put together from.
    """
    if len(data) < _MIN_DATA:
        return None
    parts: dict[bytes, Origin] = {}
    for text, origin in taint.texts(_MAX_TEXTS):
        compact = "".join(text.split()).translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
        if len(compact) < _MIN_DATA or not _BASE64.fullmatch(compact):
            continue
        with contextlib.suppress(ValueError):
            raw = base64.b64decode(compact + "=" * (-len(compact) % 4))
            if data in raw or any(data in inflated for inflated in _inflated(raw)):
                return origin.decoded("base64")
            if raw in data:
                parts[raw] = origin.decoded("base64")
    return _put_together(data, parts)


def _put_together(data: bytes, parts: dict[bytes, Origin]) -> Origin | None:
    """Return where the first of the parts that data consists of is from; None if it does not."""
    place = 0
    first: Origin | None = None
    longest = sorted(parts, key=len, reverse=True)
    while place < len(data):
        part = next((p for p in longest if data.startswith(p, place)), None)
        if part is None:
            return None
        first = first or parts[part]
        place += len(part)
    return first


def _inflated(data: bytes) -> Iterator[bytes]:
    """Yield what is compressed in data: all of it, or a part behind a head of its own."""
    left = MAX_DATA
    for found in itertools.islice(_COMPRESSED.finditer(data), _MAX_COMPRESSED):
        bits = 31 if found["gzip"] else 15
        with contextlib.suppress(zlib.error):
            inflated = zlib.decompressobj(bits).decompress(data[found.start() :], left)
            left -= len(inflated)
            yield inflated
        if left <= 0:
            return


def judge_pickle(
    guard: Guard,
    data: bytes | str | None,
    fix: str = FIX_PICKLE,
    *,
    is_plain: Callable[[bytes], bool] | None = None,
) -> Verdict | None:
    """Return a verdict if data that makes any object is from outside and not verified.

    `is_plain` tells of data whether it makes none though it could.
    """
    if data is None:
        return None
    origin = outside(guard, data)
    if origin is None or is_signed(guard, data):
        return None
    if is_plain is not None and isinstance(data, bytes) and is_plain(data):
        return None
    return Verdict(origin, "becomes objects, and runs what it names", fix)


def is_signed(guard: Guard, data: bytes | str) -> bool:
    """Tell whether the code has verified a message authentication code of this data."""
    signed = guard.provenance.kept.get((SIGNED, "verified"))
    if not signed:
        return False
    raw = data.encode(errors="surrogateescape") if isinstance(data, str) else data
    forms = {raw, *(text.encode(errors="surrogateescape") for _, text in _forms(raw))}
    return any(message in forms for message in signed)


def judge_tags(text: str, guard: Guard, has: HasTags, fix: str) -> Verdict | None:
    """Return a verdict if what is from outside in a text has tags that make objects."""
    for span in guard.spans(text):
        if span.vouched:
            continue
        if has(text, span.start, span.end):
            return Verdict(span.origin, "has tags that make objects of any class", fix)
    return None


def _has_code_tags(text: str, start: int, end: int) -> bool:
    return _CODE_TAG.search(text, start, end) is not None


def has_yaml_tags(text: str, start: int = 0, end: int | None = None) -> bool:
    """Tell whether a part of YAML has tags that can make objects."""
    end = len(text) if end is None else end
    if _YAML_TAG.search(text, start, end) is None:
        return False
    places = _tag_places(text)
    return places is None or any(first < end and last > start for first, last in places)


def _tag_places(text: str) -> list[tuple[int, int]] | None:
    """Return where YAML has tags: what is quoted has none. None if it cannot be told."""
    yaml: Any = sys.modules.get("yaml")
    if yaml is None or len(text) > _MAX_SCANNED:
        return None
    try:
        return [
            (token.start_mark.index, token.end_mark.index)
            for token in yaml.scan(text, Loader=yaml.SafeLoader)
            if token.id == "<directive>" or (token.id == "<tag>" and token.value not in _PLAIN_TAGS)
        ]
    except (yaml.YAMLError, AttributeError, RecursionError):
        return None


def judge_yaml(guard: Guard, text: str, *, any_class: bool) -> Verdict | None:
    """Return a verdict on YAML whose loader makes objects.

    `any_class`: of every class, not of those that YAML itself has. Then any tag is refused.
    """
    if is_signed(guard, text):
        return None
    if any_class and has_yaml_tags(text):
        origin = guard.whole(text)
        if origin is not None:
            return Verdict(origin, "is loaded by a loader that makes any object", FIX_YAML)
    return judge_tags(text, guard, has_yaml_tags, FIX_YAML)


def judge_json(text: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data is more than the inside of texts, and whole values, in JSON.

    What was found by search may be a part of the event's own, as may be all that brackets of the
    code are put around.
    """
    spans = _seen(spans)
    if not spans:
        return None
    if not "".join(around(text, spans)).strip("[]{}, \t\r\n"):
        return None
    # Numbers with commas are those of a list: anywhere else they are no JSON.
    others = [s for s in spans if not _NUMBERS.fullmatch(text, s.start, s.end)]
    return judge_code(Kind.JSON, text, others)


def judge_toml(text: str, spans: Sequence[Span]) -> Verdict | None:
    """As `judge_json`, of TOML."""
    if is_whole(text, spans):
        return None
    return judge_quoted(text, list(doubtful(_seen(spans))), TOML)


def judge_ini(text: str, spans: Sequence[Span]) -> Verdict | None:
    """As `judge_json`, of the lines of a file of settings."""
    seen = _seen(spans)
    return judge_settings(text, seen) if seen else None


def _seen(spans: Sequence[Span]) -> list[Span]:
    """Return what was seen being put there: what is only found may be the event's own text."""
    return [span for span in spans if span.exact]


def names_of(classes: object) -> frozenset[str]:
    """Return what jsonpickle calls classes, as its `classes` are given: one, some, or by names."""
    if isinstance(classes, dict):
        return frozenset(name for name in classes if isinstance(name, str))
    some = classes if isinstance(classes, (list, tuple, set, frozenset)) else (classes,)
    return frozenset(f"{c.__module__}.{c.__qualname__}" for c in some if isinstance(c, type))


def judge_jsonpickle(guard: Guard, text: str, classes: object = None) -> Verdict | None:
    """Return a verdict on a jsonpickle document: plain JSON in one makes no objects.

    Neither do tags of the classes that the code has named make any others.
    """
    if is_signed(guard, text) or not has_tags(text):
        return None
    with contextlib.suppress(ValueError, RecursionError):
        if is_of_classes(json.loads(text), names_of(classes)):
            return None
    if "\\u" in text and (origin := guard.whole(text)) is not None:
        return Verdict(origin, "has tags that make objects of any class", FIX_JSON)
    return judge_tags(text, guard, _has_code_tags, FIX_JSON)


def judge_restored(guard: Guard, document: object, classes: object = None) -> Verdict | None:
    """Return a verdict on decoded JSON that jsonpickle makes objects of."""
    tag = tag_of(document)
    if tag is not None and is_of_classes(document, names_of(classes)):
        return None
    origin = guard.key(tag) if tag is not None else None
    if origin is None:
        return None
    return Verdict(origin, "has tags that make objects of any class", FIX_JSON)


def text_of(stream: Any) -> str | None:
    """Return a stream of YAML as text, its place kept."""
    if isinstance(stream, (str, bytes)):
        return _read_as_yaml(stream)
    getvalue = getattr(stream, "getvalue", None)
    if callable(getvalue):
        value = getvalue()
        return _read_as_yaml(value) if isinstance(value, (str, bytes)) else None
    data = content_of(stream)
    return _read_as_yaml(data) if data is not None else None


def _read_as_yaml(data: str | bytes) -> str:
    if isinstance(data, bytes) and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    return as_text(data)
