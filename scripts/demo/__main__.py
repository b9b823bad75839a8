"""Starts a node, deploys the examples, calls each over HTTP with real data, and ends.

`make demo` runs it with the Python of .venv. Everything it writes is below .demo/, which may be
deleted at any time. Exit codes: 0 everything answered as it should, 1 something did not, 2 wrong
usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from types import FrameType

import httpx2
from calls import CALLS, call_example, call_refused
from events import show_events
from node import (
    MASTER_KEY,
    NODE_LOG,
    TOKEN_FILE,
    USUAL_PORT,
    Node,
    last_words,
    start_node,
    stop_node,
)
from orders import call_orders, how_to_go_on, set_receipt_key, show_denial, show_grants
from projects import copy_project, deploy, import_advisories, signed_headers
from workspace import HOME, OUT, PROJECTS, ROOT, DemoError, say, telling

CALL_SECONDS = 60


def demonstrate(node: Node) -> None:
    """Deploy and call every example."""
    say("==> Importing a small set of advisories, by which the examples' packages are judged")
    say(f"    {import_advisories(node)}")
    say("==> Building and deploying the examples (the first time also downloads their packages)")
    for call in CALLS:
        project = copy_project(call.project)
        if call.project == "webhook":
            call.headers.update(signed_headers(project, call.data))
        say(f"    {deploy(project, node)}")
    orders = copy_project("orders")
    say(f"    {deploy(orders, node)}")
    receipt_key = set_receipt_key(orders, node)
    say("\n==> Calling each with real data")
    with httpx2.Client(base_url=node.url, timeout=CALL_SECONDS) as client:
        for call in CALLS:
            call_example(client, call, node.token)
        call_orders(client, node, receipt_key)
        show_grants(orders, node)
        call_refused(client)
        show_denial(client, orders, node)
        show_events(client, node)


def print_how_to_go_on(node: Node, *, stays: bool) -> None:
    """Print the address, where the owner's token is, and commands to go on with."""
    port = httpx2.URL(node.url).port or USUAL_PORT
    say(f"\n==> To go on\n    address        {node.url}")
    say(f"    owner's token  in {TOKEN_FILE.relative_to(ROOT)}\n")
    if not stays:
        say("    # the node is stopped now; this starts it again, with all that is deployed")
        say("    .venv/bin/casemate serve --data .demo/data \\")
        say(f'        --master-key "file:$PWD/{MASTER_KEY.relative_to(ROOT)}" --port {port} &')
    token = TOKEN_FILE.relative_to(ROOT)
    say(f'    export CASEMATE_URL={node.url} CASEMATE_KEY="$(cat {token})"')
    for call in CALLS[:3]:
        auth = '-H "Authorization: Bearer $CASEMATE_KEY"'
        output = " -o thumbnail.jpg" if call.content_type == "image/jpeg" else ""
        say(
            f'    curl -X POST "$CASEMATE_URL{call.path}" {auth} \\\n'
            f'        -H "Content-Type: {call.content_type}" '
            f"--data-binary @{call.data.relative_to(ROOT)}{output}"
        )
    for command in how_to_go_on():
        say(f"    {command}")
    say("    .venv/bin/casemate ls")
    say("    .venv/bin/casemate logs webhook/receive")


def wait_for_the_user(node: Node) -> None:
    """Keep the node running until Ctrl-C, or until it ends."""
    say("\nThe node keeps running. Ctrl-C ends it.")
    with contextlib.suppress(KeyboardInterrupt):
        node.process.wait()
        raise DemoError(f"the node ended by itself:\n{last_words()}")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str]) -> int:
    """Run the demo and return its exit code."""
    grammar = argparse.ArgumentParser(prog="scripts/demo", description="Deploy and call examples.")
    grammar.add_argument("--keep", action="store_true", help="keep the node running until Ctrl-C")
    keep = grammar.parse_args(arguments).keep
    if keep and not sys.stdin.isatty():
        grammar.error("--keep needs a terminal, as Ctrl-C is what ends it; run `casemate serve`")
    signal.signal(signal.SIGTERM, _interrupt)
    for folder in (HOME, PROJECTS, OUT):
        folder.mkdir(exist_ok=True)
    try:
        say("==> Starting a node on .demo/data")
        with telling("the node starts"):
            node = start_node()
        try:
            say(f"    {node.url}")
            demonstrate(node)
            print_how_to_go_on(node, stays=keep)
            if keep:
                wait_for_the_user(node)
        finally:
            with telling("the node ends"):
                stop_node(node.process)
    except KeyboardInterrupt:
        say("\nInterrupted.")
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone. What Python still holds of it must go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (DemoError, httpx2.HTTPError, OSError, ValueError, KeyError) as error:
        say(f"\nThe demo failed: {error or type(error).__name__}")
        say(f"Next: `.venv/bin/casemate doctor`, and see {NODE_LOG.relative_to(ROOT)}.")
        return 1
    say("\nThe demo has ended, and so has its node." if not keep else "\nThe node has ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
