"""Makes two_outputs.tflite, a network of random weights with logits and features.

Needs the training environment: .venv-train/bin/python -m tests.model.make_two_outputs
"""

from __future__ import annotations

from pathlib import Path

import litert_torch
import torch

PATH = Path(__file__).with_name("two_outputs.tflite")
SIZE, FEATURES, LABELS = 32, 24, 6


class TwoOutputs(torch.nn.Module):
    """(1, 32, 32, 3) float32 -> logits (1, 6) and pooled features (1, 24)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.second = torch.nn.Conv2d(12, FEATURES, 3, stride=2, padding=1)
        self.head = torch.nn.Linear(FEATURES, LABELS)

    def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = torch.relu(self.second(torch.relu(self.first(picture))))
        features = maps.mean((2, 3))
        return 20.0 * self.head(features), features


if __name__ == "__main__":
    torch.manual_seed(3)
    network = litert_torch.to_channel_last_io(TwoOutputs().eval(), args=[0]).eval()
    litert_torch.convert(network, (torch.zeros(1, SIZE, SIZE, 3),)).export(str(PATH))
    print(PATH, PATH.stat().st_size, "bytes")
