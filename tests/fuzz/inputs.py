"""What is tried at each target: inputs that are nearly right, and some that are not at all."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from datetime import timedelta
from typing import Any

import cv2
import numpy as np
import yaml
from hypothesis import strategies as st

from tests.fuzz.flatbuffer import offsets
from tests.fuzz.mutations import ANY, ODD, as_json, damaged, edits, odd_tree
from tests.support_events import NOON
from trashbin import resources
from trashbin.model.manifest import find
from trashbin.requests import MAX_BYTES, VERBS
from trashbin.settings import Config

# configurations

SHIPPED = [path.read_bytes() for path in sorted((resources.root() / "config").glob("*.yaml"))]
# without their comments, which cost most of the time and are no grammar
PLAIN = [yaml.safe_dump(yaml.safe_load(text), sort_keys=False).encode() for text in SHIPPED]
TREES = [yaml.safe_load(text) for text in SHIPPED]
KEYS = [*Config.model_fields, "kind", "pin", "path", "labels", "lamp", "angle", "rgb", "tls"]
YAML_PARTS = [
    b"&a [*a, *a]",
    b"*a",
    b"<<: *a",
    b"!!python/object:os.system ls",
    b"!x ",
    b"\0",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xef\xbb\xbf",
    b"\t",
    b"\r",
    b"\xe2\x80\xa8",
    b"? ",
    b"- ",
    b": ",
    b"'",
    b'"\\ud800"',
    b"[" * 2000,
    b"{a: " * 2000,
    b"9" * 5000,
    b"1e999",
    b".nan",
    b"-.inf",
    b"0o17",
    b"12:30",
    b"%YAML 9.9\n",
    b"---\n",
    b"...\n",
    b"|\n  ",
    b">-\n",
    b"&a " * 20,
    b"a: 1\n" * 3000,
    b"- - - - " * 50,
    b"\x1b[2J",
    b"\xf0\x9f\x97\x91",
]


@st.composite
def _yaml_text(draw: st.DrawFn) -> bytes:
    """A shipped file with parts of YAML thrown in where they do not belong."""
    text = draw(st.sampled_from(PLAIN * 5 + SHIPPED))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        part = draw(st.sampled_from(YAML_PARTS) | st.binary(max_size=6))
        text = text[:at] + part + text[at + draw(st.integers(0, 12)) :]
    return text


def bomb(levels: int) -> bytes:
    """The billion laughs."""
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(['a0: &a0 ["lol"]', *lines]).encode()


configurations = st.one_of(
    st.sampled_from(TREES).map(as_json),  # sound, for the sake of their variants
    odd_tree(TREES, KEYS).map(as_json),
    odd_tree(TREES, KEYS).map(as_json),
    _yaml_text(),
    damaged(PLAIN),
    st.binary(max_size=40),
    st.integers(1, 12).map(bomb),
)

# requests: topic, payload, retained

ASK = b"trashbin/demo/request/"
SOUND_REQUESTS: list[dict[str, Any]] = [
    {},
    {"transaction": "t-1"},
    {"mode": "auto"},
    {"mode": "advisory", "transaction": "2"},
    {"gap": 0.3, "top1": None},
    {"familiarity": 0.5},
    {"after_seq": 0, "limit": 10},
    {"expires": (NOON + timedelta(days=9)).isoformat()},
    {"expires": (NOON - timedelta(days=9)).isoformat()},
    {"event_id": "0193-4", "label": "glass"},
]
REQUEST_KEYS = [*{key for request in SOUND_REQUESTS for key in request}, "image_id", "more"]
_verbs = st.one_of(
    st.sampled_from([*VERBS]).map(str.encode),
    st.binary(max_size=8),
    st.text(max_size=4).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(
        [b"", b"+", b"#", b"$SYS", b"look/", b"/look", b"LOOK", b"x" * 300, b"\xff\xfe", b"a\0b"]
    ),
)
_bodies = st.one_of(
    st.sampled_from(SOUND_REQUESTS).map(as_json),
    odd_tree(SOUND_REQUESTS, REQUEST_KEYS).map(as_json),
    damaged([as_json(request) for request in SOUND_REQUESTS]),
    st.dictionaries(st.sampled_from(REQUEST_KEYS), ANY, max_size=4).map(as_json),
    st.binary(max_size=30),
    ODD.map(as_json),
    st.sampled_from(
        [
            b"",
            b"[" * MAX_BYTES,
            b'{"a":' * 800,
            b" " * 1_000_000,
            b"\xff" * MAX_BYTES,
            b'{"gap":1' + b"0" * 4000 + b"}",
            b'{"transaction":"a","transaction":"b"}',
            b'{"transaction":"\\ud800"}',
            b"NaN",
            b'{"gap":NaN}',
            b"\xef\xbb\xbf{}",
        ]
    ),
)
requests = st.tuples(
    _verbs.map(lambda verb: ASK + verb), _bodies, st.integers(0, 4).map(lambda n: n == 0)
)

# pictures


def _drawn(shape: tuple[int, ...], dtype: type = np.uint8) -> Any:
    rng = np.random.default_rng(1)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype)


def _encoded(suffix: str, image: Any, *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, image, options)[1])


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _animated(png: bytes) -> bytes:
    """The PNG as an APNG of two frames."""
    frame = struct.pack(">IIIIIHHBB", 0, 9, 8, 0, 0, 1, 10, 0, 0)
    rows = png_chunk(b"fcTL", struct.pack(">I", 1) + frame[4:]) + png_chunk(
        b"fdAT", struct.pack(">I", 2) + zlib.compress(b"\0" * (8 * 28))
    )
    start = 8 + 25  # signature and IHDR
    control = png_chunk(b"acTL", struct.pack(">II", 2, 0)) + png_chunk(b"fcTL", frame)
    return png[:start] + control + png[start:-12] + rows + png[-12:]


# eight by eight, CMYK; made with Pillow, as OpenCV writes none
CMYK = base64.b85decode(
    "|JeWT01iQ9Z(?NtWB>pF0095n07C#95)>B{5gQj47aklNASgmBC?zE*Q93;^LSR*8WM5TXTWWZjfogG(b6Z`7wT6(MqpPi}"
    "XMnuPx~9jOsH>#^zyK5o00;mG1Va%3O%VWD5dcdO0RO}Q6#xMN000000000000000000FB|HJ?o5C8%L000000000000000"
    "00AKY5fcB}01gC008Ic{080P>KLDb7EM}0W3Rwv1*|i;%v;Wx"
)
_COLOR, _GREY, _ALPHA = _drawn((8, 9, 3)), _drawn((8, 9)), _drawn((8, 9, 4))
_PNG = _encoded(".png", _COLOR)
PICTURES = [
    _encoded(".jpg", _COLOR),
    _encoded(
        ".jpg", _drawn((64, 64, 3)), cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_QUALITY, 5
    ),
    _encoded(".jpg", _GREY, cv2.IMWRITE_JPEG_RST_INTERVAL, 1),
    CMYK,
    _PNG,
    _encoded(".png", _GREY),
    _encoded(".png", _ALPHA),
    _encoded(".png", _drawn((8, 9, 3), np.uint16)),
    _encoded(".png", _drawn((8, 9, 4), np.uint16)),
    _encoded(".png", _GREY, cv2.IMWRITE_PNG_BILEVEL, 1),
    _animated(_PNG),
    _encoded(".webp", _COLOR),
    _encoded(".webp", _ALPHA, cv2.IMWRITE_WEBP_QUALITY, 101),
    _encoded(".tiff", _COLOR),
    _encoded(".tiff", _drawn((8, 9), np.uint16)),
    _encoded(".bmp", _COLOR),
    _encoded(".bmp", _ALPHA),
    _encoded(".ppm", _COLOR),
    _encoded(".pam", _COLOR),
    _encoded(".gif", _COLOR),
    _encoded(".ras", _COLOR),
    _encoded(".hdr", _COLOR.astype(np.float32)),
    _encoded(".pfm", _COLOR.astype(np.float32)),
    b"P1\n4 4\n1 0 1 0\n",
    b"P2\n2 2\n255\n1 2 3 4\n",
]


@st.composite
def _png_of_odd_chunks(draw: st.DrawFn) -> bytes:
    """Chunks whose lengths and checksums fit, and whose contents do not."""
    sizes = st.sampled_from([0, 1, 9, 255, 7072, 50_000, 2**31 - 1, 2**32 - 1])
    header = struct.pack(">II", draw(sizes), draw(sizes)) + bytes(
        draw(st.sampled_from(values))
        for values in ((1, 2, 4, 8, 16, 3), range(8), (0, 1), (0, 1), (0, 1, 2))
    )
    rows = zlib.compress(draw(st.binary(max_size=20)) * draw(st.sampled_from([1, 50, 5000])))
    chunks = [png_chunk(b"IHDR", header)]
    names = st.sampled_from(
        [b"IDAT", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"iCCP", b"eXIf", b"zTXt"]
    )
    for name in draw(st.lists(names, max_size=4)):
        chunks.append(png_chunk(name, rows if name == b"IDAT" else draw(st.binary(max_size=26))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + png_chunk(b"IEND", b"")


pictures = st.one_of(
    damaged(PICTURES),
    damaged(PICTURES),
    damaged(PICTURES),
    _png_of_odd_chunks(),
    st.binary(max_size=60),
)

# models

NETWORK = find()
MANIFEST = json.loads((NETWORK.path.parent / "manifest.json").read_text(encoding="utf-8"))
_manifest_text = json.dumps(MANIFEST, indent=1).encode()
manifests = st.one_of(
    odd_tree([MANIFEST], [*MANIFEST, "width", "int8", "golden", "sha256"]).map(as_json),
    odd_tree([MANIFEST], [*MANIFEST, "width", "int8", "golden", "sha256"]).map(as_json),
    damaged([_manifest_text]),
    st.binary(max_size=40),
)
networks = edits(offsets(NETWORK.path.read_bytes()), most=3)

# what a broker sends, after its CONNACK


def _length(size: int) -> bytes:
    """MQTT's variable byte integer."""
    digits = []
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | 0x80 * (size > 0))
        if not size:
            return bytes(digits)


def packet(kind: int, body: bytes) -> bytes:
    """An MQTT packet with a length that fits."""
    return bytes([kind]) + _length(len(body)) + body


def publish(topic: bytes, payload: bytes, flags: int = 0) -> bytes:
    """A PUBLISH; ``flags`` holds DUP, QoS and RETAIN."""
    number = b"\0\7" if flags & 6 else b""
    return packet(0x30 | flags, struct.pack(">H", len(topic)) + topic + number + payload)


_TOPICS = [
    ASK + b"look",
    ASK + b"mode",
    b"trashbin/demo/availability",
    ASK + b"\xff",
    b"",
    b"\0",
    b"$SYS/x",
]
_packets = st.one_of(
    st.builds(
        publish,
        st.sampled_from(_TOPICS) | st.binary(max_size=12),
        st.sampled_from([b"{}", b"online", b"offline", b"not json"]) | st.binary(max_size=20),
        st.sampled_from([0, 1, 2, 3, 4, 6, 8, 15]),
    ),
    st.builds(packet, st.integers(0, 255), st.binary(max_size=8)),
    st.sampled_from(
        [
            packet(0x90, b"\0\1\1\1"),
            packet(0x90, b"\0\1\x80\x80"),
            packet(0x40, b"\0\1"),
            packet(0x62, b"\0\7"),
            packet(0x50, b"\0\1"),
            packet(0x70, b"\0\1"),
            packet(0xD0, b""),
            packet(0xC0, b""),
            packet(0x20, b"\0\5"),
            b"\x30\xff\xff\xff\xff\xff",
            b"\x30\xff\xff\xff\x7f",
            b"\x30",
            b"\x90\0",
            b"\xe0\0",
            b"\x30\2\xff\xff",
        ]
    ),
)
streams = st.one_of(
    st.lists(_packets, min_size=1, max_size=4).map(b"".join),
    st.lists(_packets, min_size=1, max_size=2)
    .map(b"".join)
    .flatmap(lambda stream: damaged([stream])),
)
