"""The calls of the examples: what is sent, what must come back, how long it takes."""

from __future__ import annotations

import statistics
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from workspace import EXAMPLES, OUT, ROOT, DemoError, say

LATER_CALLS = 20
LINE_LENGTH = 96


@dataclass
class Call:
    """How an example is called, and what is done with its answer."""

    project: str
    path: str
    content_type: str
    file: str
    show: Callable[[httpx2.Response], str]
    """Checks an answer and returns what to print of it."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    public: bool = False

    @property
    def data(self) -> Path:
        """Return the file that is sent."""
        return EXAMPLES / self.project / "data" / self.file


def show_thumbnail(response: httpx2.Response) -> str:
    """Save the thumbnail."""
    picture = response.content
    if response.headers["content-type"] != "image/jpeg" or picture[:3] != b"\xff\xd8\xff":
        raise DemoError(f"expected a JPEG, got {response.headers['content-type']}")
    path = OUT / "landscape-200.jpg"
    path.write_bytes(picture)
    size = response.headers["x-picture-size"]
    return f"a JPEG of {size} pixels, {len(picture)} bytes: {path.relative_to(ROOT)}"


def show_summary(response: httpx2.Response) -> str:
    """Print a line for each column."""
    summary = response.json()
    lines = [f"{summary['rows']} rows"]
    for column in summary["columns"]:
        parts = [f"{name} {value}" for name, value in column.items() if name != "name"]
        lines.append(
            textwrap.shorten(
                f"{column['name']}: {', '.join(parts)}", LINE_LENGTH, placeholder=" ..."
            )
        )
    return "\n".join(lines)


def show_html(response: httpx2.Response) -> str:
    """Save the HTML and print its beginning."""
    if "<script" in response.text or "<h1>" not in response.text:
        raise DemoError("expected rendered Markdown without any script of its author")
    path = OUT / "article.html"
    path.write_text(response.text, encoding="utf-8")
    beginning = "\n".join(response.text.splitlines()[:3])
    return f"{beginning}\n... {len(response.content)} bytes: {path.relative_to(ROOT)}"


CALLS = (
    Call("thumbnail", "/thumbnail/200", "image/jpeg", "landscape.jpg", show_thumbnail),
    Call("csv-summary", "/summary", "text/csv", "stdlib-imports.csv", show_summary),
    Call("markdown", "/render", "text/markdown", "article.md", show_html),
    Call(
        "webhook",
        "/webhook",
        "application/json",
        "push.json",
        lambda response: response.text,
        status=202,
        public=True,
    ),
)


def send(
    client: httpx2.Client, call: Call, token: str | None, headers: dict[str, str] | None = None
) -> tuple[httpx2.Response, float]:
    """Send a call; return the answer and the milliseconds until it was there."""
    sent = {"content-type": call.content_type, **call.headers, **(headers or {})}
    if token:
        sent["authorization"] = f"Bearer {token}"
    body = call.data.read_bytes()
    return timed(lambda: client.post(call.path, content=body, headers=sent))


def timed(ask: Callable[[], httpx2.Response]) -> tuple[httpx2.Response, float]:
    """Return an answer and the milliseconds until it was there."""
    start = time.perf_counter()
    response = ask()
    return response, (time.perf_counter() - start) * 1000


def say_times(first_ms: float, later: list[float]) -> None:
    """Print how long a first call and those after it took."""
    say(
        f"    first call {first_ms:.1f} ms; {len(later)} later calls: "
        f"fastest {min(later):.1f} ms, median {statistics.median(later):.1f} ms"
    )


def expect(response: httpx2.Response, status: int, what: str) -> None:
    """Raise DemoError if an answer has another status."""
    if response.status_code != status:
        raise DemoError(
            f"{what}: expected {status}, got {response.status_code}: {response.text[:500]}"
        )


def call_example(client: httpx2.Client, call: Call, token: str) -> None:
    """Call an example 1 + 20 times; print its answer and how long it took."""
    used = None if call.public else token
    first, first_ms = send(client, call, used)
    expect(first, call.status, f"POST {call.path}")
    say(f"\n--> POST {call.path}  {call.file}, {call.data.stat().st_size} bytes")
    for line in call.show(first).splitlines():
        say(f"    {line}")
    later = []
    for _ in range(LATER_CALLS):
        response, spent = send(client, call, used)
        expect(response, call.status, f"POST {call.path}")
        later.append(spent)
    say_times(first_ms, later)


def call_refused(client: httpx2.Client) -> None:
    """Show that what should be refused is."""
    markdown, webhook = CALLS[2], CALLS[3]
    say("\n--> What is refused")
    refused, _ = send(client, markdown, None)
    expect(refused, 401, "a call without a token")
    say(f"    without a token:        {refused.status_code} {refused.text[:200]}")
    refused, _ = send(client, webhook, None, {"webhook-id": "msg_forged"})
    expect(refused, 401, "an event with another id than was signed")
    say(f"    with a forged event:    {refused.status_code} {refused.text[:200]}")
