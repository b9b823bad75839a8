"""The monitor's work: found live, told once, over kills at any moment and losses of its memory."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from casemate.model.facts import InvocationEnded, SignedIn
from casemate.model.response_facts import AlertSent, AlertsSilenced, Finding, IncidentUpdated
from casemate.monitor import following as following_module
from casemate.monitor.detecting import DAMAGED, FORGOTTEN, ROLLED_BACK
from casemate.monitor.errors import UndeliveredError
from casemate.monitor.memory import FILE
from casemate.operations.findings import NEVER_SILENT
from casemate.operations.incidents import IncidentState, ListIncidents
from support.monitor import Journal, Sink, Watch, refused, running
from support.waiting import until

NOW = float(int(time.time()) - 7200)


async def spray(journal: Journal, n: int = 0, *, count: int = 40, at: float = NOW) -> None:
    """Have somebody try tokens from an address of its own."""
    ip = f"203.0.{n // 250}.{n % 250}"
    await journal.keep(*(refused(k, at=at + k, ip=ip) for k in range(count)))


@running
async def test_an_attack_is_found_told_and_recorded(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    began = time.monotonic()
    await spray(journal)
    await until(lambda: sink.ids)
    assert time.monotonic() - began < 20
    assert "tokens-tried" in {each.rule for each in watch.findings.newest_first()}
    await until(lambda: any(isinstance(each, AlertSent) for each in journal.told))
    kinds = Counter(type(each) for each in journal.told)
    assert kinds[Finding] == len(watch.findings)
    assert watch.noticing.well()
    await watch.stop()
    journal.close()


@running
async def test_what_it_told_itself_is_no_reason_to_tell_more(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await spray(journal)
    await until(lambda: len(journal.told) >= 2)
    size = journal.writer.size
    await asyncio.sleep(0.5)
    assert journal.writer.size == size
    await watch.stop()
    journal.close()


def told(watch: Watch) -> list[str]:
    return [each.id for each in watch.findings.newest_first() if each.rule == "tokens-tried"]


@pytest.mark.parametrize("state", ["false-alarm", "resolved"])
@pytest.mark.parametrize("restarts", [False, True])
@running
async def test_what_goes_on_after_its_incident_was_closed_opens_another_and_is_told(
    tmp_path: Path, state: str, restarts: bool
) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await spray(journal)
    await until(lambda: sink.ids and watch.noticing.incidents.listed(ListIncidents()).incidents)
    # Of another attack nothing was closed: what goes on of that stays folded.
    await spray(journal, 1, at=NOW + 50)
    await until(lambda: len(set(sink.ids)) == 2)
    first = watch.noticing.incidents.listed(ListIncidents()).incidents[-1]
    fact = IncidentUpdated(
        at=NOW + 100,
        by="user:ada",
        incident=first.id,
        change="state",
        value=state,
        text="our scanner",
        seen_at=first.last_at,
    )
    await journal.keep(fact)
    get = watch.noticing.incidents.get
    await until(lambda: (known := get(first.id)) is not None and known.state.closed)
    if restarts:
        await watch.stop()
        watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    # One more is no attack: what was counted is closed.
    await spray(journal, at=NOW + 101, count=1)
    await until(lambda: watch.noticing.following.position.next == journal.writer.size)
    assert len(told(watch)) == 2
    await spray(journal, at=NOW + 102)
    await spray(journal, 1, at=NOW + 150)
    await until(lambda: len(told(watch)) == 3 and len(set(sink.ids)) == 3)
    listed = watch.noticing.incidents.listed
    await until(lambda: len(listed(ListIncidents(state=IncidentState.OPEN)).incidents) == 2)
    # Within the hour it is folded again, until somebody closes that one as well.
    await spray(journal, at=NOW + 200)
    await until(lambda: watch.noticing.following.position.next == journal.writer.size)
    assert len(told(watch)) == 3 and len(sink.ids) == 3
    await watch.stop()
    journal.close()


@running
async def test_what_was_closed_is_not_told_by_a_monitor_that_has_lost_its_memory(
    tmp_path: Path,
) -> None:
    """As after a backup was put back: no channel had told it, and somebody has judged it."""
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {}).start(journal)
    await spray(journal)
    await spray(journal, 1, at=NOW + 50)
    listed = watch.noticing.incidents.listed
    await until(lambda: len(told(watch)) == 2 and len(listed(ListIncidents()).incidents) == 2)
    await until(lambda: watch.noticing.following.position.next == journal.writer.size)
    closed = listed(ListIncidents()).incidents[-1]
    [known] = [each.id for each in watch.findings.newest_first() if each.at < NOW + 50]
    await journal.keep(
        IncidentUpdated(
            at=NOW + 100,
            by="user:ada",
            incident=closed.id,
            change="state",
            value="false-alarm",
            text="our scanner",
            seen_at=closed.last_at,
        )
    )
    get = watch.noticing.incidents.get
    await until(lambda: (found := get(closed.id)) is not None and found.state.closed)
    await watch.stop()
    watch = await Watch(tmp_path / "other", {"pager": sink}).start(journal)
    await until(lambda: sink.ids)
    await until(lambda: not watch.noticing.alerting.outlets["pager"].state.waiting)
    assert known not in sink.ids
    assert set(sink.ids) == set(told(watch)) - {known}
    await watch.stop()
    journal.close()


@running
async def test_what_is_not_known_of_a_closed_incident_could_be_any(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await spray(journal)
    await until(lambda: sink.ids and watch.noticing.incidents.listed(ListIncidents()).incidents)
    [summary] = watch.noticing.incidents.listed(ListIncidents()).incidents
    known = watch.noticing.incidents._named(summary.id)
    assert known is not None
    known.ids = []  # it has more findings than it keeps ids of
    watch.noticing._closed(known, NOW + 100)
    await spray(journal, at=NOW + 102)
    await until(lambda: len(told(watch)) == 2 and len(set(sink.ids)) == 2)
    await watch.stop()
    journal.close()


@running
async def test_an_attack_over_a_kill_is_found(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await journal.keep(*(refused(k, at=NOW + k) for k in range(15)))
    await until(lambda: watch.noticing.following.current and journal.writer.size == 15)
    await asyncio.sleep(0.05)
    await watch.noticing.save()
    await watch.kill()
    assert sink.ids == []
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await journal.keep(*(refused(k, at=NOW + k) for k in range(15, 40)))
    await until(lambda: sink.ids)
    await watch.stop()
    journal.close()


@pytest.mark.parametrize("seed", range(6))
def test_kills_at_any_moment_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    async def run() -> None:
        draw = random.Random(seed)
        journal, sink = Journal(tmp_path / "journal"), Sink()
        attacks = 12
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("casemate.monitor.outlet.RULE_PER_MINUTE", 1000)
            for n in range(attacks):
                watch = await Watch(tmp_path / "monitor", {"pager": sink}, settings=None).start(
                    journal
                )
                await spray(journal, n, at=NOW + n * 60)
                await asyncio.sleep(draw.random() * 0.15)
                if draw.random() < 0.5:
                    await watch.noticing.save()
                    await asyncio.sleep(draw.random() * 0.05)
                await watch.kill()
            watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
            rules = lambda: {  # noqa: E731
                (each.rule, each.entity)
                for each in watch.findings.newest_first()
                if each.rule == "tokens-tried"
            }
            await until(lambda: len(rules()) == attacks)
            known = {each.id for each in watch.findings.newest_first()}
            await until(lambda: known <= set(sink.ids))
            await until(lambda: not len(watch.telling))
            await watch.stop()
        told = Counter(each.finding for each in journal.told if isinstance(each, Finding))
        assert set(told) == known
        assert max(told.values()) == 1
        sent = Counter(id for f in journal.told if isinstance(f, AlertSent) for id in f.findings)
        assert max(sent.values()) == 1
        # An alert that was taken in the very moment of a kill goes once more, under its id.
        twice = [id for id, times in Counter(sink.ids).items() if times > 1]
        assert len(twice) <= attacks
        journal.close()

    asyncio.run(run())


@running
async def test_an_alert_that_was_recorded_is_not_sent_again(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await spray(journal)
    await until(lambda: any(isinstance(each, AlertSent) for each in journal.told))
    await until(lambda: not len(watch.telling))
    before = list(sink.ids)
    await watch.kill()  # nothing was kept: all of it is read again from the first entry on
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await until(lambda: watch.noticing.following.caught_up.is_set())
    await asyncio.sleep(0.5)
    assert sink.ids == before
    await watch.stop()
    journal.close()


@running
async def test_what_was_not_sent_when_it_was_killed_is_sent(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    sink.problem = UndeliveredError("It answers 503.")
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await spray(journal)
    await until(lambda: watch.outlets["pager"].state.problem)
    await watch.stop()
    sink.problem = None
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await until(lambda: sink.ids)
    assert watch.noticing.well()
    await watch.stop()
    journal.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other", "gone"])
def test_a_damaged_memory_is_made_good_from_the_journal(tmp_path: Path, damage: str) -> None:
    async def run() -> None:
        journal, sink = Journal(tmp_path / "journal"), Sink()
        watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
        await spray(journal)
        await until(lambda: any(isinstance(each, AlertSent) for each in journal.told))
        await until(lambda: not len(watch.telling))
        await watch.stop()
        known, before = {f.id for f in watch.findings.newest_first()}, list(sink.ids)
        file = tmp_path / "monitor" / FILE
        data = bytearray(file.read_bytes())
        if damage == "flip":
            data[len(data) // 2] ^= 1
        data = {"cut": data[:-7], "empty": data[:0], "other": bytearray(b"x" * 99)}.get(
            damage, data
        )
        file.write_bytes(data)
        if damage == "gone":
            file.unlink()
        with pytest.MonkeyPatch.context() as patch:
            # The middle of the attack is where it begins to read: it finds it by another event.
            patch.setattr(following_module, "LOOKBACK", journal.writer.size - 3)
            watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
            await until(lambda: watch.noticing.following.caught_up.is_set())
            await asyncio.sleep(0.4)
        own = {f.id for f in watch.findings.newest_first() if f.rule == FORGOTTEN}
        assert bool(own) is (damage != "gone")
        assert {f.id for f in watch.findings.newest_first()} == known | own
        assert set(sink.ids) - set(before) == own
        assert Counter(sink.ids).most_common(1)[0][1] == 1
        await watch.stop()
        journal.close()

    asyncio.run(run())


@running
async def test_a_journal_that_was_rolled_back_is_told(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "one"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await journal.keep(*(SignedIn(at=NOW, by=f"user:{n}", method="password") for n in range(20)))
    await until(lambda: watch.noticing.following.position.next == 20)
    await watch.stop()
    journal.close()
    other = Journal(tmp_path / "two")
    await other.keep(*(SignedIn(at=NOW, by=f"user:{n}", method="password") for n in range(5)))
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(other)
    await until(lambda: ROLLED_BACK in {each.rule for each in watch.findings.newest_first()})
    await until(lambda: sink.ids)
    await spray(other)
    await until(lambda: len(set(sink.ids)) > 1)
    await watch.stop()
    other.close()


@running
async def test_another_journal_that_is_longer_is_known_by_its_entries(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "one"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await journal.keep(*(SignedIn(at=NOW, by=f"user:{n}", method="password") for n in range(5)))
    await until(lambda: watch.noticing.following.position.next == 5)
    await watch.stop()
    journal.close()
    other = Journal(tmp_path / "two")
    await other.keep(*(SignedIn(at=NOW, by=f"user:{n}", method="password") for n in range(50)))
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(other)
    await until(lambda: ROLLED_BACK in {each.rule for each in watch.findings.newest_first()})
    await watch.stop()
    other.close()


@running
async def test_entries_that_cannot_be_read_are_told_and_passed_over(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    from support.journal import PRIVATE

    await journal.keep(*(SignedIn(at=NOW, by=f"user:{n}", method="password") for n in range(600)))
    journal.writer.checkpoint(PRIVATE.sign)
    [bundle, *_] = sorted((tmp_path / "journal" / "tile" / "entries").rglob("*"))
    bundle.write_bytes(b"")
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await until(lambda: DAMAGED in {each.rule for each in watch.findings.newest_first()})
    await spray(journal)
    await until(lambda: len(set(sink.ids)) > 1)
    await watch.stop()
    journal.close()


@running
async def test_a_silenced_rule_is_found_and_not_told(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    silence = {"by": "user:ada", "reason": "a test"}
    rules = (NEVER_SILENT, "tokens-tried", "tokens-tried-fast", "login-spray", "credentials-flood")
    await journal.keep(
        *(AlertsSilenced(at=NOW - 1, rule=rule, seconds=601, **silence) for rule in rules)
    )
    await spray(journal)
    await until(lambda: "tokens-tried" in {each.rule for each in watch.findings.newest_first()})
    await until(lambda: NEVER_SILENT in {m.found[-1].rule for m in sink.messages})
    told = {each.rule for message in sink.messages for each in message.found}
    assert "tokens-tried" not in told
    assert watch.outlets["pager"].state.silenced >= 1
    [one] = [s for s in watch.alerting.silences(NOW) if s.rule == "tokens-tried"]
    assert (one.by, one.reason) == ("user:ada", "a test")
    # It expires, and is ended, by the time of what happens.
    await spray(journal, 1, at=NOW + 700)
    await until(lambda: "tokens-tried" in {e.rule for m in sink.messages for e in m.found})
    await watch.stop()
    journal.close()


@running
async def test_an_ended_silence_and_one_without_end_are_none(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    forever = AlertsSilenced(at=NOW, rule="a", seconds=10**9, reason="")
    ended = AlertsSilenced(at=NOW + 1, rule="b", seconds=0, reason="")
    begun = AlertsSilenced(at=NOW, rule="b", seconds=500, reason="")
    await journal.keep(forever, begun, ended)
    await until(lambda: watch.noticing.following.position.next == 3)
    [left] = watch.alerting.silences(NOW)
    assert left.rule == "a"
    assert left.until <= NOW + 7 * 86_400
    await watch.stop()
    journal.close()


@running
async def test_clocks_that_jump_end_nothing(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    for n, at in enumerate((NOW, NOW + 10**8, NOW - 10**8, 0.0, NOW)):
        await spray(journal, n, at=at)
    await until(lambda: watch.noticing.following.position.next == journal.writer.size)
    entities = {e.entity for e in watch.findings.newest_first() if e.rule == "tokens-tried"}
    assert len(entities) >= 3
    await watch.stop()
    journal.close()


@running
async def test_the_recorder_may_go_and_come_back(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await journal.keep(InvocationEnded(at=NOW, outcome="ok"))
    await until(lambda: watch.noticing.following.current)
    journal.readers.close()
    await until(lambda: not watch.noticing.following.current)
    assert not watch.noticing.well()
    await spray(journal)
    watch.noticing.following.connect(journal.reader())
    await until(lambda: sink.ids)
    assert watch.noticing.status().problems == ()
    await watch.stop()
    journal.close()


@running
async def test_a_full_disk_is_told_and_ends_nothing(tmp_path: Path) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)

    def full(_data: bytes) -> None:
        raise OSError(28, "No space left on device")

    write = watch.memory.write
    watch.memory.write = full  # type: ignore[method-assign]
    await spray(journal)
    await until(lambda: sink.ids)
    await watch.noticing.save()
    assert any("not kept" in each for each in watch.noticing.status().problems)
    watch.memory.write = write  # type: ignore[method-assign]
    await watch.noticing.save()
    assert watch.noticing.status().problems == ()
    await watch.stop()
    journal.close()


@running
async def test_without_a_recorder_for_too_long_another_monitor_is_asked_for(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(following_module, "LONELY_SECONDS", 0.05)
        journal, sink = Journal(tmp_path / "journal"), Sink()
        watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
        await until(lambda: watch.noticing.following.current)
        await asyncio.sleep(0.1)
        assert not watch.ended.is_set()
        journal.readers.close()
        await until(watch.ended.is_set)
        await watch.stop()
        journal.close()


@running
async def test_how_late_it_is_and_how_soon_it_tells_is_counted_also_by_a_clock_that_jumps(
    tmp_path: Path,
) -> None:
    journal, sink = Journal(tmp_path / "journal"), Sink()
    watch = await Watch(tmp_path / "monitor", {"pager": sink}).start(journal)
    await until(lambda: watch.noticing.following.abreast)
    now = time.time()
    for at in (now, now + 86_400, now - 0.3):
        await journal.keep(SignedIn(at=at, by="user:ada", method="password"))
    await until(lambda: watch.noticing.status().lag.count == 3)
    assert 0 < watch.noticing.status().lag.seconds < 20
    await spray(journal, at=now)
    await until(lambda: watch.noticing.status().alerted.count)
    assert 0 <= watch.noticing.status().alerted.seconds < 20
    await watch.stop()
    journal.close()
