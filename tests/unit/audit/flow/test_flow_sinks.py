"""What the guard watches, reading code knows too, or it is named here."""

from __future__ import annotations

import subprocess
import sys

from casemate.audit.flow import STATIC_SINKS, WEAKNESSES
from casemate.audit.flow.library import table
from casemate.audit.flow.weaknesses import RUNNING_SINKS, sinks
from casemate.guard.sink_names import SINK_NAMES
from casemate.guard.sink_table import PACKAGES

RUNNING_ONLY = {
    "url": (
        "aiosmtplib amqp botocore curl_cffi dns elasticsearch feedparser fsspec git "
        "grpc kafka niquests obstore pdfkit pika playwright pycurl suds weasyprint yarl zeep "
    ),
    "response": "bleach html_sanitizer lxml_html_clean nh3",
    "path": (
        "botocore cv2 email exifread fitz fnmatch h5py lmdb netCDF4 onnxruntime pathlib piexif posixpath "
        "pyarrow pymupdf rasterio soundfile "
    ),
    "code": (
        "ast cedarpy celery dukpy hydra kombu logging lupa py_mini_racer pydoc simpleeval stevedore sympy zope"
    ),
    "deserialisation": (
        "ast botocore configparser cryptography csv gnupg hmac jose joserfc json jwcrypto multiprocessing nacl "
        "orjson rapidjson rsa rtoml ruamel shlex simplejson toml tomli tomlkit tomllib ujson "
    ),
    "nosql": (
        "botocore elasticsearch graphql jmespath jq jsonata jsonpath jsonpath_ng jsonpath_rw "
        "objectpath opensearchpy pyjq pyjsonq tinydb whoosh "
    ),
    "xml": "html plistlib xmltodict",
    "cell": "csv openpyxl xlsxwriter xlwt",
    "log": "click logging loguru rich structlog traceback warnings",
    "header": "aiosmtplib dns email icalendar imaplib mailbox poplib ssl",
    "file": "botocore email pathlib",
}
"""Packages that the guard watches and the table has not: they connect, open, import or query on
their own, which is seen when it happens; write what others read; or clean and decrypt, which is what makes data safe."""


def _known() -> set[str]:
    names = {name.partition(".")[0] for name in table.EXACT}
    return names | {root for rows in table.METHODS.values() for row in rows for root in row.roots}


def test_each_sink_of_the_guard_can_be_found_by_reading() -> None:
    assert {weakness.sink for weakness in WEAKNESSES.values()} == sinks()
    assert set(SINK_NAMES) | set(STATIC_SINKS) == sinks() | set(RUNNING_SINKS)
    assert set(RUNNING_SINKS) < set(SINK_NAMES)
    assert not sinks() & set(RUNNING_SINKS)


def test_packages_that_the_guard_watches_are_known_or_named_as_seen_only_when_running() -> None:
    known = _known()
    missing = {name: left for name, packages in PACKAGES.items() if (left := set(packages) - known)}
    assert missing == {name: set(packages.split()) for name, packages in RUNNING_ONLY.items()}


def test_every_row_names_a_weakness_and_calls() -> None:
    rows = [row for found in (*table.EXACT.values(), *table.METHODS.values()) for row in found]
    assert len(rows) > 250
    assert {row.weakness for row in rows} <= set(WEAKNESSES)
    assert all(row.names and row.place >= 0 for row in rows)


def test_reading_code_imports_no_hooks_of_the_guard() -> None:
    code = (
        "import sys, casemate.audit.flow\n"
        "print([n for n in sys.modules if n.startswith('casemate.guard.')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "casemate.guard.sink_table" in done.stdout
    assert "hooks" not in done.stdout
    assert "rewriting" not in done.stdout
