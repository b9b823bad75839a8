"""Runs handlers under the sink guard, each event in a fork. See `guard_server.py`.

Arguments: a descriptor for answers, `on` or `off` for the guard, modules to import before. Standard
input: requests, as lines of JSON; each has a folder with one folder for each handler, pairs of such
a folder and its events, and the folder of temporary files. Answers: for each event, in this order,
one JSON line, and an empty line after those of a request.
The guard is in place before any handler, but for where its code is, as in the base zygote. Each
handler is imported in a fork, from which that of each of its events is forked, as in a sandbox, but
for the last event: nobody needs the process that imported the handler any more, so it has that one.
Names are not resolved: no network.
"""

from __future__ import annotations

import gc
import importlib
import ipaddress
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))
sys.path.insert(1, str(Path(__file__).with_name("guard_fakes")))
sys.path.append(str(Path(__file__).parent))

from own_modules import have_no_others

from casemate.guard import setting_up
from casemate.guard.core import Guard, place_of
from casemate.guard.loading import load_rewritten
from casemate.guard.sinks import file, response
from casemate.guard.verdict import BlockedError

_SECONDS = 100
"""A handler that hangs is ended. On a busy machine an import alone takes long."""
_NOWHERE = "/nonexistent"
_CRASHED: dict[str, object] = {"outcome": "crashed", "result": "", "records": []}
_lookup = socket.getaddrinfo


def _getaddrinfo(host, *arguments, **named):  # type: ignore[no-untyped-def]
    """Resolve addresses, and `localhost`; `rebound.example` is at an address that is private."""
    if host == "rebound.example":
        host = "10.1.2.3"
    if host not in (None, "", "localhost"):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, "no such name") from None
    return _lookup(host, *arguments, **named)


class _Handler:
    """A handler that is imported under the guard, or what became of its import."""

    def __init__(self, root: str, guard: Guard | None) -> None:
        signal.alarm(_SECONDS)
        self.records: list[dict[str, object]] = []
        self.failed: dict[str, object] = {}
        self.guard = guard
        sys.path.insert(0, root)
        try:
            if guard is not None:
                guard.report = self.records.append
                _lay(guard, root)
            self.handle = importlib.import_module("app").handler
            if self.guard is not None:
                setting_up.after_import(self.guard)
        except BaseException as error:
            self.failed = _failed(error)
        signal.alarm(0)

    def answer(self, event: object) -> dict[str, object]:
        """Handle one event, in a process that handles no other."""
        signal.alarm(_SECONDS)
        answer = self.failed or self._handled(event)
        if self.guard is not None:
            if self.guard.blocked is not None:
                answer["outcome"] = "blocked"
            self.guard.end()
        return answer | {"records": self.records}

    def _handled(self, event: object) -> dict[str, object]:
        try:
            if self.guard is None:
                return {"outcome": "ok", "result": repr(self.handle(event, None))}
            self.guard.begin(event)
            result = self.handle(event, None)
            file.check_written(self.guard, place_of(self.handle))
            response.check_answer(self.guard, result, place_of(self.handle))
            return {"outcome": "ok", "result": repr(result)}
        except BaseException as error:
            return _failed(error)


def _prepared() -> Guard:
    """Return a guard that is in place for handlers whose folders are yet to come."""
    guard = Guard(_NOWHERE)
    setting_up.before_import(guard)
    setting_up.before_functions(guard)
    return guard


def _lay(guard: Guard, root: str) -> None:
    """Have `root` be the folder of the function's own code."""
    guard.root = guard.provenance.root = guard.acts.root = root.rstrip("/") + "/"
    load_rewritten(guard)


def _keep_temporary_files_in(folder: str | None) -> None:
    """Have all that is forked from here take `folder` for temporary files, or the usual one."""
    os.environ.pop("TMPDIR", None)
    if folder is not None:
        os.environ["TMPDIR"] = folder
    if "tempfile" in sys.modules:  # else it is for handlers to import it, under the guard
        sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]


def _failed(error: BaseException) -> dict[str, object]:
    if isinstance(error, BlockedError):
        return {"outcome": "blocked", "result": str(error)}
    trace = "".join(traceback.format_exception(error))
    return {"outcome": "error", "result": f"{type(error).__name__}: {error}", "trace": trace}


def _told_by_fork(work: Callable[[], Iterable[dict[str, object]]]) -> str:
    """Return what a forked process tells: a line for each answer, as far as it comes."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        with open(write, "w") as output:
            for answer in work():
                output.write(f"{json.dumps(answer)}\n")
                output.flush()
        os._exit(0)
    os.close(write)
    with open(read) as told:
        lines = told.read()
    os.waitpid(child, 0)
    return lines


def _answers(
    root: str, events: Sequence[object], guard: Guard | None
) -> Iterator[dict[str, object]]:
    """Import a handler and have it answer each event, all but the last in a fork, as a node.

    What ends the process of an event says nothing: it crashed.
    """
    handler = _Handler(root, guard)
    # What is collected in a fork would be copied first.
    gc.freeze()
    for event in events[:-1]:
        line = _told_by_fork(lambda event=event: [handler.answer(event)])  # type: ignore[misc]
        yield json.loads(line) if line.endswith("\n") else _CRASHED
    for event in events[-1:]:
        yield handler.answer(event)


def main() -> None:
    """Answer each event of each request."""
    descriptor, guarding, *preload = sys.argv[1:]
    requests = os.fdopen(os.dup(sys.stdin.fileno()))
    answers = os.fdopen(int(descriptor), "w")
    for inherited in (requests, answers):
        os.set_inheritable(inherited.fileno(), False)
    # A handler that reads has nothing to read.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    socket.getaddrinfo = _getaddrinfo
    for name in preload:
        importlib.import_module(name)
    if "pymongo" in sys.modules:  # it looks for its server at least so often before it gives up
        sys.modules["pymongo.common"].MIN_HEARTBEAT_INTERVAL = 0.005  # type: ignore[attr-defined]
    setting_up.warm()
    have_no_others()
    guard = None if guarding == "off" else _prepared()
    # What is collected in a fork would be copied first.
    gc.collect()
    gc.freeze()
    while request := requests.readline():
        told = json.loads(request)
        os.chdir(told["folder"])
        _keep_temporary_files_in(told["temporary"])
        for case, events in told["asked"]:
            root = str(Path(told["folder"], case))

            def work(
                root: str = root, events: list[object] = events
            ) -> Iterator[dict[str, object]]:
                os.close(requests.fileno())
                os.close(answers.fileno())
                return _answers(root, events, guard)

            lines = _told_by_fork(work).splitlines()
            # An import that ended its process leaves its events without an answer.
            lines += [json.dumps(_CRASHED)] * (len(events) - len(lines))
            print(*lines, sep="\n", file=answers)
        print(file=answers, flush=True)


if __name__ == "__main__":
    main()
