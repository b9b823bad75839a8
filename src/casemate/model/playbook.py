"""Playbooks: what is done about a finding, by the node itself or once a person has said so."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from casemate.model.budget import QuotaEach
from casemate.model.level import Level
from casemate.model.restriction import EVERYTHING
from casemate.model.vault import MAX_OVERLAP_SECONDS

MAX_ACTIONS = 8
MAX_RULES = 64
MAX_TARGETS = 20
MAX_MINUTES = 1440


class Approval(StrEnum):
    """Who says that a playbook acts."""

    NONE = "none"
    """It acts at once."""
    PERSON = "person"
    """It waits for somebody with the rights to do the same by hand."""


class _Action(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do"
):
    """Base of what playbooks do."""


class Quarantine(_Action, frozen=True, kw_only=True, tag="quarantine"):
    """Have the function take no calls any more. Taken back by `casemate release`."""

    kill: bool = True
    """End what is running at once."""


class RollBack(_Action, frozen=True, kw_only=True, tag="roll-back"):
    """Point the function's alias `live` to the stable version before. Taken back by pointing it
    where it was."""


class RevokeToken(_Action, frozen=True, kw_only=True, tag="revoke-token"):
    """End the service token, and all that was made with it. Taken back by a new token."""


class EndSessions(_Action, frozen=True, kw_only=True, tag="end-sessions"):
    """End all sessions of the person, who logs in again."""


class LimitCalls(_Action, frozen=True, kw_only=True, tag="limit-calls"):
    """Give the function a quota. Taken back by `casemate budget rm`."""

    calls: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    seconds: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 60
    each: QuotaEach = QuotaEach.ADDRESS


class BlockCaller(_Action, frozen=True, kw_only=True, tag="block-caller"):
    """Let the caller make no call of the project beyond the first of an hour: a hard budget. Taken
    back by `casemate budget rm`."""


class FreezeAlias(_Action, frozen=True, kw_only=True, tag="freeze-alias"):
    """Have no alias of the function moved: by no deploy, promotion, rollback or removal. Taken back
    by `casemate restrict lift`."""


class CutEgress(_Action, frozen=True, kw_only=True, tag="cut-egress"):
    """Have nothing of the function go to a host, and end what does. Taken back by
    `casemate restrict lift`."""

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=253)] = EVERYTHING
    """`*`: to no host at all."""


class BlockAddress(_Action, frozen=True, kw_only=True, tag="block-address"):
    """Take no calls of the project, or else of the node, from the address that a finding is about;
    of IPv6 from its /64. Taken back by `casemate restrict lift`."""


class WithholdSecrets(_Action, frozen=True, kw_only=True, tag="withhold-secrets"):
    """Give the function the values of no secrets, and end what has them. Taken back by
    `casemate restrict lift`, once they have other values."""


class RotateSecret(_Action, frozen=True, kw_only=True, tag="rotate-secret"):
    """Have new values made of secrets that the function is granted, where it was said how. Taken
    back by `casemate secrets revert` within the overlap."""

    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=63)] = EVERYTHING
    """`*`: of all of them; what nobody has said how to rotate is named as left."""
    overlap: Annotated[int, msgspec.Meta(ge=0, le=MAX_OVERLAP_SECONDS)] | None = None
    """Seconds, in place of what was said of the secret; 0: the former value is good for nothing,
    and cannot be gone back to."""


class SealEvidence(_Action, frozen=True, kw_only=True, tag="seal-evidence"):
    """Keep what is on record of the incident in an archive, whatever retention deletes. Taken back
    by `casemate incident evidence ID --release REASON`."""


class Page(_Action, frozen=True, kw_only=True, tag="page"):
    """Tell people at once, whatever the hour. Taken back by telling them that it is over."""

    to: Annotated[str, msgspec.Meta(min_length=1, max_length=63)] = EVERYTHING
    """A rotation or a channel of the node's settings; `*`: all whose turn it is."""
    message: Annotated[str, msgspec.Meta(max_length=120)] = ""


PlaybookAction = (
    Quarantine
    | RollBack
    | RevokeToken
    | EndSessions
    | LimitCalls
    | BlockCaller
    | FreezeAlias
    | CutEgress
    | BlockAddress
    | WithholdSecrets
    | RotateSecret
    | SealEvidence
    | Page
)


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which findings a playbook is for: all that is given has to hold."""

    rules: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=128)], ...],
        msgspec.Meta(max_length=MAX_RULES),
    ] = ()
    """Names of rules, of which one has found it."""
    techniques: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=2, max_length=32)], ...],
        msgspec.Meta(max_length=MAX_RULES),
    ] = ()
    """Techniques of ATT&CK, of which it is one."""
    level: Level = Level.INFORMATIONAL
    """The least grave finding."""
    incident: Level = Level.INFORMATIONAL
    """The least grave incident that it is of."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a playbook does in one project without a person."""

    targets: Annotated[int, msgspec.Meta(ge=1, le=MAX_TARGETS)] = 3
    """Functions, tokens, people and callers that it acts on"""
    minutes: Annotated[int, msgspec.Meta(ge=1, le=MAX_MINUTES)] = 60
    """in so many minutes."""


class Playbook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A playbook, as its file says it."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    description: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    enabled: bool = True
    approval: Approval = Approval.PERSON
    when: When
    bounds: Bounds = Bounds()
    actions: Annotated[
        tuple[PlaybookAction, ...], msgspec.Meta(min_length=1, max_length=MAX_ACTIONS)
    ]
    """In this order."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the actions, as files have them."""
        return tuple(str(type(each).__struct_config__.tag) for each in self.actions)


class Step(StrEnum):
    """How far a run is, or one of its actions."""

    WAITS = "waits"
    """For a person."""
    PLANNED = "planned"
    BEGINS = "begins"
    DONE = "done"
    FAILED = "failed"
    DISMISSED = "dismissed"
    """A person said that it is not to be done."""
    UNDONE = "undone"

    @property
    def open(self) -> bool:
        """Tell whether something is still to be done."""
        return self in (Step.WAITS, Step.PLANNED, Step.BEGINS)


class PlaybookAct(msgspec.Struct, frozen=True, kw_only=True):
    """One action of a run."""

    do: str
    """`quarantine`, `roll-back` and so on."""
    target: str
    """`function:shop/report`, `token:9f2c51aa03b1e7d4`, `user:ada`."""
    state: Step = Step.PLANNED
    undo: str = ""
    """How it is taken back: a command."""
    problem: str = ""
    before: str = ""
    """What was there before, to be put back: JSON."""
    at: float | None = None
    """When it was done."""

    @property
    def may_hold(self) -> bool:
        """Tell whether something of it may be in force: what failed after it was begun may be."""
        return self.state is Step.DONE or (self.state is Step.FAILED and bool(self.undo))


class PlaybookRun(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook at one finding."""

    id: str
    playbook: str
    digest: str
    """SHA-256 of the playbook's text."""
    finding: str
    rule: str
    incident: str
    """Empty: the finding is of none."""
    project: str
    found_at: float
    at: float
    """When it was begun."""
    state: Step
    acts: tuple[PlaybookAct, ...]
    alone: bool = False
    """Whether no person was asked."""
    reason: str = ""
    """Why it waits, or why a person said that it is not to be done."""
    by: str = ""
    """Who said so."""
    owner: str = ""
    """Who answers for who deployed the function that it is about; empty: it is about none."""
    node: str = ""
    """Which node does it, of those that share their state."""
    version: int = 0
    """Which version of the playbook it is; 0: one that came with Casemate."""
    turn: int = 0
    """Another one whenever somebody begins to do it, or to take it back: nobody else goes on."""

    @property
    def may_be_done(self) -> bool:
        """Tell whether it may be done by hand: it has done nothing, or nothing that still holds."""
        if self.state is Step.FAILED:
            return all(act.state in (Step.PLANNED, Step.FAILED, Step.UNDONE) for act in self.acts)
        return self.state in (Step.WAITS, Step.UNDONE, Step.DISMISSED)

    def done_again(self, planned: PlaybookRun) -> PlaybookRun:
        """Return what is planned at the same finding, after this run.

        What failed after it was begun goes on with what was there before it, which is what it is
        taken back to.
        """
        begun = {(act.do, act.target): act for act in self.acts if act.may_hold}
        acts = tuple(
            msgspec.structs.replace(begun[key], state=Step.BEGINS, problem="")
            if (key := (act.do, act.target)) in begun
            else act
            for act in planned.acts
        )
        return msgspec.structs.replace(planned, acts=acts, turn=self.turn)
