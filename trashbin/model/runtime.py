"""Which interpreter of .tflite files is installed: ai-edge-litert, or tflite-runtime before it."""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

from trashbin.errors import ModelError

# module of the interpreter -> distribution, in the order in which they are tried
RUNTIMES = {
    "ai_edge_litert.interpreter": "ai-edge-litert",
    "tflite_runtime.interpreter": "tflite-runtime",
}


@dataclass(frozen=True, slots=True)
class Runtime:
    """The installed interpreter package."""

    name: str
    version: str
    module: Any


def runtime(prefer: str | None = None) -> Runtime:
    """Import ai-edge-litert, or else tflite-runtime; ModelError says what to install."""
    for module, name in RUNTIMES.items():
        if prefer not in (None, name):
            continue
        try:
            return Runtime(name, importlib.metadata.version(name), importlib.import_module(module))
        except (importlib.metadata.PackageNotFoundError, ModuleNotFoundError):
            continue
    raise ModelError(
        f"no TFLite runtime is installed{f' under the name {prefer}' if prefer else ''}: "
        "pip install ai-edge-litert"
    )
