"""URLs that `urljoin` has resolved: of a step up nothing is left to see when they are used."""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any
from urllib.parse import quote, quote_plus

from ..batches import lowered
from ..core import Guard
from ..hooks import argument
from ..notes import Question
from ..origin import Origin, Span
from ..paths import climbing, following
from ..standing import is_put_together, wrap_after, wrap_after_own
from ..verdict import Verdict
from . import links
from .hosts import Vouching, host_of
from .structure import FIX_HOST, FIX_PART, Parts, climbs, split

_WHOLE_HOST = re.compile(r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}")
"""A host to its end; one that ends with a dot or a sign has data that goes on with it."""
_NOT_HOST = re.compile(r"[/?#]|:\d{1,5}(?:[/?#]|\Z)|\Z")
_NAMES_HOST = re.compile(r"(?:https?://)?\.?(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}/?", re.IGNORECASE)
_HOST_IN_PATTERN = re.compile(r"[a-z0-9-]{2,63}\.\(?[a-z]{2,24}\b", re.IGNORECASE)
_SEARCHES = frozenset(("search", "match"))
_PARAMETER = re.compile(r"&(\w{1,64})=")
_JOINED, _CUT, _QUERY = ("url", "joined"), ("url", "cut"), ("url", "query")
MAX_JOINED = 200
"""URLs that are remembered in one invocation."""
_MAX_COMPARED = 2000
_MAX_PIECES = 16
_MAX_QUOTED = 16 * 1024
"""Characters of texts that are quoted to be compared."""
_CONTINUES = ("", "?", "#", "&", "/")
"""How a URL goes on that is another with more at its end."""


def patch_urljoin(guard: Guard, module: ModuleType) -> None:
    """Note what `urljoin` makes of the code's URL and the event's path, if it leaves its folder."""

    def joined(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        base, path = argument(arguments, named, 0, "base"), argument(arguments, named, 1, "url")
        texts = isinstance(base, str) and isinstance(path, str) and isinstance(result, str)
        if texts and guard.active:
            guard.decide("url", lambda: _note(guard, base, path, result))

    wrap_after(module, "urljoin", joined)
    patch_urlsplit(guard, module)


def patch_urlsplit(guard: Guard, module: ModuleType) -> None:
    """Note which URL the code has cut: its host alone does not tell where that is from."""

    def cut(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        url = argument(arguments, named, 0, "url")
        if not (isinstance(url, str) and guard.active):
            return
        links.check(guard, "url", url)
        if "://" in url:
            guard.decide("url", lambda: goes_on(guard, url))
        host = host_of(url)
        kept: dict[str, str] = guard.provenance.kept.setdefault(_CUT, {})
        if host and len(kept) < MAX_JOINED:
            kept[host] = url
        if "&" in url:
            queries: dict[str, str] = guard.provenance.kept.setdefault(_QUERY, {})
            if len(queries) >= MAX_JOINED:  # the last are those that are read yet
                del queries[next(iter(queries))]
            queries[result.query] = url

    for name in ("urlsplit", "urlparse"):
        # Frameworks cut dozens for each call.
        wrap_after_own(guard, module, name, cut)


def goes_on(guard: Guard, url: str) -> Verdict | None:
    """Judge a URL that the code cuts, as a client of its own does, by where its host ends.

    Data goes on with a host that the code has written to its end: `"https://img.example" + path`.
    Or the code has asked for a beginning that ends with a host, and this is another.
    """
    parts = split(url)
    if not is_put_together(guard, url):
        asked_of = guard.provenance.asked_of
        asked = asked_of(url) or asked_of(url[parts.authority[0] :])
        if not asked or not (
            Vouching(guard).passes_by_fault(url, parts) or _is_beside(url, parts, asked)
        ):
            return None
        origin = guard.whole(url)
        return Verdict(origin, "decides the URL's host", FIX_HOST) if origin is not None else None
    for span in guard.spans(url):
        before = url[parts.authority[0] : span.start]
        begun = parts.authority[0] < span.start <= parts.authority[1]
        if not begun or span.vouched or _WHOLE_HOST.fullmatch(before) is None:
            continue
        if span.end >= parts.authority[1] and _NOT_HOST.match(url, span.start) is None:
            return Verdict(span.origin, "goes on with the URL's host", FIX_HOST)
    return None


def _is_beside(url: str, parts: Parts, asked: Sequence[Question]) -> bool:
    """Tell whether the code has found a host in a URL, and never where its host is.

    `"shop.example" in url` is true of `http://other.example/?shop.example` as well.
    """
    found: list[tuple[int, int]] = []
    for question in asked:
        match = question.find(url) if question.function.__name__ in _SEARCHES else None
        if match is not None and _names_host(question) and _NAMES_HOST.fullmatch(match[0]):
            before, scheme, _ = match[0].rpartition("://")
            begins = match.start() + len(before + scheme)
            found.append((begins, match.start() + len(match[0].rstrip("/"))))
        elif question.function is operator.contains:
            name = question.arguments[1]
            if isinstance(name, str) and _NAMES_HOST.fullmatch(name) and name in url:
                first = url.find(name, parts.host[0])
                found.append((first, first + len(name)) if first >= 0 else (0, 0))
    return bool(found) and not any(_is_host(url, parts, *place) for place in found)


def _names_host(question: Question) -> bool:
    """Tell whether a pattern has a host in it: one of links has none."""
    pattern = getattr(question.function, "__self__", None) or question.arguments[0]
    text = str(getattr(pattern, "pattern", pattern))
    return _HOST_IN_PATTERN.search(text.replace("[.]", ".").replace("\\", "")) is not None


def _is_host(url: str, parts: Parts, start: int, end: int) -> bool:
    """Tell whether what was found is the host of a URL, or the end of its names."""
    begins = start <= parts.host[0] or url[start] == "." or url[start - 1] == "."
    return begins and parts.host[0] < end == parts.host[1]


def cut_with(guard: Guard, query: str) -> str | None:
    """Return the URL that the code has put together and cut, and that has this query."""
    kept: dict[str, str] = guard.provenance.kept.get(_QUERY, {})
    url = kept.get(query)
    return url if url is not None and is_put_together(guard, url) else None


def cut_from(guard: Guard, host: str) -> str | None:
    """Return the URL that the code has cut last, and that has this host."""
    kept: dict[str, str] = guard.provenance.kept.get(_CUT, {})
    return kept.get(host)


def patch_yarl(guard: Guard, module: ModuleType) -> None:
    """Note what yarl makes of a URL with steps up, of which nothing is left to see."""

    def made(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        url = argument(arguments, named, 1, "val")
        if guard.active and isinstance(url, str) and climbs(url):
            guard.decide("url", lambda: _note_climb(guard, url, str(result)))

    wrap_after(module.URL, "__new__", made)


def _note_climb(guard: Guard, url: str, result: str) -> Verdict | None:
    parts = split(url)
    inside = [s for s in guard.spans(url) if s.start > parts.path and not s.checked]
    origin = next((s.origin for s in inside if ".." in url[s.start : s.end]), None)
    if origin is not None:
        kept: dict[str, Origin | None] = guard.provenance.kept.setdefault(_JOINED, {})
        if len(kept) >= MAX_JOINED:
            return _left(origin)
        kept[result] = origin
    return None


def _leaves(base: str, result: str) -> bool:
    """Tell whether a URL of the same host is outside the folder of another."""
    before, after = split(base), split(result)
    if base[slice(*before.authority)] != result[slice(*after.authority)]:
        return False  # which is judged where it is used
    folder = base[before.path : before.query].rpartition("/")[0] + "/"
    return len(folder) > 1 and not result[after.path : after.query].startswith(folder)


def _note(guard: Guard, base: str, path: str, result: str) -> Verdict | None:
    # That the code asks for such a path elsewhere does not say that events may.
    origins = [s.origin for s in guard.spans(path) if s.checked != "member"]
    same = guard.taint.is_of(path) if guard.taint is not None and not origins else None
    if same is not None and guard.check_of(path) != "member":
        origins.append(same)
    origin = origins[0] if origins and _leaves(base, result) else None
    spans = guard.spans(base)
    if origin is not None and all(span.start >= max(split(base).path, 1) for span in spans):
        parts = split(result)
        climbing.joined(guard, result[parts.path : parts.query], origin)
    if not origins or spans:
        return None  # whoever chooses the page chooses where its links lead
    kept: dict[str, Origin | None] = guard.provenance.kept.setdefault(_JOINED, {})
    if len(kept) < MAX_JOINED:
        kept[result] = origin
    elif origin is not None:
        return _left(origin)  # nobody would know of it where it is used
    return None


def _left(origin: Origin) -> Verdict:
    return Verdict(origin, "leaves the folder of the code's URL", FIX_PART)


def left_of(guard: Guard, url: str) -> Verdict | None:
    """Return a verdict if a URL left the folder of the code when it was joined or resolved."""
    return _joined_of(guard, url) or _resolved_of(guard, url)


def _resolved_of(guard: Guard, url: str) -> Verdict | None:
    """Return the verdict on a path that `normpath` has resolved before it was put into a URL."""
    parts = split(url)
    path = url[parts.path : parts.query]
    left = following.left_at_end(guard, path) if len(path) > 1 else None
    left = left or (climbing.verdict_on(guard, path, url) if len(path) > 1 else None)
    return _left(left.origin) if left is not None else None


def without_chance(guard: Guard, url: str, spans: Sequence[Span]) -> list[Span]:
    """Return the spans that are not there by chance, as pieces of what is quoted there are.

    Asked once a URL, or the value of a header, is about to be stopped.
    """
    pieces = {s: lowered(url[s.start : s.end]) for s in spans if s.is_piece}
    quoted = _quoted_in(guard, url, set(pieces.values()))

    def is_chance(span: Span) -> bool:
        part = pieces.get(span)
        if part is None:
            return False
        # A parameter of the code's that follows: what the event has after it would be there, too.
        named = _PARAMETER.fullmatch(part)
        own = named is not None and guard.constants.holds(named[1])
        # Of a text that is there once more, and not quoted, more than half would be found.
        return own or any(part in text and 2 * len(part) < len(text) for text in quoted)

    return [span for span in spans if not is_chance(span)]


def _quoted_in(guard: Guard, url: str, pieces: set[str]) -> list[str]:
    """Return the event's texts with one of the pieces that are in a URL, quoted: of so many."""
    if guard.taint is None or len(pieces) > _MAX_PIECES:
        return []
    found: list[str] = []
    left = _MAX_QUOTED
    for text, _ in guard.taint.texts(_MAX_COMPARED):
        low = lowered(text) if len(text) <= left else ""
        if any(piece in low for piece in pieces):
            left -= len(text)
            if _is_in(url, text):
                found.append(low)
    return found


def _is_in(url: str, text: str) -> bool:
    """Tell whether a text with signs is in a URL, quoted as the standard library does it."""
    forms = (
        quote(text, safe="", errors="surrogatepass"),
        quote_plus(text, errors="surrogatepass"),
        quote(text, errors="surrogatepass"),
    )
    return any(form != text and form in url for form in forms)


def _joined_of(guard: Guard, url: str) -> Verdict | None:
    kept: dict[str, Origin | None] = guard.provenance.kept.get(_JOINED, {})
    for joined, origin in kept.items():
        more = url[len(joined) : len(joined) + 1]
        if origin is not None and url.startswith(joined) and more in _CONTINUES:
            return _left(origin)
    return None


def without_query(guard: Guard, url: str) -> str:
    """Return a URL without the query of what was joined: of a whole reference it ends nothing."""
    return url if url not in guard.provenance.kept.get(_JOINED, {}) else url.partition("?")[0]
