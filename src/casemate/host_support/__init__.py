"""Whether the software below a node still gets security fixes: Python, distribution, kernel.

It reads the host's own information and a dated file, and changes nothing. Not here: probing
protections, which is `maintenance`. May import `build` only.
"""

from casemate.host_support.standing import host_support, host_today

__all__ = [
    "host_support",
    "host_today",
]
