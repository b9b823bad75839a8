"""Names that resemble those of popular packages, and so may have been made to be mistaken.

A name that is popular itself resembles nothing. Any other is compared, by three measures:

- *looks alike*: letters of other scripts, digits for letters (`0` and `o`, `1` and `l`), `rn` for
  `m`, and separators that come and go;
- *one slip*: one letter more, less, another, or two in the other order;
- *same words*: `python-` or `py-` before, `-python`, `-py`, `-lib` or `-sdk` behind, or the words
  in another order.

What it says is a suspicion: it is refused until somebody looks, and records that.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from packaging.utils import canonicalize_name

POPULAR_FILE = "popular.txt"
_MAX_NAME = 100
_SHORTEST = 5
"""Names shorter than this are one slip away from each other all the time."""
_LOOKS = str.maketrans({"0": "o", "1": "l", "i": "l", "3": "e", "5": "s", "8": "b"})
_PAIRS = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_HOMOGLYPHS = str.maketrans(
    dict(
        zip(
            "авеіјкмнорстухѕԁԛԝɡαβεικνορτυχℓ",
            "abeijkmhopctyxsdqwgabeiknoptuxl",
            strict=True,
        )
    )
)
_BEFORE = ("python-", "py-")
_BEHIND = ("-python", "-py", "-lib", "-sdk")


class PopularNames:
    """The popular names, ready to be compared with."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take names, the most popular first."""
        self.names = {str(canonicalize_name(name)): rank for rank, name in enumerate(names)}
        self._looks: dict[str, str] = {}
        self._slips: dict[str, list[str]] = {}
        self._words: dict[tuple[str, ...], str] = {}
        for name in self.names:
            self._looks.setdefault(_look(name), name)
            words = tuple(sorted(name.split("-")))
            if len(words) > 1:
                self._words.setdefault(words, name)
            if len(name) >= _SHORTEST:
                for shorter in _shortened(name):
                    self._slips.setdefault(shorter, []).append(name)

    def resembled(self, name: str) -> str | None:
        """Return the popular name that `name` resembles; None for a popular one."""
        if not name.isascii():
            plain = unicodedata.normalize("NFKC", name).casefold().translate(_HOMOGLYPHS)
            plain = "".join(c for c in unicodedata.normalize("NFKD", plain) if c.isascii())
            own = str(canonicalize_name(plain))
            return own if own in self.names else self.resembled(own)
        own = str(canonicalize_name(name))
        if own in self.names or len(own) > _MAX_NAME:
            return None
        found = [
            self._looks.get(_look(own)),
            self._words.get(tuple(sorted(own.split("-")))),
            self._slipped(own),
            *(each if each in self.names else None for each in _bare(own)),
        ]
        return min((one for one in found if one), key=self.names.__getitem__, default=None)

    def _slipped(self, own: str) -> str | None:
        close = {
            name
            for shorter in _shortened(own)
            for name in self._slips.get(shorter, ())
            if _one_slip(own, name)
        }
        return min(close, key=self.names.__getitem__, default=None)


@cache
def popular_names() -> PopularNames:
    """Return the names that come with Casemate."""
    text = Path(__file__).with_name(POPULAR_FILE).read_text(encoding="utf-8")
    return PopularNames(line for line in text.splitlines() if line and not line.startswith("#"))


def _look(name: str) -> str:
    """Return what a name looks like: equal for names that are easily taken for each other."""
    text = name.replace("-", "").translate(_LOOKS)
    for pair, single in _PAIRS:
        text = text.replace(pair, single)
    return text


def _shortened(name: str) -> Iterator[str]:
    """Yield a name, and the same without one of its characters."""
    yield name
    for place in range(len(name)):
        yield name[:place] + name[place + 1 :]


def _bare(name: str) -> Iterator[str]:
    """Yield a name without the words that are put to any name."""
    for word in _BEFORE:
        yield name.removeprefix(word) if name.startswith(word) else ""
    for word in _BEHIND:
        yield name.removesuffix(word) if name.endswith(word) else ""


def _short_word(one: str, other: str) -> bool:
    """Tell whether two names of several words differ in a short one only, as families do."""
    words = one.split("-"), other.split("-")
    if len(words[0]) < 2 or len(words[0]) != len(words[1]):
        return False
    unlike = [pair for pair in zip(*words, strict=True) if pair[0] != pair[1]]
    return len(unlike) == 1 and max(map(len, unlike[0])) < _SHORTEST


def _one_slip(one: str, other: str) -> bool:
    """Tell whether one edit, or the exchange of two neighbours, makes one name the other.

    Not counted is a digit for another: `black24` and `black25` are meant to be two names.
    """
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1 or len(short) < _SHORTEST - 1 or _short_word(one, other):
        return False
    place = 0
    while place < len(short) and short[place] == long[place]:
        place += 1
    rest, longer = short[place:], long[place:]
    if len(short) < len(long):
        return rest == longer[1:]
    if rest[1:] == longer[1:]:
        return bool(rest) and not (rest[0].isdigit() and longer[0].isdigit())
    return rest[:2] == longer[1::-1] and rest[2:] == longer[2:]
