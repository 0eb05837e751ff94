"""Render the sample scenes: four empty trays, and two dozen things lying on them.

Needs Python 3.11 with ``bpy==5.0.1`` and ``pillow``, in an environment of its own::

    python -m trashbin.scenes.render                       # everything, beside this file
    python -m trashbin.scenes.render --out try --size 320x240 --samples 12 --only metal-can

Each tray has one camera, one set of lamps and one seed, so that a tray's empty picture is each of
its things' pictures without the thing. Everything is modelled and painted by code: no photograph,
texture or model from elsewhere is used.
"""

import argparse
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from trashbin.scenes import FOLDER, SCHEMA

SEED = 20
MASK_SAMPLES = 16


def settings(size: tuple[int, int], samples: int, threads: int) -> None:
    """Cycles on the processor, denoised, with a photographic view."""
    import bpy

    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = size
    if threads:
        scene.render.threads_mode, scene.render.threads = "FIXED", threads
    cycles = scene.cycles
    cycles.device, cycles.seed, cycles.samples = "CPU", SEED, samples
    cycles.use_adaptive_sampling, cycles.adaptive_threshold = True, 0.06
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 12, 2, 4
    cycles.transmission_bounces, cycles.transparent_max_bounces = 12, 24
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect, cycles.blur_glossy = 6.0, 0.5
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"


def picture(path: Path) -> None:
    """Render to JPEG."""
    import bpy

    scene = bpy.context.scene
    form = scene.render.image_settings
    form.file_format, form.color_mode, form.quality = "JPEG", "RGB", 92
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def mask(path: Path, item: list[Any], others: list[Any]) -> None:
    """Render the item glowing white in a black world, as linear grey PNG; then undo it all."""
    import bpy

    from trashbin.scenes.materials import Nodes

    scene = bpy.context.scene
    paints = {}
    for name, strength in (("white", 1.0), ("black", 0.0)):
        nodes = Nodes(name)
        paints[name] = nodes.finish(
            nodes.add("Emission", Color=(1, 1, 1), Strength=strength).outputs[0]
        )
    kept = [(made, list(made.data.materials)) for made in item + others]
    for number, (made, materials) in enumerate(kept):
        for slot in range(len(materials)):
            made.data.materials[slot] = paints["white" if number < len(item) else "black"]
    lamps = [made for made in scene.objects if made.type == "LIGHT"]
    for lamp in lamps:
        lamp.hide_render = True
    world, view = scene.world, scene.view_settings
    look, transform, exposure, samples = (
        view.look,
        view.view_transform,
        view.exposure,
        scene.cycles.samples,
    )
    scene.world = None
    view.look, view.view_transform, view.exposure = "None", "Raw", 0.0
    scene.cycles.samples, scene.cycles.use_denoising = MASK_SAMPLES, False
    form = scene.render.image_settings
    form.file_format, form.color_mode, form.color_depth, form.compression = "PNG", "BW", "8", 100
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    scene.world, scene.cycles.samples, scene.cycles.use_denoising = world, samples, True
    view.view_transform, view.exposure = transform, exposure
    view.look = look
    for lamp in lamps:
        lamp.hide_render = False
    for made, materials in kept:
        for slot, material in enumerate(materials):
            made.data.materials[slot] = material


def digest(path: Path) -> str:
    """The file's SHA-256, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def listing(out: Path) -> dict[str, Any]:
    """The list of all trays and items, with digests of the files in ``out``."""
    from trashbin.scenes.items import ITEMS
    from trashbin.scenes.trays import TRAYS

    trays = [
        {
            "id": name,
            "file": f"tray-{name}.jpg",
            "sha256": digest(out / f"tray-{name}.jpg"),
            "surface": surface,
        }
        for name, (surface, _, _) in TRAYS.items()
    ]
    items = [
        {
            "id": item.id,
            "label": item.label,
            "name": item.name,
            "tray": item.tray,
            "file": f"{item.id}.jpg",
            "sha256": digest(out / f"{item.id}.jpg"),
            "mask": f"{item.id}.mask.png",
            "mask_sha256": digest(out / f"{item.id}.mask.png"),
        }
        for item in ITEMS
    ]
    return {"schema": SCHEMA, "renderer": "bpy 5.0.1 Cycles", "trays": trays, "items": items}


def render(
    out: Path, only: list[str], size: tuple[int, int], samples: int, threads: int, masks: bool
) -> None:
    """Render what is asked for, tray by tray, and write the list when all of it is there."""
    import bpy

    from trashbin.scenes.items import ITEMS, lay
    from trashbin.scenes.trays import TRAYS, build

    def wanted(name: str) -> bool:
        return not only or any(part in name for part in only)

    out.mkdir(parents=True, exist_ok=True)
    for tray in TRAYS:
        items = [item for item in ITEMS if item.tray == tray and wanted(item.id)]
        if not items and not wanted(f"tray-{tray}"):
            continue
        bpy.ops.wm.read_factory_settings(use_empty=True)
        settings(size, samples or TRAYS[tray][2].samples, threads)
        surfaces = build(tray)
        if wanted(f"tray-{tray}"):
            picture(out / f"tray-{tray}.jpg")
        before = set(bpy.context.scene.objects)
        for item in items:
            start = time.monotonic()
            lay(item)
            made = [thing for thing in bpy.context.scene.objects if thing not in before]
            picture(out / f"{item.id}.jpg")
            if masks:
                mask(out / f"{item.id}.mask.png", made, surfaces)
            for thing in made:
                bpy.data.objects.remove(thing)
            print(f"{item.id}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
    if all((out / f"{item.id}.mask.png").exists() for item in ITEMS):
        text = json.dumps(listing(out), indent=1, ensure_ascii=False) + "\n"
        (out / "scenes.json").write_text(text, encoding="utf-8")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m trashbin.scenes.render", description="Render the sample scenes."
    )
    parser.add_argument(
        "--out", type=Path, default=FOLDER, help="folder for pictures and scenes.json"
    )
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="PART", help="ids that contain one of these"
    )
    parser.add_argument(
        "--size", default="640x480", metavar="WxH", help="in pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--samples", type=int, default=0, help="for each pixel, at most (default: each tray's own)"
    )
    parser.add_argument("--threads", type=int, default=0, help="processor threads (default: all)")
    parser.add_argument("--no-masks", action="store_true", help="pictures only, for a quick look")
    given = parser.parse_args()
    width, height = (int(part) for part in given.size.split("x"))
    render(given.out, given.only, (width, height), given.samples, given.threads, not given.no_masks)


if __name__ == "__main__":
    main()
