"""The restorer as a process of its own: it may trace others, and nothing else."""

from __future__ import annotations

import gc
import os
import resource

from casemate.child.confinement import forbid_dumps
from casemate.child.failure import Failure
from casemate.child.process import Supervised, main
from casemate.child.proof import Held, Witness, require_confined
from casemate.child.protocol import ChildConfig
from casemate.kernel import linux, tracing
from casemate.kernel.process_files import memory_device
from casemate.kernel.restorer_filter import restorer_program
from casemate.restorer.server import Server
from casemate.restorer.start import CAPABILITY, KEEPS

_MEMORY = 1 << 30


def confine(uid: int | None) -> Held:
    """Give up everything but the right to trace. Raises OSError."""
    with Witness() as witness:
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        linux.drop_bounding_capabilities()
        if uid is not None:
            linux.keep_capabilities()
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        linux.die_with_parent()
        linux.set_no_new_privileges()
        linux.keep_only_capability(CAPABILITY)
        forbid_dumps()
        # Whoever waits a moment for another process to stop should not wait for longer.
        linux.set_timer_slack(1)
        linux.install_filter(restorer_program())
        held = witness.held(memory_locked=False)
    require_confined(held, uid, landlock=True, keeps=KEEPS)
    return held


def run(config: ChildConfig) -> int:
    """Serve the supervisor until it is gone. Returns the exit code."""
    supervised = Supervised(config)
    try:
        tracing.require_known_machine()
        # Before the filter, which lets it make nothing that it waits for.
        server = Server(supervised.control, supervised.heart)
        memory_device()
        held = confine(config.uid)
    except OSError as error:
        supervised.refuse(
            Failure("CasemateError", f"The restorer cannot be confined: {error}.", None)
        )
        return 1
    gc.freeze()  # what is loaded is no garbage
    supervised.ready(held)
    server.run()
    return 0


if __name__ == "__main__":
    main("restorer", ChildConfig, run)
