"""The sandbox of a build with a bundle in it: no network, no file of the host but what is named."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casemate.build import Interpreter
    from casemate.build.bubblewrap import Finished, Mount
    from casemate.build.bundle import BuiltBundle

START = (
    "import sys; sys.path.insert(0, '/casemate'); from casemate.runner.{module} import main; main()"
)
"""What starts a module of the runner in the sandbox."""
_ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"}


def command_in_sandbox(built: BuiltBundle, program: str, *, seconds: float) -> list[str]:
    """Return what starts a program in Python beside a bundle, for who starts it."""
    from casemate.build.bubblewrap import step_command

    interpreter = interpreter_of(built)
    return step_command(
        interpreter,
        [*_python(interpreter), "-u", "-c", program],
        mounts=[*_runner(), *_of_bundle(built)],
        environment=_ENVIRONMENT,
        folder="/",
        network=False,
        timeout=seconds,
    )


def run_program(
    built: BuiltBundle,
    program: str,
    *,
    given: bytes,
    seconds: float,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run a program in Python beside a bundle to its end. Raises BuildTimeoutError."""
    from casemate.build.bubblewrap import run_step

    interpreter = interpreter_of(built)
    return run_step(
        interpreter,
        [*_python(interpreter), "-c", program],
        mounts=[*_runner(), *_of_bundle(built)],
        environment={**_ENVIRONMENT, **(environment or {})},
        folder="/",
        network=False,
        timeout=seconds,
        stdin=given,
    )


def run_in_project(
    built: BuiltBundle,
    arguments: Sequence[str],
    *,
    project: Path,
    site: Path | None,
    paths: Sequence[str],
    seconds: float,
) -> Finished:
    """Run Python with arguments in a project, a copy that it may write to, with a bundle's `deps`.

    They come before `site`, a folder of installed packages, and what is at `paths` in the project.
    """
    import casemate
    from casemate.build.bubblewrap import Mount, run_step

    interpreter = interpreter_of(built)
    mounts = [
        *_of_bundle(built, parts=("deps",)),
        Mount(host=Path(casemate.__file__).resolve().parent, inside="/casemate/casemate"),
        Mount(host=project, inside="/project", writable=True),
    ]
    found = ["/function/deps", *(f"/project/{path}".rstrip("/.") for path in paths), "/project"]
    own: dict[str, str] = {}
    if site is not None:
        mounts.append(Mount(host=site, inside="/site"))
        found.append("/site")
        if site.parent.name != f"python{interpreter.minor}":
            # Plugins of another version of Python may have native code that is none here.
            own["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment: Mapping[str, str] = {
        **_ENVIRONMENT,
        **own,
        "HOME": "/tmp",  # noqa: S108  # nosec B108
        "PYTHONPATH": os.pathsep.join([*dict.fromkeys(found), "/casemate"]),
    }
    return run_step(
        interpreter,
        [*_python(interpreter), *arguments],
        mounts=mounts,
        environment=environment,
        folder="/project",
        network=False,
        timeout=seconds,
    )


def interpreter_of(built: BuiltBundle) -> Interpreter:
    """Return the interpreter that a bundle was built for."""
    from casemate.build import choose_interpreter, find_interpreters

    today = date.today()
    found = find_interpreters(today=today, environ=os.environ)
    return choose_interpreter(found, built.manifest.function.python, today=today)[0]


def _python(interpreter: Interpreter) -> tuple[str, ...]:
    return (str(interpreter.path), "-s", "-S", "-P")


def _runner() -> list[Mount]:
    import casemate
    from casemate.build.bubblewrap import Mount

    ours = Path(casemate.__file__).resolve().parent
    return [
        Mount(host=ours / name, inside=f"/casemate/casemate/{name}")
        for name in ("runner", "guard", "kernel")
    ]


def _of_bundle(built: BuiltBundle, parts: Sequence[str] = ("code", "deps")) -> list[Mount]:
    from casemate.build.bubblewrap import Mount

    return [
        Mount(host=built.path / name, inside=f"/function/{name}")
        for name in parts
        if (built.path / name).is_dir()
    ]
