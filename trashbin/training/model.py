"""MobileNetV3-Large (Howard et al., ICCV 2019) in plain PyTorch, batch norm folded, a linear head.

The block table and the names of the layers are those of the start weights (Keras Applications'
ImageNet backbone, Apache-2.0): every convolution has a weight and a bias, and there is no
normalisation left. Padding is TensorFlow's "same". Pruning makes the same table with other widths.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trashbin import whole_file

INPUT_SIZE = 224  # of the unpruned network; a pruned one says its own


@dataclass(frozen=True)
class Block:
    """One row of the table: kernel, widths, squeeze-excite width (0: none), activation, stride."""

    kernel: int
    expand: int
    out: int
    squeeze: int
    hard_swish: bool
    stride: int


BLOCKS: tuple[Block, ...] = (
    Block(3, 16, 16, 0, False, 1),
    Block(3, 64, 24, 0, False, 2),
    Block(3, 72, 24, 0, False, 1),
    Block(5, 72, 40, 24, False, 2),
    Block(5, 120, 40, 32, False, 1),
    Block(5, 120, 40, 32, False, 1),
    Block(3, 240, 80, 0, True, 2),
    Block(3, 200, 80, 0, True, 1),
    Block(3, 184, 80, 0, True, 1),
    Block(3, 184, 80, 0, True, 1),
    Block(3, 480, 112, 120, True, 1),
    Block(3, 672, 112, 168, True, 1),
    Block(5, 672, 160, 168, True, 2),
    Block(5, 960, 160, 240, True, 1),
    Block(5, 960, 160, 240, True, 1),
)


@dataclass(frozen=True)
class Architecture:
    """Every width of a network: stem, blocks, last convolution (the features); input in pixels."""

    stem: int = 16
    blocks: tuple[Block, ...] = BLOCKS
    last: int = 960
    input_size: int = INPUT_SIZE
    stem_relu: bool = False  # ReLU in place of the stem's hard-swish (see ``equalize``)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Architecture:
        """What ``as_dict`` made."""
        return Architecture(**values | {"blocks": tuple(Block(**b) for b in values["blocks"])})

    def multiply_adds(self) -> int:
        """Of one picture: convolutions, squeeze-excites and a head of six."""
        side = self.input_size // 2
        total = side * side * 27 * self.stem
        inputs = self.stem
        for k, block in enumerate(self.blocks):
            total += side * side * inputs * block.expand if k else 0
            side = -(-side // block.stride)
            total += side * side * block.expand * (block.kernel**2 + block.out)
            total += 2 * block.expand * block.squeeze
            inputs = block.out
        return total + side * side * inputs * self.last + 6 * self.last

    def weights(self) -> int:
        """Of convolutions, squeeze-excites and a head of six; without biases."""
        total, inputs = 27 * self.stem, self.stem
        for k, block in enumerate(self.blocks):
            total += (inputs * block.expand if k else 0) + block.expand * block.out
            total += block.expand * block.kernel**2 + 2 * block.expand * block.squeeze
            inputs = block.out
        return total + inputs * self.last + 6 * self.last


class SamePadConv(nn.Conv2d):  # type: ignore[misc]
    """TensorFlow's "same" padding: at stride 2 the odd pixel goes to the right and the bottom."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(
            inputs, outputs, kernel, stride, kernel // 2 if stride == 1 else 0, groups=groups
        )

    def forward(self, input: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        if self.stride[0] == 1:
            return super().forward(input)
        # the inputs are square; an odd side gets as much before as after
        total = self.kernel_size[0] - (2 if input.shape[-1] % 2 == 0 else 1)
        return super().forward(
            F.pad(input, (total // 2, total - total // 2, total // 2, total - total // 2))
        )


class SqueezeExcite(nn.Module):  # type: ignore[misc]
    """Scales each channel by a share made of all channels' means: ReLU, then hard-sigmoid."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.widen = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), the same."""
        share = F.hardsigmoid(self.widen(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))
        return x * share


class InvertedResidual(nn.Module):  # type: ignore[misc]
    """expand -> depthwise -> squeeze-excite -> project, the input added where the shapes agree."""

    def __init__(self, inputs: int, block: Block, first: bool) -> None:
        super().__init__()
        self.act: nn.Module = nn.Hardswish() if block.hard_swish else nn.ReLU()
        self.expand = None if first else SamePadConv(inputs, block.expand, 1)
        self.depthwise = SamePadConv(
            block.expand, block.expand, block.kernel, block.stride, groups=block.expand
        )
        self.squeeze_excite = SqueezeExcite(block.expand, block.squeeze) if block.squeeze else None
        self.project = SamePadConv(block.expand, block.out, 1)
        self.residual = block.stride == 1 and inputs == block.out

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        y = x if self.expand is None else self.act(self.expand(x))
        y = self.act(self.depthwise(y))
        if self.squeeze_excite is not None:
            y = self.squeeze_excite(y)
        y = self.project(y)
        return x + y if self.residual else y


class MobileNetV3(nn.Module):  # type: ignore[misc]
    """(N, 3, size, size) float32 in -1..1 -> (N, classes) logits, from the pooled features."""

    def __init__(
        self, architecture: Architecture | None = None, classes: int = 6, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.architecture = table = architecture or Architecture()
        self.stem = SamePadConv(3, table.stem, 3, 2)
        widths = [table.stem, *(block.out for block in table.blocks)]
        self.blocks = nn.ModuleList(
            InvertedResidual(widths[k], block, k == 0) for k, block in enumerate(table.blocks)
        )
        self.last = SamePadConv(widths[-1], table.last, 1)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(table.last, classes)

    def early(self, x: Tensor, blocks: int) -> Tensor:
        """The stem and the first `blocks` blocks: what a fine-tune may keep frozen."""
        x = self.stem(x)
        x = F.relu(x) if self.architecture.stem_relu else F.hardswish(x)
        for block in self.blocks[:blocks]:
            x = block(x)
        return x

    def late(self, x: Tensor, blocks: int) -> Tensor:
        """From the output of `early` to the pooled features, (N, last)."""
        for block in self.blocks[blocks:]:
            x = block(x)
        return F.hardswish(self.last(x)).mean((2, 3), keepdim=True).flatten(1)

    def features(self, x: Tensor) -> Tensor:
        """(N, last) pooled features."""
        return self.late(self.early(x, 0), 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, size, size) -> (N, classes)."""
        logits: Tensor = self.head(self.dropout(self.features(x)))
        return logits


def load_start_weights(model: MobileNetV3, path: Path) -> None:
    """Fills all but the head from the folded ImageNet weights (keys `<layer>/w`, `<layer>/b`)."""
    with np.load(path) as arrays:

        def fill(layer: nn.Conv2d, name: str) -> None:
            weight, bias = (
                torch.from_numpy(arrays[f"{name}/w"]),
                torch.from_numpy(arrays[f"{name}/b"]),
            )
            if layer.weight.shape != weight.shape or layer.bias is None:
                raise ValueError(
                    f"{path}: {name} is {tuple(weight.shape)}, not {tuple(layer.weight.shape)}"
                )
            with torch.no_grad():
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)

        fill(model.stem, "Conv")
        fill(model.last, "Conv_1")
        for k, block in enumerate(model.blocks):
            assert isinstance(block, InvertedResidual)
            name = "expanded_conv" if k == 0 else f"expanded_conv_{k}"
            if block.expand is not None:
                fill(block.expand, f"{name}/expand")
            fill(block.depthwise, f"{name}/depthwise")
            fill(block.project, f"{name}/project")
            if block.squeeze_excite is not None:
                fill(block.squeeze_excite.reduce, f"{name}/squeeze_excite/Conv")
                fill(block.squeeze_excite.widen, f"{name}/squeeze_excite/Conv_1")


def without_dead_gates(model: MobileNetV3) -> MobileNetV3:
    """The same function without the squeeze-excites whose share never varies (block 3's weights
    are all zero): a tensor of no range has no int8 scale, and XNNPACK refuses such a file."""
    rows = []
    for row, block in zip(model.architecture.blocks, model.blocks, strict=True):
        assert isinstance(block, InvertedResidual)
        excite = block.squeeze_excite
        if excite is not None and float(excite.widen.weight.detach().abs().max()) < 1e-6:
            with torch.no_grad():
                block.project.weight.mul_(F.hardsigmoid(excite.widen.bias)[None, :, None, None])
            block.squeeze_excite, row = None, replace(row, squeeze=0)
        rows.append(row)
    model.architecture = replace(model.architecture, blocks=tuple(rows))
    return model


def save(model: MobileNetV3, path: Path) -> None:
    """Architecture and weights in one file."""
    kept = {"architecture": model.architecture.as_dict(), "weights": model.state_dict()}
    with whole_file.writing(path) as file:
        torch.save(kept, file)


def load(path: Path, dropout: float = 0.0) -> MobileNetV3:
    """What ``save`` wrote, channels last in memory."""
    kept = torch.load(path, weights_only=True)
    model = MobileNetV3(Architecture.from_dict(kept["architecture"]), dropout=dropout)
    model.load_state_dict(kept["weights"])
    return model.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]
