"""A corpus of hundreds of broken files: truncated, damaged, inconsistent, disguised or unusual.

Every file follows from a seed, so that a harmful one can be made again by its name.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers import broken_headers
from tests.helpers.broken_giants import Outcome, giants, jpeg
from tests.helpers.videos import write_audio, write_video

SIZE = (48, 32)
GRAY: dict[str, Any] = {"pix_fmt": "yuvj420p"}
RGB: dict[str, Any] = {"pix_fmt": "rgb24"}
VALID: dict[str, dict[str, Any]] = {
    "h264.mp4": {},
    "first.mp4": {"faststart": True},
    "b.mp4": {"b_frames": 2},
    "hevc.mp4": {
        "codec": "libx265",
        "size": (128, 96),
        "options": {"x265-params": "log-level=none"},
    },
    "mpeg4.avi": {"codec": "mpeg4"},
    "mjpeg.avi": {"codec": "mjpeg", **GRAY},
    "raw.avi": {"codec": "rawvideo"},
    "zmbv.avi": {"codec": "zmbv", "pix_fmt": "bgr0"},
    "h264.mkv": {},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "h264.ts": {},
    "mpeg2.mpg": {"codec": "mpeg2video"},
    "flv1.flv": {"codec": "flv"},
    "a.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "wmv2.wmv": {"codec": "wmv2"},
    "mpeg2.mxf": {"codec": "mpeg2video"},
    "ffv1.nut": {"codec": "ffv1"},
    "vp8.ivf": {"codec": "libvpx"},
    "bare.h264": {},
    "bare.mjpeg": {"codec": "mjpeg", **GRAY},
    "png.mov": {"codec": "png", **RGB},
    "qtrle.mov": {"codec": "qtrle", **RGB},
    "h263.3gp": {"codec": "h263", "size": (128, 96)},
}
FRAMES = 34


@dataclass(frozen=True)
class BrokenFile:
    """A file that must not harm the server.

    Args:
        name: unique; describes what is wrong with it.
        content: its bytes.
        expected: whether its analysis fails, is answered, or either.
    """

    name: str
    content: bytes
    expected: Outcome = "either"


def valid_files(folder: Path) -> dict[str, bytes]:
    """Write a small valid video of every kind; return their contents by name."""
    contents: dict[str, bytes] = {}
    for name, options in VALID.items():
        path = write_video(folder / name, FRAMES, **{"size": SIZE, **options})
        contents[name] = path.read_bytes()
    return contents


def broken_files(folder: Path, seed: int, secret: Path, url: str) -> list[BrokenFile]:
    """Return the corpus.

    Args:
        folder: a folder for the valid videos that the files are made from.
        seed: determines which parts are removed or changed.
        secret: a video that playlists name; it must not be opened.
        url: a URL that playlists name; it must not be requested.
    """
    valid = valid_files(folder)
    rng = np.random.default_rng(seed)
    damaged = [BrokenFile(name, content) for name, content in _damaged(valid, rng)]
    playlists = [BrokenFile(name, text.encode(), "fails") for name, text in _playlists(secret, url)]
    huge = [BrokenFile(*giant) for giant in giants(valid["a.gif"])]
    return [*damaged, *playlists, *huge, *_other_formats(folder), *_unusual(folder, valid)]


def _damaged(valid: dict[str, bytes], rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Yield names and copies of valid videos with parts removed, changed or exchanged."""
    for name, content in valid.items():
        for share in (0.02, 0.3, 0.6, 0.95):
            yield f"cut-{share}-{name}", content[: int(len(content) * share)]
        yield f"headless-{name}", content[len(content) // 3 :]
        for number, (reach, count) in enumerate([(64, 2), (600, 8), (600, 40), (None, 30)]):
            yield f"flip-{number}-{name}", _flipped(content, rng, reach or len(content), count)
        cuts = sorted(rng.integers(1, len(content), 2))
        yield f"zeros-{name}", content[: cuts[0]] + bytes(cuts[1] - cuts[0]) + content[cuts[1] :]
        yield f"swap-{name}", content[cuts[0] :] + content[: cuts[0]]
        other = rng.choice(sorted(valid))
        yield f"spliced-{other}-{name}", content[: cuts[1]] + valid[str(other)][cuts[0] :]
    for kind, copies in (
        ("mp4", broken_headers.mp4_lies(valid["h264.mp4"])),
        ("avi", broken_headers.avi_lies(valid["mpeg4.avi"])),
        ("mkv", broken_headers.matroska_lies(valid["h264.mkv"])),
        ("webm", broken_headers.matroska_lies(valid["vp8.webm"])),
        ("flv", broken_headers.flv_lies(valid["flv1.flv"])),
        ("gif", broken_headers.gif_lies(valid["a.gif"])),
        ("ts", broken_headers.ts_lies(valid["h264.ts"])),
    ):
        for name, content in copies:
            yield f"lie-{name}.{kind}", content
    boxes = _boxes(valid["first.mp4"])
    for number in range(10):
        order = rng.permutation(len(boxes) * 2)[: len(boxes) + number % 3] % len(boxes)
        yield f"boxes-{number}.mp4", b"".join(boxes[index] for index in order)


def _flipped(content: bytes, rng: np.random.Generator, reach: int, count: int) -> bytes:
    changed = bytearray(content)
    for offset in rng.integers(0, min(reach, len(content)), count):
        changed[offset] ^= int(rng.integers(1, 256))
    return bytes(changed)


def _boxes(content: bytes) -> list[bytes]:
    boxes = []
    while content:
        size = int.from_bytes(content[:4], "big")
        boxes.append(content[:size])
        content = content[size:]
    return boxes


def _playlists(secret: Path, url: str) -> Iterator[tuple[str, str]]:
    """Yield names and texts that make FFmpeg and others open the files and URLs they name."""
    uri = secret.as_uri()
    targets = (uri, str(secret), "file:///etc/passwd", f"{url}/a.ts", secret.name)
    for number, target in enumerate(targets):
        head = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n"
        end = f"#EXTINF:4,\n{target}\n#EXT-X-ENDLIST\n"
        yield f"segment-{number}.m3u8", head + end
        yield f"live-{number}.m3u8", head + f"#EXTINF:4,\n{target}\n"
        yield f"map-{number}.m3u8", head + f'#EXT-X-MAP:URI="{target}"\n' + end
        yield f"key-{number}.m3u8", head + f'#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n' + end
        yield f"main-{number}.m3u8", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n"
        yield f"list-{number}.ffconcat", f"ffconcat version 1.0\nfile '{target}'\nduration 2\n"
        yield (
            f"option-{number}.ffconcat",
            "ffconcat version 1.0\nstream\n"
            f"file {target}\noption protocol_whitelist file,http,tcp\noption safe 0\n",
        )
        yield (
            f"plan-{number}.mpd",
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT4S"><Period><AdaptationSet mimeType="video/mp4">'
            f'<Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL>'
            "</Representation></AdaptationSet></Period></MPD>",
        )
        yield f"entity-{number}.xml", f'<!DOCTYPE a [<!ENTITY b SYSTEM "{target}">]><a>&b;</a>'
        yield (
            f"picture-{number}.svg",
            '<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="30000" '
            f'xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{target}"/></svg>',
        )
    yield "call.sdp", f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nu={url}\nt=0 0\n"
    yield "subtitles.idx", f"# VobSub index file, v7\nsize: 720x480\n# {uri}\ntimestamp: 0\n"


def _other_formats(folder: Path) -> Iterator[BrokenFile]:
    """Yield files that are not videos, or have only sound or text."""
    zipped, archive = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.mp4", bytes(2**20))
    with tarfile.open(fileobj=archive, mode="w:gz") as file:
        file.addfile(tarfile.TarInfo("../../a.mp4"))
    cue = "00:00:01,000 --> 00:00:02,000"
    for name, content in {
        "one-byte": b"\0",
        "blank": b" " * 5000,
        "zeros": bytes(300_000),
        "ones": b"\xff" * 300_000,
        "random": np.random.default_rng(0).bytes(300_000),
        "sync-bytes.ts": b"G" * 188 * 400,
        "a.zip": zipped.getvalue(),
        "a.tar.gz": archive.getvalue(),
        "a.html": b"<!doctype html><video src='http://127.0.0.1/a.mp4'></video>" * 50,
        "a.txt": "Grüße, this is no video.\n".encode() * 99,
        "a.py": b"import os\nos.abort()\n",
        "a.sh": b"#!/bin/sh\nexit 1\n",
        "a.pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n" * 9,
        "a.elf": b"\x7fELF\2\1\1" + bytes(5000),
        "a.json": b"[" * 100_000,
        "a.avs": b'AviSource("/etc/passwd")\n',
        "a.srt": f"1\n{cue}\nHello\n\n2\n{cue}\nWorld\n".encode(),
        "a.vtt": b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n",
        "a.ass": b"[Script Info]\nScriptType: v4.00+\n[Events]\n"
        b"Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,Hello\n",
        "a.ffmetadata": b";FFMETADATA1\ntitle=x\n[STREAM]\n",
        "a.wav": b"RIFF\x24\x10\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data"
        + struct.pack("<I", 4096)
        + bytes(4096),
        "sound.m4a": write_audio(folder / "sound.m4a").read_bytes(),
        "sound.mkv": write_audio(folder / "sound.mkv").read_bytes(),
        "sound.ts": write_audio(folder / "sound.ts").read_bytes(),
    }.items():
        yield BrokenFile(name, content, "fails")
    yield BrokenFile("empty", b"", "fails")


def _unusual(folder: Path, valid: dict[str, bytes]) -> Iterator[BrokenFile]:
    """Yield valid but unusual videos, apparently endless ones, and deeply nested ones."""
    other = write_video(folder / "other.ts", 20, size=(64, 96)).read_bytes()
    yield BrokenFile("sizes.ts", valid["h264.ts"] + other, "answered")
    yield BrokenFile("sizes.mjpeg", jpeg((48, 32)) * 20 + jpeg((320, 20)) * 20, "answered")
    for name in ("one.mp4", "one.mkv", "one.avi", "one.ts"):
        content = write_video(folder / name, 1, size=SIZE).read_bytes()
        yield BrokenFile(name, content, "answered")
    for name, gaps in {
        "slow.mkv": [0, 2**30, 2**31],
        "days.mp4": [0, 40 * 24 * 3600 * 1000],
        "late.mkv": [2**31, 2**31 + 40],
    }.items():
        path = write_video(folder / name, len(gaps), size=SIZE, milliseconds=gaps)
        yield BrokenFile(name, path.read_bytes())
    slow = write_video(folder / "slow.flv", 120, size=SIZE, codec="flv", fps=1).read_bytes()
    for kind in (8, 18):
        yield BrokenFile(f"late-{kind}.flv", slow + _flv_tag(kind, 130_000), "answered")
    for count in (10**3, 10**5, 10**6):
        yield BrokenFile(f"endless-{count}.mp4", _endless(valid["h264.mp4"], count))
        yield BrokenFile(f"in-vain-{count}.mp4", _endless(valid["h264.mp4"], count, vain=True))
    for box in ("moov", "trak", "udta", "meta", "free"):
        nested = b"".join(struct.pack(">I4s", size, box.encode()) for size in range(160_000, 8, -8))
        yield BrokenFile(f"nested-{box}.mp4", valid["h264.mp4"][:32] + nested)
    master = bytes.fromhex("1a45dfa3") + b"\x80" + bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7
    yield BrokenFile("nested.mkv", valid["h264.mkv"][:47] + master * 9000)
    unknown = bytes.fromhex("1f43b675") + b"\x01" + b"\xff" * 7 + b"\xe7\x81\x00"
    yield BrokenFile("clusters.mkv", valid["h264.mkv"] + unknown * 20_000)
    yield BrokenFile("tags.flv", valid["flv1.flv"] + b"\x09\0\0\0\0\0\0\0\0\0\0\0\0\0\x0b" * 50_000)
    yield BrokenFile("empty-chunks.avi", valid["mpeg4.avi"] + b"00dc\0\0\0\0" * 50_000)
    yield BrokenFile("starts.h264", b"\0\0\0\1\x65" * 50_000)
    yield BrokenFile("starts.mpg", b"\0\0\1\xb3" * 50_000)


def _endless(content: bytes, count: int, vain: bool = False) -> bytes:
    """Return an MP4 file whose sample table lists its first frame `count` times.

    Args:
        content: the file.
        count: number of frames.
        vain: all but the first frame are at an offset without a frame.
    """
    (size,) = struct.unpack_from(">I", content, content.index(b"stsz") + 16)
    (offset,) = struct.unpack_from(">I", content, content.index(b"stco") + 12)
    other = 0 if vain else offset
    boxes = [
        (b"stsc", struct.pack(">5I", 0, 1, 1, 1, 1)),
        (b"stsz", struct.pack(">3I", 0, size, count)),
        (b"stco", struct.pack(f">{count + 2}I", 0, count, offset, *[other] * (count - 1))),
        (b"stts", struct.pack(">4I", 0, 1, count, 512)),
    ]
    changed = content[: content.index(b"stsc") - 4]
    changed = changed.replace(b"stts", b"free").replace(b"edts", b"free")
    changed += b"".join(struct.pack(">I", len(box) + 8) + name + box for name, box in boxes)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        at = changed.index(name) - 4
        changed = changed[:at] + struct.pack(">I", len(changed) - at) + changed[at + 4 :]
    return bytes(changed)


def _flv_tag(kind: int, milliseconds: int) -> bytes:
    head = bytes([kind, 0, 0, 102]) + milliseconds.to_bytes(3, "big") + bytes(4)
    return head + b"\x2f\xff" + bytes(100) + struct.pack(">I", 113)
