"""What a gateway gives up, and whoever speaks for it to the same servers with the same rights."""

from __future__ import annotations

import codecs
import os
import resource

from casemate.kernel import landlock, linux, seccomp

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_CODECS = ("ascii", "latin-1", "idna")
"""Modules that the standard library loads on first use, when it may be out of reach."""


def confine(uid: int | None, *, only_reads: bool = False) -> None:
    """Give up every right for good. Raises OSError if the kernel does not do it.

    With `only_reads` also that to write files but those that are open, where the kernel has
    Landlock, and to leave a core dump.
    """
    for codec in _CODECS:
        codecs.lookup(codec)
    if only_reads:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if uid is not None:
        linux.become(uid)
    else:
        linux.die_with_parent()
    linux.set_no_new_privileges()
    linux.drop_capabilities(bounding=False)
    linux.set_not_dumpable()
    if only_reads:
        _restrict_to_reading()
    linux.install_filter(seccomp.gateway_program())


def _restrict_to_reading() -> None:
    abi = linux.landlock_abi()
    if abi:
        handled = landlock.handled_files(abi) & ~(_READ_FILE | _READ_DIR)
        ruleset = linux.landlock_create(handled, 0, 0, abi)
        linux.landlock_restrict(ruleset)
        os.close(ruleset)
