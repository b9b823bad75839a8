"""Programs that were written without a look at the sinks: what is stopped, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.guard_corpus import load, run

_CORPUS = Path(__file__).with_name("corpus")
_LEAST_CAUGHT, _MOST_FALSE = 0.95, 0.01
_PROGRAMS = 12
"""Of each kind in each family, at least."""

PRELOAD: dict[str, tuple[str, ...]] = {
    "sql": ("sqlite3", "pandas"),
    "command": ("shlex", "asyncio"),
    "path": ("zipfile", "tarfile", "shutil"),
    "code": ("pandas",),
    "deserialisation": ("yaml", "pickle", "jsonpickle", "dill", "pandas", "numpy"),
    "xxe": ("lxml.etree", "defusedxml.ElementTree", "xml.sax", "xml.dom.minidom"),
    "nosql": ("pymongo", "redis", "boto3", "elasticsearch"),
    "ssrf": ("requests", "httpx", "urllib3"),
    "template": ("jinja2", "jinja2.sandbox", "mako.template", "mako.lookup"),
    "ldap": ("ldap3", "ldap3.utils.conv", "ldap", "ldap.filter", "ldap.dn"),
    "xpath": ("lxml.etree",),
}


@pytest.mark.parametrize("family", PRELOAD)
def test_every_family_meets_its_targets(family: str, tmp_path: Path) -> None:
    programs = load(_CORPUS / family)
    assert sum(bool(p.attacks) for p in programs.values()) >= _PROGRAMS
    assert sum(not p.attacks for p in programs.values()) >= _PROGRAMS
    score = run(tmp_path, programs, PRELOAD[family])
    print(f"\n{family}: {score.attacks} attacks, {len(score.missed)} missed;", end=" ")
    print(f"{score.benign} benign events, {len(score.alarms)} false alarms")
    print(
        *(
            f"  {kind}: {told}"
            for kind in ("missed", "alarms", "strict", "failed")
            for told in getattr(score, kind)
        ),
        sep="\n",
    )
    assert len(score.missed) <= (1 - _LEAST_CAUGHT) * score.attacks, score.missed
    assert len(score.alarms) <= _MOST_FALSE * score.benign, score.alarms
