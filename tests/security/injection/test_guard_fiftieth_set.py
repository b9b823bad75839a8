"""What a fiftieth set of programs by others showed, with harmless twins."""

from __future__ import annotations

from pathlib import Path

from support.guard_cases import assert_blocked, assert_passes

PREVIEW = """
import urllib.request
def handler(event, context):
    url = f"http://{event['viewer'].strip()}:preview@127.0.0.1:9/pages/{event.get('page', 'home')}"
    try:
        return urllib.request.urlopen(url, timeout=1).status
    except (OSError, ValueError) as error:
        return type(error).__name__
"""
FEED = """
import xml.etree.ElementTree as ET
def handler(event, context):
    item = ET.Element("item")
    ET.SubElement(item, "title").text = event["title"]
    ET.SubElement(item, "description").text = event["html"]
    text = ET.tostring(item, encoding="unicode")
    with open("/tmp/fiftieth-feed.xml", "w") as file:
        file.write(text)
    return text
"""


def test_a_plain_user_may_stand_before_a_password_of_the_codes(tmp_path: Path) -> None:
    for viewer in ("ann", "zoe42", "j.doe-2"):
        assert_passes(tmp_path, {viewer: (PREVIEW, {"viewer": viewer})}, ())
    for viewer in ("127.0.0.1:18432/latest?", "x@127.0.0.1:18432/#", "a\\b", "x@[::1]:80"):
        assert_blocked(tmp_path, {viewer: (PREVIEW, {"viewer": viewer})}, {"url"}, ())


def test_a_few_signs_turned_round_are_in_a_document_by_chance(tmp_path: Path) -> None:
    for html in ("]]>", "><", "<<>>"):
        event = {"title": "]]> <!-- -->", "html": html}
        assert_passes(tmp_path, {html: (FEED, event)}, ())
