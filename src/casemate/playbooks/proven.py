"""Which rules find what nobody can have somebody else do.

A playbook that acts without a person serves whoever can cause its finding about another one. What
a caller sends can make an honest function build SQL, ask for a metadata address, use up its budget
or fail; a stranger can guess at somebody's password. So only what these rules find is acted on at
once: what a function's own code does to the kernel, what nobody but a thief knows of, and what
advisories say of a package. Each is about who did it, as the kernel or the check of a token says.
"""

from __future__ import annotations

PROVEN = frozenset(
    {
        # Calls to the kernel that only code of the function's process makes.
        "kernel-module-tried",
        "mount-tried",
        "namespace-tried",
        "kernel-interface-tried",
        "host-stop-tried",
        "ports-tried",
        # Known only to who has looked where functions run, and asked for by who has shown a token.
        "decoy-secret-asked",
        "decoy-row-read",
        # What an advisory says, which no caller writes.
        "malicious-package-live",
    }
)
OWN = frozenset(
    {
        "playbook-waits",
        "playbook-failed",
        "playbook-changed",
        "playbook-not-signed",
        "function-quarantined",
    }
)
"""What is found of playbooks themselves, or of what they do: no playbook is for it."""
