"""The table of adapters, the way to the pins, and pixels: what lies under every adapter."""

from __future__ import annotations

import logging
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from gpiozero import Device
from hypothesis import given
from hypothesis import strategies as st

from trashbin import settings
from trashbin.devices import TABLE, load
from trashbin.devices.pins import AUTO, FACTORIES, pin_factory, told_as
from trashbin.devices.pixels import from_bgr
from trashbin.errors import ActuatorError, CameraError, ConfigError, DeviceError, TriggerError


@pytest.mark.parametrize(
    ("port", "union"),
    [
        ("camera", settings.Camera),
        ("trigger", settings.Trigger),
        ("actuator", settings.Actuator),
        ("publisher", settings.Publisher),
    ],
)
def test_the_table_has_exactly_the_kinds_that_a_configuration_may_name(
    port: Any, union: Any
) -> None:
    sections = get_args(get_args(union)[0])
    kinds = {get_args(section.model_fields["kind"].annotation)[0] for section in sections}
    assert kinds == set(TABLE[port])


@pytest.mark.parametrize(("port", "kind"), [(p, k) for p, kinds in TABLE.items() for k in kinds])
def test_every_entry_of_the_table_is_a_class(port: Any, kind: str) -> None:
    assert isinstance(load(port, kind), type)


def test_a_kind_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match=r"kind 'webcam'.*folder, picamera2, simulated, v4l2"):
        load("camera", "webcam")


def test_naming_adapters_loads_no_library_of_theirs() -> None:
    code = "import sys, trashbin.devices; print(*{'cv2', 'gpiozero', 'paho'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


# pins


@pytest.fixture
def factories(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Pin libraries that work or fail as the test says: a value, or an error to raise."""
    behaviour: dict[str, Any] = {}

    def import_module(name: str) -> Any:
        kind = name.rpartition(".")[2]
        found = behaviour.get(kind, ModuleNotFoundError(f"No module named '{kind}'"))
        if isinstance(found, ImportError):
            raise found

        def make() -> Any:
            if isinstance(found, Exception):
                raise found
            return found

        return SimpleNamespace(**{FACTORIES[kind].rpartition(":")[2]: make})

    monkeypatch.setattr("trashbin.devices.pins.import_module", import_module)
    return behaviour


def test_auto_takes_the_first_way_to_the_pins_that_works(factories: dict[str, Any]) -> None:
    factories |= {"lgpio": "through lgpio", "rpigpio": "through rpigpio"}
    assert pin_factory("auto") == "through lgpio"


def test_auto_says_aloud_what_failed_before_it(
    factories: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    factories |= {"rpigpio": "through rpigpio"}
    assert pin_factory("auto") == "through rpigpio"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "rpigpio" in record.message
    assert "No module named 'lgpio'" in record.message


def test_no_way_to_the_pins_names_all_that_was_tried_and_what_to_install(
    factories: dict[str, Any],
) -> None:
    factories |= {"native": "without PWM", "rpigpio": RuntimeError("only on a Raspberry Pi")}
    with pytest.raises(DeviceError) as told:
        pin_factory("auto")
    for part in (*AUTO, "only on a Raspberry Pi", "apt install python3-lgpio", "pins: mock"):
        assert part in str(told.value)


def test_a_way_that_is_named_is_the_only_one_tried(factories: dict[str, Any]) -> None:
    factories |= {"lgpio": "through lgpio"}
    with pytest.raises(DeviceError, match="Tried pigpio"):
        pin_factory("pigpio")


def test_a_bug_in_a_pin_library_is_let_through(factories: dict[str, Any]) -> None:
    factories |= {"lgpio": KeyError("a bug")}
    with pytest.raises(KeyError):
        pin_factory("auto")


def test_gpiozeros_global_factory_is_left_alone() -> None:
    pin_factory("mock")
    assert Device.pin_factory is None


def test_errors_of_the_library_under_gpiozero_are_told_as_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lgpio: Any = ModuleType("lgpio")
    lgpio.error = type("error", (Exception,), {})
    monkeypatch.setitem(sys.modules, "lgpio", lgpio)
    with pytest.raises(ActuatorError, match="The lamp on pin 5: 'GPIO busy'") as told:  # noqa: SIM117
        with told_as(ActuatorError, "The lamp on pin 5"):
            raise lgpio.error("'GPIO busy'")
    assert isinstance(told.value.__cause__, lgpio.error)


def test_what_rpi_gpio_raises_is_told_as_ours_where_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "RPi.GPIO", ModuleType("RPi.GPIO"))
    with pytest.raises(TriggerError, match="pin 17: Failed to add edge"):  # noqa: SIM117
        with told_as(TriggerError, "The pir on pin 17"):
            raise RuntimeError("Failed to add edge detection")


# pixels


@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([0, 90, 180, 270]),
    st.integers(0, 2**32 - 1),
)
def test_pixels_are_turned_clockwise_with_red_first(
    height: int, width: int, rotate: int, seed: int
) -> None:
    rgb = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    bgr = rgb[:, :, ::-1].copy()
    pixels = from_bgr(bgr, rotate)
    bgr[:] = 0  # the camera fills its buffer again
    np.testing.assert_array_equal(pixels, np.rot90(rgb, -rotate // 90))
    assert not pixels.flags.writeable


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_colour_picture_is_a_camera_error(array: Any) -> None:
    with pytest.raises(CameraError, match="not a colour picture"):
        from_bgr(array, 0)
