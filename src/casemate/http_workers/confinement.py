"""What a worker may still do: accept connections from the listener it was given, and answer."""

from __future__ import annotations

from casemate.child.confinement import Confinement, SystemCalls

HTTP_WORKER = Confinement(system_calls=SystemCalls.ACCEPTING)
