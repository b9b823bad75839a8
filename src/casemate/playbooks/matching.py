"""For which findings a playbook is, and on what it acts then. Pure."""

from __future__ import annotations

import hashlib

from casemate.model.errors import InvalidInputError
from casemate.model.level import Level
from casemate.model.playbook import (
    BlockAddress,
    BlockCaller,
    EndSessions,
    Page,
    Playbook,
    PlaybookAct,
    PlaybookAction,
    RevokeToken,
    SealEvidence,
)
from casemate.operations.findings import Finding
from casemate.operations.incidents import Noticed
from casemate.playbooks.proven import OWN
from casemate.restrictions import narrow

PRINCIPAL = "playbook:"
"""How principals of playbooks begin, as facts tell them."""
_LEVELS = tuple(Level)
ADDRESS = "address:"
INCIDENT = "incident:"
PEOPLE = "people:"
_SOURCE = "src_endpoint.ip="
_TOKEN, _USER, _FUNCTION = "token:", "user:", "function:"


def run_id(playbook: str, finding: str) -> str:
    """Return the id of what a playbook does about a finding: the same however often it is told."""
    return "run_" + hashlib.sha256(f"{playbook}\0{finding}".encode()).hexdigest()[:16]


def is_for(playbook: Playbook, noticed: Noticed) -> bool:
    """Tell whether a playbook is for a finding. None is for what playbooks themselves do."""
    found, when = noticed.finding, playbook.when
    if found.who.startswith(PRINCIPAL) or found.rule in OWN:
        return False
    if when.rules and found.rule not in when.rules:
        return False
    if when.techniques and not set(when.techniques).intersection(found.techniques):
        return False
    return _at_least(found.level, when.level) and _at_least(noticed.incident_level, when.incident)


def acts_on(playbook: Playbook, found: Finding, incident: str) -> tuple[PlaybookAct, ...]:
    """Return what a playbook does about a finding; what it would do to nobody is left out."""
    acts = []
    for action in playbook.actions:
        if target := target_of(action, found, incident):
            acts.append(PlaybookAct(do=kind_of(action), target=target))
    return tuple(acts)


def target_of(action: PlaybookAction, found: Finding, incident: str) -> str:
    """Return on what an action acts, as the event of a finding has it in fields of its own.

    Nothing is read out of texts: what is in those somebody else may have written. An address is
    that of a finding which is about nothing but where something came from.
    """
    if isinstance(action, Page):
        return f"{PEOPLE}{action.to}@{found.project}"
    match action:
        case RevokeToken() | EndSessions():
            kind = _TOKEN if isinstance(action, RevokeToken) else _USER
            return found.who if found.who.startswith(kind) else ""
        case BlockCaller():
            known = found.who.startswith((_TOKEN, _USER))
            return f"{found.who}@{found.project}" if known and found.project else ""
        case SealEvidence():
            return f"{INCIDENT}{incident}" if incident else ""
        case BlockAddress():
            address = _address(found.entity)
            return f"{ADDRESS}{address}@{found.project}" if address else ""
        case _:
            named = found.project and found.function
            return f"{_FUNCTION}{found.project}/{found.function}" if named else ""


def _address(entity: str) -> str:
    """Return the network of whom an entity is, if it is an address and nothing beside it."""
    if not entity.startswith(_SOURCE):
        return ""
    try:
        return narrow(entity.removeprefix(_SOURCE))
    except InvalidInputError:
        return ""


def kind_of(action: PlaybookAction) -> str:
    """Return an action's name, as files have it."""
    return str(type(action).__struct_config__.tag)


def _at_least(level: Level, least: Level) -> bool:
    return _LEVELS.index(level) >= _LEVELS.index(least)
