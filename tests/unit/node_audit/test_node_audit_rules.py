"""The rules of the node's audit: each finds what it is for, and nothing in a sound node."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import typer

from casemate.cli.main import app
from casemate.gateway.function_states import CLOSE_SECONDS, MAX_FUNCTIONS
from casemate.model.level import Level
from casemate.model.node import PartHealth
from casemate.model.nodes import ClusterNode
from casemate.model.nodes import NodeState as Stands
from casemate.model.principal import RoleBinding
from casemate.model.protection import ProtectionStatus
from casemate.node_audit.judging import (
    MAX_OF_RULE,
    RULES,
    WEIGHTS,
    counts_of,
    judge,
    score_of,
)
from casemate.node_audit.state import (
    DecoyOff,
    ExceptionState,
    FunctionState,
    HoleState,
    HostState,
    KeyState,
    LicenceState,
    NodeState,
    Outlet,
    PersonState,
    ReviewState,
    Settings,
    Silence,
    TokenState,
    Touch,
    WorkloadState,
    changed,
)
from casemate.operations.node_audit import MAX_POINTS, MAX_WEAKNESSES, Weakness

DAY = 86_400.0
NOW = 1_795_000_000.0
OWNER = (RoleBinding(role="owner"),)
AT_SHOP = (RoleBinding(role="developer", project="shop"),)


def token(**more: Any) -> TokenState:
    return TokenState(
        **{
            "id": "0123456789abcdef",
            "name": "ci",
            "created_at": NOW - 10 * DAY,
            "created_by": "user:ada",
            "maker_gone": False,
            "expires_at": NOW + 50 * DAY,
            "used_at": NOW - DAY,
            "bindings": AT_SHOP,
            **more,
        }
    )


def person(name: str, **more: Any) -> PersonState:
    return PersonState(
        **{
            "name": name,
            "created_at": NOW - 300 * DAY,
            "bindings": OWNER,
            "can_get_in": True,
            "code_until": None,
            "seen_at": NOW - DAY,
            **more,
        }
    )


def function(**more: Any) -> FunctionState:
    return FunctionState(
        **{
            "project": "shop",
            "name": "cart",
            "version": 3,
            "deployed_at": NOW - 60 * DAY,
            "python": "3.12",
            "public": False,
            **more,
        }
    )


def review(**more: Any) -> ReviewState:
    return ReviewState(
        **{"id": "user:ada", "kind": "user", "project": "", "due": NOW + DAY, "own": False, **more}
    )


SETTINGS = Settings(
    address="https://node.example.org",
    loopback=False,
    tls=True,
    certificate_ends=NOW + 60 * DAY,
    protections=(ProtectionStatus(name="landlock", holds=True, required=True),),
)
SOUND = NodeState(
    now=NOW,
    settings=SETTINGS,
    tokens=(token(),),
    people=(person("ada"), person("bob")),
    keys=(KeyState(id="ab" * 32, principal="user:ada", principal_gone=False),),
    roles=frozenset({"owner", "developer"}),
    functions=(function(),),
    pythons=(("3.12", NOW + 700 * DAY),),
    exceptions=(),
    holes=(),
    licences=(),
    advisory_problems=(),
    decoys_off=(),
    touches=(),
    backup_at=NOW - DAY,
    clock_behind=0.0,
    clock_synchronised=True,
    disk_free=50 << 30,
    disk_total=100 << 30,
    parts=(PartHealth(name="vault", ok=True),),
    checked_at=NOW - DAY,
    data_keys_at=NOW - 30 * DAY,
    memory_locked=True,
    channels=(Outlet(name="pager", problem=""),),
    silences=(),
    places=(Outlet(name="s3", problem="", at=NOW - 60),),
    exports=(Outlet(name="otlp", problem=""),),
    hosts=(HostState(name="kernel", state="good", detail="6.18"),),
    reviews=(review(),),
)


def settings(**more: Any) -> dict[str, Any]:
    import msgspec

    return {"settings": msgspec.structs.replace(SETTINGS, **more)}


@dataclasses.dataclass(frozen=True)
class Case:
    rule: str
    parts: dict[str, Any]
    level: Level
    subject: str
    project: str = ""


def node(name: str, state: Stands = Stands.UP, **more: Any) -> ClusterNode:
    given: dict[str, Any] = {
        **{"name": name, "id": name, "address": "https://x", "incarnation": 1, "version": "1.0"},
        **{"started_at": NOW - 9 * DAY, "seen_at": NOW, "silent": 0.0, "state": state},
        "draining": state is Stands.DRAINING,
    }
    return ClusterNode(**{**given, **more})


UP = (node("a"), node("b"))
_MISSING = ProtectionStatus(name="landlock", holds=False, required=True, accepted=True, detail="no")
_OPTIONAL = ProtectionStatus(name="userfaultfd", holds=False, required=False, detail="no")
CASES = [
    Case("NODE-001", settings(protections=(_MISSING,)), Level.HIGH, "protection:landlock"),
    Case("NODE-001", settings(protections=(_OPTIONAL,)), Level.LOW, "protection:userfaultfd"),
    Case("NODE-002", settings(accepted_risks=("plaintext",)), Level.MEDIUM, "risk:plaintext"),
    Case("NODE-003", settings(accepted_losses=("data/shop",)), Level.MEDIUM, "loss:data/shop"),
    Case("NODE-004", settings(learn=True), Level.CRITICAL, "setting:learn"),
    Case("NODE-005", settings(tls=False), Level.CRITICAL, f"address:{SETTINGS.address}"),
    Case(
        "NODE-005",
        settings(tls=False, trusted_proxies=("10.0.0.0/24",)),
        Level.HIGH,
        f"address:{SETTINGS.address}",
    ),
    Case("NODE-006", settings(certificate_ends=NOW - 1), Level.CRITICAL, "certificate:node"),
    Case("NODE-006", settings(certificate_ends=NOW + 3 * DAY), Level.MEDIUM, "certificate:node"),
    *(
        Case(
            "NODE-007",
            {"hosts": (HostState(name="kernel", state=state, detail="x"),)},
            level,
            "host:kernel",
        )
        for state, level in (("ended", Level.HIGH), ("soon", Level.MEDIUM), ("unknown", Level.LOW))
    ),
    Case("NODE-008", {"pythons": (("3.9", NOW - 9 * DAY),)}, Level.HIGH, "python:3.9"),
    Case("NODE-008", {"pythons": (("3.10", NOW + 9 * DAY),)}, Level.LOW, "python:3.10"),
    Case("NODE-009", {"clock_behind": 7200.0}, Level.HIGH, "clock"),
    Case("NODE-009", {"clock_synchronised": False}, Level.LOW, "clock:synchronisation"),
    Case("NODE-010", {"disk_free": 1 << 20}, Level.CRITICAL, "disk"),
    Case("NODE-010", {"disk_free": 5 << 30}, Level.MEDIUM, "disk"),
    Case(
        "NODE-011",
        {"parts": (PartHealth(name="vault", ok=False, detail="x"),)},
        Level.HIGH,
        "part:vault",
    ),
    Case(
        "NODE-011",
        {
            **settings(started_at=NOW - 5),
            "parts": (PartHealth(name="vault", ok=False, detail="x"),),
        },
        Level.MEDIUM,
        "part:vault",
    ),
    Case("NODE-012", {"data_keys_at": NOW - 500 * DAY}, Level.LOW, "vault:data-keys"),
    Case("NODE-013", {"memory_locked": False}, Level.LOW, "vault:memory"),
    Case("NODE-014", {"notes": ("alerts: gone",)}, Level.MEDIUM, "audit:alerts"),
    Case(
        "NODE-015", {"nodes": (*UP, node("c", Stands.GONE, seen_at=NOW - DAY))}, Level.LOW, "node:c"
    ),
    Case("NODE-015", {"nodes": (*UP, node("c", Stands.DRAINING))}, Level.LOW, "node:c"),
    Case("NODE-015", {"nodes": UP[:1]}, Level.MEDIUM, "nodes"),
    Case("NODE-015", {"nodes": (*UP, node("c", version="2.0"))}, Level.LOW, "versions"),
    Case(
        "NODE-020",
        {"tokens": (token(used_at=None, created_at=NOW - 31 * DAY),)},
        Level.MEDIUM,
        "token:0123456789abcdef",
        "shop",
    ),
    Case(
        "NODE-021",
        {"tokens": (token(used_at=NOW - 91 * DAY),)},
        Level.MEDIUM,
        "token:0123456789abcdef",
        "shop",
    ),
    Case(
        "NODE-022",
        {"tokens": (token(expires_at=None),)},
        Level.LOW,
        "token:0123456789abcdef",
        "shop",
    ),
    Case(
        "NODE-022",
        {"tokens": (token(expires_at=None, bindings=OWNER),)},
        Level.MEDIUM,
        "token:0123456789abcdef",
    ),
    Case(
        "NODE-023",
        {"tokens": (token(maker_gone=True),)},
        Level.HIGH,
        "token:0123456789abcdef",
        "shop",
    ),
    Case(
        "NODE-024",
        {"people": (*SOUND.people, person("eve", seen_at=NOW - 91 * DAY, bindings=AT_SHOP))},
        Level.MEDIUM,
        "user:eve",
        "shop",
    ),
    Case(
        "NODE-025",
        {"people": (*SOUND.people, person("eve", can_get_in=False, code_until=NOW - 1))},
        Level.LOW,
        "user:eve",
    ),
    Case("NODE-026", {"people": (person("ada"),)}, Level.LOW, "owners"),
    Case("NODE-026", {"people": ()}, Level.LOW, "owners"),
    Case(
        "NODE-027",
        {"keys": (KeyState(id="ab" * 32, principal="user:eve", principal_gone=True),)},
        Level.MEDIUM,
        f"key:{'ab' * 32}",
    ),
    Case(
        "NODE-028",
        {"roles": SOUND.roles | {"clerk"}, "own_roles": frozenset({"clerk"})},
        Level.LOW,
        "role:clerk",
    ),
    Case(
        "NODE-029",
        {"tokens": (token(bindings=(RoleBinding(role="gone"),)),)},
        Level.LOW,
        "token:0123456789abcdef",
    ),
    Case(
        "NODE-029",
        {
            "people": (
                *SOUND.people,
                person(
                    "eve", bindings=(RoleBinding(role="owner", project="shop", function="old"),)
                ),
            )
        },
        Level.LOW,
        "user:eve",
        "shop",
    ),
    Case(
        "NODE-030",
        {
            "workloads": (
                WorkloadState(
                    name="ci",
                    issuer="https://ci.example.org",
                    created_at=NOW - 200 * DAY,
                    bindings=AT_SHOP,
                    seen_at=NOW - 91 * DAY,
                ),
            )
        },
        Level.MEDIUM,
        "workload:ci",
        "shop",
    ),
    Case(
        "NODE-040",
        {"functions": (function(unused=("bucket in read",)),)},
        Level.MEDIUM,
        "function:shop/cart",
        "shop",
    ),
    Case("NODE-041", {"functions": (function(unused=None),)}, Level.LOW, "grants"),
    Case(
        "NODE-042", {"functions": (function(public=True),)}, Level.LOW, "function:shop/cart", "shop"
    ),
    Case(
        "NODE-043",
        {"functions": (function(quarantined="it steals"),)},
        Level.MEDIUM,
        "function:shop/cart",
        "shop",
    ),
    Case(
        "NODE-044",
        {"functions": (function(vouched=False),)},
        Level.MEDIUM,
        "function:shop/cart",
        "shop",
    ),
    Case(
        "NODE-045",
        {"functions": (function(exceptions=('the guard only reports sql ("old")',)),)},
        Level.LOW,
        "function:shop/cart",
        "shop",
    ),
    *(
        Case(
            "NODE-046",
            {
                "exceptions": (
                    ExceptionState(
                        id="exc_1",
                        project="shop",
                        function="cart",
                        what="GHSA-1 in left",
                        reason="not reached",
                        by="user:ada",
                        expires_at=NOW + left * DAY,
                    ),
                )
            },
            level,
            "exception:exc_1",
            "shop",
        )
        for left, level in ((30, Level.LOW), (3, Level.MEDIUM))
    ),
    *(
        Case(
            "NODE-047",
            {
                "holes": (
                    HoleState(
                        project="shop", function="cart", id="GHSA-1", package="left 1", grave=grave
                    ),
                )
            },
            level,
            "hole:shop/cart:GHSA-1",
            "shop",
        )
        for grave, level in ((False, Level.HIGH), (True, Level.CRITICAL))
    ),
    Case(
        "NODE-049",
        {
            "licences": (
                LicenceState(
                    project="shop", function="cart", package="left 1", id="licence:GPL-3.0-only"
                ),
            )
        },
        Level.LOW,
        "licence:shop/cart:left 1:licence:GPL-3.0-only",
        "shop",
    ),
    Case("NODE-048", {"advisory_problems": ("old: 9 days",)}, Level.MEDIUM, "advisories:old"),
    Case("NODE-060", {"backup_at": 0.0}, Level.MEDIUM, "backup"),
    Case("NODE-060", {"backup_at": NOW - 8 * DAY}, Level.MEDIUM, "backup"),
    Case("NODE-060", {"backup_at": NOW - 31 * DAY}, Level.HIGH, "backup"),
    Case("NODE-060", {"backup_at": NOW + DAY}, Level.MEDIUM, "backup"),
    Case("NODE-061", {"checked_at": NOW - 31 * DAY}, Level.LOW, "check"),
    Case("NODE-061", {"checked_at": NOW + DAY}, Level.LOW, "check"),
    Case("NODE-062", {"places": ()}, Level.MEDIUM, "checkpoints"),
    Case("NODE-062", {"places": (Outlet(name="s3", problem="refused"),)}, Level.HIGH, "place:s3"),
    Case(
        "NODE-062",
        {"places": (Outlet(name="s3", problem="", at=NOW - 3 * DAY),)},
        Level.MEDIUM,
        "place:s3",
    ),
    Case("NODE-063", {"channels": ()}, Level.MEDIUM, "alerts"),
    Case(
        "NODE-063", {"channels": (Outlet(name="pager", problem="x"),)}, Level.HIGH, "channel:pager"
    ),
    Case("NODE-064", {"exports": ()}, Level.LOW, "exports"),
    Case("NODE-064", {"exports": (Outlet(name="otlp", problem="x"),)}, Level.HIGH, "export:otlp"),
    Case(
        "NODE-065",
        {
            "silences": (
                Silence(rule="tokens-tried", until=NOW + 60, reason="a test", by="user:ada"),
            )
        },
        Level.LOW,
        "silence:tokens-tried",
    ),
    Case(
        "NODE-066",
        {"decoys_off": (DecoyOff(project="shop", kind="host", reason="a scanner", by="user:ada"),)},
        Level.MEDIUM,
        "decoy:shop/host",
        "shop",
    ),
    Case(
        "NODE-067",
        {"touches": (Touch(project="shop", by="function:shop/cart", at=NOW - DAY),) * 3},
        Level.HIGH,
        "touch:shop:function:shop/cart",
        "shop",
    ),
    Case("NODE-070", {"reviews": (review(due=NOW - DAY),) * 2}, Level.MEDIUM, "review:user:"),
    Case("NODE-070", {"reviews": (review(due=NOW - 91 * DAY),)}, Level.HIGH, "review:user:"),
    Case("NODE-071", {"reviews": (review(own=True),)}, Level.LOW, "own-review:user:"),
]


def test_what_ends_with_a_token_is_told_before_it_is_revoked() -> None:
    first = token(expires_at=None, bindings=OWNER)
    made = token(id="1" * 16, created_by=f"token:{first.id}")
    for tokens, expected in (((first,), 0), ((first, made), 1)):
        found = judge(changed(SOUND, tokens=tokens))
        [one] = [one for one in found if one.rule == "NODE-022"]
        assert ("1 token(s) in use that it made end with it" in one.seen) is bool(expected)


def test_the_only_owner_is_told_to_make_another_before_its_token_is_revoked() -> None:
    alone = token(expires_at=None, bindings=OWNER)
    other = token(id="1" * 16, bindings=OWNER)
    for people, tokens, expected in (
        ((), (alone,), "casemate users add NAME --role owner"),
        ((person("ada", can_get_in=False),), (alone,), "casemate users add NAME --role owner"),
        ((person("ada"),), (alone,), f"casemate tokens revoke {alone.id}"),
        ((), (alone, other), f"casemate tokens revoke {alone.id}"),
    ):
        found = judge(changed(SOUND, people=people, tokens=tokens))
        assert [one.command for one in found if one.rule == "NODE-022"] == [expected]


def test_decoys_that_a_drill_has_touched_are_its_own() -> None:
    """It has cleaned up by then; what is found of it afterwards nobody would close."""
    by = "function:casemate-drill/holder"
    drilled = Touch(project="casemate-drill", by=by, at=NOW - DAY)
    assert judge(changed(SOUND, touches=(drilled,) * 2)) == ()


def test_a_sound_node_has_nothing_weak() -> None:
    assert judge(SOUND) == ()
    assert score_of(()) == 100


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.level}")
def test_each_rule_finds_what_it_is_for_and_nothing_else_does(case: Case) -> None:
    found = judge(changed(SOUND, **case.parts))
    assert {one.rule for one in found} <= {case.rule, "NODE-026"}
    mine = [one for one in found if one.rule == case.rule]
    [one] = mine
    assert (one.level, one.subject, one.project) == (case.level, case.subject, case.project)
    assert one.seen and one.command.startswith("casemate ")


def test_every_rule_has_a_case_and_a_name_of_its_own() -> None:
    assert {case.rule for case in CASES} == {rule.id for rule in RULES}
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.why and rule.title and rule.owasp.startswith("SAS-") for rule in RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.level}")
def test_every_command_is_one_of_the_command_line(case: Case) -> None:
    for one in judge(changed(SOUND, **case.parts)):
        require_command(one.command)


def require_command(text: str) -> None:
    """Raise if a command line does not parse: names, options and how many arguments."""
    import shlex

    program, *words = shlex.split(text)
    assert program == "casemate"
    found: Any = typer.main.get_command(app)
    while hasattr(found, "get_command") and words and not words[0].startswith("-"):
        inner = found.get_command(None, words[0])
        if inner is None:
            break
        found, words = inner, words[1:]
    assert not hasattr(found, "get_command"), f"there is no command {text}"
    # What stands for a number or a time is none: only that there is a place for it matters.
    known = {flag: p for p in found.params for flag in (*p.opts, *p.secondary_opts)}
    arguments = [p for p in found.params if p.param_type_name == "argument"]
    left = list(words)
    given = 0
    while left:
        word = left.pop(0)
        if word.startswith("--"):
            assert word in known, f"{word} of {text}"
            if not known[word].is_flag:
                assert left, f"{word} of {text} has no value"
                left.pop(0)
        else:
            given += 1
    least = sum(p.required for p in arguments)
    most = 99 if any(p.nargs == -1 for p in arguments) else len(arguments)
    assert least <= given <= most, f"{text}: {given} arguments, {least} to {most} expected"
    for flag, parameter in known.items():
        if parameter.required and parameter.param_type_name == "option":
            assert flag in words or not flag.startswith("--"), f"{flag} is missing in {text}"


def test_the_page_has_every_rule_and_the_bounds() -> None:
    page = (Path(__file__).parents[3] / "docs/howto/audit-a-node.md").read_text()
    for rule in RULES:
        row = f"| `{rule.id}` | {rule.level.value} | {rule.title} | {rule.risk.value} |"
        assert row in page
    assert f"{MAX_OF_RULE} findings are told one by one" in page
    assert f"{MAX_FUNCTIONS:,} functions, for {CLOSE_SECONDS:.0f} seconds" in page
    assert f"an answer has {MAX_WEAKNESSES:,}" in page and f"last {MAX_POINTS:,} changes" in page


def test_the_test_of_commands_finds_what_is_none() -> None:
    for wrong in ("casemate nothing", "casemate tokens", "casemate tokens revoke",
                  "casemate tokens revoke a b", "casemate users add NAME --colour red",
                  "casemate keys revoke ID"):  # fmt: skip
        with pytest.raises(AssertionError):
            require_command(wrong)


def test_one_weakness_more_never_makes_the_score_better() -> None:
    import random

    chance = random.Random(7)
    rules = [rule.id for rule in RULES[:6]]
    for _ in range(200):
        found: list[Weakness] = []
        before = 100
        for number in range(30):
            found.append(
                Weakness(
                    rule=chance.choice(rules),
                    level=chance.choice(list(WEIGHTS)),
                    subject=str(number),
                    seen="x",
                    command="casemate check",
                    count=chance.choice((1, 1, 50)),
                )
            )
            now = score_of(found)
            assert 0 <= now <= before
            before = now


def test_the_formula_is_the_one_that_is_written_down() -> None:
    def weak(level: Level, count: int = 1, rule: str = "NODE-001") -> Weakness:
        return Weakness(
            rule=rule, level=level, subject="x", seen="x", command="casemate check", count=count
        )

    assert score_of([weak(Level.CRITICAL)]) == 60
    assert score_of([weak(Level.HIGH), weak(Level.LOW, rule="NODE-002")]) == 84
    assert score_of([weak(Level.MEDIUM, 3)]) == 94
    assert score_of([weak(Level.MEDIUM, 1000)]) == 90
    assert score_of([weak(Level.CRITICAL, rule=f"NODE-{n:03d}") for n in range(9)]) == 0


def test_ten_thousand_tokens_are_told_within_bounds() -> None:
    state = changed(
        SOUND,
        tokens=tuple(
            token(id=f"{n:016x}", used_at=None, created_at=NOW - 99 * DAY, expires_at=None)
            for n in range(10_000)
        ),
    )
    found = judge(state)
    of_one = [one for one in found if one.rule == "NODE-020"]
    assert len(of_one) == MAX_OF_RULE + 1
    assert sum(one.count for one in of_one) == 10_000
    assert counts_of(found)["medium"] == 10_000


def test_hostile_names_and_reasons_stay_texts_within_bounds() -> None:
    hostile = "\x1b[2J\u202e$(reboot);`id` " + "x" * 100_000
    state = changed(
        SOUND,
        silences=(Silence(rule="a; reboot", until=NOW, reason=hostile, by="user:ada"),),
        channels=(Outlet(name="$(reboot)", problem=hostile),),
        functions=(function(quarantined=hostile, exceptions=(hostile,) * 1000),),
    )
    found = judge(state)
    assert all(len(one.seen) <= 600 and len(one.command) <= 600 for one in found)
    commands = {one.subject: one.command for one in found}
    assert commands["silence:a; reboot"].startswith("casemate alert silence 'a; reboot' ")
    assert commands["channel:$(reboot)"] == "casemate alert test '$(reboot)'"


def test_nodes_that_are_as_they_should_be_are_no_finding_and_their_backup_is_not_seen() -> None:
    """A copy of one node's files would be no backup; a node that is gone for minutes may come."""
    late = node("c", Stands.GONE, seen_at=NOW - 60)
    for nodes in ((*UP,), (*UP, late)):
        state = changed(SOUND, nodes=nodes, backup_at=0.0)
        assert judge(state) == ()
    assert judge(changed(SOUND, nodes=None)) == ()
