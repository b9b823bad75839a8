"""What keeps what happens and what notices it: started for a gateway, introduced to each other.

Each comes and goes by itself. Whenever both are there they are passed the two ends of a new
connection, over which the one is read along by the other.
"""

from __future__ import annotations

from collections.abc import Callable

from casemate.folder.folders import Folders
from casemate.model.processes import MONITOR_UID, RECORDER_UID
from casemate.monitor.settings import MonitorSettings
from casemate.monitor.start import MonitorStarter
from casemate.recorder.connections import ASKING, READER
from casemate.recorder.memories import Memories
from casemate.recorder.start import RecorderStarter
from casemate.set_clock import Believed
from casemate.supervisor.vault import NodeVault


class Recording:
    """Starts recorders and monitors for one gateway."""

    def __init__(
        self,
        folders: Folders,
        vault: NodeVault,
        settings: MonitorSettings,
        memories: Memories,
        *,
        journal: str,
        node: str,
        own_addresses: tuple[str, ...] = (),
        root: bool,
        accept_loss: bool,
        accept_records_loss: bool,
        clock: Callable[[], Believed],
    ) -> None:
        """Make both starters.

        `journal` is a path of the journal's folder by which anybody can walk to it, `node` is what
        alerts call the node, `clock` tells what is believed of the clock.
        """
        self.recorder = RecorderStarter(
            RECORDER_UID if root else None,
            journal,
            vault.connect_recorder,
            memories.given,
            accept_loss=accept_loss,
            accept_records_loss=accept_records_loss,
            lends_records=settings.exports_records,
            ready=self._introduce,
            clock=clock,
        )
        self.monitor = MonitorStarter(
            MONITOR_UID if root else None,
            str(folders.monitor),
            vault.connect_monitor,
            settings,
            node=node,
            own_addresses=own_addresses,
            ready=self._introduce,
            clock=clock,
        )

    def _introduce(self) -> None:
        if not (self.recorder.is_ready and self.monitor.is_ready):
            return
        ours, theirs = ASKING.pair()
        with ours, theirs:
            if self.recorder.introduce(ours, READER):
                self.monitor.introduce(theirs, READER)
