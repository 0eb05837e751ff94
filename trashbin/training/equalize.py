"""A network that int8 can hold: no outliers between channels, before anything is rounded.

Two stem channels of the start weights reach 155 where others stay below 30, and one step of int8
is then too coarse for all others (Nagel et al., "Data-Free Quantization Through Weight Equalization
and Bias Correction", ICCV 2019). A scale can be moved from a tensor's channel into the weights
that read it wherever only additions and ReLUs lie between. That holds for the streams between the
blocks and inside the first six blocks, and for the stem once its hard-swish is a ReLU.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trashbin.training.model import InvertedResidual, MobileNetV3

SHARE = 0.5  # how much of the ratio between channels is taken from activations into weights
SHIFTS = 41  # tried for each stem channel
CALM = 12.0  # what a channel before or behind a hard-swish may reach
CALMED = 4.0  # by how much one that reaches further is divided at most


def relu_stem(model: MobileNetV3, pictures: Tensor) -> MobileNetV3:
    """The same network with a ReLU after the stem, fitted to the hard-swish on some inputs.

    hard-swish(x) is made a relu(x + d) + b, the best of some d by least squares, for each channel.
    """
    out = copy.deepcopy(model)
    out.architecture = replace(model.architecture, stem_relu=True)
    first = out.blocks[0]
    assert isinstance(first, InvertedResidual)
    with torch.no_grad():
        x = model.stem(pictures).transpose(0, 1).flatten(1)
        wanted = F.hardswish(x)
        best = torch.full((len(x),), torch.inf)
        scale, shift, rest = torch.ones(len(x)), torch.zeros(len(x)), torch.zeros(len(x))
        for d in torch.linspace(-1.5, 2.5, SHIFTS):
            found = F.relu(x + d)
            mean, target = found.mean(1), wanted.mean(1)
            a = ((found - mean[:, None]) * (wanted - target[:, None])).sum(1)
            a = (a / ((found - mean[:, None]) ** 2).sum(1).clamp_min(1e-9)).clamp_min(1e-3)
            b = target - a * mean
            error = ((a[:, None] * found + b[:, None] - wanted) ** 2).mean(1)
            better = error < best
            best = torch.where(better, error, best)
            scale, rest = torch.where(better, a, scale), torch.where(better, b, rest)
            shift = torch.where(better, d, shift)
        out.stem.weight.mul_(scale[:, None, None, None])
        out.stem.bias.copy_((model.stem.bias + shift) * scale)
        first.depthwise.bias.add_(first.depthwise.weight.sum((1, 2, 3)) * rest)
        first.project.bias.add_(rest)
    return out


def calm(model: MobileNetV3, batches: Iterable[Tensor]) -> MobileNetV3:
    """Turns down the channels of hard-swish tensors that reach beyond `CALM`, before training.

    No scale can be moved through a hard-swish, so this changes the function a little; above 3 a
    hard-swish is a line, and training makes good what is lost. A channel's top is that of the
    0.98 quantile of the pictures.
    """
    out = copy.deepcopy(model)
    out.eval()
    tops: dict[nn.Conv2d, Tensor] = {}

    def see(module: nn.Conv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        top = torch.quantile(output.amax((2, 3)), 0.98, 0)
        tops[module] = torch.maximum(tops.get(module, top), top)

    readers: dict[nn.Conv2d, list[nn.Conv2d | nn.Linear]] = {out.last: [out.head]}
    for block in out.blocks:
        assert isinstance(block, InvertedResidual)
        if isinstance(block.act, nn.Hardswish):
            excite = block.squeeze_excite
            behind = [block.project] if excite is None else [block.project, excite.reduce]
            readers |= {block.depthwise: behind}
            readers |= {} if block.expand is None else {block.expand: [block.depthwise]}
    hooks = [writer.register_forward_hook(see) for writer in readers]
    with torch.no_grad():
        for x in batches:
            out(x)
    for hook in hooks:
        hook.remove()
    for writer, behind in readers.items():
        _move([writer], behind, (tops[writer] / CALM).clamp(1, CALMED))
    return out


def _largest(model: MobileNetV3, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """Per channel, the largest magnitude in the streams and behind the ReLUs: name -> (C,)."""
    found: dict[str, Tensor] = {}

    def see(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            top = output.abs().amax((2, 3)).mean(0)  # of each picture, on average
            found[name] = torch.maximum(found.get(name, top), top)

        return hook

    hooks = [model.stem.register_forward_hook(see("stem"))]
    for k, block in enumerate(model.blocks):
        assert isinstance(block, InvertedResidual)
        hooks.append(block.register_forward_hook(see(f"stream {k}")))
        if isinstance(block.act, nn.ReLU):
            if block.expand is not None:
                hooks.append(block.expand.register_forward_hook(see(f"expand {k}")))
            hooks.append(block.depthwise.register_forward_hook(see(f"depthwise {k}")))
    with torch.no_grad():
        for x in batches:
            model(x)
    for hook in hooks:
        hook.remove()
    return found


def _factors(tops: Tensor, readers: list[nn.Conv2d], share: float) -> Tensor:
    """By how much each channel is divided; geometric mean 1, what is dead stays."""
    weights = torch.stack([_columns(reader) for reader in readers]).amax(0)
    factor = tops.clamp_min(1e-6) ** share / weights.clamp_min(1e-6) ** (1 - share)
    alive = (tops > 1e-4) & (weights > 1e-4)
    if not bool(alive.any()):
        return torch.ones_like(tops)
    factor = factor / factor[alive].log().mean().exp()
    return torch.where(alive, factor.clamp(1 / 64, 64), torch.ones_like(factor))


def _columns(reader: nn.Conv2d) -> Tensor:
    """(C,) the largest weight that reads each channel."""
    w = reader.weight.detach().abs().flatten(2).amax(2)
    return w[:, 0] if reader.groups > 1 else w.amax(0)


def _move(writers: list[nn.Conv2d], readers: list[nn.Conv2d | nn.Linear], factor: Tensor) -> None:
    with torch.no_grad():
        for writer in writers:
            writer.weight.div_(factor[:, None, None, None])
            writer.bias.div_(factor)
        for reader in readers:
            if isinstance(reader, nn.Linear):
                by = factor[None, :]
            elif reader.groups > 1:
                by = factor[:, None, None, None]
            else:
                by = factor[None, :, None, None]
            reader.weight.mul_(by)


def equalize(model: MobileNetV3, batches: Iterable[Tensor], share: float = SHARE) -> MobileNetV3:
    """The same function with even channels; needs a ReLU stem."""
    out = copy.deepcopy(model)
    out.eval()
    tops = _largest(out, batches)
    blocks: list[InvertedResidual] = list(out.blocks)
    # streams: all blocks that add into the same one write it, and are read by the next in turn
    writers: list[nn.Conv2d] = [out.stem]
    top, readers = tops["stem"], []
    for k, block in enumerate(blocks):
        into = block.expand if block.expand is not None else block.depthwise
        readers.append(into)
        if not block.residual:
            _move(writers, readers, _factors(top, readers, share))
            writers, readers = [], []
            top = tops[f"stream {k}"]
        writers.append(block.project)
        top = torch.maximum(top, tops[f"stream {k}"])
    _move(writers, [*readers, out.last], _factors(top, [*readers, out.last], share))
    for k, block in enumerate(blocks):
        if not isinstance(block.act, nn.ReLU):
            continue
        if block.expand is not None:  # read by one kernel a channel: nothing to lose there
            _move(
                [block.expand],
                [block.depthwise],
                _factors(tops[f"expand {k}"], [block.depthwise], 1.0),
            )
        behind: list[nn.Conv2d] = [block.project]
        excite = block.squeeze_excite
        both = behind if excite is None else [*behind, excite.reduce]
        _move([block.depthwise], both, _factors(tops[f"depthwise {k}"], behind, share))
    return out
