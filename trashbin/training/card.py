"""The model card: prose that stays, and figures that come from the log and from the files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trashbin.training import plots, scores
from trashbin.training.backgrounds import FAMILIES
from trashbin.training.data import LABELS, read_photos
from trashbin.training.evaluate import tables

PLOTS = "card"  # folder of the card's plots, beside it

CARD = """# {name} {version}

Says what one thing in the bin's tray is: {labels}.
A MobileNetV3-Large (Howard et al., ICCV 2019) with {share} of its multiply-adds, {size} x {size},
fine-tuned and pruned for this project: {macs} million multiply-adds, {weights} million weights.

| file | bytes | what |
|---|---|---|
{files}

Input: RGB, a frame or the part of it in which something lies, stretched to {size} x {size},
what lens and lamp did to it undone (`preprocess.restore`: a strong cast, haze, too little light),
then `(x - 128) / 127.5`; the int8 file takes `x - 128` as it is. Outputs: six logits, and
{features} pooled features. Shares are `softmax(logits / {temperature})`. They are relative
between the classes: none is an absolute probability, and a thing of no class gets shares as well.
`familiarity.npz` tells how near the features are to those of known things; below the threshold the
bin holds.

Hard-swish and hard-sigmoid are written as additions, ReLU6 and multiplications (their sixths are in
the weights), the stem has a ReLU: stock XNNPACK takes every operator of both files.

## Sources

{sources}

No photograph and no start weight is in this repository. The photographs' authors are to be cited;
the backbone's licence asks that changes be stated: every weight was trained further, channels were
removed, and its head is new.

## How it was made

1. Three teachers: the unpruned network at 256 x 256 and at 224 x 224, and EfficientNet-Lite0, from
   their ImageNet weights. A linear probe first (Kumar et al., ICLR 2022), then the whole network on
   the labels; a loss keeps the start network's features within reach of a linear map.
2. Channels of the last teacher removed by what they are worth per multiply-add and byte
   (first-order Taylor), at the smaller input; what the others can say of the lost ones is put into
   the next weights by least squares. The stem's hard-swish becomes a ReLU.
3. Patience (Beyer et al., CVPR 2022): {student:,} steps of {batch} views, composites made while it
   trains, each view seen once. The teachers are asked about the very view that it sees: those best
   at home about photographs as they are, those best away about composites{drawn}. A
   quarter of the views are mixed from two.
4. Channels made even, the ranges of int8 by least squares, and {settle:,} steps more, {rounded:.0%}
   of them with every tensor rounded as the file rounds it; the others keep the float weights as
   good.

Backgrounds of the folds `train` and `val`, photographs of both.

{notes}

One command does all of it, and goes on where it was cut off (it is made for a GPU; `--effort 0.1`
takes a tenth of the steps):

    python -m trashbin.training report

`python -m trashbin.training report --quick` makes the files again from `parent.npz` (the float
weights and the ranges that int8 rounds to), compares them with the ones that ship, measures them
and writes this card; it trains nothing.

| stage | what | home, calib fold | composites, calib fold |
|---|---|---|---|
{stages}

![Home and away of every stage]({plots}/frontier.svg)

The split is by group (photographs of one object, or of objects too alike to tell apart, stay
together), a pure function of group ids and a seed: `python -m trashbin.training split --fold test`
lists the photographs that nothing learned from. Groups of more than three photographs are all in
`train`, so no held-out figure rests on one object seen many times. Folds `train` and `val` trained,
`calib` gave temperature and thresholds and was looked at on the way, `test` chose nothing. Whole
families of background are kept for each fold's composites: {families}.

## What was measured

The exported files, through the preprocessing that ships, as the bin judges a burst: by the mean of
three views, each turned by a quarter more. The last column is what the first view alone says.

{tables}

"Other backgrounds" are composites: held-out photographs cut from their board and put on families of
background that are in no training picture (those of `val` are), under made-up light. A
composite is still a photograph from the same collection, so these figures flatter: a camera above
a real tray is another matter. Each composite, and each thing of no class, is shown as the bin
shows it: the part in which it lies, found beside a picture of the same tray, empty (the mean of
three frames, each with noise of its own). Photographs on white board came alone: they are shown
whole, and so is what stands out there, if that is small, as `trashbin evaluate` does it; for
temperature and thresholds below they were shown whole.

| | |
|---|---|
| ![reliability]({plots}/reliability.svg) | ![risk against coverage]({plots}/risk-coverage.svg) |
| ![known against unknown]({plots}/familiarity.svg) | |

## Size and speed

One thread of the machine that wrote this card ({processor}), XNNPACK, all files in turn in the
same run. What carries over to another machine is the ratio, and that of int8 only where the
processor multiplies bytes alike: with VNNI (a newer Xeon) 0.2.0's int8 took 0.86 ms and was 3.5
times as fast as the unpruned network, without it 1.5 times. Every Pi from the 5 on has the like
(ARM's dot product); the Pi 3B+, 4 and Zero 2 W do not.

| file | input | multiply-adds | bytes | median invoke | against unpruned | left by XNNPACK |
|---|---|---|---|---|---|---|
{speed}
| thesis (published: MobileNetV3-Large, FP16, accuracy 86 %) | 224 | | 5.85 MB | | | |

## Thresholds

Fitted on the `calib` fold through the int8 file: temperature first, photographs and composites
with equal weight; then gap and familiarity, the pair with the most right acts less {costs:g} times
its wrong ones (photographs and composites with equal weight; any act on a thing of no class is
wrong), among those that act on at least {coverage:.0%} of the photographs. The rule is
`gap >= {gap}`, `largest share >= {top1}` and `familiarity >= {familiarity}`. This is the observed
error of one fold, not a guarantee: `trashbin calibrate` gives one, from your own tray.

| calib fold | items | accuracy | acts on | wrong among acted |
|---|---|---|---|---|
{calibration}

## What it cannot do

- Be sure of a thing of no class (food, textiles, wood, plants): some of them look familiar enough
  and are sorted; the table above says how many.
- Tell what people dispute too: a paper cup from a plastic one, coated card from paper, a wrapper
  (`plastic` or `trash`; the photographs' own labels differ), a jar of clear plastic from glass.
- `trash` was learned from few objects ({trash} photographs in all) and is the weakest class.
- Give the very same label under all kernels: XNNPACK and the runtime's plain integer kernels round
  differently{agreement}.
- Two items at once: it answers for the frame as a whole.
- Photographs that train it come from one place and one year: packaging elsewhere looks different.
  `trashbin teach` learns a tray from a person's answers.
"""

# measured apart from a run, and so true of one int8 file alone: sha256 -> what
AGREEMENT = {
    "421a1aa30da85b38c89617827b003cf85f303bc52be4324c168707d702a13122": """\
, and agree on 98.3 of 100 held-out photographs; ai-edge-litert and tflite-runtime 2.14
  agree on 98.3 under XNNPACK, 98.6 under the plain kernels, all under the reference kernels
  (`make test-data`). Between x86-64 and ARM, XNNPACK's are the same"""
}


def stages(log: list[dict[str, Any]]) -> list[tuple[str, str, float, float]]:
    """(stage, text, home, away) of the training log: the last that is told of each."""
    told = {(entry["stage"], entry["what"]): entry["calib"] for entry in log if "what" in entry}
    return [(stage, what, c["home"], c["away"]) for (stage, what), c in told.items()]


def steps(log: list[dict[str, Any]], stage: str) -> int:
    """How many a training had."""
    return max(int(entry["step"]) for entry in log if entry["stage"] == stage)


def _processor(key: str) -> str:
    """What Linux tells of the first processor under this key; nothing elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def write_card(root: Path, folder: Path, facts: dict[str, Any]) -> Path:
    """Writes `folder/MODEL_CARD.md` and its plots from a report, the manifest and the log."""
    from trashbin.training.patient import SETTLE, STUDENT

    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    log = [json.loads(line) for line in (folder / "training-log.jsonl").read_text().splitlines()]
    curves, rules = facts["variants"]["int8"]["curves"], manifest["thresholds"]
    plots.reliability(curves, folder / PLOTS / "reliability.svg")
    plots.risk_coverage(curves, rules, folder / PLOTS / "risk-coverage.svg")
    plots.known_unknown(curves, rules, folder / PLOTS / "familiarity.svg")
    # a log from before runs told of it is of the network that ships, which saw some
    drawn = all(entry["drawn"] for entry in log if entry["stage"] == "begin")
    told = stages(log)
    plots.frontier(
        [(str(k), home, away) for k, (_, _, home, away) in enumerate(told, 1)],
        folder / PLOTS / "frontier.svg",
    )
    kinds = {
        "int8": "integers throughout: input, output, weights (per channel), activations",
        "float16": "weights in float16; activations in float32",
    }
    speed, shape = facts["speed"], facts["architecture"]
    vnni = "with" if "vnni" in _processor("flags") else "without"
    base = speed["unpruned float32"]
    text = CARD.format(
        processor=f"{_processor('model name') or 'unknown'}, {vnni} VNNI",
        name=manifest["name"],
        version=manifest["version"],
        labels=", ".join(LABELS),
        size=manifest["input"]["width"],
        share=f"{shape['multiply_adds'] / base['multiply_adds']:.0%}",
        macs=f"{shape['multiply_adds'] / 1e6:.0f}",
        weights=f"{shape['weights'] / 1e6:.2f}",
        features=manifest["output"]["features"],
        files="\n".join(
            f"| `{v['file']}` | {v['bytes']:,} | {kinds[name]} |"
            for name, v in manifest["variants"].items()
        ),
        temperature=manifest["output"]["temperature"],
        sources="\n".join(
            f"- {s['what']}: {s['license']}, <{s['url']}>" for s in manifest["sources"]
        ),
        drawn=" and rendered scenes" if drawn else "",
        student=steps(log, "student"),
        batch=STUDENT.batch,
        settle=steps(log, "settle"),
        rounded=SETTLE.rounded,
        notes="\n".join(entry["text"] for entry in log if entry["stage"] == "note"),
        stages="\n".join(
            f"| {k} {name} | {text} | {home:.1%} | {away:.1%} |"
            for k, (name, text, home, away) in enumerate(told, 1)
        ),
        plots=PLOTS,
        families="; ".join(
            f"{fold}: {', '.join(sorted(f)).replace('_', ' ')}" for fold, f in FAMILIES.items()
        ),
        tables=tables(facts),
        speed="\n".join(
            f"| {name} | {row['input']} | {row['multiply_adds'] / 1e6:.0f} M | {row['bytes']:,} "
            f"| {row['median_ms']:.2f} ms | {base['median_ms'] / row['median_ms']:.1f} x faster "
            f"| {row['left']} |"
            for name, row in speed.items()
        ),
        costs=scores.WRONG_COSTS,
        coverage=scores.HOME_COVERAGE,
        gap=rules["gap"],
        top1=rules["top1"],
        familiarity=rules["familiarity"],
        calibration="\n".join(
            f"| {place} | {c['items']} | {c['accuracy']:.1%} | {c['acted']} ({c['coverage']:.0%}) "
            f"| {c['acted_wrong']} ({c['selective_risk']:.1%}) |"
            for place, c in ((p, manifest["calibration"][p]) for p in ("home", "away"))
        ),
        agreement=AGREEMENT.get(manifest["variants"]["int8"]["sha256"], ""),
        trash=sum(photo.label == "trash" for photo in read_photos(root)),
    )
    out = folder / "MODEL_CARD.md"
    out.write_text(text)
    return out
