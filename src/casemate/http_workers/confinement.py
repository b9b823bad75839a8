"""What a worker may still do: accept connections from the listener it was given, and answer."""

from __future__ import annotations

from casemate.child.confinement import Confinement, SystemCalls

_MEMORY = 2 << 30
"""For 10,000 connections with TLS, its share of bodies and answers, and what waits for the gateway
that does not read."""

HTTP_WORKER = Confinement(system_calls=SystemCalls.ACCEPTING, memory=_MEMORY)
