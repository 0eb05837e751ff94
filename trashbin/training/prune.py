"""Pruning that removes channels: a smaller network with the same block table.

What goes are whole channels inside a block (of its expansion, with the depthwise kernel, the
squeeze-excite's rows and the projection's columns that belong to them), of the squeeze and of the
last convolution. The widths between the blocks stay: residuals run through them.

A channel's worth is the squared change of loss and features when it is turned down (first-order
Taylor expansion, Molchanov et al., CVPR 2019); its price are the multiply-adds and parameters that
it costs. The cheapest worth a price go first, until the network fits both budgets. What a channel
gave is then made of those that stay, as far as least squares can (He, Zhang and Sun, ICCV 2017):
only what no other channel tells is lost.
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
BYTES_MATTER = 1.0  # a parameter's price against that of a multiply-add, both as shares of all
RIDGE = 1e-3  # of a channel's mean square: keeps the least squares from leaning on noise


@dataclass
class Gate:
    """Where channels can go: before `reader`. Worth (C,) of each; second moments of [x, 1]."""

    name: str
    reader: nn.Module
    macs: float  # share of all multiply-adds that one channel costs
    weights: float  # likewise of all parameters
    worth: Tensor
    moments: Tensor  # (C + 1, C + 1), float64


def gates(model: MobileNetV3) -> list[Gate]:
    """Every width that may shrink, with the price of its channels."""
    table = model.architecture
    all_macs = table.multiply_adds()
    all_weights = sum(p.numel() for p in model.parameters())
    side, inputs, out = table.input_size // 2, table.stem, []
    for k, (row, block) in enumerate(zip(table.blocks, model.blocks, strict=True)):
        assert isinstance(block, InvertedResidual)
        before, side = side * side, -(-side // row.stride)
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
    moments = torch.zeros(width + 1, width + 1, dtype=torch.float64)
    return Gate(name, reader, macs, weights, torch.zeros(width), moments)


def weigh(
    model: MobileNetV3, batches: Iterable[tuple[Tensor, Tensor]], seed: int = 0
) -> list[Gate]:
    """Worth and moments of every channel, from batches of input (N, 3, H, W) and target (N,)."""
    model.eval()
    found = gates(model)
    ones = [torch.ones_like(gate.worth, requires_grad=True) for gate in found]

    def hook(k: int) -> Callable[[nn.Module, tuple[Tensor]], tuple[Tensor]]:
        def turn(module: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
            (x,) = inputs
            spatial = x.ndim == 4
            with torch.no_grad():
                rows = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1]) if spatial else x
                rows = torch.cat([rows, torch.ones(len(rows), 1)], 1)
                found[k].moments += (rows.T @ rows / len(rows)).double()
            return (x * (ones[k][None, :, None, None] if spatial else ones[k]),)

        return turn

    hooks = [g.reader.register_forward_pre_hook(hook(k)) for k, g in enumerate(found)]
    draw = torch.Generator().manual_seed(seed)
    by_loss = [torch.zeros_like(gate.worth) for gate in found]
    by_features = [torch.zeros_like(gate.worth) for gate in found]
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
    for handle in hooks:
        handle.remove()
    sums = [sum(float(w.sum()) for w in total) for total in (by_loss, by_features)]
    for gate, a, b in zip(found, by_loss, by_features, strict=True):
        gate.worth = a / sums[0] + b / sums[1]
    # the features before the head: their own change says nothing of what they are good for
    found[-1].worth = by_loss[-1] / sums[0] * 2
    return found


def choose(
    model: MobileNetV3,
    found: list[Gate],
    max_macs: int,
    max_weights: int,
    bytes_matter: float = BYTES_MATTER,
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
        table = architecture(model.architecture, left)
        if table.multiply_adds() <= max_macs and table.weights() <= max_weights:
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
    """A new network of the channels that stay, the others made of them as far as they can be."""
    table = architecture(model.architecture, {name: len(k) for name, k in kept.items()})
    small = MobileNetV3(table, dropout=model.dropout.p)
    moments = {gate.name: gate.moments for gate in found}
    with torch.no_grad():
        _copy(model.stem, small.stem)
        for k, (old, new) in enumerate(zip(model.blocks, small.blocks, strict=True)):
            assert isinstance(old, InvertedResidual) and isinstance(new, InvertedResidual)
            rows = kept.get(f"expand {k}")
            if old.expand is not None and new.expand is not None:
                _copy(old.expand, new.expand, rows=rows)
            _copy(old.depthwise, new.depthwise, rows=rows)
            _copy(old.project, new.project, columns=rows, moments=moments.get(f"expand {k}"))
            if old.squeeze_excite is not None and new.squeeze_excite is not None:
                middle = kept[f"squeeze {k}"]
                _copy(old.squeeze_excite.reduce, new.squeeze_excite.reduce, middle, rows)
                _copy(
                    old.squeeze_excite.widen,
                    new.squeeze_excite.widen,
                    rows,
                    middle,
                    moments[f"squeeze {k}"],
                )
        _copy(model.last, small.last, rows=kept["last"])
        _copy(model.head, small.head, columns=kept["last"], moments=moments["last"])
    return small.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]


def _copy(
    old: nn.Conv2d | nn.Linear,
    new: nn.Conv2d | nn.Linear,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
    moments: Tensor | None = None,
) -> None:
    """Weights of the rows (outputs) and columns (inputs) that stay."""
    weight, bias = old.weight, old.bias
    if columns is not None and moments is not None:
        flat = weight.flatten(1).double()
        given = torch.cat([columns, torch.tensor([len(moments) - 1])])  # those that stay, and 1
        square = moments[given][:, given]
        square = square + RIDGE * torch.diag(square.diagonal() + 1e-12)
        # flat @ x over all channels, as the best linear map of those that stay
        mixed = torch.linalg.solve(square, moments[given][:, :-1] @ flat.T).T
        bias = bias + mixed[:, -1].float()
        weight = mixed[:, :-1].float().reshape(len(weight), len(columns), *weight.shape[2:])
    elif columns is not None:
        weight = weight[:, columns]
    if rows is not None:
        weight, bias = weight[rows], bias[rows]
    new.weight.copy_(weight)
    new.bias.copy_(bias)


def prune(
    model: MobileNetV3,
    batches: Iterable[tuple[Tensor, Tensor]],
    max_macs: int,
    max_weights: int,
    bytes_matter: float = BYTES_MATTER,
) -> MobileNetV3:
    """The network within both budgets, not yet trained again."""
    found = weigh(model, batches)
    return cut(model, found, choose(model, found, max_macs, max_weights, bytes_matter))
