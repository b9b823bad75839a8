"""Does data make a path leave the folder that the code's part of it names?

Judged by what the path comes to: `a/../b` inside the folder is no attack, and a path that the code
has resolved and checked is inside it.
"""

from __future__ import annotations

import os
import posix
import re
import stat
from collections.abc import Callable, Sequence

from ..origin import Span
from ..spans import around
from ..verdict import Verdict

FIX = (
    "resolve the path and check where it is before it is used: path = (BASE / name).resolve(); if "
    "not path.is_relative_to(BASE): raise ...; or take os.path.basename(name) alone"
)
_FIX_CHOSEN = (
    "join the value to a folder that the code names, and check that the resolved path is in it "
    "(is_relative_to), or choose the path from a collection in the code"
)
FIX_PATTERN = "escape the value: glob.escape(name)"
STANDS = "stands for any name in the pattern"
_WILD = frozenset("*?")
_CLASSED = re.compile(r"\[!?(?:\w-\w){1,20}\]|\[![^]\[]{1,64}\]|\w\[\w\]|\[\w\]\w|\w\?{1,64}\w")
"""Signs that stand for others among letters: a class of one (`[d]raft`), ranges, `dra?t`."""
_MAX_LINKS = 40
_TEMPORARY = "/tmp"  # noqa: S108 - an instance's own, and every library's choice

IsAllowed = Callable[[str], bool]
"""Tells whether the code names, or has checked, the folder that an absolute path is in."""


def nowhere(path: str) -> bool:
    """Allow no absolute path."""
    return False


def judge(
    path: str,
    spans: Sequence[Span],
    *,
    allowed: IsAllowed = nowhere,
    follow: bool = False,
    last: bool = True,
    sure: bool = True,
) -> Verdict | None:
    """Return a verdict if `spans` make the path leave what comes before them.

    What leaves the folder and comes back to it is in it: with no word before it in the part.
    `sure`: the text was seen being made. If not, `/tmp` can be anybody's.
    `follow`: links count as well, also the path's last part if `last`.
    """
    for span in spans:
        if vouched(path, span):
            continue
        part = path[span.start : span.end]
        if "\0" in part:
            return Verdict(span.origin, "has a null byte in a path", FIX)
        head = path[: span.start]
        base, _, partial = head.rpartition("/")
        base = head[: len(head) - len(partial)]
        # Of `/` and a text, the text says everything, unless it is there by chance.
        chosen = base == "" and partial == "" and part.startswith("/")
        chosen = chosen or (
            base.strip("/") == "" and base != "" and not partial and (span.exact or "/" in part)
        )
        if chosen:
            single = "/" not in part.strip("/")
            if not (single and (not sure or part.rstrip("/") == _TEMPORARY)) and not allowed(path):
                return Verdict(span.origin, "is the whole of an absolute path", _FIX_CHOSEN)
            continue
        leaves = _leaves(partial, _until(path, span)[len(head) :], path[len(base) :])
        if leaves and not (base and not partial and inside(absolute(path), absolute(base))):
            return Verdict(span.origin, "leaves the folder that the code names", FIX)
        if (
            follow
            and (span.exact or "/" in part)
            and not _stays(base, path, last=last)
            and not allowed(path)
        ):
            return Verdict(span.origin, "is a link that leaves the folder of the code", FIX)
    return None


def judge_pattern(pattern: str, spans: Sequence[Span]) -> Verdict | None:
    """Return a verdict if data in a pattern of the code's for files stands for other names.

    A pattern that has no sign of the code's is the event's to write.
    """
    # The code's own `*` is the same object: which of two is the event's, nobody can tell.
    stars = [s for s in spans if s.exact and pattern[s.start : s.end] == "*"]
    if len(stars) > 1:
        return Verdict(stars[0].origin, STANDS, FIX_PATTERN)
    if not _WILD.intersection("".join(around(pattern, spans))):
        return None
    for span in spans:
        part = pattern[span.start : span.end]
        wide = span.exact and ("*" in part or set(part) == {"?"})
        # In other letters it was found again, and is no other text by chance.
        wide = wide or (not span.is_piece and _CLASSED.search(part) is not None)
        if wide and not span.vouched:
            return Verdict(span.origin, STANDS, FIX_PATTERN)
    return None


def vouched(path: str, span: Span) -> bool:
    """Tell whether the function's code has chosen or foreseen this very value."""
    if span.checked == "member":
        return True
    return span.checked == "constant" and ".." not in path[span.start : span.end].split("/")


def _until(path: str, span: Span) -> str:
    """Return a path up to the end of the part in which a span ends."""
    end = path.find("/", span.end)
    return path if end < 0 else path[:end]


def _leaves(partial: str, added: str, whole: str) -> bool:
    """Tell whether parts go up beyond where they begin.

    After `user-`, `a/../b` has left what is called so, though not the folder.
    """
    depth = 0
    steps = (partial + added).split("/") if partial or added else whole.split("/")
    for number, step in enumerate(steps):
        if step in ("", "."):
            continue
        depth += -1 if step == ".." else 1
        if depth < 0 or (partial and number and depth == 0):
            return True
    return False


def _stays(base: str, path: str, *, last: bool) -> bool:
    """Tell whether a path, its links followed, is in a folder, its links followed."""
    folder = resolved(base or ".")
    target = path if last else (path.rstrip("/").rpartition("/")[0] or base or ".")
    return inside(resolved(target), folder)


def inside(path: str, folder: str) -> bool:
    """Tell whether an absolute path is a folder or in it."""
    folder = folder.rstrip("/")
    return path == folder or path.startswith(folder + "/")


def _working_folder() -> str:
    """Return the working folder; where that was removed, no name in it leads to anything."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


def absolute(path: str) -> str:
    """Return where a path leads without regard to links."""
    if not path.startswith("/"):
        path = f"{_working_folder()}/{path}"
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            del steps[-1:]
        elif step not in ("", "."):
            steps.append(step)
    return "/" + "/".join(steps)


def resolved(path: str) -> str:
    """Return where a path leads; what is not there counts as it is written (realpath(3))."""
    if not path.startswith("/"):
        path = f"{_working_folder()}/{path}"
    todo = path.split("/")[::-1]
    done = ""
    links = 0
    while todo:
        step = todo.pop()
        if step in ("", "."):
            continue
        if step == "..":
            done = done.rpartition("/")[0]
            continue
        here = f"{done}/{step}"
        target = _link(here) if links < _MAX_LINKS else None
        if target is None:
            done = here
            continue
        links += 1
        if target.startswith("/"):
            done = ""
        todo += target.split("/")[::-1]
    return done or "/"


def _link(path: str) -> str | None:
    try:
        if stat.S_ISLNK(posix.lstat(path).st_mode):
            return posix.readlink(path)
    except (OSError, ValueError):
        return None
    return None
