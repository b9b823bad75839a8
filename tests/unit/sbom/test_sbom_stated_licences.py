"""The licences of a bundle: of all metadata in it, wherever it lies and whatever it says."""

from __future__ import annotations

import pytest

from casemate.sbom import bundle_licences
from casemate.sbom.stated_licences import MAX_LICENCES
from support.installed import dist

CLASSIFIER = "Classifier: License :: OSI Approved :: "


def told(root, manifest) -> list[tuple[str, str, str, str]]:
    return [
        (one.package, one.version, one.expression, one.stated)
        for one in bundle_licences(root, manifest)
    ]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ("License-Expression: mit OR isc", [("MIT OR ISC", "")]),
        ("License-Expression: MIT OR (\nLicense: MIT", [("", "MIT OR (")]),
        (
            "License-Expression: " + " OR ".join(["MIT"] * 10_000),
            [("", "see the package's own text")],
        ),
        (
            "License-Expression: MIT\nLicense-Expression: GPL-3.0-only",
            [("(MIT) AND (GPL-3.0-only)", "")],
        ),
        ("License-Expression: MIT\nLicense-Expression: MIT", [("MIT", "")]),
        ("License-Expression : MIT", [("", "no licence")]),
        ("License-Expression: MIT\n  AND GPL-3.0-only", [("MIT AND GPL-3.0-only", "")]),
        ("License: GPL-3.0+", [("GPL-3.0+", "")]),
        ("License: BSD", [("", "BSD")]),
        ("License: \x1b[31mMIT\u202e", [("", "?[31mMIT?")]),
        ("License: M\u3164I\u034fT\ufe0f\ufe0f", [("", "M?I?T??")]),
        (
            f"{CLASSIFIER}MIT License\n{CLASSIFIER}GNU General Public License v3 (GPLv3)",
            [("GPL-3.0-only", ""), ("MIT", "")],
        ),
        (f"{CLASSIFIER}MIT License\n{CLASSIFIER}BSD License", [("", "BSD License"), ("MIT", "")]),
        (
            f"{CLASSIFIER}GNU General Public License v2 or later (GPLv2+)",
            [("GPL-2.0-or-later", "")],
        ),
        ("", [("", "no licence")]),
        ("\nLicense-Expression: MIT", [("", "no licence")]),
    ],
)
def test_what_a_package_states(make_bundle, headers: str, expected) -> None:
    found = told(*make_bundle(dist("left", "1.0", f"{headers}\n")))
    assert [one[2:] for one in found] == expected
    assert {one[:2] for one in found} == {("left", "1.0")}


def test_many_classifiers_are_bounded_and_the_rest_is_unknown(make_bundle) -> None:
    many = "".join(f"{CLASSIFIER}MIT License\n{CLASSIFIER}L{n}\n" for n in range(10_000))
    found = told(*make_bundle(dist("left", "1.0", many)))
    assert len(found) == 21 and ("left", "1.0", "", "and more") in found


def test_metadata_that_lies_elsewhere_counts(make_bundle) -> None:
    hidden = "Metadata-Version: 2.4\nName: ok\nVersion: 1\nLicense-Expression: AGPL-3.0-only\n"
    found = told(
        *make_bundle(
            dist("left", "1.0", "License-Expression: MIT\n"),
            more={
                "deps/left/_vendor/evil-2.dist-info/METADATA": hidden,
                "deps/left-1.0.dist-info/inner-3.dist-info/METADATA": hidden,
                "code/vendor/Left-1.0.dist-info/METADATA": hidden,
                "code/empty-4.dist-info/RECORD": "",
                "code/lower-5.dist-info/metadata": hidden,
            },
        )
    )
    assert found == [
        ("empty", "4", "", "no METADATA"),
        ("evil", "2", "AGPL-3.0-only", ""),
        ("inner", "3", "AGPL-3.0-only", ""),
        ("left", "1.0", "AGPL-3.0-only", ""),
        ("left", "1.0", "MIT", ""),
        ("lower", "5", "", "no METADATA"),
    ]


def test_what_the_manifest_names_without_metadata_is_unknown(make_bundle) -> None:
    root, manifest = make_bundle(
        dist("left", "1.0", "License-Expression: MIT\n"),
        named=(("left", "1.0"), ("right", "2.0")),
    )
    assert ("right", "2.0", "", "no licence") in told(root, manifest)


def test_metadata_that_is_not_what_the_manifest_names_is_unknown(make_bundle) -> None:
    root, manifest = make_bundle(dist("left", "1.0", "License-Expression: GPL-3.0-only\n"))
    metadata = root / "deps/left-1.0.dist-info/METADATA"
    metadata.write_text(metadata.read_text().replace("GPL-3.0-only", "MIT"))
    assert told(root, manifest) == [("left", "1.0", "", "a METADATA that cannot be read")]
    metadata.unlink()
    metadata.symlink_to("/etc/passwd")
    assert told(root, manifest) == [("left", "1.0", "", "a METADATA that cannot be read")]


def test_what_is_copied_without_metadata_is_not_seen(make_bundle) -> None:
    assert told(*make_bundle(more={"code/requests/__init__.py": "# GPL"})) == []


def test_too_many_packages_are_not_all_known(make_bundle, monkeypatch) -> None:
    monkeypatch.setattr("casemate.sbom.stated_licences.MAX_LICENCES", 3)
    found = told(*make_bundle(more={f"code/p{n}-1.dist-info/RECORD": "" for n in range(9)}))
    assert ("", "", "", "too many packages") in found and len(found) == 4
    assert MAX_LICENCES == 5_000


def test_no_more_metadata_is_read_than_the_bound(make_bundle, monkeypatch) -> None:
    small, large = "License-Expression: MIT\n", f"License-Expression: MIT\n\n{'x' * 5_000}"
    packages = (dist("a", "1", small), dist("b", "1", large), dist("c", "1", small))
    monkeypatch.setattr("casemate.sbom.stated_licences.MAX_METADATA_BYTES", 4_000)
    assert told(*make_bundle(*packages)) == [
        ("a", "1", "MIT", ""),
        ("b", "1", "", "more METADATA than is read"),
        ("c", "1", "", "more METADATA than is read"),
    ]
