"""``install.sh`` in a fresh Debian: one command, twice, an upgrade, and gone again.

The tests of a tree build on each other, in this order.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer

import pytest

from tests.install.conftest import PATH, Tree
from tests.support_processes import mosquitto

DATA = ("etc/trashbin", "etc/credstore", "var/lib/trashbin")
PREFIXES = tuple(f"./{path}" for path in DATA)
ABSENT = {"camera", "gpio", "systemd", "watchdog"}
# Raspberry Pi's own archive has them, which can't be reached here
ABSENT_PACKAGES = {
    "bookworm": ["python3-picamera2"],
    "trixie": ["python3-picamera2", "python3-lgpio"],
}
NUMPY = {"bookworm": "1.26.", "trixie": "2."}

ENABLED = "/etc/systemd/system/multi-user.target.wants/trashbin.service"
EXTRAS = ("--with", "hardware-pwm", "--with", "pca9685")
LIBRARIES = (
    "from importlib.util import find_spec as found; "
    "assert all(map(found, ('adafruit_pca9685', 'adafruit_extended_bus', 'rpi_hardware_pwm')))"
)

pytestmark = pytest.mark.trees


@pytest.fixture(scope="module")
def before(tree: Tree) -> dict[str, str]:
    """The tree as it was."""
    return tree.listing()


@pytest.fixture(scope="module")
def installed(tree: Tree, before: dict[str, str]) -> dict[str, str]:
    """The tree after one command, typed while another apt is still at work."""
    with busy_apt(tree.root):
        tree.said["install"] = tree.ok("./install.sh")
    return tree.listing()


@contextmanager
def busy_apt(root: Path) -> Iterator[None]:
    """apt's locks are held for some seconds, that of the packages longer than that of its lists."""
    locks = [root / path for path in ("var/lib/apt/lists/lock", "var/lib/dpkg/lock-frontend")]
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("a")) for path in locks]
        for file in files:
            fcntl.lockf(file, fcntl.LOCK_EX)
        for after, file in zip((3.0, 30.0), files, strict=True):
            timer = Timer(after, fcntl.lockf, (file, fcntl.LOCK_UN))
            timer.start()
            stack.callback(timer.join)
        yield


def test_a_32_bit_system_is_refused_with_the_reason_and_left_alone(
    tree: Tree, before: dict[str, str]
) -> None:
    fake = tree.root / "src" / "fake"
    fake.mkdir()
    (fake / "dpkg").write_text("#!/bin/sh\necho armhf\n")
    (fake / "dpkg").chmod(0o755)
    done = tree.run("./install.sh", variables={"PATH": "/src/fake:/usr/sbin:/usr/bin:/sbin:/bin"})
    assert done.returncode == 1
    assert "32-bit" in done.stderr
    assert "64-bit Raspberry Pi OS" in done.stderr
    assert tree.listing() == before
    shutil.rmtree(fake)


KILLED = """\
#!/bin/sh
/usr/bin/apt-get "$@"
status=$?
case " $* " in *" install -y "*) kill -9 $PPID ;; esac
exit $status
"""


def test_what_a_run_that_was_killed_added_goes_too(tree: Tree, before: dict[str, str]) -> None:
    """As apt was done, and nothing of it was written down yet."""
    fake = tree.root / "src" / "fake"
    fake.mkdir(exist_ok=True)
    (fake / "apt-get").write_text(KILLED)
    (fake / "apt-get").chmod(0o755)
    try:
        done = tree.run("./install.sh", variables={"PATH": f"/src/fake:{PATH}"})
    finally:
        shutil.rmtree(fake)
    assert done.returncode == -9, done.stderr
    assert "install ok installed" in tree.ok("dpkg-query", "-s", "python3-venv")
    tree.ok("./install.sh", "--uninstall")
    if "./etc/hosts" not in before:  # netbase's: it stays, as a person may have written it since
        (tree.root / "etc/hosts").unlink(missing_ok=True)
    assert tree.listing() == before


def test_one_command_installs(tree: Tree, installed: dict[str, str]) -> None:
    assert "waiting   for another apt" in tree.said["install"]
    assert "Installed. Next: sudo trashbin setup" in tree.said["install"]
    for package in ABSENT_PACKAGES[tree.release]:
        assert f"{package} is not in this machine's archives" in tree.said["install"]
    assert tree.ok("trashbin", "--version").startswith("trashbin, version")
    assert "kind: v4l2" in tree.ok("grep", "-E", "^  kind: ", "/etc/trashbin/trashbin.yaml")
    groups = tree.ok("id", "-nG", "trashbin").split()
    assert {"trashbin", "gpio", "video", "render"} <= set(groups)
    for path, mode in (
        ("./etc/credstore", "drwx------ root"),
        ("./var/lib/trashbin", "drwxr-x--- trashbin"),
        ("./etc/trashbin/trashbin.yaml", "-rw-r--r-- root"),
    ):
        assert mode in installed[path]


def test_a_second_run_changes_nothing(tree: Tree, installed: dict[str, str]) -> None:
    assert "Nothing to change" in tree.ok("./install.sh")
    assert tree.listing() == installed


def test_the_doctor_finds_absent_what_a_tree_lacks_and_all_else_good(
    tree: Tree, installed: dict[str, str], tmp_path: Path
) -> None:
    """With a Mosquitto on a loopback that nobody else has."""
    script = tmp_path / "beside.sh"
    script.write_text(
        "ip link set lo up || exit 9\n"
        f"{mosquitto()} -p 1883 >/dev/null 2>&1 & broker=$!\n"
        "sleep 1\n"
        'trap "kill $broker" EXIT\n"$@"\n'
    )
    command = tree.command("trashbin", "doctor", "--json", "--wait", "0")
    done = subprocess.run(
        ["unshare", "--net", "sh", str(script), *command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = json.loads(done.stdout)
    levels = {check["check"]: check["level"] for check in told["checks"]}
    assert {name for name, level in levels.items() if level != "good"} == ABSENT
    assert all(c["found"].startswith("absent") for c in told["checks"] if c["check"] in ABSENT)
    assert all(c["means"] and c["do"] for c in told["checks"] if c["level"] != "good")
    assert levels["broker publish"] == levels["model answers"] == levels["account"] == "good"
    assert done.returncode == 3  # no camera, no pins
    assert tree.listing() == installed  # looking changes nothing


def test_systemd_finds_no_fault_in_what_was_installed(
    tree: Tree, installed: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("make test-install needs systemd-analyze: sudo apt-get install systemd")
    # the tree has no systemd, whose targets the unit pulls in
    copy = tmp_path / "root"
    for path in ("etc/systemd", "opt/trashbin/bin"):
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", str(tree.root / path), str(copy / path)], check=True)
    units = copy / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    for target in ("basic", "multi-user", "shutdown", "sysinit", "slices", "sockets", "timers"):
        (units / f"{target}.target").write_text("[Unit]\n")
    (units / "paths.target").write_text("[Unit]\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--root={copy}", "--man=no", "trashbin.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    enabled = tree.root / ENABLED.removeprefix("/")
    assert enabled.is_symlink()
    assert enabled.exists()


def test_the_systems_own_extensions_load_beside_the_locked_numpy(
    tree: Tree, installed: dict[str, str]
) -> None:
    """Bottleneck, as Debian built it, for picamera2's simplejpeg, which is not to be had here."""
    version = tree.ok("/opt/trashbin/bin/python", "-c", "import numpy; print(numpy.__version__)")
    assert version.startswith(NUMPY[tree.release])
    script = (
        "set -e; cd /src && mkdir -p probe && cd probe && apt-get download -q python3-bottleneck"
        " >/dev/null && dpkg-deb -x python3-bottleneck*.deb . &&"
        " PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=usr/lib/python3/dist-packages"
        " /opt/trashbin/bin/python -c 'import bottleneck, cv2, numpy;"
        " print(bottleneck.nanmean(numpy.ones(3)))'"
    )
    # apt drops its rights, and could not write there
    assert tree.ok("sh", "-c", f"mkdir -p probe && chmod 777 probe; {script}").strip() == "1.0"


def test_the_library_of_an_optional_part_is_added_with_what_the_unit_must_leave_open(
    tree: Tree, installed: dict[str, str]
) -> None:
    done = tree.run("./install.sh", "--with", "pca9865")
    assert (done.returncode, "no extra pca9865" in done.stderr) == (1, True)
    assert tree.listing() == installed
    assert "with hardware-pwm pca9685" in tree.ok("./install.sh", *EXTRAS)
    tree.ok("/opt/trashbin/bin/python", "-c", LIBRARIES)
    drop_ins = tree.root / "etc/systemd/system/trashbin.service.d"
    assert {file.name for file in drop_ins.iterdir()} == {"60-pca9685.conf", "60-hardware-pwm.conf"}
    assert tree.ok("getent", "group", "i2c")
    assert "Nothing to change" in tree.ok("./install.sh")
    assert "Nothing to change" in tree.ok("./install.sh", *EXTRAS)


def test_an_upgrade_keeps_the_configuration_the_events_and_the_libraries(
    tree: Tree, installed: dict[str, str]
) -> None:
    tree.ok("rm", ENABLED)  # as ``systemctl disable`` does
    config = tree.root / "etc/trashbin/trashbin.yaml"
    text = config.read_text().replace("name: Bin in the hall", "name: Bin at the gate")
    config.write_text(text)
    store = tree.root / "var/lib/trashbin/events.sqlite"
    store.write_bytes(b"events")
    module = tree.root / "src/trashbin/__init__.py"
    module.write_text(module.read_text() + "\n# a newer version\n")
    assert "written   /opt/trashbin" in tree.ok("./install.sh")
    assert config.read_text() == text
    assert store.read_bytes() == b"events"
    events = "/var/lib/trashbin/events.sqlite"
    assert tree.ok("stat", "-c", "%U", events).strip() == "trashbin"
    tree.ok("/opt/trashbin/bin/python", "-c", LIBRARIES)
    shipped = "/opt/trashbin/lib/python3*/site-packages/trashbin/__init__.py"
    assert "# a newer version" in tree.ok("sh", "-c", f"cat {shipped}")
    said = tree.ok("./install.sh")
    assert "Nothing to change" in said and "does not start at boot: sudo systemctl enable" in said
    tree.ok("ln", "-s", "../trashbin.service", ENABLED)


@pytest.fixture
def systemctl(tree: Tree) -> Iterator[Callable[[], list[str]]]:
    """What it was called with. It says that the bin starts, which takes it a minute."""
    running = tree.root / "run/systemd/system"
    running.mkdir(parents=True)
    program = tree.root / "usr/local/bin/systemctl"
    program.write_text(
        '#!/bin/sh\necho "$*" >>/run/systemd/calls\n[ $1 != is-active ] || echo activating\n'
    )
    program.chmod(0o755)
    yield lambda: (running.parent / "calls").read_text().splitlines()
    program.unlink()
    shutil.rmtree(running.parent)


def test_a_version_that_does_not_start_leaves_the_old_one_at_work(
    tree: Tree, installed: dict[str, str], systemctl: Callable[[], list[str]]
) -> None:
    with tree.altered("__init__.py", "raise SystemExit(3)"):
        done = tree.run("./install.sh")
    assert (done.returncode, "does not start" in done.stderr) == (1, True)
    assert tree.ok("trashbin", "--version").startswith("trashbin, version")
    assert systemctl()[-2:] == ["stop trashbin", "start --no-block trashbin"]
    assert "restored" in done.stdout and not (tree.root / "opt/trashbin.old").exists()


def test_a_bin_that_does_not_start_with_a_new_unit_is_tried_on(
    tree: Tree, installed: dict[str, str], systemctl: Callable[[], list[str]]
) -> None:
    """There is no old version to go back to, and what keeps it may pass."""
    program = tree.root / "usr/local/bin/systemctl"
    program.write_text(f"{program.read_text()}[ $1 != restart ]\n")
    unit = tree.root / "src/systemd/trashbin.service"
    sound = unit.read_text()
    unit.write_text(f"{sound}# of another version\n")
    done = tree.run("./install.sh")
    unit.write_text(sound)
    assert (done.returncode, "the bin does not start; why" in done.stderr) == (1, True)
    assert systemctl()[-3:] == ["restart trashbin", "stop trashbin", "start --no-block trashbin"]
    assert not (tree.root / "usr/local/share/trashbin/stopped").exists()
    program.write_text(program.read_text().replace("[ $1 != restart ]\n", ""))
    assert "restarted" in tree.ok("./install.sh")


def test_without_room_for_two_versions_it_says_so_and_stops_nothing(
    tree: Tree, installed: dict[str, str], systemctl: Callable[[], list[str]]
) -> None:
    script = """
        size=$(du -sm /opt/trashbin | cut -f1)
        mount -t tmpfs -o size=$((size + 200))m tmpfs /mnt
        cp -a /opt/trashbin /mnt && mount --bind /mnt /opt && ./install.sh
        status=$?; trashbin --version; exit $status
    """
    with tree.altered("__init__.py", "# a version for which there is no room"):
        done = tree.run("sh", "-c", script)
    assert done.returncode == 1
    assert re.search(r"needs \d{3} MB in /opt, and \d+ MB are free there; nothing", done.stderr)
    assert "trashbin, version" in done.stdout
    assert set(systemctl()) == {"is-active trashbin"}


def test_one_that_was_cut_off_is_made_good_by_the_next(
    tree: Tree, installed: dict[str, str], systemctl: Callable[[], list[str]]
) -> None:
    """As the power does: between the steps of an upgrade, and of a library that was added."""
    venv = tree.root / "opt/trashbin"
    venv.rename(f"{venv}.old")
    venv.mkdir()
    settings = tree.root / "opt/trashbin.old/pyvenv.cfg"
    settings.write_text(settings.read_text().replace("packages = true", "packages = false"))
    (tree.root / "usr/local/share/trashbin/stopped").touch()
    assert "restored" in tree.ok("./install.sh")
    assert "packages = true" in (venv / "pyvenv.cfg").read_text()
    assert systemctl()[-1] == "restart trashbin"


def test_a_unit_that_cannot_be_written_is_told(tree: Tree, installed: dict[str, str]) -> None:
    script = """
        mount -t tmpfs -o size=4k tmpfs /etc/systemd/system
        head -c 4096 /dev/zero >/etc/systemd/system/full
        ./install.sh
    """
    done = tree.run("sh", "-c", script)
    assert (done.returncode, "trashbin.service could not be written" in done.stderr) == (1, True)


def test_without_a_network_the_old_version_stays(tree: Tree, installed: dict[str, str]) -> None:
    module = tree.root / "src/trashbin/__init__.py"
    module.write_text(module.read_text() + "\n# the newest version\n")
    done = tree.run("./install.sh", offline=True)
    assert done.returncode != 0
    assert "nothing was changed" in done.stderr
    assert tree.ok("trashbin", "--version").startswith("trashbin, version")


def test_uninstall_says_so_where_something_runs_as_its_user_and_goes_on_once_it_has_ended(
    tree: Tree, installed: dict[str, str]
) -> None:
    script = """
        setpriv --reuid=trashbin --clear-groups sleep 60 & p=$!
        until [ "$(stat -c %U /proc/$p)" = trashbin ]; do sleep 0.1; done
        ./install.sh --uninstall; status=$?; kill $p; exit $status
    """
    done = tree.run("sh", "-c", script)
    assert (done.returncode, "user trashbin is still needed" in done.stderr) == (1, True)
    assert tree.ok("getent", "passwd", "trashbin")


def test_uninstall_leaves_data_and_takes_all_else(
    tree: Tree, before: dict[str, str], installed: dict[str, str]
) -> None:
    said = tree.ok("./install.sh", "--uninstall")
    assert "--purge removes them" in said
    assert tree.listing(without=DATA) == {
        path: what for path, what in before.items() if not path.startswith(PREFIXES)
    }
    for kept in ("etc/trashbin/trashbin.yaml", "var/lib/trashbin/events.sqlite"):
        assert (tree.root / kept).is_file()


def test_purge_takes_the_data_too(tree: Tree, before: dict[str, str]) -> None:
    tree.ok("./install.sh", "--uninstall", "--purge")
    assert tree.listing() == before
