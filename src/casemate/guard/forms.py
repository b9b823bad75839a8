"""Every form in which an application may have decoded a text, the seldom ones as well.

`decoding.py` has those that any framework decodes, and is used by the host too. These here are
decoded by libraries and helpers of a function. Each is tried by its look; what is slow, or makes
a text of nearly anything, has a budget for each invocation.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .decoded_together import Made, Spend, decoded_together
from .decoding import MAX_INFLATED, NORMAL_FORMS, base64_bytes, decoded, inflated, readable
from .digit_groups import ASCII85, BASE32, BASE85, Digits
from .digit_groups import decoded as groups

MAX_RARE = 64 * 1024
"""Characters of a text that is tried in seldom forms."""
MAX_SLOW = 8 * 1024
"""Characters of a text that decoders written in Python take."""
SLOW_BUDGET = 32 * 1024
"""Characters that these take in one invocation: about 10 ms."""
BUDGET = 256 * 1024
"""Characters that all seldom forms take in one invocation, each text 64 more: about 40 ms."""
_OVERHEAD = 64
_PUNYCODE_COSTS = 8
"""It takes quadratic time."""
_MAX_REVERSED = 1024
_BY_CHANCE = frozenset(("a form", "HTML entities", "URL encoding"))
"""Forms that nearly any text has. Of one that was turned round, and then again, these give parts of
the text as it was, cut where no program cuts it."""
_MAX_LABEL = 256
_MAX_MEMORY = 32 << 20
"""Bytes that a decompressor may take for its window."""

_MIN_SELDOM = 3
_MIN_CODED = 8
_BEGINNINGS = frozenset("\x1fB\udcfd(")
"""First bytes of what is compressed."""
_PACKED = frozenset("\x1fx\udcfe\udcff")
"""First bytes of gzip, zlib and UTF-16, which need no library that the application has."""
_BEGUN = frozenset((b"\x1f", b"x", b"\xff", b"\xfe"))
"""The same of bytes."""
_NULLS_WITHIN = 64
"""First bytes of which one is null in any text of UTF-16."""
_TOGETHER = 128
"""Texts of which the seldom forms are made at once."""
_TELLING = re.compile(r"['\"`;<>()|&$\\=+\x1f\udc80-\udcff-]|\.\.|[^\x00-\x7f]")
"""What a text has that is worth decoding, or turning round."""
_LIBRARIES = frozenset(
    [
        *("bz2", "lzma", "zstandard", "compression.zstd", "brotli", "brotlicffi"),
        *("msgpack", "ormsgpack", "cbor2", "cbor"),
    ]
)
"""What decodes bytes that are no text. An application that has imported none reads none."""
_HEX = re.compile(r"[0-9a-fA-F]{16,}")
_BASE32 = re.compile(r"[A-Z2-7]{8,}={0,6}|[a-z2-7]{8,}={0,6}")
_BASE85 = re.compile(r"[!-~]{10,}")
_BASES_OF_85 = (
    ("base85", BASE85, re.compile(r"[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]+")),
    ("ASCII85", ASCII85, re.compile(r"(?:<~)?[!-uz]+(?:~>)?")),
)
_WHOLE_32 = frozenset((0, 2, 4, 5, 7))
"""Digits of the last group in base32 that stand for whole bytes."""
_QUOTED = re.compile(r"=[0-9A-Fa-f]{2}|=\r?\n")
_MIME_BODY = re.compile(
    r"^content-transfer-encoding:[ \t]{0,9}base64\b[^\n]{0,99}\n(?:[^\s][^\n]{0,999}\n){0,20}+\r?\n"
    r"((?:[A-Za-z0-9+/]{1,998}={0,2}(?:\r?\n|\Z)){1,}+)",
    re.IGNORECASE | re.MULTILINE,
)
"""The body of a message or of one of its parts (RFC 2045)."""
_MIME_WORD = re.compile(r"=\?([\w-]{1,40})(?:\*[\w-]{0,40})?\?([bBqQ])\?([^?\s]{0,1000})\?=")
_BETWEEN = re.compile(r"(\?=)\s+(=\?)")
_UTF7 = re.compile(r"\+[A-Za-z0-9+/]+-?")
_PUNYCODE = re.compile(r"xn--([A-Za-z0-9-]{1,63})")
_MARK = re.compile(r"['\"`<>|]|\.\.|--|\$\(|&&|;(?![^=;]*=)")
"""What a payload has, and its reverse; parameters of a header have `;` and `=`."""
_FEW_SIGNS = re.compile(r"[\W_]{1,7}")
"""A few signs without a letter or digit: turned round they stand in many a document by chance."""
_PLAIN = re.compile(r"[\w.@:/-]*={0,2}")
"""Identifiers, addresses, paths, dates and base64: of base85 all of it is so by chance only."""
_BINARY = re.compile(r"[\udc80-\udcff]")
_UNREADABLE = (ValueError, LookupError, EOFError, OverflowError, RuntimeError, RecursionError)


class Forms:
    """Decodes the texts of one invocation, as long as there is a budget."""

    def __init__(self) -> None:
        """Begin with all of it."""
        self._left = BUDGET
        self._slow = SLOW_BUDGET
        self._normal: set[str] = set()
        """What was put into a normal form."""
        self._last: set[str] = set()
        """What was turned or read as a label. Little more is made of it: it would be by chance."""

    def of(self, text: str) -> Iterator[tuple[str, object]]:
        """Yield how one encoding was undone and what came of it: a text, or JSON with texts."""
        yield from self._kept(text, decoded(text, normal=text in self._normal))
        yield from self.seldom([text]).get(text, ())

    def of_all(self, texts: Sequence[str], spend: Spend, normal_cost: int) -> Made:
        """Return the same of different texts that may be decoded together, in their order."""
        decoded = decoded_together(texts, self._normal, spend, normal_cost)
        seldom = self.seldom(texts) if self._asks_seldom else {}
        made: Made = {}
        for text in texts if seldom else filter(decoded.__contains__, texts):
            forms = list(self._kept(text, decoded[text])) if text in decoded else []
            if text in seldom:
                forms += seldom[text]
            if forms:
                made[text] = forms
        return made

    def _kept(self, text: str, forms: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
        turned = text in self._last
        for made in forms:
            how, form = made
            spaced = how == "URL encoding" and form == text.replace("+", " ")
            if spaced or how in NORMAL_FORMS:
                # Blanks and plus signs combine with nothing: what is made of the normal form of
                # the one is that of the other.
                self._normal.add(str(form))
            if not (turned and how in _BY_CHANCE):
                yield made

    @property
    def _asks_seldom(self) -> bool:
        return self._left >= _OVERHEAD + _MIN_SELDOM

    @property
    def open(self) -> bool:
        """Tell whether `seldom` still looks at any text."""
        return self._left > _OVERHEAD + _MIN_CODED

    @property
    def turns(self) -> bool:
        """Tell whether texts are still turned round, or read as labels."""
        return self.open and self._slow > _OVERHEAD

    def likely(self, texts: Sequence[str]) -> list[str]:
        """Return those of base64's digits, without `+`, of which `seldom` may make anything."""
        if not self.open:
            return []
        if _has_library():
            return list(texts)
        # A label, UTF-16 by its null bytes (as `_is_null`), base32 by its case. Spelled out: to
        # call functions for each of thousands takes longer than what they do.
        whole = "\0".join(texts)
        signs = [sign for sign in ("-", "00") if sign in whole]
        found = [
            text
            for text in texts
            if text.count("A") * 5 >= len(text)
            or text.isupper()
            or text.islower()
            or (text[0] <= "9" and text.strip("=").isdigit())
        ]
        for sign in signs:
            some = {*found, *[text for text in texts if sign in text]}
            found = [text for text in texts if text in some]
        return found

    def seldom(self, texts: Sequence[str]) -> Made:
        """Return the seldom forms alone, of different texts."""
        made: Made = {}
        known = _has_library()
        for start in range(0, len(texts), _TOGETHER):
            if not self._asks_seldom:
                break
            chosen = self._chosen(texts[start : start + _TOGETHER])
            if chosen:
                made.update(self._seldom_of(chosen, known))
        return made

    def _chosen(self, texts: Sequence[str]) -> list[str]:
        """Return those of which there may be such a form, and take what they cost."""
        chosen = []
        for text in texts:
            size = len(text)
            if (
                _MIN_SELDOM <= size <= MAX_RARE
                and size <= self._left - _OVERHEAD
                and ((size >= _MIN_CODED and " " not in text) or _TELLING.search(text))
                and text not in self._last
            ):
                self._left -= size + _OVERHEAD
                chosen.append(text)
        return chosen

    def _seldom_of(self, texts: Sequence[str], known: bool) -> Made:
        """Return these forms, each kind of all texts; `known` is what `_has_library` tells."""
        made: Made = {text: [] for text in texts}
        plain = [text for text in texts if text[0] not in _BEGINNINGS and text.isascii()]
        if len(plain) < len(texts):
            done = set(plain)
            for text in texts:
                if text not in done and _may_be_packed(text, known):
                    # UTF-7 gives halves of characters, which are no bytes.
                    with contextlib.suppress(UnicodeEncodeError):
                        data = text.encode(errors="surrogateescape")
                        made[text] += _of_bytes(data, "bytes", known)
        for text in plain:
            # What has an equals sign is a form, mostly: this shows sooner than in a call for each.
            mail = "=?" in text or ("\n" in text and ("=" in text or "\n\n" in text))
            if mail or "\n\r\n" in text or ("=" in text and _QUOTED.search(text)):
                made[text] += self._of_mail(text, known)
        turned = self._turned_or_named(texts, made)
        coded = [text for text in plain if len(text) >= _MIN_CODED and " " not in text]
        for text in coded:
            if known or text.count("A") * 5 >= len(text) or text.count("00") * 6 >= len(text):
                made[text] += _of_digits(text, known)
        if self._slow:
            self._by_slow_decoders(coded, made, known)
        return {text: forms for text, forms in made.items() if forms and text not in turned}

    def _turned_or_named(self, texts: Sequence[str], made: Made) -> set[str]:
        """Turn texts round, and undo what names are written as; return those made of others."""
        others: set[str] = set()
        for text in texts:
            if text in self._last:
                others.add(text)
                continue
            ascii_only = text.isascii() and text[0] not in _BEGINNINGS
            if ascii_only and ("-" in text or "+" in text):
                made[text] += self._of_names(text)
            if self._slow > _OVERHEAD:
                made[text] += self._turned(text)
        return others

    def _of_mail(self, text: str, known: bool) -> Iterator[tuple[str, object]]:
        """Undo quoted-printable and encoded words (RFC 2045, RFC 2047)."""
        if "=?" in text and self._takes(len(text)):
            joined = _BETWEEN.sub(r"\1\2", text)
            words = _MIME_WORD.sub(_word, joined)
            if words != joined:
                yield "encoded words", words
        for body in _MIME_BODY.finditer(text) if "\n" in text else ():
            with contextlib.suppress(binascii.Error):
                yield from _of_bytes(base64.b64decode(body[1]), "base64", known)
        if _QUOTED.search(text):
            plain = readable(binascii.a2b_qp(text.encode()))
            if plain and plain != text:
                yield "quoted-printable", plain

    def _of_names(self, text: str) -> Iterator[tuple[str, object]]:
        """Undo UTF-7 (RFC 2152) and Punycode (RFC 3492)."""
        if "+" in text and _UTF7.search(text):
            with contextlib.suppress(UnicodeDecodeError):
                plain = text.encode().decode("utf-7")
                # Of base64 comes something as well, which no application has made.
                if _MARK.search(plain):
                    yield "UTF-7", plain
        if (
            len(text) > _MAX_LABEL
            or "-" not in text
            or not self._takes(_PUNYCODE_COSTS * len(text))
        ):
            return
        if text.startswith("xn--"):
            yield "Punycode", _label(text[4:])
        if "xn--" in text:
            plain = _PUNYCODE.sub(lambda m: _label(m[1]) or m[0], text)
            if plain != text:
                yield "Punycode", plain
        elif (label := _label(text)) and (not label.isascii() or text[-2:-1].isalnum()):
            self._last.add(label)
            yield "Punycode", label

    def _turned(self, text: str) -> Iterator[tuple[str, object]]:
        if len(text) > _MAX_REVERSED or not _MARK.search(text) or _FEW_SIGNS.fullmatch(text):
            return
        turned = text[::-1]
        if turned != text and self._takes(len(text) + _OVERHEAD):
            self._last.add(turned)
            yield "the reverse", turned

    def _takes(self, cost: int) -> bool:
        if cost > self._slow:
            return False
        self._slow -= cost
        return True

    def _by_slow_decoders(self, texts: Sequence[str], made: Made, known: bool) -> None:
        """Undo base32 and base85 of all texts at once."""
        of_32: list[str] = []
        of_85: list[str] = []
        for text in texts:
            if len(text) > min(MAX_SLOW, self._slow):
                continue
            if _BASE32.fullmatch(text):
                if self._takes(len(text)):
                    of_32.append(text)
            elif (
                not _PLAIN.fullmatch(text)
                and _BASE85.fullmatch(text)
                and self._takes(2 * len(text))
            ):
                of_85.append(text)
        bare = [(text, text.rstrip("=").upper()) for text in of_32]
        _take_groups([p for p in bare if len(p[1]) % 8 in _WHOLE_32], "base32", BASE32, made, known)
        for how, digits, written in _BASES_OF_85:
            some = [t for t in of_85 if written.fullmatch(t)]
            bare = [(text, text.removeprefix("<~").removesuffix("~>")) for text in some]
            _take_groups(bare, how, digits, made, known)


def _take_groups(
    texts: Sequence[tuple[str, str]], how: str, digits: Digits, made: Made, known: bool
) -> None:
    """Take what texts hold; beside each is what there are of its digits."""
    held = groups([bare for _, bare in texts], digits) if texts else ()
    for (text, _), data in zip(texts, held, strict=True):
        # By far most come to bytes that are no text. Nothing else is asked of these.
        if data is not None and (known or _may_be_any(data)):
            made[text] += _of_bytes(data, how, known)


def _may_be_any(data: bytes) -> bool:
    """Tell whether `_of_bytes` may find anything in data, where no library is known."""
    if data.isascii() or b"\0" in data[:_NULLS_WITHIN] or data[:1] in _BEGUN:
        return True
    return len(data.decode(errors="ignore").encode()) == len(data)


def _may_be_packed(text: str, known: bool) -> bool:
    """Tell whether a text is bytes, by its look, which may hold more than they say."""
    if not (text[0] in _BEGINNINGS or _BINARY.search(text)):
        return False
    return known or text[0] in _PACKED or "\0" in text[:_NULLS_WITHIN]


def _of_digits(text: str, known: bool) -> Iterator[tuple[str, object]]:
    """Undo base64 and hex of what is no text by itself."""
    coded = base64_bytes(text) if known or _is_null(text) else None
    if coded:
        yield from _of_binary(coded, "base64", known)
    wide = known or text.count("00") * 6 >= len(text)
    if wide and len(text) % 2 == 0 and _HEX.fullmatch(text):
        yield from _of_binary(bytes.fromhex(text), "hex", known)


def _is_null(text: str) -> bool:
    """Tell whether base64 may hold UTF-16: every other byte is null, which makes many of an A."""
    return text.count("A") * 5 >= len(text)


def _has_library() -> bool:
    # A set that is asked about a dict goes through all of it: a thousand modules, for each text.
    return not sys.modules.keys().isdisjoint(_LIBRARIES)


def _word(match: re.Match[str]) -> str:
    charset, coding, content = match.groups()
    try:
        if coding in "bB":
            return base64.b64decode(content + "==").decode(charset)
        return binascii.a2b_qp(content.encode(), header=True).decode(charset)
    except _UNREADABLE:
        return match[0]


def _label(text: str) -> str:
    try:
        return text.encode().decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return ""


# -- bytes -----------------------------------------------------------------------------------------


def _of_bytes(data: bytes, how: str, known: bool) -> Iterator[tuple[str, object]]:
    """Yield what bytes are, as text or as something else."""
    plain = inflated(data)
    if plain is not None:
        text = readable(plain)
        if text:
            yield f"{how} and gzip", text
        return
    found = False
    for kind, form in _of_binary(data, how, known):
        found = True
        yield kind, form
    text = None if found else readable(data)
    if text and how != "bytes":
        yield how, text


def _of_binary(data: bytes, how: str, known: bool) -> Iterator[tuple[str, object]]:
    """Yield what bytes are that are no text as they stand."""
    if len(data) > MAX_RARE or len(data) < 3:
        return
    if b"\x00" in data[:_NULLS_WITHIN] or data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        yield from _wide(data, how)
    if known:
        yield from _of_libraries(data, how)


def _of_libraries(data: bytes, how: str) -> Iterator[tuple[str, object]]:
    for name, unpack in (
        ("bzip2", _bzip2),
        ("LZMA", _lzma),
        ("zstd", _zstd),
        ("Brotli", _brotli),
    ):
        plain = _tried(unpack, data)
        text = readable(plain) if plain else None
        if text:
            yield f"{how} and {name}", text
    for name, load in (("MessagePack", _msgpack), ("CBOR", _cbor)):
        document = _tried(load, data)
        if isinstance(document, (dict, list, str, bytes)):
            yield f"{how} and {name}", document


def _tried(decode: Callable[[bytes], Any], data: bytes) -> Any:
    """Return what a decoder makes of data; None if it does not like it."""
    try:
        return decode(data)
    except Exception:  # noqa: BLE001 - each library has errors of its own
        return None


def _wide(data: bytes, how: str) -> Iterator[tuple[str, object]]:
    first, second = data[0::2].count(0), data[1::2].count(0)
    wide = data[2::4].count(0) + data[1::4].count(0) >= len(data) // 2
    order = "be" if first > second else "le"
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ()
    for encoding in (*encodings, f"utf-32-{order}" if wide else "", f"utf-16-{order}"):
        if encoding:
            with contextlib.suppress(UnicodeDecodeError):
                yield f"{how} and {encoding.upper()}", data.decode(encoding)


def _bzip2(data: bytes) -> bytes | None:
    module: Any = sys.modules.get("bz2") if data[:3] == b"BZh" else None
    return module.BZ2Decompressor().decompress(data, MAX_INFLATED) if module else None


def _lzma(data: bytes) -> bytes | None:
    begun = data[:6] == b"\xfd7zXZ\x00" or data[:3] == b"]\x00\x00"
    module: Any = sys.modules.get("lzma") if begun else None
    if module is None:
        return None
    return module.LZMADecompressor(memlimit=_MAX_MEMORY).decompress(data, MAX_INFLATED)  # type: ignore[no-any-return]


def _zstd(data: bytes) -> bytes | None:
    if data[:4] != b"\x28\xb5\x2f\xfd":
        return None
    module: Any = sys.modules.get("zstandard")
    if module is not None:
        reader = module.ZstdDecompressor(max_window_size=_MAX_MEMORY).stream_reader(data)
        return reader.read(MAX_INFLATED)  # type: ignore[no-any-return]
    module = sys.modules.get("compression.zstd")
    return module.ZstdDecompressor().decompress(data, MAX_INFLATED) if module else None


def _brotli(data: bytes) -> bytes | None:
    module: Any = sys.modules.get("brotli") or sys.modules.get("brotlicffi")
    if module is None or readable(data) is not None:
        return None
    inflater = module.Decompressor()
    # A version that takes no bound is not used. What is given can be a block more.
    plain: bytes = inflater.process(data, output_buffer_limit=MAX_INFLATED)
    return plain if inflater.is_finished() else None


def _msgpack(data: bytes) -> Any:
    module: Any = sys.modules.get("msgpack") or sys.modules.get("ormsgpack")
    compound = 0x80 <= data[0] <= 0xBF or 0xC4 <= data[0] <= 0xC6 or 0xD9 <= data[0] <= 0xDF
    if module is None or not compound:
        return None
    options = {} if module.__name__ == "ormsgpack" else {"strict_map_key": False}
    return module.unpackb(data, **options)


def _cbor(data: bytes) -> Any:
    module: Any = sys.modules.get("cbor2") or sys.modules.get("cbor")
    compound = 0x40 <= data[0] <= 0xDB
    return module.loads(data) if module is not None and compound else None
