"""What a tree includes by XInclude (W3C, 2006): files by their names in its elements.

A document of the event's may name those of the folder that the code has given it (`base_url`), if
that is one below the function's own, or those of a folder in it that the code names: what lies
there was put there for it.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import Any

from ..core import Guard
from ..paths.judgement import inside, resolved
from ..verdict import Verdict
from .documents import FIX_INCLUDE, INCLUDE, MAX_READ, NAME, check_content

_WORDS = "includes other files by XInclude"
MAX_INCLUDED = 1000
"""Elements that are looked at."""
_TAG = f"{{{INCLUDE}}}include"
_READS_DOCUMENT = re.compile(r"\bdocument\s{0,9}\(|\bunparsed-text\s{0,9}\(")
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
    taint = guard.taint
    try:
        found = itertools.islice(tree.iter(_TAG), MAX_INCLUDED + 1)
        names = {str(element.get("href", "")) for element in found}
    except (AttributeError, TypeError, ValueError):
        return None
    names = {name for name in names if name and not guard.constants.holds(name)}
    for text, origin in taint.texts(MAX_READ) if taint is not None and names else ():
        if any(name in text for name in names):
            return Verdict(origin, _WORDS, FIX_INCLUDE)
    return None


def reads_others(guard: Guard, stylesheet: Any) -> Verdict | None:
    """Return a verdict if a part of a stylesheet that reads other documents is the event's."""
    taint = guard.taint
    root = getattr(stylesheet, "getroot", lambda: stylesheet)()
    found: set[str] = set()
    for count, element in enumerate(root.iter() if hasattr(root, "iter") else ()):
        if count >= MAX_INCLUDED:
            break
        for name, value in element.items():
            of_include = name == "href" and str(element.tag).endswith(("}include", "}import"))
            if of_include or _READS_DOCUMENT.search(value) is not None:
                found.add(value)
    for text, origin in taint.texts(MAX_READ) if taint is not None and found else ():
        if any(value in text for value in found):
            return Verdict(origin, "has a stylesheet read other documents", FIX_INCLUDE)
    return None


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
