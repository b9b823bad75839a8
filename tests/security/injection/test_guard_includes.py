"""XInclude in documents of an event: files of the folder that the code gives it, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_cases import Cases, assert_blocked, assert_passes

PRELOAD = ("lxml.etree", "xml.etree.ElementTree", "xml.etree.ElementInclude")
CODE = """
import os
from lxml import etree
HERE = os.path.dirname(os.path.abspath(__file__))

def handler(event, context):
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    root = etree.fromstring(event["xml"].encode(), parser, base_url=BASE)
    tree = root.getroottree()
    try:
        tree.xinclude()
    except etree.XIncludeError as error:
        return str(error)[:40]
    return etree.tostring(tree).decode()
"""
BELOW = CODE.replace("BASE", "os.path.join(HERE, 'parts', 'card.xml')")
BESIDE = CODE.replace("BASE", "os.path.join(HERE, 'card.xml')")
NOWHERE = CODE.replace(", base_url=BASE", "")
CHOSEN = CODE.replace("BASE", "os.path.join(HERE, event['folder'], 'card.xml')")
OF_A_URL = CODE.replace("BASE", "f'file://{HERE}/parts/card.xml'")
NAMED = (
    BESIDE
    + """
PARTS = sorted(os.listdir(os.path.join(HERE, "parts")))
"""
)
ELEMENT_TREE = """
from xml.etree import ElementInclude, ElementTree
def handler(event, context):
    root = ElementTree.fromstring(event["xml"])
    ElementInclude.include(root)
    return ElementTree.tostring(root).decode()
"""
ELEMENTS_BESIDE = """
import os
HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = os.path.join(HERE, "parts")
""" + ELEMENT_TREE.replace(
    "(root)\n    return", "(root, base_url=os.path.join(HERE, 'c.xml'))\n    return"
)

OWN_LOADER = """
import os
from xml.etree import ElementInclude, ElementTree
PARTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "parts")
def loader(href, parse, encoding=None):
    path = os.path.join(PARTS, href)
    if parse == "xml":
        return ElementTree.parse(path).getroot()
    with open(path) as file:
        return file.read()
def handler(event, context):
    root = ElementTree.fromstring(event["xml"])
    ElementInclude.include(root, loader=loader)
    return ElementTree.tostring(root).decode()
"""


def document(inner: str, more: str = "") -> str:
    return f'<r xmlns:xi="http://www.w3.org/2001/XInclude"{more}><a>{inner}</a></r>'


def include(name: str, more: str = ' parse="text"') -> str:
    return f'<xi:include href="{name}"{more}/>'


PASSING: Cases = {
    "nothing is included": (BELOW, {"xml": document("It&apos;s easy")}),
    "an include that is text": (BELOW, {"xml": document(f"<![CDATA[{include('/etc/passwd')}]]>")}),
    "nothing, without a folder": (NOWHERE, {"xml": document("plain")}),
    "a file of the folder": (BELOW, {"xml": document(include("licence.txt"))}),
    "one in a folder below": (BELOW, {"xml": document(include("de/contact.txt"))}),
    "a folder by its URL": (OF_A_URL, {"xml": document(include("licence.txt"))}),
    "a folder in the function's own that it names": (
        NAMED,
        {"xml": document(include("parts/de/contact.txt"))},
    ),
    "ElementTree, such a folder": (
        ELEMENTS_BESIDE,
        {"xml": document(include("parts/licence.txt"))},
    ),
    "a function of the code's own opens it": (
        OWN_LOADER,
        {"xml": document(include("licence.txt"))},
    ),
    "ElementTree, nothing": (ELEMENT_TREE, {"xml": document("plain")}),
}
BLOCKED: Cases = {
    "an absolute path": (BELOW, {"xml": document(include("/etc/passwd"))}),
    "a URL of a file": (BELOW, {"xml": document(include("file:///etc/passwd"))}),
    "a URL": (BELOW, {"xml": document(include("http://10.0.0.1/x"))}),
    "up": (BELOW, {"xml": document(include("../app.py"))}),
    "up from below": (BELOW, {"xml": document(include("de/../../app.py"))}),
    "up, encoded": (BELOW, {"xml": document(include("%2e%2e/app.py"))}),
    "up by the other slash": (BELOW, {"xml": document(include("..\\\\app.py"))}),
    "the second one leaves": (
        BELOW,
        {"xml": document(include("licence.txt") + include("/etc/passwd"))},
    ),
    "another base": (
        BELOW,
        {"xml": document(include("passwd"), ' xml:base="file:///etc/"')},
    ),
    "another base, relative": (BELOW, {"xml": document(include("app.py"), ' xml:base="../x/"')}),
    "the function's own folder": (BESIDE, {"xml": document(include("app.py"))}),
    "the working folder": (NOWHERE, {"xml": document(include("app.py"))}),
    "a folder of the event's": (
        CHOSEN,
        {"xml": document(include("app.py")), "folder": "parts/.."},
    ),
    "within what stands for a failure": (
        BELOW,
        {"xml": document(f"{include('no.txt', '')[:-2]}><xi:fallback>{include('/etc/passwd')}"
                         "</xi:fallback></xi:include>")},
    ),
    "ElementTree": (ELEMENT_TREE, {"xml": document(include("/etc/passwd"))}),
    "a folder that the code does not name": (
        BESIDE,
        {"xml": document(include("parts/licence.txt"))},
    ),
    "beside one that it names": (NAMED, {"xml": document(include("app.py"))}),
    "up from one that it names": (NAMED, {"xml": document(include("parts/../app.py"))}),
    "up from one by its URL": (OF_A_URL, {"xml": document(include("../app.py"))}),
    "the code's own function, up": (OWN_LOADER, {"xml": document(include("../app.py"))}),
    "the code's own function, XML": (OWN_LOADER, {"xml": document(include("../../x.xml", ""))}),
    "the code's own function, absolute": (OWN_LOADER, {"xml": document(include("/etc/passwd"))}),
    "ElementTree, beside": (ELEMENTS_BESIDE, {"xml": document(include("app.py"))}),
    "ElementTree, up": (ELEMENTS_BESIDE, {"xml": document(include("parts/../app.py"))}),
    "ElementTree, absolute": (ELEMENTS_BESIDE, {"xml": document(include("/etc/passwd"))}),
}  # fmt: skip


def _with_parts(folder: Path, cases: Cases) -> None:
    for number in range(len({code for code, _ in cases.values()})):
        parts = folder / f"case{number}" / "parts" / "de"
        parts.mkdir(parents=True)
        (parts / "contact.txt").write_text("mail")
        (parts.parent / "licence.txt").write_text("free")


def test_files_of_the_documents_own_folder_are_included(tmp_path: Path) -> None:
    _with_parts(tmp_path, PASSING)
    assert_passes(tmp_path, PASSING, PRELOAD)


def test_no_others_are(tmp_path: Path) -> None:
    _with_parts(tmp_path, BLOCKED)
    assert_blocked(tmp_path, BLOCKED, {"xml", "path"}, PRELOAD)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../case0/app.py"])
def test_a_link_out_of_the_folder_is_none_of_it(tmp_path: Path, target: str) -> None:
    cases: Cases = {"link": (BELOW, {"xml": document(include("out.txt"))})}
    _with_parts(tmp_path, cases)
    (tmp_path / "case0" / "parts" / "out.txt").symlink_to(target)
    assert_blocked(tmp_path, cases, {"xml", "path"}, PRELOAD)
