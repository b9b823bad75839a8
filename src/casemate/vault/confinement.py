"""What the vault may do once it has read the master key and opened its folder."""

from __future__ import annotations

from casemate.child.confinement import Confinement, SystemCalls

VAULT = Confinement(
    system_calls=SystemCalls.OFFLINE,
    # So that no key reaches swap.
    locks_memory=True,
    # It ends with its control socket: whoever checks a folder starts it in any thread.
    dies_with_parent=False,
)
