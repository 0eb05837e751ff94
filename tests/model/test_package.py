"""A model from a file or an address: nothing is on the shelf that was not verified and tried."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests import support_cli
from trashbin.errors import FetchError, ModelError
from trashbin.model import package
from trashbin.model.manifest import find
from trashbin.model.shelf import Ref, Shelf
from trashbin.settings import Model

SHIPPED = find()


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "store").mkdir()
    return Shelf(tmp_path / "store")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "model.zip"
    package.pack(SHIPPED, path)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def install(source: Path | str, shelf: Shelf, sha256: str | None = None, **keys: Any) -> Ref:
    sha256 = digest(Path(source)) if sha256 is None else sha256
    return package.install(str(source), sha256, shelf, Model(), **keys)[0]


def spoilt(archive: Path, change: Callable[[Path], object]) -> Path:
    """The archive, after a change to its unpacked folder."""
    folder = archive.with_name("spoilt")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    change(folder)
    target = archive.with_name("spoilt.zip")
    with zipfile.ZipFile(target, "w") as made:
        for path in sorted(folder.rglob("*")):
            made.write(path, path.relative_to(folder))
    return target


def manifested(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        path = folder / "manifest.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return write


def left(shelf: Shelf) -> list[str]:
    return sorted(path.name for path in shelf.folder.iterdir())


def test_a_zip_is_installed_whole_and_runs(archive: Path, shelf: Shelf) -> None:
    ref = install(archive, shelf)
    assert shelf.open(ref, Model()).model == SHIPPED.id
    assert left(shelf) == ["lock", ref.file.partition("/")[0]]
    assert {file.variant for file in shelf.installed()} == set(SHIPPED.manifest.variants)
    assert install(archive, shelf) == ref, "a second time is no error"


def test_what_a_killed_install_left_is_deleted_and_what_another_works_on_is_not(
    archive: Path, shelf: Shelf
) -> None:
    killed, at_work = (shelf.folder / f"{package.INCOMING}{name}" for name in ("killed", "at-work"))
    for folder in (killed, at_work):
        (folder / "model").mkdir(parents=True)
    descriptor = os.open(at_work, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    ref = install(archive, shelf)
    assert left(shelf) == [at_work.name, "lock", ref.file.partition("/")[0]]
    os.close(descriptor)


def test_a_tflite_with_its_manifest_beside_it_and_a_variant(shelf: Shelf) -> None:
    ref = install(SHIPPED.path, shelf)
    assert shelf.find(ref).variant == SHIPPED.variant
    other = next(name for name in SHIPPED.manifest.variants if name != SHIPPED.variant)
    assert shelf.find(install(SHIPPED.path, shelf, variant=other)).variant == other


def test_a_tflite_with_metadata_which_ends_like_a_zip_is_no_package(
    archive: Path, shelf: Shelf
) -> None:
    folder = archive.with_name("with-metadata")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    path = folder / SHIPPED.path.name
    with zipfile.ZipFile(path, "a") as appended:
        appended.writestr("labels.txt", "glass")

    def fitted(content: dict[str, Any]) -> None:
        entry = content["variants"][SHIPPED.variant]
        entry |= {"sha256": digest(path), "bytes": path.stat().st_size}

    manifested(fitted)(folder)
    assert zipfile.is_zipfile(path)
    assert shelf.find(install(path, shelf)).path.read_bytes() == path.read_bytes()


def test_a_folder_within_the_zip_will_do(archive: Path, shelf: Shelf) -> None:
    def into_a_folder(folder: Path) -> None:
        (folder / "inner").mkdir()
        for path in list(folder.iterdir()):
            if path.is_file():
                path.rename(folder / "inner" / path.name)

    ref = install(spoilt(archive, into_a_folder), shelf)
    assert shelf.find(ref).path.read_bytes() == SHIPPED.path.read_bytes()


def truncate(folder: Path) -> None:
    path = folder / SHIPPED.path.name
    path.write_bytes(path.read_bytes()[:-1])


def other_golden(manifest: dict[str, Any]) -> None:
    for entry in manifest["variants"]["int8"]["golden"]:
        entry["label"] = "glass" if entry["label"] != "glass" else "metal"
        entry["gap"] = 0.99


def no_tflite(folder: Path) -> None:
    (folder / "int8.tflite").rename(folder / "net.bin")
    manifested(lambda told: told["variants"]["int8"].update(file="net.bin"))(folder)


def no_golden(manifest: dict[str, Any]) -> None:
    manifest["variants"]["int8"]["golden"] = []


def crash(folder: Path) -> None:
    """Bytes in the middle of the graph point elsewhere; the manifest is made to fit."""
    path = folder / SHIPPED.path.name
    content = bytearray(path.read_bytes())
    content[-4096:] = b"\xff" * 4096
    path.write_bytes(content)
    manifested(
        lambda told: told["variants"]["int8"].update(sha256=hashlib.sha256(content).hexdigest())
    )(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (truncate, "digest does not fit"),
        (lambda folder: (folder / SHIPPED.path.name).unlink(), "a file is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), "needs one manifest.json"),
        (manifested(lambda told: told.update(labels=["a", "b"])), "label"),
        (manifested(lambda told: told.update(more=1)), "more: Extra inputs"),
        (manifested(other_golden), "golden input"),
        (manifested(no_golden), "no golden inputs"),
        (manifested(lambda told: told["variants"]["int8"].update(bytes=10)), "larger than"),
        (
            manifested(lambda told: told["variants"]["int8"].update(file="manifest.json")),
            "names 'manifest.json'",
        ),
        (manifested(lambda told: told["variants"]["int8"].update(file="..")), "names '..'"),
        (crash, "int8.tflite"),
        (lambda folder: (folder / "rehearsal.npz").write_bytes(b"torn"), "digest does not fit"),
        (no_tflite, "must end with .tflite"),
        (manifested(lambda told: told.update(name=".incoming-x")), "begin with a dot"),
    ],
)
def test_what_is_no_good_is_refused_and_leaves_nothing(
    archive: Path, shelf: Shelf, change: Callable[[Path], object], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        install(spoilt(archive, change), shelf)
    assert [name for name in left(shelf) if name != "lock"] == []
    assert shelf.state().trial is None


def test_the_same_network_with_other_thresholds_takes_no_place_of_what_runs(
    archive: Path, shelf: Shelf
) -> None:
    store = ["--store", shelf.folder.parent]
    before = install(archive, shelf)
    shelf.switch(before, "")
    other = spoilt(archive, manifested(lambda told: told["thresholds"].update(gap=0.11)))
    after = install(other, shelf)
    assert shelf.find(before).thresholds == SHIPPED.thresholds
    assert shelf.find(after).thresholds.gap == 0.11
    assert install(other, shelf) == after and install(archive, shelf) == before
    several = call("remove", before.sha256[:12], *store)
    assert several.exit_code == 2 and "means several" in several.output
    assert call("remove", after.file.partition("/")[0], *store).exit_code == 0
    assert [file.path.parent for file in shelf.installed()] == [shelf.find(before).path.parent] * 2


def test_a_package_that_is_not_ours_to_read_is_told(
    archive: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(package, "_digest", no)
    with pytest.raises(ModelError, match=r"model\.zip: cannot be read"):
        install(archive, shelf)


def test_another_digest_is_refused(archive: Path, shelf: Shelf) -> None:
    with pytest.raises(ModelError, match=f"has the sha256 {digest(archive)}, not 000"):
        install(archive, shelf, "0" * 64)
    nonsense = archive.with_name("nonsense.zip")
    nonsense.write_bytes(b"PK\x03\x04 and nothing else")
    with pytest.raises(ModelError):
        install(nonsense, shelf)


@pytest.mark.parametrize("at", [60, 200])
def test_a_zip_with_a_spoilt_byte_is_refused_in_one_message(
    archive: Path, shelf: Shelf, at: int
) -> None:
    content = bytearray(archive.read_bytes())
    content[at : at + 16] = bytes(16)
    archive.write_bytes(content)
    with pytest.raises(ModelError):
        install(archive, shelf)
    assert [name for name in left(shelf) if name != "lock"] == []


class Server(ThreadingHTTPServer):
    """Does not complain of who hangs up, as at a file that is too large."""

    daemon_threads = False  # or one that was hung up on goes on in a later test

    def handle_error(self, request: object, client_address: object) -> None:
        assert isinstance(sys.exc_info()[1], ConnectionError)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback that serves the test's folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_address_is_fetched_and_verified(archive: Path, shelf: Shelf, site: str) -> None:
    install(f"{site}/model.zip", shelf, digest(archive))
    with pytest.raises(FetchError, match="404"):
        install(f"{site}/none.zip", shelf, "0" * 64)
    with pytest.raises(FetchError) as told:
        install("http://user:secret@127.0.0.1:9/model.zip", shelf, "0" * 64)
    assert "secret" not in str(told.value)
    with pytest.raises(ModelError, match="only https"):
        install(f"file://{archive}", shelf, digest(archive))


def test_a_download_has_a_limit(
    archive: Path, shelf: Shelf, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "MAX_BYTES", 1000)
    with pytest.raises(ModelError, match="larger than"):
        install(f"{site}/model.zip", shelf, digest(archive))


# the commands


def call(*arguments: object) -> Result:
    return support_cli.call("model", *arguments)


def test_install_list_and_rollback(archive: Path, shelf: Shelf) -> None:
    store = ["--store", shelf.folder.parent]
    done = call("install", archive, "--sha256", digest(archive), "--items", 7, *store)
    assert done.exit_code == 0 and "judges 7 items" in done.output
    for verb in ("list", "rollback"):
        assert f"sudo trashbin model {verb} --store {shelf.folder.parent}\n" in done.output
    told = json.loads(call("list", "--json", *store).output)
    assert told["trial"]["items"] == 7
    states = {(m["installed"], m["variant"]): m["state"] for m in told["models"]}
    assert states[False, "int8"] == "running" and states[True, "int8"] == "trial"
    listed = call("list", *store).output
    assert "trial: 0 of 7 items" in listed
    marks = {line[0] for line in listed.splitlines() if line[1:].startswith(" trashnet")}
    assert {"*", "?"} <= marks and "* runs   ? is tried beside it" in listed
    assert "ended by hand" in call("rollback", *store).output
    assert "ended by hand" in call("list", *store).output.partition("last: ")[2]
    nothing = call("rollback", *store)
    assert nothing.exit_code == 2 and "nothing to go back to" in nothing.output
    folder = shelf.installed()[0].path.parent.name
    shown = [line for line in call("list", *store).output.splitlines() if "installed" in line]
    assert shown and max(map(len, shown)) <= 80
    wrong = call("remove", SHIPPED.manifest.name, *store)
    assert wrong.exit_code == 2 and f"there is {folder}" in wrong.output.replace("\n", " ")
    assert call("remove", folder, *store).exit_code == 0
    assert shelf.installed() == []
    assert call("remove", folder, *store).exit_code == 2


def test_one_that_takes_over_at_once_runs_from_the_next_start_on(
    archive: Path, shelf: Shelf
) -> None:
    store = ["--store", shelf.folder.parent]
    before = str(SHIPPED.path)
    for variant in ("int8", "float16"):
        given = ["--sha256", digest(archive), "--variant", variant, "--now"]
        done = call("install", archive, *given, *store)
        assert done.exit_code == 0 and "takes over between two items" in done.output
        network, _ = shelf.start(Model())
        assert network.model.variant == variant and shelf.state().trial is None
        models = json.loads(call("list", "--json", *store).output)["models"]
        [running] = (m["file"] for m in models if m["state"] == "running")
        assert f"lies in {Path(running).parent}" in done.output
        assert before in [m["file"] for m in models if m["state"] == "before"]
        before = running
    lines = [line.split() for line in call("list", *store).output.splitlines()]
    marked = {(words[0], words[-1]) for words in lines if words[0] in "*<?"}
    assert marked >= {("*", "installed"), ("<", "installed"), ("<", "trashbin")}


@pytest.mark.parametrize(
    "given", ["list", "rollback", "remove 123456", f"install {SHIPPED.path} --sha256 {'0' * 64}"]
)
def test_a_store_that_is_not_there_is_told_and_not_made(given: str, tmp_path: Path) -> None:
    done = call(*given.split(), "--store", tmp_path / "misspelt")
    assert done.exit_code == 2 and "There is no event store in" in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_digest_that_list_shows_removes_it(archive: Path, shelf: Shelf) -> None:
    store = ["--store", shelf.folder.parent]
    call("install", archive, "--sha256", digest(archive), *store)
    digits = shelf.installed()[0].id.sha256[:12]
    assert "is tried" in call("remove", digits, *store).output
    call("rollback", *store)
    assert call("remove", digits[:5], *store).exit_code == 2
    assert call("remove", digits, *store).exit_code == 0 and shelf.installed() == []


def test_one_that_is_not_ours_to_delete_is_told(
    archive: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = install(archive, shelf).file.partition("/")[0]

    def no(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", no)
    done = call("remove", folder, "--store", shelf.folder.parent)
    assert done.exit_code == 2 and f"{folder}: cannot be deleted" in done.output
    monkeypatch.undo()
    install(archive, shelf)
    assert left(shelf) == ["lock", folder], "what was cut off is swept"


def test_usage_is_told(archive: Path, shelf: Shelf) -> None:
    store = ["--store", shelf.folder.parent]
    assert call("install", archive, *store).exit_code == 2
    assert "64 of the digits" in call("install", archive, "--sha256", "abc", *store).output
    wrong = call("install", archive, "--sha256", "0" * 64, *store)
    assert wrong.exit_code == 2 and "nothing was installed" in wrong.output
    unreachable = call("install", "http://127.0.0.1:9/m.zip", "--sha256", "0" * 64, *store)
    assert unreachable.exit_code == 3 and "cannot be fetched" in unreachable.output


@pytest.mark.parametrize("target", ["nowhere/m.zip", "."])
def test_a_package_that_cannot_be_written_is_told(tmp_path: Path, target: str) -> None:
    done = call("pack", SHIPPED.manifest.name, tmp_path / target)
    assert done.exit_code == 2 and "cannot be written" in done.output


def test_a_package_holds_every_variant(tmp_path: Path) -> None:
    done = call("pack", f"{SHIPPED.manifest.name}:float16", tmp_path / "m.zip")
    assert done.exit_code == 2 and "--variant float16" in done.output.replace("\n", " ")
    assert not list(tmp_path.iterdir())


def test_packed_is_what_installs(tmp_path: Path, shelf: Shelf) -> None:
    target = tmp_path / "packed.zip"
    digest_, name = call("pack", SHIPPED.manifest.name, target).output.split()
    assert digest_ == digest(target) and Path(name) == target
    install(target, shelf, digest_)
    shutil.rmtree(shelf.folder)
