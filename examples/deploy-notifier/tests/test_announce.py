"""Run in the example's folder: `python -m unittest discover -s tests` (needs no packages)."""

from __future__ import annotations

import json
import re
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "src"))

import announce  # noqa: E402  (the folder of the code must be on the path first)

PUSH = json.loads((PROJECT / "data" / "push.json").read_text(encoding="utf-8"))


class AnnounceTest(unittest.TestCase):
    """What is announced of a push."""

    def setUp(self) -> None:
        self.sent: dict[str, Any] = {}

    def announce(self, identity: str = "msg_1", **changes: str) -> str:
        """Tell of a push, with changes; return what was announced."""
        detail = {
            "repository": PUSH["repository"],
            "branch": "main",
            "commit": PUSH["after"],
            "sender": PUSH["sender"],
        }
        event = SimpleNamespace(id=identity, detail={**detail, **changes})
        queue = SimpleNamespace(
            send=lambda m, *, deduplication: self.sent.setdefault(deduplication, m)
        )
        context = SimpleNamespace(log=Mock(), queue={"announcements": queue}.get)
        return announce.handler(event, context)["announced"]

    def test_a_push_is_a_line(self) -> None:
        self.assertEqual(self.announce(), "ada pushed 0d1a26e67d to main of shop")
        self.assertEqual(self.sent, {"msg_1": {"text": "ada pushed 0d1a26e67d to main of shop"}})

    def test_repositories_are_named_by_their_last_part(self) -> None:
        for name in ("example/shop", "/srv/git/shop.git/", "ssh://x/shop.git", "shop"):
            with self.subTest(name=name):
                self.assertTrue(self.announce(repository=name).endswith(" of shop"))

    def test_a_branch_that_was_deleted(self) -> None:
        self.assertEqual(self.announce(commit="0" * 40), "ada deleted main of shop")

    def test_the_same_push_again_is_announced_once(self) -> None:
        self.announce()
        self.announce()
        self.announce("msg_2")
        self.assertEqual(len(self.sent), 2)

    def test_the_contract_describes_what_the_hook_sends(self) -> None:
        contract = json.loads((PROJECT / "contracts" / "push.json").read_text(encoding="utf-8"))
        self.assertEqual(set(contract["required"]), set(PUSH))
        for name, rule in contract["properties"].items():
            with self.subTest(name=name):
                self.assertTrue(re.search(rule.get("pattern", ""), PUSH[name]))


if __name__ == "__main__":
    unittest.main()
