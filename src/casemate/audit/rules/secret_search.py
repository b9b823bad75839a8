"""Secrets in texts: tokens by the shapes that issuers document, and what stands beside a telling name.

Values are never told: a finding shows their kind and place. Examples of documentation, place holders
and test values are known and passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from casemate.masking.shapes import Shape
from casemate.masking.tokens import SHAPES

_TOLD = {
    "aws-key": "an AWS key",
    "github-token": "a GitHub token",
    "gitlab-token": "a GitLab token",
    "slack-token": "a Slack token",
    "stripe-key": "a Stripe key",
    "google-key": "a Google key",
    "package-token": "a package registry token",
    "service-key": "a service key",
    "casemate-token": "a Casemate token",
    "private-key": "a private key",
    "url-password": "a URL with a password",
}
_SHAPES = tuple(shape for shape in SHAPES if shape.kind in _TOLD)
KEY_ID = re.compile(r"(?:AKIA|ASIA)[A-Z2-7]{16}")
"""Of AWS: it opens nothing without the secret key."""
_SECRET_KEY = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
FIREBASE = ".firebaseapp.com"
"""What stands beside a key that Google has every page of a project show: rules guard the data."""
_PLACEHOLDER = re.compile(
    r"example|sample|dummy|fake|placeholder|change.?me|your[_-]|xxxx|0000|1234567|abcdef|test|todo"
    r"|\$\{|\{\{|<[^>\n]{1,60}>|%\(|%s|\.\.\.|\*\*\*|redacted|insert|replace|secret:|password|passw0rd|s3cr3t|insecure|foo|\bbar\b|localhost|a%20secret"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-",
    re.IGNORECASE,
)
_WORD = re.compile(
    r"(?i:passwo?r?d|pwd|secret|api_?key|api_?token|auth_?token|access_?token|private_?key"
    r"|(?<=[a-z0-9]_)pass(?![a-z]))"
)
_BEFORE = re.compile(r"[A-Za-z0-9_.-]{0,40}\Z")
_TYPE = re.compile(r"\w{1,40}::\w{1,40}::\w{0,40}\Z")
"""A type of CloudFormation, as `AWS::AppSync::ApiKey`, is no name of a value."""
_AFTER = re.compile(
    r"(?P<rest>[A-Za-z0-9_]{0,20})[\"']?\s{0,4}(?::\s{0,4}[A-Za-z_][\w.]{0,30}\s{0,4}(?==))?"
    r"(?:=>|[:=])\s{0,4}(?P<quote>[\"'`])(?P<value>[^\"'`\s\\]{8,200})(?P=quote)"
)
_AFTER_PLAIN = re.compile(
    r"(?P<rest>[A-Za-z0-9_]{0,20})=(?P<value>[^\"'`\s\\]{8,200})[ \t]{0,20}(?:\r?\n|\Z)"
)
_AFTER_KEY = re.compile(
    r"[\"']?:[ \t]{1,20}(?P<value>[^\"'`\s\\#&*!|>{}\[\]$][^\"'`\s\\]{7,199})[ \t]{0,20}(?:\r?\n|\Z|#)"
)
"""A value of YAML without quotes, behind a name that ends with what tells."""
_WORDS = re.compile(r"[/.]?[A-Za-z]++[0-9]{0,3}(?:[ _./:@-]{1,3}[A-Za-z]++[0-9]{0,3})*+")
"""Words, paths and names, with numbers behind them."""
_MIN_BITS = 3.2
_MAX_FOUND = 200
_KEY_BODY = re.compile(r"[A-Za-z0-9+/=]{64,}")


class Secret(msgspec.Struct, frozen=True):
    """One that was found. The value is kept for nobody."""

    line: int
    column: int
    kind: str
    what: str
    certain: bool
    """True for a shape that nothing else has."""
    digest: str
    """Of the value, by which the same one is known elsewhere; it is told to nobody."""


def secrets_in(
    text: str,
    *,
    named: bool = True,
    plain: bool = False,
    values: bool = False,
    more: Callable[[], None] = lambda: None,
) -> Iterator[Secret]:
    """Yield the secrets in a text, in one pass for each shape; call `more` if it ends before.

    `plain`: of a file in which values stand without quotes, `DB_PASSWORD=...`; `values`: of one in
    YAML, `password: ...`.
    """
    lines = _Lines(text)
    count = 0
    covered: list[tuple[int, int]] = []
    for shape in _SHAPES:
        for start, end in _found(shape, text):
            count += 1
            if count > _MAX_FOUND:
                more()
                return
            if real(shape.kind, text[start:end], text[max(0, start - 60) : start]):
                covered.append((start, end))
                digest = digest_of(text[start:end])
                yield Secret(*lines.at(start), shape.kind, _TOLD[shape.kind], True, digest)
    if not named:
        return
    for word in _WORD.finditer(text):
        match = _AFTER.match(text, word.end())
        if match is None and plain:
            match = _AFTER_PLAIN.match(text, word.end())
        if match is None and values and word[0].lower() != "secret":
            match = _AFTER_KEY.match(text, word.end())
        if match is None:
            continue
        start, value = match.start("value"), match["value"]
        if any(a <= start < b for a, b in covered) or not random(value):
            continue
        if _TYPE.search(text[max(0, word.start() - 80) : word.start()]):
            continue
        count += 1
        if count > _MAX_FOUND:
            more()
            return
        before = _BEFORE.search(text[max(0, word.start() - 40) : word.start()])
        name = (before[0] if before else "") + word[0] + (match.groupdict().get("rest") or "")
        what = f"a value of {name[:60]}"
        yield Secret(*lines.at(start), "named", what, False, digest_of(value))


def digest_of(value: str) -> str:
    """Return by what a value is known elsewhere without being told."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def _found(shape: Shape, text: str) -> Iterator[tuple[int, int]]:
    for sign in shape.signs:
        if sign in text:
            for each in shape.find(text, sign):
                yield each.start, each.end


def real(kind: str, value: str, before: str = "") -> bool:  # noqa: PLR0911
    """Tell whether a value of that shape is one, and no example."""
    if kind == "private-key":
        return bool(_KEY_BODY.search(value)) and not re.search(r"example|dummy", before, re.I)
    if kind == "url-password":
        user, _, password = value.partition(":")
        return (
            len(password) >= 6
            and not _PLACEHOLDER.search(value)
            and password.lower()
            not in (
                user.lower(),
                "postgres",
                "guest",
                "admin",
                "root123",
                "mysecretpassword",
            )
            and random(password, least=2.2)
        )
    if value.upper().endswith("EXAMPLE") or value.upper().endswith("EXAMPLEKEY"):
        return False
    if kind == "aws-key" and len(value) == 20:
        return not _PLACEHOLDER.search(value) and _account(value)
    if (
        kind == "github-token"
        and value[:4] in ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")
        and len(value) == 40
    ):
        return _github(value)
    if value.startswith("ya29."):
        return False  # it opens something for an hour after it was made
    body = re.sub(r"^[A-Za-z]{2,6}[_-](?:live_|test_)?", "", value)
    if kind == "stripe-key" and "_test_" in value:
        return False
    return not _PLACEHOLDER.search(value) and random(body, least=2.8)


def _account(key: str) -> bool:
    """Tell whether a key id of AWS decodes to an account: all that were made do."""
    try:
        number = int.from_bytes(base64.b32decode(key[4:12]), "big")
    except (binascii.Error, ValueError):
        return False  # its alphabet is that of base 32
    return number > 0 and len(set(key[4:])) > 6


def _github(token: str) -> bool:
    """Tell whether the check sum of a GitHub token is right (CRC-32 in base 62)."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number = zlib.crc32(token[4:-6].encode())
    made = ""
    while number:
        number, digit = divmod(number, 62)
        made = digits[digit] + made
    return made.rjust(6, "0") == token[-6:]


def random(value: str, least: float = _MIN_BITS) -> bool:
    """Tell whether a text looks drawn by chance, and is no word, path, name or place holder."""
    if len(value) < 6 or _PLACEHOLDER.search(value):
        return False
    if _WORDS.fullmatch(value) and not _mixed(value):
        return False
    if re.match(
        r"(?:https?|arn|s3|ssm|file|env|ref|process|os|self|config|settings|data|aws)[:.(/\[]",
        value,
        re.I,
    ):
        return False
    if re.search(r"[()\[\]{}<>;]|\s", value):
        return False
    counts = Counter(value).values()
    bits = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return bits >= least


def has_secret_key(text: str) -> bool:
    """Tell whether what an id of a key of AWS is nothing without is there."""
    return any(random(each[0]) for each in _SECRET_KEY.finditer(text))


def _mixed(value: str) -> bool:
    """Tell whether capitals and small letters alternate as in no word."""
    changes = sum(a.isupper() != b.isupper() for a, b in itertools.pairwise(value))
    return len(value) >= 16 and changes > len(value) / 3


class _Lines:
    """Lines and columns of places in a text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at, self._line, self._start = 0, 1, 0

    def at(self, offset: int) -> tuple[int, int]:
        if offset < self._at:
            self._at, self._line, self._start = 0, 1, 0
        self._line += self._text.count("\n", self._at, offset)
        newest = self._text.rfind("\n", 0, offset)
        self._at, self._start = offset, newest + 1
        return self._line, offset - self._start + 1
