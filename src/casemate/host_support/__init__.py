"""Whether what a node stands on still gets security fixes: Python, distribution, kernel, updates.

It reads what the host says and a dated file, and changes nothing. Not here: protections that are
tried, which is `maintenance`. May import `build` only.
"""

from casemate.host_support.standing import host_support, host_today

__all__ = [
    "host_support",
    "host_today",
]
