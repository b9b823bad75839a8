"""A node whose clock is set while it runs, the clocks of all its processes together."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from cluster.faults import Faults, compile_faults
from support.node import TestNode

_LAUNCHER = """\
import os
from casemate.child.start import PLAIN_ENVIRONMENT
for name in ("LD_PRELOAD", "CLUSTER_FAULTS"):
    PLAIN_ENVIRONMENT[name] = os.environ[name]
from casemate.cli import serving
from casemate.cli.main import main
from casemate.supervisor.serve import serve
serving.become_supervisor = serve  # in this process, where the environment is
main()
"""


class SetClockNode(TestNode):
    """Monotonic clocks go on as they are: nobody sets those."""

    __test__ = False
    launcher = (sys.executable, "-c", _LAUNCHER)

    def __init__(self, data: Path, *arguments: str, off: float = 0.0) -> None:
        super().__init__(data, *arguments)
        # Processes of the node that are other users read it.
        self._folder = tempfile.TemporaryDirectory(prefix="clock-")
        folder = Path(self._folder.name)
        folder.chmod(0o755)
        self._faults = Faults(compile_faults(folder), folder / "faults")
        self.off = off
        self.set_clock(off)

    def set_clock(self, off: float) -> None:
        """Have the clock be so many seconds off from now on."""
        self.off = off
        self._faults.step_clock(off)

    @property
    def now(self) -> float:
        """What the node's clock says."""
        return time.time() + self.off

    def start(self) -> TestNode:
        os.environ.update(self._faults.environment)
        try:
            return super().start()
        finally:
            for name in self._faults.environment:
                os.environ.pop(name, None)

    def close(self) -> None:
        super().close()
        self._folder.cleanup()
