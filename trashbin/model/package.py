"""A model from a file or an address onto the shelf: fetched, verified, tried out, moved in whole.

What is installed is either a ZIP of a model's folder or a .tflite with its manifest beside it.
Nothing of it is believed: not its size, not the names in it, not that it loads.
"""

from __future__ import annotations

import fcntl
import hashlib
import lzma
import os
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, TypeVar

from trashbin import whole_file
from trashbin.errors import FetchError, ModelError
from trashbin.model import arrays, manifest, tflite
from trashbin.model.manifest import Manifest, ModelFile
from trashbin.model.shelf import Ref, Shelf
from trashbin.settings import Model

T = TypeVar("T")

MAX_BYTES = 256 * 2**20  # of a package, and of all that is in it
MAX_MANIFEST = 2**20
TIMEOUT_S = 30.0  # without a byte
CHUNK = 2**20
_DAMAGE = (
    OSError,  # bzip2's, and a place before the file's beginning
    EOFError,
    MemoryError,  # lzma's, for a dictionary of gigabytes
    NotImplementedError,
    RuntimeError,
    UnicodeDecodeError,
    lzma.LZMAError,
    zlib.error,
)
INCOMING = ".incoming-"  # begins the name of a folder that an install works in
BESIDE = ("MODEL_CARD.md", "LICENSE", "NOTICE")  # texts that come along where they are there


def install(
    source: str, sha256: str, shelf: Shelf, section: Model, variant: str | None = None
) -> tuple[Ref, ModelFile]:
    """Put a package on the shelf; the reference to its ``variant`` (int8, or its only one).

    FetchError where an address cannot be read; ModelError where the package is not the one of
    that digest, its files don't fit its manifest, it has no golden inputs or gives other answers.
    """
    try:
        shelf.folder.mkdir(parents=True, exist_ok=True)
        _sweep(shelf.folder)
        with (
            tempfile.TemporaryDirectory(prefix=INCOMING, dir=shelf.folder) as coming,
            _held(Path(coming)),
        ):
            folder = Path(coming) / "model"
            folder.mkdir()
            _bring(source, sha256, Path(coming), folder)
            file = _chosen(folder, variant)
            _check(file, section)
            with shelf.locked():
                home = _home(shelf.folder, file)
                if home.exists():  # the same; a damaged one is replaced by this one
                    home.rename(Path(coming) / "replaced")
                folder.rename(home)
                for path in (home, *home.iterdir()):
                    shelf.give_to_owner(path)
    except OSError as error:
        raise ModelError(f"{shelf.folder}: cannot be written ({error.strerror})") from error
    installed = ModelFile(home / file.path.name, file.manifest, file.variant)
    return Ref(file=f"{home.name}/{file.path.name}", sha256=file.id.sha256), installed


def _home(shelf: Path, file: ModelFile) -> Path:
    """Where it is to lie: never in the place of the same network with another manifest.

    That one may run, and no other thresholds or familiarity may come to it without a trial.
    """
    home = shelf / f"{file.manifest.name}-{file.id.sha256[:12]}"
    try:
        if manifest.read_manifest(home / "manifest.json") == file.manifest:
            return home
    except ModelError:  # there is none, or it is damaged
        return home
    return home.with_name(f"{home.name}-{_digest(file.path.with_name('manifest.json'))[:12]}")


def _sweep(shelf: Path) -> None:
    """Delete what installs left that were killed, and no other."""
    for left in shelf.glob(f"{INCOMING}*"):
        with suppress(OSError), _held(left):
            shutil.rmtree(left)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """A lock that ends with the process, however that ends. OSError where another has it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def pack(file: ModelFile, target: Path) -> str:
    """Write a ZIP of a model's folder; its digest, which ``install`` asks for.

    ModelError where it cannot be written.
    """
    folder = file.path.parent
    try:
        with (
            whole_file.writing(target) as out,
            zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for name in _names(file.manifest):
                archive.write(folder / name, name)
            for name in BESIDE:
                if (folder / name).is_file():
                    archive.write(folder / name, name)
        return _digest(target)
    except OSError as error:
        where = error.filename or target
        raise ModelError(f"{where}: the package cannot be written ({error.strerror})") from error


def _bring(source: str, sha256: str, coming: Path, folder: Path) -> None:
    """Fetch ``source``, verify its digest, and lay its files into ``folder``."""
    path = Path(source)
    if "://" in source:
        path = coming / "package"
        _fetch(source, path)
    elif not path.is_file():
        raise ModelError(f"{path}: no such file; name a .zip, a .tflite or an https:// address")
    try:
        found = _digest(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    if found != sha256.lower():
        raise ModelError(
            f"{_shown(source)}: has the sha256 {found}, not {sha256.lower()}. "
            "It was damaged on its way or is another file; nothing was installed."
        )
    # a .tflite with metadata ends like a ZIP
    if path.suffix != ".tflite" and zipfile.is_zipfile(path):
        _unpack(path, _shown(source), folder)
    else:
        beside = manifest.find(str(path))  # ModelError where it is no .tflite with a manifest
        _copy(beside.path.parent, folder)


def _fetch(address: str, target: Path) -> None:
    """Download over http or https, at most MAX_BYTES."""
    if urllib.parse.urlsplit(address).scheme not in ("http", "https"):
        raise ModelError(f"{_shown(address)}: only https:// and http:// addresses are read")
    try:
        with (
            urllib.request.urlopen(address, timeout=TIMEOUT_S) as answer,
            target.open("wb") as file,
        ):
            size = 0
            while chunk := _read(answer, address):
                size += len(chunk)
                if size > MAX_BYTES:
                    raise ModelError(f"{_shown(address)}: is larger than {MAX_BYTES // 2**20} MB")
                file.write(chunk)
    except (urllib.error.URLError, HTTPException, TimeoutError, ValueError) as error:
        is_answer = isinstance(error, urllib.error.HTTPError)  # its text has the status, too
        reason = error if is_answer else getattr(error, "reason", None) or error
        raise FetchError(f"{_shown(address)}: cannot be fetched ({reason})") from error


def _read(answer: IO[bytes], address: str) -> bytes:
    try:
        return answer.read(CHUNK)
    except (OSError, HTTPException) as error:
        raise FetchError(f"{_shown(address)}: the connection broke off ({error})") from error


def _shown(source: str) -> str:
    """The source as it may stand in a message: an address without a user's name and password."""
    if "://" not in source:
        return source
    parts = urllib.parse.urlsplit(source)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _unpack(archive: Path, shown: str, folder: Path) -> None:
    """Take out what the manifest names, whatever else is in there; none of it may be too large."""
    try:
        with _sound(lambda: zipfile.ZipFile(archive)) as opened:
            inside = [Path(name) for name in opened.namelist()]
            found = [path for path in inside if path.name == "manifest.json"]
            if len(found) != 1 or len(found[0].parts) > 2:
                raise ModelError(f"{shown}: needs one manifest.json, on top or in one folder")

            def read(name: str, limit: int) -> bytes:
                with _sound(lambda: opened.open(str(found[0].parent / name))) as file:
                    content = _sound(lambda: file.read(limit + 1))
                if len(content) > limit:
                    raise ModelError(f"{shown}: {name} is larger than it may be")
                return content

            _lay(read, folder)
            for name in set(BESIDE) & {path.name for path in inside}:
                if found[0].parent / name in inside:
                    (folder / name).write_bytes(read(name, MAX_MANIFEST))
    except KeyError as error:
        raise ModelError(f"{shown}: a file is missing in it: {error.args[0]}") from error
    except zipfile.BadZipFile as error:
        raise ModelError(f"{shown}: is no sound ZIP ({error})") from error


def _sound(read: Callable[[], T]) -> T:
    """What is read of a ZIP; BadZipFile for all that damage makes its modules raise."""
    try:
        return read()
    except _DAMAGE as error:
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from error


def _copy(source: Path, folder: Path) -> None:
    def read(name: str, limit: int) -> bytes:
        try:
            with (source / name).open("rb") as file:
                return file.read(limit + 1)
        except OSError as error:
            raise ModelError(f"{source / name}: cannot be read ({error.strerror})") from error

    _lay(read, folder)
    for name in BESIDE:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _lay(read: Callable[[str, int], bytes], folder: Path) -> None:
    """The manifest, and then each file that it names, no larger than it says."""
    (folder / "manifest.json").write_bytes(read("manifest.json", MAX_MANIFEST))
    told = manifest.read_manifest(folder / "manifest.json")
    sizes = {entry.file: entry.bytes for entry in told.variants.values()}
    sizes |= {entry.file: entry.bytes for entry in told.beside}
    if sum(sizes.values()) > MAX_BYTES:
        raise ModelError(f"the model's files would take more than {MAX_BYTES // 2**20} MB")
    for name, size in sizes.items():
        if name in ("manifest.json", ".", ".."):
            raise ModelError(f"the manifest names {name!r} as one of the model's files")
        (folder / name).write_bytes(read(name, size))


def _names(told: Manifest) -> list[str]:
    files = [entry.file for entry in told.variants.values()]
    return ["manifest.json", *files, *(entry.file for entry in told.beside)]


def _chosen(folder: Path, variant: str | None) -> ModelFile:
    """The variant to run; each of the other files must fit its digest, too."""
    told = manifest.read_manifest(folder / "manifest.json")
    names = list(told.variants)
    if variant is None:
        variant = manifest.DEFAULT_VARIANT if manifest.DEFAULT_VARIANT in names else names[0]
    if variant not in names:
        raise ModelError(f"the model has no variant {variant!r}; there is {', '.join(names)}")
    files = {name: ModelFile(folder / told.variants[name].file, told, name) for name in names}
    for file in files.values():
        _ = file.content  # ModelError where its digest is another
    for entry in told.beside:
        arrays.read(folder / entry.file, entry.sha256, entry.bytes)
    if not files[variant].path.name.endswith(".tflite") or told.name.startswith("."):
        raise ModelError(
            f"the manifest names the model {told.name!r} and its network "
            f"{files[variant].path.name!r}: one must not begin with a dot, the other must end with "
            ".tflite"
        )
    return files[variant]


def _check(file: ModelFile, section: Model) -> None:
    """Run it as the bin will: in a child process first, which may crash, then its golden inputs."""
    if not file.manifest.variants[file.variant].golden:
        raise ModelError(
            f"{file.manifest.name}: its manifest has no golden inputs for {file.variant}, so that "
            "nobody can tell whether it works here"
        )
    tflite.open_file(file, section)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
