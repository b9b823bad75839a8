"""`casemate dev`: the project on this machine, reloaded on save."""

from __future__ import annotations

import errno
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from types import FrameType
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from casemate.cli.authority import fetch_ca
from casemate.cli.building import Workspace
from casemate.cli.client import NodeClient
from casemate.cli.credentials import Credentials
from casemate.cli.debugging import debug as debug_error
from casemate.cli.debugging import require_debuggable
from casemate.cli.deployed import deployed_functions
from casemate.cli.deployment import Deployed, Wanted, deploy
from casemate.cli.dev_packages import DevPackages
from casemate.cli.dev_shown import SETTLE_SECONDS, shown
from casemate.cli.errors import CommandError, UsageError
from casemate.cli.learning import (
    let_settle,
    propose,
    require_learnable,
    run_command,
    with_everything_declared,
)
from casemate.cli.names import require_manifest
from casemate.cli.new_file import new_file
from casemate.cli.options import ManifestOption, command, new_app
from casemate.cli.own_folder import held, own_folder
from casemate.cli.saved import saves
from casemate.cli.terminal import DIM, GREEN, RED, note, print_json_line, print_line, progress
from casemate.model.errors import CasemateError
from casemate.model.loopback import is_loopback

app = new_app()

_Handler = Callable[[int, FrameType | None], Any] | int | None
_DATA = PurePosixPath(".casemate/dev")
_PYTHON, _SERVE = (sys.executable, "-P", "-m"), ("casemate.cli.main", "serve")
_OWN_ADDRESS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104  # nosec B104
"""Where a node that listens on every address is reached from here."""
_STOP_SECONDS = 40.0
_TOLD_AFTER_SECONDS = 1.0
_CUT_OFF_SECONDS = 5.0
_READ_BYTES = 64 * 1024
_MOST_LINES = 1000
"""Of what a node says before it serves: the newest."""


class _Running(NamedTuple):
    """A node that has begun to serve."""

    credentials: Credentials
    process: subprocess.Popen[str]

    def require(self) -> None:
        """Raise CommandError if it has ended."""
        if (code := self.process.poll()) is not None:
            how = f"by signal {-code}" if code < 0 else f"with {code}"
            raise CommandError(
                f"The node ended {how}; its output is above.",
                next_step="Start it again: casemate dev",
            )


@contextmanager
def _node(
    data: Path,
    host: str,
    port: int,
    risks: Sequence[str] | None,
    *,
    names: Sequence[str] | None = None,
    learn: bool,
) -> Iterator[_Running]:
    """Run a node with empty data for as long as the block lasts."""
    key = data.parent / "dev.key"
    _remove(data, key)
    arguments = ["--data", str(data), "--host", host, "--port", str(port), "--json"]
    # Beside the data, not in /etc: nothing of a try-out stays outside of the project.
    arguments += ["--master-key", f"file:{key}"]
    # A page of somebody else could reach it by a name that leads here; by TLS it could not.
    own = ("localhost",) if is_loopback(host) else ()
    for name in (*own, *(names or ())):
        arguments += ["--host-name", name]
    for risk in risks or ():
        arguments += ["--accept-risk", risk]
    if learn:
        arguments.append("--learn")
    said, process = _NodeLog(), None
    before = _end_by_exception()  # before there is a node that it would leave behind
    try:
        with said.opened() as stderr:
            process = subprocess.Popen(
                # It ends with this command, whatever ends that, at whatever moment.
                [*_PYTHON, "casemate.child.bound", str(os.getpid()), *_SERVE, *arguments],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                # Ctrl-C reaches this command alone, which then ends the node.
                start_new_session=True,
            )
        with progress("Starting a node"):
            line = process.stdout.readline() if process.stdout else ""
        if not line:
            said.show_start()
            raise CommandError(
                "The node did not start; its message is above.", next_step="Run casemate doctor."
            )
        said.show_rest()
        ready = msgspec.json.decode(line)
        yield _Running(_credentials(ready), process)
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # a terminal that closes can send both
        if process is not None:
            _end(process)
        for number, handler in before.items():
            signal.signal(number, handler)


def _credentials(ready: dict[str, Any]) -> Credentials:
    """Return what this command reaches its node with, which may listen on any address."""
    url = str(ready["url"])
    for every, own in _OWN_ADDRESS.items():
        url = url.replace(f"//{every}:", f"//{own}:")
    fingerprint = ready.get("ca_fingerprint")
    ca = None if fingerprint is None else fetch_ca(url, fingerprint)
    return Credentials(url=url, key=ready["key"], allow_http=True, ca=ca)


def _tell_how_to_reach(credentials: Credentials, authority: Path, *, json: bool = False) -> None:
    """Say how commands in another terminal reach the node; write whom they trust to a file."""
    words = [f"CASEMATE_URL={credentials.url}", f"CASEMATE_KEY={credentials.key}"]
    ca = None if credentials.ca is None else str(authority)
    if credentials.ca is not None:
        try:
            authority.unlink(missing_ok=True)  # a link, too: the project may be a stranger's
            with new_file(authority) as file:
                file.write(credentials.ca.encode())
        except OSError as error:
            raise CommandError(
                f"{authority} cannot be written: {error.strerror}.",
                next_step="See what it is, remove it, and run this again.",
            ) from error
        words.append(f"CASEMATE_CA={shlex.quote(str(authority))}")
    if json:
        print_json_line({"node": {"url": credentials.url, "key": credentials.key, "ca": ca}})
        return
    print_line(f"The node is at {credentials.url}; to use it from another terminal:")
    print_line(f"  export {' '.join(words)}")


def _end(process: subprocess.Popen[str]) -> None:
    """End a node once its running calls have ended, or at once if Ctrl-C comes once more."""
    process.send_signal(signal.SIGTERM)
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TOLD_AFTER_SECONDS)
            return
        note("Running calls finish first, for up to 30 s; Ctrl-C again ends the node at once.")
        process.wait(_STOP_SECONDS)
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)  # of a node that stops: it cuts them off
        with suppress(subprocess.TimeoutExpired):
            process.wait(_CUT_OFF_SECONDS)
            return
        process.kill()
    except subprocess.TimeoutExpired:
        process.kill()


class _NodeLog:
    """What the node says on standard error: from its start on, or of its start if that fails.

    A start tells of what is to be kept: the master key, the first token. Nothing of this node is.
    """

    def __init__(self) -> None:
        """Have a pipe to read from."""
        self._pipe, self._other_end = os.pipe()
        os.set_blocking(self._pipe, False)
        self._start: deque[str] = deque(maxlen=_MOST_LINES)
        self._rest = b""
        self._started = self._ended = False
        self._turn = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Read what is written to a descriptor, which is for a process to be started with."""
        self._reader.start()
        try:
            yield self._other_end
        finally:
            os.close(self._other_end)

    def _read(self) -> None:
        while not self._ended:
            select.select([self._pipe], [], [])
            self._take()
        os.close(self._pipe)

    def _take(self) -> None:
        """Take all that is there."""
        with self._turn:
            try:
                while not self._ended:
                    data = os.read(self._pipe, _READ_BYTES)
                    *lines, self._rest = (self._rest + data).split(b"\n")
                    for line in lines:
                        self._tell(line.decode(errors="replace"))
                    self._ended = not data
            except BlockingIOError:
                pass

    def _tell(self, line: str) -> None:
        if self._started:
            note(line)
        else:
            self._start.append(line)

    def show_rest(self) -> None:
        """Show what it says from now on. What it has said before it was ready is of its start."""
        self._take()
        self._started = True

    def show_start(self) -> None:
        """Show what it has said; it ends."""
        self._reader.join(SETTLE_SECONDS)
        for line in list(self._start):
            note(line)


def _end_by_exception() -> dict[signal.Signals, _Handler]:
    """Have a terminal that closes, and SIGTERM, end the node as Ctrl-C does.

    Without it the node, which has a session of its own, would go on and hold its port. Returns
    what was in force; nothing in another thread than the first, which gets no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    return {
        number: signal.signal(number, end)
        for number in (signal.SIGHUP, signal.SIGTERM)
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup
    }


def _remove(data: Path, key: Path) -> None:
    """Remove what an earlier run has left, or a stranger has put there: tokens that they know."""
    shutil.rmtree(data, ignore_errors=True)
    try:
        key.unlink(missing_ok=True)
        if os.path.lexists(data):
            raise FileExistsError(errno.EEXIST, "it is still there")
    except OSError as error:
        raise CommandError(
            f"{data} or {key.name} cannot be removed: {error.strerror}.",
            next_step="Remove them as the user who made them.",
        ) from error


def _deploy_all(
    manifest: Path,
    client: NodeClient,
    packages: DevPackages,
    *,
    learn: bool,
    json: bool = False,
) -> bool:
    """Build and deploy what changed; an error is shown, and what was live stays live.

    Widened grants are approved: the node is the author's own, and its data is gone afterwards.
    """
    started = time.monotonic()
    try:
        workspace = Workspace(manifest, ())
        if learn:
            workspace.chosen = [
                with_everything_declared(spec, workspace.project) for spec in workspace.chosen
            ]
        before = deployed_functions(client)
        wanted = []
        for built in workspace.build(None, relock=False):
            name = workspace.name_of(built.manifest.function)
            wanted.append(Wanted(name, built, before.get(name)))
        packages.prepare(wanted)
        changed = False
        for done in deploy(client, wanted, force=False, approve=True):
            if not done.unchanged:
                changed = True
                _tell_deployed(done, time.monotonic() - started, json=json)
        if not changed and json:
            print_json_line({"unchanged": True})
        elif not changed:  # else the last line would be an error that is mended
            print_line("Nothing has changed since the last deploy.", DIM)
    except CasemateError as error:
        if json:
            print_json_line({"failed": {"message": error.message, "next_step": error.next_step}})
            return False
        note(f"Error: {error}", RED)
        if error.next_step is None:
            note("The previous versions stay live.")
        return False
    return True


def _tell_deployed(done: Deployed, seconds: float, *, json: bool) -> None:
    if json:
        print_json_line({"deployed": done, "seconds": round(seconds, 3)})
        return
    print_line(
        f"{done.function}  version {done.version} is live after {seconds * 1000:.0f} ms", GREEN
    )
    how = "internal: `casemate trigger fire`" if done.internal else f"POST {done.address}"
    print_line(f"  {how}", DIM)
    for route in done.routes:
        print_line(f"  {route}", DIM)


def _watch(running: _Running, saved: Iterator[bool], deploy_again: Callable[[], object]) -> None:
    """Deploy what is saved. Raises CommandError when the node has ended."""
    for is_saved in saved:
        running.require()
        if is_saved:
            deploy_again()


def _learn(
    manifest: Path, client: NodeClient, watch: Callable[[], None], words: list[str], *, write: bool
) -> None:
    """Let the functions be used, by a command or until Ctrl-C, then propose their grants."""
    if words:
        code = run_command(words, client.credentials)
        let_settle(client, manifest)
        time.sleep(SETTLE_SECONDS)
        propose(client, manifest, write=write and code == 0)
        if code != 0:
            raise CommandError(
                f"{words[0]} ended with {code}, so the grants may lack what it did not come to.",
                next_step="Fix it and run it again; nothing was written.",
            )
        return
    print_line("Learning: use the functions. Ctrl-C ends and proposes their grants.", DIM)
    try:
        watch()
    except KeyboardInterrupt:
        propose(client, manifest, write=write)


def _alone(data: Path) -> AbstractContextManager[None]:
    """Return what holds the project for one run, whose node begins with empty data."""
    refusal = CommandError(
        f"Another casemate dev runs {data.parent.parent}: a second one would delete its data.",
        next_step="Use the node that it told of, or end it by Ctrl-C in its terminal.",
    )
    return held(data.parent / "dev.lock", refusal)


def _run(
    manifest: Path,
    running: _Running,
    authority: Path,
    words: list[str],
    learn: bool,
    write: bool,
    *,
    json: bool,
) -> None:
    """Deploy the project on its node, again on every save; with `learn` propose its grants."""
    credentials = running.credentials
    _tell_how_to_reach(credentials, authority, json=json)
    with NodeClient(credentials) as client, shown(credentials, json=json):
        packages = DevPackages(client)
        deploy_all = partial(_deploy_all, manifest, client, packages, learn=learn, json=json)
        saved = saves(manifest.parent)
        next(saved)  # before files are read: what is saved from then on is deployed again
        sound = deploy_all()
        watch = partial(_watch, running, saved, deploy_all)
        if learn and words and not sound:
            raise CommandError(
                "The functions could not be deployed, so there is nothing to learn from.",
                next_step="Fix what is shown above.",
            )
        if learn:
            _learn(manifest, client, watch, words, write=write)
            return
        if not json:
            print_line("Watching for changes. Ctrl-C ends.", DIM)
        watch()


_Risks = Annotated[
    list[str] | None,
    typer.Option(
        "--accept-risk",
        metavar="PROTECTION",
        help="Go on although this protection does not hold on this host; `casemate doctor` has "
        "the names. Can be given several times.",
    ),
]
_HostNames = Annotated[
    list[str] | None,
    typer.Option(
        "--host-name",
        metavar="NAME",
        help="Answer to this host name as well, such as that of a tunnel, and not to this machine "
        "alone. Can be given several times.",
    ),
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on each line.")]
_Debug = Annotated[
    bool,
    typer.Option(
        "--debug",
        help="Start no node: debug the handler with the recorded event of an error of the node "
        "that you use. Default: the newest error of a handler that raised.",
    ),
]


@command(
    app,
    examples="$ casemate dev\n$ casemate dev --port 8000\n"
    "$ casemate dev --learn -- pytest tests\n$ casemate dev --learn --write -- pytest tests\n"
    "$ casemate dev --debug err_2f1f25ef71e873e660435a53",
)
def dev(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND",
            help="With --learn: a command that uses the functions, after --. With --debug: an "
            "error's id.",
        ),
    ] = None,
    manifest: ManifestOption = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option("--port", min=0, max=65535, help="Port to listen on; 0 chooses a free one."),
    ] = 8788,
    accept_risk: _Risks = None,
    host_name: _HostNames = None,
    learn: Annotated[
        bool,
        typer.Option(
            "--learn",
            help="Let functions use what they are not granted, record it, and propose the grants.",
        ),
    ] = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="With --learn: write the grants into casemate.toml."),
    ] = False,
    debug: _Debug = False,
    json: _Json = False,
) -> None:
    """Run the project on this machine and reload it on every save.

    The project gets a node of its own, with its data below .casemate of the project, and the same
    sandbox, limits and errors as in production. What the functions write, and their errors in full,
    appear here. Packages are judged by the advisories of this machine. Without reliable ones they
    are let through for this run, with a warning.

    With --learn it runs COMMAND, such as the project's tests, with CASEMATE_URL and CASEMATE_KEY
    set, and prints the grants that cover what each function used; without COMMAND after Ctrl-C.

    With --debug it runs the handler in pdb here, in a sandbox without network and files, with the
    event and the answers that were recorded for an error (`recordings:read`). No port is opened.

    With --json each line is an object with one of `node` (its address and key), `deployed`,
    `unchanged`, `failed` (a deploy), `log` (a line) and `error` (of a function).
    """
    if json and (debug or learn):
        raise UsageError(
            "--json is for a run that watches the project, not for --debug and --learn.",
            next_step="Leave --json out.",
        )
    if debug:
        require_debuggable(host, words, learn=learn, write=write)
        debug_error(require_manifest(manifest).absolute(), words[0] if words else None)
        return
    require_learnable(host, words, learn=learn, write=write)
    path = require_manifest(manifest).absolute()
    data = own_folder(path.parent, _DATA)
    node = _node(data, host, port, accept_risk, names=host_name, learn=learn)
    with _alone(data), node as running:
        _run(path, running, data.parent / "dev.ca.pem", words or [], learn, write, json=json)
