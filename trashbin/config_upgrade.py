"""A configuration of an older version, rewritten for this one; the old file is kept beside it.

There has been one version so far, so ``STEPS`` is empty. The next one adds its own: from the
version that it reads, a function from the file's text to the text of the version after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from trashbin import whole_file
from trashbin.errors import ConfigError

CURRENT = 1
VERSION = re.compile(r"^version:\s*(\d+)", re.MULTILINE)

Step = Callable[[str], str]
STEPS: Mapping[int, Step] = {}


def upgrade(file: Path, steps: Mapping[int, Step] = STEPS, current: int = CURRENT) -> Path | None:
    """Rewrite an older file, comments and all; where the old one is kept, or None if nothing was.

    A file without a version, or that cannot be read, is left to ``check-config``. ConfigError where
    the file is of a newer trashbin, of a version that no step reads, or cannot be written.
    """
    try:
        text = file.read_text(encoding="utf-8") if file.is_file() else ""  # no device's: no end
    except (OSError, UnicodeDecodeError):
        return None
    found = VERSION.search(text)
    if found is None or int(found[1]) == current:
        return None
    version = int(found[1])
    if version > current:
        raise ConfigError(
            f"{file}: version {version} is of a newer trashbin; this one knows {current}."
            " Install that one again, or begin afresh: sudo trashbin setup"
        )
    new = text
    for number in range(version, current):
        if number not in steps:
            raise ConfigError(f"{file}: nothing leads on from version {number}")
        new = VERSION.sub(f"version: {number + 1}", steps[number](new), count=1)
    kept = file.with_name(f"{file.name}.version-{version}")
    try:
        kept.write_text(text, encoding="utf-8")
        whole_file.write(file, new, file.stat().st_mode & 0o777)
    except OSError as error:
        raise ConfigError(f"{file} cannot be rewritten: {error}. Use sudo.") from error
    return kept
