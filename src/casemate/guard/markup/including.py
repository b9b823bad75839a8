"""What a tree includes by XInclude (W3C, 2006): files by their names in its elements.

A document of the event's may name those of the folder that the code has given it (`base_url`), if
that is one below the function's own, or those of a folder in it that the code names: what lies
there was put there for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..core import Guard
from ..paths.judgement import inside, resolved
from ..verdict import Verdict
from .documents import INCLUDE, MAX_READ, NAME, check_content, holding

_WORDS = "includes other files by XInclude"
MAX_INCLUDED = 1000
"""Elements that are looked at."""
_TAG = f"{{{INCLUDE}}}include"
_MAX_ELEMENTS = 100_000
_READS_DOCUMENT = re.compile(r"\b(?:document|unparsed-text)\s*+\(")
_OTHERS = ("}include", "}import", "}document")
"""Elements of stylesheets that read another one, or write to a file (EXSLT)."""
_LOCAL = re.compile(r"file://(?=/)", re.IGNORECASE)
_PLAIN = re.compile(r"[\w][\w. /-]{0,500}")
"""A name of a file in a folder or below: no scheme, nothing encoded, no parts to ask for."""


def has_includes(tree: Any) -> bool:
    """Tell whether a tree has elements that include something. What is none is taken to have."""
    try:
        return next(iter(tree.iter(_TAG)), None) is not None
    except (AttributeError, TypeError, ValueError):
        return True


def _chosen(guard: Guard, names: str) -> bool:
    """Tell whether names of folders may be the event's: lxml does not tell what they were."""
    texts = guard.taint.texts(MAX_READ) if guard.taint is not None else ()
    return guard.taint is None or any(len(t) > 1 and t in names for t, _ in texts)


def check_includes(guard: Guard, tree: Any, base: object) -> None:
    """Block (BlockedError) what a tree includes if that is the event's to say."""
    if stays_below(guard, tree, base):
        return
    check_content(guard, INCLUDE, _WORDS)
    if guard.active:
        guard.decide(NAME, lambda: _judge_names(guard, tree))


def _judge_names(guard: Guard, tree: Any) -> Verdict | None:
    """Return a verdict if an element in a tree names a file as the event does, and no code.

    Elements of the event need not say what they are: the code's document may have the prefix.
    """
    names = {str(element.get("href", "")) for element in _bounded(tree.iter(_TAG))}
    return holding(guard, {n for n in names if n and not guard.constants.holds(n)}, _WORDS)


def reads_others(guard: Guard, stylesheet: Any) -> Verdict | None:
    """Return a verdict if a part of a stylesheet that reads or writes others is the event's."""
    root = getattr(stylesheet, "getroot", lambda: stylesheet)()
    found: set[str] = set()
    for element in _bounded(root.iter() if hasattr(root, "iter") else ()):
        named = str(element.tag).endswith(_OTHERS)
        for name, value in element.items():
            if (named and name == "href") or _READS_DOCUMENT.search(value) is not None:
                found.add(value)
    return holding(guard, found, "has a stylesheet read or write other documents")


def _bounded(elements: Iterable[Any]) -> Iterator[Any]:
    """Go through elements. Raises ValueError beyond a bound: what comes after might be any."""
    for count, element in enumerate(elements):
        if count >= _MAX_ELEMENTS:
            raise ValueError(f"a document with more than {_MAX_ELEMENTS} elements")
        yield element


def stays_below(guard: Guard, tree: Any, base: object) -> bool:
    """Tell whether a tree includes nothing, or what is in a folder of the code's for it alone.

    `base` is the URL or path of the document. Without a folder of its own names are looked up in
    the working folder, where the function's source is.
    """
    if not has_includes(tree):
        return True
    folder, own = _folder_of(guard, base)
    if not folder:
        return False
    for count, element in enumerate(tree.iter(_TAG)):
        # `xml:base` leads elsewhere; ElementTree does not know it.
        name = element.get("href", "")
        elsewhere = getattr(element, "base", base) != base
        if count >= MAX_INCLUDED or elsewhere or _PLAIN.fullmatch(name) is None:
            return False
        below = name.partition("/")[0] if own else ""
        if own and (below == name or not guard.constants.holds(below)):
            return False
        within = resolved(f"{folder}/{below}")
        if ".." in name.split("/") or not inside(resolved(f"{folder}/{name}"), within):
            return False
    return True


def _folder_of(guard: Guard, base: object) -> tuple[str, bool]:
    """Return the folder of a document, if the code chose it, and whether it is the function's own.

    Nothing for one that is not in the function's own.
    """
    path = _LOCAL.sub("", base, count=1) if isinstance(base, str) and "%" not in base else ""
    folder, root = os.path.dirname(path), guard.root.rstrip("/")
    if folder == root:
        return resolved(folder), True
    if not inside(folder, root) or _chosen(guard, folder[len(root) :]):
        return "", False
    folder = resolved(folder)
    return (folder if inside(folder, resolved(root)) else ""), False
