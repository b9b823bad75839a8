"""Run in the example's folder: `python -m unittest discover -s tests` (needs Pillow)."""

from __future__ import annotations

import base64
import io
import logging
import struct
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from PIL import Image

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT / "src"))

import thumbnail  # noqa: E402  (the folder of the code must be on the path first)
import uploaded  # noqa: E402

LANDSCAPE = (PROJECT / "data" / "landscape.jpg").read_bytes()


class Log:
    """Takes what the handler logs, as `context.log` does."""

    def info(self, message: str, **fields: Any) -> None:
        """Keep one line."""
        logging.getLogger(__name__).info("%s %s", message, fields)

    warning = info


CONTEXT = SimpleNamespace(log=Log())


def request(body: bytes, size: str = "200", content_type: str = "image/jpeg") -> dict[str, Any]:
    """Return the event of `POST /thumbnail/{size}`."""
    return {
        "method": "POST",
        "path": f"/thumbnail/{size}",
        "path_parameters": {"size": size},
        "headers": {"content-type": content_type},
        "body": base64.b64encode(body).decode() if body else None,
        "is_base64": bool(body),
    }


def jpeg(width: int, height: int, mode: str = "RGB", **options: Any) -> bytes:
    """Return a JPEG whose left half is bright and whose right half is dark."""
    image = Image.new(mode, (width, height), "white")
    image.paste(Image.new(mode, (width // 2, height), "black"), (width - width // 2, 0))
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def claim_size(data: bytes, width: int, height: int) -> bytes:
    """Return the JPEG with another size written into its frame header (SOF0)."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


class ThumbnailTest(unittest.TestCase):
    """What a caller gets."""

    def answer(self, event: dict[str, Any]) -> Image.Image:
        """Return the picture that the handler answers with."""
        result = thumbnail.handler(event, CONTEXT)
        self.assertEqual(result["status"], 200, result["body"])
        self.assertEqual(result["headers"]["content-type"], "image/jpeg")
        image = Image.open(io.BytesIO(result["body"]))
        image.load()
        return image

    def assert_refused(self, event: dict[str, Any], status: int) -> None:
        """Check that the handler answers with `status` and a reason."""
        result = thumbnail.handler(event, CONTEXT)
        self.assertEqual(result["status"], status)
        self.assertTrue(result["body"]["error"])

    def test_scales_the_photo_and_keeps_its_shape(self) -> None:
        image = self.answer(request(LANDSCAPE))
        self.assertEqual((image.format, image.width), ("JPEG", 200))
        self.assertAlmostEqual(image.height, 1067 * 200 / 1600, delta=1)
        top, bottom = image.getpixel((20, 4)), image.getpixel((20, 128))
        self.assertGreater(top[2], top[0] + 30)  # blue sky
        self.assertLess(max(bottom), 80)  # dark hill

    def test_never_scales_up(self) -> None:
        self.assertEqual(self.answer(request(jpeg(40, 30), "1024")).size, (40, 30))

    def test_turns_the_picture_upright(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by 90 degrees clockwise
        image = self.answer(request(jpeg(400, 200, exif=exif), "100"))
        self.assertEqual(image.size, (50, 100))
        self.assertGreater(image.getpixel((25, 10))[0], 200)
        self.assertLess(image.getpixel((25, 90))[0], 50)

    def test_drops_the_metadata(self) -> None:
        exif = Image.Exif()
        exif[0x010F] = "maker of the camera"
        self.assertFalse(self.answer(request(jpeg(64, 64, exif=exif))).getexif())

    def test_takes_grey_and_print_colours(self) -> None:
        for mode in ("L", "CMYK"):
            with self.subTest(mode=mode):
                self.assertEqual(self.answer(request(jpeg(300, 300, mode))).mode, "RGB")

    def test_refuses_sizes_that_are_none(self) -> None:
        for size in ("", "0", "15", "1025", "99999", "-64", "+64", "6_4", "64.0", "٦٤", "a"):
            with self.subTest(size=size):
                self.assert_refused(request(LANDSCAPE, size), 400)

    def test_refuses_other_types(self) -> None:
        self.assert_refused(request(LANDSCAPE, content_type="image/png"), 415)
        self.assert_refused(request(b""), 400)
        self.assert_refused({**request(b"x"), "body": "text", "is_base64": False}, 415)
        self.assert_refused({**request(b"x"), "body": "not base64!"}, 400)
        self.assert_refused({**request(b"x"), "body": "é"}, 400)
        self.assert_refused({}, 400)

    def test_refuses_what_only_claims_to_be_a_jpeg(self) -> None:
        png = io.BytesIO()
        Image.new("RGB", (64, 64)).save(png, "PNG")
        for body in (
            png.getvalue(),
            b"\xff\xd8\xff\xe0",
            b"GIF89a",
            LANDSCAPE[: len(LANDSCAPE) // 2],
        ):
            with self.subTest(start=body[:8]):
                self.assert_refused(request(body), 422)

    def test_refuses_a_decompression_bomb_before_it_is_read(self) -> None:
        for edges in ((5000, 5000), (20000, 20000), (65535, 65535)):
            with self.subTest(edges=edges):
                self.assert_refused(request(claim_size(jpeg(64, 64), *edges)), 413)


class Bucket:
    """A bucket in memory, as the handler uses it."""

    def __init__(self, **objects: bytes) -> None:
        """Hold `objects`."""
        self.objects = objects

    def exists(self, key: str) -> bool:
        """Tell whether there is an object."""
        return key in self.objects

    def open(self, key: str) -> io.BytesIO:
        """Return an object as a file."""
        return io.BytesIO(self.objects[key])

    def put(self, key: str, content: bytes, *, content_type: str) -> None:
        """Write an object."""
        assert content_type == "image/jpeg"
        self.objects[key] = content

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.objects.pop(key, None)


class UploadedTest(unittest.TestCase):
    """What becomes of pictures in the bucket."""

    def setUp(self) -> None:
        self.pictures, self.thumbnails = Bucket(), Bucket()

    def tell(self, key: str, what: str = "created") -> None:
        """Call the handler with an event of the bucket."""
        buckets = {"pictures": self.pictures, "thumbnails": self.thumbnails}
        event = SimpleNamespace(type=f"casemate.bucket.{what}", detail={"key": key, "revision": 3})
        uploaded.handler(event, SimpleNamespace(log=Log(), bucket=buckets.get))

    def test_a_picture_gets_a_thumbnail_and_loses_it(self) -> None:
        self.pictures.objects["a/b.jpg"] = LANDSCAPE
        self.tell("a/b.jpg")
        small = Image.open(io.BytesIO(self.thumbnails.objects["a/b.jpg"]))
        self.assertEqual(small.width, 200)
        self.tell("a/b.jpg", "deleted")
        self.tell("a/b.jpg", "deleted")
        self.assertEqual(self.thumbnails.objects, {})

    def test_a_picture_that_is_gone_already(self) -> None:
        self.tell("gone.jpg")
        self.assertEqual(self.thumbnails.objects, {})

    def test_what_is_no_picture_is_left_alone(self) -> None:
        self.pictures.objects["x.jpg"] = b"no picture"
        self.tell("x.jpg")
        self.assertEqual(self.thumbnails.objects, {})


if __name__ == "__main__":
    unittest.main()
