"""An SBOM is CycloneDX 1.6 by the official schema, complete, and the same for the same bundle."""

from __future__ import annotations

import email
import json
import time
from pathlib import Path
from typing import Any

import cyclonedx.schema
import jsonschema_rs
import pytest

from casemate.advisories.locks import read_packages
from casemate.build import verify
from casemate.sbom import SbomError, distributions, sbom
from casemate.sbom.licences import licences_of
from support.installed import dist

SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"

FLASK = dist(
    "Flask",
    "3.0",
    "Summary: A framework\nLicense-Expression: BSD-3-Clause\nRequires-Dist: click (>=8)\n"
    "Requires-Dist: Jinja2[i18n]>=3\nRequires-Dist: missing>=1\n"
    "Requires-Dist: colorama; sys_platform == 'win32'\n"
    "Requires-Dist: asgiref; extra == 'async'\n"
    "Requires-Dist: typing_ext; python_version < '3.12'\n",
)
CLICK = dist(
    "click", "8.1", "License: BSD License\nClassifier: License :: OSI Approved :: MIT License\n"
)
JINJA = dist("Jinja2", "3.1", "License: mit\nRequires-Dist: Babel>=2; extra == 'i18n'\n")
BABEL = dist("Babel", "2.9", files={"Babel/speed.cpython-311-x86_64-linux-gnu.so": "\x7fELF"})
REST = (dist("colorama", "1"), dist("asgiref", "1"), dist("typing_ext", "1"))


def _validator() -> Any:
    def read(name: str) -> Any:
        return json.loads((SCHEMAS / f"{name}.SNAPSHOT.schema.json").read_text())

    bom = read("bom-1.6")
    base = bom["$id"].rsplit("/", 1)[0]
    registry = jsonschema_rs.Registry(
        [
            (f"{base}/{name}.SNAPSHOT.schema.json", read(name))
            for name in ("spdx", "jsf-0.82", "cryptography-defs")
        ]
    )
    return jsonschema_rs.validator_for(bom, registry=registry)


@pytest.fixture(scope="module")
def schema() -> Any:
    return _validator()


def test_it_is_valid_by_the_official_schema(make_bundle, schema) -> None:
    for packages in ((), (FLASK, CLICK, JINJA, BABEL, *REST)):
        root, manifest = make_bundle(*packages)
        document = json.loads(sbom(root, manifest))
        assert [error.message for error in schema.iter_errors(document)] == []
    document["components"][0]["licenses"] = [{"license": {"id": "no such"}}]
    assert not schema.is_valid(document)


def test_a_package_that_is_there_twice_is_refused(make_bundle) -> None:
    """Two components of one `bom-ref`: readers of an SBOM would know but one of them."""
    for other in (dist("Foo", "1", files={"hidden.py": "1"}), dist("Foo", "2")):
        root, manifest = make_bundle(dist("foo", "1"), other)
        with pytest.raises(SbomError, match="twice"):
            sbom(root, manifest)


def test_components_and_what_they_need(make_bundle) -> None:
    root, manifest = make_bundle(FLASK, CLICK, JINJA, BABEL, *REST)
    verify(root)
    document = json.loads(sbom(root, manifest))
    parts = {each["name"]: each for each in document["components"]}
    assert list(parts) == ["asgiref", "babel", "click", "colorama", "flask", "jinja2", "typing-ext"]
    assert parts["flask"]["purl"] == "pkg:pypi/flask@3.0"
    assert parts["flask"]["description"] == "A framework"
    assert parts["flask"]["licenses"] == [
        {"expression": "BSD-3-Clause", "acknowledgement": "declared"}
    ]
    assert {"name": "casemate:native-files", "value": "1"} in parts["babel"]["properties"]
    edges = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert edges["pkg:pypi/flask@3.0"] == [
        "pkg:pypi/click@8.1",
        "pkg:pypi/jinja2@3.1",
        "pkg:pypi/typing-ext@1",
    ]
    assert edges["pkg:pypi/jinja2@3.1"] == ["pkg:pypi/babel@2.9"]
    assert edges["bundle"] == ["pkg:pypi/asgiref@1", "pkg:pypi/colorama@1", "pkg:pypi/flask@3.0"]
    root_part = document["metadata"]["component"]
    assert root_part["hashes"] == [{"alg": "SHA-256", "content": manifest.digest()}]
    assert {"name": "casemate:python", "value": "3.11"} in root_part["properties"]


def test_the_same_bundle_gives_the_same_bytes_and_another_does_not(make_bundle) -> None:
    first = sbom(*make_bundle(FLASK, CLICK, folder="a"))
    assert sbom(*make_bundle(CLICK, FLASK, folder="b")) == first
    other = sbom(*make_bundle(FLASK, dist("click", "8.1", files={"click/x.py": "#"})))
    numbers = [json.loads(each)["serialNumber"] for each in (first, other)]
    assert numbers[0] != numbers[1]
    hashes = [
        {each["name"]: each["hashes"] for each in json.loads(one)["components"]}
        for one in (first, other)
    ]
    assert hashes[0]["flask"] == hashes[1]["flask"]
    assert hashes[0]["click"] != hashes[1]["click"]


def test_packages_that_need_each_other_in_a_circle(make_bundle) -> None:
    a = dist("a", "1", "Requires-Dist: b[x]\n")
    b = dist("b", "1", "Requires-Dist: a[y]\nRequires-Dist: b[z]\nRequires-Dist: c; extra == 'z'\n")
    document = json.loads(sbom(*make_bundle(a, b, dist("c", "1"))))
    edges = {each["ref"]: each["dependsOn"] for each in document["dependencies"]}
    assert edges["bundle"] == ["pkg:pypi/a@1"]
    assert edges["pkg:pypi/b@1"] == ["pkg:pypi/a@1", "pkg:pypi/c@1"]


def test_many_extras_and_needs_take_no_time(make_bundle) -> None:
    extras = ",".join(f"x{n}" for n in range(400))
    needs = "".join(f"Requires-Dist: b; extra == 'x{n}'\n" for n in range(3000))
    sbom(*make_bundle(dist("a", "1", f"Requires-Dist: b[{extras}]\n"), dist("b", "1", needs)))


def test_it_is_read_again_as_a_list_of_packages(make_bundle, tmp_path: Path) -> None:
    path = tmp_path / "x.cdx.json"
    path.write_bytes(sbom(*make_bundle(FLASK, CLICK)))
    listed = read_packages(path)
    assert [(each.name, each.version) for each in listed.packages] == [
        ("click", "8.1"),
        ("flask", "3.0"),
    ]
    assert listed.unknown == ()


def test_bundles_that_are_not_what_they_say_are_refused(make_bundle) -> None:
    root, manifest = make_bundle(FLASK, CLICK)
    metadata = root / "deps/click-8.1.dist-info/METADATA"
    text = metadata.read_text()
    metadata.write_text(text.replace("8.1", "8.2"))
    with pytest.raises(SbomError, match="not what its manifest names"):
        sbom(root, manifest)
    metadata.unlink()
    metadata.symlink_to("/etc/passwd")
    with pytest.raises(SbomError, match="cannot be read"):
        sbom(root, manifest)
    with pytest.raises(SbomError, match="not those that its manifest names"):
        sbom(*make_bundle(FLASK, named=(("flask", "2.0"),)))
    with pytest.raises(SbomError, match="no valid name"):
        sbom(*make_bundle(dist("a b", "1")))


def test_hostile_metadata_stays_text(make_bundle, schema) -> None:
    evil = dist(
        "evil",
        "1",
        "Summary: \x1b[31m\u202e</script>\nLicense: " + "x" * 5000 + "\n"
        "Requires-Dist: "
        + "(" * 50_000
        + "\nRequires-Dist: a; "
        + "(" * 1500
        + "\n"
        + "Requires-Dist: b\n" * 9000,
    )
    document = sbom(*make_bundle(evil))
    assert document.isascii()
    assert b"\x1b" not in document
    assert schema.is_valid(json.loads(document))


def test_files_of_no_package_are_counted(make_bundle) -> None:
    document = json.loads(sbom(*make_bundle(CLICK, more={"deps/stray.py": "#"})))
    assert {
        "name": "casemate:dependency-files-of-no-package",
        "value": "1",
    } in document["metadata"]["component"]["properties"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("License-Expression: mit OR apache-2.0", [{"expression": "MIT OR Apache-2.0"}]),
        ("License: Apache-2.0", [{"expression": "Apache-2.0"}]),
        (
            "License-Expression: nonsense here\nLicense: MIT",
            [{"license": {"name": "nonsense here"}}],
        ),
        ("License: MIT\nLicense: GPL-3.0-only", [{"expression": "(MIT) AND (GPL-3.0-only)"}]),
        ("Classifier: License :: OSI Approved :: MIT License", [{"license": {"id": "MIT"}}]),
        (
            "Classifier: License :: OSI Approved :: BSD License",
            [{"license": {"name": "BSD License"}}],
        ),
        (
            "License: Dual\nClassifier: License :: OSI Approved\n"
            "Classifier: License :: Public Domain",
            [{"license": {"name": "Public Domain"}}],
        ),
        ("License: BSD", [{"license": {"name": "BSD"}}]),
        ("License: " + "x" * 300, [{"license": {"name": "see the package's own text"}}]),
        ("License: UNKNOWN", []),
        ("Name: x", []),
    ],
)
def test_licences_by_expression_field_and_classifier(headers: str, expected: Any) -> None:
    found = licences_of(email.message_from_string(headers))
    plain = [
        {"license": {k: v for k, v in each["license"].items() if k != "acknowledgement"}}
        if "license" in each
        else {"expression": each["expression"]}
        for each in found
    ]
    assert plain == expected


LONG = " and ".join(['python_version > "3"'] * 150)


def test_what_packages_need_costs_what_they_say_and_no_more(make_bundle) -> None:
    """A condition that names no extra is held against none of those that are asked for."""
    extras = ",".join(f"e{number}" for number in range(50))
    evil = dist("evil", "1", f"Requires-Dist: evil[{extras}]; {LONG}\n" * 50)
    began = time.process_time()
    sbom(*make_bundle(evil))
    assert time.process_time() - began < 1  # it was two, and grew with each extra


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ("MAX_NEEDS_CHARS", f"Requires-Dist: b; {LONG}\n" * 3),
        ("MAX_JUDGED_CHARS", f'Requires-Dist: evil[a,b,c]; extra != "z" and {LONG}\n'),
        ("MAX_STATED_BYTES", "x: y\n" * 2000),
    ],
)
def test_packages_that_say_more_than_is_read_are_refused(
    make_bundle, monkeypatch, bound: str, said: str
) -> None:
    bundle = make_bundle(dist("evil", "1", said))
    monkeypatch.setattr(distributions, bound, 9000)
    if bound == "MAX_JUDGED_CHARS":
        sbom(*make_bundle(dist("evil", "1", said.replace("[a,b,c]", "[a]")), folder="one"))
    with pytest.raises(SbomError, match="at most 9000") as refused:
        sbom(*bundle)
    assert refused.value.next_step
