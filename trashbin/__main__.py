"""``python -m trashbin`` is ``trashbin``."""

from trashbin.cli import main

main(prog_name="trashbin")
