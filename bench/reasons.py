"""Why a target was missed, by what was measured beside it: whose processor time, whose memory."""

from __future__ import annotations

from bench.results import Results
from bench.roles import told

MB = 1_000_000
_GATEWAY, _SERVER = "gateway", "server"
_LOADED, _ALONE = "loaded_us", "alone_us"


def loaded(results: Results, target: str, handler: str) -> str:
    """Say what an answer takes over many connections, and what the cores allow with that."""
    parts = results.parts(target, handler, _LOADED)
    if not parts:
        return ""
    most = 1e6 * results.machine.cores / sum(parts.values())
    said = told(parts, "us of processor time by call")
    return f"{said}: {results.machine.cores} cores have no time for more than {most:,.0f}/s"


def alone(results: Results, target: str, handler: str) -> str:
    """Say what an answer takes over one connection."""
    parts = results.parts(target, handler, _ALONE)
    return told(parts, "us of processor time by call over one connection") if parts else ""


def compared(results: Results, target: str, other: str, handler: str) -> str:
    """Say what an answer takes of both, over many connections."""
    own, others = (results.parts(each, handler, _LOADED) for each in (target, other))
    if not own or not others:
        return ""
    ours = told(own, "us of processor time by call")
    return f"{ours}, of {other} {told(others, 'us')}"


def gateway(results: Results, target: str, handler: str) -> float | None:
    """Return the gateway's processor time by call over many connections; None: not measured."""
    return results.parts(target, handler, _LOADED).get(_GATEWAY)


def lane(results: Results, target: str, other: str, handler: str) -> str:
    """Say beside the gateway's processor time what a server takes that does nothing but answer."""
    server = results.parts(other, handler, _LOADED).get(_SERVER)
    if not server:
        return ""
    return f"{other}, which parses a request, calls the handler and answers, takes {server:,.0f} us"


def first_call(results: Results, field: str) -> str:
    """Say what a first call takes."""
    parts = results.figures.first_us.get(field)
    return told(parts, "us of processor time, of what follows within 0.1 s too") if parts else ""


def rest(results: Results) -> str:
    """Say whose the memory of functions at rest is."""
    parts = results.figures.crowd_parts
    return told(parts, "MB", MB) if parts else ""


def discards(results: Results) -> str:
    """Say which handlers are not restored, and why."""
    found = results.figures.discards
    if found is None:
        return ""
    return "; ".join(f"{what}: {reason}" for what, reason in found.reasons.items())


def later(results: Results) -> str:
    """Say what an event takes that is kept and run, and a call that is waited for."""
    found = results.figures.asynchronous_us
    if not found:
        return ""
    event, call = found["sent_and_run"], found["waited_for"]
    said = told(event, "us of processor time by event")
    return f"{said}, {told(call, 'us')} by call that is waited for"
