"""Parts of URLs, and the judgement of what data has of each."""

from __future__ import annotations

import pytest

from casemate.guard.origin import Origin, Span
from casemate.guard.url.structure import judge, split


def judged(text: str, *, vouched: bool = False, checked: str = "") -> str | None:
    """Judge a URL in which data stands between `<` and `>`; return what it changes."""
    before, _, rest = text.partition("<")
    data, _, after = rest.partition(">")
    span = Span(len(before), len(before) + len(data), Origin("event", ()), True, checked)
    verdict = judge(before + data + after, [span], lambda *_: vouched)
    return None if verdict is None else verdict.changed


@pytest.mark.parametrize(
    ("text", "scheme", "host", "path"),
    [
        ("https://a.example.com:8/x?y#z", "https", "a.example.com", "/x"),
        ("HTTP://user:pw@h/p", "HTTP", "h", "/p"),
        ("//h/p", "", "h", "/p"),
        ("\\\\h\\p", "", "h", "\\p"),
        ("http:\\\\h", "http", "h", ""),
        ("http://[::1]:80/a", "http", "[::1]", "/a"),
        ("http://a@b@c/", "http", "c", "/"),
        ("/a/b?c", "", "", "/a/b"),
        ("file:///etc/passwd", "file", "", "/etc/passwd"),
        ("javascript:x", "javascript", "", "x"),
        ("h?x", "", "", "h"),
        ("http://h#@evil", "http", "h", ""),
    ],
)
def test_parts_are_found_as_the_most_generous_client_finds_them(
    text: str, scheme: str, host: str, path: str
) -> None:
    parts = split(text)
    assert text[slice(*parts.scheme)] == scheme
    assert text[slice(*parts.host)] == host
    assert text[parts.path : parts.query] == path


@pytest.mark.parametrize(
    "text",
    [
        "https://<user>:pw@h/",
        "https://h.example/<a>",
        "https://h.example/<a>/b",
        "https://h.example<>/x",
        "https://h.example</a/b>",
        "https://h.example/x?q=<a=b/c?d>",
        "https://h.example/x?<a=1&b=2>",
        "https://<tenant>.example.com/",
        "/users/<a@b.c>",
        "https://h.example/x#<anything?&>",
        "https://h.example/<a..b>",
        "https://h.example/a<..b>",
    ],
)
def test_what_stays_in_its_part_passes(text: str) -> None:
    assert judged(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<https://evil>", "host"),
        ("<file:///x>", "scheme"),
        ("https://<evil>/x", "host"),
        ("https://<tenant>.com/", "host"),
        ("https://<a.b/>.example.com/", "host"),
        ("https://h:<80>/", "port"),
        ("https://<user@h2>:pw@h/", "credentials"),
        ("https://<user:x>:pw@h/", "credentials"),
        ("https://h.example<@evil>", "credentials"),
        ("https://h.example<\\>", "holds"),
        ("<http>://h.example/", "host"),
        ("<//evil>", "host"),
        ("https://h.example/<..>/x", ".."),
        ("https://h.example/a/<%2E%2e/x>", ".."),
        ("https://h.example/.<./x>", ".."),
        ("https://h.example/<a?b>", "query"),
        ("https://h.example/<a#b>/c", "fragment"),
        ("https://h.example/x?q=<a&b>", "&"),
        ("https://h.example/x?q=<a#b>", "#"),
        ("https://h.example/<a\r\nb>", "line breaks"),
        ("/a?q=<a\nb>", "line breaks"),
    ],
)
def test_what_leaves_its_part_is_named(text: str, words: str) -> None:
    assert words in (judged(text) or "nothing")


def test_a_host_that_is_vouched_for_passes_with_its_path_but_not_with_another_scheme() -> None:
    assert judged("<https://h.example/a/../b?c#d>", vouched=True) is None
    assert judged("<gopher://h.example/>", vouched=True) is not None
    assert judged("<https://user@h.example/>", vouched=True) is not None
    assert judged("<https://h.example\\@evil/>", vouched=True) is not None


@pytest.mark.parametrize("checked", ["member", "constant"])
def test_what_the_code_has_found_in_a_collection_or_holds_passes(checked: str) -> None:
    assert judged("<http://h.example/>", checked=checked) is None
    assert judged("https://<h>/", checked=checked) is None
    assert judged("<http://h.example/>", checked="pattern") is not None
