"""Which interpreter of .tflite files is installed: ai-edge-litert, or tflite-runtime before it."""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

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


class Output:
    """One output tensor (1, N) of an interpreter, read as (N,) numbers of one type.

    Integers stand for (value - zero point) * scale, as the file says. Those of a byte are looked
    up: that takes a quarter of the time.
    """

    def __init__(self, detail: dict[str, Any], dtype: type[np.floating]) -> None:
        self.index: int = detail["index"]
        self._scale, self._zero = detail["quantization"]
        self._dtype = dtype
        stored = np.dtype(detail["dtype"])
        every = np.arange(256, dtype=np.uint8)
        self._of_byte = self._numbers(every.view(stored)) if stored.itemsize == 1 else None

    def read(self, interpreter: Any) -> npt.NDArray[Any]:
        """What the last invoke left there."""
        raw = interpreter.get_tensor(self.index)[0]
        if self._of_byte is None:
            return self._numbers(raw)
        return self._of_byte.take(raw.view(np.uint8))  # type: ignore[no-any-return]

    def _numbers(self, raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
        values = raw.astype(np.float64)
        if self._scale:
            values = (values - self._zero) * self._scale
        return values.astype(self._dtype)
