"""Paths: what opens, lists, makes, moves and removes files.

By audit events, which every call of `open`, `os`, `shutil`, `pathlib`, `zipfile` and `tarfile` ends
in; what only looks at a file, and what libraries open in C, is wrapped. `os.path` and `pathlib` are
wrapped to follow how paths are put together.
"""

from __future__ import annotations

import functools
import inspect
import posixpath
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from .. import aws_calls
from ..core import Guard
from ..hooks import argument, wrap
from ..lone_signs import origin_of_sign
from ..origin import Origin, Span
from ..paths import climbing, following, looking, members, metadata, readers, uris
from ..paths.judgement import FIX, FIX_PATTERN, STANDS, inside, judge, judge_pattern, resolved
from ..pieces import as_text
from ..sink import AuditHook, Sink
from ..standing import is_import, is_known, is_of_caller, wrap_direct
from ..verdict import Verdict

NAME = "path"
_SECRET_ENDS = (".py", ".pyc", ".env", ".pem", ".key", ".toml", ".cfg", ".ini")
_FIX_OWN = "choose files of the bundle from a collection in the code, or keep them in a folder"

_BESIDE = "begins like the folder it was compared with, and is not in it"
_ON_LINKS = frozenset(("os.remove", "os.rmdir", "os.rename", "shutil.move", "shutil.rmtree"))
"""Events of calls that work on a link itself."""
_MAX_FOLDERS = 16
_COMPARED = ("path", "compared")
_FOLDERS = {
    **{"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2},
    **{"os.chmod": 2, "os.chown": 3, "os.utime": 3},
}
"""Where an event has the open folder that its path is in, -1 for none."""


def check(guard: Guard, path: object, *, last: bool = True) -> None:
    """Block the use of a path (BlockedError) that leads where the event wants."""
    if guard.active and not isinstance(path, int) and path is not None:
        guard.decide(NAME, lambda: verdict_on(guard, path, last=last))


def verdict_on(guard: Guard, path: object, *, last: bool = True) -> Verdict | None:
    """Return a verdict on a path."""
    text = following.text_of(path)
    if not text:
        return None
    verdict = following.left(guard, text)
    if verdict is None or following.is_checked(guard, text):
        verdict = following.dropped_in(guard, text)
    if verdict is None and not following.is_checked(guard, text):
        verdict = climbing.verdict_joined(guard, text)
    if verdict is not None:
        return verdict
    sure = is_known(guard, path) or is_known(guard, text)
    if not sure and is_of_caller(guard, text):
        return None
    spans = guard.spans(path if isinstance(path, str) else text)
    if not spans:
        return climbing.verdict_below(guard, text) if climbing.has_left(guard) else None
    spans = [_behind_folder(guard, text, span) for span in spans]
    beside = next((s for s in spans if _climbs(guard, text[s.start : s.end])), None)
    if beside is not None or (sure and following.is_beside(guard, text)):
        return Verdict((beside or spans[0]).origin, _BESIDE, FIX)
    folders = following.Folders(guard)
    allow = folders.allow if any(s.exact for s in spans) else folders.allow_above
    verdict = judge(text, spans, allowed=allow, follow=True, last=last, sure=sure)
    return verdict or climbing.verdict_below(guard, text) or _own(guard, text, spans[0])


def _climbs(guard: Guard, part: str) -> bool:
    """Tell whether the code has asked a path for its beginning, a folder which it then leaves."""
    if "/../" not in f"{part}/":
        return False
    where = posixpath.normpath(part)
    for question in guard.provenance.asked_of(part):
        if question.place >= 0 or question.function.__name__ != "startswith":
            continue
        given = question.arguments[0] if question.arguments else ""
        for begun in given if isinstance(given, tuple) else (given,):
            folder = posixpath.normpath(begun) if isinstance(begun, str) and "/" in begun else ""
            if folder not in ("", ".", "/") and part.startswith(begun):
                return not f"{where}/".startswith(f"{folder}/")
    return False


def _behind_folder(guard: Guard, path: str, span: Span) -> Span:
    """Return a span that was found by search from where a folder of the code's ends.

    Of `/media/../x` in `/srv/media/../x` the code's `/srv/media` is none of the event's.
    """
    if span.exact and span.start == 0:
        return span
    above = path.find("/..", span.start, span.end)
    for _ in range(_MAX_FOLDERS if above > span.start else 0):
        if guard.constants.holds(path[:above]):
            return span._replace(start=above)
        above = path.rfind("/", span.start + 1, above)
        if above < 0:
            break
    return span


def _own(guard: Guard, path: str, span: Span) -> Verdict | None:
    """A file that the event alone chooses must not be one of the code's."""
    if "/" in path[: span.start] or not span.exact or span.checked or path.startswith("/"):
        return None
    where = resolved(path)
    name = where.rpartition("/")[2]
    if inside(where, guard.root) and (name.endswith(_SECRET_ENDS) or name.startswith(".")):
        return Verdict(span.origin, "chooses a file of the function's own code", _FIX_OWN)
    return None


def lexical(guard: Guard) -> Callable[[str, Any], Verdict | None]:
    """Return a judgement of paths in other texts, such as arguments of commands."""

    def judge_text(text: str, spans: Any) -> Verdict | None:
        inside_names = [s for s in spans if "/" in text[: s.start]]
        if not inside_names or ".." not in text:
            return None
        return judge(text, inside_names, allowed=lambda path: True)

    return judge_text


def operand(guard: Guard) -> Callable[[str, Any], Verdict | None]:
    """Return a judgement of names of files that the code hands to a program as they are."""

    def judge_name(text: str, spans: Any) -> Verdict | None:
        if ".." not in text and not text.startswith("/"):
            return None
        return judge(text, spans, allowed=following.Folders(guard).allow)

    return judge_name


def _first(event: str) -> AuditHook:
    folder = _FOLDERS.get(event, 0)

    def hook(guard: Guard, arguments: tuple[Any, ...]) -> None:
        within = folder and _is_name_in(arguments[0], *arguments[folder : folder + 1])
        if not within and not is_import():
            check(guard, arguments[0], last=event not in _ON_LINKS)

    return hook


def _is_name_in(path: object, folder: object = -1) -> bool:
    """Tell whether a path is a single name in an open folder: it leads nowhere else."""
    if not isinstance(folder, int) or folder < 0:
        return False
    text = following.text_of(path)
    return text is not None and "/" not in text and text not in (".", "..")


def _is_taken_down(path: object) -> bool:
    """Tell whether `shutil` opens a folder in another to remove what is in it, by its name."""
    frame = sys._getframe(2).f_back
    if frame is None or not frame.f_code.co_name.startswith("_rmtree_safe_fd"):
        return False
    return frame.f_globals.get("__name__") == "shutil" and _is_name_in(path, 0)


def _two(event: str) -> AuditHook:
    def hook(guard: Guard, arguments: tuple[Any, ...]) -> None:
        check(guard, arguments[0], last=event not in _ON_LINKS)
        check(guard, arguments[1], last=event not in _ON_LINKS)

    return hook


def _opened(guard: Guard, arguments: tuple[Any, ...]) -> None:
    path = arguments[0]
    # Loaders open modules late, but also what the code hands to them.
    if isinstance(path, int) or _is_taken_down(path):
        return
    if guard.files.get(path) is path and _is_shown():
        return
    if not is_import() or guard.provenance.of(path) is not None:
        check(guard, path)


def _is_shown() -> bool:
    """Tell whether `linecache` opens a file, for who shows lines of code or asks for its source.

    FastAPI does so in the first call of a process. The name that code has for its file is an object
    of its own; a text of the event with the same characters is another, and is judged.
    """
    frame = sys._getframe(2).f_back
    above = frame.f_back if frame is not None else None
    module = sys.modules.get("linecache")
    return above is not None and module is not None and above.f_globals is vars(module)


def _database(guard: Guard, arguments: tuple[Any, ...]) -> None:
    """SQLite's files, whose names can be URIs."""
    check(guard, arguments[0])
    name = following.text_of(arguments[0])
    if name is not None and uris.is_uri(name):
        allow = following.Folders(guard).allow
        guard.check(NAME, name, lambda text, spans: uris.judge_uri(text, spans, allowed=allow))


def _symlink(guard: Guard, arguments: tuple[Any, ...]) -> None:
    target, link = following.text_of(arguments[0]), following.text_of(arguments[1])
    check(guard, arguments[1], last=False)
    if target is None or link is None or not guard.active:
        return
    place, name = target, link

    def question() -> Verdict | None:
        if place.startswith("/"):
            return verdict_on(guard, place)
        folder = name.rpartition("/")[0] or "."
        spans = [s.moved(len(folder) + 1) for s in guard.spans(place)]
        return judge(f"{folder}/{place}", spans) if spans else None

    guard.decide(NAME, question)


def _check_pattern(guard: Guard, pattern: str | bytes) -> None:
    """Block a pattern for names (BlockedError) in which data stands for others."""
    guard.check(NAME, pattern, judge_pattern)
    if not guard.is_own(pattern):
        guard.decide(NAME, lambda: _judge_star(guard, pattern))


def _judge_star(guard: Guard, pattern: str | bytes) -> Verdict | None:
    """Judge a star beside one of the code's own."""
    text = as_text(pattern)
    origin = origin_of_sign(guard, pattern, "*") if text.count("*") > 1 else None
    return Verdict(origin, STANDS, FIX_PATTERN) if origin is not None else None


def _glob(guard: Guard, arguments: tuple[Any, ...]) -> None:
    if len(arguments) > 1 and isinstance(arguments[1], str):  # pathlib: folder and pattern
        check(guard, arguments[0])
        pattern = arguments[1]

        def question() -> Verdict | None:
            spans = guard.spans(pattern)
            base = "/-/"
            moved = [s.moved(len(base)) for s in spans]
            return judge(base + pattern, moved) or judge_pattern(pattern, spans) if spans else None

        guard.decide(NAME, question)
    else:
        check(guard, arguments[0])
        if isinstance(arguments[0], (str, bytes)):
            _check_pattern(guard, arguments[0])


@aws_calls.looking
def _key(guard: Guard, service: str, operation: str, given: Mapping[str, Any]) -> None:
    """Judge keys of objects in S3 that the code has resolved as paths: `normpath`."""
    key = given.get("Key") if service == "s3" else None
    if isinstance(key, str) and "/" in key:
        guard.decide(NAME, lambda: following.left(guard, key) or climbing.verdict_on(guard, key))


def _library(guard: Guard, arguments: tuple[Any, ...]) -> None:
    name = arguments[0]

    def question() -> Verdict | None:
        origin: Origin | None = guard.whole(name) if is_known(guard, name) else None
        words = "chooses the library that is loaded"
        return Verdict(origin, words, _FIX_OWN) if origin is not None else None

    if isinstance(name, (str, bytes)):
        guard.decide(NAME, question)


def _patch_importlib(guard: Guard, module: ModuleType) -> None:
    """Watch modules that the code loads from files: what is compiled already is opened as such."""
    wrap(
        module,
        "spec_from_file_location",
        lambda arguments, named: check(guard, argument(arguments, named, 1, "location")),
    )


def _patch_pathlib(guard: Guard, module: ModuleType) -> None:
    """Watch patterns that paths are compared with, besides what follows how paths are made."""
    following.patch_pathlib(guard, module)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _compare(guard, argument(arguments, named, 1, "path_pattern", "pattern"))

    for name in ("match", "full_match"):
        if hasattr(module.PurePath, name):
            wrap_direct(guard, module.PurePath, name, before, "pathlib")


def _compare(guard: Guard, pattern: object) -> None:
    """Block a pattern (BlockedError) that data has widened, unless it was just looked at.

    Between two stars of the code's own, data that stands for any name finds what none would.
    """
    if type(pattern) is not str or pattern is guard.provenance.kept.get(_COMPARED):
        return
    guard.provenance.kept[_COMPARED] = pattern
    between = pattern.strip("*")
    words = not between or any(map(str.isalnum, between))
    if not (pattern[:1] == pattern[-1:] == "*" and words):
        _check_pattern(guard, pattern)


def _patch_fnmatch(guard: Guard, module: ModuleType) -> None:
    """Watch patterns that the code compares names with; each is looked at once in a row."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _compare(guard, argument(arguments, named, 1, "pat"))

    def passing(function: Callable[..., Any]) -> Callable[..., Any]:
        plain = inspect.unwrap(function)

        @functools.wraps(function)
        def now(*arguments: Any, **named: Any) -> Any:
            # Who asks takes long to find out; of a pattern that the code has written nothing is.
            if len(arguments) == 2 and type(arguments[1]) is str and is_literal(arguments[1]):
                return plain(*arguments, **named)
            return function(*arguments, **named)

        now.__casemate_passes__ = True  # type: ignore[attr-defined]
        return now

    is_literal = guard.constants.is_literal
    for name in ("fnmatch", "fnmatchcase", "filter"):
        if not hasattr(getattr(module, name), "__casemate_passes__"):
            wrap_direct(guard, module, name, before)
            setattr(module, name, passing(getattr(module, name)))


def _patch_zipfile(guard: Guard, module: ModuleType) -> None:
    following.patch_zipfile(guard, module)
    members.patch_zipfile(guard, module)


def _patch_tarfile(guard: Guard, module: ModuleType) -> None:
    following.patch_tarfile(guard, module, NAME)
    members.patch_tarfile(guard, module)


_FIRST = (
    "os.chdir",
    "os.chflags",
    "os.chmod",
    "os.chown",
    "os.getxattr",
    "os.listdir",
    "os.listxattr",
    "os.mkdir",
    "os.remove",
    "os.removexattr",
    "os.rmdir",
    "os.scandir",
    "os.setxattr",
    "os.truncate",
    "os.utime",
    "os.walk",
    "shutil.rmtree",
    "shutil.chown",
    "shutil.make_archive",
    "tempfile.mkdtemp",
    "tempfile.mkstemp",
)
_TWO = (
    "os.link",
    "os.rename",
    "shutil.copyfile",
    "shutil.copymode",
    "shutil.copystat",
    "shutil.copytree",
    "shutil.move",
    "shutil.unpack_archive",
)

SINK = Sink(
    name=NAME,
    summary="Files: a path must stay in the folder that the code names, after it is resolved.",
    audit={
        "open": _opened,
        "os.symlink": _symlink,
        "glob.glob": _glob,
        "pathlib.Path.glob": _glob,
        "pathlib.Path.rglob": _glob,
        "ctypes.dlopen": _library,
        "sqlite3.connect": _database,
        **{event: _first(event) for event in _FIRST},
        **{event: _two(event) for event in _TWO},
    },
    patches={
        **readers.patches(check),
        **metadata.patches(),
        "os": looking.patch_os(check),
        "fnmatch": _patch_fnmatch,
        "importlib.util": _patch_importlib,
        "posixpath": following.patch_posixpath,
        "pathlib": _patch_pathlib,
        "botocore.client": aws_calls.patch,
        "zipfile": _patch_zipfile,
        "tarfile": _patch_tarfile,
    },
)
