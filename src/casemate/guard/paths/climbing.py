"""Paths below the code's own root in which nothing is left of a folder that the code has named.

`normpath(f"tenants/{tenant}/{name}")` of `../other/x` is `tenants/other/x`, and below the root of a
store it is like any other key. What it was made of still has the step up: so the texts that a path
was put together of are looked for one that leaves its folder and comes to the end of the path, in
whatever way the code has resolved it. Code that looks at the key does not get there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ..core import Guard
from ..origin import Origin, Span
from ..pieces import as_text
from ..verdict import Verdict
from .judgement import FIX, inside, judge

_JOINED, _WHOLE = ("path", "ends"), ("path", "joined")
_LEFT, _STEPS = ("path", "noted"), ("path", "steps")
_CHANGED = "leaves the folder that the code names, before the path is resolved"
_MAX_PATH = 4096
_MAX_TEXTS = 400
"""Texts that one path was made of, through all steps."""
_MAX_KEPT = 200
_MAX_NOTED = 100_000
"""Notes of one invocation among which a text is looked for that nothing else leads to."""


def verdict_on(guard: Guard, path: str, source: str | None = None) -> Verdict | None:
    """Return a verdict if a text that a key was made of has left its folder.

    `source`: the text that it was cut out of, as a URL.
    """
    return _judge(guard, path, source or path, below=False)


def verdict_below(guard: Guard, path: str) -> Verdict | None:
    """Return the same of a path, in which a key is below a root of the code's.

    What it has resolved as a whole, and may have looked at, is `following`'s to judge.
    """
    return _judge(guard, path, path, below=True)


def verdict_joined(guard: Guard, path: str) -> Verdict | None:
    """Return a verdict on a path that is, as a whole, what `urljoin` has left its folder by."""
    kept: dict[str, Origin] = guard.provenance.kept.get(_WHOLE, {})
    origin = kept.get("/" + path.strip("/")) if kept else None
    return Verdict(origin, _CHANGED, FIX) if origin is not None else None


def has_left(guard: Guard) -> bool:
    """Tell whether any path of this invocation is known to have left its folder."""
    return bool(guard.provenance.kept.get(_JOINED))


def _judge(guard: Guard, path: str, source: str, *, below: bool) -> Verdict | None:
    if ".." in path or len(path) > _MAX_PATH:
        return None
    whole = "/" + path.lstrip("/")
    kept: dict[str, Origin] = guard.provenance.kept.get(_JOINED, {})
    if kept and not guard.constants.is_literal(source):
        for end, origin in kept.items():
            if whole.endswith(end) and not (below and whole == end):
                return Verdict(origin, _CHANGED, FIX)
    if not guard.spans(source):
        return None
    for text in _made_of(guard, source):
        if _comes_to(whole, text, below=below):
            left = _climbs(text, guard.spans(text))
            if left is not None:
                return Verdict(left, _CHANGED, FIX)
    return _among_notes(guard, whole, below=below) if _has_steps(guard) else None


def resolved(guard: Guard, text: str, result: str, spans: Sequence[Span]) -> None:
    """Keep what a text with steps up has been resolved to, if it has left its folder by them."""
    origin = _climbs(text, spans) if _resolved(text) is not None else None
    if origin is not None:
        _keep(guard, _JOINED, result, origin)


def joined(guard: Guard, path: str, origin: Origin) -> None:
    """Keep a path that has left its folder as it was joined, by `urljoin`: no text shows it."""
    _keep(guard, _JOINED, path, origin)
    _keep(guard, _WHOLE, path, origin)


def _keep(guard: Guard, place: tuple[str, str], path: str, origin: Origin) -> None:
    kept: dict[str, Origin] = guard.provenance.kept.setdefault(place, {})
    if len(kept) < _MAX_KEPT and len(path.strip("/")) > 1:
        kept["/" + path.strip("/")] = origin


def _made_of(guard: Guard, path: str) -> Iterator[str]:
    """Yield the texts with a step up that a path was put together of, or derived from."""
    todo: list[Any] = [path]
    seen: set[str] = set()
    while todo and len(seen) < _MAX_TEXTS:
        item = todo.pop()
        if isinstance(item, (list, tuple)):
            todo += item[:_MAX_TEXTS]
            continue
        if not isinstance(item, (str, bytes)) or not 1 < len(item) <= _MAX_PATH:
            continue
        text = as_text(item)
        if text in seen:
            continue
        seen.add(text)
        if ".." in text:
            yield text
        made = guard.provenance.of(item)
        if made is not None:
            todo += made.parts


def _comes_to(whole: str, text: str, *, below: bool) -> bool:
    """Tell whether a text with steps up, once it is resolved, is the end of a path."""
    where = _resolved(text)
    if where is None or len(where) == 1 or (below and whole == where):
        return False
    return whole.endswith(where)


def _resolved(text: str) -> str | None:
    """Return where a text leads from a root; None if it leads above, or takes no step up."""
    steps: list[str] = []
    climbed = False
    for step in text.split("/"):
        if step == "..":
            if not steps:
                return None
            del steps[-1]
            climbed = True
        elif step not in ("", "."):
            steps.append(step)
    return "/" + "/".join(steps) if climbed else None


def _climbs(text: str, spans: Sequence[Span]) -> Origin | None:
    """Return where data is from with which a text leaves a folder that is before it there."""
    spans = [span for span in spans if _folder(text, span)]
    verdict = judge(text, spans, allowed=lambda path: True) if spans else None
    return verdict.origin if verdict is not None else None


def _folder(text: str, span: Span) -> str:
    """Return the folder before data, if there is one but the root."""
    return text[: span.start].rpartition("/")[0].strip("/.")


def _has_steps(guard: Guard) -> bool:
    """Tell whether the event has a step up in a text; nothing is decoded for it."""
    taint, kept = guard.taint, guard.provenance.kept
    if taint is None:
        return False
    known: tuple[int, bool] = kept.get(_STEPS, (-1, False))
    size = taint.size()
    if known[0] != size:
        known = kept[_STEPS] = (size, taint.any_has(".."))
    return known[1]


def _among_notes(guard: Guard, whole: str, *, below: bool) -> Verdict | None:
    """Look for the text among all that the code has made, if a folder of its own is left.

    Steps that a library has taken apart lead back to no text.
    """
    provenance = guard.provenance
    left = provenance.kept.get(_LEFT, _MAX_NOTED)
    for count, note in enumerate(itertools.islice(provenance.noted(), max(left, 0)), 1):
        provenance.kept[_LEFT] = left - count
        text = note[0]
        if type(text) is not str or "/.." not in text or len(text) > _MAX_PATH:
            continue
        if not _comes_to(whole, text, below=below):
            continue
        spans = guard.spans(text)
        first = text.strip("/").partition("/")[0]
        begun = text.find(first)
        own = not any(s.start < begun + len(first) and begun < s.end for s in spans)
        if own and inside(str(_resolved(text)), "/" + first):
            origin = _climbs(text, spans)
            if origin is not None:
                return Verdict(origin, _CHANGED, FIX)
    return None
