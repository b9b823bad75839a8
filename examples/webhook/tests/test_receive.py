"""Run in the example's folder: `python -m unittest discover -s tests` (needs cryptography)."""

from __future__ import annotations

import base64
import logging
import sys
import time
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT / "src"), str(PROJECT)]

import receive  # noqa: E402  (the folders of the code must be on the path first)
import sender  # noqa: E402

PUSH = (PROJECT / "data" / "push.json").read_bytes()
KEY, OTHER_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


class Log:
    """Takes what the handler logs, as `context.log` does."""

    def info(self, message: str, **fields: Any) -> None:
        """Keep one line."""
        logging.getLogger(__name__).info("%s %s", message, fields)

    warning = error = info


CONTEXT = SimpleNamespace(log=Log())


def request(body: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """Return the event of `POST /webhook`: a body that is not UTF-8 comes in base64."""
    try:
        text, is_base64 = body.decode(), False
    except UnicodeDecodeError:
        text, is_base64 = base64.b64encode(body).decode(), True
    event = {"method": "POST", "path": "/webhook", "headers": headers}
    return {**event, "body": text or None, "is_base64": is_base64}


def signed(
    body: bytes = PUSH,
    key: Ed25519PrivateKey = KEY,
    message_id: str = "msg_1",
    sent_at: float | None = None,
) -> dict[str, Any]:
    """Return the event of a delivery that was signed with `key`."""
    moment = int(time.time() if sent_at is None else sent_at)
    return request(body, sender.headers_of(body, key, message_id, moment))


def changed(event: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Return the event with other headers (`webhook_id` for webhook-id)."""
    new = {name.replace("_", "-"): value for name, value in headers.items()}
    return {**event, "headers": {**event["headers"], **new}}


class ReceiveTest(unittest.TestCase):
    """What a sender gets."""

    def setUp(self) -> None:
        trusted = mock.patch.object(receive, "TRUSTED_KEYS", [KEY.public_key()])
        trusted.start()
        self.addCleanup(trusted.stop)

    def status(self, event: dict[str, Any]) -> int:
        """Return the status of the answer."""
        return int(receive.handler(event, CONTEXT)["status"])

    def test_accepts_what_a_trusted_sender_signed(self) -> None:
        result = receive.handler(signed(), CONTEXT)
        self.assertEqual(result["status"], 202)
        self.assertEqual(result["body"], {"accepted": "msg_1", "type": "repository.push"})

    def test_refuses_another_key(self) -> None:
        self.assertEqual(self.status(signed(key=OTHER_KEY)), 401)

    def test_refuses_every_change(self) -> None:
        event = signed()
        body = event["body"]
        for other in (
            body.replace("main", "mane"),
            body + " ",
            body.encode().decode("latin-1"),
            None,
        ):
            with self.subTest(body=str(other)[-20:]):
                self.assertEqual(self.status({**event, "body": other}), 401)
        self.assertEqual(self.status(changed(event, webhook_id="msg_2")), 401)
        later = str(int(event["headers"]["webhook-timestamp"]) + 1)
        self.assertEqual(self.status(changed(event, webhook_timestamp=later)), 401)

    def test_refuses_what_comes_too_late_or_from_the_future(self) -> None:
        now = time.time()
        for offset, status in ((-290, 202), (290, 202), (-310, 401), (310, 401), (-now, 401)):
            with self.subTest(offset=offset):
                self.assertEqual(self.status(signed(sent_at=now + offset)), status)

    def test_does_not_let_id_and_timestamp_run_into_each_other(self) -> None:
        now = int(time.time())
        old = signed(message_id="a", sent_at=now - 9999)
        moved = f"a.{now - 9999}"
        forged = changed(old, webhook_id=moved, webhook_timestamp=str(now))
        self.assertEqual(self.status(forged), 401)
        self.assertEqual(self.status(signed(message_id=f"a.{now}")), 401)

    def test_refuses_headers_that_are_none(self) -> None:
        event = signed()
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            without = {n: v for n, v in event["headers"].items() if n != name}
            self.assertEqual(self.status({**event, "headers": without}), 401)
        for stamp in ("", "now", "-1", "1e9", "٣", " 1", "9" * 400):
            with self.subTest(stamp=stamp[:9]):
                self.assertEqual(self.status(changed(event, webhook_timestamp=stamp)), 401)
        self.assertEqual(self.status({}), 401)

    def test_refuses_signatures_that_are_none(self) -> None:
        event = signed()
        good = event["headers"]["webhook-signature"]
        bare = good.removeprefix("v1a,")
        for text in (
            "",
            "v1a,",
            bare,
            f"v1,{bare}",
            f"v1a,{bare[:-4]}",
            "v1a,ä",
            "v1a," + "A" * 88,
        ):
            with self.subTest(text=text[:9]):
                self.assertEqual(self.status(changed(event, webhook_signature=text)), 401)

    def test_takes_two_signatures_while_a_key_changes(self) -> None:
        event = signed(key=OTHER_KEY)
        both = (
            event["headers"]["webhook-signature"]
            + " v1,x "
            + signed()["headers"]["webhook-signature"]
        )
        self.assertEqual(self.status(changed(event, webhook_signature=both)), 202)
        flood = "v1a,x " * 1000 + both
        self.assertEqual(self.status(changed(event, webhook_signature=flood)), 401)

    def test_checks_the_bytes_of_a_binary_body(self) -> None:
        event = signed(b"\xff\xfe")
        self.assertTrue(event["is_base64"])
        self.assertEqual(self.status(event), 400)
        self.assertEqual(self.status({**event, "body": "/w=="}), 401)
        self.assertEqual(self.status({**event, "body": "no base64"}), 401)

    def test_refuses_signed_events_that_are_none(self) -> None:
        for body in (b"", b"[]", b"{}", b"7", b"{", b"[" * 20_000):
            with self.subTest(body=body[:3]):
                self.assertEqual(self.status(signed(body)), 400)

    def test_tells_strangers_nothing(self) -> None:
        answers = [
            receive.handler(event, CONTEXT)["body"]
            for event in (signed(key=OTHER_KEY), signed(sent_at=0), {})
        ]
        self.assertEqual(answers, [answers[0]] * 3)

    def test_refuses_everything_while_no_key_is_trusted(self) -> None:
        with mock.patch.object(receive, "TRUSTED_KEYS", []):
            self.assertEqual(self.status(signed()), 503)


class KeyFileTest(unittest.TestCase):
    """What may stand in the file of trusted keys."""

    def test_starts_without_a_key(self) -> None:
        shipped = (PROJECT / "src" / "trusted_keys.txt").read_text(encoding="utf-8")
        self.assertEqual(receive.read_keys("".join(shipped.splitlines(keepends=True)[:2])), [])

    def test_refuses_what_is_no_public_key(self) -> None:
        for text in ("whpk_AAAA", "whsk_" + "A" * 43 + "=", "key", "whpk_%%%", "whpk_" + "é" * 44):
            with (
                self.subTest(text=text[:8]),
                self.assertRaisesRegex(receive.KeyFileError, "line 2"),
            ):
                receive.read_keys(f"# comment\n{text}\n")


if __name__ == "__main__":
    unittest.main()
