"""Texts that the function's own code holds: an event's value that equals one was foreseen."""

from __future__ import annotations

import itertools
import re
import string
import sys
from collections.abc import Collection, Iterable, Iterator
from opcode import EXTENDED_ARG, opmap
from pathlib import PurePath
from types import CodeType, ModuleType
from typing import Any

from . import class_values
from .identity import identity
from .inlining import PREFIX, SUFFIX

_WORD = re.compile(r"[^\W\d]\w{0,63}")
_PATH = re.compile(r"[^\W\d]\w{0,63}(?:\.[^\W\d]\w{0,63}){0,7}")
_WORDS = re.compile(r"\w+")
_OBJECT = re.compile(r"(?:[^\W\d]\w{0,63}[.:]){1,8}[^\W\d]\w{0,63}")
_OPTIMIZED = 1
"""`CO_OPTIMIZED`: the code of a function, not of a module or class."""
_HAS_DOCSTRING = 0x4000000
"""`CO_HAS_DOCSTRING` of Python 3.14 and later."""
_FIELD = re.compile(
    r"\{\{[^{}\n]{0,256}+\}\}|\{%[^%\n]{0,256}+%\}"
    r"|%(?:\(\w+\))?[a-z]|\{\w*\}|\$\{?\w+\}?|:\w+|\?"
)
"""Where templates have their values, as they are usually written."""
_STEP = re.compile(r"\{\w{0,64}\.(\w{1,64})[:!}]")
"""Fields of `str.format` that look into a value by one name."""
_OPTION = re.compile(r"(?<!\S)-{1,2}[A-Za-z][\w-]{0,40}(?!\S)")
_MIN_STANDING = 4
_LOADERS = frozenset(("__builtins__", "__cached__", "__doc__", "__file__"))
"""Values of a module that its code has not chosen: where it lies is no folder that it names."""
_SET_BY_METHODS = "__static_attributes__"
_OF_CLASS = frozenset(
    [
        *("__annotations__", "__annotations_cache__", "__dataclass_fields__", "__doc__"),
        _SET_BY_METHODS,
    ]
)
"""What a class keeps that is no value of the code's: names of fields are taken by themselves."""
PLAIN_TAGS = frozenset(
    [
        *("b", "i", "u", "s", "em", "strong", "code", "br", "small", "sub", "sup", "mark", "kbd"),
        *("del", "ins", "q", "tt", "var", "samp", "cite", "wbr"),
    ]
)
"""Elements within a line, which without attributes do nothing but look otherwise."""
_OF_NAMES = ("\\w", "a-z", "A-Z", "[^>]", "[^<>]")
"""What a pattern has that finds a name of any letters."""
_MAX_PATTERN = 200
_MAX_ITEMS = 5000
_MAX_CHOICES = 200
_MAX_LISTS = 200
_MAX_COLUMNS = 20
"""Of rows in which names of objects are looked for."""
_FORBIDS = re.compile(
    r"block|den[iy]|forbid|bann?|black|bad|danger|reject|refus|exclu|unsafe|suspicious|disallow"
    r"|malicious|hostile|attack|payload|intern|private|secret|admin|hidden|protect|restrict|no_|not_",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"(?:^|[?&])[\w.\[\]-]{1,64}=(?!=)")
_HOST_BEGUN = re.compile(r"://(?:[^\s/?#]{0,100}[-.])?\Z|://[^\s/?#{%$]{0,100}[{%$]")
_ENDS_STATEMENT = re.compile(r";|--|/\*|#")
_JOINING = frozenset(
    f"{PREFIX}{name}{SUFFIX}"
    for name in ("add", "augment", "batched", "join", "joined", "joined_by")
)
"""What rewritten code calls that puts texts together by a sign of its own."""
_MAX_SIGN = 8
_MAX_DEPTH = 4
_MAX_TEXT = 64 * 1024
"""Characters; what is longer is data, not a text that foresees a value."""


class Constants:
    """Collected from code objects when they are loaded, and from modules once they have run."""

    def __init__(self) -> None:
        """Begin empty."""
        self._texts: set[str] = set()
        self._words: set[str] = set()
        self._documentation: set[str] = set()
        self.numbers: set[str] = set()
        """Whole numbers that the code has written, as texts."""
        self.labelled: set[str] = set()
        """What the keys of a dictionary say, if there is a text for each and none is a plain word:
        `{"guest COLLATE NOCASE": "By guest"}` is what a page offers."""
        self.choices: set[str] = set()
        """Texts that stand beside others of their kind in a list, and are no plain words."""
        self.lists: list[frozenset[str]] = []
        """Lists of plain words alone, or of words with dots between."""
        self.objects: set[str] = set()
        """Dotted names, as `tasks.mail:send`, that stand beside others in lists, or as keys."""
        self.tags: set[str] = set()
        """Names of plain tags of HTML in lists of the code's."""
        self.between: set[str] = set()
        """Signs alone that the code may put between parts of its texts."""
        self._parts: list[str] | None = None
        self._options: set[str] | None = None
        # Told as texts are taken, at import: a call would find it out anew, each time, since its
        # process is set back or ends after it.
        self.forms: list[str] = []
        """The first text that has a parameter of a form, as `&from=`."""
        self.builds_hosts = False
        """Whether the code has the beginning of a URL that ends within its host."""
        self.literals: dict[str, str] = {}
        """The very objects of literals in the code, no docstrings: nothing made them. By the text,
        for `id` raises an audit event each time; of equal ones the first."""
        self._others: dict[int, str] = {}
        """Those that are equal to one of these, by their identity."""

    def add_code(self, code: CodeType) -> None:
        """Take the constants and names of a module's code and of all code in it."""
        todo: list[object] = [code]
        while todo:
            item = todo.pop()
            if isinstance(item, CodeType):
                todo += _own_constants(item)
                self._words.update(name.lower() for name in item.co_names)
                self._add_documentation(item)
                if not _JOINING.isdisjoint(item.co_names):
                    self.between.update(filter(_is_sign, item.co_consts))
                for held in item.co_consts:
                    if type(held) is tuple and None in held:  # what an f-string is made of
                        self.between.update(filter(_is_sign, held))
            elif isinstance(item, (tuple, frozenset)):
                todo += item
            else:
                if type(item) is int:
                    self.numbers.add(str(item))
                elif type(item) is str and self.literals.setdefault(item, item) is not item:
                    self._others[identity(item)] = item
                self.take(item)
        for text in [text for text in self.literals if not self.holds(text)]:
            del self.literals[text]

    def is_literal(self, text: str) -> bool:
        """Tell whether a text is the very object of a literal in the code."""
        known = self.literals.get(text)
        return known is text or (known is not None and identity(text) in self._others)

    def _add_documentation(self, code: CodeType) -> None:
        """What a docstring says is said to people, whatever else it is equal to."""
        texts = [text for text in code.co_consts if isinstance(text, str)]
        if code.co_flags & _OPTIMIZED:
            # A function has it, or None, as its first constant; what is in angle brackets has none.
            named = not code.co_name.startswith("<")
            if named and code.co_consts and isinstance(code.co_consts[0], str):
                newer = sys.version_info >= (3, 14)
                if not newer or code.co_flags & _HAS_DOCSTRING:
                    self._documentation.add(code.co_consts[0])
        elif "__doc__" in code.co_names:
            own = [text for text in texts if text not in (code.co_qualname, code.co_name)]
            self._documentation.update(own[:1])

    def add_module(self, module: ModuleType) -> None:
        """Take the texts among a module's values, which were made before there was an event."""
        for name, value in list(vars(module).items()):
            if name not in _LOADERS:
                if _is_sign(value):
                    self.between.add(value)
                self._walk(value, module.__name__)
                self._take_list(name, value)
                if type(value) is type and value.__module__ == module.__name__:
                    for field, held in list(vars(value).items()):
                        if not field.startswith("__"):  # what the interpreter keeps there
                            self._take_list(field, held)

    def _take_list(self, name: str, value: object) -> None:
        """Take the texts of a list of choices: more than one, none of which is a plain word.

        Of a list whose name says that it forbids or hides what is in it they are none.
        """
        kind = type(value)
        if _FORBIDS.search(name) is not None:
            return
        if kind is dict:
            self._take_objects([*value])  # type: ignore[misc]
            self._take_tags([*value])  # type: ignore[misc]
            self._take_words([*value])  # type: ignore[misc]
            self._take_labelled(value)  # type: ignore[arg-type]
            value = list(value.values())  # type: ignore[attr-defined]
        elif kind not in (list, tuple, set, frozenset):
            return
        texts: list[Any] = list(value)[: _MAX_CHOICES + 1]  # type: ignore[call-overload]
        if not 1 < len(texts) <= _MAX_CHOICES:
            return
        self._take_objects(texts)
        self._take_tags(texts)
        if all(type(text) is str for text in texts):
            self.choices.update(text for text in texts if not _WORD.fullmatch(text))
        self._take_words(texts)

    def _take_labelled(self, given: dict[Any, Any]) -> None:
        """Take the keys of a dictionary that is for people to choose from."""
        pairs = list(itertools.islice(given.items(), _MAX_CHOICES + 1))
        texts = all(type(key) is type(value) is str for key, value in pairs)
        if texts and 1 < len(pairs) <= _MAX_CHOICES:
            keys = [key for key, _ in pairs if not _WORD.fullmatch(key)]
            self.labelled.update(key for key in keys if not _ENDS_STATEMENT.search(key))

    def _take_objects(self, listed: list[Any]) -> None:
        """Take dotted names out of a list of nothing else, or of rows that have each one."""
        self._take_columns([one for one in listed if type(one) is dict], len(listed))
        rows = [list(one.values()) if type(one) is dict else one for one in listed]
        if all(type(one) in (list, tuple) for one in rows):
            found = [t for row in rows for t in row if type(t) is str and _OBJECT.fullmatch(t)]
            named = found if len(found) == len(rows) else []
        else:
            named = listed if all(type(t) is str and _OBJECT.fullmatch(t) for t in listed) else []
        if 1 < len(named) <= _MAX_CHOICES:
            self.objects.update(named)

    def _take_tags(self, listed: list[Any]) -> None:
        """Take the names of plain tags out of a list that has more than one."""
        found = {one for one in listed if type(one) is str and one in PLAIN_TAGS}
        if len(found) > 1 and len(listed) <= _MAX_CHOICES:
            self.tags |= found

    def _take_words(self, listed: list[Any]) -> None:
        """Take a list that has words alone, more than one, some with dots between."""
        if not 1 < len(listed) <= _MAX_CHOICES or len(self.lists) >= _MAX_LISTS:
            return
        if all(type(one) is str and _PATH.fullmatch(one) for one in listed):
            self.lists.append(frozenset(listed))

    def _take_columns(self, rows: list[dict[Any, Any]], expected: int) -> None:
        """Take a column of rows in which all are names of objects, some of a module alone.

        `{"run": "text_case:upper"}` beside `{"run": "text_count"}`: the code has a name for what
        is called there.
        """
        if not 1 < len(rows) == expected <= _MAX_CHOICES:
            return
        for key in list(rows[0])[:_MAX_COLUMNS]:
            named: list[Any] = [row.get(key) for row in rows]
            texts = all(type(text) is str for text in named)
            self._take_words(named if not _FORBIDS.search(str(key)) else [])
            offered = texts and any(":" in t for t in named) and not _FORBIDS.search(str(key))
            if offered and all(_OBJECT.fullmatch(t) or _WORD.fullmatch(t) for t in named):
                self.objects.update(named)

    def _walk(self, value: object, module: str) -> None:
        todo: list[tuple[Any, int]] = [(value, 0)]
        for _ in range(_MAX_ITEMS):
            if not todo:
                return
            item, depth = todo.pop()
            if depth > _MAX_DEPTH:
                continue
            # By its type: `isinstance` asks the object, too, and one such as the settings of Django
            # that nobody has configured raises then.
            kind = type(item)
            if issubclass(kind, dict):
                todo += [(part, depth + 1) for part in (*item.keys(), *item.values())]
            elif issubclass(kind, (list, tuple, set, frozenset)):
                todo += [(part, depth + 1) for part in item]
            elif issubclass(kind, string.Template):
                todo.append((item.template, depth + 1))
            elif issubclass(kind, type) and item.__module__ == module:
                # The values of an enum are attributes of its members.
                todo += [(v, depth + 1) for k, v in vars(item).items() if k not in _OF_CLASS]
                todo.append((class_values.fields(item), depth + 1))
                members = vars(item).get("_value2member_map_")
                todo.append((members, depth + 1))
            else:
                self._take_made(item)

    def _take_made(self, item: Any) -> None:
        """Take a module's value, but no single sign: the code writes those that it uses.

        `from ldap3 import ALL_ATTRIBUTES` does not foresee that an event has `*` in a filter.
        """
        sign = issubclass(type(item), (bytes, str)) and len(item) == 1 and not item.isalnum()
        if not sign:
            self.take(item)

    def take(self, item: Any) -> None:
        """Take one value, if it is a text."""
        kind = type(item)
        if not issubclass(kind, (bytes, str, PurePath)):
            return
        if isinstance(item, PurePath):
            item = str(item)
        if len(item) > _MAX_TEXT:
            return
        if isinstance(item, bytes):
            item = item.decode("latin-1")
        if isinstance(item, str) and item:
            if item not in self._texts:
                self._texts.add(item)
                self._note_beginnings(item)
            self._parts = self._options = None
            if _WORD.fullmatch(item):
                self._words.add(item.lower())

    def _note_beginnings(self, text: str) -> None:
        if "=" in text and not self.forms and _PARAMETER.search(text) is not None:
            self.forms.append(text)
        if "://" in text and not self.builds_hosts:
            self.builds_hosts = _HOST_BEGUN.search(text) is not None

    @property
    def texts(self) -> Collection[str]:
        """Every text that the code holds."""
        return self._texts - self._documentation

    def builds_forms(self, *, by_hand: bool) -> bool:
        """Tell whether the code has a part of a form, as `&from=`: then it may put one together.

        Or, unless it takes forms apart `by_hand`, where it has that as well, `=` alone.
        """
        return bool(self.forms) or (not by_hand and "=" in self._texts)

    def holds(self, text: str) -> bool:
        """Tell whether the code holds this very text."""
        return text in self._texts and text not in self._documentation

    def standing_in(self, text: str) -> list[tuple[int, int]]:
        """Return where in a text others stand that the code holds, or parts of its templates."""
        if self._parts is None:
            parts = {part for known in self.texts for part in _FIELD.split(known)}
            self._parts = [part for part in parts if len(part) > _MIN_STANDING]
        found: list[tuple[int, int]] = []
        for part in self._parts:
            start = text.find(part)
            while start >= 0:
                found.append((start, start + len(part)))
                start = text.find(part, start + len(part))
        return found

    def plain_tags(self) -> frozenset[str]:
        """Return the tags that the code lets pass on a page: a pattern of its looks for any tag."""
        if not self.tags or not any(map(_looks_for_tags, self.texts)):
            return frozenset()
        return frozenset(self.tags)

    def has_option(self, word: str) -> bool:
        """Tell whether an option of a program, as `-type`, stands in a text of the code."""
        if self._options is None:
            self._options = {found for text in self.texts for found in _OPTION.findall(text)}
        return word in self._options

    def tells_of(self, name: str) -> bool:
        """Tell whether a name is a word of any text in the code, of what it says to people, too."""
        return any(name in t and name in _WORDS.findall(t) for t in self._texts)

    def shows(self, name: str) -> bool:
        """Tell whether a text of the code, also of what it says to people, has a field `{x.name}`.

        So it offers the field to those who write such texts.
        """
        return any(name in text and name in _STEP.findall(text) for text in self._texts)

    def shows_field(self, field: str) -> bool:
        """Tell whether a text of the code has this very field: `{staff.pay}`, `{staff.pay:.2f}`."""
        begun = "{" + field
        return any(begun + end in text for text in self._texts for end in "}:!")

    def holds_word(self, text: str) -> bool:
        """Tell whether a text is a single word that the code holds, in whatever case."""
        return text.lower() in self._words

    def words_among(self, texts: Iterable[str]) -> frozenset[str]:
        """Return those of many texts in lower case that are such words."""
        return frozenset(self._words.intersection(texts))

    def holds_any(self, words: frozenset[str]) -> bool:
        """Tell the same of any of several words that are in lower case."""
        return not words.isdisjoint(self._words)


def _own_constants(code: CodeType) -> Iterator[object]:
    """Yield the constants of code, but for the names that a class gives an annotation and a value.

    They are no texts of the code's yet: which of them are fields is seen once there is the class.
    Python 3.14 has them in a function of their own, which makes the annotations (PEP 649).
    """
    is_class = not code.co_flags & _OPTIMIZED and "__qualname__" in code.co_names
    set_by_methods = _set_by_methods(code) if is_class else None
    with_values = frozenset(code.co_names) if is_class else frozenset[str]()
    annotated = with_values if "__annotations__" in code.co_names else frozenset[str]()
    for constant in code.co_consts:
        if is_class and isinstance(constant, CodeType) and constant.co_name == "__annotate__":
            yield from (c for c in constant.co_consts if type(c) is not str or c not in with_values)
        elif constant is not set_by_methods and (
            type(constant) is not str or constant not in annotated
        ):
            yield constant


def _set_by_methods(code: CodeType) -> object:
    """Return the tuple in which a class keeps what its methods set; None without one.

    Python 3.13 and later write it at the end of a class. None of it is offered.
    """
    if _SET_BY_METHODS not in code.co_names:
        return None
    place = code.co_names.index(_SET_BY_METHODS)
    operations = code.co_code
    loaded = higher = 0
    for at in range(0, len(operations), 2):
        operation, argument = operations[at], operations[at + 1] | higher
        if operation == opmap["STORE_NAME"] and argument == place:
            return code.co_consts[loaded]
        if operation == opmap["LOAD_CONST"]:
            loaded = argument
        higher = argument << 8 if operation == EXTENDED_ARG else 0
    return None


def _is_sign(value: object) -> bool:
    """Tell whether a value is a text of a few signs, with no letter or digit."""
    return type(value) is str and 0 < len(value) <= _MAX_SIGN and not any(map(str.isalnum, value))


def _looks_for_tags(text: str) -> bool:
    """Tell whether a text is a pattern that finds tags of any name: `</?([a-z]+)[^>]*>`."""
    if len(text) > _MAX_PATTERN or not text.lstrip("(").startswith("<") or ">" not in text:
        return False
    return ("+" in text or "*" in text) and any(mark in text for mark in _OF_NAMES)
