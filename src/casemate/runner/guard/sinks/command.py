"""Commands: shells, lists of arguments, programs that run programs.

By audit events, which carry a command before it runs and see C code; `os.system` and `os.spawn*`
are wrapped as well, because the event of the one has bytes instead of the text that was given, and
that of the other is raised in the child.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ..command.arguments import Argument, judge_environment
from ..command.judgement import Judgement
from ..core import Guard
from ..evaluation.judgement import judge as judge_python
from ..hooks import argument, wrap
from ..origin import Span
from ..sink import Sink, Verdict
from ..standing import is_direct, is_known
from ..tracing import as_text
from . import path

NAME = "command"
_SEEN = ("command", "judged")
_THROUGH = ("subprocess", "os", "pty", "asyncio", "concurrent", "threading", "functools", "shutil")
_WRITTEN = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108 - where an instance can write
_MAX_SCRIPT = 256 * 1024
_FIX_SPLIT = (
    "make the list of arguments yourself, one for each value, instead of cutting a command line "
    "that holds them"
)


def _judgement(guard: Guard) -> Judgement:
    def script(file: str) -> tuple[str, Sequence[Span]] | None:
        if not file.startswith(_WRITTEN):
            return None
        with contextlib.suppress(OSError, ValueError):
            if os.stat(file).st_size <= _MAX_SCRIPT:
                with open(file, encoding="utf-8", errors="surrogateescape") as opened:
                    text = opened.read()
                if text and not text.startswith("\x7fELF"):
                    return text, guard.spans(text)
        return None

    return Judgement(
        judge_python,
        path.lexical(guard),
        script=script,
        texts=guard.texts,
        direct=is_direct(guard, *_THROUGH),
    )


def check_line(guard: Guard, line: object) -> None:
    """Block a shell's command line (BlockedError) that the event has changed."""
    if guard.active and isinstance(line, (str, bytes)):
        judgement = _judgement(guard)
        guard.check(NAME, line, judgement.line)
        guard.provenance.kept[_SEEN] = as_text(line)


def check_arguments(
    guard: Guard, program: object, arguments: object, environment: object = None
) -> None:
    """Block a program (BlockedError) that the event has chosen, or given options."""
    if not guard.active:
        return
    judgement = _judgement(guard)
    guard.decide(NAME, lambda: _verdict(guard, judgement, program, arguments, environment))


def _verdict(
    guard: Guard, judgement: Judgement, program: object, arguments: object, environment: object
) -> Verdict | None:
    if isinstance(arguments, (str, bytes, os.PathLike)):
        given: Sequence[object] = [arguments]
    else:
        given = list(arguments) if isinstance(arguments, (list, tuple)) else []
    words = [word for item in given if (word := _argument(guard, item)) is not None]
    verdict = judgement.arguments(words)
    if verdict is None and program is not None:
        word = _argument(guard, program)
        if word is not None and (not words or word.value != words[0].value):
            verdict = judgement.arguments([word, *words[1:]])
    if verdict is None and isinstance(environment, dict):
        variables = [
            (as_text(name), word)
            for name, value in environment.items()
            if isinstance(name, (str, bytes)) and (word := _argument(guard, value)) is not None
            if is_known(guard, value)
        ]
        verdict = judge_environment(variables)
    return verdict or _cut(guard, given)


def _argument(guard: Guard, item: object) -> Argument | None:
    text = os.fspath(item) if isinstance(item, os.PathLike) else item
    if not isinstance(text, (str, bytes)):
        return None
    return Argument(as_text(text), guard.spans(text), is_known(guard, text))


def _cut(guard: Guard, given: Sequence[object]) -> Verdict | None:
    """Arguments cut from one text: with harmless data in it, are they as many?"""
    for item in given:
        made = guard.provenance.of(item)
        source = made.parts[0] if made is not None and made.kind == "derived" and made.parts else ""
        if not isinstance(source, str) or len(source.split()) < 2:
            continue
        spans = [s for s in guard.spans(source) if not s.checked]
        if not spans or (spans[0].start == 0 and spans[0].end == len(source)):
            continue
        found = _more_words(source, spans)
        if found is not None:
            return found
    return None


def _more_words(source: str, spans: Sequence[Span]) -> Verdict | None:
    for span in spans:
        part = source[span.start : span.end]
        quoted = source[: span.start].count("'") % 2 or source[: span.start].count('"') % 2
        if len(part.split()) > 1 and not quoted:
            return Verdict(span.origin, "becomes more than one argument", _FIX_SPLIT)
    return None


# -- audit events ----------------------------------------------------------------------------------


def _system(guard: Guard, arguments: tuple[Any, ...]) -> None:
    line = arguments[0]
    # The wrapper has judged it already, by the text that was given.
    if guard.provenance.kept.pop(_SEEN, None) != as_text(line):
        check_line(guard, line)


def _popen(guard: Guard, arguments: tuple[Any, ...]) -> None:
    program, given, _, environment = arguments[:4]
    if isinstance(given, (list, tuple)) and given and program == given[0]:
        program = None
    check_arguments(guard, program, given, environment)


def _exec(guard: Guard, arguments: tuple[Any, ...]) -> None:
    program, given, environment = arguments[:3]
    check_arguments(guard, program, given, environment)


def _pty(guard: Guard, arguments: tuple[Any, ...]) -> None:
    check_arguments(guard, None, arguments[0])


# -- wrappers --------------------------------------------------------------------------------------


def patch_os(guard: Guard, module: ModuleType) -> None:
    """Watch `os.system` with the very text, and `os.spawn*` before they fork."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_line(guard, argument(arguments, named, 0, "command"))

    def before_spawn(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _, program, given, environment = (*arguments, None)[:4]
        check_arguments(guard, program, given, environment)

    wrap(module, "system", before)
    wrap(module, "_spawnvef", before_spawn)


def patch_subprocess(guard: Guard, module: ModuleType) -> None:
    """Watch what shells and interpreters are given to read."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        text = argument(arguments, named, 1, "input")
        given = getattr(arguments[0], "args", None)
        if not guard.active or not isinstance(text, (str, bytes)) or not text:
            return
        if isinstance(given, (str, bytes, os.PathLike)):
            given = [given]
        judgement = _judgement(guard)
        words = [Argument(as_text(os.fspath(w))) for w in given or () if not isinstance(w, int)]
        guard.check(NAME, text, lambda t, spans: judgement.standard_input(words, t, spans))

    wrap(module.Popen, "communicate", before)


def patch_remote(guard: Guard, module: ModuleType) -> None:
    """Watch paramiko's `exec_command`: its command line is read by a shell elsewhere."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_line(guard, argument(arguments, named, 1, "command"))

    wrap(module.SSHClient, "exec_command", before)


def patch_pexpect(guard: Guard, module: ModuleType) -> None:
    """Watch pexpect, which cuts a command line into arguments itself."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        command = argument(arguments, named, 1, "command")
        given = argument(arguments, named, 2, "args")
        if given:
            check_arguments(guard, command, [command, *given])
        else:
            check_line(guard, command)

    wrap(module.spawn, "__init__", before)


SINK = Sink(
    name=NAME,
    summary="Programs and shells: data must stay one argument, and no option.",
    audit={
        "os.system": _system,
        "subprocess.Popen": _popen,
        "os.exec": _exec,
        "os.posix_spawn": _exec,
        "pty.spawn": _pty,
    },
    patches={
        "os": patch_os,
        "subprocess": patch_subprocess,
        "paramiko.client": patch_remote,
        "pexpect.pty_spawn": patch_pexpect,
    },
)
