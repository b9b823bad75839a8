"""What the recorder process is started with."""

from __future__ import annotations

from typing import Annotated

import msgspec

from casemate.child.protocol import ChildConfig, Descriptor
from casemate.set_clock import Believed

NEW_JOURNAL = "new"
"""File in the journal's folder: it is known that there is none yet beside what else there is."""


RESTORED = "restored"
"""File in the journal's folder: it is that of a backup, which its next entry says."""


class RecorderConfig(ChildConfig, frozen=True, kw_only=True):
    """What the supervisor tells the recorder."""

    folder: str
    """That of the journal; the recorder's own."""
    vault: Descriptor
    """The connected socket to the vault, for the recorder alone."""
    memories: Annotated[tuple[Descriptor, ...], msgspec.Meta(max_length=16)] = ()
    """That of the gateway, and those of gateways before it that were not read yet."""
    accept_loss: bool = False
    """Begin a new journal where there was one that is gone."""
    accept_records_loss: bool = False
    """Begin new records where there were some that are gone."""
    clock: Believed | None = None
    """What is believed of the clock (`casemate.set_clock.believe`)."""
    lends_records: bool = False
    """Whether who reads along may have records: where the settings have them exported."""
