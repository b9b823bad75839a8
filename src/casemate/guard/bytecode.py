"""The file in which the build keeps the rewritten form of one of the function's own modules.

It lies beside the plain compiled form and is named after what rewrites: a platform that rewrites
in another way has another name for it, does not find it, and rewrites when the module is loaded.
Used by the build, by its compiler in the sandbox, and by the loader. Imports nothing of ours.
"""

from __future__ import annotations

import hashlib
import importlib.util
import marshal
from importlib.machinery import SourcelessFileLoader
from pathlib import Path
from types import CodeType

DEPENDS_ON = (
    *(
        "asking.py",
        "bound_methods.py",
        "bytecode.py",
        "comparisons.py",
        "evaluated.py",
        "fields_set.py",
        "heads.py",
        "in_batches.py",
    ),
    *("in_loops.py", "inlining.py", "looks.py", "methods.py", "names.py", "notes.py"),
    *("merging.py", "plain_names.py", "rewriting.py", "scopes.py"),
)
"""Files beside this one on which the rewritten form depends."""
_UNCHECKED_HASH = (1).to_bytes(4, "little")
"""The flags of PEP 552: named by a hash of the source, and never compared with it."""


def _version() -> str:
    """Return 16 hexadecimal digits for all that the rewritten form depends on."""
    digest = hashlib.sha256()
    for name in DEPENDS_ON:
        source = Path(__file__).with_name(name).read_bytes()
        digest.update(b"%d " % len(source) + source)
    return digest.hexdigest()[:16]


VERSION = _version()
"""Found once, when this is imported: in the base zygote, long before a cold start."""


def kept_path(cached: str) -> str:
    """Return the file's path; `cached` is the path of the plain compiled form (PEP 3147)."""
    return f"{cached.removesuffix('.pyc')}.casemate-{VERSION}.pyc"


def encode(code: CodeType, source: bytes) -> bytes:
    """Return what is kept: an unchecked, hash-based `.pyc` file (PEP 552)."""
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return head + marshal.dumps(code)


def read_kept(fullname: str, path: str) -> CodeType | None:
    """Return the rewritten code that is kept for the source file `path`.

    None if there is none, or if it is anything but whole, of this interpreter and of this file.
    """
    try:
        # By the import system, whose own reading the sinks leave alone.
        kept = kept_path(importlib.util.cache_from_source(path))
        code = SourcelessFileLoader(fullname, kept).get_code(fullname)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, the source is there
        return None
    return code if code is not None and code.co_filename == path else None
