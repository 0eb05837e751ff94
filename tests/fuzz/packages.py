"""Model packages that a stranger has made, and states of the shelf that a card has spoilt."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from hypothesis import strategies as st

from tests.fuzz.inputs import MANIFEST, NETWORK, manifests
from tests.fuzz.mutations import Edit, as_json, damaged, edited, edits, odd_tree

FILE = NETWORK.path.name
HOME = f"sound-{'0' * 12}"  # a model that lies on the shelf
ONE = MANIFEST | {"variants": {NETWORK.variant: MANIFEST["variants"][NETWORK.variant]}}
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@dataclass(frozen=True, slots=True)
class Package:
    """A ZIP of these files, None for the network; then patches at its places, and cut off."""

    files: Sequence[tuple[str, bytes | None]]
    method: int = zipfile.ZIP_STORED
    patches: Sequence[tuple[int, bytes]] = ()
    cut: int | None = None  # bytes that are left

    def content(self) -> bytes:
        """The bytes of the ZIP."""
        content = _zipped(tuple(self.files), self.method)
        places = _places(content)
        changes: list[Edit] = [(places[at % len(places)], patch) for at, patch in self.patches]
        return edited(content, changes)[: self.cut]


@cache
def _network() -> bytes:
    return NETWORK.path.read_bytes()


@lru_cache(maxsize=4)
def _zipped(files: tuple[tuple[str, bytes | None], ...], method: int) -> bytes:
    target = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w") as archive:
        warnings.simplefilter("ignore")  # of a name that stands twice
        for name, content in files:
            how = zipfile.ZIP_STORED if content is None else method
            archive.writestr(name, _network() if content is None else content, how)
    return target.getvalue()


def _places(content: bytes) -> list[int]:
    """Where the headers of a ZIP are, and the small files in it."""
    first = content.find(b"PK\x01\x02")
    return [*range(min(2000, len(content))), *range(max(0, first), len(content))] or [0]


BESIDE = tuple(
    (entry.file, NETWORK.path.with_name(entry.file).read_bytes())
    for entry in NETWORK.manifest.beside
)
SOUND = (("manifest.json", as_json(ONE)), (FILE, None), *BESIDE, ("LICENSE", b"as you like"))
_NAMES = [
    "manifest.json",
    "model/manifest.json",
    "../manifest.json",
    "/manifest.json",
    "a/b/manifest.json",
    "manifest.json/",
    FILE,
    f"model/{FILE}",
    f"../{FILE}",
    f"{FILE}/",
    "LICENSE",
    "model/NOTICE",
    "../../NOTICE",
    ".",
    "é\u2028",
    "\x1b[2J",
    "x" * 5000,
]
_small = st.sampled_from([b"", b"x", b"text " * 300, bytes(2**21)])
_files = st.lists(
    st.tuples(st.sampled_from(_NAMES), st.none() | manifests | _small | st.just(as_json(ONE))),
    max_size=4,
).map(tuple)
_told = st.one_of(manifests, odd_tree([ONE], [*MANIFEST, "file", "bytes", "golden"]).map(as_json))
_methods = st.sampled_from(METHODS)
_patches = edits(range(4000), most=4)
packages = st.one_of(
    st.builds(Package, st.just(SOUND), _methods, _patches),
    st.builds(Package, st.just(SOUND), _methods, _patches),
    st.builds(Package, st.just(SOUND), _methods, st.just(()), st.integers(0, 4_000_000)),
    st.builds(Package, _told.map(lambda told: (("manifest.json", told), *SOUND[1:])), _methods),
    st.builds(Package, _files, _methods, _patches | st.just(())),
)

# models/state.json

_REF = {"file": f"{HOME}/{FILE}", "sha256": NETWORK.id.sha256}
_GONE = {"file": "gone-0/int8.tflite", "sha256": "0" * 64}
_TRIAL = {"ref": _REF, "items": 3, "done": 0, "starts": 0}
STATES = [
    {},
    {"active": _REF, "before": [None, _GONE], "starts": 2, "told": "by hand"},
    {"active": _GONE, "before": [_REF, None], "trial": _TRIAL},
    {"trial": _TRIAL | {"done": 3}},
]
_PLACES = ["..", "../..", f"../{FILE}", f"{HOME}/manifest.json", f"{HOME}/..", "./.", "a/b.tflite"]
_keys = ["active", "before", "starts", "trial", "told", "file", "sha256", "items", "done"]
_aimed = st.builds(
    lambda place, state: as_json(state | {"active": {"file": place, "sha256": "0" * 64}}),
    st.sampled_from(_PLACES),
    st.sampled_from(STATES),
)
states = st.one_of(
    odd_tree(STATES, _keys).map(as_json),
    odd_tree(STATES, _keys).map(as_json),
    damaged([json.dumps(state, indent=2).encode() for state in STATES]),
    _aimed,
    st.binary(max_size=40),
    st.sampled_from(
        [b"", b"[" * 100_000, b'{"starts": ' + b"9" * 4400 + b"}", b'{"told": "\\ud800"}']
    ),
)
