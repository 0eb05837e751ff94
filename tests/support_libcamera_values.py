"""What libcamera's Python binding is given and gives: the values of ``support_libcamera``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any


class ControlType(Enum):
    Null, Bool, Integer, Float, Rectangle, Size = range(6)


class Named:
    """A control's or property's id: it has a name and is a key."""

    def __init__(self, name: str, type: ControlType = ControlType.Null) -> None:
        self.name, self.type = name, type

    def __repr__(self) -> str:
        return self.name


@dataclass
class ControlInfo:
    min: Any
    max: Any
    default: Any


@dataclass(frozen=True)
class Size:
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Rectangle:
    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0


class Transform:
    def __init__(self, other: Any = None, *, hflip: Any = 0, vflip: Any = 0, transpose: Any = 0):
        self.hflip = bool(other.hflip if other else hflip)
        self.vflip = bool(other.vflip if other else vflip)
        self.transpose = bool(other.transpose if other else transpose)

    def __str__(self) -> str:  # picamera2 makes it the __repr__, too
        return f"<Transform {self.hflip} {self.vflip} {self.transpose}>"

    __hash__ = object.__hash__


class Orientation(Enum):
    Rotate0, Rotate0Mirror, Rotate180, Rotate180Mirror = range(4)
    Rotate90, Rotate90Mirror, Rotate270, Rotate270Mirror = range(4, 8)


class ColorSpace:
    YcbcrEncoding = Enum("YcbcrEncoding", ["Null", "Rec601", "Rec709"])
    Range = Enum("Range", ["Full", "Limited"])

    def __init__(self, other: ColorSpace | None = None, name: str = "") -> None:
        self.primaries = self.transferFunction = other.primaries if other else name
        self.ycbcrEncoding = self.YcbcrEncoding.Rec601
        self.range = self.Range.Limited

    def __str__(self) -> str:
        return f"<ColorSpace {self.primaries}>"

    __hash__ = object.__hash__
    Sycc = classmethod(lambda cls: cls(name="sycc"))
    Smpte170m = classmethod(lambda cls: cls(name="smpte170m"))
    Rec709 = classmethod(lambda cls: cls(name="rec709"))
    Raw = classmethod(lambda cls: cls(name="raw"))


class StreamRole(Enum):
    Raw, StillCapture, VideoRecording, Viewfinder = range(4)


class PixelFormat(str):
    __slots__ = ()


class FrameBuffer:
    class Plane:
        fd, offset, length = -1, 0, 0

    def __init__(self, planes: list[Plane]) -> None:
        self.planes = planes
        self.metadata = SimpleNamespace(status=FrameMetadata.Status.Success)


class FrameMetadata:
    Status = Enum("FrameStatus", ["Success", "Error", "Cancelled", "Startup"])


class SensorConfiguration:
    bit_depth = 0
    output_size = Size()


class StreamConfiguration:
    def __init__(self, formats: Any) -> None:
        self.formats = formats
        self.stream = object()
        self.size, self.pixel_format = Size(), PixelFormat()
        self.buffer_count, self.stride, self.frame_size = 0, 0, 0
        self.color_space: ColorSpace | None = None


class CameraConfiguration:
    Status = Enum("ConfigurationStatus", ["Valid", "Adjusted", "Invalid"])

    def __init__(self, streams: list[StreamConfiguration]) -> None:
        self.streams = streams
        self.orientation = Orientation.Rotate0
        self.sensor_config: SensorConfiguration | None = None

    def at(self, index: int) -> StreamConfiguration:
        return self.streams[index]

    def __iter__(self) -> Any:
        return iter(self.streams)

    def validate(self) -> Any:
        for stream in self.streams:
            width, height = stream.size.width, stream.size.height
            row = width * {"BGR888": 3, "RGB888": 3, "YUV420": 1}.get(stream.pixel_format, 2)
            stream.stride = -(-row // 64) * 64
            if stream.pixel_format == "YUV420":
                stream.stride = -(-row // 128) * 128  # so that U and V are aligned, too
                height = height * 3 // 2
            stream.frame_size = stream.stride * height
        return self.Status.Valid


class RequestStatus(Enum):
    Pending, Complete, Cancelled = range(3)


class Request:
    Status = RequestStatus

    def __init__(self, cookie: int) -> None:
        self.cookie = cookie
        self.status = RequestStatus.Pending
        self.buffers: dict[Any, FrameBuffer] = {}
        self.controls: dict[Named, Any] = {}
        self.metadata: dict[Named, Any] = {}

    def add_buffer(self, stream: Any, buffer: FrameBuffer) -> None:
        self.buffers[stream] = buffer

    def set_control(self, control: Named, value: Any) -> None:
        self.controls[control] = value

    def reuse(self) -> None:
        self.status, self.controls = RequestStatus.Pending, {}


# every control that the tests' camera advertises; a camera without a lens motor lacks the first two
CONTROLS = {
    name: Named(name, type)
    for name, type in {
        "AfMode": ControlType.Integer,
        "LensPosition": ControlType.Float,
        "AeEnable": ControlType.Bool,
        "ExposureTime": ControlType.Integer,
        "ExposureTimeMode": ControlType.Integer,
        "AnalogueGain": ControlType.Float,
        "AnalogueGainMode": ControlType.Integer,
        "AwbEnable": ControlType.Bool,
        "AwbMode": ControlType.Integer,
        "ColourGains": ControlType.Float,
        "FrameDurationLimits": ControlType.Integer,
        "NoiseReductionMode": ControlType.Integer,
        "ScalerCrop": ControlType.Rectangle,
        "ScalerCrops": ControlType.Rectangle,
    }.items()
}
