"""`casemate dlq`, `routes` and `sources`: what they ask a node for, print, and refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from casemate.cli import node_advisories, operation_command
from casemate.cli.commands import alert, dlq, findings, invocations, journal, rm, routes
from casemate.cli.errors import DeniedError, MissingError
from casemate.model.deployment import Alias, AliasTarget, DeployedFunction, Version
from casemate.model.error_group import ErrorGroup, Trend
from casemate.model.function import FunctionSpec
from casemate.model.grant import QueueSpec
from casemate.model.messages import DeadLetter
from casemate.model.route import RouteClaim
from casemate.model.source import SourceStatus
from casemate.model.trigger import QueueTrigger
from casemate.model.vulnerability import AdvisoryException
from casemate.operations.delivery import (
    Counted,
    Letter,
    Letters,
    LettersOf,
    ListFunctionDeadLetters,
    ListQueueDeadLetters,
    Places,
    PurgeFunctionDeadLetters,
    PurgeQueueDeadLetters,
    RedriveFunctionDeadLetters,
    RedriveQueueDeadLetters,
    ShowFunctionDeadLetter,
    ShowQueueDeadLetter,
)
from casemate.operations.error_groups import ErrorGroups
from casemate.operations.findings import (
    AlertChannel,
    AlertChannels,
    AlertTest,
    FindingPage,
    ShowFinding,
)
from casemate.operations.functions import Functions
from casemate.operations.journal import JournalPage
from casemate.operations.messages import Queues
from casemate.operations.recordings import RecordingList
from casemate.operations.records import Denials, Invocations
from casemate.operations.routes import ClaimRoutes, Claims
from casemate.operations.sources import ListSources, Sources
from casemate.operations.usage import UsageFound

MARK = "\x1b[2Jreason"


def letter(identity: str, kind: str, name: str) -> DeadLetter:
    return DeadLetter(
        id=identity,
        kind=kind,
        name=name,
        trigger="jobs",
        event_type="queue.message",
        reason=MARK,
        error_id="err_1",
        attempts=3,
        sent_at=1.0,
        died_at=2.0,
        size=5,
        subject="in/a\x1b[2J.jpg" if kind == "inbox" else "",
    )


class FakeNode:
    """Answers operations, by the names of their types, and notes what was asked."""

    url = "http://node"

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[Any] = []

    def __enter__(self) -> FakeNode:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(self, operation: Any) -> Any:
        self.asked.append(operation)
        answer = self.answers[type(operation).__name__]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def node(monkeypatch):
    def answering(**answers: Any) -> FakeNode:
        fake = FakeNode(answers)
        for module in (alert, dlq, findings, invocations, rm, routes, operation_command):
            monkeypatch.setattr(module, "connect", lambda: fake)
        return fake

    return answering


def test_dead_letters_of_a_function(cli, node) -> None:
    one = letter("0a", "inbox", "ship")
    fake = node(
        ListFunctionDeadLetters=Letters(letters=(one,), after="0a"),
        ShowFunctionDeadLetter=Letter(letter=one, withheld=False, content={"n": 1}),
        RedriveFunctionDeadLetters=Counted(letters=1),
        PurgeFunctionDeadLetters=Counted(letters=2),
    )
    listed = cli("dlq", "ls", "shop/ship", "--limit", "1", "--after", "09")
    assert listed.code == 0 and "0a" in listed.out
    assert "ABOUT" in listed.out and "in/a\\x1b[2J.jpg" in listed.out
    assert "\x1b" not in listed.out
    assert "--after 0a" in listed.err
    said = " ".join(listed.err.split())
    assert "`casemate dlq show shop/ship ID`" in said
    assert (
        "`casemate dlq redrive shop/ship --all`. It is handled by the version that is live" in said
    )
    assert "with your rights, and all attempts begin anew" in said
    assert "never tried again, and deleted 14 days after it was given up" in said
    shown = cli("dlq", "show", "shop/ship", "0a")
    said = " ".join(shown.err.split())
    assert "`casemate errors show err_" in said and "redrive shop/ship 0a`" in said
    assert "3, and no more by itself" in shown.out
    assert "kept for" not in shown.out and "trace" not in shown.out, "it holds no event"
    assert "shop/ship" in shown.out and '"n": 1' in shown.out and "\x1b" not in shown.out
    assert "1 event is tried again" in cli("dlq", "redrive", "shop/ship", "0a").out
    assert cli("dlq", "purge", "shop/ship", "--all").code == 2
    assert json.loads(cli("dlq", "purge", "shop/ship", "--all", "--yes", "--json").out) == {
        "letters": 2
    }
    of = {"project": "shop", "function": "ship"}
    assert fake.asked == [
        ListFunctionDeadLetters(**of, limit=1, after=f"{9:016x}"),
        ShowFunctionDeadLetter(**of, id=f"{10:016x}"),
        RedriveFunctionDeadLetters(**of, ids=(f"{10:016x}",)),
        PurgeFunctionDeadLetters(**of, ids=None),
    ]


def test_what_the_node_keeps_with_an_event_is_explained_and_none_of_it(cli, node) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    event = {
        **{"id": "e1", "source": "/p", "type": "a.b", "kind": "invoke", "trigger": "", "data": 1},
        **{"trace": f"00-{trace}-b7ad6b7169203331-01", "kept_by": "token:970c"},
    }
    one = letter("0a", "inbox", "ship")
    node(ShowFunctionDeadLetter=Letter(letter=one, withheld=False, content=event))
    shown = cli("dlq", "show", "shop/ship", "0a")
    assert "kept for    token:970c, whose rights decide\n" in shown.out
    assert f"trace       {trace}\n" in shown.out
    assert '"data": 1' in shown.out and "kept_by" not in shown.out and "kind" not in shown.out
    assert "kept_by" in cli("dlq", "show", "shop/ship", "0a", "--json").out


def test_where_letters_of_the_queue_of_a_function_are_is_told(cli, node) -> None:
    spec = FunctionSpec(
        name="ship", handler="a:b", triggers=(QueueTrigger(name="queue-1", queue="jobs"),)
    )
    of = {"project": "shop", "function": "ship"}
    version = Version(**of, number=1, digest="a" * 64, created_at=1.0, created_by="x", spec=spec)
    targets = (AliasTarget(version=1, weight=100),)
    alias = Alias(**of, name="live", targets=targets, changed_at=1.0)
    shown = DeployedFunction(project="shop", name="ship", versions=(version,), aliases=(alias,))
    node(ListFunctionDeadLetters=Letters(letters=()), ShowFunction=shown)

    told = cli("dlq", "ls", "shop/ship")

    assert (told.code, told.out) == (0, "")
    assert "No event of shop/ship was given up." in told.err
    assert "casemate dlq ls shop/jobs --queue" in told.err

    node(ListFunctionDeadLetters=Letters(letters=()), ShowFunction=MissingError("gone"))
    assert "--queue" not in cli("dlq", "ls", "shop/ship").err


def test_dead_letters_of_a_queue(cli, node) -> None:
    one = letter("0a", "queue", "jobs")
    fake = node(
        ListQueueDeadLetters=Letters(letters=()),
        ShowQueueDeadLetter=Letter(letter=one, withheld=True),
        RedriveQueueDeadLetters=Counted(letters=3),
        PurgeQueueDeadLetters=Counted(letters=1),
    )
    assert "No event of shop/jobs was given up." in cli("dlq", "ls", "shop/jobs", "--queue").err
    said = " ".join(cli("dlq", "show", "shop/jobs", "0a", "--queue").err.split())
    assert "dead-letter:content" in said
    assert "`casemate dlq redrive shop/jobs --queue 0a`. It is handled by the function that" in said
    assert "deleted when it was there for as long as the queue keeps messages" in said
    assert "3 events are" in cli("dlq", "redrive", "shop/jobs", "--all", "--queue").out
    assert cli("dlq", "purge", "shop/jobs", "0a", "0b", "--queue", "--yes").code == 0
    of = {"project": "shop", "queue": "jobs"}
    assert fake.asked == [
        ListQueueDeadLetters(**of),
        ShowQueueDeadLetter(**of, id=f"{10:016x}"),
        RedriveQueueDeadLetters(**of),
        PurgeQueueDeadLetters(**of, ids=(f"{10:016x}", f"{11:016x}")),
    ]


@pytest.mark.parametrize(
    ("problem", "restarts"),
    [
        ("There is no secret ops/key. Next: Set it: `casemate secrets set ops/key`", False),
        ("The host is loopback. Next: Add accept = ['private'] to the channel.", True),
    ],
)
def test_a_channel_whose_secret_is_missing_needs_no_restart(
    cli, node, problem: str, restarts: bool
) -> None:
    node(TestAlertChannel=AlertTest(channel="pager", problem=problem))
    told = cli("alert", "test", "pager")
    assert told.code == 1
    assert ("when the node starts" in told.err) is restarts
    assert "casemate secrets set ops/key" in told.err or restarts


def test_among_errors_a_refused_call_is_told_from_what_code_raised(cli, node) -> None:
    def group(type: str, place: str) -> ErrorGroup:
        return ErrorGroup(
            fingerprint="f", project="shop", function="cart", type=type, place=place, line="",
            count=1, first_at=1.0, last_at=2.0, versions=(1,), trend=Trend.STEADY, counts=(1,),
            latest="err_1",
        )  # fmt: skip

    found = (group("NotAllowed", ""), group("Timeout", ""), group("NotAllowed", "app.py:cart"))
    node(ListErrorGroups=ErrorGroups(groups=found, looked_at=3, since=0.0, until=1.0))
    told = cli("errors", "ls").out
    assert told.count("a refused call") == 1 and "NotAllowed, a refused call" in told


@pytest.mark.parametrize("of", ["invocations", "denials", "errors ls", "recordings ls", "usage"])
def test_a_list_in_a_project_s_folder_is_of_that_project(
    cli, node, home: Path, monkeypatch, of: str
) -> None:
    fake = node(
        ListDenials=Denials(denials=()),
        ListInvocations=Invocations(invocations=()),
        ListErrorGroups=ErrorGroups(groups=(), looked_at=0, since=0.0, until=1.0),
        ListRecordings=RecordingList(recordings=()),
        ShowUsage=UsageFound(since=0.0, until=1.0, rows=()),
    )
    command = of.split()
    assert "whose folder" not in cli(*command).err
    (home / "casemate.toml").write_text('[project]\nname = "shop"\n')
    inside = home / "src"
    inside.mkdir()
    monkeypatch.chdir(inside)
    told = cli(*command)
    assert "Of the project shop, whose folder this is; --all: of every project." in told.err
    assert "whose folder" not in cli(*command, "--all").err
    assert "whose folder" not in cli(*command, "--project", "other").err
    assert cli(*command, "--all", "--project", "other").code == 2
    (home / "casemate.toml").write_text("[project\n")
    assert cli(*command).code == 0, "a manifest that is being edited stops nobody"
    assert [one.project for one in fake.asked] == [None, "shop", None, "other", None]


def test_what_has_an_id_is_looked_for_in_all_projects(cli, node, home: Path) -> None:
    (home / "casemate.toml").write_text('[project]\nname = "shop"\n')
    fake = node(ListDenials=Denials(denials=()))
    assert "whose folder" not in cli("denials", "--invocation", "inv_1").err
    assert fake.asked[0].project is None


@pytest.mark.parametrize(("rule", "own"), [("tokens-tried", False), ("our-own", True)])
def test_a_finding_names_what_explains_its_rule(cli, node, rule: str, own: bool) -> None:
    found = msgspec.structs.replace(ShowFinding.declared.answer, rule=rule)
    node(ShowFinding=found)
    told = cli("findings", "show", found.id).err
    assert f"casemate detect explain {rule}" in told
    assert ("--rules FILE" in told) is own


def test_what_came_after_a_finding_and_was_only_counted_is_told(cli, node) -> None:
    found = msgspec.structs.replace(
        ShowFinding.declared.answer, count=30, again=12, latest_at=1764201660.0
    )
    node(ShowFinding=found, ListFindings=FindingPage(findings=(found,), more=False))
    assert "12 more events, the last at" in cli("findings", "show", found.id).out
    assert " 42 " in cli("findings", "ls").out
    channel = AlertChannel(
        name="pager", kind="webhook", server="x:443", level="high", waiting=0, sent=1, failed=0,
        dropped=0, folded=2, silenced=1, problem="", again=12, folded_at=1764201660.0,
    )  # fmt: skip
    node(ListAlertChannels=AlertChannels(channels=(channel,), signs_of_life=0))
    told = cli("alert", "ls")
    assert " 15 " in told.out and "2025-11-2" in told.out
    assert "casemate findings ls" in told.err


def test_what_a_removed_function_leaves_is_told(cli, node) -> None:
    shown = DeployedFunction(project="shop", name="ship", versions=(), aliases=())
    of = {"ShowFunction": shown, "RemoveFunction": None}
    one = letter("0a", "inbox", "ship")
    node(**of, ListFunctionDeadLetters=Letters(letters=(one,)))
    told = cli("rm", "shop/ship", "--yes")
    assert (told.code, told.out) == (0, "shop/ship is removed.\n")
    assert "casemate dlq purge shop/ship --all" in told.err

    node(**of, ListFunctionDeadLetters=Letters(letters=()))
    assert cli("rm", "shop/ship", "--yes").err == ""
    node(**of, ListFunctionDeadLetters=DeniedError("no"))
    told = cli("rm", "shop/ship", "--yes")
    assert (told.code, told.err) == (0, ""), "who may not see them is told nothing"


@pytest.mark.parametrize("command", [("redrive",), ("purge", "--yes")])
def test_ids_of_which_there_is_no_dead_letter_are_told(cli, node, command) -> None:
    verb, *options = command
    node(RedriveFunctionDeadLetters=Counted(letters=0), PurgeFunctionDeadLetters=Counted(letters=0))
    done = cli("dlq", verb, "shop/ship", "0a", "0a", *options)
    assert (done.code, done.out) == (3, "")
    assert "For 1 of the ids there is no dead letter of shop/ship, or it is" in done.err
    assert "`casemate dlq ls shop/ship` lists them" in done.err
    node(RedriveQueueDeadLetters=Counted(letters=1), PurgeQueueDeadLetters=Counted(letters=1))
    done = cli("dlq", verb, "shop/jobs", "0a", "0b", "--queue", *options)
    assert done.code == 0 and "`casemate dlq ls shop/jobs --queue` lists them" in done.err
    done = cli("dlq", verb, "shop/jobs", "0a", "--queue", *options)
    assert done.code == 0 and "For 1 of the ids" not in done.err


@pytest.mark.parametrize("command", [("redrive",), ("redrive", "--to", "pack"), ("purge", "--yes")])
def test_that_there_are_no_dead_letters_at_all_is_told(cli, node, command) -> None:
    node(RedriveFunctionDeadLetters=Counted(letters=0), PurgeFunctionDeadLetters=Counted(letters=0))
    verb, *options = command
    done = cli("dlq", verb, "shop/ship", "--all", *options)
    assert done.out == "shop/ship has no dead letters: nothing was done.\n"
    assert (done.code, done.err) == (0, "")
    told = cli("dlq", verb, "shop/ship", "--all", *options, "--json")
    assert json.loads(told.out) == {"letters": 0}


def test_what_is_not_said_of_dead_letters_is_asked_for(cli, node) -> None:
    fake = node()
    for words in (
        ("ls", "--queue"),
        ("ls", "--after", "0a"),
        ("redrive", "shop/ship"),
        ("redrive", "shop/ship", "0a", "--all"),
        ("purge", "shop/ship", *(f"{n}" for n in range(1001)), "--yes"),
    ):
        assert cli("dlq", *words).code == 2
    assert fake.asked == []


def test_which_have_dead_letters_of_those_that_one_may_look_at(cli, node) -> None:
    functions = tuple(
        DeployedFunction(project=project, name="ship", versions=(), aliases=())
        for project in ("blog", "shop")
    )
    fake = node(
        ListDeadLetterPlaces=MissingError("of an earlier release"),
        ListFunctions=Functions(functions=functions),
        ListQueues=Queues(queues=(QueueSpec(name="jobs"),)),
        ListFunctionDeadLetters=DeniedError("no"),
        ListQueueDeadLetters=Letters(letters=(letter("0a", "queue", "jobs"),), after="0a"),
    )
    listed = cli("dlq", "ls", "--json")
    assert [(w["name"], w["kind"], w["more"]) for w in json.loads(listed.out)["waiting"]] == [
        ("blog/jobs", "queue", True),
        ("shop/jobs", "queue", True),
    ]
    assert fake.asked[-1] == ListQueueDeadLetters(project="shop", queue="jobs", limit=1000)


def test_what_is_left_of_removed_functions_is_listed_and_told_what_can_be_done(cli, node) -> None:
    """Nothing listed them but who knew their names."""
    gone = LettersOf(
        project="shop", name="ship", kind="function", letters=2, removed=True, oldest_at=1.0
    )
    jobs = LettersOf(project="shop", name="jobs", kind="queue", letters=1, oldest_at=2.0)
    fake = node(
        ListDeadLetterPlaces=Places(places=(gone, jobs), more=True),
        RedriveFunctionDeadLetters=Counted(letters=2),
    )
    listed = cli("dlq", "ls")
    assert "function, removed" in listed.out and "shop/jobs" in listed.out
    assert "There are more" in listed.err
    said = " ".join(listed.err.split())
    assert "`casemate dlq redrive shop/ship --all --to FUNCTION`" in said
    assert "`casemate dlq purge shop/ship --all`" in said
    assert json.loads(cli("dlq", "ls", "--json").out)["waiting"][0]["removed"] is True
    sent = cli("dlq", "redrive", "shop/ship", "--all", "--to", "pack")
    assert sent.code == 0 and "tried by pack." in sent.out
    assert "none of pack's are given up again: `casemate dlq ls shop/pack`" in " ".join(
        sent.err.split()
    )
    assert fake.asked[-1] == RedriveFunctionDeadLetters(project="shop", function="ship", to="pack")
    refused = cli("dlq", "redrive", "shop/jobs", "--all", "--queue", "--to", "pack")
    assert refused.code == 2 and "there is not with --queue" in " ".join(refused.err.split())


def test_an_entry_that_the_journal_has_not_is_not_found(cli, node, monkeypatch) -> None:
    node(ListJournal=JournalPage(entries=(), before=None))
    monkeypatch.setattr(journal, "connect", operation_command.connect)
    result = cli("journal", "show", "41")
    assert result.code == 3 and "The journal has no entry 41." in result.err


def test_routes(cli, node) -> None:
    given = RouteClaim(project="shop", prefixes=("/pay",), hosts=("shop.example.com",))
    fake = node(ListRouteClaims=Claims(claims=(given,)), ClaimRoutes=given)
    assert "/pay" in cli("routes", "ls").out
    assert json.loads(cli("routes", "ls", "--json").out)[0]["project"] == "shop"
    claimed = cli("routes", "claim", "shop", "--prefix", "/pay", "--host", "Shop.Example.com")
    assert claimed.out.strip() == "shop has /pay, shop.example.com."
    assert "Its routes answer at shop.example.com, and nowhere else." in claimed.err
    assert cli("routes", "claim", "shop").code == 2
    refused = cli("routes", "claim", "shop", "--prefix", "/x/y")
    assert refused.code == 2 and "'/x/y' is not what --prefix takes: One first" in refused.err
    # What a body holds is said in words of the command as well, and not by an expression.
    refused = cli("access", "keep", "nobody:x", "--reason", "y")
    assert refused.code == 2 and "'nobody:x' is not what ID takes: The id, see" in refused.err
    assert all(type(one).__name__ != "KeepAccess" for one in fake.asked)
    fake.answers["ClaimRoutes"] = RouteClaim(project="shop")
    assert "anything of its own" in cli("routes", "release", "shop").out
    assert fake.asked[-2:] == [
        ClaimRoutes(name="shop", prefixes=("/pay",), hosts=("shop.example.com",)),
        ClaimRoutes(name="shop"),
    ]


def test_sources(cli, node) -> None:
    one = SourceStatus(
        project="shop",
        function="ship",
        trigger="valkey-1",
        kind="valkey",
        server="h.example.org:6379",
        connected=False,
        since=1.0,
        events=3,
        refused=2,
        error=MARK,
        error_at=2.0,
    )
    fake = node(ListSources=Sources(sources=(one,)))
    shown = cli("sources", "ls", "shop")
    assert "3, 2 refused" in shown.out and "\x1b" not in shown.out
    assert json.loads(cli("sources", "ls", "--json").out)["sources"][0]["server"] == one.server
    assert fake.asked == [ListSources(project="shop"), ListSources()]


def test_a_dead_letter_is_shown_by_what_a_notice_of_it_holds(cli, node) -> None:
    """`on_failure` tells of it before it has an id of its own."""
    one = letter("0a", "inbox", "ship")
    others = (
        msgspec.structs.replace(one, id="0b", error_id="err_2", invocation="inv_2"),
        msgspec.structs.replace(one, id="0c", error_id="err_2"),
    )
    fake = node(
        ListFunctionDeadLetters=Letters(letters=(one, *others), after=None),
        ShowFunctionDeadLetter=Letter(letter=one, withheld=False, content={"n": 1}),
    )
    for named, id in (("err_1", "0a"), ("inv_2", "0b"), ("C", f"{12:016x}")):
        assert cli("dlq", "show", "shop/ship", named).code == 0
        assert fake.asked[-1].id == id
    batch = cli("dlq", "show", "shop/ship", "err_2")
    assert batch.code == 2 and "0b, 0c" in batch.err
    missing = cli("dlq", "show", "shop/ship", "err_3")
    assert missing.code == 3 and "No dead letter of shop/ship is of err_3." in missing.err
    assert json.loads(cli("dlq", "show", "shop/ship", "err_1", "--json").out)["content"] == {"n": 1}


def test_who_asks_for_a_queue_as_a_function_is_told_how_queues_are_named(cli, node) -> None:
    none = MissingError("There is no function shop/jobs.", next_step="Look.")
    node(
        ListQueueDeadLetters=Letters(letters=(), after=None),
        ListFunctionDeadLetters=none,
        ShowFunctionDeadLetter=none,
        RedriveFunctionDeadLetters=none,
        PurgeFunctionDeadLetters=none,
    )
    for typed in (("ls",), ("redrive", "--all"), ("purge", "--all", "--yes"), ("show", "2a")):
        told = cli("dlq", typed[0], "shop/jobs", *typed[1:])
        assert told.code == 3 and "If shop/jobs is a queue, add --queue. Else: Look." in told.err
    told = cli("dlq", "ls", "shop/jobs", "--queue")
    assert told.code == 0 and "add --queue" not in told.err


def test_an_exception_is_recorded_for_each_of_several_functions(cli, node, monkeypatch) -> None:
    one = AdvisoryException(
        id="exc_1", project="shop", function="cart", advisory="", package="", reason="r",
        by="user:ada", at=1.0, expires_at=2.0,
    )  # fmt: skip
    fake = node(ExceptAdvisory=one)
    monkeypatch.setattr(node_advisories, "connect", lambda: fake)
    given = ("--without-advisories", "--for", "7d", "--reason", "r")
    told = cli("advisories", "except", "shop/cart", "shop/mail", "shop/cart", *given)
    assert told.code == 0, told.err
    assert [asked.function for asked in fake.asked] == ["cart", "mail"]
    assert "for shop/cart until" in told.out and "for shop/mail until" in told.out
    several = json.loads(cli("advisories", "except", "shop/a", "shop/b", *given, "--json").out)
    assert [each["id"] for each in several["exceptions"]] == ["exc_1", "exc_1"]
    assert json.loads(cli("advisories", "except", "shop/a", *given, "--json").out)["id"] == "exc_1"
