"""Commands: shells, lists of arguments, programs that run programs.

By audit events, which carry a command before it runs and see C code; `os.system` and `os.spawn*`
are wrapped as well, because the event of the one has bytes instead of the text that was given, and
that of the other is raised in the child.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from ..command import variables
from ..command.arguments import Argument, judge_environment
from ..command.judgement import Judgement
from ..command.pipes import WatchedPipe
from ..command.programs import DANGEROUS_ENVIRONMENT, MAILERS, SHELLS, base_name
from ..command.reading import INTERPRETERS
from ..core import Guard
from ..evaluation.judgement import judge as judge_python
from ..hooks import argument, wrap
from ..origin import Span
from ..pieces import as_text
from ..sink import Sink
from ..spans import neutral
from ..standing import is_direct, is_known, wrap_after
from ..verdict import Verdict
from . import path

NAME = "command"
_SEEN = ("command", "judged")
_THROUGH = ("subprocess", "os", "pty", "asyncio", "concurrent", "threading", "functools", "shutil")
_WRITTEN = ("/tmp/", "/var/tmp/", "/dev/shm/")  # noqa: S108 - where an instance can write
_SFTP = (
    *("open", "get", "getfo", "put", "putfo", "remove", "listdir", "listdir_attr", "mkdir"),
    *("rmdir", "rename", "posix_rename", "stat", "lstat", "chmod", "chown", "truncate", "chdir"),
)
_READERS = frozenset(
    ("xargs", "parallel", "ssh", "psql", "mysql", "mariadb", "sqlite3", "env", "curl", *MAILERS)
)
_QUOTES = re.compile(r"[\"'\\]")
_MAX_SCRIPT = 256 * 1024
_MAX_NAMED = 4096
_OF_SHELL = ["/bin/sh", "-c"]
_PROCESS = type(os.environ)
_FIX_SPLIT = (
    "make the list of arguments yourself, one for each value, instead of cutting a command line "
    "that holds them"
)


def judgement_of(guard: Guard, folder: object = None) -> Judgement:
    """Return a judgement of commands and scripts.

    Relative paths of scripts count from `folder`, or the working one.
    """
    beside = os.fsdecode(folder) if isinstance(folder, (str, bytes, os.PathLike)) else ""

    def script(file: str) -> tuple[str, Sequence[Span]] | None:
        file = os.path.normpath(os.path.join(os.getcwd(), beside, file))
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
        texts=lambda text: [*guard.readable(text), *guard.spans(text)],
        direct=is_direct(guard, *_THROUGH),
        file=path.operand(guard),
    )


def check_line(guard: Guard, line: object) -> None:
    """Block a shell's command line (BlockedError) that the event has changed."""
    if guard.active and isinstance(line, (str, bytes)):
        judgement = judgement_of(guard)
        guard.check(NAME, line, judgement.line)
        guard.decide(NAME, lambda: judgement.sourced(as_text(line)))
        guard.decide(NAME, lambda: _expanded(guard, judgement, as_text(line), None))
        _meet(guard, line)
        guard.provenance.kept[_SEEN] = as_text(line)


def check_arguments(
    guard: Guard,
    program: object,
    arguments: object,
    environment: object = None,
    folder: object = None,
) -> None:
    """Block a program (BlockedError) that the event has chosen, or given options."""
    if not guard.active:
        return
    judgement = judgement_of(guard, folder)
    guard.decide(NAME, lambda: _verdict(guard, judgement, program, arguments, environment))
    first = arguments[0] if isinstance(arguments, (list, tuple)) and arguments else arguments
    _meet(guard, program if program is not None else first)


def _meet(guard: Guard, command: object) -> None:
    """Note which program it is, unless the code names it."""
    text = os.fspath(command) if isinstance(command, os.PathLike) else command
    if isinstance(text, (str, bytes)) and guard.active and not guard.is_own(text):
        words = as_text(text)[:_MAX_NAMED].split(None, 1)
        guard.meets(NAME, base_name(words[0]) if words else "")


def _verdict(
    guard: Guard, judgement: Judgement, program: object, arguments: object, environment: object
) -> Verdict | None:
    if isinstance(arguments, (str, bytes, os.PathLike)):
        given: Sequence[object] = [arguments]
    else:
        given = list(arguments) if isinstance(arguments, (list, tuple)) else []
    words = [word for item in given if (word := _argument(guard, item)) is not None]
    if given[:2] == _OF_SHELL and not is_known(guard, str(given[0])):
        words[0] = Argument(words[0].value, known=False)  # so `shell=True` begins
    verdict = judgement.arguments(words)
    if verdict is None and program is not None:
        word = _argument(guard, program)
        if word is not None and (not words or word.value != words[0].value):
            verdict = judgement.arguments([word, *words[1:]])
    if verdict is None and isinstance(environment, Mapping):
        verdict = judge_environment(list(_variables(guard, environment)))
    if verdict is None and words and base_name(words[0].value) in SHELLS:
        scripts = (w.value for w in words[1:] if "$" in w.value)
        found = (_expanded(guard, judgement, script, environment) for script in scripts)
        verdict = next((v for v in found if v is not None), None)
    return verdict or _cut(guard, given)


def _variables(guard: Guard, environment: Mapping[Any, Any]) -> Iterator[tuple[Argument, Argument]]:
    """Yield the variables whose name or value the event may have.

    What the process has itself was judged when it was set, or was there before: that an event says
    `1`, too, tells nothing of it.
    """
    # Only in its own kind of mapping does setting one call `os.putenv`, where that is judged.
    own: Mapping[str, str] = os.environ if type(os.environ) is _PROCESS else {}
    for name, value in environment.items():
        if isinstance(name, str) and own.get(name) == value:
            continue
        named, held = _argument(guard, name), _argument(guard, value)
        if named is not None and held is not None and (named.known or held.known):
            yield (
                named if named.known else named._replace(spans=()),
                held if held.known else held._replace(spans=()),
            )


def _expanded(
    guard: Guard, judgement: Judgement, script: str, environment: object
) -> Verdict | None:
    """Judge a script with what its variables hold."""
    given: Mapping[Any, Any] = environment if isinstance(environment, Mapping) else os.environ

    def lookup(name: str) -> Argument | None:
        value = given.get(name)
        found = _argument(guard, value) if value is not None else None
        return found if found is not None and found.doubtful else None

    return variables.judge(script, lookup, lambda a: judgement.arguments(a, 1), judgement.pipe)


def _setting(guard: Guard, arguments: tuple[Any, ...]) -> None:
    """Judge a variable that the process sets for itself and all that it starts: `os.putenv`."""
    name, value = (as_text(os.fsencode(a)) for a in arguments[:2])

    def question() -> Verdict | None:
        if not DANGEROUS_ENVIRONMENT.fullmatch(name):
            return None
        named = Argument(name, [s._replace(exact=True) for s in guard.texts(name) if s.exact])
        held = Argument(value, [s._replace(exact=True) for s in guard.spans(value)])
        if guard.constants.holds(name):
            named = named._replace(spans=())
        return judge_environment([(named, held)])

    guard.decide(NAME, question)


def _argument(guard: Guard, item: object) -> Argument | None:
    text = os.fspath(item) if isinstance(item, os.PathLike) else item
    if not isinstance(text, (str, bytes)):
        return None
    value, spans = as_text(text), guard.spans(text)
    if value.startswith("-") and spans and not any(s.exact for s in spans):
        # `Content-Type` of a request has `-type` of find in it.
        spans = [] if guard.constants.has_option(value) else spans
    return Argument(value, spans, is_known(guard, text))


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
        found = _more_words(source, spans) or _more_quoted(source, spans, given)
        if found is not None:
            return found
    return None


def _more_quoted(source: str, spans: Sequence[Span], given: Sequence[object]) -> Verdict | None:
    """Tell whether data ends its quotes in a text that `shlex.split` has cut into these."""
    quoted = next((s for s in spans if _QUOTES.search(source, s.start, s.end)), None)
    if quoted is None:
        return None
    try:
        words = shlex.split(source)
        expected = shlex.split(neutral(source, spans))
    except ValueError:
        return None
    cut = len(words) != len(expected) and all(word in given for word in words)
    return Verdict(quoted.origin, "becomes more than one argument", _FIX_SPLIT) if cut else None


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
    program, given, folder, environment = arguments[:4]
    if isinstance(given, (list, tuple)) and given and program == given[0]:
        program = None
    check_arguments(guard, program, given, environment, folder)


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
    """Watch what shells and interpreters are given to read, at once or piece by piece."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        _check_read(guard, arguments[0], argument(arguments, named, 1, "input"))

    def started(arguments: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        process: Any = arguments[0]
        if guard.active and process.stdin is not None and _reads(process.args):
            process.stdin = WatchedPipe(
                process.stdin, lambda data: _check_read(guard, process, data)
            )

    wrap(module.Popen, "communicate", before)
    wrap_after(module.Popen, "__init__", started)


def patch_asyncio_subprocess(guard: Guard, module: ModuleType) -> None:
    """Watch what asyncio's processes are given to read."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        transport = getattr(arguments[0], "_transport", None)
        process = transport.get_extra_info("subprocess") if transport is not None else None
        _check_read(guard, process, argument(arguments, named, 1, "input"))

    wrap(module.Process, "communicate", before)


def _words(given: object) -> list[Argument]:
    if isinstance(given, (str, bytes, os.PathLike)):
        given = [given]
    items = given if isinstance(given, (list, tuple)) else ()
    return [Argument(as_text(os.fspath(w))) for w in items if not isinstance(w, int)]


def _reads(given: object) -> bool:
    """Tell whether a program may run what it reads, or give it to one that does."""
    words = [base_name(word.value) for word in _words(given)]
    return any(w in SHELLS or w in INTERPRETERS or w in _READERS for w in words[:4])


def _check_read(guard: Guard, process: Any, text: object) -> None:
    if not guard.active or not isinstance(text, (str, bytes)) or not text:
        return
    given = getattr(process, "args", None)
    words = _words(given)
    judgement = judgement_of(guard)
    guard.check(NAME, text, lambda t, spans: judgement.standard_input(words, t, spans))
    if words and base_name(words[0].value) in SHELLS:
        script = as_text(text)
        guard.decide(
            NAME,
            lambda: judgement.given_to_input(
                [Argument(w.value, guard.spans(w.value)) for w in words], script
            ),
        )


def patch_remote(guard: Guard, module: ModuleType) -> None:
    """Watch paramiko's `exec_command`: its command line is read by a shell elsewhere."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_line(guard, argument(arguments, named, 1, "command"))

    wrap(module.SSHClient, "exec_command", before)


def patch_channel(guard: Guard, module: ModuleType) -> None:
    """Watch paramiko's channels: a command line, or what is typed into a shell elsewhere."""
    started = "__casemate_shell__"

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_line(guard, argument(arguments, named, 1, "command"))

    def sent(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        data = argument(arguments, named, 1, "s")
        if getattr(arguments[0], started, False) and isinstance(data, (str, bytes)):
            check_line(guard, data)

    channel: Any = module.Channel
    wrap(channel, "exec_command", before)
    wrap_after(channel, "invoke_shell", lambda a, n, result: setattr(a[0], started, True))
    for name in ("send", "sendall"):
        wrap(channel, name, sent)


def patch_sftp(guard: Guard, module: ModuleType) -> None:
    """Watch paths on another machine: whether they leave the folder that the code names."""
    judge_path = path.lexical(guard)

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        for text in (*arguments[1:3], *named.values()):
            if isinstance(text, (str, bytes)):
                guard.check(path.NAME, text, judge_path)

    for name in _SFTP:
        if callable(getattr(module.SFTPClient, name, None)):
            wrap(module.SFTPClient, name, before)


def patch_asyncssh(guard: Guard, module: ModuleType) -> None:
    """Watch asyncssh, whose command line a shell elsewhere reads."""

    def before(arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        check_line(guard, named.get("command") or (arguments[1] if len(arguments) > 1 else None))

    for name in ("run", "create_process"):
        wrap(module.SSHClientConnection, name, before)


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
        "os.putenv": _setting,
        "pty.spawn": _pty,
    },
    patches={
        "os": patch_os,
        "subprocess": patch_subprocess,
        "asyncio.subprocess": patch_asyncio_subprocess,
        "paramiko.client": patch_remote,
        "paramiko.channel": patch_channel,
        "paramiko.sftp_client": patch_sftp,
        "asyncssh.connection": patch_asyncssh,
        "pexpect.pty_spawn": patch_pexpect,
    },
)
