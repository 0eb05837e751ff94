"""Whatever stands in the YAML, nothing but our own mistakes comes back; what is sound survives."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support_config import SOUND, load
from tests.unit.test_config_explained import nested
from trashbin import resources
from trashbin import settings as keys
from trashbin.config import Loaded
from trashbin.config_words import schema_at
from trashbin.settings import Config, Section


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config")


# nothing but our own errors


def check_told(loaded: Loaded, text: str) -> None:
    """Either a configuration or mistakes that can be printed, at lines that exist."""
    assert (loaded.config is None) == bool(loaded.mistakes)
    for mistake in loaded.mistakes:
        assert 0 <= mistake.line <= len(re.split("\r\n|[\r\n\x85\u2028\u2029]", text)) + 1
        assert len(str(mistake).encode().splitlines()) <= 2
        assert len(str(mistake)) < 1000


YAMLISH = st.text(st.sampled_from("ab1 :-#'\"[]{},&*!|>%@`?\n\t~.\\\0é"), max_size=40)


@settings(max_examples=350, deadline=None)
@given(text=st.text(max_size=60) | YAMLISH)
def test_any_text_is_told_about(folder: Path, text: str) -> None:
    loaded = load(folder, text)
    check_told(loaded, text)
    assert loaded.config is None


@settings(max_examples=350, deadline=None)
@given(st.integers(0, len(SOUND)), st.integers(0, 12), YAMLISH | st.sampled_from(["", "\n", ":"]))
def test_any_damage_to_a_sound_file_is_told_about(
    folder: Path, start: int, length: int, patch: str
) -> None:
    text = SOUND[:start] + patch + SOUND[start + length :]
    check_told(load(folder, text), text)


SOUND_DATA = yaml.safe_load(SOUND)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)
PLACES: list[list[str | int]] = [[name] for name in Config.model_fields] + [
    ["bins", "rest"],
    ["bins", "rest", "labels"],
    ["bins", "rest", "labels", 1],
    ["triggers", 0],
    ["triggers", 0, "pin"],
    ["actuators", 1],
    ["actuators", 0, "kind"],
    ["actuators", 1, "rgb"],
    ["device", "mode"],
    ["publisher", "tls"],
    ["publisher", "kind"],
]


@settings(max_examples=270, deadline=None)
@given(st.sampled_from(PLACES), ANYTHING)
def test_any_value_in_any_place_is_told_about(
    folder: Path, place: list[str | int], value: Any
) -> None:
    inner = data = copy.deepcopy(SOUND_DATA)
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    text = json.dumps(data, ensure_ascii=False)  # JSON is YAML too, and quickly written
    check_told(load(folder, text), text)


# what is sound comes back the same


def _values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a field's JSON schema allows."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    if "anyOf" in schema:
        return st.one_of(*(_values(choice) for choice in schema["anyOf"]))
    match schema.get("type"):
        case "integer":
            return st.integers(schema.get("minimum", -(10**9)), schema.get("maximum", 10**9))
        case "number":
            low = schema.get("minimum", schema.get("exclusiveMinimum"))
            high = schema.get("maximum", schema.get("exclusiveMaximum", 1e6))
            return st.floats(
                low,
                high,
                exclude_min="exclusiveMinimum" in schema,
                exclude_max="exclusiveMaximum" in schema,
            )
        case "boolean":
            return st.booleans()
        case "array" if "prefixItems" in schema:
            return st.tuples(*map(_values, schema["prefixItems"])).map(list)
    if "pattern" in schema:
        written = st.from_regex(re.compile(schema["pattern"], re.ASCII), fullmatch=True)
        return written.map(str.strip).filter(lambda t: len(t) <= schema.get("maxLength", len(t)))
    if schema.get("format") == "path":
        return st.from_regex(r"/[a-z0-9][a-z0-9 .#:-]{0,11}", fullmatch=True)
    return st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


def _sections(cls: type[Section], **fixed: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Sections of one class with any of their keys; ``fixed`` are given, None leaves a key out."""
    required, optional = {}, {}
    for name, info in cls.model_fields.items():
        inner = nested(info.annotation)
        if name in fixed:
            if fixed[name] is not None:
                required[name] = st.just(fixed[name])
            continue
        values = _sections(inner[0]) if inner else _values(schema_at(cls, (name,)))
        (required if info.is_required() else optional)[name] = values
    return st.fixed_dictionaries(required, optional=optional)


@st.composite
def _levels(draw: st.DrawFn, trigger: int, echo: int) -> dict[str, Any]:
    """A level sensor that is nearer to a full bin than to an empty one."""
    full, empty = sorted(draw(st.lists(st.floats(2, 400), min_size=2, max_size=2, unique=True)))
    return {"trigger": trigger, "echo": echo, "full_cm": full, "empty_cm": empty}


@st.composite
def _picamera2(draw: st.DrawFn) -> dict[str, Any]:
    """A camera whose exposure lies within a picture's time, and its part within the picture."""
    fps = draw(st.floats(1, 60))
    corner, size = st.floats(0, 0.5), st.floats(0.01, 0.5)
    given = {
        "fps": fps,
        "idle_fps": draw(st.none() | st.just(0.0) | st.floats(0.1, fps)),
        "exposure_ms": draw(st.none() | st.floats(0.1, 999 / fps)),
        "region": draw(st.none() | st.tuples(corner, corner, size, size).map(list)),
    }
    return draw(_sections(keys.Picamera2Camera, **given))


@st.composite
def _configurations(draw: st.DrawFn) -> dict[str, Any]:
    """A configuration without a mistake, with as many keys as there are."""
    pins = iter(draw(st.permutations(range(2, 28))))
    angle = st.floats(-90, 90)
    camera = draw(st.sampled_from(get_args(get_args(keys.Camera)[0])))
    simulated = camera is keys.SimulatedCamera
    labels = draw(st.permutations(resources.labels()))
    cut = draw(st.integers(1, len(labels)))
    names = draw(
        st.lists(
            st.text(min_size=1, max_size=9).filter(str.isprintable),
            min_size=2,
            max_size=2,
            unique=True,
        )
    )
    bins = {
        name: draw(
            _sections(
                keys.Bin,
                labels=part,
                lamp=next(pins),
                angle=draw(angle),
                emptied=draw(st.sampled_from([None, next(pins)])),
                level=draw(st.none() | _levels(next(pins), next(pins))),
            )
        )
        for name, part in zip(names, (labels[:cut], labels[cut:]), strict=True)
        if part
    }
    triggers = [
        draw(_sections(keys.PirTrigger, pin=next(pins))),
        draw(_sections(keys.ButtonTrigger, pin=next(pins))),
        draw(_sections(keys.SimulatedTrigger if simulated else keys.TimerTrigger)),
        draw(_sections(keys.MqttTrigger)),
    ]
    reach: dict[str, Any] = dict.fromkeys(
        ("min_angle", "max_angle", "min_pulse_ms", "max_pulse_ms")
    )
    servo = _sections(keys.ServoActuator, pin=next(pins), rest_angle=draw(angle), **reach)
    rgb = [next(pins) for _ in range(3)]
    lamps = _sections(keys.LampsActuator, rgb=rgb, uncertain=next(pins))
    buttons = draw(st.lists(st.sampled_from(labels), max_size=3, unique=True))
    answers = {label: next(pins) for label in buttons}
    tls = draw(st.none() | _sections(keys.Tls, cert="/a", key="/b"))
    mqtt = _sections(keys.MqttPublisher, username="hall", password_file="/c", tls=tls)
    return {
        "version": 1,
        "device": draw(_sections(keys.Device)),
        "bins": bins,
        "model": draw(_sections(keys.Model)),
        "rules": draw(_sections(keys.Rules)),
        "look": draw(_sections(keys.Look)),
        "camera": draw(_picamera2() if camera is keys.Picamera2Camera else _sections(camera)),
        "triggers": triggers,
        "actuators": [draw(servo), draw(lamps), {"kind": "none"}],
        "sorting": draw(_sections(keys.Sorting)),
        "gpio": draw(
            _sections(
                keys.Gpio,
                stop=next(pins),
                tray_lamp=next(pins),
                broker_lamp=next(pins),
                answers=answers,
            )
        ),
        "publisher": draw(mqtt),
        "store": draw(_sections(keys.Store)),
    }


@settings(max_examples=30, deadline=None)
@given(_configurations())
def test_a_sound_configuration_survives_yaml(folder: Path, data: dict[str, Any]) -> None:
    first = load(folder, yaml.safe_dump(data, allow_unicode=True, sort_keys=False))
    assert first.mistakes == ()
    assert first.config is not None
    dumped = first.config.model_dump(mode="json", exclude_none=True)
    for name, section in data.items():
        if isinstance(section, dict) and name != "bins":
            assert {key: dumped[name][key] for key in section if key != "tls"} == {
                key: _as_read(folder, key, value) for key, value in section.items() if key != "tls"
            }
    again = load(folder, yaml.safe_dump(dumped, allow_unicode=True))
    assert again.config == first.config


def _as_read(folder: Path, key: str, value: Any) -> Any:
    """A video, which the camera may be, lies beside the YAML."""
    video = key == "device" and isinstance(value, str) and not value.isdecimal()
    return str(folder / value) if video else value
