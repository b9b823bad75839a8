"""Reports on incidents: what was reached and what not, and nothing of a hostile text obeyed."""

from __future__ import annotations

import re
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from casemate.cli.commands.bill import list_text
from casemate.cli.errors import DeniedError, MissingError
from casemate.cli.incident_cost import explained
from casemate.cli.incident_report import gathered, html, markdown
from casemate.model.denial import GrantUse
from casemate.model.deployment import DeployedFunction, Quarantine, Version
from casemate.model.function import FunctionSpec
from casemate.model.grant import Grant, GrantKind
from casemate.model.usage import HOUR, Usage, UsageBy
from casemate.operations.budgets import ShowPrices
from casemate.operations.functions import ShowFunction
from casemate.operations.grants import FunctionGrants, ShowGrants
from casemate.operations.incidents import IncidentEvent
from casemate.operations.usage import ShowUsage, UsageFound
from support.monitor import incident

AT = incident().opened_at
HOSTILE = "<img src=x onerror=alert(1)> | [a](javascript:x) `x` \x1b[2J \u202e"


class Node:
    url = "http://node"

    def __init__(
        self, problem: Exception | None = None, live: dict[int, float] | None = None
    ) -> None:
        """`live`: which versions there are, and since when."""
        self.problem = problem
        self.live = {3: AT - 90_000} if live is None else live

    def call(self, operation: Any) -> Any:
        of_function = isinstance(operation, (ShowFunction, ShowGrants))
        if self.problem is not None and (of_function or isinstance(self.problem, DeniedError)):
            raise self.problem
        if isinstance(operation, ShowFunction):
            return DeployedFunction(
                project="shop",
                name="report",
                versions=tuple(self.version(*each) for each in self.live.items()),
                aliases=(),
                quarantine=Quarantine(
                    project="shop", function="report", reason="x", by="user:ada", since=AT
                ),
            )
        if isinstance(operation, ShowPrices):
            return SimpleNamespace(text=list_text("example").decode())
        if isinstance(operation, ShowUsage):
            return self.used(operation)
        assert isinstance(operation, ShowGrants)
        secret = Grant(kind=GrantKind.SECRET, name="stripe", actions=("read",))
        bucket = Grant(kind=GrantKind.BUCKET, name="in", actions=("read", "write"))

        def use(grant: Grant, action: str, at: float) -> GrantUse:
            return GrantUse(
                project="shop",
                function="report",
                version=operation.version,
                grant=grant.text,
                action=action,
                first_at=1.0,
                last_at=at,
                count=7,
            )

        mended = operation.version > 3
        uses = (use(secret, "read", AT + 1), use(bucket, "read", AT - 90_000))
        return FunctionGrants(
            project="shop",
            function="report",
            version=operation.version,
            deployed_at=1.0,
            granted=() if mended else (secret, bucket),
            uses=() if mended else uses,
            approvals=(),
            denials=(),
        )

    @staticmethod
    def version(number: int, since: float) -> Version:
        return Version(
            project="shop",
            function="report",
            number=number,
            digest="d",
            spec=FunctionSpec(name="report", handler="app:handler"),
            created_at=since,
            created_by="user:ada",
        )

    @staticmethod
    def used(asked: ShowUsage) -> UsageFound:
        assert (asked.project, asked.by) == ("shop", UsageBy.CALLER) and asked.function
        assert asked.since <= AT < asked.until and not asked.since % HOUR and not asked.until % HOUR
        given = {"start": asked.since, "cpu_us": 10**9, "requests": 1000}
        thief = Usage(caller="token:ab12", refused=1426, **given)
        rows = (thief, Usage(caller="user:ada", **given))
        return UsageFound(since=asked.since, until=asked.until, rows=rows)


def report(node: Node, **more: Any) -> tuple[str, str]:
    facts = gathered(node, incident(**more))  # type: ignore[arg-type]
    return markdown(facts), html(facts)


def test_it_tells_what_was_reached_and_what_not() -> None:
    for text in report(Node()):
        assert "secret stripe read (7 in all)" in text
        assert "bucket in read" in text and "bucket in write" in text
        assert "casemate release shop/report" in text
        assert "secret stripe was read meanwhile" in text
        assert "casemate incident assign" in text
        assert "sql-injection" in text and "T1190" in text


def test_what_was_reached_since_is_told_though_it_opened_by_a_clock_that_was_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("casemate.cli.incident_report.time.time", lambda: AT)
    ahead = AT + 10 * 365 * 86_400.0
    for text in report(Node(), opened_at=ahead, last_at=ahead):
        assert "secret stripe read (7 in all)" in text


def test_only_what_is_about_functions_is_to_be_contained() -> None:
    """Before: the command that was proposed is refused for an incident about no function."""
    assert all("casemate incident contain" in text for text in report(Node()))
    for text in report(Node(), things=("project:shop", "budget:month")):
        assert "casemate incident contain" not in text and "casemate incident resolve" in text


def test_what_the_attacked_version_was_granted_is_told_after_it_was_mended() -> None:
    """The version that is live by now is granted nothing: it was another one that was attacked."""
    for text in report(Node(live={3: AT - 90_000, 4: AT + 60, 5: AT + 120})):
        assert "shop/report@3" in text and "secret stripe read (7 in all)" in text
        assert "secret stripe was read meanwhile" in text and "bucket in write" in text
        assert "shop/report@4-5" in text


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({3: AT - 90_000}, "Its versions 1-2 cannot be examined"),
        ({1: AT - 9, 3: AT + 60}, "Its version 2 cannot be examined"),
        (dict.fromkeys(range(1, 31), AT - 9), "Its versions 1-10 cannot be examined"),
        ({1: AT + 60}, "None of its versions is from before the first finding"),
        ({}, "It no longer has a version"),
    ],
)
def test_versions_that_are_gone_are_said(live: dict[int, float], said: str) -> None:
    for text in report(Node(live=live)):
        assert said in text
    for text in report(Node(live={1: AT - 9, 2: AT + 9})):
        assert "Not known" not in text


def test_functions_beyond_the_bound_are_said() -> None:
    things = tuple(f"function:shop/f{number}" for number in range(25))
    for text in report(Node(), things=things):
        assert "5 more" in text


def test_it_tells_what_the_attack_cost() -> None:
    about = ("function:shop/report", "token:ab12", "198.51.100.7")
    [found] = gathered(Node(), incident(things=about)).costs.functions  # type: ignore[arg-type]
    assert (found.requests, found.refused, found.cpu_seconds) == (2000, 1426, 2000.0)
    assert Decimal(found.cost) == 2 * Decimal(found.named) > 0
    for text in report(Node(), things=about):
        assert found.cost in text and found.named in text and "What it cost" in text
    # Of nobody in particular: all of it, and that is said.
    [found] = gathered(Node(), incident()).costs.functions  # type: ignore[arg-type]
    assert found.named == ""
    # Who may not see it is told so.
    denied = gathered(Node(DeniedError("no")), incident())  # type: ignore[arg-type]
    assert "right to see it" in explained(denied.costs) and not denied.costs.functions


@pytest.mark.parametrize(
    ("problem", "said"),
    [(MissingError("gone"), "no longer on the node"), (DeniedError("no"), "right to see it")],
)
def test_what_is_not_known_is_said(problem: Exception, said: str) -> None:
    for text in report(Node(problem)):
        assert said in text


def test_hostile_text_stays_text() -> None:
    line = IncidentEvent(at=AT, kind="note", by=HOSTILE, text=HOSTILE)
    plain, page = report(Node(), title=HOSTILE, owner=HOSTILE, timeline=(line,))
    assert "<img" not in plain and "<img" not in page
    assert "](javascript" not in plain.replace("\\](", "")
    assert "\x1b" not in plain + page and "\u202e" not in plain + page
    assert "default-src 'none'" in page and "http-equiv" in page
    assert "src=" not in page.replace("img src=x", "")


def test_markdown_has_no_links_pictures_or_cells_of_a_hostile_text() -> None:
    hostile = (
        r"\[x\](http://e.example)", r"\\[x](//e.example)", "![i](http://e.example)", r"a\|b|c",
        "http://e.example", "www.e.example", "**x**", "<http://e.example>", "[x]: http://e.example",
    )  # fmt: skip
    reader = MarkdownIt("gfm-like", {"linkify": False})
    for text in hostile:
        line = IncidentEvent(at=AT, kind="note", by=text, text=text)
        plain, _ = report(Node(), title=text, owner=text, timeline=(line,))
        page = reader.render(plain)
        assert not re.search("<(a|img|strong)[ >]", page), (text, page)
        row = next(each for each in plain.splitlines() if each.startswith("| ") and "note" in each)
        assert reader.render(f"|a|b|c|d|\n|-|-|-|-|\n{row}").count("<td>") == 4, text
        assert "://e" not in plain and "www.e" not in plain
