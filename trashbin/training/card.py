"""The model card: prose that stays, and figures that come from measuring the exported files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trashbin.training.data import LABELS
from trashbin.training.evaluate import tables

CARD = """# {name} {version}

Says what one thing in the bin's tray is: {labels}.
A MobileNetV3-Large (Howard et al., ICCV 2019), unpruned, 224 x 224, fine-tuned for this project.

| file | bytes | what |
|---|---|---|
{files}

Input: RGB, the whole frame stretched to 224 x 224, float32 `x / 127.5 - 1`. Output: six logits;
shares are `softmax(logits / {temperature})`. Shares are relative between the classes: none is an
absolute probability, and a thing of no class gets shares as well.

## Sources

{sources}

No photograph and no start weight is in this repository. The photographs' authors are to be cited;
the backbone's licence asks that changes be stated: every weight was trained further, and its head
is new.

## How it was trained

{training}

The split is by group (photographs of one object, or of objects too alike to tell apart, stay
together), a pure function of group ids and a seed: `python -m trashbin.training split --fold test`
lists the photographs that nothing learned from. Groups of more than three photographs are all in
`train`, so no held-out figure rests on one object seen many times. Whole families of background are
kept for each fold's composites: {families}.

## What was measured

The exported files, through the preprocessing that ships, on groups that chose neither weights nor
checkpoint, temperature or threshold. Printed by

    python -m trashbin.training evaluate

{tables}

"Other backgrounds" are composites: held-out photographs cut from their board and put on families of
background that are in no training picture, under made-up light. A composite is still a photograph
from the same collection, so these figures flatter: a camera above a real tray is another matter.

## Thresholds

Fitted on the `calib` fold, photographs and composites in equal parts, through the int8 file:
temperature first, then the lowest gap at which at most {max_risk:.0%} of the items acted upon were
wrong. The rule is `gap >= {gap}` and `largest share >= {top1}`. This is the observed error of one
fold, not a guarantee.

| calib fold | items | accuracy | acts on | wrong among acted |
|---|---|---|---|---|
{calibration}

## What it cannot do

- Know that a thing is of no class: food, textiles, wood and plants get one of the six labels, often
  with a wide gap. There is no familiarity score yet.
- Tell what people dispute too: a paper cup from a plastic one, coated card from paper, a wrapper
  (`plastic` or `trash`; the photographs' own labels differ), a jar of clear plastic from glass.
- `trash` was learned from few objects ({trash} photographs in all) and is the weakest class.
- Two items at once: it answers for the frame as a whole.
- Photographs that train it come from one place and one year: packaging elsewhere looks different.
- Weights are int8 here, activations are float: this is not yet a fully integer network.
"""


def write_card(root: Path, folder: Path, facts: dict[str, Any], training: str) -> Path:
    """Writes `folder/MODEL_CARD.md` from a report, the manifest and the story of the training."""
    from trashbin.training.backgrounds import FAMILIES
    from trashbin.training.data import read_photos

    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    kinds = {
        "int8": "weights in int8, per channel; activations in float32",
        "float16": "weights in float16; activations in float32",
    }
    calibration = manifest["calibration"]
    rows = [
        f"| {place} | {c['items']} | {c['accuracy']:.1%} | {c['acted']} ({c['coverage']:.0%}) "
        f"| {c['acted_wrong']} ({c['selective_risk']:.1%}) |"
        for place, c in ((place, calibration[place]) for place in ("home", "away"))
    ]
    families = "; ".join(
        f"{fold}: {', '.join(sorted(f)).replace('_', ' ')}" for fold, f in FAMILIES.items()
    )
    text = CARD.format(
        name=manifest["name"],
        version=manifest["version"],
        labels=", ".join(LABELS),
        files="\n".join(
            f"| `{v['file']}` | {v['bytes']:,} | {kinds[name]} |"
            for name, v in manifest["variants"].items()
        ),
        temperature=manifest["output"]["temperature"],
        sources="\n".join(
            f"- {s['what']}: {s['license']}, <{s['url']}>" for s in manifest["sources"]
        ),
        training=training.strip(),
        families=families,
        tables=tables(facts),
        max_risk=calibration["max_risk"],
        gap=manifest["thresholds"]["gap"],
        top1=manifest["thresholds"]["top1"],
        calibration="\n".join(rows),
        trash=sum(photo.label == "trash" for photo in read_photos(root)),
    )
    out = folder / "MODEL_CARD.md"
    out.write_text(text)
    return out
