"""Did data decide where a request goes, or leave the part of the URL that was meant for it?

Read as the most generous client would (WHATWG URL, RFC 3986): what two parsers could read
differently is judged by the worse reading.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..origin import Span
from ..verdict import Verdict

_SCHEME = re.compile(r"[\x00-\x20]*([A-Za-z][A-Za-z0-9+.-]*):")
_SLASHES = re.compile(r"[\x00-\x20]*[/\\]{2,}")
_END_OF_AUTHORITY = re.compile(r"[/\\?#]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DOTS = re.compile(r"(?:^|[/\\])(?:\.|%2e){2}(?=$|[/\\?#])", re.IGNORECASE)
_ENCODED_DOTS = re.compile(r"(?:^|[/\\]|%2f|%5c)(?:\.|%2e){2}(?=$|[/\\?#]|%2f|%5c)", re.IGNORECASE)
"""Steps between slashes that are encoded, which some servers decode before they look for a page."""
_LABELS = re.compile(r"[\w-]+(?:\.[\w-]+){0,3}")
_TO_HOST = re.compile(r"(?::[^@/?#\\\s]*)?@")
_USER = re.compile(r"[\w.~+%-]{1,256}", re.ASCII)
WORDS = re.compile(r"[._-]|(?<=[a-z])(?=\d)")
"""What divides the words of a host's name."""
FOR_FEW = frozenset(
    [
        *("internal", "intern", "intranet", "admin", "private", "corp", "local", "localhost"),
        *("metadata", "mgmt", "management", "vault", "consul", "backoffice", "secrets"),
        *("console", "credentials", "imds", "kubelet", "restricted", "secret", "sidecar"),
    ]
)
"""Words of hosts that are not for all."""
_OF_CUSTOMERS = frozenset(("corp", "intern", "local", "private", "secret"))
"""Those that names of customers have as well: `acme-corp`."""
_DOMAIN = re.compile(r"(?:\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+|(?i:\.localhost))\.?")
"""One of more than one label; or that of the machine itself, whatever is before (RFC 6761, 6.3)."""
_NETWORK = re.compile(r"(?:\d{1,3}\.){3}", re.ASCII)
_BYTE = re.compile(r"25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d", re.ASCII)
_WEB = frozenset(("http", "https", "ws", "wss"))

_DATA = "data"
_OF_FILES = frozenset(("file", "local_file"))
_FIX_FILE = "open files by their paths, below a folder of the code, and allow URLs of https alone"
FIX_HOST = (
    "take the host from a collection in the code (`if urlsplit(url).hostname not in ALLOWED: "
    "raise ...`), and allow https alone; if any public host is meant, have the code look at its "
    "addresses: `if not ipaddress.ip_address(address).is_global: raise ...`"
)
FIX_PART = (
    "quote what goes into a URL: urllib.parse.quote(value, safe='') for a part of the path, "
    "params={'name': value} or urllib.parse.urlencode for the query"
)
FIX_CLIMB = (
    "refuse steps up in the value (`if '..' in key.split('/'): raise ...`), or resolve them before "
    "it goes into the URL, and check what is left: posixpath.normpath(key)"
)


class Parts(NamedTuple):
    """Where the parts of a URL are: first and last character, the last not included."""

    scheme: tuple[int, int]
    """Empty if there is none."""
    authority: tuple[int, int]
    """Empty, and at the end of the scheme, if there is none."""
    host: tuple[int, int]
    path: int
    query: int
    """Where `?` is, else where the fragment begins or the end."""
    fragment: int

    def has_authority(self) -> bool:
        """Tell whether the URL names a host, so that it is no path alone."""
        return self.authority[0] < self.authority[1]


def split(text: str) -> Parts:
    """Find the parts of a URL, or of a path and query that go with a host known elsewhere."""
    scheme = _SCHEME.match(text)
    start = scheme.end() if scheme else 0
    slashes = _SLASHES.match(text, start)
    begin = slashes.end() if slashes else start
    if slashes and scheme and scheme[1].lower() == "file":
        begin = slashes.start() + 2  # what is after a third one is no host
    end = begin
    if slashes:
        closing = _END_OF_AUTHORITY.search(text, begin)
        end = closing.start() if closing else len(text)
    host_start = text.rfind("@", begin, end) + 1 or begin
    fragment = text.find("#", end)
    fragment = len(text) if fragment < 0 else fragment
    query = text.find("?", end, fragment)
    query = fragment if query < 0 else query
    within = (scheme.start(1), scheme.end(1)) if scheme else (0, 0)
    return Parts(
        within, (begin, end), (host_start, _host_end(text, host_start, end)), end, query, fragment
    )


def _host_end(text: str, start: int, end: int) -> int:
    if text.startswith("[", start):
        closing = text.find("]", start, end)
        return closing + 1 if closing >= 0 else end
    colon = text.find(":", start, end)
    return colon if colon >= 0 else end


Vouches = Callable[[str, Parts, Span], bool]
"""Takes a URL, its parts and what the event has of its scheme and authority; tells whether the
function's code has checked or foreseen the host."""


def judge(text: str, spans: Sequence[Span], vouches: Vouches) -> Verdict | None:
    """Return a verdict if data decides the destination, or leaves its part of the URL."""
    parts = split(text)
    whole = {s.origin.pointer for s in spans if _is_beginning(s, parts)}
    for span in spans:
        if span.start >= parts.path and span.origin.pointer in whole and _is_rest(text, span):
            continue
        verdict = _destination(text, span, parts, vouches) or _structure(text, span, parts)
        if verdict is not None:
            return verdict
    return None


def _is_beginning(span: Span, parts: Parts) -> bool:
    """Tell whether data is a URL from its scheme to the end of its host, or more of it."""
    return parts.has_authority() and span.start == 0 and span.end >= parts.authority[1]


def _is_rest(text: str, span: Span) -> bool:
    """Tell of what is after a host of the same text whether a library has quoted it piece by piece.

    Then it goes on as the event has it, and there is nothing of the code's that it could end.
    """
    return not span.exact and _CONTROL.search(text, span.start, span.end) is None


def _destination(  # noqa: PLR0911 - one return for each rule
    text: str, span: Span, parts: Parts, vouches: Vouches
) -> Verdict | None:
    scheme_end = parts.scheme[1] + 1 if parts.scheme[1] else 0
    until = max(scheme_end, parts.authority[1])
    if span.start >= until or (not parts.has_authority() and span.start >= scheme_end > 0):
        return None
    if text[slice(*parts.scheme)].lower() == _DATA and not parts.has_authority():
        return None  # it is what it brings (RFC 2397): no client asks anybody for it
    if span.start < parts.scheme[1] and text[slice(*parts.scheme)].lower() in _OF_FILES:
        return Verdict(span.origin, "decides the URL's scheme: that of files", _FIX_FILE)
    if span.vouched:
        return None
    if parts.has_authority() and (
        (is_below(text, span, parts) and not _is_for_few(text, span)) or _is_user(text, span, parts)
    ):
        return None
    part = text[max(span.start, parts.authority[0]) : min(span.end, parts.authority[1])]
    if "\\" in text[span.start : min(span.end, until + 1)] or _CONTROL.search(part):
        return Verdict(span.origin, "ends the host in a way that clients disagree on", FIX_HOST)
    if "@" in part or (parts.host[0] > parts.authority[0] and span.start < parts.host[0]):
        return Verdict(span.origin, "puts credentials into the URL, before its host", FIX_HOST)
    if _decides_scheme(text, span, parts):
        return Verdict(span.origin, "decides the URL's scheme", FIX_HOST)
    if not span.exact and span.end <= parts.scheme[1]:
        return None  # a library's own `http`, which every request of API Gateway has as a key
    if vouches(text, parts, span):
        return None
    what = "port" if span.start >= parts.host[1] else "host"
    return Verdict(span.origin, f"decides the URL's {what}", FIX_HOST)


def _is_user(text: str, span: Span, parts: Parts) -> bool:
    """Tell whether a part is a plain name before the `@` and the host that the code has written.

    A password may stand between them: data in that is a part of its own.
    """
    if span.start < parts.authority[0] or not _TO_HOST.fullmatch(text, span.end, parts.host[0]):
        return False
    return _USER.fullmatch(text, span.start, span.end) is not None


def is_below(text: str, span: Span, parts: Parts) -> bool:
    """Tell whether a part is labels of a host below a domain that the code has written.

    Or the last number of an address in a network of the code's: `f"10.1.2.{rack}"`.
    """
    if span.start < parts.host[0] or span.end > parts.host[1]:
        return False
    if span.end == parts.host[1] and _NETWORK.fullmatch(text, parts.host[0], span.start):
        return _BYTE.fullmatch(text, span.start, span.end) is not None
    # Letters of other scripts as clients read them (IDNA): some of these stand for signs.
    labels = _LABELS.fullmatch(unicodedata.normalize("NFKC", text[span.start : span.end]))
    return bool(labels and _DOMAIN.fullmatch(text, span.end, parts.host[1]))


def _is_for_few(text: str, span: Span) -> bool:
    """Tell whether labels of a host say that it is for few, below a domain of the code's."""
    labels = unicodedata.normalize("NFKC", text[span.start : span.end]).lower()
    return not (FOR_FEW - _OF_CUSTOMERS).isdisjoint(WORDS.split(labels))


def _decides_scheme(text: str, span: Span, parts: Parts) -> bool:
    start, end = parts.scheme
    return span.start < end and text[start:end].lower() not in _WEB


def _structure(  # noqa: PLR0911 - one return for each rule
    text: str, span: Span, parts: Parts
) -> Verdict | None:
    """Judge what the event has of path and query."""
    value = text[span.start : span.end]
    if _CONTROL.search(value):
        return Verdict(span.origin, "holds line breaks or control characters", FIX_PART)
    whole = span.start < max(parts.scheme[1], parts.authority[1])
    if whole or span.vouched:
        return None  # the destination is vouched for, and so is what comes with it
    if _climbs(text, span, parts):
        return Verdict(span.origin, "leaves its folder by `..`", FIX_CLIMB)
    if span.start < parts.path or span.start <= parts.query:
        return _in_path(text, span, parts)
    if span.start < parts.fragment and span.start > parts.query + 1:
        mark = next((c for c in "&#" if c in value), None)
        if mark is not None:
            return Verdict(span.origin, f"ends its parameter by `{mark}`", FIX_PART)
    elif "#" in value and span.start < parts.fragment:
        return Verdict(span.origin, "ends the query by `#`", FIX_PART)
    return None


def _in_path(text: str, span: Span, parts: Parts) -> Verdict | None:
    value = text[span.start : span.end]
    if _is_all_after_host(text, span, parts) and "\\" not in value:
        return None
    at_end_of_host = parts.has_authority() and span.start == parts.authority[1]
    for mark, words in (("?", "begins a query"), ("#", "begins a fragment"), ("\\", "holds `\\`")):
        if mark in value and not (mark == "?" and span.start == parts.query and at_end_of_host):
            return Verdict(span.origin, f"{words} in the path", FIX_PART)
    return None


def _is_all_after_host(text: str, span: Span, parts: Parts) -> bool:
    """Tell whether data is all of path and query: the code has written none that it could end."""
    begins = span.start == parts.authority[1]
    return parts.has_authority() and begins and span.end == len(text)


def resolved(text: str) -> str:
    """Return a URL as clients send it: without steps in its path, `a/../b` and `a/%2e%2e/b`."""
    parts = split(text)
    kept: list[str] = []
    steps = re.split(r"[/\\]", text[parts.path : parts.query])
    for number, step in enumerate(steps):
        plain = step.replace("%2e", ".").replace("%2E", ".")
        if plain == ".." and len(kept) > 1:
            kept.pop()
        if plain not in (".", ".."):
            kept.append(step)
        elif number == len(steps) - 1:
            kept.append("")
    return text[: parts.path] + "/".join(kept) + text[parts.query :]


def climbs(text: str) -> bool:
    """Tell whether the path of a URL, or of what has a host elsewhere, has steps up."""
    return _DOTS.search(text) is not None


def _climbs(text: str, span: Span, parts: Parts) -> bool:
    for match in _DOTS.finditer(text, parts.path, parts.query):
        if match.end() > span.start and match.start() < span.end:
            return True
    # Of quoted data the slashes are encoded, of which the event has none that is.
    found = _ENCODED_DOTS.search(text, max(span.start - 1, parts.path), min(span.end, parts.query))
    return span.exact and found is not None
