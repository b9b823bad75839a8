"""Cuts a shell's command line into words, operators and expansions, as POSIX 2.3 to 2.6 does it.

Enough to tell where each part ends and what a program would be given; nothing is expanded. What
bash has beyond POSIX is seen where it can do harm: `$'...'`, `<(...)`, `{a,b}`, `|&`.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

_OPERATOR = re.compile(r"&&|\|\||;;&?|;&|\|&|[;&|()\n]")
_REDIRECTION = re.compile(r"(?:<<-|<<<|<<|>>|<&|>&|<>|>\||&>>|&>|<|>)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|[0-9@*#?$!-])")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_BRACES = re.compile(r"\{(?:[^\s{},.]|\.(?!\.))*+(?:,|\.\.)[^\s{}]*+\}")
_KEYWORDS = frozenset(
    ("if", "then", "else", "elif", "fi", "do", "done", "while", "until", "for", "!", "{", "}")
)
_MAX_DEPTH = 30


class Kind(Enum):
    """Kinds of marks."""

    WORD = "word"
    SINGLE = "single-quoted text"
    DOUBLE = "double-quoted text"
    ESCAPE = "escape"
    OPERATOR = "command separator"
    REDIRECTION = "redirection"
    SUBSTITUTION = "command substitution"
    VARIABLE = "variable"
    PATTERN = "file name pattern"
    COMMENT = "comment"
    DOCUMENT = "here-document"
    KEYWORD = "keyword"
    BROKEN = "unterminated quote"


class Mark(NamedTuple):
    """Something with a meaning for the shell: characters `start` up to, not including, `end`."""

    kind: Kind
    start: int
    end: int


class Word(NamedTuple):
    """What a program would be given as one argument."""

    value: str
    """Without quotes. An expansion is one character, U+FFFC."""
    places: tuple[int, ...]
    """For each character of the value, where it is in the command line."""
    plain: bool
    """Nothing in it was quoted."""
    start: int = 0
    end: int = 0
    """What of the command line is the word, its quotes included."""


class Line(NamedTuple):
    """A command line, taken apart."""

    marks: list[Mark]
    commands: list[list[Word]]
    """The words of each simple command, in any depth."""
    targets: list[Word]
    """The files of redirections."""

    @property
    def broken(self) -> Mark | None:
        """What is not closed, if anything."""
        return next((m for m in self.marks if m.kind is Kind.BROKEN), None)


EXPANSION = "\ufffc"


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.marks: list[Mark] = []
        self.commands: list[list[Word]] = []
        self.targets: list[Word] = []
        self.documents: list[tuple[str, bool, bool]] = []

    def mark(self, kind: Kind, start: int, end: int) -> None:
        self.marks.append(Mark(kind, start, end))

    def broken(self, start: int) -> int:
        self.mark(Kind.BROKEN, start, len(self.text))
        return len(self.text)

    # -- commands ------------------------------------------------------------------------------

    def commands_until(  # noqa: PLR0912 - one kind of character after the other
        self, place: int, closer: str, depth: int
    ) -> int:
        """Read commands up to `closer`, or the end if it is empty; return where that ends."""
        if depth > _MAX_DEPTH:
            return self.broken(place)
        text, words = self.text, list[Word]()
        start = place
        while place < len(text):
            character = text[place]
            if closer and character == closer:
                self._command(words)
                return place + 1
            if character in " \t":
                place += 1
            elif text.startswith("\\\n", place):
                place += 2
            elif character == "#":
                end = text.find("\n", place)
                end = len(text) if end < 0 else end
                self.mark(Kind.COMMENT, place, end)
                place = end
            elif redirection := self._redirection(place):
                place = self._redirected(place, redirection, depth)
            elif operator := _OPERATOR.match(text, place):
                self.mark(Kind.OPERATOR, place, operator.end())
                place = operator.end()
                self._command(words)
                words = []
                if operator[0] == "(":
                    place = self.commands_until(place, ")", depth + 1)
                elif operator[0] == "\n":
                    place = self._documents(place, depth)
            else:
                begun = place
                place, word = self.word(place, depth, closer)
                self.mark(Kind.WORD, begun, place)
                if not words and word.plain and word.value in _KEYWORDS:
                    self.mark(Kind.KEYWORD, begun, place)
                else:
                    words.append(word)
        self._command(words)
        return self.broken(start) if closer else place

    def _command(self, words: list[Word]) -> None:
        if words:
            self.commands.append(words)

    def _redirection(self, place: int) -> str:
        if self.text[place : place + 2] in ("<(", ">("):
            return ""
        digits = re.compile(r"\d+(?=[<>])").match(self.text, place)
        found = _REDIRECTION.match(self.text, digits.end() if digits else place)
        return (digits[0] if digits else "") + found[0] if found else ""

    def _redirected(self, place: int, operator: str, depth: int) -> int:
        end = place + len(operator)
        self.mark(Kind.REDIRECTION, place, end)
        while end < len(self.text) and self.text[end] in " \t":
            end += 1
        if end >= len(self.text) or _OPERATOR.match(self.text, end):
            return end
        begun = end
        end, word = self.word(end, depth, "")
        if end == begun:
            return end + 1
        self.mark(Kind.WORD, begun, end)
        kind = operator.lstrip("0123456789")
        if kind in ("<<", "<<-"):
            self.documents.append((word.value, word.plain, kind == "<<-"))
        elif "&" not in kind and kind != "<<<":
            self.targets.append(word)
        return end

    def _documents(self, place: int, depth: int) -> int:
        """Read the here-documents that begin after a line's end."""
        for delimiter, expands, tabs in self.documents:
            start = place
            while True:
                if place >= len(self.text):
                    place = self.broken(start)
                    break
                end = self.text.find("\n", place)
                end = len(self.text) if end < 0 else end
                line = self.text[place:end]
                if (line.lstrip("\t") if tabs else line) == delimiter:
                    self.mark(Kind.DOCUMENT, start, end)
                    place = min(end + 1, len(self.text))
                    break
                if expands:
                    self._expansions(place, end, depth)
                place = end + 1
        self.documents = []
        return place

    def _expansions(self, place: int, end: int, depth: int) -> None:
        while place < end:
            if self.text[place] == "\\":
                place += 2
            elif self.text[place] in "$`":
                place = max(self.expansion(place, depth), place + 1)
            else:
                place += 1

    # -- words ---------------------------------------------------------------------------------

    def word(self, place: int, depth: int, closer: str) -> tuple[int, Word]:
        """Read one word."""
        text, begun = self.text, place
        value: list[str] = []
        places: list[int] = []
        plain = True
        while place < len(text):
            character = text[place]
            if closer and character == closer:
                break
            if character in " \t\n;&|()<>" and text[place : place + 2] not in ("<(", ">("):
                break
            if character == "'":
                plain = False
                end = text.find("'", place + 1)
                if end < 0:
                    place = self.broken(place)
                    break
                self.mark(Kind.SINGLE, place, end + 1)
                value += text[place + 1 : end]
                places += range(place + 1, end)
                place = end + 1
            elif character == '"':
                plain = False
                place = self._double(place, value, places, depth)
            elif character == "\\":
                plain = False
                if text[place + 1 : place + 2] != "\n":
                    self.mark(Kind.ESCAPE, place, place + 2)
                    value += text[place + 1 : place + 2]
                    places += range(place + 1, min(place + 2, len(text)))
                place += 2
            elif character in "$`<>":
                place = self._expanded(place, value, places, depth)
            else:
                pattern = character in "*?[" or (character == "~" and place == begun)
                braces = _BRACES.match(text, place) if character == "{" else None
                if pattern or braces:
                    self.mark(Kind.PATTERN, place, braces.end() if braces else place + 1)
                value.append(character)
                places.append(place)
                place += 1
        place = min(place, len(text))
        return place, Word("".join(value), tuple(places), plain, begun, place)

    def _expanded(self, place: int, value: list[str], places: list[int], depth: int) -> int:
        if self.text[place] in "<>":
            end = self.commands_until(place + 2, ")", depth + 1)
            self.mark(Kind.SUBSTITUTION, place, end)
        else:
            end = self.expansion(place, depth)
        if end == place:
            value.append("$")
            places.append(place)
            return place + 1
        value.append(EXPANSION)
        places.append(place)
        return end

    def _double(self, place: int, value: list[str], places: list[int], depth: int) -> int:
        text, begun = self.text, place
        place += 1
        while place < len(text):
            character = text[place]
            if character == '"':
                self.mark(Kind.DOUBLE, begun, place + 1)
                return place + 1
            if character == "\\" and text[place + 1 : place + 2] in ("$", "`", '"', "\\", "\n"):
                self.mark(Kind.ESCAPE, place, place + 2)
                if text[place + 1] != "\n":
                    value.append(text[place + 1])
                    places.append(place + 1)
                place += 2
            elif character in "$`":
                place = self._expanded(place, value, places, depth)
            else:
                value.append(character)
                places.append(place)
                place += 1
        return self.broken(begun)

    def expansion(self, place: int, depth: int) -> int:
        """Read what `$` or a backquote begins; return where it ends, `place` if it is nothing."""
        text = self.text
        if text[place] == "`":
            end = self.commands_until(place + 1, "`", depth + 1)
            self.mark(Kind.SUBSTITUTION, place, end)
        elif text.startswith("$((", place) and "))" in text[place:]:
            end = text.index("))", place) + 2
            self._expansions(place + 3, end - 2, depth + 1)
            self.mark(Kind.VARIABLE, place, end)
        elif text.startswith("$(", place):
            end = self.commands_until(place + 2, ")", depth + 1)
            self.mark(Kind.SUBSTITUTION, place, end)
        elif text.startswith("${", place):
            end = self._braced(place, depth)
        elif variable := _VARIABLE.match(text, place):
            end = variable.end()
            self.mark(Kind.VARIABLE, place, end)
        else:
            end = place
        return end

    def _braced(self, begun: int, depth: int) -> int:
        text, place = self.text, begun + 2
        while place < len(text) and depth <= _MAX_DEPTH:
            character = text[place]
            if character == "}":
                self.mark(Kind.VARIABLE, begun, place + 1)
                return place + 1
            if character == "\\":
                place += 2
            elif character == "'":
                end = text.find("'", place + 1)
                place = len(text) if end < 0 else end + 1
            elif character == '"':
                place = self._double(place, [], [], depth + 1)
            elif character in "$`":
                place = max(self.expansion(place, depth + 1), place + 1)
            else:
                place += 1
        return self.broken(begun)


def parse(text: str) -> Line:
    """Take a command line apart."""
    parser = _Parser(text)
    parser.commands_until(0, "", 0)
    if parser.documents:
        parser.broken(len(text))
    marks = sorted(parser.marks, key=lambda m: (m.start, -m.end))
    return Line(marks, parser.commands, parser.targets)


def is_assignment(word: Word) -> bool:
    """Tell whether a word before a command's name is `NAME=value`."""
    return _ASSIGNMENT.match(word.value) is not None
