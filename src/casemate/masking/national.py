"""Numbers of persons in a country, for functions whose manifest names them.

Each has the digits or letters that its country checks it with; `us-ssn` and `uk-nino` have none,
and are known by their groups and by what was never issued.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from casemate.masking.personal import luhn
from casemate.masking.shapes import Found

_NO = r"(?![A-Za-z0-9])(?![.,-][0-9])"
_BETWEEN = re.compile(r"[ .+-]")
_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_FISCAL_ODD = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (
            *(1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21),
            *(2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        ),
        strict=True,
    )
)


def _weighed(digits: str, weights: tuple[int, ...]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _cpf(found: str) -> bool:
    if len(set(found)) == 1:
        return False
    for size in (9, 10):
        check = _weighed(found, tuple(range(size + 1, 1, -1))) * 10 % 11 % 10
        if check != int(found[size]):
            return False
    return True


def _tax_id(found: str) -> bool:
    product = 10
    for digit in found[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(found[10])


def _dni(found: str) -> bool:
    number = found[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return _DNI_LETTERS[int(number) % 23] == found[-1]


def _nir(found: str) -> bool:
    number = int(found[:13].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(found[13:])


def _fiscal_code(found: str) -> bool:
    odd = sum(_FISCAL_ODD[char] for char in found[0:15:2])
    even = sum(int(char) if char.isdigit() else ord(char) - 65 for char in found[1:15:2])
    return chr((odd + even) % 26 + 65) == found[15]


def _bsn(found: str) -> bool:
    return int(found) > 0 and _weighed(found, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def _pesel(found: str) -> bool:
    return _weighed(found, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _personnummer(found: str) -> bool:
    return luhn(found[-10:])


def _any(_: str) -> bool:
    return True


class Number(NamedTuple):
    """The numbers of one country."""

    kind: str
    pattern: re.Pattern[str]
    right: Callable[[str], bool]
    """Told of the number without what stands between its groups."""

    def find(self, text: str) -> Iterator[Found]:
        """Yield every one that is right."""
        for match in self.pattern.finditer(text):
            start = match.start()
            before = text[max(0, start - 2) : start]
            if before[-1:].isascii() and before[-1:].isalnum():
                continue
            if len(before) == 2 and before[0].isdigit() and before[1] in ".,-":
                continue
            if self.right(_BETWEEN.sub("", match[0])):
                yield Found(start, match.end(), self.kind)


NUMBERS = (
    Number("br-cpf", re.compile(r"[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}" + _NO), _cpf),
    Number("de-tax-id", re.compile(r"[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}" + _NO), _tax_id),
    Number("es-dni", re.compile(r"[0-9XYZ][0-9]{7}-?[A-Z]" + _NO), _dni),
    Number(
        "fr-nir",
        re.compile(
            r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}" + _NO
        ),
        _nir,
    ),
    Number(
        "it-fiscal-code",
        re.compile(r"[A-Z]{6}[0-9]{2}[ABCDEHLMPRST][0-9]{2}[A-Z][0-9]{3}[A-Z]" + _NO),
        _fiscal_code,
    ),
    Number("nl-bsn", re.compile(r"[0-9]{9}" + _NO), _bsn),
    Number("pl-pesel", re.compile(r"[0-9]{4}[0-3][0-9]{6}" + _NO), _pesel),
    Number(
        "se-personnummer",
        re.compile(r"(?:19|20)?[0-9]{2}[01][0-9][0-9]{2}[-+]?[0-9]{4}" + _NO),
        _personnummer,
    ),
    Number(
        "uk-nino",
        re.compile(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{2}){3} ?[A-D]" + _NO),
        _any,
    ),
    Number(
        "us-ssn",
        re.compile(r"(?!000|666|9)[0-9]{3}-(?!00)[0-9]{2}-(?!0000)[0-9]{4}" + _NO),
        _any,
    ),
)
