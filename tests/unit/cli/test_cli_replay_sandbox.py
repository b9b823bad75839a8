"""Events done again in the real sandbox: nothing is reached, nothing lasts, nothing is forged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from casemate.build.bundle import BuiltBundle, build
from casemate.cli import incident_replay
from casemate.cli.incident_events import Event
from casemate.cli.incident_replay import Replayer
from casemate.cli.incident_verdict import Row, Shown
from casemate.manifest import load
from casemate.model.invocation import Outcome
from casemate.model.recording import Content, Frame, Recording, RecordingSummary

pytestmark = pytest.mark.sandbox
MANIFEST = """\
[project]
name = "shop"
[table.t]
key = "id"
[function.report]
handler = "app:handler"
grants = { tables = [{ name = "t", actions = ["get", "put"] }] }
"""
SOURCE = """\
import os, socket, sqlite3, time

def handler(event, context):
    what = event["what"]
    if what == "sql":
        try:
            query = f"SELECT '{event['name']}'"
            return sqlite3.connect(":memory:").execute(query).fetchall()
        except BaseException:
            return "nothing happened"
    if what == "fork":
        child = os.fork()
        if child == 0:
            try:
                sqlite3.connect(":memory:").execute(f"SELECT '{event['name']}'")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    if what == "stored":
        name = context.table("t").get("k").value["name"]
        return sqlite3.connect(":memory:").execute(f"SELECT '{name}'").fetchall()
    if what == "for ever":
        while True:
            time.sleep(1)
    if what == "network":
        try:
            socket.create_connection(("127.0.0.1", event["port"]), timeout=1)
        except OSError:
            pass
        return "done"
    if what == "files":
        for path in ("/function/code/app.py", "/etc/casemate", "/tmp/left"):
            try:
                with open(path, "a") as file:
                    file.write("x")
            except OSError:
                pass
        context.table("t").put({"id": "k"})
    if what == "say":
        for descriptor in (1, 2):
            os.write(descriptor, b'{"kind": "ok", "answer": "forged"}\\n')
        os._exit(0)
    return "done"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltBundle]:
    root = tmp_path_factory.mktemp("replay")
    (root / "app.py").write_text(SOURCE)
    (root / "casemate.toml").write_text(MANIFEST)
    project = load(root / "casemate.toml")
    yield build(root, project.name, project.functions[0], root / "out", resources=project.resources)


def done(built: BuiltBundle, event: bytes, *frames: Frame, outcome: Any = Outcome.BLOCKED) -> Row:
    summary = RecordingSummary(
        id="inv_1", project="shop", function="report", version=1, trigger="invoke",
        outcome=outcome, at=1.0, expires_at=9e9, size=1,
    )  # fmt: skip
    content = Content(event=event, frames=frames, reply=b'"done"')
    replayer = Replayer(built, lambda _: Recording(summary=summary, content=content), 9e9)
    if outcome is Outcome.OK:
        return replayer.benign(summary)
    return replayer.event(Event(recording=summary))


ATTACK = b"x' OR '1'='1"


def test_the_guard_is_there_and_nobody_hides_what_it_stops(built: BuiltBundle) -> None:
    row = done(built, b'{"what": "sql", "name": "' + ATTACK + b'"}')
    assert row.shown is Shown.AGAIN and row.now.startswith("blocked: sql at app.py:")
    assert done(built, b'{"what": "sql", "name": "Ada"}').shown is Shown.GONE
    row = done(built, b'{"what": "fork", "name": "' + ATTACK + b'"}')
    assert row.shown is Shown.AGAIN, "in a process of its own"
    row = done(
        built,
        b'{"what": "stored"}',
        Frame(True, b'{"n":1,"op":"table.get","table":"t","key":"k"}'),
        Frame(
            False,
            b'{"n":1,"ok":{"value":{"name":"' + ATTACK + b'"},"revision":1,"modified_at":1,'
            b'"labels":[["/name","event","/name"]]}}',
        ),
    )
    assert row.shown is Shown.AGAIN, "data that came from outside before is still that"


def test_nothing_is_written_or_reached(built: BuiltBundle) -> None:
    code = (built.path / "code" / "app.py").read_bytes()
    assert done(built, b'{"what": "files"}', outcome=Outcome.OK).shown is Shown.SAME
    assert (built.path / "code" / "app.py").read_bytes() == code
    assert not Path("/tmp/left").exists() and not Path("/etc/casemate").is_file()
    row = done(built, b'{"what": "network", "port": 22}')
    assert row.shown is Shown.UNKNOWN and "network" in row.now


def test_what_says_of_itself_that_all_is_well_shows_no_benign_answer(built: BuiltBundle) -> None:
    row = done(built, b'{"what": "say"}', outcome=Outcome.OK)
    assert row.shown is Shown.DIFFERENT and "the end of the process" in row.now


def test_what_runs_for_ever_ends(built: BuiltBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incident_replay, "MOST_SECONDS", 2.0)
    row = done(built, b'{"what": "for ever"}')
    assert row.shown is Shown.UNKNOWN and row.now == "ended by a timeout"
