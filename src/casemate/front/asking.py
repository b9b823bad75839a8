"""Who asks, by the head of a request."""

from __future__ import annotations

from casemate.admission import Authenticator
from casemate.model.http import HttpHead
from casemate.model.principal import ANONYMOUS, Checked, Principal


class Asking:
    """The credential of one head. It is checked when somebody first wants to know whose it is.

    What was found then is used again for as long as nothing can have changed, also for requests
    that follow with the same head on the same connection; see `Authenticator`.
    """

    __slots__ = ("_accounts", "checked", "credential")

    def __init__(self, accounts: Authenticator, head: HttpHead) -> None:
        """Check nothing yet."""
        value = head.header(b"authorization")
        self.credential = None if value is None else value.decode("latin-1")
        """The Authorization header's value."""
        self.checked: Checked | None = None
        self._accounts = accounts

    def principal(self) -> Principal | None:
        """Return whose credential it is, None without a valid one."""
        self.checked = self._accounts.check(self.credential, self.checked)
        return self.checked.principal

    def caller(self) -> Principal | None:
        """Return who calls: anybody without a credential, None with a wrong one."""
        return ANONYMOUS if self.credential is None else self.principal()
