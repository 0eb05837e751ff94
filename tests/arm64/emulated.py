"""An emulated Pi: Debian's own Python for arm64 under qemu-user, with the wheels that are locked.

Everything lies in .cache/arm64 and is made once, without root: qemu 10 (older ones crash the
network's runtime) and the Debian packages by apt, in lists of its own, the wheels by pip. No
chroot: qemu looks below the tree for what is there, and on this machine for the rest.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "arm64"
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

PYTHON = {"bookworm": "3.11", "trixie": "3.13"}
# a Pi 3B+'s or Zero 2 W's, and a Pi 5's. qemu's own choice can do what no Pi can, and OpenBLAS's
# kernels for that (SME) multiply wrongly under qemu
PROCESSOR = {"bookworm": "cortex-a53", "trixie": "cortex-a76"}
GLIBC = {"bookworm": 36, "trixie": 41}  # 2.x: which wheels the release can load
PACKAGES = {
    "bookworm": ["python3", "libstdc++6", "tzdata"],
    "trixie": ["python3", "libstdc++6", "tzdata"],
}
TESTED_WITH = ("pytest", "hypothesis", "jsonschema[format]", "amqtt")  # beside the release's lock

NEEDS = (
    "make test-arm64 needs apt-get, dpkg-deb and Debian's keyring: on Debian they are there, "
    "on Ubuntu: sudo apt-get install debian-archive-keyring"
)


class CannotBeMade(Exception):
    """A tree cannot be made; the message says what is missing."""


@dataclass(frozen=True)
class Emulated:
    """Python of one release on arm64, in which this checkout is imported."""

    release: str
    folder: Path

    @property
    def python(self) -> Path:
        """A program that is that Python."""
        return self.folder / "python"

    def variables(self) -> dict[str, str]:
        """What a process needs to be the emulated bin: its wheels, then this checkout."""
        path = (self.folder / "hook", self.folder / "site", ROOT)
        bytecode = {"PYTHONPYCACHEPREFIX": str(self.folder / "pycache")}  # it pays off here
        without = {key: v for key, v in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        one = {"OPENBLAS_NUM_THREADS": "1"}  # threads that wait for each other spin, emulated
        return without | bytecode | one | {"PYTHONPATH": os.pathsep.join(map(str, path))}

    def start(self, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
        """The emulated Python at work, its output in ``log``."""
        with log.open("wb") as output:
            return subprocess.Popen(
                [str(self.python), *arguments],
                cwd=ROOT,
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The emulated Python to its end."""
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=ROOT,
            env=self.variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def made(release: str) -> Emulated:
    """The emulated bin of a release, from the cache where it is there. CannotBeMade else."""
    emulated = Emulated(release, CACHE / release)
    emulated.folder.mkdir(parents=True, exist_ok=True)
    qemu = _qemu()
    _once(emulated.folder / "root", " ".join([MIRROR, *PACKAGES[release]]), _debian(release))
    lock = (ROOT / f"requirements-{release}.lock").read_text(encoding="utf-8")
    wanted = f"{lock}\n{_tested_with(lock)}"
    _once(emulated.folder / "site", wanted, _wheels(release, wanted))
    root = emulated.folder / "root"
    program = root / "usr" / "bin" / f"python{PYTHON[release]}"
    processor = PROCESSOR[release]
    emulated.python.write_text(
        f'#!/bin/sh\nexec "{qemu}" -cpu {processor} -L "{root}" "{program}" "$@"\n'
    )
    emulated.python.chmod(0o755)
    hook = emulated.folder / "hook"
    hook.mkdir(exist_ok=True)
    # the processes that Python starts are to be emulated, too
    (hook / "sitecustomize.py").write_text(
        f"import sys\n\nsys.executable = {str(emulated.python)!r}\n"
    )
    return emulated


def _once(folder: Path, wanted: str, make: object) -> None:
    """Make a folder anew, unless it was made of just that."""
    stamp = folder.with_name(f"{folder.name}.made-of")
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    if folder.is_dir() and stamp.is_file() and stamp.read_text() == digest:
        return
    print(f"making {folder.relative_to(ROOT)} (once) ...", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    assert callable(make)
    make(folder)
    stamp.write_text(digest)


def _qemu() -> Path:
    """qemu-aarch64 of Trixie, which runs on any Linux: it is linked statically."""
    folder = CACHE / "qemu"
    machine = _output("dpkg", "--print-architecture").strip()

    def make(into: Path) -> None:
        apt = into.with_name("qemu.apt")
        into.mkdir()
        for package in _downloaded("trixie", machine, apt, ["qemu-user"]):
            if package.name.startswith("qemu-user_"):
                _unpack(package, into, "./usr/bin/qemu-aarch64")
        shutil.rmtree(apt)

    CACHE.mkdir(parents=True, exist_ok=True)
    _once(folder, f"{MIRROR} {machine}", make)
    return folder / "usr" / "bin" / "qemu-aarch64"


def _debian(release: str) -> object:
    def make(root: Path) -> None:
        root.mkdir()
        for name in ("bin", "lib", "sbin"):  # as Debian has them
            (root / "usr" / name).mkdir(parents=True)
            (root / name).symlink_to(f"usr/{name}")
        apt = root.with_name("apt")
        for package in _downloaded(release, "arm64", apt, PACKAGES[release]):
            _unpack(package, root)
        shutil.rmtree(apt)

    return make


def _unpack(package: Path, into: Path, *members: str) -> None:
    """A package's files, or those named. Debian's symlinks at the top stay what they are."""
    with subprocess.Popen(
        ["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as reader:
        assert reader.stdout is not None
        keep = ("--keep-directory-symlink", "--no-same-owner", "--no-same-permissions")
        command = ["tar", "-x", "-C", str(into), *keep, *members]
        done = subprocess.run(command, stdin=reader.stdout, check=False)
    if done.returncode != 0 or reader.returncode != 0:
        raise CannotBeMade(f"{package} cannot be unpacked")


def _downloaded(release: str, machine: str, folder: Path, packages: Sequence[str]) -> list[Path]:
    """The packages and all that they depend on, as files; this system's apt isn't touched."""
    if not KEYRING.is_file():
        raise CannotBeMade(NEEDS)
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {MIRROR} {release} main\n")
    settings = folder / "apt.conf"
    settings.write_text(
        f'APT::Architecture "{machine}";\n'
        f'APT::Architectures {{ "{machine}"; }};\n'
        f'Dir::State "{folder}";\n'
        f'Dir::State::status "{folder}/status";\n'
        f'Dir::State::lists "{folder}/lists";\n'
        f'Dir::Cache "{folder}/cache";\n'
        f'Dir::Etc::SourceList "{folder}/sources.list";\n'
        'Dir::Etc::SourceParts "-";\n'
        'APT::Install-Recommends "false";\n'
        'APT::Sandbox::User "root";\n'
    )
    own = os.environ | {"APT_CONFIG": str(settings)}
    _output("apt-get", "update", "-q", variables=own)
    _output("apt-get", "install", "-y", "-q", "--download-only", *packages, variables=own)
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def _wheels(release: str, wanted: str) -> object:
    def make(site: Path) -> None:
        requirements = site.with_name("requirements.txt")
        requirements.write_text(wanted, encoding="utf-8")
        platforms = [f"manylinux_2_{minor}_aarch64" for minor in range(GLIBC[release], 16, -1)]
        options = [f"--platform={platform}" for platform in [*platforms, "manylinux2014_aarch64"]]
        _output(
            *(sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"),
            *("--target", str(site), "--no-deps", "--require-hashes", "--no-compile"),
            "--ignore-requires-python",  # pip asks the Python that it runs on
            *("--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON[release]}"),
            *(*options, "-r", str(requirements)),
        )

    return make


def _tested_with(lock: str) -> str:
    """What the tests need and the release's lock has not, as requirements.lock pins it."""
    names: set[str] = set()
    todo = [Requirement(line) for line in TESTED_WITH]
    seen: set[tuple[str, str]] = set()
    while todo:
        one = todo.pop()
        name = canonicalize_name(one.name)
        for extra in ("", *sorted(one.extras)):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            names.add(name)
            needs = map(Requirement, importlib.metadata.requires(name) or [])
            todo += [n for n in needs if n.marker is None or n.marker.evaluate({"extra": extra})]
    names -= set(_pinned(lock))
    pins = _pinned((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    return "\n".join(pins[name] for name in sorted(names))


def _pinned(lock: str) -> dict[str, str]:
    """Each package of a lock file, with its lines."""
    blocks = re.findall(r"^[\w.-]+==.*(?:\n[ \t].*)*", lock, re.MULTILINE)
    return {canonicalize_name(block.partition("==")[0]): block for block in blocks}


def _output(*command: str, variables: Mapping[str, str] | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise CannotBeMade(f"there is no {command[0]} here. {NEEDS}")
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=variables,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise CannotBeMade(f"{' '.join(command[:4])} ...: status {done.returncode}\n{last}")
    return done.stdout
