"""What a gateway holds in memory of its store, and by whom it is read again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from casemate.access_reviews import Reviews
from casemate.accounts import Accounts
from casemate.budgets import Budgets
from casemate.decoys import Decoys
from casemate.evidence import Evidences, Holds
from casemate.gateway.control import NodeControl
from casemate.gateway.deployed_state import TOPICS
from casemate.nodes import Part
from casemate.nodes.policies import TOPICS as POLICIES
from casemate.nodes.policies import reload
from casemate.playbooks import Playbooks
from casemate.policy.interface import ManagedPolicy
from casemate.restrictions import Restrictions
from casemate.rotations import Rotations
from casemate.store.interface import Store
from casemate.supply import Signatures
from casemate.vulnerabilities import Gate


class Followed(NamedTuple):
    """Who holds it, and `rights_of` it."""

    rights: tuple[Part, ...]
    control: NodeControl
    decoys: Decoys
    signatures: Signatures
    budgets: Budgets
    playbooks: Playbooks
    holds: Holds
    gate: Gate
    reviews: Reviews
    rotations: Rotations
    evidences: Evidences


def rights_of(
    store: Store, accounts: Accounts, policy: ManagedPolicy, restrictions: Restrictions
) -> tuple[Part, ...]:
    """Return what says who may do what, and what is held back."""
    return (
        _part("accounts", ("user", "user_roles", "token"), _ACCOUNTS, accounts.reload),
        _part("policies", POLICIES, (), partial(reload, store, policy)),
        _part("restrictions", (), ("restrictions",), restrictions.reload),
    )


def parts_of(of: Followed) -> tuple[Part, ...]:
    """Return all of it. What only shows something is read as well: it is what is decided on."""
    return (
        *of.rights,
        _part("functions", TOPICS, (), of.control.reload),
        _part("signing rules", ("builder_key", "signing_rule"), (), of.signatures.reload),
        _part("decoys", (), ("decoys",), of.decoys.reload),
        _part("budgets", (), ("budgets",), of.budgets.reload),
        _part(
            "playbooks",
            (),
            (*_PLAYBOOKS, "playbook runs", "playbook claims"),
            of.playbooks.load,
        ),
        _part("evidence", (), ("evidence",), of.evidences.reload),
        _part("holds", (), ("holds",), of.holds.load),
        _part("advisories", (), _ADVISORIES, of.gate.load),
        _part("rotations of secrets", (), ("rotations", "begun rotations"), of.rotations.load),
        _part("access reviews", (), _REVIEWS, of.reviews.reload),
    )


_PLAYBOOKS = ("playbooks", "playbook versions", "playbook ledger")
_ACCOUNTS = ("accounts/oidc", "accounts/workloads")
_ADVISORIES = (
    "advisory exceptions",
    "packages of bundles",
    "advisory settings",
    "licence rules",
)
_REVIEWS = ("access reviews", "access review settings")


def _part(
    name: str,
    tables: tuple[str, ...] | frozenset[str],
    values: tuple[str, ...],
    reload: Callable[[], Awaitable[None]],
) -> Part:
    topics = frozenset(tables) | {f"value {value}" for value in values}
    return Part(name=name, topics=topics, reload=reload)
