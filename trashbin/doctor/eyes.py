"""The camera: found, exposed, lit and sharp, colours in order, quick enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from trashbin.doctor.report import Finding, good, unreachable, warning
from trashbin.errors import CameraError
from trashbin.frozen import FEWEST, is_lit, same
from trashbin.ports import Camera
from trashbin.scene import brightness, sharpness
from trashbin.settings import Config
from trashbin.types import Frame

FRAMES = 15
WARM_UP = 3  # in which exposure and white balance find their way
LIMIT_S = 5.0  # for all of them
CLIPPED_SHARE = 0.25  # of the pixels; more, and a white item is lost in it
FLAT = 2.0  # standard deviation of the levels; less, and nothing at all is to be seen
SLOW = 0.6  # of the pictures a second that were asked for
RED = 25.0  # levels that red must have over blue where something red is held up

Ask = Callable[[str], bool | None]  # None: nobody is asked


def check(camera: Camera, config: Config, ask: Ask) -> Iterator[Finding]:
    """Open the camera, take some frames and judge them. It is closed again."""
    section = config.camera
    try:
        camera.open()
        frames, seconds = _frames(camera, section.timeout_s)
        yield _found(section.kind, frames, section.live)
        yield from _exposed(frames[-1], config)
        yield _colors(camera, section.kind, section.timeout_s, ask)
        yield _rate(section.kind, len(frames) / seconds, getattr(section, "fps", None))
    except CameraError as error:
        yield unreachable(
            "camera",
            f"absent: {error}",
            f"The bin looks at nothing and sorts nothing (camera: kind: {section.kind})."
            " Light, focus, colours and frame rate were not tested.",
            "Check the cable; rpicam-hello --list-cameras or v4l2-ctl --list-devices shows what"
            " is there. `sudo trashbin setup` finds the camera and writes it down.",
        )
    finally:
        try:
            camera.close()
        except CameraError as error:
            yield unreachable("camera", str(error), "It may not open again.", "Reboot.")


def _frames(camera: Camera, timeout: float) -> tuple[list[Frame], float]:
    """Up to ``FRAMES`` frames, at least one, and the seconds that it took to get them."""
    for _ in range(WARM_UP):
        camera.capture(timeout)
    frames: list[Frame] = []
    started = time.monotonic()
    while len(frames) < FRAMES and time.monotonic() - started < LIMIT_S:
        frames.append(camera.capture(timeout))
    return frames, max(time.monotonic() - started, 1e-6)


def _found(kind: str, frames: list[Frame], live: bool) -> Finding:
    first, last = frames[0].pixels, frames[-1].pixels
    if (
        live
        and len(frames) >= FEWEST
        and is_lit(last)
        and all(same(first, frame.pixels) for frame in frames)
    ):
        return unreachable(
            "camera",
            f"{kind}, frozen: {len(frames)} pictures are the same to the last bit, as no sensor's",
            "The bin sees what was there once.",
            "Unplug the camera and plug it in again, or reboot.",
        )
    height, width = last.shape[:2]
    return good("camera", f"{kind}, {width} x {height}", "The bin can see.")


def _exposed(frame: Frame, config: Config) -> Iterator[Finding]:
    light, spread = brightness(frame), float(np.std(frame.pixels))
    clipped = float(np.mean(cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY) >= 254))
    do = "Light the tray evenly (gpio: tray_lamp), and keep the sun and reflections off it."
    told = f"brightness {light:.0f} of 255, {clipped:.0%} clipped"
    if light < config.look.dark_level:
        yield unreachable(
            "camera light",
            f"{told}: too dark",
            f"Below look: dark_level ({config.look.dark_level:g}) everything is held as dark.",
            f"Take the cap off the lens. {do}",
        )
        return
    if clipped > CLIPPED_SHARE:
        yield warning("camera light", f"{told}: too bright", "White things vanish in it.", do)
    else:
        yield good("camera light", told, "Neither too dark nor too bright.")
    sharp, floor = sharpness(frame), config.look.min_sharpness
    if spread < FLAT:
        yield warning(
            "camera focus",
            "the picture is one flat colour: nothing to focus on",
            "Either the tray is plain, or something covers the lens.",
            "Put a printed page into the tray and run this again.",
        )
    elif sharp < floor:
        yield warning(
            "camera focus",
            f"sharpness {sharp:.0f}, below look: min_sharpness ({floor:g})",
            "Items are held as blurred.",
            "Turn the lens until a printed page in the tray is sharp, and wipe it.",
        )
    else:
        yield good("camera focus", f"sharpness {sharp:.0f} of 100", "Sharp enough to judge.")


def _colors(camera: Camera, kind: str, timeout: float, ask: Ask) -> Finding:
    """Is red red? Only a person can hold something red before the lens."""
    held = ask("Hold something red close to the lens. Is it there?")
    if not held:
        return good(
            "camera colours",
            f"red first, as {kind} is documented to deliver",
            "Not seen with a red thing: run this in a terminal to be asked for one.",
        )
    mean = camera.capture(timeout).pixels.reshape(-1, 3).mean(axis=0)
    red, blue = float(mean[0]), float(mean[2])
    told = f"red {red:.0f}, blue {blue:.0f}"
    if blue - red > RED:
        return unreachable(
            "camera colours",
            f"{told}: red and blue are swapped",
            "The network sees every colour wrong, and errs.",
            "Tell the project which camera and driver this is; another driver may deliver RGB.",
        )
    if red - blue > RED:
        return good("camera colours", told, "Red is red.")
    return warning(
        "camera colours",
        f"{told}: no clear red was seen",
        "Whether red and blue are swapped stays open.",
        "Run this again, and hold the red thing so that it fills the picture.",
    )


def _rate(kind: str, rate: float, asked: float | None) -> Finding:
    told = f"{rate:.1f} pictures a second"
    if asked is not None and rate < SLOW * asked:
        return warning(
            "camera rate",
            f"{told} of {asked:g}",
            "Each decision takes longer: a burst is three pictures.",
            "More light shortens the exposure; a USB camera wants a USB port of its own;"
            " or set a smaller camera: width and height.",
        )
    return good("camera rate", told, "Quick enough for a burst.")
