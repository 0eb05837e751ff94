"""A .tflite classifier of convolutions and additions as a PyTorch network, to be trained on.

Read straight from the file: its weights times their steps are what the network begins with; the
activations are rounded no more. It can what EfficientNet-Lite0 needs (Apache-2.0; Tan and Le, ICML
2019, without squeeze-excites): convolutions with "same" padding, ReLU and ReLU6, residual
additions, and a mean over all places. The file's own head is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D)
ACTIVATIONS = {
    schema.ActivationFunctionType.NONE: nn.Identity,
    schema.ActivationFunctionType.RELU: nn.ReLU,
    schema.ActivationFunctionType.RELU6: nn.ReLU6,
}
ZERO = 127.0  # the pixel that the first convolution of EfficientNet-Lite0 is given as 0
TYPES: dict[int, Any] = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.FLOAT32: np.float32,
}


@dataclass(frozen=True)
class Step:
    """One operator: the tensors it reads, the one it writes, and its layer (an addition: None)."""

    reads: tuple[int, ...]
    writes: int
    layer: int | None


class _File:
    """The operators and constants of a .tflite's first graph."""

    def __init__(self, path: Path) -> None:
        self.model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        self.graph = self.model.subgraphs[0]

    def code(self, operator: Any) -> int:
        """Which operator it is, of ``BuiltinOperator``."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        return int(max(code.builtinCode, code.deprecatedBuiltinCode))

    def constant(self, number: int) -> bool:
        """Whether a tensor's values stand in the file."""
        data = self.model.buffers[self.graph.tensors[number].buffer].data
        return data is not None and len(data) > 0

    def values(self, number: int) -> NDArray[np.float32]:
        """A constant tensor's values, steps and zero points multiplied out."""
        tensor = self.graph.tensors[number]
        raw = bytes(self.model.buffers[tensor.buffer].data)
        kept = np.frombuffer(raw, TYPES[tensor.type]).reshape(tensor.shape).astype(np.float32)
        rounding = tensor.quantization
        if rounding is None or rounding.scale is None:
            return np.asarray(kept)
        along = [1] * kept.ndim
        if len(rounding.scale) > 1:
            along[rounding.quantizedDimension] = -1
        step = np.asarray(rounding.scale, np.float32).reshape(along)
        zero = np.asarray(rounding.zeroPoint, np.float32).reshape(along)
        return np.asarray((kept - zero) * step, np.float32)


class Borrowed(nn.Module):  # type: ignore[misc]
    """(N, 3, size, size) float32 in -1..1 -> (N, classes) logits, from the pooled features."""

    def __init__(self, path: Path, classes: int = 6) -> None:
        super().__init__()
        self.layers, self.acts = nn.ModuleList(), nn.ModuleList()
        self.steps: list[Step] = []
        file = _File(path)
        for operator in file.graph.operators:
            code, reads = file.code(operator), [int(k) for k in operator.inputs]
            if code == schema.BuiltinOperator.MEAN:
                break  # features; what follows is the file's own head
            layer = None
            if code in CONVOLUTIONS:
                layer, reads = len(self.layers), reads[:1]
                self.layers.append(_convolution(file, operator))
            elif code != schema.BuiltinOperator.ADD or file.constant(reads[1]):
                if self.steps:
                    raise ValueError(f"{path}: operator {code} is not one that is read here")
                continue  # in front of the first convolution: the input's own scaling
            self.acts.append(ACTIVATIONS[operator.builtinOptions.fusedActivationFunction]())
            self.steps.append(Step(tuple(reads), int(operator.outputs[0]), layer))
        self.head = nn.Linear(self.layers[-1].out_channels, classes)

    def features(self, x: Tensor) -> Tensor:
        """(N, F) pooled features."""
        seen = {self.steps[0].reads[0]: (x + 1) * 127.5 - ZERO}
        for step, act in zip(self.steps, self.acts, strict=True):
            given = [seen[k] for k in step.reads]
            y = (
                given[0] + given[1]
                if step.layer is None
                else _padded(self.layers[step.layer], *given)
            )
            seen[step.writes] = act(y)
        return seen[self.steps[-1].writes].mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, size, size) -> (N, classes)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def _convolution(file: _File, operator: Any) -> nn.Conv2d:
    """The layer of one operator; in the file weights are O, H, W, I, or 1, H, W, O by channel."""
    options, (_, weight, bias) = operator.builtinOptions, operator.inputs
    alone = file.code(operator) == schema.BuiltinOperator.DEPTHWISE_CONV_2D
    kernel = file.values(weight).transpose((3, 0, 1, 2) if alone else (0, 3, 1, 2))
    if options.padding != schema.Padding.SAME:
        raise ValueError('a convolution is not padded to be the "same", as all are meant to be')
    outputs, inputs, side, _ = kernel.shape
    groups = outputs if alone else 1
    layer = nn.Conv2d(inputs * groups, outputs, side, options.strideH, groups=groups)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
        layer.bias.copy_(torch.from_numpy(file.values(bias)))
    return layer


def _padded(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """TensorFlow's "same" padding of square inputs: what is odd goes to the right and bottom."""
    side, stride, kernel = x.shape[-1], layer.stride[0], layer.kernel_size[0]
    total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    before, after = total // 2, total - total // 2
    return layer(F.pad(x, (before, after, before, after)) if total else x)
