"""What the recorder process is started with."""

from __future__ import annotations

from casemate.child.protocol import ChildConfig, Descriptor

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
    accept_loss: bool = False
    """Begin a new journal where there was one that is gone."""
    accept_records_loss: bool = False
    """Begin new records where there were some that are gone."""
    lends_records: bool = False
    """Whether who reads along may have records: where the settings have them exported."""
