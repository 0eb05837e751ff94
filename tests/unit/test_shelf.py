"""Which installed model runs: through crashes, torn files and a full disk there is a way back."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from trashbin.errors import ModelError
from trashbin.model import state_file
from trashbin.model.manifest import find
from trashbin.model.shelf import BACK, STARTS, Ref, Shelf, State
from trashbin.settings import Model

SHIPPED = find()
CONFIGURED = "the configuration's"


def ref(name: str) -> Ref:
    return Ref(file=f"{name}/int8.tflite", sha256="0" * 64)


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network itself is tried elsewhere."""
    monkeypatch.setattr(Shelf, "open", lambda self, ref, section: ref.file if ref else CONFIGURED)


def test_without_an_update_the_configuration_holds(shelf: Shelf) -> None:
    assert shelf.start(Model()) == (CONFIGURED, [])
    assert not shelf.folder.exists(), "looking changes nothing"


def test_one_that_another_process_never_stops_changing_is_told(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bin's loop would have waited for a command that somebody stopped with Ctrl-Z."""
    monkeypatch.setattr(state_file, "CHANGED_S", 0.0)
    with (
        shelf.locked(),
        pytest.raises(ModelError, match=f"is being changed .process {os.getpid()} has had"),
    ):
        shelf.switch(ref("m"), "")
    shelf.switch(ref("m"), "")
    assert shelf.state().active == ref("m")


def test_each_change_can_be_taken_back_up_to_a_limit(shelf: Shelf) -> None:
    for number in range(BACK + 2):
        shelf.switch(ref(f"m{number}"), "")
    for number in reversed(range(1, BACK + 1)):
        shelf.go_back("")
        assert shelf.state().active == ref(f"m{number}")
    shelf.go_back("")
    assert shelf.state() == State(told=shelf.state().told)
    with pytest.raises(ModelError, match="nothing to go back to"):
        shelf.go_back("")


def test_the_way_back_from_a_model_that_ran_already_is_the_one_before_it(shelf: Shelf) -> None:
    shelf.switch(ref("m"), "")
    shelf.switch(ref("m"), "installed once more")
    shelf.go_back("")
    assert shelf.state().active is None


def test_a_new_model_that_ends_the_process_is_taken_back(shelf: Shelf) -> None:
    shelf.switch(ref("good"), "")
    shelf.judged()
    shelf.switch(ref("bad"), "")
    for _ in range(STARTS):
        assert shelf.start(Model()) == ("bad/int8.tflite", [])
    network, (told,) = shelf.start(Model())
    assert network == "good/int8.tflite"
    assert f"started {STARTS} times with it and judged no item" in told
    for _ in range(STARTS + 2):
        assert shelf.start(Model()) == ("good/int8.tflite", []), "that one is not new"


def test_one_that_cannot_be_opened_any_more_is_taken_back(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def torn(self: Shelf, ref: Ref | None, section: Model) -> str:
        if ref is None:
            return CONFIGURED
        raise ModelError(f"{ref.file} is torn")

    shelf.switch(ref("one"), "")
    shelf.switch(ref("two"), "")
    monkeypatch.setattr(Shelf, "open", torn)
    network, told = shelf.start(Model())
    assert network == CONFIGURED
    assert [("two" in told[0]), ("one" in told[1])] == [True, True]
    monkeypatch.setattr(Shelf, "change", lambda *_: (_ for _ in ()).throw(ModelError("full")))
    shelf.state()
    assert shelf.start(Model())[0] == CONFIGURED


def test_an_update_at_once_is_taken_as_the_bin_starts(shelf: Shelf) -> None:
    shelf.begin_trial(ref("new"), 0)
    network, (told,) = shelf.start(Model())
    assert network == "new/int8.tflite" and "without a trial" in told
    assert shelf.state().trial is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"active": {"file": "../../etc/passwd"}}'])
def test_a_damaged_state_is_no_state(shelf: Shelf, content: str) -> None:
    shelf.switch(ref("one"), "")
    (shelf.folder / "state.json").write_text(content)
    assert shelf.state() == State()


def test_a_shelf_that_is_not_ours_to_read_is_told(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: Path, pattern: str) -> None:  # as for everybody but root and the bin's user
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "glob", closed)
    with pytest.raises(ModelError, match="use sudo"):
        shelf.installed()


def test_an_exchanged_file_is_noticed(shelf: Shelf) -> None:
    shelf.folder.mkdir()
    (shelf.folder / "model").symlink_to(SHIPPED.path.parent)
    file = f"model/{SHIPPED.path.name}"
    assert shelf.find(Ref(file=file, sha256=SHIPPED.id.sha256)).id == SHIPPED.id
    with pytest.raises(ModelError, match="another digest"):
        shelf.find(Ref(file=file, sha256="0" * 64))


@pytest.mark.parametrize("name", ["lock", ".state.json.part"])
def test_no_link_that_the_daemons_user_laid_leads_root_to_another_file(
    shelf: Shelf, name: str
) -> None:
    secret = shelf.folder.with_name("shadow")
    secret.write_text("root's own")
    shelf.folder.mkdir()
    (shelf.folder / name).symlink_to(secret)
    with pytest.raises(ModelError, match="cannot be written"):
        shelf.switch(ref("m"), "")
    assert secret.read_text() == "root's own"


def test_what_root_gives_away_is_never_what_a_link_leads_to(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {}

    def chown(path: Path, user: int, group: int, *, follow_symlinks: bool = True) -> None:
        given[path.name] = (user, group, follow_symlinks)

    if os.geteuid() == 0:
        os.chown(shelf.folder.parent, 4242, 4242)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("os.chown", chown)
    shelf.switch(ref("m"), "")
    owner = shelf.folder.parent.stat()
    wanted = (owner.st_uid, owner.st_gid, False)
    assert given == dict.fromkeys(("models", "lock", "state.json"), wanted)
