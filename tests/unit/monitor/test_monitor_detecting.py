"""Rules over the stream: one's own beside the shipped, broken ones left out, and bounds."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from casemate.detection import Detector, rules_of, shipped_texts
from casemate.drills.recorded import MORNING, event_of
from casemate.model.level import Level
from casemate.monitor.consumers import Happened
from casemate.monitor.detecting import Detection, Zone, usable_rules
from casemate.monitor.errors import SettingsError
from casemate.monitor.findings import Findings, Found
from casemate.monitor.on_call import host_zone
from casemate.monitor.process import MAX_RULE_FILES, own_rules
from casemate.monitor.settings import default_settings, read_settings
from casemate.monitor.telling import fact_of
from casemate.recorder.protocol import MAX_FACT_BYTES

RULE = """
title: Somebody called mallory signs in
id: 0c4b5d06-9a0f-4ac7-8d3f-1a2b3c4d5e6f
name: {name}
status: test
logsource: {{product: casemate}}
detection:
  selection:
    metadata.event_code: SignedIn
    actor.user.name: 'user:mallory'
  condition: selection
level: high
"""


def happened(index: int, **fields: object) -> Happened:
    event = event_of("SignedIn", {"method": "password", **fields}, MORNING + index, f"boot-{index}")
    return Happened(index, f"boot-{index}", "SignedIn", MORNING + index, event)


def test_rules_of_one_s_own_run_beside_the_shipped() -> None:
    rules, problems = usable_rules(shipped_texts(), [(RULE.format(name="own").encode(), "own.yml")])
    assert problems == ()
    told: list[Found] = []
    detection = Detection(rules, Findings())
    detection.tell = told.append
    detection.take([happened(0, by="user:ada"), happened(1, by="user:mallory", project="shop")])
    assert [each.rule for each in told if each.rule == "own"] == ["own"]
    assert told[-1].project == "shop"


@pytest.mark.parametrize(
    "broken",
    [b"\xff\xfe", b"title: [", b"a: &a [*a]",
     RULE.format(name="x").replace("SignedIn", "!!x").encode(),
     b"title: x\ndetection: {selection: {a|re: '(a+)+$'}, condition: not there}"],
)  # fmt: skip
def test_a_broken_file_is_left_out_by_name_and_the_others_run(broken: bytes) -> None:
    good = (RULE.format(name="own").encode(), "good.yml")
    rules, problems = usable_rules(shipped_texts(), [(broken, "broken.yml"), good])
    assert "own" in rules.told
    assert "tokens-tried" in rules.told
    [problem] = problems
    assert "broken.yml" in problem


def test_two_of_one_name_are_no_reason_to_notice_nothing() -> None:
    one = RULE.format(name="own").encode()
    rules, problems = usable_rules(shipped_texts(), [(one, "a.yml"), (one, "b.yml")])
    assert problems
    assert "tokens-tried" in rules.told


def test_the_folder_of_rules_is_read_within_bounds(tmp_path: Path) -> None:
    assert own_rules(None) == ([], [])
    found, problems = own_rules(str(tmp_path / "none"))
    assert found == [] and "cannot be read" in problems[0]
    for n in range(MAX_RULE_FILES + 3):
        (tmp_path / f"{n:04}.yml").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "0000.yml").unlink()
    (tmp_path / "0000.yml").symlink_to(tmp_path / "nowhere")
    found, problems = own_rules(str(tmp_path))
    assert len(found) == MAX_RULE_FILES - 1
    assert len(problems) == 2


def test_a_fault_of_a_rule_keeps_no_other_event_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = rules_of((RULE.format(name="own").encode(), "own.yml"))
    told: list[Found] = []
    detection = Detection(rules, Findings())
    detection.tell = told.append
    see = Detector.see

    def fails(self: Detector, event: dict[str, object], at: float) -> object:
        if at == MORNING:
            raise ZeroDivisionError
        return see(self, event, at)

    monkeypatch.setattr(Detector, "see", fails)
    detection.take([happened(0, by="user:mallory"), happened(1, by="user:mallory")])
    assert detection.faults == 1
    assert len(told) == 1


NAMES = {
    "FunctionReleased": ("reason",),
    "FunctionQuarantined": ("reason",),
    "RestrictionChanged": ("restriction", "kind", "what", "reason"),
    "BudgetSet": ("budget", "reason"),
    "PlaybookStep": ("playbook", "run", "incident", "finding"),
}


def changed(index: int, what: str, says: dict[str, object], node: str = "") -> Happened:
    fields = dict.fromkeys(NAMES[what], "x") | says
    event = event_of(what, fields, MORNING + index, f"boot-{index}")
    return Happened(index, f"boot-{index}", what, MORNING + index, event, node)


@pytest.mark.parametrize("node", ["", "other"])
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("FunctionReleased", {}),
        ("RestrictionChanged", {"change": "lift"}),
        ("BudgetSet", {"change": "lift"}),
        ("BudgetSet", {"change": "remove"}),
        ("PlaybookStep", {"step": "undone"}),
    ],
)
def test_who_goes_on_once_what_held_him_up_was_taken_back_is_told_of_again(
    kind: str, says: dict[str, object], node: str
) -> None:
    told: list[Found] = []
    rules = rules_of((RULE.format(name="own").encode(), "own.yml"))
    detection = Detection(rules, Findings())
    detection.tell = told.append
    detection.take([happened(index, by="user:mallory") for index in range(3)])
    assert [each.count for each in told] == [1]
    channels: list[str] = []
    detection.taken_back = lambda: channels.append("tell again")
    detection.take([changed(3, kind, says, node)])
    assert channels == ["tell again"], "the channels fold no more, either"
    # Also by the monitor that goes on in its place.
    again = Detection(rules, Findings())
    again.recall(detection.remembered())
    again.tell = told.append
    again.take([happened(index, by="user:mallory") for index in range(4, 8)])
    assert [each.count for each in told] == [1, 3]


def test_each_finding_counts_its_own_once_an_incident_was_closed() -> None:
    told: list[Found] = []
    rules = rules_of((RULE.format(name="own").encode(), "own.yml"))
    findings = Findings()
    detection = Detection(rules, findings)
    detection.tell = told.append
    detection.take([happened(index, by="user:mallory") for index in range(2)])
    detection.tell_again_of(told)
    # Also by the monitor that goes on in its place.
    kept = Findings()
    again = Detection(rules, kept)
    again.recall(detection.remembered())
    again.tell = told.append
    for found in (detection, again):
        [shown] = [found.with_since(each) for each in found._findings.newest_first()]
        assert (shown.count, shown.again, shown.latest_at) == (1, 1, MORNING + 1)
    again.take([happened(index, by="user:mallory") for index in range(2, 5)])
    assert [each.count for each in told] == [1, 1]
    shown = [again.with_since(each) for each in kept.newest_first()]
    assert [each.count + each.again for each in shown] == [3, 2]


def test_what_no_rule_finds_is_found_again_once_its_incident_is_closed() -> None:
    told: list[Found] = []
    detection = Detection(rules_of((RULE.format(name="own").encode(), "own.yml")), Findings())
    detection.tell = told.append

    def report(at: float) -> None:
        detection.report("checkpoint-not-sent", Level.HIGH, "Not sent", "place=far", at)

    for n in range(3):
        report(MORNING + n)
    assert len(told) == 1
    for n in (10, 20):
        detection.tell_again_of(told[-1:])
        report(MORNING + n)
        report(MORNING + n + 1)
    assert len({each.id for each in told}) == len(told) == 3


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("FunctionQuarantined", {"killed": False}),
        ("RestrictionChanged", {"change": "set"}),
        ("BudgetSet", {"change": "set"}),
        ("PlaybookStep", {"step": "done"}),
    ],
)
def test_what_holds_somebody_up_has_nobody_told_of_again(
    kind: str, says: dict[str, object]
) -> None:
    told: list[Found] = []
    detection = Detection(rules_of((RULE.format(name="own").encode(), "own.yml")), Findings())
    detection.tell = told.append
    detection.take([happened(0, by="user:mallory"), changed(1, kind, says)])
    detection.take([happened(2, by="user:mallory")])
    assert len(told) == 1


def test_what_was_remembered_of_no_monitor_is_refused() -> None:
    detection = Detection(rules_of(*shipped_texts()), Findings())
    with pytest.raises(ValueError):
        detection.recall(b"\x93\x01\x02\x03")


def test_what_a_rule_says_of_itself_is_bounded_where_it_is_told() -> None:
    tags = "".join(f"  - attack.t1{'0' * 3000}{n}\n" for n in range(60))
    loud = RULE.format(name="loud").replace("status: test\n", f"status: test\ntags:\n{tags}")
    loud = loud.replace("Somebody called mallory signs in", "x" * 4000)
    told: list[Found] = []
    detection = Detection(rules_of((loud.encode(), "loud.yml")), Findings())
    detection.tell = told.append
    detection.take([happened(0, by="user:mallory")])
    assert len(msgspec.msgpack.encode(fact_of(told[0]))) < MAX_FACT_BYTES // 4


def signed_in(index: int, at: float) -> Happened:
    found = happened(index, by="user:ada")
    event = {**found.event, "time": int(at * 1000)}
    return msgspec.structs.replace(found, at=at, event=event)


def told_at(zone: Zone, *moments: str) -> list[str]:
    """Return the titles of what is found of sign-ins at these times of UTC, each of its own."""
    titles: list[str] = []
    for number, moment in enumerate(moments):
        detection = Detection(rules_of(*shipped_texts()), Findings(), zone)
        detection.tell = lambda found: (
            titles.append(found.title) if found.rule == "signed-in-at-night" else None
        )
        at = datetime.fromisoformat(f"{moment}+00:00").timestamp()
        detection.take([signed_in(number, at)])
    return titles


def test_night_is_that_of_the_zone_that_the_settings_name(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('zone = "America/New_York"\n')
    new_york = Zone.of(read_settings(file))
    # In summer two o'clock there is six of UTC, in winter seven; at one of UTC it is evening.
    night, evening = ("2026-07-01T06:00", "2026-12-01T07:59"), ("2026-07-01T01:00",)
    assert told_at(new_york, *night) == ["A person signs in at night (America/New_York)"] * 2
    assert told_at(new_york, *evening, "2026-07-01T08:00") == []
    assert told_at(Zone(), *evening) == ["A person signs in at night (UTC)"]
    assert told_at(Zone(), *night) == []


def at_night(first: str, moment: str, address: str, *, recalled: bool = False) -> bool:
    """Tell whether a sign-in is found as one at night on a node that began at `first`."""
    told: list[str] = []
    began, at = (datetime.fromisoformat(f"{one}+00:00").timestamp() for one in (first, moment))
    detection = Detection(rules_of(*shipped_texts()), Findings(), Zone())
    detection.take([signed_in(0, began)])
    if recalled:
        after = Detection(rules_of(*shipped_texts()), Findings(), Zone())
        after.recall(detection.remembered())
        detection = after
    detection.tell = lambda found: told.append(found.rule)
    second = signed_in(7, at)
    event = {**second.event, "src_endpoint": {"ip": address}}
    detection.take([msgspec.structs.replace(second, event=event)])
    return "signed-in-at-night" in told


def test_who_sets_up_a_node_in_the_evening_is_not_at_work_at_night() -> None:
    """On its first day, and on its own machine: nobody's hours are known yet."""
    evening, night, next_night = "2026-12-01T21:00", "2026-12-02T01:00", "2026-12-03T01:00"
    for address in ("127.0.0.1", "::1"):
        assert not at_night(evening, night, address)
        assert not at_night(evening, night, address, recalled=True)
        assert at_night(evening, next_night, address)
    assert at_night(evening, night, "203.0.113.9")
    assert at_night(night, "2026-11-30T01:00", "127.0.0.1"), "a clock that was set back"


@pytest.mark.parametrize(
    ("link", "zone"),
    [
        ("/usr/share/zoneinfo/America/New_York", "America/New_York"),
        ("../usr/share/zoneinfo/Etc/UTC", "UTC"),
        ("/usr/share/zoneinfo/Nowhere/Land", "UTC"),
        ("/etc/clock", "UTC"),
    ],
)
def test_the_hosts_zone_holds_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str, zone: str
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    (tmp_path / "localtime").symlink_to(link)
    assert host_zone(tmp_path / "localtime") == zone
    assert host_zone(tmp_path / "nothing") == "UTC"
    monkeypatch.setenv("TZ", ":Europe/Berlin")
    assert host_zone(tmp_path / "localtime") == "Europe/Berlin"
    assert default_settings().zone == "Europe/Berlin" and default_settings().zone_rules
    (tmp_path / "node.toml").write_text("")
    assert read_settings(tmp_path / "node.toml").zone == "Europe/Berlin"


@pytest.mark.parametrize(
    "line", ['zone = "Nowhere/Land"', 'zone = "../etc/passwd"', 'zone_rules = "VFppZg=="']
)
def test_a_zone_that_the_host_does_not_know_is_refused(tmp_path: Path, line: str) -> None:
    file = tmp_path / "node.toml"
    file.write_text(f"{line}\n")
    with pytest.raises(SettingsError, match="zone"):
        read_settings(file)


def test_the_newest_of_a_finding_says_what_came_since() -> None:
    rules = rules_of((RULE.format(name="own").encode(), "own.yml"))
    told: list[Found] = []
    detection = Detection(rules, Findings())
    detection.tell = told.append
    detection.take([happened(n, by="user:mallory") for n in range(5)])
    [first] = told
    shown = detection.with_since(first)
    assert (shown.count, shown.again, shown.latest_at) == (1, 4, MORNING + 4)
    assert detection.since_by_level() == {Level.HIGH: (4, MORNING + 4)}
    later = happened(4000, by="user:mallory")
    detection.take([later])
    assert told[1].count == 5
    assert detection.with_since(first).again == 0, "they are told with the next"
