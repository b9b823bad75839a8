"""How the loss of a vault's state is named, which an operator may accept."""

from __future__ import annotations

LOSS = "vault/"
"""Before the name by which a loss is accepted."""
