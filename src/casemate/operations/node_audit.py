"""Operations on the audit of the node itself: what is weak, and how weak all of it is."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.model.level import Level
from casemate.model.principal import Action
from casemate.operations.declaration import Declaration, Operation, on_project_or_node
from casemate.operations.fields import Name, number
from casemate.operations.given import Given

MAX_WEAKNESSES = 1000
"""That one answer has, the gravest first."""
MAX_POINTS = 1000
"""Changes of the score that are kept."""


class WeaknessRule(msgspec.Struct, frozen=True, kw_only=True):
    """What the audit looks for, in words for whoever has to fix it."""

    id: str
    title: str
    level: Level
    """Where what was seen does not make it graver or milder."""
    risk: int
    """Of the six risks, by its number."""
    owasp: str
    """Of the OWASP Serverless Top 10: `SAS-01` to `SAS-10`."""
    cwe: int
    attack: str
    """MITRE ATT&CK technique; empty: none."""
    why: str


class Weakness(msgspec.Struct, frozen=True, kw_only=True):
    """One weakness."""

    rule: str
    level: Level
    subject: str
    """What it is about, such as `token:9f2c51aa03b1e7d4`."""
    seen: str
    """What was seen, in one sentence."""
    command: str
    """The command that mends it, or by which somebody who mends it begins."""
    project: str = ""
    """Whose it is; empty: the node's."""
    count: int = 1
    """How many alike it stands for."""
    until: float | None = None
    """When it ends by itself, where it does: of a recorded exception."""


class NodeAuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an audit of the node has found."""

    at: float
    score: int
    """From 0 to 100, which is nothing weak; see docs/howto/audit-a-node.md for the formula."""
    weaknesses: tuple[Weakness, ...]
    """The gravest first."""
    counts: dict[str, int]
    """How many by their levels, those for which there was no room among them."""
    more: int = 0
    """Those for which there was no room."""
    versions: dict[str, str] = {}
    """Of Casemate, and of what the node stands on. Empty where a project was asked for."""
    rules: tuple[WeaknessRule, ...] = ()
    """Those that found something."""


class ScorePoint(msgspec.Struct, frozen=True, kw_only=True):
    """The score from a moment on."""

    at: float
    score: int
    counts: dict[str, int]
    """How many weaknesses by their levels."""


class NodeAuditHistory(msgspec.Struct, frozen=True, kw_only=True):
    """How the score of the node has changed, newest first."""

    points: tuple[ScorePoint, ...]


_RULE = WeaknessRule(
    id="NODE-020",
    title="A token has never been used",
    level=Level.MEDIUM,
    risk=2,
    owasp="SAS-05",
    cwe=1052,
    attack="T1078",
    why="Nobody would miss it, so nobody would notice its misuse.",
)
_WEAKNESS = Weakness(
    rule=_RULE.id,
    level=Level.MEDIUM,
    subject="token:9f2c51aa03b1e7d4",
    seen="The token ci of user:ada was made 61 days ago and has never been used.",
    command="casemate tokens revoke 9f2c51aa03b1e7d4",
    project="shop",
)


class AuditNode(Operation[NodeAuditReport], frozen=True, kw_only=True):
    """List the weaknesses of the running node, each with what was found and how to fix it.

    With `project`, only those of that project.
    """

    declared = Declaration(
        http="GET /node/audit",
        tag="node",
        action=Action.NODE_AUDIT,
        on=on_project_or_node,
        answer=NodeAuditReport(
            at=1764201600.0,
            score=95,
            weaknesses=(_WEAKNESS,),
            counts={"medium": 1},
            versions={"Casemate": "0.1.0"},
            rules=(_RULE,),
        ),
    )
    project: Annotated[Name, msgspec.Meta(description="Only what is of this project.")] | None = (
        None
    )


class ListNodeScores(Operation[NodeAuditHistory], frozen=True, kw_only=True):
    """Show how the score of the node has changed, newest first."""

    declared = Declaration(
        http="GET /node/audit/history",
        tag="node",
        action=Action.NODE_AUDIT,
        answer=NodeAuditHistory(
            points=(ScorePoint(at=1764201600.0, score=95, counts={"medium": 1}),)
        ),
    )
    limit: Annotated[
        int, number("How many at most.", least=1, most=MAX_POINTS), Given(default=20)
    ] = 100
