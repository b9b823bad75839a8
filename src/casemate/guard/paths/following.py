"""Follows paths through `os.path` and `pathlib`: what they were joined of, what left its folder.

A resolved path does not show where it came from: `/data/../etc` is `/etc`. So what leaves its
folder is noted when it is resolved, and stopped if it reaches a sink: code that checks it does not
get there.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument, wrap
from ..notes import DERIVED, JOINED
from ..origin import Span
from ..standing import is_known, wrap_after
from ..verdict import Verdict
from . import climbing
from .judgement import FIX, absolute, inside, judge, resolved

LEFT, PREFIX, SOMEBODYS, DROPPED = "left", "prefix", "somebodys", "dropped"
_FOLDER = re.compile(r"/[^\0\n:*?<>|\"']{1,200}")
_SYSTEM = frozenset(
    [
        *("/", "/etc", "/proc", "/sys", "/dev", "/root", "/home", "/var", "/usr", "/bin", "/sbin"),
        *("/run", "/boot", "/lib", "/lib64", "/opt", "/mnt", "/media", "/srv", "/function"),
        *("/usr/bin", "/usr/lib", "/usr/local"),
    ]
)
_MAX_CONSIDERED = 64
_MAX_LEFT = 200
"""Paths that left their folder, by the ends of URLs."""
_FIX_LINK = "unpack by a filter that refuses such links: archive.extractall(path, filter='data')"


class Folders:
    """Which folders the code names or has checked a path against."""

    def __init__(self, guard: Guard) -> None:
        """Look at them when they are first needed."""
        self._guard = guard
        self._named: frozenset[str] | None = None

    def allow(self, path: str) -> bool:
        """Tell whether a path leads into a folder that the code names or has checked it against."""
        where = resolved(path)
        for (kind, *_), against in list(self._guard.provenance.kept.items()):
            if kind == PREFIX and any(inside(where, f) for f in self._folders(against)):
                return True
        folder, named = where, self._named_by_code()
        while folder not in ("", "/"):
            if folder in named:
                return True
            folder = folder.rpartition("/")[0]
        return False

    def allow_above(self, path: str) -> bool:
        """Tell the same of a path of which nobody knows that it is the event's, or one above.

        `os.makedirs` makes the folders above one that the code names, one after the other.
        """
        above = resolved(path).rstrip("/") + "/"
        return self.allow(path) or any(folder.startswith(above) for folder in self._named_by_code())

    def _named_by_code(self) -> frozenset[str]:
        if self._named is None:
            self._named = frozenset(self._of_code())
        return self._named

    def _folders(self, given: Any) -> list[str]:
        found = []
        for item in given if isinstance(given, tuple) else (given,):
            if isinstance(item, (str, os.PathLike)):
                text = os.fspath(item)
                if isinstance(text, str) and text.startswith("/") and self._is_own(item, text):
                    found.append(resolved(text))
        return [folder for folder in found if folder != "/"]

    def _is_own(self, item: object, text: str) -> bool:
        spans = self._guard.spans(text)
        return not any(s.start == 0 and s.exact for s in spans)

    def _of_code(self) -> list[str]:
        texts = [t for t in self._guard.constants.texts if _FOLDER.fullmatch(t)]
        found = {absolute(t) for t in texts} | {resolved(t) for t in texts}
        return [folder for folder in found if folder not in _SYSTEM]


def text_of(path: object) -> str | None:
    """Return a path as text; None of a descriptor or what is no path."""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if isinstance(path, bytes):
        return os.fsdecode(path)
    return path if isinstance(path, str) else None


def left(guard: Guard, path: str) -> Verdict | None:
    """Return the verdict on a path that left its folder before it was resolved."""
    kept = guard.provenance.kept
    where = absolute(path)
    for _ in range(_MAX_CONSIDERED):
        verdict = kept.get((LEFT, where))
        if isinstance(verdict, Verdict):
            return verdict
        if where in ("", "/"):
            return None
        where = where.rpartition("/")[0]
    return None


def left_at_end(guard: Guard, path: str) -> Verdict | None:
    """Return the verdict on a path that left its folder, and that another ends in."""
    kept = guard.provenance.kept
    ends = next((where for where in kept.get(LEFT, ()) if path.endswith(where)), None)
    verdict = kept.get((LEFT, ends))
    return verdict if isinstance(verdict, Verdict) else None


def dropped_in(guard: Guard, path: str) -> Verdict | None:
    """Return the verdict on a key that a join took alone, before which the code put a folder.

    It stays in that folder, and not in the one in it that the join was of.
    """
    kept: dict[str, Verdict] = guard.provenance.kept.get(DROPPED, {})
    return next((kept[where] for where in kept if path.endswith(where) and path != where), None)


def _keep(guard: Guard, where: str, verdict: Verdict) -> None:
    """Keep the verdict on a path that left its folder, by where it led."""
    kept = guard.provenance.kept
    kept[(LEFT, where)] = verdict
    places: list[str] = kept.setdefault(LEFT, [])
    if len(where) > 1 and len(places) < _MAX_LEFT:
        places.append(where)


def is_beside(guard: Guard, path: str) -> bool:
    """Tell whether a path begins like a folder that the code compared it with, but is not in it.

    `path.startswith("/srv/logs")` takes `/srv/logs-old/x` and `/srv/logs/../x` as well.
    """
    folder = text_of(guard.provenance.kept.get((PREFIX, path)))
    if folder is None or not folder.startswith("/") or not path.startswith(folder):
        return False
    return not inside(resolved(path), resolved(folder)) and os.path.isdir(folder)


def is_checked(guard: Guard, path: str) -> bool:
    """Tell whether the code has found this very path to be in a folder: another may have left.

    That it is in the folder of all says nothing of one that left somebody's folder in there.
    """
    if (SOMEBODYS, absolute(path)) in guard.provenance.kept:
        return False
    against = guard.provenance.kept.get((PREFIX, path))
    folder = text_of(against) if against is not None and not isinstance(against, tuple) else None
    return (
        folder is not None and folder.startswith("/") and inside(resolved(path), resolved(folder))
    )


def patch_posixpath(guard: Guard, module: ModuleType) -> None:
    """Follow `os.path`."""
    folders = Folders(guard)

    def joined(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active and type(result) is str and not named:
            _note_join(guard, result, arguments)

    def resolving(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active and arguments and type(result) in (str, bytes):
            note_resolved(guard, folders, arguments[0], result)

    def common(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active and arguments and isinstance(arguments[0], (list, tuple)):
            for path in arguments[0]:
                text = text_of(path)
                if text is not None and text != result:
                    guard.provenance.kept[(PREFIX, text)] = result

    def expanded(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        text = text_of(arguments[0]) if guard.active and arguments else None
        if text is not None and text.startswith("~") and type(result) is str:
            note_home(guard, text, result)

    def parted(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active and arguments:
            _note_parts(guard, arguments[0], result)

    wrap_after(module, "join", joined)
    for name in ("dirname", "split"):
        wrap_after(module, name, parted)
    for name in ("normpath", "abspath", "realpath", "relpath"):
        wrap_after(module, name, resolving)
    wrap_after(module, "commonpath", common)
    wrap_after(module, "expanduser", expanded)


def note_home(guard: Guard, text: str, result: str) -> None:
    """Note a path that begins with a `~` from outside, and what it was expanded to."""
    spans = guard.spans(text)
    if spans and spans[0].start == 0:
        words = "is expanded to a home folder"
        fix = "do not expand ~ in what comes from outside"
        _keep(guard, absolute(result), Verdict(spans[0].origin, words, fix))


def note_resolved(guard: Guard, folders: Folders, path: object, result: str | bytes) -> None:
    """Note a path that leaves its folder, by what it is resolved to, or what it was made of."""
    text = text_of(path)
    if text is None or text == "":
        return
    given = path if isinstance(path, bytes) else text
    if is_known(guard, given) and given is not result:
        guard.provenance.derived(result, (given,))
    place = str(text_of(result))
    if ".." not in text and "~" not in text and absolute(text) == place:
        return
    spans = guard.spans(text)
    if spans:
        verdict = judge(text, spans, allowed=folders.allow, follow=True)
        if verdict is not None and spans[0].start > 0:
            where = absolute(place)
            _keep(guard, where, verdict)
            if _leaves_somebodys(guard, text, spans):
                guard.provenance.kept[(SOMEBODYS, where)] = True
        climbing.resolved(guard, text, place, spans)


def _leaves_somebodys(guard: Guard, path: str, spans: Sequence[Span]) -> bool:
    """Tell whether a value leaves a folder that another value names, as of a customer.

    A link in a page leaves the page's folder in the same way: that was found by taking the page's
    name off, and nobody has put it together.
    """
    for before, span in itertools.pairwise(spans):
        head = path[: span.start]
        folder = before.end == span.start - 1 and head[-1:] == "/" and before.exact
        if folder and head[: before.start][-1:] == "/" and ".." in path[span.start : span.end]:
            made = guard.provenance.of(path)
            for part in made.parts if made is not None and made.kind == JOINED else ():
                if type(part) is str and part.rstrip("/") == head.rstrip("/"):
                    begun = guard.provenance.of(part)
                    return begun is None or begun.kind != DERIVED
            return True
    return False


def _note_join(guard: Guard, result: str, parts: tuple[Any, ...]) -> None:
    texts = [text_of(part) for part in parts]
    if any(text is None for text in texts) or len(texts) < 2:
        return
    pieces: list[Any] = []
    dropped = ""
    for text in texts:
        if text is None:
            return
        if text.startswith("/"):
            dropped = "".join(pieces) or dropped
            pieces = []
        elif pieces and pieces[-1] and not pieces[-1].endswith("/"):
            pieces.append("/")
        pieces.append(text)
    # Libraries join thousands of their own paths, whose notes would displace those that count.
    if not any(_is_of_event(guard, piece) for piece in pieces):
        if dropped:  # which hardly any library has happen to it: there is time for a search
            _note_dropped(guard, dropped, pieces[0], result)
        return
    if all(result is not piece for piece in pieces):
        joined = pieces if "".join(pieces) == result else _without_dots(guard, pieces)
        if "".join(joined) == result:
            guard.provenance.joins(result, tuple(joined))
        else:
            guard.provenance.derived(result, tuple(pieces))
    if dropped:
        _note_dropped(guard, dropped, pieces[0], result)


def _without_dots(guard: Guard, pieces: list[Any]) -> list[Any]:
    """Return the pieces of a path as pathlib joins them: without `.` and empty steps.

    Of each it is still known which steps are the event's, so that `./../x` leaves the folder.
    """
    joined: list[Any] = []
    for piece in pieces:
        root = "/" if piece.startswith("/") and not joined else ""
        plain = root + "/".join(step for step in piece.split("/") if step not in ("", "."))
        if plain in ("", "/") and joined:
            continue
        if plain != piece:
            guard.provenance.derived(plain, (piece,))
        if joined and not joined[-1].endswith("/"):
            joined.append("/")
        joined.append(piece if plain == piece else plain)
    return joined


def _note_dropped(guard: Guard, folder: str, text: str, result: str) -> None:
    """Note an absolute path of the event that a join puts in the place of the code's folder.

    Whatever folders the code names elsewhere: here it named this one.
    """
    where = absolute(folder)
    if where in ("/", os.getcwd()) or inside(absolute(result), where):
        return
    spans = guard.spans(text)
    origin = guard.taint.is_of(text) if guard.taint is not None else None
    if spans and spans[0].start == 0 and spans[0].checked != "member":
        origin = spans[0].origin
    elif spans or guard.check_of(text) == "member":
        return
    if origin is None:
        return
    if not any(one.start == 0 and one.exact for one in guard.spans(folder)):
        words = "is an absolute path, in front of which a join drops the folder of the code"
        verdict = Verdict(origin, words, FIX)
        _keep(guard, absolute(result), verdict)
        kept: dict[str, Verdict] = guard.provenance.kept.setdefault(DROPPED, {})
        if len(absolute(result)) > 1 and len(kept) < _MAX_LEFT:
            kept[absolute(result)] = verdict


def _is_of_event(guard: Guard, text: str) -> bool:
    if text in ("", "/") or guard.taint is None:
        return False
    if is_known(guard, text):
        return True
    # The event would be decoded for each path that a library makes absolute.
    if text[0] == "/" and text == os.getcwd():
        return False
    if guard.taint.exact(text) is not None:
        return True
    # A framework cuts a path of the event's out of its URL.
    return "../" in text and guard.taint.holding(text) is not None


def _may_tell(guard: Guard, parts: tuple[Any, ...]) -> bool:
    """Tell whether a path has a part of the event, or one in front of which others are dropped.

    Most have neither, such as those of a package's metadata that a library goes through.
    """
    for number, part in enumerate(parts):
        text = text_of(part)
        if text is not None and ((number and text[:1] == "/") or _is_of_event(guard, text)):
            return True
    return False


def _note_parts(guard: Guard, path: object, result: Any) -> None:
    """Note folder and name as made from a path: `os.makedirs` takes it apart as well."""
    text = text_of(path)
    if text is not None and is_known(guard, text):
        for part in result if isinstance(result, tuple) else (result,):
            if type(part) is str and part is not text:
                guard.provenance.derived(part, (text,))


def _note_renamed(guard: Guard, path: str, result: str, added: object) -> None:
    """Note a path whose name was changed, by what is left of it and what was added."""
    verdict = left(guard, path)
    if verdict is not None and not is_checked(guard, path):
        _keep(guard, absolute(result), verdict)
    if not isinstance(added, str) or not (is_known(guard, path) or is_known(guard, added)):
        return
    place = result.rfind(added) if added else -1
    pieces = [result[:place], added, result[place + len(added) :]] if place > 0 else [result]
    for piece in pieces:
        if piece is not added and piece in path:
            guard.provenance.derived(piece, (path,))
    if len(pieces) > 1:
        guard.provenance.joins(result, tuple(piece for piece in pieces if piece))


def patch_pathlib(guard: Guard, module: ModuleType) -> None:
    """Follow `pathlib`, whose paths are made in other places in each version."""
    pure: Any = module.PurePath

    def made(path: Any, parts: tuple[Any, ...]) -> None:
        if not guard.active or not type(path).__name__.endswith("PosixPath"):
            return
        if _may_tell(guard, parts):
            _note_join(guard, str(path), ("", *parts) if len(parts) == 1 else parts)

    if "_make_child" in vars(pure):  # 3.11
        wrap_after(pure, "_make_child", lambda a, n, result: made(result, (a[0], *a[1])))
        wrap_after(pure, "_from_parts", lambda a, n, result: made(result, tuple(a[1])))
    else:
        wrap_after(pure, "__init__", lambda a, n, result: made(a[0], a[1:]))

    def related(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active and result is not False and len(arguments) > 1:
            other = text_of(arguments[1])
            if other is not None:
                guard.provenance.kept[(PREFIX, str(arguments[0]))] = other

    def expanded(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active and str(arguments[0]).startswith("~"):
            note_home(guard, str(arguments[0]), str(result))

    above = pure.parent.fget

    def parent(self: Any) -> Any:
        """The folder that the path is in."""
        result = above(self)
        if guard.active and result is not self:
            _note_parts(guard, str(self), str(result))
        return result

    def renamed(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active and len(arguments) > 1:
            _note_renamed(guard, str(arguments[0]), str(result), arguments[1])

    if not hasattr(above, "__casemate_followed__"):
        parent.__casemate_followed__ = True  # type: ignore[attr-defined]
        pure.parent = property(parent)
    wrap_after(module.Path, "expanduser", expanded)
    for name in ("with_name", "with_stem", "with_suffix"):
        if name in vars(pure):  # what is not, in 3.13, ends in the others
            wrap_after(pure, name, renamed)
    wrap_after(pure, "is_relative_to", related)
    wrap_after(pure, "relative_to", related)


def patch_zipfile(guard: Guard, module: ModuleType) -> None:
    """Names in an archive come from outside: whoever made it chose them."""

    def read(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        if guard.active:
            guard.add("archive", [info.filename for info in arguments[0].filelist])

    wrap_after(module.ZipFile, "_RealGetContents", read)


def _judge_link(guard: Guard, member: Any, where: str) -> Verdict | None:
    """Return a verdict if a link of an archive leads out of the folder that it is unpacked into.

    What comes after it in the archive would be written there, whatever folders the code names.
    """
    name = "/".join(step for step in str(member.name).split("/") if step not in ("", "."))
    place = absolute(where)
    if not place.endswith(f"/{name}"):
        return None  # it is unpacked under another name
    folder = place[: -len(name)]
    begun = folder if member.islnk() else place.rpartition("/")[0] + "/"
    target = member.linkname if member.linkname.startswith("/") else begun + member.linkname
    if inside(absolute(target), absolute(folder)):
        return None
    origin = guard.whole(member.linkname)
    words = "is a link in an archive that leads out of its folder"
    return Verdict(origin, words, _FIX_LINK) if origin is not None else None


def patch_tarfile(guard: Guard, module: ModuleType, name: str) -> None:
    """As zipfile, and with links."""

    def read(arguments: tuple[Any, ...], named: dict[str, Any], member: Any) -> None:
        if guard.active and member is not None:
            guard.add("archive", [member.name, member.linkname])

    def linking(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        member, where = (
            argument(arguments, named, 1, "tarinfo"),
            text_of(argument(arguments, named, 2, "targetpath")),
        )
        if where is not None:
            guard.decide(name, lambda: _judge_link(guard, member, where))

    wrap_after(module.TarFile, "next", read)
    for makes in ("makelink", "makelink_with_filter"):
        if callable(getattr(module.TarFile, makes, None)):
            wrap(module.TarFile, makes, linking)
