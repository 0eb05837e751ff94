"""The network as the .tflite computes it, with int8's rounding where training is to feel it.

Hard-swish and hard-sigmoid become additions, ReLU6 and multiplications: stock XNNPACK takes those
in int8, and runs them several times faster than HARD_SWISH. Their sixths are folded into the
weights behind them, so the features come out six times as large, which changes no direction.

Every tensor of the file passes through one ``Range``. Ranges are chosen once, by least squares of
the rounding (that bounds the activations), and the weights then learn to live with them (Jacob et
al., CVPR 2018). The export writes the same ranges into the file, in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trashbin.training.model import InvertedResidual, MobileNetV3

PIXEL = 1 / 127.5  # the step of the input: (pixel - 128) / 127.5 is exact in int8
SHRINKS = np.linspace(1.0, 0.2, 33)
REFINED = (0.8, 0.65, 0.5, 0.4, 0.3, 0.22, 0.15)
COSTLY = 0.998  # likeness of the features below which one tensor's rounding is looked into


class Range(nn.Module):  # type: ignore[misc]
    """One tensor's place: passes values on, gathers them, or rounds them as int8 does."""

    def __init__(self, low: float = 0.0, high: float = 0.0, floor: float = -torch.inf) -> None:
        super().__init__()
        self.floor = floor  # below it nothing matters: hard-swish gives 0 from -3 down
        self.register_buffer("low", torch.tensor(low))
        self.register_buffer("high", torch.tensor(high))
        self.mode = "pass"
        self.seen: list[Tensor] = []
        self.fixed = low != high

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Range:
        """Stays on the CPU: a device would have to be waited for at every step to read it."""
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        if self.mode == "gather" and not self.fixed:
            values = x.detach().flatten()
            self.seen.append(values[:: max(1, len(values) // 8192)].clone())
            self.seen.append(torch.stack([values.min(), values.max()]))
        if self.mode != "round":
            return x
        scale, zero = self.scale()
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, -128, 127)

    def scale(self) -> tuple[float, int]:
        """Step and zero point, as TFLite derives them from a range that holds zero."""
        low, high = float(self.low), float(self.high)
        step = (high - low) / 255
        return step, int(min(127, max(-128, round(-128 - low / step))))

    def choose(self) -> None:
        """Sets the range by the values gathered: the one with the least squared error."""
        if self.fixed:
            return
        values = torch.cat(self.seen).clamp_min(self.floor)
        self.seen = []
        low, high = min(0.0, float(values.min())), max(1e-3, float(values.max()))
        best = (float("inf"), low, high)
        for lower in SHRINKS if low < 0 else (1.0,):
            for upper in SHRINKS:
                if low < 0 and abs(lower - upper) > 0.5:
                    continue
                self.low.fill_(lower * low)
                self.high.fill_(upper * high)
                step, zero = self.scale()
                rounded = torch.fake_quantize_per_tensor_affine(values, step, zero, -128, 127)
                error = float(((rounded - values) ** 2).mean())
                if error < best[0]:
                    best = (error, lower * low, upper * high)
        self.low.fill_(best[1])
        self.high.fill_(best[2])


def smallest_step(bias: Tensor, before: Range) -> Tensor:
    """(C,) the least step of a channel's weights at which its bias still fits into int32.

    A dead channel has a bias alone; a step as small as its weights would make that overflow.
    """
    return bias.detach().abs() / (before.scale()[0] * 2**29) + 1e-12


def rounded_weight(weight: Tensor, least: Tensor) -> Tensor:
    """Symmetric int8 with a step for each output channel, of `least` (C,) or more."""
    step = torch.maximum(weight.detach().flatten(1).abs().amax(1) / 127, least)
    zeros = torch.zeros(len(step), dtype=torch.int32, device=weight.device)
    return torch.fake_quantize_per_channel_affine(weight, step, zeros, 0, -127, 127)


def _weight(layer: nn.Conv2d | nn.Linear, rounds: bool, before: Range) -> Tensor:
    """As the file has it: with its share of the sixths, and rounded where asked."""
    weight = layer.weight if layer.factor == 1 else layer.weight * layer.factor
    return rounded_weight(weight, smallest_step(layer.bias, before)) if rounds else weight


class Head(nn.Module):  # type: ignore[misc]
    """The last layer, its weights rounded where the network's are."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear, self.after, self.rounds = linear, Range(), False
        self.before = Range(0.0, 1.0)  # the features' place, once it is known
        self.in_features = linear.in_features

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) of six times the features -> (N, 6)."""
        weight = _weight(self.linear, self.rounds, self.before)
        out: Tensor = self.after(F.linear(x, weight, self.linear.bias))
        return out


class Exported(nn.Module):  # type: ignore[misc]
    """What the file computes: (N, 3, S, S) of (pixel - 128) / 127.5 -> logits and 6 x features."""

    def __init__(self, model: MobileNetV3) -> None:
        super().__init__()
        self.net = net = _with_factors(model)
        self.architecture = net.architecture
        self.head = Head(net.head)
        self.places = nn.ModuleList()
        self._next, self.rounds = 0, False
        with torch.no_grad():  # lays out the places, in the order of the file's operators
            side = net.architecture.input_size
            self.input = Range(-128 * PIXEL, 127 * PIXEL)
            self._growing = True
            self.features(torch.zeros(1, 3, side, side))
            self._growing = False
        self.head.before = self.places[-1]

    def _place(self, x: Tensor, floor: float = -torch.inf) -> Tensor:
        if self._growing:
            self.places.append(Range(floor=floor))
            return x
        self._next += 1
        out: Tensor = self.places[self._next - 1](x)
        return out

    def _conv(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        if conv.factor == 1 and not self.rounds:
            return conv(x)
        before = self.places[self._next - 1] if self._next else self.input
        weights = {"weight": _weight(conv, self.rounds, before), "bias": conv.bias}
        return torch.func.functional_call(conv, weights, (x,))

    def _act(self, x: Tensor, hard: bool) -> Tensor:
        if not hard:
            return self._place(F.relu(x))
        x = self._place(x, -3.0)
        return self._place(x * self._place(F.relu6(x + 3.0)))

    def features(self, x: Tensor) -> Tensor:
        """(N, last): six times the pooled features."""
        self._next = 0
        x = self.input(x)
        x = self._act(self._conv(self.net.stem, x), False)
        for block in self.net.blocks:
            assert isinstance(block, InvertedResidual)
            hard = isinstance(block.act, nn.Hardswish)
            y = x if block.expand is None else self._act(self._conv(block.expand, x), hard)
            y = self._act(self._conv(block.depthwise, y), hard)
            excite = block.squeeze_excite
            if excite is not None:
                share = self._place(y.mean((2, 3), keepdim=True))
                share = self._place(F.relu(self._conv(excite.reduce, share)))
                share = self._place(F.relu6(self._conv(excite.widen, share) + 3.0))
                y = self._place(y * share)
            y = self._place(self._conv(block.project, y))
            x = self._place(x + y) if block.residual else y
        x = self._act(self._conv(self.net.last, x), True)
        return self._place(x.mean((2, 3), keepdim=True)).flatten(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 6) and 6 x features (N, last)."""
        features = self.features(x)
        return self.head(features), features

    def ranges(self) -> list[Range]:
        """Of the input and of every operator's output, in the file's order."""
        return [self.input, *self.places, self.head.after]

    def set_mode(self, mode: str) -> None:
        """`pass`, `gather` or `round`."""
        self.rounds = self.head.rounds = mode == "round"
        for place in self.ranges():
            place.mode = mode

    def choose_ranges(self, batches: Iterable[Tensor]) -> None:
        """From pictures; afterwards everything is rounded."""
        self.set_mode("gather")
        with torch.no_grad():
            for x in batches:
                self(x)
        for place in self.ranges():
            place.choose()
        self.set_mode("round")

    def refine_ranges(self, x: Tensor) -> list[tuple[int, float, float]]:
        """Narrows the ranges that alone cost the features most: (place, cosine before, after).

        Least squares honours a few huge values that the features hardly depend on.
        """
        self.set_mode("pass")
        told = []
        with torch.no_grad():
            wanted = self.features(x)

            def likeness() -> float:
                return float(F.cosine_similarity(wanted, self.features(x)).mean())

            for k, place in enumerate(self.ranges()[:-1]):
                place.mode = "round"
                before = likeness()
                if before < COSTLY and not place.fixed:
                    low, high = float(place.low), float(place.high)
                    found = [(before, low, high)]
                    for shrink in REFINED:
                        place.low.fill_(low * shrink)
                        place.high.fill_(high * shrink)
                        found.append((likeness(), low * shrink, high * shrink))
                    after, low, high = max(found)
                    place.low.fill_(low)
                    place.high.fill_(high)
                    told.append((k, before, after))
                place.mode = "pass"
        self.set_mode("round")
        return told

    def fold(self) -> Exported:
        """The sixths go into the weights themselves, for the file; the ranges must be set.

        A channel whose weights are too small for its bias (see ``smallest_step``) gets one weight
        that asks for the step.
        """
        before = self._before()
        with torch.no_grad():
            for name, layer in self.net.named_modules():
                if not isinstance(layer, (nn.Conv2d, nn.Linear)):
                    continue
                layer.weight.mul_(layer.factor)
                layer.factor = 1.0
                rows = layer.weight.flatten(1).clone()
                least = smallest_step(layer.bias, before[name]) * 127
                small = rows.abs().amax(1) < least
                rows[small, 0] = least[small]
                layer.weight.copy_(rows.reshape(layer.weight.shape))
        return self

    def _before(self) -> dict[str, Range]:
        """The place that each layer reads, by the layer's name."""
        found = {"head": self.head.before}
        names = {id(layer): name for name, layer in self.net.named_modules()}
        plain = self._conv

        def noted(conv: nn.Conv2d, x: Tensor) -> Tensor:
            found[names[id(conv)]] = self.places[self._next - 1] if self._next else self.input
            return plain(conv, x)

        side = self.architecture.input_size
        self._conv = noted  # type: ignore[method-assign]
        with torch.no_grad():
            self.features(torch.zeros(1, 3, side, side))
        del self._conv
        return found

    def network(self) -> MobileNetV3:
        """The plain network with these weights (not after ``fold``)."""
        out = MobileNetV3(self.architecture)
        out.load_state_dict(self.net.state_dict())
        with torch.no_grad():
            out.stem.bias.sub_(out.stem.weight.sum((1, 2, 3)) * (PIXEL / 2))
        return out


def _with_factors(model: MobileNetV3) -> MobileNetV3:
    """A copy that makes up for the sixths (by `factor`) and for the input's half pixel."""
    out = MobileNetV3(model.architecture)
    out.load_state_dict(model.state_dict())
    for layer in out.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.factor = 1.0
    with torch.no_grad():
        out.stem.bias.add_(out.stem.weight.sum((1, 2, 3)) * (PIXEL / 2))
    for block in out.blocks:
        assert isinstance(block, InvertedResidual)
        excite = block.squeeze_excite
        if isinstance(block.act, nn.Hardswish):
            if block.expand is not None:
                block.depthwise.factor /= 6
            block.project.factor /= 6
            if excite is not None:
                excite.reduce.factor /= 6
        if excite is not None:
            block.project.factor /= 6
    out.head.factor /= 6
    return out.to(memory_format=torch.channels_last)  # type: ignore[no-any-return]
