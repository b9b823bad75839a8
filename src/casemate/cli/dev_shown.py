"""What `casemate dev` shows of its node: what functions write, and each of their errors, once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from casemate.cli.client import NodeClient
from casemate.cli.commands.logs import follow_lines
from casemate.cli.credentials import Credentials
from casemate.cli.error_shown import print_error
from casemate.cli.terminal import RED, print_json_line, print_line
from casemate.model.errors import CasemateError
from casemate.model.invocation import LogLine
from casemate.operations.records import ListInvocations, ReadLogs, ShowError

_SEE: Final = "; see `casemate errors show "
"""Before the id in the line that the log has of an error."""
_POLL_SECONDS: Final = 0.3
SETTLE_SECONDS: Final = 3 * _POLL_SECONDS
"""Time in which the last lines and errors of a run are written and shown."""


@contextmanager
def shown(credentials: Credentials, *, json: bool = False) -> Iterator[None]:
    """Show what functions write, and their errors, for as long as the block lasts."""
    stop, errors = threading.Event(), _Errors(credentials, json=json)
    leave_out = _tell_line if json else errors.of_line
    watchers = (
        threading.Thread(
            target=_follow_quietly, args=(NodeClient(credentials), leave_out, stop), daemon=True
        ),
        threading.Thread(target=errors.show_listed, args=(stop,), daemon=True),
    )
    for thread in watchers:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        watchers[1].join(2 * _POLL_SECONDS)


def _follow_quietly(
    client: NodeClient, leave_out: Callable[[LogLine], bool], stop: threading.Event
) -> None:
    """Print new log lines until the node ends. Errors are shown in full, not by their line."""
    try:
        follow_lines(client, ReadLogs(limit=1), json=False, ended=stop.is_set, leave_out=leave_out)
    except CasemateError:
        return


def _tell_line(line: LogLine) -> bool:
    print_json_line({"log": line})
    return True


class _Errors:
    """Shows each error in full, once: where the log has its line, or as soon as it is listed."""

    def __init__(self, credentials: Credentials, *, json: bool = False) -> None:
        """Ask the node with these credentials."""
        self._credentials, self._json = credentials, json
        self._turn = threading.Lock()
        self._seen: set[str] = set()

    def of_line(self, line: LogLine) -> bool:
        """Show the error that a line of the log is about, in its place; tell whether it is."""
        before, _, told = line.text.rpartition(_SEE)
        if line.level != "error" or not before or not told.endswith("`"):
            return False
        try:
            self._show(told[:-1])
        except CasemateError:
            return False  # a line that looks like one, or one that is not to be had
        return True

    def show_listed(self, stop: threading.Event) -> None:
        """Show those of invocations that no line tells of, until it is over."""
        with NodeClient(self._credentials) as client:
            while not stop.wait(_POLL_SECONDS):
                with suppress(CasemateError):  # the node is busy or ending; the next turn tells
                    listed = client.call(ListInvocations(limit=50))
                    for record in reversed(listed.invocations):
                        if record.error_id:
                            self._show(record.error_id)

    def _show(self, error_id: str) -> None:
        with self._turn:
            if error_id in self._seen:
                return
            with NodeClient(self._credentials) as client:
                error = client.call(ShowError(id=error_id))
            self._seen.add(error_id)
            if self._json:
                print_json_line({"error": error})
                return
            function = f"{error.project}/{error.function}" if error.function else "request"
            print_line(f"{function}  {error.outcome}  {error_id}", RED)
            print_error(error)
