"""What is recorded, what is taken out of it, and what becomes of files that were changed."""

from __future__ import annotations

import asyncio
import errno
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.model.deployment import Version
from casemate.model.errors import CasemateError, NotFoundError, UnavailableError
from casemate.model.event import Event
from casemate.model.function import FunctionSpec, Logs, RecordingSettings, Unmasked
from casemate.model.http import HttpResponse
from casemate.model.invocation import Outcome
from casemate.model.path import Finished, RawInvocation, Request, Sealed
from casemate.model.recording import Came, Frame
from casemate.model.trigger import TriggerKind
from casemate.recordings import Recordings, files
from casemate.recordings import recordings as keeping
from casemate.recordings.files import DamagedRecordingError
from casemate.vault.errors import DecryptionError
from casemate.vault.interface import DataKey, Purpose
from support.accounts import Clock, MemoryVault

SECRET = b"hunter2hunter2"


class Vault(MemoryVault):
    """Keys, and one secret of the project `shop`."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 1
        self.erased: set[str] = set()
        self.fault: CasemateError | None = None

    async def data_key(self, project: str, purpose: Purpose, version: int | None = None) -> DataKey:
        assert purpose is Purpose.RECORDINGS
        if project in self.erased:
            raise NotFoundError("no key")
        number = version or self.version
        return DataKey(version=number, key=f"{project}{number}".encode().ljust(32))

    async def unwrap(self, context: str, wrapped: bytes) -> bytes:
        try:
            return await super().unwrap(context, wrapped)
        except CasemateError as error:
            raise DecryptionError("changed", next_step="none") from error

    async def has_secrets(self, project: str) -> bool:
        return project == "shop"

    async def redact(self, project: str, texts: list[bytes]) -> tuple[bytes, ...]:
        if self.fault is not None:
            raise self.fault
        return tuple(text.replace(SECRET, b"[redacted:key]") for text in texts)


class Node:
    """A gateway's recordings."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.vault, self.clock, self.chance = folder, Vault(), Clock(), 0.5
        self.ahead = 0.0
        """What the clock was set forward by, and is not believed of it."""
        self.start()

    def start(self) -> None:
        self.recordings = Recordings(
            self.folder,
            self.vault,  # type: ignore[arg-type]
            clock=self.clock,
            deleting=lambda: self.clock() - self.ahead,
            chance=lambda: self.chance,
        )

    def offer(self, number: int = 1, outcome: Outcome = Outcome.HANDLER_ERROR, **rest: Any) -> str:
        finished, sealed = ended(number, outcome, **rest)

        async def run() -> None:
            self.recordings.offer(finished, sealed)
            await self.recordings.close()

        asyncio.run(run())
        assert finished.request is not None
        return finished.request.id

    def ids(self, project: str | None = None, function: str | None = None) -> list[str]:
        return [each.id for each in asyncio.run(self.recordings.list(project, function))]

    def show(self, identity: str, project: str = "shop") -> Any:
        return asyncio.run(self.recordings.show(project, identity))

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


def ended(
    number: int,
    outcome: Outcome,
    *,
    event: bytes = b'{"a": 1}',
    reply: bytes = b"",
    frames: tuple[Frame, ...] = (),
    project: str = "shop",
    function: str = "f",
    settings: RecordingSettings = RecordingSettings(),  # noqa: B008
    logs: Logs = Logs(),  # noqa: B008
    values: bytes = b"",
    events: tuple[Event, ...] = (),
    batch: bool = False,
) -> tuple[Finished, Sealed]:
    raw = RawInvocation(
        trigger="invoke",
        project=project,
        function=function,
        qualifier=None,
        credential=None,
        content_type="application/json",
        body=event,
        received_at=float(number),
        events=events,
        batch=batch,
    )
    spec = FunctionSpec(name=function, handler="app:handler", recordings=settings, logs=logs)
    version = Version(
        project=project,
        function=function,
        number=3,
        digest="0" * 64,
        spec=spec,
        created_at=0.0,
        created_by="user:ada",
    )
    request = Request(id=f"inv_{number:024x}", raw=raw, event=b"" if events else event)
    finished = Finished(
        outcome=outcome, request=request, version=version, body=reply, frames=frames, values=values
    )
    response = HttpResponse(500, (), b"")
    return finished, Sealed(outcome=outcome, response=response, error_id="err_1")


@pytest.fixture
def node(tmp_path: Path) -> Node:
    (tmp_path / "recordings").mkdir()
    return Node(tmp_path / "recordings")


FRAMES = (Frame(True, b'{"n":1,"op":"table.get"}'), Frame(False, b'{"n":1,"ok":{}}', b"{}"))


@pytest.mark.parametrize("outcome", sorted(keeping._FAILED))
def test_what_failed_or_was_blocked_is_recorded(node: Node, outcome: Outcome) -> None:
    identity = node.offer(1, outcome, reply=b"reply", frames=FRAMES)
    found = node.show(identity)
    assert (found.content.event, found.content.reply) == (b'{"a": 1}', b"reply")
    assert found.content.frames == FRAMES
    assert (found.summary.outcome, found.summary.error_id, found.summary.version) == (
        *(outcome, "err_1", 3),
    )


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - keeping._FAILED))
def test_all_else_is_not(node: Node, outcome: Outcome) -> None:
    node.offer(1, outcome)
    assert node.ids() == [] and node.files == []


def test_a_sample_of_what_ends_well_is_recorded_where_the_manifest_says_so(node: Node) -> None:
    settings = RecordingSettings(sample=0.5)
    for number, node.chance in enumerate([0.0, 0.49, 0.5, 0.99], 1):
        node.offer(number, Outcome.OK, settings=settings)
    assert node.ids() == [f"inv_{number:024x}" for number in (2, 1)]
    node.chance = 0.0
    node.offer(9, Outcome.OK)
    assert len(node.ids()) == 2, "without it nothing is"


def test_secrets_are_taken_out_of_all_of_it(node: Node) -> None:
    text = b'{"k": "' + SECRET + b'"}'
    frames = (Frame(True, text, text), Frame(False, text, text))
    found = node.show(node.offer(event=text, reply=text, frames=frames))
    assert SECRET not in str(found).encode()
    assert str(found).count("[redacted:key]") == 6


def test_what_could_not_be_looked_through_is_not_kept(node: Node) -> None:
    node.vault.fault = CasemateError("the vault is busy")
    node.offer()
    assert node.files == [] and node.recordings.dropped == 1


def test_nothing_is_in_clear(node: Node) -> None:
    node.offer(event=b"the event's own words", reply=b"the reply's own words")
    [file] = node.files
    content = file.read_bytes()
    for text in (b"own words", b"shop", b"invoke", b"handler-error", b"err_1"):
        assert text not in content


def test_they_are_there_after_a_restart(node: Node) -> None:
    identities = [node.offer(number) for number in (1, 2, 3)]
    node.start()
    assert node.ids() == identities[::-1]
    assert node.show(identities[0]).content.event == b'{"a": 1}'


def test_they_are_read_under_the_key_that_they_were_sealed_with(node: Node) -> None:
    identity = node.offer()
    node.vault.version = 2
    newer = node.offer(2)
    node.start()
    assert node.show(identity).content.event == node.show(newer).content.event


def test_without_the_projects_key_nothing_can_be_read(node: Node) -> None:
    identity = node.offer()
    node.vault.erased.add("shop")
    with pytest.raises(DamagedRecordingError):
        node.show(identity)


def test_another_project_has_none_of_them(node: Node) -> None:
    identity = node.offer()
    node.offer(2, project="mail")
    assert node.ids("shop") == [identity] and node.ids("shop", "g") == []
    with pytest.raises(NotFoundError):
        node.show(identity, "mail")
    with pytest.raises(NotFoundError):
        asyncio.run(node.recordings.remove("mail", identity))
    assert node.ids("shop") == [identity]


@pytest.mark.parametrize("name", ["inv_../../x", "../x", "inv_" + "0" * 24 + "\n", ""])
def test_names_lead_nowhere_else(node: Node, name: str) -> None:
    with pytest.raises(NotFoundError):
        node.show(name)


CHANGES: dict[str, Any] = {
    "a flipped bit in the body": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "a flipped bit in the head": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    "cut off": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "another format": lambda data: b"CSMREC9\n" + data[8:],
    "a length beyond the file": lambda data: data[:8] + b"\xff\xff\xff\xff" + data[12:],
    "too large": lambda data: data + b"\0" * (3 << 20),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_file_is_no_recording(node: Node, change: Any) -> None:
    identity = node.offer()
    [file] = node.files
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(DamagedRecordingError):
        node.show(identity)
    node.start()
    try:
        with pytest.raises((DamagedRecordingError, NotFoundError)):
            node.show(identity)
    finally:
        other = node.offer(2)
    assert other in node.ids(), "others are read all the same"


def test_what_a_killed_process_was_writing_is_removed(node: Node) -> None:
    """Before: it stayed for ever, and counted for no bound."""
    identity = node.offer()
    left = node.folder / f"inv_{7:024x}.writing"
    other = node.folder / "notes.writing"
    left.write_bytes(b"half")
    other.write_bytes(b"somebody's")
    node.start()
    assert node.ids() == [identity]
    assert not left.exists() and other.exists()


def test_a_disk_that_fails_once_hides_no_recording(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Before: it was none until the node was started again."""
    one, other, newest = node.offer(1), node.offer(2), node.offer(3)
    read = files.read

    def failing(folder: Path, identity: str, most: int) -> files.Parts:
        if identity == one:
            raise OSError(errno.EIO, "Input/output error")
        return read(folder, identity, most)

    node.start()
    with monkeypatch.context() as patch:
        patch.setattr(files, "read", failing)
        assert node.ids() == [newest, other]
        assert "cannot be read now" in caplog.text
        node.clock.now += 61.0
        assert node.ids() == [newest, other]
    assert node.ids() == [newest, other], "not with each question"
    node.clock.now += 61.0
    assert node.ids() == [newest, other, one], "in their order"


@pytest.mark.parametrize("call", ["remove", "names", "remove_unfinished"])
def test_a_disk_that_fails_is_told_as_that(
    node: Node, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Before: a fault of the node's own, also for who only looks at what is there."""

    def fails(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    settings = RecordingSettings(keep=100.0)
    identity, other = node.offer(settings=settings), node.offer(2)
    if call != "remove":
        node.start()
    with monkeypatch.context() as patch:
        patch.setattr(files, call, fails)
        with pytest.raises(UnavailableError, match="Input/output"):
            asyncio.run(node.recordings.remove("shop", identity))
        if call == "remove":
            node.clock.now += 200.0
            assert node.ids() == [other], "one that is over and stays on the disk is hidden"
            newest = node.offer(3)
            assert node.recordings.dropped == 0 and node.ids() == [newest, other]
    if call == "remove":
        assert node.ids() == [newest, other] and len(node.files) == 2
    else:
        assert node.ids() == [other, identity]


def test_a_file_under_anothers_name_is_no_recording(node: Node) -> None:
    one, other = node.offer(1), node.offer(2, event=b"{}")
    first, second = node.files
    first.write_bytes(second.read_bytes())
    with pytest.raises(DamagedRecordingError):
        node.show(one)
    node.start()
    assert node.ids() == [other]


def test_a_link_is_not_followed(node: Node, tmp_path: Path) -> None:
    identity = node.offer()
    [file] = node.files
    elsewhere = tmp_path / "elsewhere"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    with pytest.raises(DamagedRecordingError):
        node.show(identity)


def test_a_clock_that_is_ahead_for_a_moment_deletes_none(node: Node) -> None:
    identity = node.offer(settings=RecordingSettings(keep=100.0))
    node.clock.now += 1000.0
    node.ahead = 1000.0
    assert node.ids() == [], "hidden at once"
    with pytest.raises(NotFoundError):
        node.show(identity)
    other = node.offer(2, settings=RecordingSettings(keep=100.0))
    node.clock.now -= 1000.0
    node.ahead = 0.0
    assert set(node.ids()) == {identity, other}
    assert node.show(identity).content.event == b'{"a": 1}'
    node.clock.now += 1000.0
    node.start()
    assert node.ids() == [other] and len(node.files) == 1


def test_their_time_ends(node: Node) -> None:
    identity = node.offer(settings=RecordingSettings(keep=100.0))
    node.clock.now += 99.0
    assert node.ids() == [identity]
    node.clock.now += 1.0
    with pytest.raises(NotFoundError):
        node.show(identity)
    assert node.ids() == [] and node.files == []


def test_one_that_is_removed_is_gone_from_the_disk(node: Node) -> None:
    identity = node.offer()
    asyncio.run(node.recordings.remove("shop", identity))
    assert node.ids() == [] and node.files == []
    with pytest.raises(NotFoundError):
        asyncio.run(node.recordings.remove("shop", identity))


BIG = keeping.MAX_ONE


@pytest.mark.parametrize(
    ("event", "content", "reply", "kept"),
    [
        (BIG, 0, 0, (BIG, 0, 0)),
        (BIG + 1, 10, 10, (0, 0, 0)),
        (10, BIG, 10, (10, 0, 0)),
        (10, 10, BIG, (10, 10, 0)),
    ],
)
def test_what_is_too_much_is_left_out_and_said(
    node: Node, event: int, content: int, reply: int, kept: tuple[int, int, int]
) -> None:
    frames = (Frame(False, b"", b"c" * content),) if content else ()
    identity = node.offer(event=b"e" * event, reply=b"r" * reply, frames=frames)
    found = node.show(identity)
    sizes = tuple(len(frame.content) for frame in found.content.frames)
    assert (len(found.content.event), sum(sizes), len(found.content.reply)) == kept
    assert found.summary.cut is (kept != (event, content, reply))


def test_what_waits_is_bounded(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_WAITING_BYTES", 3000)

    async def run() -> None:
        for number in range(20):
            finished, sealed = ended(
                number, Outcome.CRASHED, event=b"e" * 1000, function=f"f{number}"
            )
            node.recordings.offer(finished, sealed)
        await node.recordings.close()

    asyncio.run(run())
    assert len(node.files) == 3 and node.recordings.dropped == 17


def test_a_full_disk_loses_the_recording_and_nothing_else(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keeping.files, "write", full)
        node.offer()
    assert node.recordings.dropped == 1 and node.files == []
    assert node.offer(2) in node.ids()


def test_recordings_leave_the_reserve_of_the_volume(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "beside_reserve", lambda _: 10)
        node.offer()
    assert node.recordings.dropped == 1 and node.files == []
    assert node.offer(2) in node.ids()


TOKEN, MAIL, CARD = b"ghp_" + b"a1B2" * 9, b"ada@example.com", b"4111 1111 1111 1111"


def snapshot_of(node: Node, project: str = "shop", error: str = "err_1") -> Any:
    return asyncio.run(node.recordings.snapshot(project, error))


@pytest.mark.parametrize(
    "logs",
    [
        Logs(),
        # What may be shown in logs may not be shown here.
        Logs(unmasked=tuple(Unmasked(kind=kind, reason="x") for kind in ("email", "card"))),
    ],
)
def test_values_are_masked_before_they_are_kept(node: Node, logs: Logs) -> None:
    values = b"app.py:3 in handler\n  order = {'to': '%s', 'by': '%s'}\n  a = '%s'\n  b = '%s'\n"
    identity = node.offer(values=values % (MAIL, CARD, TOKEN, SECRET), logs=logs)
    found = snapshot_of(node)
    for value in (MAIL, CARD, TOKEN, SECRET):
        assert value.decode() not in found.values
    assert found.values.count("[redacted:") == 4 and "app.py:3 in handler" in found.values
    assert (found.id, found.invocation, found.project) == ("err_1", identity, "shop")


def test_numbers_of_persons_are_masked_where_the_manifest_names_them(node: Node) -> None:
    node.offer(values=b"  n = '078-05-1120'\n", logs=Logs(mask=("us-ssn",)))
    assert "1120" not in snapshot_of(node).values


def test_who_may_see_recordings_sees_no_values_by_that(node: Node) -> None:
    identity = node.offer(values=b"  name = 'a value of a frame'\n")
    assert "a value of a frame" not in str(node.show(identity))
    assert "a value of a frame" in snapshot_of(node).values
    [file] = node.files
    assert b"a value" not in file.read_bytes()


def test_values_that_could_not_be_looked_through_are_not_kept(node: Node) -> None:
    node.vault.fault = CasemateError("the vault is busy")
    node.offer(values=b"  name = 'x'\n")
    assert node.files == []


@pytest.mark.parametrize(("project", "error"), [("mail", "err_1"), ("shop", "err_2"), ("shop", "")])
def test_there_is_no_snapshot_of_others(node: Node, project: str, error: str) -> None:
    node.offer(values=b"  name = 'x'\n")
    with pytest.raises(NotFoundError):
        snapshot_of(node, project, error)


def test_without_values_or_after_their_time_there_is_no_snapshot(node: Node) -> None:
    node.offer()
    with pytest.raises(NotFoundError):
        snapshot_of(node)
    node.offer(2, values=b"  name = 'x'\n", settings=RecordingSettings(keep=100.0))
    assert snapshot_of(node).version == 3
    node.clock.now += 100.0
    with pytest.raises(NotFoundError):
        snapshot_of(node)


@pytest.mark.parametrize(
    "values", [b"\xff" * 16_000, b"@" * 16_000, b"4111" * 4_000, b"\n" * 16_000]
)
def test_hostile_values_are_masked_in_time(node: Node, values: bytes) -> None:
    started = time.process_time()
    node.offer(values=values)
    assert time.process_time() - started < 1.0
    assert len(node.ids()) == 1


def kept_event(data: bytes = b'{"key": "in/a.png", "by": "hunter2hunter2"}') -> Event:
    return Event(
        id="e1",
        source="/projects/shop/buckets/in",
        type="casemate.bucket.created",
        time=4.0,
        kind=TriggerKind.BUCKET,
        subject="in/a.png",
        data=msgspec.Raw(data),
        detail={"key": "in/a.png", "by": SECRET.decode()},
    )


def test_what_came_by_an_inbox_is_kept_with_its_attributes_and_without_secrets(
    node: Node,
) -> None:
    alone = node.show(node.offer(1, events=(kept_event(),))).content
    data = {"key": "in/a.png", "by": "[redacted:key]"}
    event = {
        "id": "e1",
        "source": "/projects/shop/buckets/in",
        "type": "casemate.bucket.created",
        "time": 4.0,
        "kind": "bucket",
        "subject": "in/a.png",
        "data": data,
        "bucket": data,
    }
    assert (alone.came, msgspec.json.decode(alone.event)) == (Came.KEPT, event)
    batch = node.show(node.offer(2, events=(kept_event(), kept_event()), batch=True)).content
    assert (batch.came, msgspec.json.decode(batch.event)) == (Came.BATCH, [event, event])
    assert node.show(node.offer(3)).content.came is Came.NOW


def test_of_a_kept_event_that_is_too_large_is_told_that_it_was_left_out(node: Node) -> None:
    large = kept_event(b'"' + b"a" * keeping.MAX_ONE + b'"')
    shown = node.show(node.offer(1, events=(large,)))
    assert (shown.content.event, shown.summary.cut) == (b"", True)
