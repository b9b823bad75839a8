"""What the egress process may still do: resolve names, connect and accept by TCP, start threads."""

from __future__ import annotations

import sys
from pathlib import Path

from casemate.child.confinement import Confinement, SystemCalls

EGRESS = Confinement(
    system_calls=SystemCalls.INTERNET,
    # Where the files of name resolution and the libraries that do it are, and our own.
    reads=(
        "/etc",
        "/usr",
        "/lib",
        "/lib64",
        "/run/systemd/resolve",
        "/run/resolvconf",
        "/run/NetworkManager",
        "/run/connman",
        sys.prefix,
        sys.base_prefix,
        str(Path(__file__).resolve().parents[2]),
    ),
)
