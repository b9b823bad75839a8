"""Which projects there are, and that what is denied of another one is counted as of none.

Findings, incidents and folded records have room by project, so that whoever causes many pushes out
his own. A name of which there is no project is whoever's asks: each would have room of its own.
"""

from __future__ import annotations

import msgspec

from casemate.accounts import Accounts
from casemate.admission.catalogue import Catalogue
from casemate.budgets import Allowance
from casemate.facts import FactStream
from casemate.gateway.known_projects import KnownProjects
from casemate.model.denial import Denial, DenialKind
from casemate.vault.interface import Vault

_NAMED_BY_CALLERS = frozenset((DenialKind.AUTHENTICATION, DenialKind.AUTHORIZATION))
"""What is told of whatever project a caller names. All else is of one that runs something, or into
which somebody deploys who may."""


class ExistingProjects:
    """Those with functions, routes, data, secrets or budgets, or a person who has a role there.

    Not those of which only service tokens are: whoever may do something in all projects makes up
    to a thousand tokens, of whatever names. Belongs to one event loop.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        data: KnownProjects,
        accounts: Accounts,
        allowance: Allowance,
        vault: Vault,
    ) -> None:
        """Look these up, in what is in memory; secrets that there were at the start by `load`."""
        self._catalogue = catalogue
        self._data = data
        self._accounts = accounts
        self._allowance = allowance
        self._vault = vault
        self._with_secrets: frozenset[str] = frozenset()

    def listen(self, facts: FactStream) -> None:
        """Have denials told by what there is."""
        facts.restate(Denial, self.denial)

    async def load(self) -> None:
        """Learn which projects have secrets. Raises VaultError."""
        found = await self._vault.secrets(None)
        self._with_secrets = frozenset(secret.project for secret in found)

    def has(self, project: str) -> bool:
        """Tell whether there is a project."""
        return (
            self._catalogue.has_project(project)
            or self._data.has(project)
            or project in self._with_secrets
            or self._vault.known_secrets(project) is True
            or project in self._allowance.ledgers
            or project in self._allowance.rates
            or self._accounts.is_bound(project)
        )

    def denial(self, denial: Denial) -> Denial:
        """Return a denial as it is counted; its resource goes on naming the project."""
        if denial.version or denial.kind not in _NAMED_BY_CALLERS or not denial.project:
            return denial
        if self.has(denial.project):
            return denial
        return msgspec.structs.replace(denial, project="", function="")
