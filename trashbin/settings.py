"""Every key of the YAML, with its type, range and default. ``config.py`` reads files into these.

One class a section; parts that can be swapped are told apart by ``kind``. Times are
seconds, pins are BCM numbers, angles are degrees. A field's ``description`` says what is
expected where type and range do not say it; mistakes are told with it.

A bin starts from here: validators are built where they are first needed, defaults are taken
unseen (a test validates them), and annotations are no strings, which pydantic would evaluate.
"""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from trashbin.types import Mode

SLOWEST = 0.1  # pictures a second; drivers count the time of one in whole microseconds
ID_PATTERN = r"^[a-zA-Z0-9_-]{1,64}$"


def _beside_yaml(path: Path, info: ValidationInfo) -> Path:
    """Relative paths are relative to the YAML's folder, wherever the daemon was started."""
    folder = (info.context or {}).get("folder")
    return folder / path if isinstance(folder, Path) else path


def _number_or_beside_yaml(device: int | str, info: ValidationInfo) -> int | str:
    if isinstance(device, int) or device.isdecimal():
        return device
    return str(_beside_yaml(Path(device), info))


Location = Annotated[Path, AfterValidator(_beside_yaml)]
Pin = Annotated[
    int,
    Field(
        ge=2,
        le=27,
        description="a BCM pin: a whole number from 2 to 27",
        json_schema_extra={"pin": True},
    ),
]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=3600)]
Color = Literal["red", "green", "blue", "yellow", "cyan", "magenta", "white", "orange"]


class Section(BaseModel):
    """Unknown keys are errors: a misspelt key must not be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class Device(Section):
    """Who this bin is."""

    id: str = Field(
        pattern=ID_PATTERN, description="1 to 64 of the letters a-z, A-Z, digits, - and _"
    )
    name: str = ""
    site: str = ""
    mode: Mode = Mode.AUTO


class Level(Section):
    """An ultrasonic sensor over a bin, looking down: its pins, and two distances."""

    trigger: Pin
    echo: Pin
    empty_cm: float = Field(gt=2, le=400)
    full_cm: float = Field(ge=2, le=400)


class Bin(Section):
    """One compartment and the labels that go there."""

    labels: tuple[str, ...] = Field(min_length=1, description="a list of labels, at least one")
    angle: float | None = Field(default=None, ge=-180, le=180)
    lamp: Pin | None = None
    color: Color | None = None
    capacity: int | None = Field(default=None, ge=1, le=100_000)
    level: Level | None = None
    emptied: Pin | None = None


class Model(Section):
    """Which network, and how it runs."""

    name: str = "trashnet-mobilenetv3-large"
    threads: int = Field(default=1, ge=1, le=8)
    kernels: Literal["xnnpack", "builtin", "reference"] = "xnnpack"
    runtime: Literal["auto", "ai-edge-litert", "tflite-runtime"] = "auto"


class Rules(Section):
    """When to act. Left out, the model's manifest decides."""

    gap: Share | None = None
    top1: Share | None = None
    familiarity: Share | None = None


class Look(Section):
    """How the bin looks at its tray."""

    settle_s: Seconds = 1.5
    burst: int = Field(default=3, ge=1, le=15)
    retries: int = Field(default=1, ge=0, le=5)
    refractory_s: Seconds = 2.0
    hold_s: Seconds = 60.0
    empty_tray: Literal["learn", "none"] = "learn"
    close_up: bool = True
    changed_area: float = Field(default=0.01, gt=0, lt=1)
    dark_level: float = Field(default=12.0, ge=0, le=255)
    min_sharpness: float = Field(default=28.0, ge=0, le=100)

    @property
    def closely(self) -> bool:
        """Whether the network is shown no more than the part in which something lies."""
        return self.close_up and self.empty_tray == "learn"


class SimulatedCamera(Section):
    """Plays items that fall into a rendered tray."""

    live: ClassVar[bool] = False
    timeout_s: ClassVar[float] = 2.0  # it never hangs
    kind: Literal["simulated"]
    width: int = Field(default=640, ge=64, le=4096)
    height: int = Field(default=480, ge=64, le=4096)
    fps: float = Field(default=20.0, ge=SLOWEST, le=120)


class FolderCamera(Section):
    """Shows the pictures of a folder, each for a while."""

    live: ClassVar[bool] = False
    kind: Literal["folder"]
    path: Location
    order: Literal["sorted", "shuffled"] = "sorted"
    seed: int = Field(default=0, ge=0)
    seconds_each: float = Field(default=5.0, ge=0.01, le=86400)
    timeout_s: float = Field(default=2.0, gt=0, le=60)


class V4l2Camera(Section):
    """A USB camera (/dev/videoN), or a video file, through OpenCV."""

    kind: Literal["v4l2"]
    device: Annotated[int | str, AfterValidator(_number_or_beside_yaml)] = 0
    format: Literal["auto", "mjpg", "yuyv"] = "auto"
    width: int = Field(default=640, ge=64, le=4096)
    height: int = Field(default=480, ge=64, le=4096)
    fps: float = Field(default=15.0, ge=SLOWEST, le=120)
    timeout_s: float = Field(default=2.0, gt=0, le=60)
    rotate: Literal[0, 90, 180, 270] = 0

    @property
    def live(self) -> bool:
        """Whether it is a camera, whose sensor has noise: a file may show one picture for long."""
        device = self.device
        return isinstance(device, int) or device.isdecimal() or device.startswith("/dev/")


class Picamera2Camera(Section):
    """The Raspberry Pi camera, through libcamera."""

    live: ClassVar[bool] = True
    kind: Literal["picamera2"]
    index: int = Field(default=0, ge=0, le=3)
    width: int = Field(default=320, ge=64, le=4096)
    height: int = Field(default=240, ge=64, le=4096)
    fps: float = Field(default=15.0, ge=SLOWEST, le=120)
    idle_fps: float | None = Field(
        default=None, ge=0, le=120, description="pictures a second, or 0 to stop between items"
    )
    timeout_s: float = Field(default=2.0, gt=0, le=60)
    rotate: Literal[0, 180] = 0
    region: tuple[Share, Share, Share, Share] | None = Field(
        default=None, description="[left, top, width, height], each a share from 0 to 1"
    )
    focus_cm: float | None = Field(default=None, ge=3, le=1000)
    exposure_ms: float | None = Field(default=None, ge=0.01, le=1000)
    gain: float | None = Field(default=None, ge=1, le=64)
    white_balance: Literal["auto", "tungsten", "fluorescent", "indoor", "daylight", "cloudy"] = (
        "auto"
    )
    warm_up: int = Field(default=8, ge=0, le=120)
    buffers: int = Field(default=4, ge=2, le=12)


Camera = Annotated[
    SimulatedCamera | FolderCamera | V4l2Camera | Picamera2Camera, Field(discriminator="kind")
]


class PirTrigger(Section):
    """A PIR motion sensor."""

    kind: Literal["pir"]
    pin: Pin


class ButtonTrigger(Section):
    """A push button between the pin and ground."""

    kind: Literal["button"]
    pin: Pin
    bounce_s: float = Field(default=0.05, ge=0, le=1)


class MotionTrigger(Section):
    """The camera itself: looks at the tray every ``every_s``."""

    kind: Literal["motion"]
    every_s: float = Field(default=0.3, ge=0.01, le=60)


class MqttTrigger(Section):
    """A ``request/look`` over MQTT."""

    kind: Literal["mqtt"]


class TimerTrigger(Section):
    """Looks every so often, whatever happens."""

    kind: Literal["timer"]
    every_s: float = Field(ge=0.1, le=86400)


class SimulatedTrigger(Section):
    """Drops items into the simulated tray, and fires when one falls."""

    kind: Literal["simulated"]
    every_s: float = Field(default=2.0, gt=0, le=3600)
    seed: int = Field(default=0, ge=0)
    items: int | None = Field(default=None, ge=1)


Trigger = Annotated[
    PirTrigger | ButtonTrigger | MotionTrigger | MqttTrigger | TimerTrigger | SimulatedTrigger,
    Field(discriminator="kind"),
]


class Servo(Section):
    """A hobby servo that tilts the tray or turns a flap; each bin has its ``angle``."""

    kind: str

    rest_angle: float = Field(default=0.0, ge=-180, le=180)
    min_angle: float = Field(default=-90.0, ge=-180, le=180)
    max_angle: float = Field(default=90.0, ge=-180, le=180)
    min_pulse_ms: float = Field(default=0.5, gt=0, le=5)
    max_pulse_ms: float = Field(default=2.5, gt=0, le=5)


class ServoActuator(Servo):
    """A servo on a GPIO pin."""

    kind: Literal["servo"]
    pin: Pin


class Pca9685Actuator(Servo):
    """A servo on a PCA9685 board, on I2C."""

    kind: Literal["pca9685"]
    channel: int = Field(ge=0, le=15)
    bus: int = Field(default=1, ge=0, le=63)
    address: int = Field(default=0x40, ge=0x40, le=0x7F)


class HardwarePwmActuator(Servo):
    """A servo on a pin that the Pi's own PWM drives; chip and channel are the kernel's."""

    kind: Literal["hardware_pwm"]
    pin: Pin
    channel: int = Field(ge=0, le=3)
    chip: int = Field(default=0, ge=0, le=15)


AnyServo = ServoActuator | Pca9685Actuator | HardwarePwmActuator


class LampsActuator(Section):
    """One LED a bin (its ``lamp``) or one RGB LED (each bin's ``color``), and an uncertain lamp."""

    kind: Literal["lamps"]
    rgb: tuple[Pin, Pin, Pin] | None = None
    uncertain: Pin | None = None
    uncertain_color: Color = "orange"
    uncertain_style: Literal["steady", "blink"] = "blink"
    active_high: bool = True


class SimulatedActuator(Section):
    """Empties the simulated tray; a person takes out what is held after ``person_s``."""

    kind: Literal["simulated"]
    person_s: Seconds = 2.0


class NoActuator(Section):
    """Nothing moves and nothing lights: a bin that only tells."""

    kind: Literal["none"]


Actuator = Annotated[
    AnyServo | LampsActuator | SimulatedActuator | NoActuator, Field(discriminator="kind")
]


class Sorting(Section):
    """The times of a move: to the bin's angle, dwell there, back to rest."""

    move_s: Seconds = 0.6
    dwell_s: Seconds = 0.8
    jam_retries: int = Field(default=1, ge=0, le=3)


class Gpio(Section):
    """How pins are reached, and the inputs and outputs beside triggers and actuators."""

    pins: Literal["auto", "lgpio", "rpigpio", "pigpio", "native", "mock"] = "auto"
    stop: Pin | None = None
    tray_lamp: Pin | None = None
    broker_lamp: Pin | None = None
    answers: dict[str, Pin] | None = None


class Tls(Section):
    """TLS towards the broker."""

    ca: Location | None = None
    cert: Location | None = None
    key: Location | None = None


class MqttPublisher(Section):
    """An MQTT 3.1.1 broker."""

    kind: Literal["mqtt"]
    host: str = Field(default="localhost", min_length=1)
    port: int = Field(default=1883, ge=1, le=65535)
    username: str | None = None
    password_file: Location | None = None
    tls: Tls | None = None
    keepalive_s: int = Field(default=30, ge=5, le=3600)
    backlog_rate: float = Field(default=50.0, gt=0, le=100000)
    discovery: bool = True
    discovery_prefix: str = Field(
        default="homeassistant",
        pattern=r"^[a-zA-Z0-9_-]+(/[a-zA-Z0-9_-]+)*$",
        max_length=128,
        description="a topic of the letters a-z, A-Z, digits, -, _ and / between them",
    )


class NoPublisher(Section):
    """Events stay in the store."""

    kind: Literal["none"]


Publisher = Annotated[MqttPublisher | NoPublisher, Field(discriminator="kind")]


class Store(Section):
    """Where events are kept, for how long, and what gives way when the store is full."""

    path: Location = Path("/var/lib/trashbin")
    history_days: float = Field(default=30.0, gt=0, le=3650)
    max_mb: int = Field(default=256, ge=1, le=1_000_000)
    overflow: Literal["drop_oldest", "stop"] = "drop_oldest"


class Pictures(Section):
    """Whose pictures are kept on the device, how much they may take, and whether any leaves it."""

    keep: Literal["all", "uncertain", "none"] = "uncertain"
    max_mb: int = Field(default=200, ge=1, le=1_000_000)
    publish: bool = False


class Teach(Section):
    """Whether the bin learns its tray by itself, after how many more answers."""

    auto: bool = False
    after: int = Field(default=20, ge=1, le=100_000)


class Watch(Section):
    """How the bin watches itself, and how often it may end so that systemd starts it again."""

    frame_every_s: float = Field(default=20.0, gt=0, le=60)
    frozen_s: float = Field(default=60.0, ge=0, le=86_400)
    camera_tries: int = Field(default=6, ge=1, le=1000)
    restarts: int = Field(default=5, ge=0, le=100_000)
    restarts_within_s: float = Field(default=3600.0, ge=1, le=604_800)
    broker_away_s: float = Field(default=60.0, ge=1, le=86_400)


class Config(Section):
    """A whole configuration. Every section but ``device`` and ``bins`` has defaults."""

    version: Literal[1]
    device: Device
    bins: dict[str, Bin] = Field(min_length=1)
    model: Model = Model.model_construct()
    rules: Rules = Rules.model_construct()
    look: Look = Look.model_construct()
    camera: Camera
    triggers: tuple[Trigger, ...] = Field(min_length=1)
    actuators: tuple[Actuator, ...] = Field(min_length=1)
    sorting: Sorting = Sorting.model_construct()
    gpio: Gpio = Gpio.model_construct()
    publisher: Publisher
    store: Store = Store.model_construct()
    pictures: Pictures = Pictures.model_construct()
    watch: Watch = Watch.model_construct()
    teach: Teach = Teach.model_construct()

    def bin_of(self, label: str) -> str:
        """The compartment that takes ``label``."""
        return next(name for name, entry in self.bins.items() if label in entry.labels)
