"""The rules of a lesson, which a whole run is too tiny to show (make test-data)."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.data


@given(st.floats(0.01, 0.5), st.floats(0, 1), st.floats(0, 1))
def test_the_rate_rises_to_its_height_and_falls_to_nothing(warm: float, a: float, b: float) -> None:
    from trashbin.training.lessons import cycle

    early, late = sorted((a, b))
    assert 0 <= cycle(late, warm) <= 1 and cycle(0, warm) > 0
    if late < warm:
        assert cycle(early, warm) <= cycle(late, warm)
    if early >= warm:
        assert cycle(early, warm) >= cycle(late, warm)
    assert cycle(0.99 * warm, warm) > 0.98
    assert cycle(warm, warm) == 1 and cycle(1, warm) == pytest.approx(0)


@given(st.integers(0, 7), st.integers(0, 99))
def test_photographs_lie_over_photographs_alone_and_the_upper_shows_most(
    homes: int, seed: int
) -> None:
    import torch

    from trashbin.training.lessons import mixed

    torch.manual_seed(seed)
    x = torch.rand(7, 3, 2, 2)
    assert mixed(x, 0.0, homes) is None
    over = mixed(x, 1.0, homes)
    assert over is not None
    seen, order, share = over
    assert sorted(order.tolist()) == [*range(7)]
    assert sorted(order[:homes].tolist()) == [*range(homes)]
    assert float(share.min()) >= 0.5 and float(share.max()) <= 1
    shares = zip(x, x[order], share.flatten().tolist(), strict=True)
    wanted = torch.stack([upper * part + lower * (1 - part) for upper, lower, part in shares])
    torch.testing.assert_close(seen, wanted)


def test_each_teacher_is_asked_about_what_it_knows_alone() -> None:
    import torch
    from torch import nn

    from trashbin.training.lessons import Teacher, answers
    from trashbin.training.stock import sized

    class Says(nn.Module):
        def __init__(self, logit: float) -> None:
            super().__init__()
            self.logit, self.sides = logit, set[int]()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.sides.add(x.shape[-1])
            return torch.full((len(x), 6), self.logit)

    everything = Teacher(start="", steps=1, rate=1.0, size=8)
    home, away, both = Says(1.0), Says(2.0), Says(4.0)
    asked: Any = [
        (home, replace(everything, away=False)),
        (away, replace(everything, home=False, size=4)),
        (both, everything),
    ]
    told = answers(asked, sized(torch.rand(5, 3, 16, 16), 16), 2)
    assert told[:, 0].tolist() == [2.5, 2.5, 3.0, 3.0, 3.0]
    assert (home.sides, away.sides) == ({8}, {4}), "at the size that it learned"


def test_none_of_them_is_learned_where_no_label_stands_out() -> None:
    import torch

    from trashbin.training.lessons import none_of_them

    assert float(none_of_them(torch.full((3, 6), 7.0))) == pytest.approx(0, abs=1e-6)
    surer = [float(none_of_them(torch.tensor([[gap, 0.0, 0, 0, 0, 0]]))) for gap in (0.5, 1, 5)]
    assert 0 < surer[0] < surer[1] < surer[2]


def test_a_lesson_that_was_cut_off_ends_as_one_that_was_not(tmp_path: Path) -> None:
    import torch
    from torch import nn

    from trashbin.training.lessons import Course, Run, cycle, train

    course = Course(steps=40, rate=0.3, save_every=3, average=0.9)

    def learned(folder: str, stop: float = math.inf, seed: int = 1) -> tuple[Any, Any, Any]:
        torch.manual_seed(seed)
        run = Run(nn.Linear(1, 1), nn.Linear(1, 1))
        solver = torch.optim.AdamW([*run.model.parameters(), *run.adapter.parameters()], 0.3)
        losses: list[float] = []
        rates: list[float] = []

        def loss_of() -> torch.Tensor:
            if len(rates) >= stop:
                raise KeyboardInterrupt
            rates.append(solver.param_groups[0]["lr"])
            x = torch.ones(4, 1)
            return ((run.model(x) - 3) ** 2).mean() + (run.adapter(x) ** 2).mean()

        told = lambda step, loss, mean: losses.append(loss)  # noqa: E731
        return train(run, solver, course, loss_of, tmp_path / folder, told), losses, rates

    whole, losses, rates = learned("whole")
    assert rates == [0.3 * cycle(step / 40, course.warm) for step in range(40)]
    assert len(losses) == 14 and losses[-1] < 0.1 < losses[0], "every third step, and the last"
    assert float(whole(torch.ones(1, 1)).detach()) == pytest.approx(3, abs=0.5)
    with pytest.raises(KeyboardInterrupt):
        learned("cut", stop=20)
    cut, *after = learned("cut", seed=2)  # begun anew, from what was saved after 18 steps
    assert after == [losses[6:], rates[18:]]
    torch.testing.assert_close([*whole.parameters()], [*cut.parameters()])
    again, *none = learned("cut", seed=3)
    assert none == [[], []] and torch.equal(again.weight, cut.weight)
