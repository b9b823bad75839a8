"""Removing requirements from a file, on trial: all is as it was unless what has to pass passes."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from casemate.cli.errors import CommandError
from casemate.cli.terminal import progress

TEST_SECONDS = 1800.0
MOST_SHOWN = 4000
_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
_BLOCK = """\
import sys

class _Removed:
    names = frozenset({names!r})

    def find_spec(self, name, path=None, target=None):
        parts = name.split(".")
        if any(".".join(parts[:n]) in self.names for n in range(1, len(parts) + 1)):
            raise ModuleNotFoundError(f"No module named {{name!r}}: it is to be removed", name=name)
        return None

sys.meta_path.insert(0, _Removed())
"""


def default_test(root: Path) -> str | None:
    """Return the command that runs a project's tests, where it has any."""
    return f"{shlex.quote(sys.executable)} -m pytest -q" if has_tests(root) else None


def has_tests(root: Path) -> bool:
    """Tell whether a project has tests where pytest looks for them."""
    return (root / "tests").is_dir() or any(root.glob("test_*.py"))


@dataclass(frozen=True)
class Pruning:
    """A requirements file without some lines."""

    path: Path
    before: str
    after: str
    removed: tuple[str, ...]
    """Names of the packages whose lines are gone."""

    @classmethod
    def of(cls, root: Path, name: str, unused: Collection[str]) -> Pruning:
        """Return the file `name` of a project without requirements that are unused.

        Nothing is written yet. CommandError for a file that has to be changed by other means.
        """
        path = root / name
        before = path.read_text(encoding="utf-8")
        if not name.endswith(".txt") or "--hash" in before:
            if unused:
                raise CommandError(
                    f"{name} is not a plain list of requirements, so it is not changed here. "
                    f"Nothing needs: {', '.join(sorted(unused))}.",
                    next_step="Remove them there (uv remove NAME), and lock again.",
                )
            return cls(path, before, before, ())
        kept, removed, continued, dropping = [], [], False, False
        for line in before.splitlines(keepends=True):
            if not continued:
                match = _NAME.match(line)
                named = re.sub(r"[-_.]+", "-", match.group(1)).lower() if match else ""
                dropping = named in unused
                if dropping:
                    removed.append(named)
            if not dropping:
                kept.append(line)
            continued = line.rstrip("\r\n").endswith("\\")
        return cls(path, before, "".join(kept), tuple(sorted(set(removed))))

    def try_out(self, build: Callable[[], object], test: str, blocked: Sequence[str]) -> None:
        """Write the file, build, and run a command that cannot import the modules `blocked`.

        Files are as they were if either fails. Raises CommandError, and what `build` raises.
        """
        folder = self.path.parent
        locks = {path: path.read_bytes() for path in folder.glob(f"{self.path.name}.cp*.lock")}
        try:
            self.path.write_text(self.after, encoding="utf-8")
            build()
            with progress(f"Running {test}"):
                _run(test, folder, blocked)
        except BaseException:
            self.path.write_text(self.before, encoding="utf-8")
            for path in folder.glob(f"{self.path.name}.cp*.lock"):
                if path not in locks:
                    path.unlink()
            for path, content in locks.items():
                path.write_bytes(content)
            raise


def _run(test: str, folder: Path, blocked: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="casemate-") as temporary:
        text = _BLOCK.format(names=sorted(blocked))
        (Path(temporary) / "sitecustomize.py").write_text(text, encoding="utf-8")
        paths = [temporary, os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        try:
            done = subprocess.run(
                shlex.split(test),
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=TEST_SECONDS,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise CommandError(
                f"The tests could not be run: {error}.", next_step="Correct --test."
            ) from error
    if done.returncode:
        said = done.stdout.decode("utf-8", "replace")[-MOST_SHOWN:]
        raise CommandError(
            f"The tests do not pass without these packages; nothing is removed.\n{said}",
            next_step="Look at what fails, or leave the packages. The tests run in this "
            "environment, which has to have what the function needs.",
        )
