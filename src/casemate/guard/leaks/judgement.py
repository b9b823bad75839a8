"""Whether an answer tells of the inside: by what this invocation met, then by looks.

By origin first: texts of exceptions that were caught or formatted, lines of source they went
through, paths that this bundle has. So a page about tracebacks passes, and the trace of this call
does not.
"""

from __future__ import annotations

import html
import itertools
import linecache
import os
import re
from collections.abc import Collection, Iterator, Set
from functools import cached_property
from typing import NamedTuple

from .kinds import DATABASE, EVERY, EXCEPTION, PATH, SOURCE, TOLD, TRACE
from .raised import MAX_TEXTS, Raised, Source, Text
from .shapes import MAX_PLACES, may_have_place, page_in, suspicious, trace_in, windows
from .texts import looked_at, parts, unpacked, views, worded, words

_SANDBOX = "/function/"
_OWN = ("/function/code/", "/function/deps/")
_PATH = re.compile(r"/function/(?:code|deps)/[^\s\"'<>&:,;)\\]{1,300}+")
_MAX_PATHS = 64
"""Paths of one answer that are asked for; one that is there is enough."""
MIN_LINE = 16
"""Characters of a line of source, or of a driver's message, below which it could be anybody's."""
_MIN_MESSAGE = 10
_MIN_SHOWN = 8
_MIN_WORDED, _MIN_WORDS = 18, 3
"""Characters and words below which a text has to be there as it is, and not only in its words."""
_MAX_NEEDLE = 200
_AFTER_NAME = 8
_BETWEEN_NAME = frozenset(" ])>-|\N{EN DASH}\N{EM DASH}")
"""What stands between the name of an exception and its message in one text, beside `: `."""
_MAX_BETWEEN, _MAX_MESSAGES = 5, 64
_MAX_LINES = 6
_MAX_MET = 6
_MAX_TOLD = 16 * 1024
"""Characters of the answer that the owner is shown with the error."""
_BETWEEN = 4
"""Words after the name of a file among which the number of its line is looked for."""
_BETWEEN_LENGTH = 120
_OF_NAMES = re.compile(r"[\w-]")
"""A character that makes another name of one before or after it."""
_FRAME = re.compile(r"([\w.<>-]{0,80}+)[\\\"'&#;0-9a-z]{0,16}?,? line ([0-9]{1,7}+)")
"""A place in a trace of Python, in small letters, quoted in whatever way."""
_TRACE_LENGTH, _MAX_OTHERS = 500, 256
"""Characters before the end of a trace in which its last place stands; ends that are looked at."""
_FEW_OTHERS, _MAX_DIGITS = 3, 8
Places = Set[tuple[str, int]]
"""Names of files, in small letters, with lines through which exceptions of this call went."""
_ENCODING = re.compile(rb'"content-encoding",\s*"([^"]{0,200}+)"')


class Exposure(NamedTuple):
    """What an answer would have told."""

    kind: str
    text: str
    source: Source | None = None
    """Of what exceptions it is, where that is known."""
    met: tuple[Source, ...] = ()
    """The last exceptions of the invocation."""


class _Seen:
    """A view of an answer: what is looked for in it, in the forms that are needed."""

    def __init__(self, folded: str) -> None:
        self.folded = folded
        self.small = folded.lower()
        self._known: dict[str, bool] = {}

    @cached_property
    def worded(self) -> bytes:
        return worded(self.folded)

    def has(self, word: str) -> bool:
        """Tell whether a word in small letters of ASCII is in it, be it as a part of another.

        Of what is looked for the longest word is not there almost always, and is found faster
        than a text is divided into words.
        """
        known = self._known.get(word)
        if known is None:
            known = self._known[word] = word in self.small
        return known


class Judge:
    """Of one process; what its import met is laid out once."""

    def __init__(self, raised: Raised) -> None:
        """Look for what `raised` has met."""
        self._raised = raised
        self._standing: list[tuple[str, bytes, Source]] | None = None

    def find(self, head: bytes, body: bytes, open_kinds: Collection[str] = ()) -> Exposure | None:
        """Return what an answer tells of the inside; None of almost every one.

        `open_kinds` are those that the manifest lets through here.
        """
        found = self._quick(head, body)
        if found is None and not self._raised:
            return None
        if EVERY in open_kinds:
            return None
        if found is None or found.kind in open_kinds:
            found = next((e for e in self._all(head, body) if e.kind not in open_kinds), None)
        return found._replace(met=tuple(self._raised.sources()[:_MAX_MET])) if found else None

    def _quick(self, head: bytes, body: bytes) -> Exposure | None:
        if suspicious(body) or (head != b"{}" and suspicious(head)):
            found = next(_by_looks(head, body), None)
            if found is not None:
                return found
        for kind, needle, source in self._laid_out():
            if needle in body or needle in head:
                return Exposure(kind, needle.decode("utf-8", "replace"), source)
        return None

    def _all(self, head: bytes, body: bytes) -> Iterator[Exposure]:
        """Find all that can be found; what the first of them is may be let through."""
        yield from _by_looks(head, body)
        for kind, needle, source in self._laid_out():
            if needle in body or needle in head:
                yield Exposure(kind, needle.decode("utf-8", "replace"), source)
        page = page_in(body)
        if page is not None:
            yield Exposure(*page)
        if not self._raised:
            return
        encoding = _ENCODING.search(head.lower())
        plain = unpacked(body, encoding.group(1)) if encoding else b""
        inner = parts(looked_at(body))
        plain = plain or looked_at(body)
        inner = b"" if inner == plain else inner
        texts = [*views(plain, head), *(views(inner) if inner else ())]
        texts += views(head) if head != b"{}" else ()
        seen = [_Seen(text) for text in dict.fromkeys(texts)]
        for text in seen:
            if may_have_place(text.folded):
                yield from _by_looks(b"{}", text.folded.encode("utf-8", "replace"))
        yield from self._by_origin(seen)

    def _by_origin(self, texts: list[_Seen]) -> Iterator[Exposure]:
        places = {
            (os.path.basename(file).lower(), line)
            for source in self._raised.sources()
            for file, line, _ in source.frames
            if not file.startswith("<")  # the same in every process
        }
        for source in self._raised.sources():
            yield from self._of_source(source, texts, places)
        for source in self._raised.sources():
            for file, line, _ in source.frames:
                if file.startswith(_OWN) and any(
                    _places(text.small, file, line, places) for text in texts
                ):
                    yield Exposure(TRACE, f"{os.path.basename(file)} {line}", source)

    @staticmethod
    def _of_source(source: Source, texts: list[_Seen], places: Places) -> Iterator[Exposure]:
        # A name and a message apart, as `["NotFoundError", "There is none."]`, are an answer.
        name = source.name.lower()
        shown = any(_is_shown(text.small, name) for text in texts)
        for kind, needle in dict.fromkeys(needles(source)):
            plain = worded(needle)
            longest = max(plain.split(), key=len, default=b"").decode()
            within = [text for text in texts if text.has(longest)]
            folded = " ".join(needle.split())
            found = [text for text in within if folded in text.folded]
            if (
                kind == EXCEPTION
                and found
                and all(_is_of_others(text, folded, places) for text in found)
            ):
                shown = False
            elif found:
                yield Exposure(kind, needle, source)
                continue
            enough = len(plain) >= _MIN_WORDED and plain.count(b" ") > _MIN_WORDS
            apart = kind == EXCEPTION and not shown
            if enough and not apart and any(plain in text.worded for text in within):
                yield Exposure(kind, needle, source)
            if kind == EXCEPTION and needle.startswith(f"{source.name}: "):
                message = folded[len(source.name) + 2 :]
                if any(_is_named(text.folded, source.name, message) for text in within):
                    yield Exposure(kind, needle, source)

    def _laid_out(self) -> list[tuple[str, bytes, Source]]:
        """Return what the import met, in the forms in which it can be in a body."""
        if self._standing is None:
            self._standing = [
                (kind, form, source)
                for source in self._raised.standing
                for kind, needle in (*needles(source), *_named(source))
                for form in _forms(needle)
            ]
        return self._standing


def needles(source: Source) -> Iterator[tuple[str, str]]:
    """Return the texts by which exceptions of one place are recognised, each with its kind."""
    for text in source.texts:
        yield from _said(source, text)
    if len(source.texts) == MAX_TEXTS:  # there may have been others
        alike = _beginning([text.shown for text in source.texts])
        if len(alike) >= MIN_LINE:
            yield EXCEPTION, alike[:_MAX_NEEDLE]
    for number, (file, line, name) in enumerate(source.frames):
        if name != "<module>":
            yield TRACE, f"line {line}, in {name}"
            yield TRACE, f"{name} in line {line}"
        if not file.startswith(_OWN):
            continue
        written = linecache.getline(file, line).strip()
        if len(written) >= MIN_LINE and number >= len(source.frames) - _MAX_LINES:
            yield SOURCE, written[:_MAX_NEEDLE]


def _named(source: Source) -> Iterator[tuple[str, str]]:
    """Yield files with lines as what is standing is told by: `_places` is for what is met."""
    for file, line, _ in source.frames:
        if file.startswith(_OWN):
            yield TRACE, f"{os.path.basename(file)}:{line}"


def _beginning(texts: list[str]) -> str:
    """Return what all of these begin with."""
    first, last = min(texts), max(texts)
    pairs = enumerate(zip(first, last, strict=False))
    return first[: next((at for at, (one, other) in pairs if one != other), len(first))]


_SAYING_CLASSES = ("builtins", "decimal")
"""Modules whose classes tell that a calculation failed and nothing of the inside. All that decimal
says of a division by zero is `[<class 'decimal.DivisionByZero'>]`."""


def _said(source: Source, text: Text) -> Iterator[tuple[str, str]]:
    lines = [line.strip()[:_MAX_NEEDLE] for line in text.message.splitlines()[:_MAX_LINES]]
    if source.database:
        for line in (*lines, *_alone(text, lines)):
            if len(line) >= _MIN_MESSAGE:
                yield DATABASE, line
    elif source.alone:
        yield from ((EXCEPTION, line) for line in lines if len(line) >= MIN_LINE)
    if text.message.startswith("[Errno ") and text.file:
        yield PATH, text.message[:_MAX_NEEDLE]
    if text.file.startswith(_SANDBOX):
        yield PATH, text.file[:_MAX_NEEDLE]
    yield from ((PATH, line) for line in lines if _SANDBOX in line)
    for note in text.notes:
        for line in note.splitlines()[:_MAX_LINES]:
            if len(line.strip()) >= MIN_LINE:
                yield EXCEPTION, line.strip()[:_MAX_NEEDLE]
    if not (source.own or text.callers):  # else they are the code's own words, or the caller's
        yield from _shown(source, text, lines)


def _shown(source: Source, text: Text, lines: list[str]) -> Iterator[tuple[str, str]]:
    if lines and lines[0]:
        yield EXCEPTION, f"{source.name}: {lines[0]}"
    shown = text.shown.split("\n", 1)[0][:_MAX_NEEDLE]
    if len(shown) >= _MIN_SHOWN and source.name in shown:
        yield EXCEPTION, shown
        yield EXCEPTION, f"{shown[:-1]},)"  # its name and its `args`
    if source.module not in _SAYING_CLASSES:
        yield EXCEPTION, f"<class '{source.module}.{source.name}'>"


def _alone(text: Text, lines: list[str]) -> Iterator[str]:
    """Yield what a driver's error says in its parts: without `DETAIL:  `, or as its attributes."""
    for line in lines:
        label, _, rest = line.partition(":")
        if label.isupper():
            yield rest.strip()
    for part in text.parts:
        for line in part.splitlines()[:_MAX_LINES]:
            yield line.strip()[:_MAX_NEEDLE]


def _is_shown(text: str, name: str) -> bool:
    """Tell whether a text has the name of a class as Python shows one: `N(`, `N:`, `<class 'N'>`.

    Both are in small letters.
    """
    at = text.find(name)
    for _ in range(MAX_PLACES):
        if at < 0:
            return False
        after = text[at + len(name) : at + len(name) + _AFTER_NAME]
        if after.startswith(("(", ":")) or after.lstrip("'\"\\").startswith(">"):
            return True
        at = text.find(name, at + 1)
    return True  # whatever has it so often


def _is_named(text: str, name: str, message: str) -> bool:
    """Tell whether the message of an exception follows its name: `[KeyError] 'x'`, `N - why`."""
    at = text.find(message) if message else -1
    for _ in range(_MAX_MESSAGES):
        if at < 0:
            return False
        before = text[max(0, at - _MAX_BETWEEN - len(name)) : at]
        found = before.rfind(name)
        between = before[found + len(name) :] if found >= 0 else ""
        if between.strip() and _BETWEEN_NAME.issuperset(between):
            return True
        at = text.find(message, at + len(message))
    return False


def _is_of_others(text: _Seen, needle: str, places: Places) -> bool:
    """Tell whether an exception's text ends a trace of another program, wherever it is there.

    That is, a place in a file stands closest before it, and it is none of this call's.
    """
    small = needle.lower()
    at = text.small.find(small)
    for _ in range(_MAX_OTHERS):
        if at < 0:
            return True
        before = text.small[max(0, at - _TRACE_LENGTH) : at]
        frames = _FRAME.findall(before)
        if not frames:
            return False
        file, line = frames[-1]
        if any(line == str(number) and file in ("", name) for name, number in places):
            return False
        at = text.small.find(small, at + len(small))
    return False


def _places(text: str, file: str, line: int, places: Places) -> bool:
    """Tell whether a text names a file and, next to it, a line: `{"file": "a.py", "line": 3}`.

    The text is in small letters. Whatever names the file with many other lines is a list about
    another one of this name, such as what a linter says.
    """
    name, wanted = os.path.basename(file).lower(), str(line)
    at = text.find(name)
    there = others = 0
    for _ in range(MAX_PLACES):
        if at < 0:
            return there > 0 and others <= max(_FEW_OTHERS, there)
        end = at + len(name)
        if not (_OF_NAMES.match(text[at - 1 : at]) or _OF_NAMES.match(text[end : end + 1])):
            after = words(text[end : end + _BETWEEN_LENGTH])[:_BETWEEN]
            if wanted in after:
                there += 1
            elif not any(word.isdigit() and (name, int(word)) in places for word in after):
                others += any(word.isdigit() and len(word) < _MAX_DIGITS for word in after)
        at = text.find(name, end)
    return True


def _forms(needle: str) -> set[bytes]:
    quoted = needle.replace("\\", "\\\\").replace('"', '\\"')
    escaped = {html.escape(needle), html.escape(needle).replace("&#x27;", "&#39;")}
    return {form.encode("utf-8", "replace") for form in {needle, quoted, *escaped}}


def _by_looks(head: bytes, body: bytes) -> Iterator[Exposure]:
    for data in (body, head):
        if not suspicious(data):
            continue
        shape = trace_in(data)
        if shape is not None:
            yield Exposure(*shape)
        for path in _paths(data):
            yield Exposure(PATH, path)


def _paths(data: bytes) -> Iterator[str]:
    """Yield the paths of an answer that this bundle has: those of other bundles are content."""
    places = itertools.islice(windows(data), MAX_PLACES)
    matches = (match for place in places if (match := _PATH.match(place)))
    for match in itertools.islice(matches, _MAX_PATHS):
        path = match.group().rstrip(".")
        if os.path.lexists(path):
            yield path


def described(exposure: Exposure, head: bytes, body: bytes) -> dict[str, str]:
    """Return what the owner is told: what was found, the exception it is of, and the answer."""
    met = list(exposure.met)
    if exposure.source is not None and exposure.source not in met:
        met.insert(0, exposure.source)
    of = exposure.source or (met[0] if met else None)
    name = "ExposedAnswer"
    trace = ""
    if of is not None:
        name = of.name if of.module == "builtins" else f"{of.module}.{of.name}"
        told = "\n\n".join(source.told() for source in met)
        trace = f"What the invocation met, the last first:\n{told}\n\n"
    answer = body[:_MAX_TOLD].decode("utf-8", "replace")
    more = f"\n... ({len(body) - _MAX_TOLD} bytes more)" if len(body) > _MAX_TOLD else ""
    shown = head[:4096].decode("utf-8", "replace")
    trace += f"The answer that was replaced:\n{shown}\n{answer}{more}"
    message = (
        f"the answer tells of the inside: {TOLD[exposure.kind]} ({exposure.text[:_MAX_NEEDLE]!r}). "
        "Answer with a text of your own; what callers may see of it is an entry of "
        f'[[function.NAME.errors]] with what = "{exposure.kind}"'
    )
    return {"type": name[:200], "message": message, "trace": trace}
