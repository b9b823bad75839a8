"""Which files have changed since a revision, by asking git.

What is audited may come with a configuration of git of its own, which names programs: none is run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from casemate.audit.repository import ask
from casemate.model.errors import CasemateError

_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./@^~{}-]{0,200}")
_MAX_FILES = 100_000


def require_revision(revision: str) -> None:
    """Raise CasemateError for what git could take for anything but a revision."""
    if not _REVISION.fullmatch(revision):
        raise CasemateError(f"{revision[:80]!r} is not a revision.")


def changed_since(root: Path, revision: str) -> frozenset[str]:
    """Return the files under `root`, relative to it, that differ from a revision or are new.

    Nothing that the repository names is run: no hooks, no filters, no external diff.
    Raises CasemateError if git cannot tell, or tells of more files than are looked at.
    """
    require_revision(revision)
    folder = root if root.is_dir() else root.parent
    off = _filters_off(folder)
    alone = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all")
    difference = ("diff", "--name-only", "-z", "--relative", *alone, "--end-of-options")
    changed = _git(folder, off, *difference, revision, "--", ".")
    new = _git(folder, off, "ls-files", "-z", "--others", "--exclude-standard", "--", ".")
    names = [name for name in (changed + new).split("\0") if name]
    if len(names) > _MAX_FILES:
        raise CasemateError(
            f"More than {_MAX_FILES} files have changed since {revision}.",
            next_step="Audit without --since.",
        )
    return frozenset(names)


def _filters_off(folder: Path) -> dict[str, str]:
    """Return an environment in which no filter that the configuration names has a program.

    To tell whether a file differs git passes it through the filter that attributes name for it, and
    has no option against that. Each is therefore said to be none, which counts before files do.
    """
    asked = ("config", "--null", "--name-only", "--get-regexp", r"^filter\.")
    named = _git(folder, {}, *asked, none_found=1)
    values = {"clean": "", "smudge": "", "process": "", "required": "false"}
    drivers = dict.fromkeys(name.rpartition(".")[0] for name in named.split("\0") if name)
    pairs = [(f"{driver}.{key}", value) for driver in drivers for key, value in values.items()]
    given = os.environ.get("GIT_CONFIG_COUNT", "")  # such as a folder that may be another's
    first = int(given) if given.isdecimal() else 0
    off = {"GIT_CONFIG_COUNT": str(first + len(pairs))}
    for number, (key, value) in enumerate(pairs, first):
        off |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return off


def _git(folder: Path, more: Mapping[str, str], *arguments: str, none_found: int = 0) -> str:
    """Return what git prints; it may also end with the code `none_found`."""
    answer = ask(folder, *arguments, more=more, none_found=none_found)
    if not answer.whole:
        raise CasemateError(
            "More files have changed than are checked.", next_step="Audit without --since."
        )
    return answer.data.decode("utf-8", "surrogateescape")
