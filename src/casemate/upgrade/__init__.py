"""Upgrades to another version of Casemate: verified, tried on a copy, switched at once.

It reads signed releases, keeps versions beside each other with a link to the one that is current,
and says in which order an upgrade goes. Not the listening socket, which the supervisor passes on.
May import `backup`, `build`, `signing`, the schemas of what a node keeps, and what is below them.
"""
