"""Pruning that removes channels: a smaller network with the same block table.

What goes are whole channels inside a block (of its expansion, with the depthwise kernel, the
squeeze-excite's rows and the projection's columns that belong to them), of the squeeze and of the
last convolution. The widths between the blocks stay: residuals run through them.

A channel's worth is the squared change of loss and features when it is turned down (first-order
Taylor expansion, Molchanov et al., CVPR 2019); its price are the multiply-adds and parameters that
it costs. The cheapest worth a price go first, until the network fits the budget. What a channel
gave on average is put into the next layer's bias, so that only its variation is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trashbin.training.model import Architecture, InvertedResidual, MobileNetV3

STEP = 8  # channels are kept by eights: kernels work through that many at a time
KEPT_AT_LEAST = 0.4  # of each width ...
FEATURES_KEPT = 0.6  # ... and of the features, which tell known things from unknown ones
BYTES_MATTER = 0.15  # a parameter's price against that of a multiply-add, both as shares of all


@dataclass
class Gate:
    """Where channels can go: before `reader`. Worth and mean (C,) of each channel."""

    name: str
    reader: nn.Module
    macs: float  # share of all multiply-adds that one channel costs
    weights: float  # likewise of all parameters
    worth: Tensor
    mean: Tensor


def gates(model: MobileNetV3) -> list[Gate]:
    """Every width that may shrink, with the price of its channels."""
    table = model.architecture
    all_macs = table.multiply_adds()
    all_weights = sum(p.numel() for p in model.parameters())
    side, inputs, out = table.input_size // 2, table.stem, []
    for k, (row, block) in enumerate(zip(table.blocks, model.blocks, strict=True)):
        assert isinstance(block, InvertedResidual)
        before, side = side * side, side // row.stride
        if block.expand is not None:  # the first block's channels are those of the stem
            per = side * side * (row.kernel**2 + row.out) + before * inputs
            weights = inputs + row.kernel**2 + row.out + 2 * row.squeeze
            out.append(
                _gate(
                    f"expand {k}", block.project, row.expand, per / all_macs, weights / all_weights
                )
            )
        if block.squeeze_excite is not None:
            reader, both = block.squeeze_excite.widen, 2 * row.expand
            out.append(
                _gate(f"squeeze {k}", reader, row.squeeze, both / all_macs, both / all_weights)
            )
        inputs = row.out
    per = side * side * inputs
    out.append(_gate("last", model.head, table.last, per / all_macs, (inputs + 6) / all_weights))
    return out


def _gate(name: str, reader: nn.Module, width: int, macs: float, weights: float) -> Gate:
    return Gate(name, reader, macs, weights, torch.zeros(width), torch.zeros(width))


def weigh(
    model: MobileNetV3, batches: Iterable[tuple[Tensor, Tensor]], seed: int = 0
) -> list[Gate]:
    """Worth and mean of every channel, from batches of input (N, 3, H, W) and target (N,)."""
    model.eval()
    found = gates(model)
    ones = [torch.ones_like(gate.worth, requires_grad=True) for gate in found]
    means: list[Tensor] = [gate.mean for gate in found]

    def hook(k: int) -> Callable[[nn.Module, tuple[Tensor]], tuple[Tensor]]:
        def turn(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            (x,) = inputs
            spatial = x.ndim == 4
            with torch.no_grad():
                means[k] += x.mean((0, 2, 3) if spatial else 0)
            return (x * (ones[k][None, :, None, None] if spatial else ones[k]),)

        return turn

    hooks = [g.reader.register_forward_pre_hook(hook(k)) for k, g in enumerate(found)]
    draw = torch.Generator().manual_seed(seed)
    by_loss = [torch.zeros_like(gate.worth) for gate in found]
    by_features = [torch.zeros_like(gate.worth) for gate in found]
    count = 0
    for x, targets in batches:
        features = model.features(x)
        loss = F.cross_entropy(model.head(features), targets, reduction="sum")
        # a random direction: its squared gradient is, on average, the features' whole change
        along = torch.randn(features.shape, generator=draw)
        for total, value in ((by_loss, loss), (by_features, (features * along).sum())):
            for into, grad in zip(
                total,
                torch.autograd.grad(value, ones, retain_graph=True, allow_unused=True),
                strict=True,
            ):
                into += 0 if grad is None else grad.square()
        count += 1
    for handle in hooks:
        handle.remove()
    sums = [sum(float(w.sum()) for w in total) for total in (by_loss, by_features)]
    for gate, a, b in zip(found, by_loss, by_features, strict=True):
        gate.worth, gate.mean = a / sums[0] + b / sums[1], gate.mean / max(1, count)
    # the features before the head: their own change says nothing of what they are good for
    found[-1].worth = by_loss[-1] / sums[0] * 2
    return found


def choose(
    model: MobileNetV3, found: list[Gate], max_macs: int, bytes_matter: float = BYTES_MATTER
) -> dict[str, Tensor]:
    """Which channels stay, by gate: indices in order. The cheapest worth a price go first."""
    width = {gate.name: len(gate.worth) for gate in found}
    queue = sorted(
        (float(worth) / (gate.macs + bytes_matter * gate.weights), gate.name, index)
        for gate in found
        for index, worth in enumerate(gate.worth)
    )
    gone: dict[str, set[int]] = {name: set() for name in width}
    for _, name, index in queue:
        left = {n: _round(width[n] - len(gone[n]), width[n]) for n in width}
        if architecture(model.architecture, left).multiply_adds() <= max_macs:
            break
        floor = FEATURES_KEPT if name == "last" else KEPT_AT_LEAST
        if width[name] - len(gone[name]) > floor * width[name]:
            gone[name].add(index)
    kept = {}
    for gate in found:
        count = _round(width[gate.name] - len(gone[gate.name]), width[gate.name])
        best = gate.worth.argsort(descending=True)[:count]
        kept[gate.name] = best.sort().values
    return kept


def _round(count: int, width: int) -> int:
    """Up to the next eight, but not above the width."""
    return min(width, -(-count // STEP) * STEP)


def architecture(table: Architecture, widths: dict[str, int]) -> Architecture:
    """The table with the widths of the gates, by name."""
    blocks = tuple(
        replace(
            row,
            expand=widths.get(f"expand {k}", row.expand),
            squeeze=widths.get(f"squeeze {k}", row.squeeze),
        )
        for k, row in enumerate(table.blocks)
    )
    return replace(table, blocks=blocks, last=widths["last"])


def cut(model: MobileNetV3, found: list[Gate], kept: dict[str, Tensor]) -> MobileNetV3:
    """A new network of the channels that stay; the others' means go into the next biases."""
    table = architecture(model.architecture, {name: len(k) for name, k in kept.items()})
    small = MobileNetV3(table, dropout=model.dropout.p)
    mean = {gate.name: gate.mean for gate in found}
    with torch.no_grad():
        _copy(model.stem, small.stem)
        for k, (old, new) in enumerate(zip(model.blocks, small.blocks, strict=True)):
            assert isinstance(old, InvertedResidual) and isinstance(new, InvertedResidual)
            rows = kept.get(f"expand {k}")
            if old.expand is not None and new.expand is not None:
                _copy(old.expand, new.expand, rows=rows)
            _copy(old.depthwise, new.depthwise, rows=rows)
            _copy(old.project, new.project, columns=rows, mean=mean.get(f"expand {k}"))
            if old.squeeze_excite is not None and new.squeeze_excite is not None:
                middle = kept[f"squeeze {k}"]
                _copy(old.squeeze_excite.reduce, new.squeeze_excite.reduce, middle, rows)
                _copy(
                    old.squeeze_excite.widen,
                    new.squeeze_excite.widen,
                    rows,
                    middle,
                    mean[f"squeeze {k}"],
                )
        _copy(model.last, small.last, rows=kept["last"])
        _copy(model.head, small.head, columns=kept["last"], mean=mean["last"])
    return small.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]


def _copy(
    old: nn.Conv2d | nn.Linear,
    new: nn.Conv2d | nn.Linear,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
    mean: Tensor | None = None,
) -> None:
    """Weights of the rows (outputs) and columns (inputs) that stay."""
    weight, bias = old.weight, old.bias
    if columns is not None and mean is not None:
        lost = mean.clone()
        lost[columns] = 0
        bias = bias + weight.flatten(1) @ lost
    if columns is not None:
        weight = weight[:, columns]
    if rows is not None:
        weight, bias = weight[rows], bias[rows]
    new.weight.copy_(weight)
    new.bias.copy_(bias)


def prune(
    model: MobileNetV3, batches: Iterable[tuple[Tensor, Tensor]], max_macs: int
) -> MobileNetV3:
    """The network with at most `max_macs` multiply-adds, not yet trained again."""
    found = weigh(model, batches)
    return cut(model, found, choose(model, found, max_macs))
