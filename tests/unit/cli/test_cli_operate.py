"""Looking at a node and changing what is live."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import msgspec
import pytest
from api_fake_control import OWNER_TEXT, log_line
from msgspec.structs import replace

from casemate.cli.commands import logs as logs_module
from casemate.cli.commands.promote import parse_targets
from casemate.cli.errors import UsageError
from casemate.cli.triggers_shown import listens_to
from casemate.model.function import Fresh, FunctionSpec, HttpTrigger, Layout, Trust
from casemate.model.invocation import ErrorRecord, InvocationRecord, Outcome, RunningInvocation
from casemate.model.recording import ErrorSnapshot
from casemate.model.restoring import Discarded, Restoring
from casemate.model.trigger import (
    BucketTrigger,
    NatsTrigger,
    QueueTrigger,
    RepositoryTrigger,
    ResultTrigger,
    ScheduleStatus,
    ScheduleTrigger,
    TableTrigger,
    TopicTrigger,
)
from casemate.operations.records import ReadLogs
from support.facts import ADA

SPEC = FunctionSpec(
    name="cart",
    handler="cart:handle",
    python="3.12",
    public=True,
    description="Carts \x1b[31m",
    http=(HttpTrigger(method="GET", path="/cart/{id}"),),
)


@pytest.fixture
def shop(node):
    """Versions 1 and 2 of shop/cart, 2 live."""
    import asyncio

    for digest in ("a" * 64, "b" * 63 + "c"):
        node.control.bundles[digest] = b""
        node.control.specs[digest] = SPEC
        asyncio.run(node.control.deploy("shop", "cart", digest, approve=False, by=ADA))
    return node


def test_show_says_what_triggers_listen_to() -> None:
    told = {
        listens_to(BucketTrigger(name="b", bucket="in", prefix="a/", suffix=".jpg")),
        listens_to(BucketTrigger(name="b", bucket="in", events=("created", "deleted"))),
        listens_to(TableTrigger(name="t", table="rows", events=("inserted",))),
        listens_to(TopicTrigger(name="t", topic="news", filter={"a": (1,)})),
        listens_to(QueueTrigger(name="q", queue="jobs")),
        listens_to(ResultTrigger(name="r", function="other")),
        listens_to(ScheduleTrigger(name="s", every=300.0)),
        listens_to(ScheduleTrigger(name="s", cron="0 3 * * *", timezone="Europe/Berlin")),
        listens_to(RepositoryTrigger(name="h", provider="github", secret="hook")),
        listens_to(NatsTrigger(name="n", host="mq.example", port=4222, subject="orders")),
    }
    assert told == {
        "bucket in, created, a/*.jpg",
        "bucket in, created and deleted",
        "table rows, inserted",
        "topic news, filtered",
        "queue jobs",
        "result of other",
        "schedule every 5m",
        "schedule '0 3 * * *' Europe/Berlin",
        "repository at github",
        "nats at mq.example:4222",
    }


def test_ls(cli, shop) -> None:
    result = cli("ls")
    header, row = result.out.splitlines()
    assert header.split() == ["FUNCTION", "LIVE", "DEPLOYED", "CALLERS", "ROUTES"]
    assert row.startswith("shop/cart  2 ")
    assert "everyone" in row
    assert "GET /cart/{id}" in row
    assert json.loads(cli("ls", "--json").out)["functions"][0]["name"] == "cart"


def test_ls_of_an_empty_node(cli, node) -> None:
    result = cli("ls")
    assert (result.code, result.out) == (0, "")
    assert "casemate deploy" in result.err
    assert json.loads(cli("ls", "--json").out) == {"functions": []}


def test_tables_at_a_terminal_do_not_interpret_markup(terminal, shop) -> None:
    result = terminal("ls", environ={"COLUMNS": "160"})
    assert "shop/cart" in result.out
    shop.control.specs["a" * 64] = SPEC
    result = terminal("show", "shop/cart", environ={"COLUMNS": "160"})
    assert "Carts \\x1b[31m" in result.out


def test_show(cli, shop) -> None:
    result = cli("show", "shop/cart")
    texts = ("cart:handle", "3.12", "PUBLIC", "GET /cart/{id}", "memory 256 MB", "timeout 10s")
    for text in (*texts, "none for direct calls: default limits apply"):
        assert text in result.out
    assert "\x1b" not in result.out
    assert len(json.loads(cli("show", "shop/cart", "--json").out)["versions"]) == 2


def test_show_tells_of_processes_that_are_not_as_usual(cli, node) -> None:
    spec = replace(SPEC, trust=Trust.LOW, fresh=Fresh.PROCESS, layout=Layout.OWN)
    for digest, one in (("a" * 64, SPEC), ("b" * 63 + "c", spec)):
        node.control.bundles[digest], node.control.specs[digest] = b"", one
        asyncio.run(node.control.deploy("shop", "cart", digest, approve=False, by=ADA))
        told = " ".join(cli("show", "shop/cart").out.split())
        assert ("layout own, fresh process for each call" in told) == (one is spec)
        assert f"isolation request, trust {one.trust.value}" in told


def test_show_tells_how_many_are_ready(cli, shop) -> None:
    assert "ready" not in cli("show", "shop/cart").out
    deployed = shop.control.deployed
    deployed["shop", "cart"] = msgspec.structs.replace(deployed["shop", "cart"], ready=2)
    result = cli("show", "shop/cart")
    assert "ready      2 instances; limits.warm keeps 0" in result.out
    assert json.loads(cli("show", "shop/cart", "--json").out)["ready"] == 2


def test_show_tells_how_often_processes_are_used_again(cli, shop) -> None:
    out = cli("show", "shop/cart").out
    assert "processes  3 restored after a call, 1 not used again" in out
    assert "imports    14 modules of anyio, h11 in each call: import them" in out
    assert "1: it has left something in /tmp; remove it" in out


def test_show_tells_of_schedules(cli, node) -> None:
    import asyncio

    nightly = ScheduleTrigger(name="nightly", cron="0 3 * * *")
    node.control.bundles["d" * 64] = b""
    node.control.specs["d" * 64] = msgspec.structs.replace(SPEC, triggers=(nightly,))
    asyncio.run(node.control.deploy("shop", "cart", "d" * 64, approve=True, by=ADA))
    status = {"name": "nightly", "cron": "0 3 * * *", "every": 0.0, "timezone": "UTC"}
    node.parts.schedules = (ScheduleStatus(**status, next_at=1.8e9, failing=False),)
    node.control.invocation_records = [
        InvocationRecord(
            id="inv_1",
            project="shop",
            function="cart",
            version=1,
            trigger="schedule",
            outcome=Outcome.TIMEOUT,
            status=504,
            started_at=1.0,
            queued_ms=0.1,
            run_ms=1.0,
            cold=True,
            request_bytes=2,
            response_bytes=0,
            error_id="err_1",
        )
    ]
    out = cli("show", "shop/cart").out
    assert "schedule   nightly: '0 3 * * *' UTC, next 2027-01-" in out
    assert "timeout; casemate errors show err_1" in out
    assert node.control.asked_records.trigger == "schedule"
    failing = ScheduleStatus(**{**status, "cron": "", "every": 300.0}, next_at=None, failing=True)
    node.parts.schedules = (failing,)
    assert "every 5m, not due; its event cannot be kept" in cli("show", "shop/cart").out


def test_show_fits_the_terminal(terminal, node) -> None:
    import asyncio

    nightly = ScheduleTrigger(name="nightly", cron="30 2 * * MON-FRI", timezone="America/St_Johns")
    node.control.bundles["d" * 64] = b""
    node.control.specs["d" * 64] = msgspec.structs.replace(
        SPEC, triggers=(nightly,), description="Adds up what was ordered. " * 5
    )
    asyncio.run(node.control.deploy("shop", "cart", "d" * 64, approve=True, by=ADA))
    status = {"name": "nightly", "cron": nightly.cron, "every": 0.0, "timezone": nightly.timezone}
    node.parts.schedules = (ScheduleStatus(**status, next_at=1.8e9, failing=False),)
    shown = terminal("show", "shop/cart", environ={"COLUMNS": "80", "NO_COLOR": "1"}).out
    lines = shown.replace("\r", "").split("\n")
    assert "'30 2 * * MON-FRI' America/St_Johns, next 2027-01-" in shown
    # A digest is there to be copied, and stays whole.
    assert [line for line in lines if len(line) > 80 and "digest" not in line] == []


def test_show_fits_the_terminal_whatever_is_long(terminal, node) -> None:
    """An address is not broken, and was printed behind its label all the same."""
    name = "a-rather-long-function-name-for-a-column"
    node.control.bundles["d" * 64], node.control.specs["d" * 64] = b"", SPEC
    asyncio.run(node.control.deploy("shop", name, "d" * 64, approve=True, by=ADA))
    why = Discarded(reason="it has left more than that " * 5, count=1, change="remove it " * 9)
    found = Restoring(restored=3, discarded=1, reasons=(why,))
    node.control.restoring = lambda project, function: found
    shown = terminal("show", f"shop/{name}", environ={"COLUMNS": "80", "NO_COLOR": "1"}).out
    shown = shown.replace("\r", "")
    assert f"\n  address\n    {node.url}/invoke/shop/{name}\n" in shown
    lines = shown.split("\n")
    assert [line for line in lines if len(line) > 80 and "digest" not in line] == []


def test_names_inside_a_project(cli, shop, home) -> None:
    (home / "casemate.toml").write_text('[project]\nname = "shop"\n[function.broken')
    assert cli("show", "cart").code == 2
    (home / "casemate.toml").write_text('[project]\nname = "shop"\n[unknown]\n')
    (home / "src").mkdir()
    assert cli("show", "cart").code == 0


def test_promote_and_rollback(cli, shop) -> None:
    result = cli("promote", "shop/cart", "1=95", "2=5")
    assert result.out == "shop/cart@live now points to 1=95 2=5.\n"
    assert "1=95 2=5" in cli("ls").out
    assert cli("rollback", "shop/cart").out == "shop/cart: live is version 2 again.\n"
    assert json.loads(cli("rollback", "shop/cart", "--to", "1", "--json").out)["targets"] == [
        {"version": 1, "weight": 100}
    ]
    assert cli("promote", "shop/cart", "v2", "--alias", "beta").code == 0
    assert cli("promote", "shop/cart", "9").code == 3
    assert cli("promote", "shop/cart", "1", "--alias", "No Name").code == 2


def test_quarantine_and_release(cli, shop) -> None:
    result = cli("quarantine", "shop/cart", "--reason", "MAL-2026-1", "--kill")
    assert result.out.startswith("shop/cart takes no calls.\n")
    assert "nobody: quarantine" in cli("ls").out
    shown = cli("show", "shop/cart").out
    assert "QUARANTINE since" in shown and "MAL-2026-1" in shown
    assert "MAL-2026-1" in cli("quarantine", "shop/cart", "--reason", "another").out
    assert cli("release", "shop/cart", "--reason", "mended").out.startswith(
        "shop/cart takes calls again.\n"
    )
    assert cli("release", "shop/cart", "--reason", "mended").code == 1
    assert "QUARANTINE" not in cli("show", "shop/cart").out
    assert cli("quarantine", "shop/nothing", "--reason", "x").code == 3
    assert cli("quarantine", "shop/cart").code == 2
    assert cli("quarantine", "shop/cart", "--reason", "").code == 2


@pytest.mark.parametrize(
    "texts",
    [["8=5"], ["8", "7"], ["8=50", "8=50"], ["8=0", "7=100"], ["x"], ["8=5=5"], ["-1"], ["8=101"]],
)
def test_wrong_targets(texts) -> None:
    with pytest.raises(UsageError) as caught:
        parse_targets(texts)
    assert caught.value.next_step


def test_rm_asks(cli, shop, terminal) -> None:
    assert cli("rm", "shop/cart").code == 2
    result = terminal("rm", "shop/cart", keys=b"n\n", prompt=b"[y/N]")
    assert result.code == 1
    assert "2 versions" in result.out
    assert shop.control.deployed
    result = terminal("rm", "shop/cart", keys=b"y\n", prompt=b"[y/N]")
    assert result.code == 0
    assert not shop.control.deployed


def test_rm_with_yes(cli, shop) -> None:
    assert json.loads(cli("rm", "shop/cart", "--yes", "--json").out)["removed"] == "shop/cart"
    assert cli("rm", "shop/cart", "--yes").code == 3


def test_an_error_is_not_told_twice(cli, node) -> None:
    node.control.error_records["err_2"] = ErrorRecord(
        id="err_2",
        invocation="inv_1",
        project="shop",
        function="cart",
        version=1,
        outcome=Outcome.HANDLER_ERROR,
        at=1.0,
        type="KeyError",
        message="'price'",
        trace="Traceback\n  File \"cart.py\", line 3\nKeyError: 'price'\n",
    )
    out = cli("errors", "show", "err_2").out
    assert out.endswith("  File \"cart.py\", line 3\nKeyError: 'price'\n")
    assert out.count("KeyError") == 1


def test_errors_show(cli, node) -> None:
    node.control.error_records["err_1"] = ErrorRecord(
        id="err_1",
        invocation="inv_1",
        project="shop",
        function="cart",
        version=1,
        outcome=Outcome.HANDLER_ERROR,
        at=1.0,
        type="KeyError",
        message="'price'\x1b[2J",
        trace='Traceback\n  File "cart.py", line 3\n\x1b]0;x\x07',
    )
    result = cli("errors", "show", "err_1")
    assert result.out.splitlines()[-1] == "KeyError: 'price'\\x1b[2J"
    assert '  File "cart.py", line 3\n' in result.out
    assert "\x1b" not in result.out
    assert json.loads(cli("errors", "show", "err_1", "--json").out)["message"] == "'price'\x1b[2J"
    assert cli("errors", "show", "../../x").code == 3


@pytest.mark.parametrize("roles", [("owner",), ("auditor",), ("owner@mail", "auditor")])
def test_errors_show_has_a_snapshot_for_those_with_the_right(cli, node, monkeypatch, roles) -> None:
    values = "app.py:3 in handler\n  order = '\x1b[2J[redacted:email#1f2e3d4c]'\n"

    async def snapshot(project: str, error: str) -> ErrorSnapshot:
        return ErrorSnapshot(
            id=error, invocation="inv_1", project=project, function="cart", version=1, at=1.0,
            values=values,
        )  # fmt: skip

    monkeypatch.setattr(node.parts.service.recordings, "snapshot", snapshot)
    node.control.error_records["err_1"] = ErrorRecord(
        id="err_1",
        invocation="inv_1",
        project="shop",
        function="cart",
        version=1,
        outcome=Outcome.HANDLER_ERROR,
        at=1.0,
        type="KeyError",
        message="'price'",
        trace="Traceback",
    )
    key = node.parts.accounts.add(f"cm_{'1' * 16}_{'x' * 43}", *roles)
    monkeypatch.setenv("CASEMATE_KEY", key)
    told, shown = cli("errors", "show", "err_1"), cli("errors", "show", "err_1", "--json")
    assert "KeyError: 'price'" in told.out and "\x1b" not in told.out
    may = roles == ("owner",)
    assert ("order = '\\x1b[2J[redacted:email" in told.out) is may
    assert (json.loads(shown.out)["snapshot"] is not None) is may
    assert node.parts.denied == []


def test_invocations(cli, node) -> None:
    record = InvocationRecord(
        id="inv_1",
        project="shop",
        function="cart",
        version=1,
        trigger="invoke",
        outcome=Outcome.TIMEOUT,
        status=504,
        started_at=1.0,
        queued_ms=0.1,
        run_ms=10000.0,
        cold=True,
        request_bytes=2,
        response_bytes=0,
        error_id="err_1",
    )
    node.control.invocation_records = [record, msgspec.structs.replace(record, function="mail")]
    result = cli("invocations", "shop/cart")
    assert len(result.out.splitlines()) == 2
    assert "timeout" in result.out
    assert "cold" in result.out
    assert len(json.loads(cli("invocations", "--json").out)["invocations"]) == 2
    assert json.loads(cli("invocations", "--id", "inv_1", "--json").out)["invocations"]
    # One that took long is kept after one that began later: the list goes by when they began.
    late = msgspec.structs.replace(record, id="inv_late", started_at=100.0)
    node.control.invocation_records = [record, late]
    rows = cli("invocations", "shop/cart").out.splitlines()
    assert "inv_late" in rows[1] and "inv_1" in rows[2]


def test_invocations_that_run_come_first(cli, node) -> None:
    node.control.running_records = [
        RunningInvocation(
            id="inv_2", project="shop", function="cart", version=3, trigger="invoke", started_at=1.0
        )
    ]
    [_, line] = cli("invocations", "shop/cart").out.splitlines()
    assert "shop/cart@3  running" in line and "inv_2" in line
    assert json.loads(cli("invocations", "--json").out)["running"][0]["id"] == "inv_2"
    assert cli("invocations", "--outcome", "timeout", "--json").out.count("inv_2") == 0


def test_filters_of_invocations_and_errors(cli, shop) -> None:
    before = time.time()
    for command in (["invocations"], ["errors", "ls"]):
        asked = ["shop/cart", "--outcome", "timeout", "--version", "2", "--since", "10m"]
        assert cli(*command, *asked, "--until", "2100-01-01").code == 0
        only = shop.control.asked_records
        assert (only.outcome, only.version) == (Outcome.TIMEOUT, 2)
        assert before - 601 <= only.since <= time.time() - 599
        assert only.until > 4e9
        wrong = cli(*command, "--since", "yesterday")
        assert wrong.code == 2
        assert "'yesterday'" in wrong.err and "10m" in wrong.err
        bad = cli(*command, "--outcome", "bad")
        assert bad.code == 2
        assert "'bad' is not one of" in bad.err and "Value error" not in bad.err
    assert cli("invocations", "--id", "inv_1", "--since", "1h").code == 2


def test_errors_ls(cli, node) -> None:
    assert "No error matches" in cli("errors", "ls").err
    node.control.error_records["err_1"] = ErrorRecord(
        id="err_1",
        invocation="inv_1",
        project="shop",
        function="cart",
        version=1,
        outcome=Outcome.HANDLER_ERROR,
        at=1.0,
        type="KeyError",
        message="'price'\x1b[2J",
        trace="Traceback secret",
    )
    result = cli("errors", "ls", "shop/cart", "--each")
    assert "err_1  KeyError: 'price'\\x1b[2J" in result.out
    assert "Traceback" not in result.out
    assert json.loads(cli("errors", "ls", "--each", "--json").out)["errors"][0]["id"] == "err_1"
    assert cli("errors", "ls", "shop/mail", "--each").out == ""


def test_errors_ls_groups(cli, node) -> None:
    for number in (1, 2, 3):
        node.control.error_records[f"err_{number}"] = ErrorRecord(
            id=f"err_{number}",
            invocation=f"inv_{number}",
            project="shop",
            function="cart",
            version=number,
            outcome=Outcome.HANDLER_ERROR,
            at=float(number),
            type="KeyError",
            message=f"'{number}\x1b[2J'",
            trace='  File "/function/code/app.py", line 3, in handler\n',
        )
    result = cli("errors", "ls", "shop/cart")
    assert result.out.count("KeyError at app.py in handler") == 1 and "err_3" in result.out
    assert "1 2 3" in result.out and (
        "Counted: all 3 errors that the node keeps of what was asked for." in result.err
    )
    assert "Counted: all 3 errors that the node keeps.\n" in cli("errors", "ls").err
    assert "Counted: the newest 2 errors, since 1970" in cli("errors", "ls", "--limit", "2").err
    [group] = json.loads(cli("errors", "ls", "--json").out)["groups"]
    assert (group["count"], group["versions"], group["latest"]) == (3, [1, 2, 3], "err_3")
    assert cli("errors", "groups").code == 2


def test_no_command_prints_the_key_it_uses(cli, shop, monkeypatch) -> None:
    monkeypatch.setenv("CASEMATE_DEBUG", "1")
    for arguments in (
        ["ls"],
        ["show", "shop/cart", "--json"],
        ["tokens", "ls", "--json"],
        ["show", "shop/none"],
        ["invoke", "shop/cart", "{}", "--json"],
    ):
        result = cli(*arguments)
        assert OWNER_TEXT not in result.out + result.err


def test_logs(cli, node) -> None:
    node.control.lines = [log_line(1, "one\n\x1b[31mred\u2028"), log_line(2, "two", "inv_2")]
    result = cli("logs", "shop/cart")
    first, second = result.out.splitlines()
    assert first.endswith("one\\x0a\\x1b[31mred\\u2028")
    assert "shop/cart@1" in second
    assert cli("logs", "-i", "inv_2").out.count("\n") == 1
    lines = json.loads(cli("logs", "--json").out)["lines"]
    assert lines[0]["text"] == "one\n\x1b[31mred\u2028"
    assert cli("logs", "--project", "shop").out.count("\n") == 2
    assert cli("logs", "--project", "other").out == ""
    assert cli("logs", "shop/cart", "--project", "shop").code == 2
    missing = cli("logs", "shop/wrong")
    assert (missing.out, missing.code) == ("", 3)
    assert "`casemate trace inv_3`" in cli("logs", "-i", "inv_3").err
    assert "no function shop/wrong" in missing.err
    assert "casemate ls" in missing.err
    project = cli("logs", "shop/other")
    assert "shop/other; other is a project" in project.err
    assert "--project other" in project.err


@pytest.mark.parametrize("command", ["invocations", "denials", "usage"])
def test_a_wrong_name_is_not_taken_for_a_function_without_records(cli, shop, command) -> None:
    wrong = cli(command, "shop/other")
    assert wrong.code == 3
    assert "no function shop/other" in wrong.err

    assert cli(command, "shop/cart").code == 0


def test_logs_that_came_late_stand_where_they_were_written(cli, node) -> None:
    node.control.lines = [
        replace(log_line(1, "second"), at=200.0),
        replace(log_line(2, "third"), at=200.0),
        replace(log_line(3, "first"), at=100.0),
    ]
    lines = json.loads(cli("logs", "--json").out)["lines"]
    assert [line["text"] for line in lines] == ["first", "second", "third"]


def test_logs_of_some_lines_only(cli, node) -> None:
    node.control.lines = [
        replace(log_line(1, "old"), at=time.time() - 3600),
        replace(log_line(2, "it Timed out"), at=time.time(), level="error", version=2),
        replace(log_line(3, "fine"), at=time.time()),
    ]
    asked = {
        ("--since", "10m"): [2, 3],
        ("--since", "2h"): [1, 2, 3],
        ("--level", "warning"): [2],
        ("--search", "timed OUT"): [2],
        ("--version", "2"): [2],
        ("--version", "1", "--since", "2s"): [3],
        ("--since", "2026-01-31 12:00"): [1, 2, 3],
    }
    for options, numbers in asked.items():
        lines = json.loads(cli("logs", *options, "--json").out)["lines"]
        assert [line["sequence"] for line in lines] == numbers, options
    assert "No stored line matches" in cli("logs", "--search", "absent").err
    for wrong in (("--since", "soon"), ("--level", "loud"), ("--version", "0")):
        assert cli("logs", *wrong).code == 2, wrong
    assert cli("logs", "--search", "x" * 201).code != 0


def test_logs_at_a_terminal_are_neutralised(terminal, node) -> None:
    node.control.lines = [log_line(1, "\x1b]52;c;ZXZpbA==\x07\x9b2J\u202e")]
    out = terminal("logs", environ={"NO_COLOR": "1"}).out
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert "\\x1b]52;c;ZXZpbA==\\x07\\x9b2J\\u202e" in out


def test_at_a_terminal_the_lines_of_a_trace_stand_below_its_first(cli, terminal, node) -> None:
    trace = ("Traceback:", "  File", "    ~~^^", "ValueError: x", "  of another call")
    calls = ("inv_1",) * 4 + ("inv_2",)
    lines = [log_line(1, text, of) for text, of in zip(trace, calls, strict=True)]
    node.control.lines = lines
    out = terminal("logs", environ={"NO_COLOR": "1"}).out.splitlines()
    assert [line.strip() for line in out][1:3] == ["File", "~~^^"]
    assert [("shop/cart@1" in line) for line in out] == [True, False, False, True, True]
    assert cli("logs").out.count("shop/cart@1") == 5, "programs read each line by itself"


def test_following_ends_quietly_with_a_node_that_was_ended(cli, node, monkeypatch, capsys) -> None:
    node.control.lines = [log_line(1, "first")]

    def lose(_line: object) -> None:
        node.drop_connections = True
        node.control.write(log_line(2, "second"))

    monkeypatch.setattr(logs_module, "print_json_line", lose)
    with logs_module.connect() as client:
        logs_module.follow_lines(client, ReadLogs(), json=True, ended=lambda: node.drop_connections)
    assert capsys.readouterr().err == ""


def test_following_goes_on_after_a_lost_connection(cli, node, monkeypatch, capsys) -> None:
    monkeypatch.setattr(logs_module, "RETRY_SECONDS", 0.05)
    node.control.lines = [log_line(1, "first")]
    printed: list[str] = []

    def keep(line: object) -> None:
        printed.append(line.text)
        if line.text == "third":
            raise KeyboardInterrupt

    monkeypatch.setattr(logs_module, "print_json_line", keep)

    def break_and_go_on() -> None:
        while "first" not in printed:
            time.sleep(0.01)
        node.drop_connections = True
        node.control.write(log_line(2, "second"))
        time.sleep(0.4)
        node.control.write(log_line(3, "third"))
        node.drop_connections = False

    thread = threading.Thread(target=break_and_go_on, daemon=True)
    thread.start()
    result = cli("logs", "-f", "--json")
    thread.join(10)
    assert result.code == 130
    assert printed == ["first", "second", "third"]
    assert result.err.count("connection was lost") == 1


def test_restrict_ls_set_and_lift(cli, shop) -> None:
    assert cli("restrict", "ls").code == 0
    done = cli(
        *("restrict", "set", "host", "*.evil.example", "--project", "shop"),
        *("--function", "cart", "--reason", "data goes\x1b[2J there"),
    )
    assert done.out.startswith("res_") and "host *.evil.example of shop/cart" in done.out
    id = done.out.partition(":")[0]
    shown = cli("restrict", "ls", "shop").out
    assert id in shown and "*.evil.example" in shown and "\x1b" not in shown
    frozen = ("restrict", "set", "alias", "--project", "shop", "--function", "cart")
    assert "alias moves of shop/cart" in cli(*frozen, "--reason", "r").out
    assert cli("restrict", "lift", id, "--reason", "over").code == 0
    assert cli("restrict", "lift", id, "--reason", "over").code == 3
    assert cli("restrict", "set", "host", "a b", "--reason", "r").code == 1
    assert cli("restrict", "set", "nothing", "x", "--reason", "r").code == 2


def test_nodes_ls_drain_and_rm(cli, node) -> None:
    asyncio.run(node.parts.service.nodes.begin())
    shown = cli("nodes", "ls")
    assert shown.code == 0 and "up" in shown.out and "http://test" in shown.out
    (one,) = json.loads(cli("nodes", "ls", "--json").out)["nodes"]
    for words in (("drain", one["name"]), ("drain", one["name"], "--undo"), ("rm", one["name"])):
        refused = cli("nodes", *words)
        assert refused.code == 1 and "has its store for itself" in refused.err
    assert cli("nodes", "drain", "\x1b[31m").code != 0


@pytest.mark.parametrize(
    "words",
    [
        *("errors ls", "errors ls --each", "logs", "logs -f", "invocations", "denials", "usage"),
        *("metrics", "top", "top --once", "tune"),
    ],
)
def test_a_command_that_lists_says_that_there_is_no_such_function_or_project(
    cli, shop, words: str
) -> None:
    for named in (("shop/nope",), ("--project", "nope")):
        told = cli(*words.split(), *named)
        assert told.code == 3, told
        assert "There is no" in told.err and "nope" in told.err
        assert "\nNext: " in told.err


def test_triggers_are_listed_by_the_names_that_fire_takes(cli, node) -> None:
    import asyncio

    nightly = ScheduleTrigger(name="nightly", cron="0 3 * * *")
    jobs = QueueTrigger(name="jobs", queue="work")
    node.control.bundles["d" * 64] = b""
    node.control.specs["d" * 64] = msgspec.structs.replace(SPEC, triggers=(nightly, jobs))
    asyncio.run(node.control.deploy("shop", "cart", "d" * 64, approve=True, by=ADA))
    status = {"name": "nightly", "cron": "0 3 * * *", "every": 0.0, "timezone": "UTC"}
    node.parts.schedules = (ScheduleStatus(**status, next_at=1.8e9, failing=False),)

    for words in ((), ("shop/cart",), ("--project", "shop")):
        told = cli("trigger", "ls", *words)
        assert told.code == 0, told.err
        assert "schedule '0 3 * * *' UTC, next 2027-01-" in told.out
        assert "queue work" in told.out
    listed = json.loads(cli("trigger", "ls", "--json").out)["triggers"]
    assert [(one["function"], one["name"], one["kind"]) for one in listed] == [
        ("shop/cart", "nightly", "schedule"),
        ("shop/cart", "jobs", "queue"),
    ]
    assert listed[0]["next_at"] == 1.8e9 and not listed[0]["contract"]
    assert cli("trigger", "ls", "shop/nope").code == 3
    missing = cli("trigger", "ls", "--project", "nope")
    assert missing.code == 3 and "There is no project nope" in missing.err
    assert cli("trigger", "ls", "shop/cart", "--project", "shop").code == 2
