"""The settings file: what is understood, and what is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from casemate.model.level import Level
from casemate.monitor.confinement import OFFLINE, confinement_of
from casemate.monitor.errors import SettingsError
from casemate.monitor.exports.settings import Otlp, SyslogLines
from casemate.monitor.places.settings import FilePlace
from casemate.monitor.settings import (
    Mail,
    MonitorSettings,
    Syslog,
    Webhook,
    parse_url,
    read_settings,
)

GOOD = """
rules = "rules"
[alerts.pager]
kind = "webhook"
url = "https://alerts.example.org:8443/hook?a=b"
secret = "ops/alert-key"
level = "high"
fold = "30m"
[alerts.people]
kind = "mail"
server = "mail.example.org:465"
sender = "node@example.org"
to = ["ada@example.org"]
user = "node"
password = "ops/smtp"
[alerts.siem]
kind = "syslog"
server = "[2001:db8::7]:6514"
[deadman]
url = "https://alive.example.org/1"
every = "5m"
"""


def written(folder: Path, text: str) -> MonitorSettings:
    file = folder / "node.toml"
    file.write_text(text)
    return read_settings(file)


def test_all_of_it_is_understood(tmp_path: Path) -> None:
    found = written(tmp_path, GOOD)
    pager, people, siem = found.alerts.values()
    assert isinstance(pager, Webhook) and isinstance(people, Mail) and isinstance(siem, Syslog)
    assert (pager.level, pager.fold, pager.target.port) == (Level.HIGH, 1800.0, 8443)
    assert siem.target.text == "[2001:db8::7]:6514"
    assert found.deadman is not None and found.deadman.every == 300.0
    assert found.rules == str(tmp_path / "rules")
    assert found.secrets == ("ops/alert-key", "ops/smtp")
    assert confinement_of(found).connects == (53, 443, 465, 6514, 8443)


def test_without_anybody_outside_there_is_no_network(tmp_path: Path) -> None:
    assert confinement_of(written(tmp_path, "")).system_calls == "offline"
    assert confinement_of(MonitorSettings()).connects is None


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("https://alerts", "http://alerts", "without TLS"),
        ("https://alerts", "ftp://alerts", "https://"),
        ("alerts.example.org:8443", "alerts.example.org:0", "port"),
        ("alerts.example.org:8443", "user@alerts.example.org:8443", "host"),
        ("alerts.example.org:8443", "0177.0.0.1:8443", "IPv4"),
        ("hook?a=b", "ho ok", "character"),
        ("hook?a=b", "hook\\r\\nx: y", "character"),
        ("hook?a=b", "hook#x", "character"),
        ('"webhook"', '"carrier-pigeon"', "carrier-pigeon"),
        ('level = "high"', 'level = "loud"', "loud"),
        ('level = "high"', 'accept = ["everything"]', "everything"),
        ('level = "high"', 'accept = ["plaintext"]', "goes by TLS"),
        ('to = ["ada@example.org"]', 'to = ["a@b.org"]\naccept = ["plaintext"]', "goes by TLS"),
        ('level = "high"', "colour = 1", "colour"),
        ("30m", "soon", "no time such as"),
        ("ops/alert-key", "alert-key", "secret"),
        ("ops/alert-key", "../../etc", "secret"),
        ("[alerts.pager]", '[alerts."Pager!"]', "alerts"),
        ('to = ["ada@example.org"]', "to = []", "to"),
        ('to = ["ada@example.org"]', 'to = ["a@b>\\r\\nRCPT TO:<x@y"]', "to"),
        ('password = "ops/smtp"', "", "go together"),
        ('kind = "syslog"', 'kind = "syslog"\nudp = true', "without TLS"),
        ("mail.example.org:465", "mail.example.org", "port"),
        ("rules =", "rule =", "rule"),
        ('to = ["ada@example.org"]', 'to = ["ada@example.org"]\nquiet = "22-7"', "quiet"),
        ('to = ["ada@example.org"]', 'to = ["ada@example.org"]\nafter = "2d"', "after"),
        ("[deadman]", "[deadmen]", "deadmen"),
        ("[deadman]", "[deadman", "settings"),
    ],
)
def test_what_is_wrong_is_refused_with_what_it_is(
    tmp_path: Path, before: str, after: str, why: str
) -> None:
    assert before in GOOD
    with pytest.raises(SettingsError, match=why):
        written(tmp_path, GOOD.replace(before, after, 1))


def test_who_is_told_later_is_understood(tmp_path: Path) -> None:
    to = 'to = ["ada@example.org"]'
    given = f'{to}\nafter = "15m"\nquiet = "22:00-07:00"'
    [late] = [
        one for one in written(tmp_path, GOOD.replace(to, given, 1)).alerts.values() if one.after
    ]
    assert (late.after, late.quiet) == (900.0, "22:00-07:00")


def test_what_is_open_is_accepted_by_name(tmp_path: Path) -> None:
    text = GOOD.replace("https://alerts", "http://alerts").replace(
        'level = "high"', 'accept = ["plaintext", "private"]'
    )
    pager = written(tmp_path, text).alerts["pager"]
    assert pager.private and pager.plaintext


def test_all_that_is_to_be_accepted_of_an_address_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("https://alerts.example.org:8443", "http://127.0.0.1:8898")
    with pytest.raises(SettingsError) as refused:
        written(tmp_path, text)
    assert 'accept = ["plaintext", "private"]' in str(refused.value.next_step)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="more than"):
        written(tmp_path, "#" * 100_000)
    with pytest.raises(SettingsError, match="No such file"):
        written(tmp_path, GOOD.replace("[deadman]", 'ca = "none.pem"\n[deadman]'))
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match="no certificates"):
        written(tmp_path, GOOD.replace("[deadman]", 'ca = "text.pem"\n[deadman]'))


def test_a_url_has_one_reading() -> None:
    assert parse_url("https://a.example/")[1].port == 443
    assert parse_url("http://a.example")[2] == "/"
    assert parse_url("http://[::1]/x")[1].text == "[::1]:80"


EXPORTS = """
[export.lake]
kind = "otlp"
url = "https://otel.example.org:4318/in"
signals = ["traces", "metrics"]
every = "10s"
metrics_every = "2m"
headers = { X-Tenant = "a" }
secret_headers = { Authorization = "ops/otlp" }
[export.siem]
kind = "syslog"
server = "logs.example.org:6514"
[checkpoints.usb]
kind = "file"
path = "witness/checkpoints"
every = "30s"
[checkpoints.hook]
kind = "webhook"
url = "https://witness.example.org/"
secret = "ops/witness"
[checkpoints.log]
kind = "syslog"
server = "witness.example.org:6515"
[checkpoints.cloud]
kind = "s3"
url = "https://s3.example.org:9443"
bucket = "witness"
access_key = "AKIA1"
secret = "ops/s3"
"""


def test_exports_and_second_places_are_understood(tmp_path: Path) -> None:
    found = written(tmp_path, EXPORTS)
    lake, siem = found.export.values()
    assert isinstance(lake, Otlp) and isinstance(siem, SyslogLines)
    assert (lake.every, lake.metrics_every, lake.signals) == (10.0, 120.0, ("traces", "metrics"))
    usb, *_ = found.checkpoints.values()
    assert isinstance(usb, FilePlace) and usb.path == str(tmp_path / "witness/checkpoints")
    assert usb.every == 30.0
    assert found.secrets == ("ops/otlp", "ops/s3", "ops/witness")
    assert confinement_of(found).connects == (53, 443, 4318, 6514, 6515, 9443)
    assert found.exports_records


def test_records_are_lent_for_traces_and_lines_alone(tmp_path: Path) -> None:
    url = 'kind = "otlp"\nurl = "https://a.example.org"\n'
    only = written(tmp_path, f'[export.a]\n{url}signals = ["metrics"]\n')
    assert not only.exports_records
    assert written(tmp_path, f'[export.a]\n{url}signals = ["logs"]\n').exports_records
    assert not written(tmp_path, GOOD.replace("rules", "#")).exports_records


def test_a_file_alone_needs_no_network(tmp_path: Path) -> None:
    found = written(tmp_path, '[checkpoints.usb]\nkind = "file"\npath = "/mnt/usb/kept"\n')
    assert confinement_of(found) is OFFLINE


_OTLP = '[export.a]\nkind = "otlp"\nurl = "https://a.example.org"\n'
_S3 = (
    '[checkpoints.a]\nkind = "s3"\nurl = "https://a.example.org"\nbucket = "b-b"\n'
    'access_key = "k"\nsecret = "ops/s3"\n'
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (_OTLP.replace("https", "http"), "without TLS"),
        (_OTLP + 'headers = { Host = "x" }', "not yours to set"),
        (_OTLP + 'headers = { a = "x", A = "y" }', "named twice"),
        (_OTLP + 'headers = { a = "x" }\nsecret_headers = { A = "ops/x" }', "named twice"),
        (_OTLP + 'headers = { a = "x\\r\\nb: c" }', "headers"),
        (_OTLP + 'headers = { a = "x\\n" }', "headers"),
        (_OTLP + 'headers = { "a:b" = "x" }', "headers"),
        (_OTLP + 'headers = { "a\\n" = "x" }', "headers"),
        (_OTLP + 'secret_headers = { a = "in clear" }', "secret_headers"),
        (_OTLP + "signals = []", "signals"),
        (_OTLP + 'signals = ["logs", "logs"]', "named twice"),
        (_OTLP + 'signals = ["profiles"]', "signals"),
        (_OTLP.replace(".org", ".org/?a=b"), "no query"),
        (_OTLP + 'every = "0s"', "every"),
        (_OTLP + 'accept = ["everything"]', "nothing to accept"),
        (_OTLP + "udp = true", "udp"),
        ('[export.a]\nkind = "syslog"\nserver = "a.example.org:0"\n', "port"),
        ('[export.a]\nkind = "kafka"\n', "kafka"),
        ('[checkpoints.a]\nkind = "file"\n', "path"),
        ('[checkpoints.a]\nkind = "file"\npath = "x"\naccept = ["private"]\n', "accept"),
        (_S3.replace("b-b", "../b"), "bucket"),
        (_S3.replace('"k"', '"k/x"'), "access_key"),
        (_S3 + 'prefix = "a b"', "prefix"),
        (_S3 + 'region = "a/b"', "region"),
        (_S3.replace("https", "http"), "without TLS"),
        ("".join(_OTLP.replace(".a]", f".a{n}]") for n in range(9)), "export"),
        ("".join(_S3.replace(".a]", f".a{n}]") for n in range(9)), "checkpoints"),
    ],
)
def test_what_leaves_the_node_is_named_exactly(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        written(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (GOOD.replace('level = "high"', 'level = "hihg"'), "[alerts.pager]: level: Invalid enum"),
        (GOOD.replace('level = "high"', 'level = "hihg"'), "expected one of informational, low,"),
        (GOOD.replace('kind = "mail"', 'kind = "post"'), "[alerts.people]: kind: Invalid value"),
        (GOOD.replace('kind = "mail"', 'kind = "post"'), "expected one of webhook, mail, syslog"),
        (GOOD.replace("fold =", "flod ="), "[alerts.pager]: Object contains unknown field `flod`"),
        ('[export.far]\nkind = "otpl"\n', "[export.far]: kind: Invalid value 'otpl'"),
        ('zoen = "UTC"\n', "unknown field `zoen`"),
    ],
)
def test_a_mistake_is_told_with_its_table_and_what_may_stand_there(
    tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "node.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        read_settings(file)
    assert why in str(refused.value)
