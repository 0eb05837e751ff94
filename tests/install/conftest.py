"""Debian trees, made by debootstrap and cached in .cache; systemd runs where one is booted.

Each test module gets a fresh copy, with the checked-out source in /src. Needs root,
debootstrap and Debian's mirror; whatever reaches the mirror and PyPI from here (apt's and
pip's own settings, certificates) is lent to the tree and is not part of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREES = ROOT / ".cache" / "trees"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LENT_CA = Path("/lent-ca.crt")
NETWORK = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")

# what apt and dpkg write of themselves, and what ldconfig does as they run
RECORDS = (
    *("var/lib/apt", "var/lib/dpkg", "var/cache/apt", "var/cache/debconf", "var/log/apt"),
    *("var/log/dpkg.log", "var/log/alternatives.log", "var/cache/ldconfig"),
)
OURS = ("proc", "src", "lent-ca.crt", "etc/apt/apt.conf.d/99lent", "etc/resolv.conf")


@dataclass
class Tree:
    """A Debian that one can be root in."""

    root: Path
    release: str
    said: dict[str, str] = field(default_factory=dict)

    def run(
        self,
        *command: str,
        stdin: int | None = subprocess.DEVNULL,
        offline: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """A command in the tree, from /src; ``offline`` leaves it a loopback of its own."""
        return subprocess.run(
            self.command(*command, offline=offline, variables=variables),
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    def command(
        self,
        *command: str,
        offline: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> list[str]:
        """The command line, with /proc mounted for as long as it runs."""
        inner = f'mount -t proc proc "{self.root}/proc" && exec chroot "{self.root}" "$@"'
        settings = self.settings(variables or {})
        unshare = ["unshare", "--mount", *(["--net"] if offline else [])]
        inside = ["/usr/bin/env", "-i", *settings, "/bin/sh", "-c", 'cd /src && exec "$@"', "sh"]
        return [*unshare, "/bin/sh", "-c", inner, "sh", *inside, *command]

    def settings(self, variables: Mapping[str, str]) -> list[str]:
        """A command's whole environment, for env(1)."""
        env = {"PATH": PATH, "HOME": "/root", "PIP_CERT": str(LENT_CA), "TERM": "xterm"}
        env |= {name: os.environ[name] for name in NETWORK if name in os.environ}
        return [f"{key}={value}" for key, value in (env | dict(variables)).items()]

    def ok(self, *command: str, **options: object) -> str:
        """The output of a command that must succeed."""
        done = self.run(*command, **options)  # type: ignore[arg-type]
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def altered(self, module: str, more: str) -> Iterator[None]:
        """Another version of the program lies in /src: ``more`` ends one of its modules."""
        path = self.root / "src" / "trashbin" / module
        sound = path.read_text()
        path.write_text(f"{sound}\n{more}\n")
        try:
            yield
        finally:
            path.write_text(sound)

    def listing(self, without: Sequence[str] = ()) -> dict[str, str]:
        """Every path with its kind, mode, owner and digest, but for what is not the tree's own."""
        left_out = {self.root / path for path in (*RECORDS, *OURS, *without)}
        found: dict[str, str] = {}
        owners = self.owners()
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if Path(folder, name) not in left_out]
            for path in (Path(folder, name) for name in [*folders, *files]):
                if path not in left_out:
                    found[f"./{path.relative_to(self.root)}"] = _described(path, owners)
        return found

    def owners(self) -> dict[int, str]:
        """The tree's own users by their numbers."""
        lines = (self.root / "etc/passwd").read_text().splitlines()
        return {int(line.split(":")[2]): line.split(":")[0] for line in lines}


def _described(path: Path, owners: Mapping[int, str]) -> str:
    status = path.lstat()
    owner = owners.get(status.st_uid, str(status.st_uid))
    what = f"{stat.filemode(status.st_mode)} {owner} {status.st_gid}"
    if path.is_symlink():
        return f"{what} {path.readlink()}"
    if stat.S_ISREG(status.st_mode):
        with path.open("rb") as file:
            return f"{what} {hashlib.file_digest(file, 'sha256').hexdigest()}"
    return what


def made(release: str) -> Path:
    """A fresh tree as debootstrap makes it, from the cache where it is there."""
    for program, package in (("debootstrap", "debootstrap"), ("unshare", "util-linux")):
        if shutil.which(program, path=f"{os.environ.get('PATH', '')}:{PATH}") is None:
            pytest.fail(f"make test-install needs {program}: sudo apt-get install {package}")
    if os.geteuid() != 0:
        pytest.fail("make test-install needs root, for debootstrap and chroot: sudo make ...")
    tree = TREES / release
    if not tree.is_dir():
        TREES.mkdir(parents=True, exist_ok=True)
        part = TREES / f"{release}.part"
        shutil.rmtree(part, ignore_errors=True)
        log = TREES / f"{release}.log"
        with log.open("w") as output:
            done = subprocess.run(
                ["debootstrap", "--variant=minbase", release, str(part), MIRROR],
                stdout=output,
                stderr=output,
                check=False,
            )
        assert done.returncode == 0, f"debootstrap {release} failed: see {log}"
        part.rename(tree)
    return tree


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def tree(request: pytest.FixtureRequest) -> Iterator[Tree]:
    """A fresh copy, with the source in /src and the way to the mirrors lent to it."""
    release = str(request.param)
    root = TREES / f"{release}.test"
    subprocess.run(["rm", "-rf", str(root)], check=True)
    subprocess.run(["cp", "-a", str(made(release)), str(root)], check=True)
    source = root / "src"
    source.mkdir()
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    packed = subprocess.run(
        ["tar", "-c", "--null", "-T", "-", "--ignore-failed-read"],
        cwd=ROOT,
        input=names,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x", "-C", str(source)], input=packed.stdout, check=True)
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / LENT_CA.relative_to("/"))
    lent = [
        line
        for file in sorted(Path("/etc/apt/apt.conf.d").glob("*"))
        for line in file.read_text(errors="replace").splitlines()
        if line.startswith("Acquire::")
    ]
    (root / "etc/apt/apt.conf.d/99lent").write_text("\n".join([*lent, ""]))
    yield Tree(root, release)
    subprocess.run(["rm", "-rf", str(root)], check=True)
