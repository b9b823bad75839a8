"""`casemate dev --debug`: a handler in pdb, with the event of an invocation that was recorded.

No port is opened: the debugger runs in a sandbox without a network and speaks by pipes with this
command alone, which shows what it says harmlessly. Who is not at this terminal cannot reach it.
"""

from __future__ import annotations

import codecs
import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from casemate.cli.building import Workspace
from casemate.cli.bundle_sandbox import START, command_in_sandbox
from casemate.cli.client import NodeClient, connect
from casemate.cli.errors import CommandError, MissingError, UsageError
from casemate.cli.recorded_event import handed_over
from casemate.cli.terminal import DIM, note, print_line
from casemate.cli.text import many_lines
from casemate.model.invocation import ErrorRecord, Outcome
from casemate.model.loopback import is_loopback
from casemate.operations.recordings import ShowRecording
from casemate.operations.records import ListErrors, ShowError

if TYPE_CHECKING:
    from casemate.model.function import FunctionSpec
    from casemate.model.recording import Recording

SECONDS = 3600.0
"""Processor time that a session may use."""
_NOT_HERE = {
    Outcome.TIMEOUT: "here it has no time limit",
    Outcome.BLOCKED: "here there is no sink guard, which stopped it",
    Outcome.OUT_OF_MEMORY: "here it may take 2 GiB more than its limit, and then has a MemoryError",
    Outcome.RESPONSE_TOO_LARGE: "here an answer may have any size",
}
"""What of a node ended it that is not there."""
_PIECE = 64 * 1024


def require_debuggable(host: str, words: Sequence[str] | None, *, learn: bool, write: bool) -> None:
    """Refuse options that do not go together."""
    if learn or write or len(words or ()) > 1:
        raise UsageError(
            "--debug takes the id of one error, and nothing of --learn.",
            next_step="Run: casemate dev --debug ERROR_ID",
        )
    if not is_loopback(host):
        raise UsageError(
            f"--debug is for this machine alone, and {host} is an address for others; expected "
            "one of 127.0.0.1, ::1, localhost.",
            next_step="Leave --host out.",
        )


def debug(manifest: Path, error_id: str | None) -> None:
    """Debug the handler of an error, the newest one if none is named, as this folder has it."""
    workspace = Workspace(manifest, ())
    with connect() as client:
        error = _error(client, workspace.project.name, error_id)
        recording = client.call(ShowRecording(project=error.project, id=error.invocation))
    spec = workspace.project.function(error.function)
    if spec is None:
        raise MissingError(
            f"The project here has no function {error.function}.",
            next_step="Go to the folder of the version that failed.",
        )
    job = job_of(spec, recording)
    workspace.chosen = [spec]
    (built,) = workspace.build(None, relock=False)
    note(
        f"{error.id} was of version {error.version}; this is the code of {workspace.root}. "
        "What the platform answered then it answers again; nothing is done."
    )
    if error.outcome in _NOT_HERE:
        note(f"It ended with {error.outcome}: {_NOT_HERE[error.outcome]}.")
    if job["shape"] == "aws":
        note(_aws_told(spec, http=job["http"]))
    print_line("`c` goes on to where it raises, `q` ends, `h` helps.", DIM)
    _session(
        command_in_sandbox(built, START.format(module="debugging"), seconds=SECONDS),
        msgspec.json.encode(job) + b"\n",
    )


def _aws_told(spec: FunctionSpec, *, http: bool) -> str:
    """Say in which shape the handler has its event, and how what it returns is read."""
    answer = (
        'What it returns is read as an answer of AWS: "statusCode", "headers", "body"; without a '
        '"statusCode" all of it is the body of a 200.'
        if http
        else 'Nobody gets what it returns; of a batch, "batchItemFailures" says what comes again.'
    )
    return (
        f"`event` is what AWS Lambda hands over (event_format = {spec.event_format.value!r}), "
        f"`context.event` what the node does. {answer} What it raises a caller never sees."
    )


def _error(client: NodeClient, project: str, error_id: str | None) -> ErrorRecord:
    if error_id is None:
        listed = client.call(
            ListErrors(project=project, outcome=Outcome.HANDLER_ERROR, limit=1)
        ).errors
        if not listed:
            raise MissingError(f"No handler of {project} has raised.", next_step="Name an error.")
        error_id = listed[0].id
    error = client.call(ShowError(id=error_id))
    if error.project != project or not error.invocation:
        raise UsageError(
            f"{error.id} is none of the project {project}, which is here.",
            next_step="Go to the folder of its project.",
        )
    return error


def job_of(spec: FunctionSpec, recording: Recording) -> dict[str, Any]:
    """Return what the debugger is told. Raises CommandError for what cannot be done again."""
    summary, content = recording.summary, recording.content
    shape, event, http = handed_over(spec, recording)
    return {
        "id": summary.id,
        "project": summary.project,
        "function": summary.function,
        "version": summary.version,
        "handler": spec.handler,
        "memory": spec.limits.memory,
        "environment": dict(spec.environment),
        "at": summary.at,
        "shape": shape,
        "http": http,
        "event": event,
        "frames": [[frame.asked, frame.head, frame.content] for frame in content.frames],
    }


def _session(command: list[str], job: bytes) -> None:
    """Run the debugger: what is typed goes to it, what it says is shown, until either ends."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={},
        start_new_session=True,
    )
    try:
        _relay(process, job)
    except (BrokenPipeError, KeyboardInterrupt):
        print_line()
    finally:
        process.kill()
        process.wait()


def _relay(process: subprocess.Popen[bytes], job: bytes) -> None:
    if process.stdin is None or process.stdout is None:
        raise CommandError("The debugger has no pipes.", next_step="Try again.")
    process.stdin.write(job)
    process.stdin.flush()
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    # What is typed may be a file, which epoll does not take.
    with selectors.PollSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                data = os.read(key.fd, _PIECE)
                if key.fileobj is process.stdout:
                    if not data:
                        return
                    # Of a chunk: what a terminal would obey is shown, whatever it is part of.
                    print(many_lines(decode(data)), end="", flush=True)
                elif data:
                    process.stdin.write(data)
                    process.stdin.flush()
                else:
                    selector.unregister(key.fileobj)
                    process.stdin.close()
