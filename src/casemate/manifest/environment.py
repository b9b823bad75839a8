"""What a function's environment may hold, beyond what its table says."""

from __future__ import annotations

from casemate.manifest.kinds import Pattern, Text
from casemate.manifest.locator import KeyPath
from casemate.manifest.problem import ProblemCollector
from casemate.manifest.secret_like import looks_like_secret
from casemate.model.function import MAX_VARIABLE_NAME, VARIABLE_PATTERN

MAX_BYTES = 4096
MAX_VARIABLES = 64

NAMES = Pattern(
    VARIABLE_PATTERN,
    f"a name of at most {MAX_VARIABLE_NAME} letters, digits and underscores that starts with a "
    "letter",
    MAX_VARIABLE_NAME,
)
VALUE = Text(MAX_BYTES)

_RESERVED_STARTS = ("CASEMATE_", "LD_", "PYTHON")
_RESERVED_ENDS = ("_PROXY", "_NUM_THREADS")
_RESERVED = frozenset({"HOME", "LANG", "PATH", "TMPDIR", "TZ"})
"""What the platform sets, or what steers the interpreter, the loader or the way out."""

_FREE = (
    "a name of your own: CASEMATE_..., LD_..., PYTHON..., ..._PROXY, ..._NUM_THREADS, HOME, LANG, "
    "PATH, TMPDIR and TZ belong to the platform"
)


def check_environment(
    variables: dict[str, object], path: KeyPath, problems: ProblemCollector
) -> None:
    """Note names that are taken, values that look like secrets, and too much of it all."""
    total = 0
    for name, value in variables.items():
        upper = name.upper()  # programs read http_proxy as they read HTTP_PROXY
        reserved = upper.startswith(_RESERVED_STARTS) or upper.endswith(_RESERVED_ENDS)
        if reserved or upper in _RESERVED:
            problems.add((*path, name), "a name that is taken", _FREE)
        if not isinstance(value, str):
            continue
        total += len(name) + len(value.encode("utf-8", "surrogatepass")) + 2
        secret = looks_like_secret(name, value)
        if secret is not None:
            problems.add(
                (*path, name),
                f"what looks like {secret}",
                "no secret: keep it with `casemate secrets set`, grant it with "
                "secrets = [...] and ask for it with context.secret(...)",
            )
    if total > MAX_BYTES:
        problems.add(
            path, f"{total} bytes of names and values", f"at most {MAX_BYTES} bytes altogether"
        )
