"""What is printed on the things: labels, pages and wrappers, painted with Pillow.

Every brand and text here is made up. Pictures are uint8 (H, W, 3), top row first.
"""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont  # type: ignore[import-not-found,unused-ignore]

Colour = tuple[int, int, int]
PROSE = (
    "the town council met on Monday to weigh plans for a new bridge over the river while residents "
    "asked how long the work would take and who would pay for it a spokesman said that the money "
    "had been set aside and the first stones could be laid before winter if the weather holds"
)
WORDS = PROSE.split()


class Canvas:
    """A page to paint on; sizes in pixels."""

    def __init__(self, width: int, height: int, colour: Colour) -> None:
        self.image = Image.new("RGB", (width, height), colour)
        self.draw = ImageDraw.Draw(self.image)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: float,
        colour: Colour = (20, 20, 20),
        bold: float = 0,
    ) -> None:
        """Write with the middle of the line at x, y."""
        font = ImageFont.load_default(size)
        self.draw.text(
            (x, y), words, colour, font, anchor="mm", stroke_width=bold, stroke_fill=colour
        )

    def column(
        self, x: float, y: float, width: float, height: float, size: float, seed: int = 0
    ) -> None:
        """Fill a newspaper column with small print."""
        random = np.random.default_rng(seed)
        font = ImageFont.load_default(size)
        line, down = "", 0.0
        while down < height:
            word = str(random.choice(WORDS))
            if self.draw.textlength(line + " " + word, font) > width:
                self.draw.text((x, y + down), line, (45, 43, 42), font)
                line, down = "", down + size * 1.2
            line = f"{line} {word}".strip()

    def pixels(self, blur: float = 0) -> np.ndarray:
        """The finished picture."""
        done = self.image.filter(ImageFilter.GaussianBlur(blur)) if blur else self.image
        return np.asarray(done)


def grain(picture: np.ndarray, amount: float, seed: int = 0) -> np.ndarray:
    """Add a paper's grain."""
    noise = np.random.default_rng(seed).normal(0, amount, picture.shape[:2])[..., None]
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def kraft(width: int, height: int, colour: Colour = (178, 133, 88), seed: int = 0) -> Canvas:
    """Bare brown board with fibres and faint lines of the flutes beneath."""
    random = np.random.default_rng(seed)
    tone = random.normal(0, 5, (height, width))
    coarse = Image.fromarray(random.integers(0, 255, (height // 24 + 2, width // 24 + 2), np.uint8))
    tone += (
        np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 255.0 - 0.5
    ) * 20
    tone += 4 * np.sin(np.arange(width) * 2 * math.pi / 9)[None]
    canvas = Canvas(width, height, colour)
    canvas.image = Image.fromarray(
        np.clip(np.asarray(canvas.image) + tone[..., None], 0, 255).astype(np.uint8)
    )
    canvas.draw = ImageDraw.Draw(canvas.image)
    for _ in range(width * height // 2500):
        x, y, a = random.uniform(0, width), random.uniform(0, height), random.uniform(0, math.pi)
        shade = int(random.integers(-22, 22))
        fibre = (colour[0] + shade, colour[1] + shade, colour[2] + shade)
        canvas.draw.line((x, y, x + 9 * math.cos(a), y + 9 * math.sin(a)), fibre, 1)
    return canvas


def barcode(canvas: Canvas, x: float, y: float, width: float, height: float, seed: int = 1) -> None:
    """A made-up bar code on white."""
    random = np.random.default_rng(seed)
    canvas.draw.rectangle((x - 6, y - 6, x + width + 6, y + height + 6), (245, 245, 242))
    at = 0.0
    while at < width:
        thick = float(random.choice([2, 3, 5, 7]))
        canvas.draw.rectangle((x + at, y, x + min(at + thick, width), y + height), (15, 15, 15))
        at += thick + float(random.choice([2, 3, 4, 6]))


def carton_mark(text: str) -> np.ndarray:
    """A box's side: two arrows for this way up, and a stencil."""
    c = kraft(700, 420, seed=3)
    ink = (62, 44, 32)
    for x in (110, 190):
        c.draw.polygon([(x - 32, 150), (x, 95), (x + 32, 150)], ink)
        c.draw.rectangle((x - 11, 150, x + 11, 240), ink)
    c.draw.rectangle((70, 258, 230, 268), ink)
    c.text(460, 140, text, 76, ink, 3)
    c.text(460, 230, "HANDLE WITH CARE", 34, ink, 1)
    return c.pixels()


def parcel_top() -> np.ndarray:
    """The top of a parcel: board, a shipping label with address and bar code, a stamped mark."""
    c = kraft(1000, 760, seed=5)
    c.draw.rectangle((80, 60, 470, 320), (244, 243, 238))
    c.text(200, 95, "SHIP TO", 30, bold=1)
    for number, line in enumerate(("A. N. Other", "12 Mill Lane", "Northbridge", "NB4 2XY")):
        c.text(200, 140 + number * 36, line, 28)
    c.draw.rectangle((330, 80, 450, 190), (20, 20, 20))
    c.text(390, 135, "P2", 70, (244, 243, 238), 2)
    barcode(c, 310, 215, 145, 80)
    for x in (700, 790):
        c.draw.polygon([(x - 34, 640), (x, 575), (x + 34, 640)], (60, 43, 32))
        c.draw.rectangle((x - 11, 640, x + 11, 705), (60, 43, 32))
    c.text(235, 640, "FRAGILE", 78, (150, 32, 26), 3)
    c.draw.rectangle((70, 585, 400, 695), outline=(150, 32, 26), width=6)
    return c.pixels(0.6)


def spiral_board() -> np.ndarray:
    """The wound strips of a cardboard tube."""
    c = kraft(900, 700, (168, 130, 94), seed=7)
    for start in range(-900, 1800, 300):
        c.draw.line((start, 0, start + 600, 700), (122, 88, 58), 5)
        c.draw.line((start + 6, 0, start + 606, 700), (196, 160, 124), 4)
    return c.pixels(0.8)


def wine_label() -> np.ndarray:
    """A wine's label: a castle, a name and a year."""
    c = Canvas(620, 560, (238, 230, 208))
    c.draw.rectangle((22, 22, 598, 538), outline=(120, 92, 40), width=6)
    c.draw.polygon(
        [
            (210, 210),
            (210, 130),
            (240, 130),
            (240, 100),
            (270, 70),
            (300, 100),
            (300, 130),
            (330, 130),
            (330, 100),
            (360, 70),
            (390, 100),
            (390, 130),
            (410, 130),
            (410, 210),
        ],
        (96, 60, 50),
    )
    c.text(310, 285, "Château Valmont", 66, (70, 22, 28), 2)
    c.text(310, 365, "VIN ROUGE", 44, (60, 48, 36), 1)
    c.text(310, 425, "2019", 56, (70, 22, 28), 1)
    c.text(310, 490, "mis en bouteille · 75 cl", 28, (60, 48, 36))
    return grain(c.pixels(), 4)


def beer_label() -> np.ndarray:
    """A beer's label: an oval on straw colour."""
    c = Canvas(760, 520, (236, 222, 184))
    c.draw.rectangle((0, 0, 760, 46), (24, 62, 46))
    c.draw.rectangle((0, 474, 760, 520), (24, 62, 46))
    c.draw.ellipse((130, 60, 630, 460), (24, 62, 46), (184, 142, 56), 12)
    c.text(380, 180, "OLD MILL", 84, (240, 226, 188), 3)
    c.text(380, 290, "BEER", 118, (226, 178, 72), 5)
    c.text(380, 385, "brewed 1874", 40, (240, 226, 188), 1)
    return c.pixels()


def jam_label() -> np.ndarray:
    """A jam's label with three strawberries."""
    c = Canvas(620, 420, (250, 246, 236))
    c.draw.rectangle((14, 14, 606, 406), outline=(176, 26, 44), width=10)
    c.text(310, 110, "Strawberry", 96, (176, 26, 44), 3)
    c.text(310, 215, "JAM", 110, (176, 26, 44), 5)
    for x in (170, 310, 450):
        c.draw.ellipse((x - 38, 295, x + 38, 360), (206, 32, 44))
        c.draw.polygon([(x - 36, 335), (x + 36, 335), (x, 388)], (206, 32, 44))
        c.draw.polygon([(x - 30, 300), (x, 276), (x + 30, 300), (x, 318)], (58, 128, 52))
    return c.pixels()


def can_print(base: Colour, band: Colour, ink: Colour, name: str, small: str) -> np.ndarray:
    """A drinks can's print all round: a wave and the name twice, reading up the can."""
    c = Canvas(1400, 800, base)
    wave = [(x, 520 + 120 * math.sin(x / 1400 * 4 * math.pi)) for x in range(0, 1401, 10)]
    c.draw.polygon(wave + [(x, y + 95) for x, y in reversed(wave)], band)
    c.draw.polygon(
        [(x, y + 115) for x, y in wave] + [(x, y + 130) for x, y in reversed(wave)], band
    )
    side = Image.new("RGBA", (760, 260), (0, 0, 0, 0))
    d = ImageDraw.Draw(side)
    d.text(
        (380, 110),
        name,
        ink,
        ImageFont.load_default(190),
        anchor="mm",
        stroke_width=8,
        stroke_fill=ink,
    )
    d.text((380, 228), small, ink, ImageFont.load_default(46), anchor="mm", stroke_width=1)
    up = side.rotate(90, expand=True)
    for x in (220, 920):
        c.image.paste(up, (x, 20), up)
    barcode(c, 610, 120, 120, 210)
    return c.pixels()


def newspaper() -> np.ndarray:
    """A front page: masthead, headline, a drawn picture and columns of print."""
    c = Canvas(1200, 860, (222, 217, 204))
    c.text(600, 70, "THE DAILY NEWS", 104, bold=3)
    c.draw.line((40, 138, 1160, 138), (30, 30, 30), 4)
    c.draw.line((40, 176, 1160, 176), (30, 30, 30), 2)
    c.text(600, 158, "Tuesday 14 March      Late edition      80p", 22)
    c.text(470, 232, "RIVER BRIDGE TO OPEN", 74, bold=3)
    photo = np.linspace(205, 120, 300)[:, None] + 0 * np.arange(520)[None]
    hill = 170 + 40 * np.sin(np.arange(520) / 70.0) + 12 * np.sin(np.arange(520) / 19.0)
    photo = np.where(np.arange(300)[:, None] > hill[None], 82.0, photo)
    arch = np.abs((np.arange(520) % 130) - 65) / 65.0
    photo = np.where(
        (np.arange(300)[:, None] > 190) & (np.arange(300)[:, None] < 205 + 60 * arch[None] ** 2),
        45.0,
        photo,
    )
    photo = np.where(
        np.arange(300)[:, None] > 268, 150.0 + 20 * np.sin(np.arange(520) / 5.0)[None], photo
    )
    photo = photo + np.random.default_rng(3).normal(0, 9, photo.shape)
    shown = Image.fromarray(np.clip(photo, 0, 255).astype(np.uint8)).convert("RGB")
    c.image.paste(shown, (265, 285))
    width = 205
    for number in range(5):
        x = 42 + number * 227
        covered = number in (1, 2, 3) and x < 785 and x > 200
        top = 600 if covered and number < 3 else 285
        c.column(
            x, top if number != 3 else 600, width, 850 - (top if number != 3 else 600), 15.5, number
        )
        if number:
            c.draw.line((x - 11, 600 if number in (2, 3) else 285, x - 11, 850), (150, 146, 140), 1)
    c.text(1050, 232, "Rain on way", 40, bold=1)
    return grain(c.pixels(0.5), 4)


def envelope() -> np.ndarray:
    """An air-mail letter's face: striped edge, stamp, postmark, address."""
    c = Canvas(1100, 640, (240, 237, 228))
    for number, start in enumerate(range(-40, 1200, 44)):
        colour = ((190, 40, 48), (240, 237, 228), (40, 70, 150), (240, 237, 228))[number % 4]
        for y in (0, 612):
            c.draw.polygon(
                [(start, y + 28), (start + 24, y), (start + 68, y), (start + 44, y + 28)], colour
            )
    for number, start in enumerate(range(-40, 700, 44)):
        colour = ((190, 40, 48), (240, 237, 228), (40, 70, 150), (240, 237, 228))[number % 4]
        for x in (0, 1072):
            c.draw.polygon(
                [(x, start + 24), (x + 28, start), (x + 28, start + 44), (x, start + 68)], colour
            )
    c.draw.rectangle((850, 60, 1030, 270), (248, 248, 244), (190, 190, 184), 3)
    c.draw.rectangle((866, 76, 1014, 254), (38, 120, 92))
    c.draw.ellipse((895, 105, 985, 195), (240, 214, 140))
    c.text(940, 225, "60c", 40, (250, 250, 246), 1)
    for radius in (70, 92):
        c.draw.ellipse(
            (800 - radius, 170 - radius, 800 + radius, 170 + radius), outline=(50, 50, 60), width=5
        )
    c.text(800, 170, "14 MAR", 34, (50, 50, 60), 1)
    for row in range(4):
        y = 120 + row * 26
        points = [(x, y + 7 * math.sin(x / 16)) for x in range(480, 705, 4)]
        c.draw.line(points, (50, 50, 60), 4)
    for number, line in enumerate(("Mrs. E. Hartley", "27 Orchard Road", "Westbury", "WB1 4QT")):
        c.text(560, 340 + number * 62, line, 50, (30, 38, 96), 0.6)
    c.text(180, 110, "J. Moore", 30, (30, 38, 96))
    c.text(180, 150, "3 Hill St, Aston", 30, (30, 38, 96))
    return grain(c.pixels(), 3)


def handwriting() -> np.ndarray:
    """A ruled page with a margin and several lines in blue ink."""
    random = np.random.default_rng(11)
    c = Canvas(820, 1060, (246, 245, 240))
    for y in range(130, 1060, 48):
        c.draw.line((0, y, 820, y), (146, 176, 214), 3)
    c.draw.line((130, 0, 130, 1060), (214, 96, 104), 4)
    for row in range(14):
        x, y = 150.0, 130 + row * 48 - 8
        limit = 790 if row % 5 != 4 else 430
        while x < limit - 60:
            width = float(random.uniform(30, 130))
            count = max(2, int(width / 3))
            steps = np.arange(count)
            tall = np.where(random.random(count) < 0.14, 20, 0)
            rise = 8 * np.abs(np.sin(steps * 0.95 + random.uniform(0, 3))) + tall * np.abs(
                np.sin(steps * 0.9)
            )
            slant = rise * 0.35
            c.draw.line(
                [(x + s * 3 + q, y - r) for s, r, q in zip(steps, rise, slant, strict=True)],
                (28, 42, 140),
                3,
            )
            x += width + 20
    return grain(c.pixels(0.5), 2)


def water_label() -> np.ndarray:
    """A water bottle's band, the name three times about."""
    c = Canvas(1200, 330, (24, 104, 190))
    wave = [(x, 235 + 26 * math.sin(x / 1200 * 8 * math.pi)) for x in range(0, 1201, 10)]
    c.draw.polygon([*wave, (1200, 330), (0, 330)], (210, 234, 248))
    for x in (200, 600, 1000):
        c.text(x, 110, "AQUA", 124, (250, 252, 255), 5)
        c.text(x, 205, "spring water", 42, (250, 252, 255), 1)
    return c.pixels()


def yoghurt() -> np.ndarray:
    """A yoghurt cup's print, all about."""
    c = Canvas(1400, 560, (248, 246, 242))
    c.draw.rectangle((0, 300, 1400, 560), (226, 74, 112))
    wave = [(x, 300 + 34 * math.sin(x / 1400 * 6 * math.pi)) for x in range(0, 1401, 10)]
    c.draw.polygon([*wave, (1400, 420), (0, 420)], (226, 74, 112))
    for x in (235, 700, 1165):
        c.text(x, 110, "Yoghurt", 118, (40, 70, 140), 5)
        c.text(x, 205, "strawberry", 60, (206, 40, 80), 2)
        c.draw.ellipse((x - 75, 350, x + 75, 465), (196, 18, 40))
        c.draw.polygon([(x - 72, 425), (x + 72, 425), (x, 530)], (196, 18, 40))
        c.draw.polygon([(x - 62, 362), (x, 310), (x + 62, 362), (x, 390)], (60, 140, 60))
    return c.pixels()


def detergent() -> np.ndarray:
    """A laundry liquid's label."""
    c = Canvas(700, 700, (250, 250, 250))
    c.draw.rectangle((0, 0, 700, 700), (20, 70, 170))
    c.draw.ellipse((60, 60, 640, 640), (250, 210, 40))
    c.draw.ellipse((105, 105, 595, 595), (236, 70, 36))
    c.text(350, 310, "BRITE", 150, (255, 255, 255), 7)
    c.text(350, 430, "laundry liquid", 58, (255, 255, 255), 2)
    return c.pixels()


def spray_label() -> np.ndarray:
    """A window cleaner's label."""
    c = Canvas(640, 560, (252, 252, 250))
    c.draw.rectangle((0, 0, 640, 150), (20, 138, 84))
    c.text(320, 78, "CLEAN+", 104, (255, 255, 255), 5)
    c.text(320, 230, "Glass & Window", 66, (20, 90, 140), 2)
    c.text(320, 320, "CLEANER", 74, (20, 90, 140), 3)
    c.draw.ellipse((250, 390, 390, 530), (84, 176, 226))
    c.text(320, 460, "500 ml", 36, (255, 255, 255), 1)
    return c.pixels()


def crisps() -> np.ndarray:
    """The front of a crisp bag."""
    c = Canvas(900, 1200, (206, 24, 36))
    c.draw.polygon([(0, 0), (900, 0), (900, 190), (0, 330)], (248, 196, 30))
    c.draw.ellipse((90, 250, 810, 640), (250, 206, 40), (255, 250, 230), 14)
    c.text(450, 395, "CRUNCHY", 134, (190, 16, 30), 7)
    c.text(450, 530, "potato chips", 84, (190, 16, 30), 3)
    random = np.random.default_rng(4)
    for x, y in ((260, 820), (480, 760), (660, 860), (380, 940), (570, 980)):
        chip = Image.new("RGBA", (300, 230), (0, 0, 0, 0))
        d = ImageDraw.Draw(chip)
        d.ellipse((10, 10, 290, 220), (232, 180, 70, 255), (178, 120, 34, 255), 8)
        for _ in range(28):
            a, b = random.uniform(50, 250), random.uniform(50, 180)
            d.ellipse((a, b, a + 9, b + 7), (196, 138, 44, 255))
        chip = chip.rotate(float(random.uniform(0, 180)), expand=True)
        c.image.paste(chip, (x - chip.width // 2, y - chip.height // 2), chip)
    c.text(450, 1120, "sea salt · 40 g", 54, (255, 240, 200), 2)
    return c.pixels()
