"""Render Markdown (CommonMark with tables) as HTML that is safe to show: `POST /render`."""

from __future__ import annotations

from typing import Any

from markdown_it import MarkdownIt

MEDIA_TYPES = ("text/markdown", "text/plain")
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    # The renderer lets no markup of the author through. Should it ever, browsers still run nothing.
    "content-security-policy": "default-src 'none'; img-src https:; sandbox",
    "x-content-type-options": "nosniff",
}

# `html: False` shows tags in the source as text. Links with schemes that run code or read files
# (javascript, vbscript, file, data) are not made links by markdown-it itself.
RENDERER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer with an HTML fragment, or with a 4xx that says what is wrong with the request."""
    content_type = (event.get("headers") or {}).get("content-type", "")
    if content_type.partition(";")[0].strip().lower() not in MEDIA_TYPES:
        return refusal(415, "content-type: expected text/markdown")
    if event.get("is_base64"):
        return refusal(415, "body: expected text in UTF-8")
    html = render(event.get("body") or "")
    context.log.info("rendered", characters=len(html))
    return {"status": 200, "headers": HEADERS, "body": html}


def render(source: str) -> str:
    """Return the source as HTML: an empty one as nothing."""
    html: str = RENDERER.render(source)
    return html


def refusal(status: int, reason: str) -> dict[str, Any]:
    """Return the answer to a request that holds no Markdown."""
    return {"status": status, "body": {"error": reason}}


# The parser compiles its expressions on first use. Done here it is paid once for all invocations.
render("# a\n\n- *b* [c](https://d) `e`\n\n|f|\n|-|\n|g|\n")
