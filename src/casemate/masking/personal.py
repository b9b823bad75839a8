"""Data of persons: addresses, cards and accounts.

They are told from other numbers by the check digits, lengths and issuers that they must have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from casemate.masking.shapes import Found, Shape

# --- e-mail

_LOCAL = re.compile(r"[\w.+%'-]{1,256}+")
"""Of a text that was turned round: the part before the sign `@`."""
_DOMAIN = re.compile(r"(?:[^\W_][\w-]{0,62}+\.){1,8}[^\W\d_]{2,24}+(?![\w-])")
_FILE_OF_DENSITY = re.compile(r"[1-4]x\.")
_NO_PERSON = frozenset(("git", "hg", "svn"))
"""Accounts that addresses of repositories begin with."""


def _email(text: str, at: int) -> tuple[int, int] | None:
    sign = 1 if text[at] == "@" else 3
    domain = _DOMAIN.match(text, at + sign)
    if domain is None or _FILE_OF_DENSITY.match(text, at + sign):
        return None
    local = _LOCAL.match(text[max(0, at - 256) : at][::-1])
    if local is None:
        return None
    name = local[0][::-1].lstrip(".'%+-")
    if not name or name in _NO_PERSON:
        return None
    return at - len(name), domain.end()


EMAIL = Shape("email", ("@", "%40"), _email)

# --- cards

_CARD = re.compile(
    r"[2-6][0-9]{3}(?:[0-9]{10,15}+"
    r"|(?P<four>[ -])[0-9]{4}(?P=four)[0-9]{4}(?P=four)[0-9]{4}(?:(?P=four)[0-9]{1,3}+)?"
    r"|(?P<six>[ -])[0-9]{6}(?P=six)[0-9]{4,5}+)"
    r"(?![A-Za-z0-9])(?![.,-][0-9])"
)
_BEFORE = re.compile(r"[A-Za-z0-9+]|[.,-][0-9]")
"""What stands, turned round, before digits that are part of something longer."""
_NUMBERED = re.compile(
    r"(?i:order|invoice|ticket|tracking|shipment|parcel|request|trace|span|transaction|txn|job|batch"
    r"|build|serial|sku|offset|sequence|seq|row|message|event|session)"
    r"(?:[ _-]?(?i:id|no|nr|num|number|ref|code|key))?[\"']?\s{0,2}[:=#]{0,2}\s{0,2}[\"'#]?\Z"
)
_REACH = 40
_ISSUERS: tuple[tuple[re.Pattern[str], tuple[int, ...]], ...] = (
    (re.compile("4"), (16,)),
    (re.compile("5[1-5]|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720"), (16,)),
    (re.compile("3[47]"), (15,)),
    (re.compile("3(?:0[0-5]|[689])"), (14,)),
    (re.compile("6(?:011|4[4-9]|5)"), (16,)),
    (re.compile("35(?:2[89]|[3-8][0-9])"), (16,)),
    (re.compile("62"), (16, 17, 18, 19)),
    (re.compile("50(?:18|20|38)|5893|6304|6759|676[1-3]"), (16, 17, 18, 19)),
)


def luhn(digits: str) -> bool:
    """Tell whether the last digit checks the others (ISO/IEC 7812-1)."""
    odd = sum(map(int, digits[-1::-2]))
    even = sum((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)[int(digit)] for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def cards(text: str) -> Iterator[Found]:
    """Yield the numbers of payment cards.

    Digits in one piece after a word such as `order` are that word's: one in fifty numbers of
    sixteen digits passes for a card's. In groups they are a card's whatever stands before them.
    """
    for match in _CARD.finditer(text):
        start, end = match.span()
        digits = match[0].replace(" ", "").replace("-", "")
        if _BEFORE.match(text[max(0, start - 2) : start][::-1]) or not luhn(digits):
            continue
        if not any(len(digits) in sizes and head.match(digits) for head, sizes in _ISSUERS):
            continue
        grouped = match.lastgroup is not None
        if not grouped and _NUMBERED.search(text[max(0, start - _REACH) : start]):
            continue
        yield Found(start, end, "card")


# --- accounts

_GROUPS = re.compile(r"[ -]")
_IBAN = re.compile(r"[A-Z][A-Z][0-9]{2}(?=[ -]?[A-Z0-9]{4})")
_IBAN_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FI FK FO GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
"""The IBAN registry (ISO 13616): characters of an account's number in each country."""
_ACCOUNTS = {
    length: re.compile(
        rf"(?:[A-Z0-9]{{4}}[ -]?){{{(length - 1) // 4}}}[A-Z0-9]{{{(length - 1) % 4 + 1}}}"
        r"(?![A-Za-z0-9])"
    )
    for length in set(_IBAN_LENGTHS.values())
}
"""An account's number of each length, in one piece or in groups of four."""


def ibans(text: str) -> Iterator[Found]:
    """Yield the numbers of bank accounts."""
    for match in _IBAN.finditer(text):
        start = match.start()
        if start and text[start - 1].isascii() and text[start - 1].isalnum():
            continue
        length = _IBAN_LENGTHS.get(text[start : start + 2])
        account = None if length is None else _ACCOUNTS[length].match(text, start)
        if account and _checks(_GROUPS.sub("", account[0])):
            yield Found(start, account.end(), "iban")


def _checks(account: str) -> bool:
    """Tell whether the two check digits are right (ISO 7064, modulus 97)."""
    return int("".join(str(int(char, 36)) for char in account[4:] + account[:4])) % 97 == 1
