"""Makes wheels of source distributions that a recorded exception accepts.

The project's own build runs, so it runs in the sandbox: without network, with nothing but its
source, the interpreter, and what it says that it needs, which comes as wheels through the same
rules as everything else. No compiler is there. What comes out is looked into like any other wheel,
and kept by the source's hash; the lock then holds the wheel's.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from casemate.build import source_script
from casemate.build.bubblewrap import Finished, Mount, hand_over, run_step
from casemate.build.errors import BuildError, SourceOnlyError
from casemate.build.interpreters import machine
from casemate.build.limits import BUILD_TIMEOUT, INSTALL_TIMEOUT, MIB
from casemate.build.tree import open_regular, remove_tree
from casemate.decoding import DECODING_ERRORS
from casemate.package_index import Release
from casemate.shown_text import printable

if TYPE_CHECKING:
    from casemate.build.uv_process import Served, UvSession

_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}[\t -.0-?A-\[\]-~]{0,300}")
"""On one line, for whoever reads it: uv also ends lines elsewhere. No address and no folder."""
_MAX_REQUIREMENTS = 50
_MAX_BUILT = 256 * MIB
# 1980-01-01, the first time that a zip archive can hold: the same wheel at any time.
_EPOCH = "315532800"


class SourceBuilds:
    """Builds wheels for one build, each source once."""

    def __init__(self, session: UvSession, served: Callable[[], Served]) -> None:
        """Build with the session's interpreter; `served` is where needs come from."""
        self._session = session
        self._served = served

    def wheel(self, release: Release, archive: Path, inspect: Callable[[Path, str], None]) -> Path:
        """Return the wheel of a source distribution that lies at `archive`.

        Raises SourceOnlyError, PoisonedWheelError, and what stands in the way of its needs.
        """
        kept = self._place(release)
        found = sorted(kept.glob("*.whl"))
        if found:
            return found[0]
        work = self._session.work / f"source-{release.sha256}"
        folders = {name: work / name for name in ("source", "needs", "given", "output")}
        for folder in folders.values():
            folder.mkdir(parents=True, mode=0o755)
        try:
            needs = self._needs(release, archive, folders["source"])
            self._install(needs, folders["given"], folders["needs"])
            self._run(
                ["build", "/source", "/output"],
                release,
                [
                    Mount(host=folders["source"], inside="/source", writable=True),
                    Mount(host=folders["output"], inside="/output", writable=True),
                    Mount(host=folders["needs"], inside="/needs"),
                ],
            )
            made = self._made(release, folders["output"], work)
            inspect(made, made.name)
            kept.mkdir(parents=True, exist_ok=True, mode=0o700)
            return Path(shutil.move(made, kept / made.name))
        finally:
            remove_tree(work)

    def _place(self, release: Release) -> Path:
        """Return where a wheel is kept: by source, interpreter and machine."""
        tag = self._session.interpreter.cache_tag
        return self._session.cache.parent / "built" / f"{release.sha256}-{tag}-{machine()}"

    def _needs(self, release: Release, archive: Path, source: Path) -> list[str]:
        """Unpack, and return what the build says that it needs."""
        inside = f"/given/{release.filename}"
        archive.chmod(0o644)
        finished = self._run(
            ["describe", inside, "/source"],
            release,
            [
                Mount(host=archive, inside=inside),
                Mount(host=source, inside="/source", writable=True),
            ],
        )
        try:
            needs = msgspec.json.decode(finished.output, type=list[str])
        except DECODING_ERRORS as error:
            raise _failed(release, "it does not say what its build needs") from error
        if len(needs) > _MAX_REQUIREMENTS or not all(_REQUIREMENT.fullmatch(one) for one in needs):
            raise _failed(release, "its build needs something that is not a released package")
        return needs

    def _install(self, needs: Sequence[str], given: Path, target: Path) -> None:
        if not needs:
            return
        (given / "needs.txt").write_text("".join(f"{one}\n" for one in needs))
        given.chmod(0o755)
        self._session.run(
            ["pip", "install", "-r", "needs.txt", "--target", "/target", "--only-binary", ":all:"],
            given=given,
            target=target,
            timeout=INSTALL_TIMEOUT,
            served=self._served(),
        )

    def _run(self, arguments: Sequence[str], release: Release, mounts: Sequence[Mount]) -> Finished:
        interpreter = self._session.interpreter
        script = Path(source_script.__file__).read_text(encoding="utf-8")
        for mount in mounts:
            if mount.writable:
                hand_over(mount.host)
        finished = run_step(
            interpreter,
            [*(str(interpreter.path), "-s", "-S", "-P", "-c", script), *arguments],
            mounts=mounts,
            environment={
                "HOME": "/tmp",  # noqa: S108  # nosec B108
                "LANG": "C.UTF-8",
                "PATH": "/nonexistent",
                "PYTHONHASHSEED": "0",
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONPATH": "/needs",
                "SOURCE_DATE_EPOCH": _EPOCH,
            },
            folder="/",
            network=False,
            timeout=BUILD_TIMEOUT,
        )
        if finished.status != 0:
            lines = finished.errors.strip().splitlines() or ["it gives no reason"]
            last = printable(lines[-1])[:300]
            raise _failed(release, last)
        return finished

    def _made(self, release: Release, output: Path, work: Path) -> Path:
        """Take the one wheel that was made away from whoever made it."""
        # Of the million that a build may have made, as many as it takes to see that.
        with os.scandir(output) as entries:
            names = [entry.name for entry in itertools.islice(entries, 2)]
        if len(names) != 1 or not re.fullmatch(r"[\w.+-]{1,200}\.whl", names[0], re.ASCII):
            raise _failed(release, "its build made no wheel")
        taken = work / names[0]
        size = 0
        with os.fdopen(open_regular(output / names[0]), "rb") as made, taken.open("xb") as file:
            while chunk := made.read(1 << 20):
                size += len(chunk)
                if size > _MAX_BUILT:
                    raise _failed(release, f"its wheel has more than {_MAX_BUILT // MIB} MiB")
                file.write(chunk)
        return taken


def _failed(release: Release, why: str) -> BuildError:
    return SourceOnlyError(
        f"{release.filename} cannot be built from source in the sandbox: {why.rstrip('.')}.",
        next_step="The sandbox has no network and no compiler. Use a version that has a wheel, or "
        "build one yourself and name its folder with `--find-links`.",
    )
