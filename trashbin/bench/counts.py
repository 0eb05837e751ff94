"""What a frame costs, counted instead of timed: the same on every machine.

The scene model, sharpness and place of a thing, and the preprocessing run once, on arrays and on
an OpenCV that note what each call reads, writes and reckons. The network's layers are read from its
file.
Arithmetic is that of a plain implementation: OpenCV's own may take less.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import click
import cv2
import numpy as np

from trashbin import changes, preprocess, scene, settings
from trashbin.leases import Leases
from trashbin.model import golden, manifest
from trashbin.model.runtime import runtime
from trashbin.quiet import quiet
from trashbin.types import Frame

WIDTH, HEIGHT = 320, 240  # what a Pi camera gives, with a stream for the scene model beside it
LARGE = 64 * 1024  # bytes; an allocation that is told
LEARNED, SETTLED = 3, 4  # frames of the empty tray, and of an item until it lies still


@dataclass
class Tally:
    """Sums over calls. ``bytes_moved`` is what they read and write, caches left out of account."""

    multiply_adds: int = 0  # or one of the two, or a division
    comparisons: int = 0
    bytes_moved: int = 0
    large_allocations: int = 0

    def note(self, reads: list[Any], writes: list[Any], cost: tuple[float, float]) -> None:
        """One call, with its multiply-adds and comparisons."""
        self.multiply_adds += round(cost[0])
        self.comparisons += round(cost[1])
        self.bytes_moved += sum(array.nbytes for array in (*reads, *writes))

    def less(self, other: Tally) -> Tally:
        """What this one has more."""
        return Tally(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


class Noted(np.ndarray[Any, Any]):
    """An array that tells the tally what is done with it."""

    tally: ClassVar[Tally] = Tally()

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (), **more: Any
    ) -> Any:
        given = {"out": tuple(map(_plain, out))} if out else {}
        plain = _plain(inputs)
        result = getattr(ufunc, method)(*plain, **given, **_plain(more))
        size = max(np.size(array) for array in (*plain, result))
        if ufunc is np.matmul:
            size = np.size(result) * plain[0].shape[-1]
        reckons, compares = UFUNCS[ufunc.__name__]
        _tell(inputs, result, (reckons * size, compares * size), out)
        return out[0] if out else _noted(result)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        plain = _plain(args)
        result = func(*plain, **_plain(kwargs))
        out = [kwargs["out"]] if "out" in kwargs else []
        if not out and any(np.may_share_memory(result, array) for array in _arrays(plain)):
            return _noted(result)  # another view of what there is
        reckons = FUNCTIONS.get(func.__name__, 0) * np.size(result)
        _tell(args, result, (reckons, 0), out)
        return out[0] if out else _noted(result)

    def __setitem__(self, key: Any, value: Any) -> None:
        here = self.view(np.ndarray)
        here[_plain(key)] = _plain(value)
        _tell([value], here[_plain(key)], (0, 0), [self])

    def copy(self, order: Any = "C") -> Any:
        """A copy that is noted, as a pass and as an array of its own."""
        result = self.view(np.ndarray).copy(order)
        _tell([self], result, (0, 0), [])
        return _noted(result)


class NotedLeases(Leases):
    """Leases of such arrays."""

    def __call__(self, *asked: Any) -> Any:
        """As of any leases."""
        return super().__call__(*asked).view(Noted)


class NotedCv2:
    """OpenCV, whose calls are noted; KeyError for one whose cost nobody has put down."""

    def __getattr__(self, name: str) -> Any:
        there = getattr(cv2, name)
        return there if not callable(there) else lambda *a, **k: self._call(name, a, k)

    def _call(self, name: str, args: tuple[Any, ...], more: dict[str, Any]) -> Any:
        result = getattr(cv2, name)(*_plain(args), **_plain(more))
        out = [more["dst"]] if "dst" in more else []
        reads: tuple[Any, ...] = args
        if name in PLACES:
            reads, out = args[:1], out + list(args[PLACES[name] :][:1])
        cost = OPENCV[name](*_plain(args), result=result, **_plain(more))
        turns = 2 if name == "morphologyEx" else 1  # two passes in one call
        for turn in range(turns):
            _tell(reads, result, cost if turn == 0 else (0, 0), out)
        return out[0] if out and out[0] is not None else _noted(result)


def _plain(value: Any) -> Any:
    if isinstance(value, Noted):
        return value.view(np.ndarray)
    if isinstance(value, tuple | list):
        return type(value)(map(_plain, value))
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _noted(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.view(Noted)
    return tuple(map(_noted, value)) if isinstance(value, tuple) else value


def _arrays(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return [value]
    return [a for v in value for a in _arrays(v)] if isinstance(value, tuple | list) else []


def _tell(reads: Any, result: Any, cost: tuple[float, float], out: Any) -> None:
    written = _arrays(result)
    Noted.tally.note(_arrays(list(reads)), written, cost)
    if not out:
        Noted.tally.large_allocations += sum(array.nbytes > LARGE for array in written)


def _each(reckons: float, compares: float = 0) -> Callable[..., tuple[float, float]]:
    """So many for each element of the result, or of the first array where that is a number."""

    def cost(first: Any, *rest: Any, result: Any, **more: Any) -> tuple[float, float]:
        size = result.size if isinstance(result, np.ndarray) else first.size
        return reckons * size, compares * size

    return cost


def _resize(
    first: Any, size: Any, *rest: Any, result: Any, interpolation: int, **more: Any
) -> tuple[float, float]:
    """INTER_AREA: each source pixel once for each result pixel that it lies in, by rows first.

    INTER_LINEAR, which only halves here: two pixels for each of the result.
    """
    (rows, columns), (width, height) = first.shape[:2], size
    if interpolation == cv2.INTER_LINEAR:
        return 2 * result.size, 0
    if interpolation != cv2.INTER_AREA or (rows, columns) == (height, width):
        return 0, 0
    across = columns + width - math.gcd(columns, width)
    down = rows + height - math.gcd(rows, height)
    return result.shape[-1] * (rows * across + down * width), 0


def _window(first: Any, *rest: Any, result: Any, **more: Any) -> tuple[float, float]:
    """Erosion or dilation: a rectangle by rows, then by columns; another shape point by point."""
    kernel = rest[-1]
    points = int(np.count_nonzero(kernel))
    compared = sum(kernel.shape) - 2 if points == kernel.size else points - 1
    return 0, compared * result.size


def _windows(*args: Any, **more: Any) -> tuple[float, float]:
    """Opening and closing are one of each."""
    reckons, compares = _window(*args, **more)
    return 2 * reckons, 2 * compares


# of the result's array, where it has no name
PLACES = {"resize": 2, "convertScaleAbs": 1, "LUT": 2, "accumulate": 1, "accumulateWeighted": 1}
OPENCV: Mapping[str, Callable[..., tuple[float, float]]] = {
    "resize": _resize,
    "GaussianBlur": _each(6),  # 3 x 3, by rows and columns
    "Sobel": _each(6),
    "addWeighted": _each(2),
    "scaleAdd": _each(1),
    "accumulate": _each(1),
    "absdiff": _each(1),
    "convertScaleAbs": _each(1),
    "subtract": _each(1),
    "reduce": lambda first, *rest, **more: (first.size, 0),
    "cvtColor": _each(3),
    "mean": _each(1),
    "compare": _each(0, 1),
    "max": _each(0, 1),
    "countNonZero": _each(0, 1),
    "boundingRect": _each(0, 1),
    "dilate": _window,
    "erode": _window,
    "morphologyEx": _windows,
    **dict.fromkeys(
        ("bitwise_or", "bitwise_and", "extractChannel", "copyMakeBorder", "LUT"), _each(0)
    ),
    "accumulateWeighted": _each(0),  # with a weight of 1, as here, it copies
    "connectedComponentsWithStats": lambda first, *rest, **more: (0, first.size),
}
# multiply-adds and comparisons for each element
UFUNCS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(
        ("add", "subtract", "multiply", "divide", "matmul", "log", "log1p", "exp"), (1, 0)
    ),
    **dict.fromkeys(("minimum", "maximum", "clip", "less", "greater", "greater_equal"), (0, 1)),
    **dict.fromkeys(("absolute", "floor", "right_shift"), (0, 0)),
    **dict.fromkeys(("bitwise_and", "bitwise_xor", "logical_and"), (0, 0)),
}
FUNCTIONS: Mapping[str, int] = {"einsum": 1}


@contextmanager
def _noting() -> Iterator[None]:
    """Let the modules that handle pictures work on noted arrays and OpenCV."""
    swapped: list[tuple[Any, str, Any]] = [
        (changes, "cv2", NotedCv2()),
        (changes, "Leases", NotedLeases),
        (scene, "cv2", NotedCv2()),
        (scene, "Leases", NotedLeases),
        (preprocess, "cv2", NotedCv2()),
    ]
    before = [(module, name, getattr(module, name)) for module, name, _ in swapped]
    for module, name, value in swapped:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _counted(do: Callable[[], object]) -> Tally:
    tally = Noted.tally = Tally()
    do()
    Noted.tally = Tally()  # what comes after is not this one's
    return tally


def per_frame(file: manifest.ModelFile) -> dict[str, Tally]:
    """Each stage's tally, for a frame in which an item lies still."""
    empty = golden.pattern(5, HEIGHT, WIDTH)
    lying = empty.copy()
    lying[80:160, 120:200] = 255 - lying[80:160, 120:200]
    size = (changes.WIDTH, changes.HEIGHT)
    tray, item = (Frame(pixels, 0.0, preprocess.resize(pixels, *size)) for pixels in (empty, lying))
    with _noting():
        looker = scene.Scene()
        for _ in range(LEARNED):
            looker.learn(tray)
        for _ in range(SETTLED):
            looker.look(item)
        blind = _counted(lambda: looker.look(item, closely=False))
        sharp = _counted(lambda: looker.look(item))
        spec, lease = file.input_spec, NotedLeases()
        tensor = np.empty((1, spec.height, spec.width, 3), spec.dtype).view(Noted)
        preprocess.fill(tensor, lying, spec, lease)
        resized = _counted(lambda: preprocess.fill(tensor, lying, spec, lease))
    return {
        "scene model": blind,
        "sharpness and place": sharp.less(blind),
        f"resize to {spec.width} x {spec.height} and restore, {spec.dtype}": resized,
        f"network, {file.id.variant}": _network(file),
    }


def _network(file: manifest.ModelFile) -> Tally:
    """Multiply-adds of its layers; bytes of its file, which are its weights, and of its input."""
    module = runtime().module
    network = module.Interpreter(
        model_content=file.content,
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
    )
    network.allocate_tensors()
    shapes = {each["index"]: each["shape"].tolist() for each in network.get_tensor_details()}
    tally = Tally()
    for layer in network._get_ops_details():
        made = math.prod(shapes[layer["outputs"][0]])
        weights = shapes[layer["inputs"][1]] if len(layer["inputs"]) > 1 else []
        # output channels are the first axis of a kernel; a depthwise one has one input channel
        taps = {
            "CONV_2D": weights[1:],
            "DEPTHWISE_CONV_2D": weights[1:3],
            "FULLY_CONNECTED": weights[1:],
        }.get(layer["op_name"])
        if taps:
            tally.multiply_adds += made * math.prod(taps)
    taken = math.prod(shapes[network.get_input_details()[0]["index"]])
    tally.bytes_moved = len(file.content) + taken * np.dtype(file.input_spec.dtype).itemsize
    return tally


def table(counts: Mapping[str, Tally]) -> str:
    """The counts as docs/cost.md has them."""
    lines = [
        "| stage, for each frame | multiply-adds | comparisons | bytes read and written "
        "| allocations above 64 KB |",
        "|---|---|---|---|---|",
    ]
    for stage, tally in counts.items():
        reckoned = [f"{n / 1e6:.1f} million" for n in (tally.multiply_adds, tally.comparisons)]
        moved = f"{tally.bytes_moved / 1e6:.1f} MB"
        lines.append(f"| {' | '.join([stage, *reckoned, moved])} | {tally.large_allocations} |")
    return "\n".join(lines)


def show(file: manifest.ModelFile, *, as_json: bool) -> None:
    """Print them, for people or for programs."""
    with quiet():
        counts = per_frame(file)
    if not as_json:
        click.echo(table(counts))
        click.echo(f"\nAn item takes {settings.Look().burst} frames (look: burst).")
        return
    told: dict[str, Any] = {stage: asdict(tally) for stage, tally in counts.items()}
    click.echo(json.dumps({"frames": settings.Look().burst, "per_frame": told}))
