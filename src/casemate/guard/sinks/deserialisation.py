"""Objects from data: pickle and what is built on it, marshal, YAML, jsonpickle.

By wrappers: `pickle.find_class` is an audit event, but has no data. `marshal` has audit events.
Loaders that make only plain values (`yaml.safe_load`, `json.loads`) are watched for what the code
put together.
"""

from __future__ import annotations

import functools
import io
import os
import re
import weakref
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from .. import fetched
from ..core import Guard
from ..evaluation import choosing
from ..hooks import argument, wrap
from ..in_memory import check_own, found, held_by, writes_in_memory
from ..names import READS_PARAMETERS, READS_PARTS
from ..objects import decrypting, judgement, pickles, read_again
from ..objects.plain import is_plain_array
from ..objects.signatures import patch_hmac
from ..origin import Span
from ..sink import Patch, Sink
from ..standing import is_direct, is_import, is_put_together, wrap_direct
from ..verdict import Judge, Verdict
from ..written import apart
from ..written.lines import before_in_line, is_whole
from ..written.settings import judge_settings, judge_yaml

NAME = "deserialisation"


_SHOWN, _SHOWN_EXTENDED = re.compile(r"%\([^()]{1,200}\)s"), re.compile(r"\$\{[^{}]{1,200}\}")
"""How a setting has another one in it, by which interpolation."""
_FIX_SETTING = (
    "keep what comes from outside in a parser without interpolation: "
    "ConfigParser(interpolation=None), or double its signs: value.replace('%', '%%')"
)
IsPlain = Callable[[bytes], bool]
"""Tells of data that could make any object whether it makes none."""


def check_data(
    guard: Guard,
    data: Any,
    fix: str = judgement.FIX_PICKLE,
    is_plain: IsPlain | None = None,
) -> None:
    """Block objects (BlockedError) that are made of data from outside."""
    if not guard.active:
        return

    def question() -> Verdict | None:
        told = is_plain if _is_read_whole(data) else None
        return judgement.judge_pickle(guard, judgement.content_of(data), fix, is_plain=told)

    guard.decide(NAME, question)


def _is_read_whole(data: Any) -> bool:
    """Tell whether data is read from its beginning: from another place it is other data."""
    tell = getattr(data, "tell", None)
    return isinstance(data, (bytes, bytearray, memoryview)) or (callable(tell) and tell() == 0)


def check_file(
    guard: Guard,
    file: Any,
    fix: str = judgement.FIX_PICKLE,
    is_plain: IsPlain | None = None,
) -> None:
    """As `check_data`, of a file or the path of one."""
    if not guard.active or file is None:
        return
    if isinstance(file, (str, os.PathLike)) and not isinstance(file, bytes):
        path = os.fspath(file)
        if not os.path.isfile(path):
            return

        def question() -> Verdict | None:
            with open(path, "rb") as opened:
                data = judgement.content_of(opened)
                return judgement.judge_pickle(guard, data, fix, is_plain=is_plain)

        guard.decide(NAME, question)
    else:
        check_data(guard, file, fix, is_plain)


def _is_of_values(data: bytes) -> bool:
    """Tell whether a pickle makes values alone."""
    return pickles.is_of_values(data)


# -- pickle ----------------------------------------------------------------------------------------


def patch_pickle(guard: Guard, module: ModuleType) -> None:
    """Watch `load`, `loads` and `Unpickler`, in C and in Python.

    An Unpickler with its own `find_class` has decided what may be made. Of what it lets the pickle
    have, only what runs code, and is not named in the function's own code, is stopped: such a
    `find_class` has a list of what it refuses, which is never whole.
    """
    pickle: Any = module

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_data(guard, argument(arguments, named, 0, "file", "data"), is_plain=_is_of_values)

    for name in ("load", "loads", "_load", "_loads"):
        if callable(getattr(pickle, name, None)):
            wrap(pickle, name, before)
    for name in ("Unpickler", "_Unpickler"):
        if isinstance(getattr(pickle, name, None), type):
            setattr(pickle, name, _unpickler(guard, getattr(pickle, name)))


def _unpickler(guard: Guard, plain: Any) -> Any:
    if plain.__dict__.get("__casemate_watched__"):
        return plain

    def initialise(self: Any, file: Any, *arguments: Any, **named: Any) -> None:
        if type(self).find_class is watched.find_class:
            check_data(guard, file, is_plain=_is_of_values)
        else:
            self.find_class = _finding(guard, self, file)
        plain.__init__(self, file, *arguments, **named)

    members = {
        "__init__": initialise,
        "__casemate_watched__": True,
        "__module__": plain.__module__,
        "__doc__": plain.__doc__,
        "__qualname__": plain.__qualname__,
    }
    watched: Any = type(plain.__name__, (plain,), members)
    return watched


def _finding(guard: Guard, unpickler: Any, read: Any) -> Callable[[str, str], Any]:
    """Return an Unpickler's own `find_class`, whose answers are looked at."""
    own, kept = type(unpickler).find_class, weakref.ref(unpickler)

    def find_class(module: str, name: str) -> Any:
        found = own(kept(), module, name)
        if guard.active and choosing.runs_code(found):
            guard.decide(NAME, lambda: _reached(guard, read, found))
        return found

    return find_class


def _reached(guard: Guard, read: Any, found: Any) -> Verdict | None:
    """Return a verdict if a pickle from outside gets at what runs code, and no text names that."""
    if guard.constants.holds(getattr(found, "__name__", "")):
        return None
    data = judgement.content_of(read)
    origin = judgement.outside(guard, data) if data is not None else None
    if data is None or origin is None or judgement.is_signed(guard, data):
        return None
    return Verdict(origin, "gets at a function that runs code", judgement.FIX_FIND_CLASS)


def patch_context(guard: Guard, module: ModuleType) -> None:
    """Have processes forked, as up to Python 3.13: a child then has the guard as it stands here.

    3.14 would start a server of its own by execve(2), which the sandbox of most functions refuses.
    A method that the code sets itself stays.
    """
    module._default_context._default_context = module._concrete_contexts["fork"]


def patch_reduction(guard: Guard, module: ModuleType) -> None:
    """Watch the `loads` that multiprocessing keeps: it is taken from the C module."""
    plain = module.ForkingPickler.loads

    def loads(data: Any, *arguments: Any, **named: Any) -> Any:
        check_data(guard, data)
        return plain(data, *arguments, **named)

    module.ForkingPickler.loads = staticmethod(loads)


# -- JSON ------------------------------------------------------------------------------------------


def _put_together(judge: Judge, *names: str, place: int = 0) -> Patch:
    """Return a patch of functions that read a text, for those that the code put together.

    It is judged whether data is more in them than texts and whole values.
    """

    def patch(guard: Guard, module: ModuleType) -> None:
        package = module.__name__.partition(".")[0]

        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            text = arguments[place] if len(arguments) > place else None
            # Most are the event's, or are read: neither was seen being made, nor is it searched.
            # To ask has notes sorted in, so it is asked of what the code reads by itself alone.
            if isinstance(text, (str, bytes)) and guard.active:
                check_own(guard, NAME, text, judge)

        for name in names:
            owner, _, last = name.rpartition(".")
            held_in = getattr(module, owner) if owner else module
            wrap_direct(guard, held_in, last, before, package)

    return patch


def _patch_configparser(guard: Guard, module: ModuleType) -> None:
    """Watch settings that the code puts together, also in a file that is none."""
    _put_together(judgement.judge_ini, "RawConfigParser.read_string", place=1)(guard, module)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        file = argument(arguments, named, 1, "f")
        if isinstance(file, io.StringIO) and guard.active and is_direct(guard, "configparser"):
            guard.check(NAME, file.getvalue(), _judge_read)

    wrap(module.RawConfigParser, "read_file", before)
    shown = {module.BasicInterpolation: _SHOWN, module.ExtendedInterpolation: _SHOWN_EXTENDED}

    def before_set(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        value = argument(arguments, named, 3, "value")
        how = shown.get(type(getattr(arguments[0], "_interpolation", None)))
        if isinstance(value, str) and guard.active and how is not None:
            guard.check(NAME, value, lambda text, spans: _judge_setting(guard, text, spans, how))

    wrap(module.RawConfigParser, "set", before_set)


def _judge_setting(
    guard: Guard, text: str, spans: Sequence[Span], shown: re.Pattern[str]
) -> Verdict | None:
    """Judge a setting that shows others where it stands: `%(smtp_password)s`.

    One that the code's own settings show so may be.
    """
    for span in spans:
        found = shown.findall(text, span.start, span.end) if not span.vouched else ()
        if not all(any(one in own for own in guard.constants.texts) for one in found):
            return Verdict(span.origin, "shows another setting in its place", _FIX_SETTING)
    return None


def _judge_read(text: str, spans: Sequence[Span]) -> Verdict | None:
    # Nobody saw it being made: what begins a line, or is a piece, may be of the event's own lines.
    inside = [s for s in spans if not s.is_piece and before_in_line(text, s)]
    return judge_settings(text, inside) if inside else None


# -- YAML ------------------------------------------------------------------------------------------


def patch_yaml(guard: Guard, module: ModuleType) -> None:
    """Watch loaders: those that make objects for tags as well, which the others refuse."""

    def watch(any_class: bool) -> Callable[[tuple[Any, ...], dict[str, Any]], None]:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            stream = argument(arguments, named, 1, "stream")
            if guard.active:
                guard.decide(NAME, lambda: _yaml_verdict(guard, stream, any_class=any_class))
            _check_composed(guard, arguments, named)

        return before

    for name, any_class in (
        ("Loader", True),
        ("UnsafeLoader", True),
        ("CLoader", True),
        ("CUnsafeLoader", True),
        ("FullLoader", False),
        ("CFullLoader", False),
    ):
        loader = getattr(module, name, None)
        if isinstance(loader, type):
            wrap(loader, "__init__", watch(any_class))
    for name in ("SafeLoader", "BaseLoader", "CSafeLoader", "CBaseLoader"):
        loader = getattr(module, name, None)
        if isinstance(loader, type):
            wrap(loader, "__init__", functools.partial(_check_composed, guard))


def _check_composed(guard: Guard, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Block YAML of the code (BlockedError) in which data ends its quotes, or begins a line."""
    text = argument(arguments, named, 1, "stream")
    # What the code put together was seen being made: a file of settings is not searched.
    if not guard.active:
        return
    if isinstance(text, str) and (
        guard.provenance.of(text) is not None or is_put_together(guard, text)
    ):
        guard.check(NAME, text, _judge_composed)
    elif (held := text if isinstance(text, str) else held_by(text)) and writes_in_memory(guard):
        guard.check(NAME, held, found(guard, judge_yaml))


def _judge_composed(text: str, spans: Sequence[Span]) -> Verdict | None:
    # What was found by search may be a part of the event's own YAML, cut or put together.
    seen = [] if is_whole(text, spans) else [s for s in spans if s.exact]
    return judge_yaml(text, seen) if seen else None


def _yaml_verdict(guard: Guard, stream: Any, *, any_class: bool) -> Verdict | None:
    text = judgement.text_of(stream)
    given = judgement.content_of(stream)
    if not given or text is None:
        return None
    if isinstance(given, bytes):
        tagged = any_class and judgement.has_yaml_tags(text)
        origin = judgement.outside(guard, given) if tagged else None
        if origin is not None and not judgement.is_signed(guard, given):
            words = "is loaded by a loader that makes any object"
            return Verdict(origin, words, judgement.FIX_YAML)
    return judgement.judge_yaml(
        guard, given if isinstance(given, str) else text, any_class=any_class
    )


def patch_ruamel(guard: Guard, module: ModuleType) -> None:
    """Watch ruamel.yaml where its type is `unsafe`."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        kinds = getattr(arguments[0], "typ", ())
        if guard.active and "unsafe" in kinds:
            stream = argument(arguments, named, 1, "stream")
            guard.decide(NAME, lambda: _yaml_verdict(guard, stream, any_class=True))

    for name in ("load", "load_all"):
        wrap(module.YAML, name, before)


# -- others ----------------------------------------------------------------------------------------


def patch_jsonpickle(guard: Guard, module: ModuleType) -> None:
    """Watch `decode`, which every name of jsonpickle ends in."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = argument(arguments, named, 0, "string")
        if guard.active and isinstance(text, (str, bytes)):
            given = text if isinstance(text, str) else text.decode(errors="surrogateescape")
            classes = argument(arguments, named, 6, "classes")
            guard.decide(NAME, lambda: judgement.judge_jsonpickle(guard, given, classes))

    def before_restore(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        document = argument(arguments, named, 1, "obj")
        if guard.active and isinstance(document, (dict, list, tuple)):
            classes = argument(arguments, named, 3, "classes")
            guard.decide(NAME, lambda: judgement.judge_restored(guard, document, classes))

    wrap(module, "decode", before)
    wrap(module.Unpickler, "restore", before_restore)


def patch_jsonpickle_package(guard: Guard, module: ModuleType) -> None:
    """Watch the name in the package, which was taken from its module."""
    for name in ("decode", "loads"):
        if callable(getattr(module, name, None)):
            patch_name = name

            def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
                text = argument(arguments, named, 0, "string")
                if guard.active and isinstance(text, (str, bytes)):
                    given = text if isinstance(text, str) else text.decode(errors="replace")
                    classes = argument(arguments, named, 6, "classes")
                    guard.decide(NAME, lambda: judgement.judge_jsonpickle(guard, given, classes))

            wrap(module, patch_name, before)


def _files(
    fix: str,
    *names: str,
    only: Callable[[dict[str, Any], tuple[Any, ...]], bool] | None = None,
    is_plain: IsPlain | None = None,
) -> Patch:
    """Return a patch of functions whose first argument is a file, a path or data."""

    def patch(guard: Guard, module: ModuleType) -> None:
        def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
            if only is None or only(named, arguments):
                file = argument(arguments, named, 0, "file", "f", "filename", "data", "s", "str")
                file = named.get("filepath_or_buffer") if file is None else file
                check_file(guard, file, fix, is_plain)

        for name in names:
            if callable(getattr(module, name, None)):
                wrap(module, name, before)

    return patch


def _allows_pickle(named: dict[str, Any], arguments: tuple[Any, ...]) -> bool:
    return bool(named.get("allow_pickle", arguments[2] if len(arguments) > 2 else False))


def _makes_any(named: dict[str, Any], arguments: tuple[Any, ...]) -> bool:
    return named.get("weights_only") is not True


def _marshal(guard: Guard, arguments: tuple[Any, ...]) -> None:
    data = arguments[0] if arguments else None
    if isinstance(data, (bytes, bytearray)) and not is_import():
        check_data(guard, bytes(data))


_JSON = ("json", "orjson", "rapidjson", "simplejson", "ujson")
_TOML = ("rtoml", "toml.decoder", "tomli", "tomllib", "tomlkit.api")

SINK = Sink(
    name=NAME,
    summary="pickle, marshal, YAML with unsafe loaders: data from outside must not make objects.",
    audit={"marshal.loads": _marshal},
    calls={
        READS_PARAMETERS: functools.partial(read_again.read_form, NAME),
        READS_PARTS: apart.read_parts,
    },
    patches={
        **decrypting.patches(),
        **read_again.patches(NAME),
        "botocore.client": fetched.patch,
        "pickle": patch_pickle,
        "_pickle": patch_pickle,
        "hmac": patch_hmac,
        **dict.fromkeys(_JSON, _put_together(judgement.judge_json, "loads")),
        **dict.fromkeys(_TOML, _put_together(judgement.judge_toml, "loads")),
        "configparser": _patch_configparser,
        "yaml": patch_yaml,
        "ruamel.yaml.main": patch_ruamel,
        "jsonpickle.unpickler": patch_jsonpickle,
        "jsonpickle": patch_jsonpickle_package,
        "dill._dill": _files(judgement.FIX_PICKLE, "load", "loads", is_plain=_is_of_values),
        "multiprocessing.reduction": patch_reduction,
        "multiprocessing.context": patch_context,
        "cloudpickle.cloudpickle": _files(
            judgement.FIX_PICKLE, "load", "loads", is_plain=_is_of_values
        ),
        "joblib.numpy_pickle": _files(judgement.FIX_PICKLE, "load", is_plain=_is_of_values),
        "numpy": _files(judgement.FIX_ARRAY, "load", only=_allows_pickle, is_plain=is_plain_array),
        "pandas.io.pickle": _files(judgement.FIX_FRAME, "read_pickle", is_plain=_is_of_values),
        "torch.serialization": _files(judgement.FIX_PICKLE, "load", only=_makes_any),
    },
)
