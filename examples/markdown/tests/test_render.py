"""Run in the example's folder: `python -m unittest discover -s tests` (needs markdown-it-py)."""

from __future__ import annotations

import logging
import sys
import time
import unittest
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "src"))

import render  # noqa: E402  (the folder of the code must be on the path first)

ARTICLE = (PROJECT / "data" / "article.md").read_text(encoding="utf-8")
HARMLESS_TAGS = (
    "a blockquote br code em h1 h2 h3 h4 h5 h6 hr img li ol p pre s strong "
    "table tbody td th thead tr ul"
)
HARMLESS_ATTRIBUTES = {"href", "src", "alt", "title", "class", "start", "style"}


class Log:
    """Takes what the handler logs, as `context.log` does."""

    def info(self, message: str, **fields: Any) -> None:
        """Keep one line."""
        logging.getLogger(__name__).info("%s %s", message, fields)


CONTEXT = SimpleNamespace(log=Log())


class Markup(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self, html: str) -> None:
        """Read all of `html`."""
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep one tag."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def request(body: str, content_type: str = "text/markdown; charset=utf-8") -> dict[str, Any]:
    """Return the event of `POST /render`."""
    return {
        "method": "POST",
        "path": "/render",
        "headers": {"content-type": content_type},
        "body": body or None,
        "is_base64": False,
    }


class RenderTest(unittest.TestCase):
    """What a caller gets."""

    def html(self, source: str) -> str:
        """Return the answer's body."""
        result = render.handler(request(source), CONTEXT)
        self.assertEqual(result["status"], 200)
        self.assertEqual(result["headers"]["content-type"], "text/html; charset=utf-8")
        return str(result["body"])

    def test_renders_the_article(self) -> None:
        html = self.html(ARTICLE)
        tags = Markup(html).tags
        self.assertEqual((tags.count("h1"), tags.count("h2"), tags.count("table")), (1, 2, 1))
        self.assertEqual((tags.count("tr"), tags.count("ol"), tags.count("blockquote")), (5, 1, 1))
        self.assertIn('<pre><code class="language-python">', html)
        self.assertIn("3 &lt; 5", html)

    def test_lets_no_markup_of_the_author_through(self) -> None:
        for source in (
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<a href='javascript:alert(1)'>x</a>",
            "<!-- comment --><svg/onload=alert(1)>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt&colon;alert(1))",
            "[x](&#106;avascript:alert(1))",
            "[x](data:text/html;base64,PHNjcmlwdD4=)",
            "[x](vbscript:x) ![x](file:///etc/passwd)",
            "<javascript:alert(1)>",
            '[x](https://a "onclick=\\"alert(1)")',
            '![" onerror="alert(1)](https://a)',
            '```"><script>alert(1)</script>\nx\n```',
            "[x]: javascript:alert(1)\n\n[x]",
            ARTICLE,
        ):
            with self.subTest(source=source[:40]):
                markup = Markup(self.html(source))
                self.assertLessEqual(set(markup.tags), set(HARMLESS_TAGS.split()))
                self.assertLessEqual({name for name, _ in markup.attributes}, HARMLESS_ATTRIBUTES)
                for name, value in markup.attributes:
                    if name in {"href", "src"}:
                        self.assertRegex(value, r"^https?://")

    def test_tells_browsers_to_run_nothing(self) -> None:
        headers = render.handler(request("x"), CONTEXT)["headers"]
        self.assertIn("default-src 'none'", headers["content-security-policy"])
        self.assertEqual(headers["x-content-type-options"], "nosniff")

    def test_ends_on_sources_that_are_made_to_be_slow(self) -> None:
        start = time.perf_counter()
        for source in (
            ">" * 20_000,
            "[" * 20_000,
            "*a_" * 10_000,
            "`" * 20_000 + "a",
            "- " * 5_000,
        ):
            self.html(source)
        self.assertLess(time.perf_counter() - start, 20)

    def test_takes_nothing_and_every_letter(self) -> None:
        self.assertEqual(self.html(""), "")
        self.assertEqual(self.html("Grüße, 世界 \x00"), "<p>Grüße, 世界 \ufffd</p>\n")

    def test_refuses_other_types(self) -> None:
        self.assertEqual(render.handler(request("{}", "application/json"), CONTEXT)["status"], 415)
        binary = {**request("/w=="), "is_base64": True}
        self.assertEqual(render.handler(binary, CONTEXT)["status"], 415)
        self.assertEqual(render.handler({}, CONTEXT)["status"], 415)


if __name__ == "__main__":
    unittest.main()
