"""One run at a time: who plays has a token of his own, which he uses again and again.

The node knows when a token was last used, whoever asks from wherever. A run that was killed uses
its token no more: after a while another takes its place, and takes away what it has left.
"""

from __future__ import annotations

import os
import threading
import time

from casemate.drills.leftovers import is_marked, remove
from casemate.drills.node import Node
from casemate.model.errors import CasemateError, ConflictError
from casemate.operations.tokens import AddToken, ListTokens, RevokeToken, TokenView

LEASE_MINUTES = 15
"""A run ends before: all tokens that it makes end after so long by themselves."""
QUIET_SECONDS = 150.0
"""Nodes that share their state tell each other once in a while when a token was used."""
_USE_SECONDS = 5.0
_AHEAD_SECONDS = 60.0
"""Nobody who begins at the same time is later than that, by clocks of nodes that share state."""
_REFUSED = 401
_SEEN_SECONDS = 0.5
"""Until the other nodes of a cluster know of a token."""


class Lease:
    """The right to play on a node, for as long as the block lasts."""

    def __init__(self, node: Node, project: str) -> None:
        """Play on `project` of `node`."""
        self._node = node
        self._project = project
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._use, daemon=True, name="drill-lease")
        self._text = ""
        self.id = ""
        """Of its token."""
        self.left_since: float | None = None
        """When a run began that has not cleaned up; None: all have."""
        self.lost = False
        """Whether somebody has ended it: another run, to which this one seemed to be dead."""

    def take(self) -> None:
        """Take it. Raises ConflictError while another run goes on, else CasemateError."""
        name = f"drill-{os.urandom(4).hex()}"
        roles = (f"invoker@{self._project}",)
        made = self._node.call(AddToken(name=name, roles=roles, minutes=LEASE_MINUTES))
        self.id, self._text = made.token.id, made.text
        self._thread.start()
        try:
            self._require_first(made.token)
        except BaseException:
            self.end()
            raise

    def _require_first(self, own: TokenView) -> None:
        time.sleep(_SEEN_SECONDS)
        now = own.created_at + _SEEN_SECONDS  # by the node's clock
        for each in self._node.call(ListTokens()).tokens:
            if not _is_lease(each) or each.id == own.id:
                continue
            used = max(each.created_at, each.last_used_at or 0.0)
            ends = each.expires_at or now
            # Of a time to come: the clock was set back since. It ends what goes on as well, so that
            # there are not two; else nobody would be told of the other, or clean up after it.
            to_come = each.created_at > own.created_at + _AHEAD_SECONDS
            if now < min(used + QUIET_SECONDS, ends) and not to_come:
                if (each.created_at, each.id) < (own.created_at, own.id):
                    raise ConflictError(
                        f"Another run has gone on since {_clock(each.created_at)} "
                        f"({each.name}, made by {each.created_by}).",
                        next_step="Wait for it to end; what was killed counts as ended "
                        f"{QUIET_SECONDS:.0f} s after its last use, or at once: casemate tokens "
                        f"revoke {each.id}",
                    )
            else:
                self.left_since = min(each.created_at, self.left_since or each.created_at)

    def _use(self) -> None:
        headers = {"authorization": f"Bearer {self._text}"}
        while not self._ending.wait(_USE_SECONDS):
            try:
                answer = self._node.as_stranger("GET", "/api/v1/whoami", headers=headers)
                self.lost = self.lost or answer.status_code == _REFUSED
            except CasemateError:
                continue  # the node may be back at the next time

    def end(self) -> str:
        """Give it back; return what could not be done, empty: nothing."""
        self._ending.set()
        return give_back(self._node, self.id)


def give_back(node: Node, lease: str) -> str:
    """Revoke the token of a lease; return what could not be done, empty: nothing."""
    return remove(node, f"the token {lease}", RevokeToken(id=lease))


def _is_lease(token: TokenView) -> bool:
    """Tell whether it is of a run itself, and not one that a run made for those who act in it."""
    return is_marked(token.name) and token.name.count("-") == 1 and token.revoked_at is None


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
