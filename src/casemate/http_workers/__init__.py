"""Processes that take connections for one gateway: sockets, TLS and HTTP, and no decision.

Workers accept from the node's listener, all of them from the same one. Of each connection and each
request the gateway decides: it counts, admits, routes and answers as it does for connections of its
own, so that every limit and quota is one, and what was revoked is so for all of them at once.

It is not: a cache, a router, a balancer, or a holder of state beyond a connection's own.
It may import: `casemate.triggers.http_server`, `casemate.certificates`, `casemate.child`.
"""
