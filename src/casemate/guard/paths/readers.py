"""Files that libraries open in C, C++ or Rust: no audit event tells of them.

Where each takes a path: the module, the function or class in it, and the argument. A URL there is
judged as one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from ..core import Guard
from ..hooks import argument
from ..sink import Patch
from ..url.clients import judge_of

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://")

CheckPath = Callable[..., None]
"""Takes the guard and a path."""
Place = tuple[int, tuple[str, ...]]
_FIRST: Place = (0, ("source", "file", "path", "filename", "name", "where"))

_POLARS = (
    *(
        f"{verb}_{kind}"
        for verb in ("read", "scan")
        for kind in ("csv", "parquet", "ipc", "ndjson", "json", "avro", "excel", "ods", "delta")
    ),
    *("read_csv_batched", "read_parquet_schema", "read_parquet_metadata", "read_ipc_stream"),
)

_TABLE: dict[str, tuple[tuple[str, Place], ...]] = {
    "lxml.etree": tuple((name, _FIRST) for name in ("parse", "iterparse")),
    "lxml.objectify": (("parse", (0, ("f", "source"))),),
    "polars": tuple((name, _FIRST) for name in _POLARS),
    "pyarrow": (
        *((name, _FIRST) for name in ("memory_map", "OSFile", "input_stream", "output_stream")),
        ("create_memory_map", _FIRST),
    ),
    "pyarrow.csv": (("read_csv", (0, ("input_file",))), ("open_csv", (0, ("input_file",)))),
    "pyarrow.json": (("read_json", (0, ("input_file",))),),
    "pyarrow.feather": (("read_table", _FIRST), ("read_feather", _FIRST)),
    "pyarrow.orc": (("read_table", _FIRST), ("ORCFile", _FIRST)),
    "pyarrow.parquet": tuple(
        (name, (0, ("source", "where", "path_or_paths")))
        for name in ("read_table", "read_pandas", "read_schema", "read_metadata", "ParquetFile")
    ),
    "pyarrow.dataset": (("dataset", (0, ("source",))),),
    "h5py._hl.files": (("File.__init__", (1, ("name",))),),
    "netCDF4": (("Dataset", (0, ("filename",))),),
    "cv2": (("imread", _FIRST), ("imwrite", _FIRST), ("VideoCapture", _FIRST)),
    "fitz": (("open", _FIRST),),
    "pymupdf": (("open", _FIRST),),
    "rasterio": (("open", (0, ("fp",))),),
    "soundfile": (("read", _FIRST), ("SoundFile", _FIRST)),
    "lmdb": (("open", _FIRST), ("Environment", _FIRST)),
    "onnxruntime": (("InferenceSession", (0, ("path_or_bytes",))),),
    "apsw": (("Connection", (0, ("filename",))),),
    "duckdb": tuple(
        (name, (0, ("path_or_buffer", "file_glob", "database", "file_globs")))
        for name in (
            *("read_csv", "read_json", "read_parquet", "from_csv_auto", "from_parquet", "connect"),
            *(f"DuckDBPyConnection.{n}" for n in ("read_csv", "read_json", "read_parquet")),
            *(f"DuckDBPyConnection.{n}" for n in ("from_csv_auto", "from_parquet")),
        )
    ),
}
"""By module. A name with a dot is a method, whose arguments begin with `self`."""


def patches(check: CheckPath) -> dict[str, Patch]:
    """Return the patches by module; `check` blocks the use of a path."""
    return {module: _patch(check, entries) for module, entries in _TABLE.items()}


def _patch(check: CheckPath, entries: tuple[tuple[str, Place], ...]) -> Patch:
    def patch(guard: Guard, module: ModuleType) -> None:
        for name, place in entries:
            owner: Any = module
            *steps, last = name.split(".")
            for step in steps:
                owner = getattr(owner, step, None)
            if callable(getattr(owner, last, None)):
                shift = 1 if steps and last != "__init__" else 0
                _watch(guard, owner, last, (place[0] + shift, place[1]), check)

    return patch


def _watch(guard: Guard, owner: Any, name: str, place: Place, check: CheckPath) -> None:
    original = getattr(owner, name)
    if isinstance(original, type):
        setattr(owner, name, _watched_class(guard, original, place, check))
        return

    def opening(*arguments: Any, **named: Any) -> Any:
        check_given(guard, argument(arguments, named, place[0], *place[1]), check)
        return original(*arguments, **named)

    opening.__name__ = getattr(original, "__name__", name)
    opening.__doc__ = getattr(original, "__doc__", None)
    setattr(owner, name, opening)


def _watched_class(guard: Guard, base: Any, place: Place, check: CheckPath) -> Any:
    def make(cls: Any, *arguments: Any, **named: Any) -> Any:
        check_given(guard, argument(arguments, named, place[0], *place[1]), check)
        new = base.__new__
        return new(cls) if new is object.__new__ else new(cls, *arguments, **named)

    members = {"__new__": make, "__module__": base.__module__, "__doc__": base.__doc__}
    try:
        return type(base.__name__, (base,), members)
    except TypeError:  # a type that cannot be derived from
        return base


def check_given(guard: Guard, given: Any, check: CheckPath) -> None:
    """Block what a reader is given (BlockedError): a path, a URL, or a list of these."""
    if not guard.active:
        return
    for item in _paths(given):
        text = os.fspath(item)
        if isinstance(text, str) and _URL.match(text):
            judge_of(guard).url(text)
        else:
            check(guard, item)


def _paths(given: Any) -> Iterator[Any]:
    for item in given if isinstance(given, (list, tuple)) else (given,):
        if isinstance(item, (str, os.PathLike)) and not _is_content(item):
            yield item


def _is_content(item: Any) -> bool:
    """Tell whether a text is what is in a file, which some readers take as well."""
    return isinstance(item, str) and ("\n" in item or item.lstrip()[:1] in ("<", "{", "["))
