"""The forms of the sources' texts, and what they are searched by: made when a sink needs them."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from .batches import (
    WRITTEN_OTHERWISE,
    Sorted,
    all_coded,
    all_lowered,
    base64_of,
    coded_alone,
    lowered,
    plain_of,
    plainly_decoded,
    requoted,
    sort_out,
    written_alone,
    written_otherwise,
)
from .binary import is_binary, schema_in, texts_in
from .budget import (
    ALONE_COST,
    CODED_COST,
    DOUBLE_COST,
    EASY_COST,
    ESCAPE_COST,
    FORM_COST,
    NORMAL_COST,
    QUOTED_COST,
    TEXT_COST,
    ExhaustedError,
)
from .decoded_together import MAX_TOGETHER, Made, apart_of
from .decoding import (
    NORMAL_FORMS,
    bytes_forms,
    growth,
    has_hex,
    has_no_character,
    hex_forms,
    is_hex,
)
from .forms import Forms
from .fragments import Fragments
from .known import MAX_CHARACTERS, MAX_DEPTH, MAX_TEXTS, MIN_SEARCHED, Known, Node, uncollected
from .needles import Needles
from .unwritten import Unwritten

_MIN_NUMBER = 5
LARGE = 4096
"""Characters of a text that is prepared for a search only when a text as long is searched."""
QUOTES = "'\"`"
_LETTERS = "A-Za-z0-9_.,:@/-"  # spelled out: sets with classes in them take twice the time
_PLAIN = re.compile(
    rf"[{_LETTERS}]{{1,7}}+|(?!(?i:bearer) )[{_LETTERS}]++ (?:[ {_LETTERS}]*[{_LETTERS}])?"
)
"""A text that no application writes in another way, and in which nothing can be encoded."""
_ANY_PLAIN = re.compile(rf"\0({_PLAIN.pattern})(?=\0)")
_TURNED = re.compile(r"[-;<>|'\"`]|\.\.|^[B(]")
"""What an easy text has that is decoded in a seldom way, or turned round."""
_JSON = frozenset(("JSON", "JSON lines"))
_CONTAINERS = (dict, list)
_BATCH = 1024
_BATCH_CHARACTERS = 64 * 1024
"""Texts, and characters of them, whose cost is taken from the budget at once."""
_TURNED_AT_ONCE = 256
_SORTED_AT_ONCE = 4096
"""Texts that are sorted by what they need before any of them is paid for."""


class DecodedTexts(Known):
    """Index of values and their forms."""

    def __init__(
        self,
        is_code: Callable[[str], bool],
        words_among: Callable[[Iterable[str]], Collection[str]] | None = None,
    ) -> None:
        """`is_code` tells whether a text is a word that the function's own code holds.

        `words_among` tells which of many texts in lower case are.
        """
        super().__init__()
        self._is_code = is_code
        self._words_among = words_among or (lambda texts: set(filter(is_code, texts)))
        self._needles = Needles()
        self._fragments = Fragments()
        self._unwritten = Unwritten()
        self._large: list[str] = []
        self._joined: str | None = None
        self._sizes: list[int] | None = None
        self._forms = Forms()
        self._documents: set[str] = set()
        """What was made of JSON as a whole."""
        self._schemas: set[str] = set()
        """What tells of the tables of a database that came as a file."""

    def _decode(self) -> None:
        """Know their forms as well, and what to search for. Costs far more: only when needed."""
        self._index()
        if not any(self._undecoded) and not self._numbers and not self._unread:
            return
        with self._turn, uncollected():
            self._joined = self._sizes = None
            self._take_numbers()
            try:
                for depth, texts in enumerate(self._undecoded):
                    while self._unread:
                        self._read(*self._unread.pop(0))
                    # Forms of these texts are one deeper, so this list does not grow meanwhile.
                    self._characters += sum(map(len, texts))
                    alike = all_coded(texts)
                    plain = [] if alike else _plain_among(texts)
                    other = texts[:]
                    if len(plain) == len(texts):
                        other = []
                    elif plain:
                        done = set(plain)
                        other = [text for text in texts if text not in done]
                    if plain:
                        self._plain(plain)
                    self._signed(other, depth, coded_alone if alike else sort_out)
                    texts.clear()
            except ExhaustedError:
                # From here on, a text of which nothing is found is taken as the event's: see
                # `_leaf`.
                for texts in self._undecoded:
                    texts.clear()
                self._unread.clear()
                self.overflown = True

    def _plain(self, texts: list[str]) -> None:
        """Most texts of an event are names, dates and sentences: nothing is encoded in them."""
        short = min(map(len, texts), default=0) < MIN_SEARCHED
        # The list that is given is emptied afterwards.
        self._find_words([t for t in texts if len(t) >= MIN_SEARCHED] if short else texts[:])

    def _find_words(self, texts: list[str]) -> None:
        """Have texts of ASCII found that are no words of the code's."""
        lower = all_lowered(texts)
        own = self._words_among(lower)
        if own:
            texts = [text for text, low in zip(texts, lower, strict=True) if low not in own]
            lower = [low for low in lower if low not in own]
        self._needles.add_all(lower, texts)

    def _signed(
        self, texts: list[str], depth: int, sort: Callable[[list[str]], Sorted] = sort_out
    ) -> None:
        """Prepare texts with signs for searches, and take in what they may be decoded to."""
        # Some at a time: of too many the last are not even looked at.
        for start in range(0, len(texts), _SORTED_AT_ONCE):
            self._some_signed(sort(texts[start : start + _SORTED_AT_ONCE]), depth)

    def _some_signed(self, texts: Sorted, depth: int) -> None:
        words, coded, easy, quoted, hard = texts
        self._find_words(words)
        whole = [text for text in easy if len(text) >= MIN_SEARCHED]
        for batch in _batches([*whole, *[text for text in coded if text[-1] == "="]]):
            self._budget.spend(sum(map(len, batch)) + EASY_COST * len(batch))
            lower = all_lowered(batch)
            self._needles.add_all(lower, batch)
            self._fragments.add_all(lower, batch)
        for batch in _batches(quoted):
            self._quoted(batch)
        if depth < MAX_DEPTH:
            self._seldom_forms([*easy, *quoted], depth)
            self._coded(coded, depth)
            done = set(coded)
            alone = []
            for batch in _batches([text for text in words if text not in done]):
                together = [text for text in batch if len(text) < MAX_TOGETHER]
                alone += [text for text in batch if len(text) >= MAX_TOGETHER]
                self._take_all_forms(self._forms.of_all(together, self._budget.spend, 0), depth)
            for text in alone:
                self._take_forms(text, self._forms.of(text), depth)
        alone = []
        for batch in _batches(hard):
            together, others = apart_of(batch)
            alone += others
            if together:
                self._hard(together, depth)
        for text in alone:
            self._hard_alone(text, depth)

    def _hard(self, texts: list[str], depth: int) -> None:
        """Prepare texts with escapes, brackets of JSON, or characters beyond ASCII."""
        joined = "\0".join(texts)
        self._budget.spend(TEXT_COST * len(texts) + _cost_of_signs(joined))
        self._budget.spend(NORMAL_COST * growth(joined))
        has_quotes = "'" in joined or '"' in joined or "`" in joined
        if has_quotes and not joined.isascii():
            other = itertools.filterfalse(str.isascii, texts)
            both = [t for t in other if "'" in t or '"' in t or "`" in t]
            self._budget.spend(QUOTED_COST * len(both))
        made: Made = {}
        if depth < MAX_DEPTH:
            made = self._forms.of_all(texts, self._budget.spend, NORMAL_COST)
        lower = all_lowered(texts)
        quoted = _only_quoted(texts) if has_quotes else []
        lower_of = dict(zip(texts, lower, strict=True)) if quoted else {}
        if quoted:
            done = set(quoted)
            others = [text for text in texts if text not in done]
            self._requoted(quoted, [lower_of[text] for text in quoted])
            self._search_for_all(others, [lower_of[text] for text in others])
        else:
            self._search_for_all(texts, lower)
        documents = self._documents_among(texts, made) if self._documents or made else ()
        if documents:
            lower_of = lower_of or dict(zip(texts, lower, strict=True))
            pieces = [text for text in texts if text not in documents]
            self._fragments.add_all([lower_of[text] for text in pieces], pieces)
        else:
            self._fragments.add_all(lower, texts)
        self._take_all_forms(made, depth)

    def _hard_alone(self, text: str, depth: int) -> None:
        """Do the same with a text that is not handled together with others."""
        self._budget.spend(ALONE_COST + _cost_of_signs(text) + NORMAL_COST * growth(text))
        if not text.isascii() and has_no_character(text):
            self._budget.spend(NORMAL_COST * len(text))
        forms = list(self._forms_of(text)) if depth < MAX_DEPTH else []
        if len(text) < LARGE:
            self._search_for(text)
            if not self._is_document(text, forms):
                self._fragments.add(lowered(text), text)
        else:
            self._large.append(text)
        self._take_forms(text, forms, depth)

    def _forms_of(self, text: str) -> Iterator[tuple[str, object]]:
        """Yield the forms of a hard text; of normal ones, the next when one is paid for."""
        for how, form in self._forms.of(text):
            if how in NORMAL_FORMS and type(form) is str:
                self._budget.spend(NORMAL_COST * len(form))
            yield how, form

    def _is_document(self, text: str, forms: Iterable[tuple[str, object]]) -> bool:
        """Tell whether a text is JSON, or was made of some by undoing all of its escapes, say.

        The quotes and brackets of JSON are signs of no value: each of these is a text of its own.
        """
        is_json = any(how in _JSON and type(form) in _CONTAINERS for how, form in forms)
        if not is_json and text not in self._documents:
            return False
        self._documents.update(form for _, form in forms if type(form) is str)
        return True

    def _documents_among(self, texts: list[str], made: Made) -> set[str]:
        """Return those of many texts that `_is_document` says yes of, one after the other."""
        known, found = self._documents, set[str]()
        json = {
            text
            for text, forms in made.items()
            for how, form in forms
            if how in _JSON and type(form) in _CONTAINERS
        }
        if not (json or known):
            return found
        for text in texts:
            if text in json or text in known:
                found.add(text)
                known.update(form for _, form in made.get(text, ()) if type(form) is str)
        return found

    def _quoted(self, texts: list[str]) -> None:
        """Have texts with quotes found as they are, with these escaped or doubled, or without."""
        double = [text for text in texts if '"' in text]
        cost = QUOTED_COST * len(texts) + DOUBLE_COST * len(double)
        self._budget.spend(sum(map(len, texts)) + cost)
        lower = all_lowered(texts)
        if self._documents:
            both = [
                (low, text)
                for low, text in zip(lower, texts, strict=True)
                if text not in self._documents
            ]
            self._fragments.add_all([low for low, _ in both], [text for _, text in both])
        else:
            self._fragments.add_all(lower, texts)
        self._requoted(texts, lower)

    def _requoted(self, texts: list[str], lower: list[str]) -> None:
        """Have texts with quotes found in all ways to write these, and without what is around."""
        # None is a word of the code: that has no quotes.
        self._find_as(lower, texts)
        quotes = itertools.repeat(QUOTES)
        bare = map(str.strip, texts, quotes), map(str.strip, lower, quotes), texts
        self._find_bare([one for one in zip(*bare, strict=True) if one[0] is not one[2]])
        self._unwritten.add(texts, requoted)

    def _write_for(self, inside: str, lower: str) -> None:
        """Have texts found as code may have written them, if they may be so in a text.

        `lower` is this in lower case.
        """
        if not any(sign in inside for sign in WRITTEN_OTHERWISE):
            return
        with self._turn, uncollected():
            for texts, write in self._unwritten.take(inside, lower):
                short = min(map(len, texts), default=0) < MIN_SEARCHED
                for forms, written in write(texts):
                    if short:
                        self._find_as(all_lowered(forms), written)
                    else:
                        self._needles.add_all(all_lowered(forms), written)

    def _is_searched(self, text: str) -> bool:
        return len(text) >= MIN_SEARCHED and not self._is_code(text)

    def _take_forms(self, text: str, forms: Iterable[tuple[str, object]], depth: int) -> None:
        for how, form in forms:
            self._budget.spend(FORM_COST)
            if type(form) is str:
                if form and form not in self._texts:
                    self._new(form, (None, (text, how), None), depth + 1)
                continue
            self._walk(form, (None, (text, how), None), depth + 1)

    def _take_all_forms(self, made: Made, depth: int) -> None:
        known = self._texts
        for text, forms in made.items():
            for how, form in forms:
                # As `Budget.spend`, which takes longer to call than most of these take.
                self._budget.left -= FORM_COST
                if self._budget.left < 0:
                    raise ExhaustedError
                if type(form) is not str:
                    self._walk(form, (None, (text, how), None), depth + 1)
                elif form and form not in known:
                    self._new(form, (None, (text, how), None), depth + 1)

    def _seldom_forms(self, texts: list[str], depth: int) -> None:
        """Of easy texts, these few forms are the only ones, as long as they are looked for."""
        for start in range(0, len(texts), _TURNED_AT_ONCE):
            if not self._forms.turns:
                return
            some = [t for t in texts[start : start + _TURNED_AT_ONCE] if _TURNED.search(t)]
            self._take_all_forms(self._forms.seldom(some), depth)

    def _coded(self, texts: list[str], depth: int) -> None:
        """Take in what base64 looks like: thousands of short ones are decoded together."""
        forms = plainly_decoded(texts)
        data = base64_of(texts) if forms is None else {}
        held = dict(zip(texts, forms, strict=True)) if forms is not None else {}
        for batch in _batches(texts):
            self._budget.spend(CODED_COST * len(batch))
            plain, others = plain_of(batch, data) if forms is None else ({}, ())
            plain = plain or {text: held[text] for text in batch if text in held}
            self._take_plain(plain, "base64", depth + 1)
            for text in others:
                self._take_forms(text, bytes_forms(data[text], "base64"), depth)
            self._take_all_forms(self._forms.seldom(self._forms.likely(batch)), depth)
            if has_hex("\0".join(["", *batch, ""])):
                for text in filter(is_hex, batch):
                    self._take_forms(text, hex_forms(text), depth)

    def _take_plain(self, forms: dict[str, str], how: str, depth: int) -> None:
        """Take what texts were decoded to, by the text."""
        known, new = self._texts, self._undecoded[depth]
        sources = dict(zip(forms.values(), forms, strict=True))
        fresh: dict[str, Node] = dict.fromkeys(sources, (None, (sources, how), None))
        for form in known.keys() & fresh.keys():
            del fresh[form]
        self._characters += sum(map(len, fresh))
        if self._characters > MAX_CHARACTERS or len(known) + len(fresh) > MAX_TEXTS:
            self.overflown = True
            return
        known.update(fresh)
        new += fresh

    def _read(self, data: bytes, node: Node, depth: int) -> None:
        """Know the texts in bytes."""
        if is_binary(data):
            texts = [text for text in texts_in(data) if text not in self._texts]
            self._schemas.update(schema_in(data, texts))
            for text in texts:
                self._new(text, node, MAX_DEPTH)
        elif data and (text := data.decode()) not in self._texts:
            self._new(text, node, depth)

    def _take_numbers(self) -> None:
        numbers, self._numbers = self._numbers, {}
        texts = dict(zip(map(repr, numbers), numbers.values(), strict=False))
        self._texts = texts | self._texts
        long = [text for text in texts if len(text) >= _MIN_NUMBER]
        self._needles.add_all(long, long)

    def _search_for_all(self, texts: list[str], lower: list[str]) -> None:
        """Do as `_search_for` with many that have no null characters; `lower` has them so."""
        if not texts:
            return
        # A word of the code has no sign, and is no hard text if it is one of ASCII.
        self._find_but_words(lower, texts)
        bare = list(map(str.strip, texts))
        both = zip(bare, lower, texts, strict=True)
        pairs = [(b, low.strip(), t) for b, low, t in both if len(b) != len(t)]
        both = zip(bare, lower, texts, strict=True)
        pairs += [
            (b.strip(QUOTES), low.strip().strip(QUOTES), t)
            for b, low, t in both
            if "'" in t or '"' in t or "`" in t
        ]
        self._find_bare(pairs)
        self._unwritten.add(texts, written_otherwise)

    def _find_but_words(self, lower: list[str], texts: list[str]) -> None:
        """Have texts found where these forms of them are, but for those that are words."""
        own = set[str]()
        if not all(map(str.isascii, texts)):
            own.update(low for low in self._words_among(lower) if not low.isascii())
        if own:
            texts = [text for text, low in zip(texts, lower, strict=True) if low not in own]
            lower = [low for low in lower if low not in own]
        self._find_as(lower, texts)

    def _find_bare(self, known_as: list[tuple[str, str, str]]) -> None:
        """Know texts without what is around them, in lower case too, and have them found."""
        known = self._texts
        # One character has no identity: it is known by what it says.
        known.update({bare: known[t] for bare, _, t in reversed(known_as) if bare not in known})
        # A word of the code is a name, which takes less to see.
        named = [low for bare, low, _ in known_as if bare.isidentifier() or not bare.isascii()]
        own = self._words_among(named) if named else ()
        if own:
            known_as = [one for one in known_as if one[1] not in own]
        self._find_as([low for _, low, _ in known_as], [text for _, _, text in known_as])

    def _find_as(self, forms: list[str], texts: Sequence[str]) -> None:
        """Have texts found where these forms of them are, in lower case."""
        if min(map(len, forms), default=MIN_SEARCHED) < MIN_SEARCHED:
            pairs = [p for p in zip(forms, texts, strict=True) if len(p[0]) >= MIN_SEARCHED]
            forms, texts = [form for form, _ in pairs], [text for _, text in pairs]
        self._needles.add_all(forms, texts)

    def _search_for(self, text: str) -> None:
        """Have a text found in others, also trimmed, without its quotes, or with them escaped."""
        forms = [text]
        stripped = text.strip()
        if len(stripped) != len(text):
            forms.append(stripped)
            self._texts.setdefault(stripped, self._texts[text])  # one character has no identity
        if "'" in text or '"' in text or "`" in text:
            forms.append(stripped.strip(QUOTES))
            self._texts.setdefault(forms[-1], self._texts[text])
        # Quotes are written alike in many ways: most of these forms are equal.
        for form in dict.fromkeys(forms):
            if self._is_searched(form):
                self._needles.add(form.lower() if form.isascii() else lowered(form), text)
        self._unwritten.add([text], written_alone)


def _plain_among(texts: list[str]) -> list[str]:
    """Return the texts, of different ones, that `_PLAIN` knows."""
    if len(max(texts, key=len, default="")) < LARGE:  # of long ones no copy is made
        joined = "\0".join(["", *texts, ""])
        if joined.count("\0") == len(texts) + 1:
            found: list[str] = _ANY_PLAIN.findall(joined)
            return found
    return list(filter(_PLAIN.fullmatch, texts))


def _only_quoted(texts: list[str]) -> list[str]:
    """Return the texts that have, of all that is written in other ways, quotes alone."""
    return [
        text
        for text in filter(str.isprintable, filter(str.isascii, texts))
        if ("'" in text or '"' in text or "`" in text)
        and "\\" not in text
        and not (text[0] == " " or text[-1] == " ")
    ]


def _cost_of_signs(text: str) -> int:
    """Return what the characters of a text cost, with what may be an escape in it."""
    return len(text) + ESCAPE_COST * (text.count("%") + text.count("&") + text.count("\\"))


def _batches(texts: list[str]) -> Iterator[list[str]]:
    """Yield texts by the thousand, fewer if they are long."""
    ends = list(itertools.accumulate(map(len, texts)))
    start = taken = 0
    while start < len(texts):
        end = min(bisect.bisect_right(ends, taken + _BATCH_CHARACTERS), start + _BATCH)
        end = max(end, start + 1)
        yield texts[start:end]
        start, taken = end, ends[end - 1]
