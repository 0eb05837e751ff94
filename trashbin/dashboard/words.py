"""Every word of the page, in English and Indonesian: one table."""

from __future__ import annotations

from starlette.requests import HTTPConnection

LANGUAGES = {"en": "English", "id": "Bahasa Indonesia"}

# key -> English, Indonesian
TABLE: dict[str, tuple[str, str]] = {
    # around the page
    "title": ("trashbin", "trashbin"),
    "skip": ("Skip to the content", "Langsung ke isi"),
    "pages": ("Pages", "Halaman"),
    "live": ("Live", "Langsung"),
    "queue": ("To answer", "Perlu dijawab"),
    "figures": ("Figures", "Grafik"),
    "events": ("Events", "Peristiwa"),
    "replay": ("What if", "Andaikan"),
    "try": ("Try a picture", "Coba gambar"),
    "bins": ("Bins", "Tempat sampah"),
    "bin": ("Bin", "Tempat sampah"),
    "all_bins": ("All bins", "Semua tempat sampah"),
    "language": ("Language", "Bahasa"),
    "theme": ("Colours", "Warna"),
    "theme_auto": ("System", "Sistem"),
    "theme_light": ("Light", "Terang"),
    "theme_dark": ("Dark", "Gelap"),
    "logout": ("Log out", "Keluar"),
    "login": ("Log in", "Masuk"),
    "password": ("Password", "Kata sandi"),
    "login_wrong": ("That is not the password.", "Kata sandi salah."),
    "login_slow": (
        "Too many tries. Wait a minute, then try again.",
        "Terlalu banyak percobaan. Tunggu satu menit, lalu coba lagi.",
    ),
    "page_lost": ("Connection lost.", "Koneksi terputus."),
    "reconnecting": ("Trying to reconnect ...", "Mencoba menyambung kembali ..."),
    "zone": (
        "Your clock is in another time zone: the times here are those of the page ({}).",
        "Zona waktu Anda berbeda: waktu di sini menurut zona halaman ini ({}).",
    ),
    "broker_lost": ("No connection to the broker", "Tidak terhubung ke broker"),
    "not_kept": ("Events are not kept", "Peristiwa tidak disimpan"),
    # statuses of a bin
    "idle": ("Ready", "Siap"),
    "looking": ("Looking", "Melihat"),
    "sorting": ("Sorting", "Memilah"),
    "holding": ("Holding: needs an answer", "Menahan: perlu jawaban"),
    "fault": ("Fault", "Gangguan"),
    "paused": ("Paused", "Dijeda"),
    "offline": ("Offline", "Luring"),
    "mode": ("Mode", "Mode"),
    "auto": ("sorts by itself", "memilah sendiri"),
    "advisory": ("shows lamps only", "hanya lampu"),
    "site": ("Site", "Lokasi"),
    "compartments": ("Compartments", "Wadah"),
    "model": ("Network", "Jaringan"),
    "thresholds": ("Acts from", "Bertindak mulai"),
    "undelivered": ("Not yet delivered", "Belum terkirim"),
    "temperature": ("Temperature", "Suhu"),
    "disk": ("Free disk", "Ruang disk"),
    "uptime": ("Machine on for", "Mesin menyala selama"),
    "unit_d": ("d", "hari"),
    "unit_h": ("h", "jam"),
    "unit_min": ("min", "mnt"),
    "unit_s": ("s", "dtk"),
    "last_heard": ("Last heard", "Terakhir terdengar"),
    "today": ("Sorted today", "Dipilah hari ini"),
    "no_bins": (
        "No bin has spoken yet. Start one with: trashbin run, or trashbin demo.",
        "Belum ada tempat sampah yang terhubung. Jalankan: trashbin run, atau trashbin demo.",
    ),
    "level": ("Fill level", "Tingkat isi"),
    "is_full": ("Full: {}", "Penuh: {}"),
    # what a bin may be asked
    "controls": ("Controls", "Kendali"),
    "do_now": ("Now", "Sekarang"),
    "do_look": ("Look", "Lihat"),
    "do_identify": ("Blink its lamps", "Kedipkan lampu"),
    "do_selftest": ("Self-test", "Uji diri"),
    "do_emptied": ("I emptied", "Sudah dikosongkan"),
    "done": ("{}: done", "{}: selesai"),
    "all_well": ("{}: every part is well", "{}: semua bagian baik"),
    # cards
    "no_items": ("Nothing has fallen in yet.", "Belum ada yang masuk."),
    "newest": ("What falls in", "Yang masuk"),
    "sorted": ("Sorted", "Dipilah"),
    "uncertain": ("Uncertain", "Tidak pasti"),
    "resolved": ("Answered", "Dijawab"),
    "empty": ("Nothing there", "Kosong"),
    "notice": ("Notice", "Pemberitahuan"),
    "into": ("into {}", "ke {}"),
    "planned": ("belongs into {}", "untuk {}"),
    "shares": ("Shares", "Bagian"),
    "gap": ("Gap", "Selisih"),
    "familiarity": ("Familiar", "Dikenal"),
    "top1": ("Largest share", "Bagian terbesar"),
    "needs": ("needs {}", "perlu {}"),
    "enough": ("enough", "cukup"),
    "too_little": ("too little", "kurang"),
    "took": ("{} ms, of which network and rules {} ms", "{} ms, jaringan dan aturan {} ms"),
    "late": ("told late", "terlambat"),
    "picture_of": ("Picture of the item", "Gambar benda"),
    "answered": ("A person said: {} ({})", "Dijawab: {} ({})"),
    "way_button": ("button at the bin", "tombol"),
    "way_page": ("on this page", "di halaman ini"),
    "way_homeassistant": ("Home Assistant", "Home Assistant"),
    "way_request": ("over MQTT", "lewat MQTT"),
    "what_is_it": ("What is it?", "Benda apa ini?"),
    "correct": ("Wrong? Say what it is", "Salah? Katakan benda apa"),
    "sent": ("Sent: {}", "Terkirim: {}"),
    "no_answer": (
        "{} did not answer. Is it online?",
        "{} tidak menjawab. Apakah daring?",
    ),
    "is_offline": (
        "{} is offline. Try again once it is back.",
        "{} sedang luring. Coba lagi setelah daring kembali.",
    ),
    "refused": ("{} refused: {}", "{} menolak: {}"),
    "forgotten": (
        "{} does not keep this item any more, so nobody is asked again about it and older ones.",
        "{} tidak menyimpan benda ini lagi, jadi benda ini dan yang lebih lama tidak akan "
        "ditanyakan lagi.",
    ),
    "queue_empty": (
        "Nothing waits for an answer. Well sorted.",
        "Tidak ada yang menunggu jawaban. Semua beres.",
    ),
    "queue_intro": (
        "The bin was not sure about these. Your answer labels the item; if it still lies there, "
        "the bin sorts it now.",
        "Tempat sampah tidak yakin tentang benda ini. Jawaban Anda memberi label; bila bendanya "
        "masih ada, akan langsung dipilah.",
    ),
    "more_wait": ("{} more wait.", "{} lagi menunggu."),
    # reasons
    "clear": ("clear", "jelas"),
    "low_gap": ("two classes are too close", "dua kelas terlalu dekat"),
    "low_top1": ("even the largest share is small", "bagian terbesar pun kecil"),
    "tie": ("two classes are equal", "dua kelas sama besar"),
    "disagree": (
        "the pictures disagree, or two things lie there",
        "gambar berbeda pendapat, atau ada dua benda",
    ),
    "unfamiliar": ("unlike what it learned", "tidak mirip yang dipelajari"),
    "blurred": ("blurred", "kabur"),
    "dark": ("too dark", "terlalu gelap"),
    "invalid": ("the network gave no answer", "jaringan tidak menjawab"),
    "reason_fault": ("a part failed", "ada bagian yang gagal"),
    # parts of a bin, as its faults and problems name them
    "part_actuator": ("actuator", "penggerak"),
    "part_broker": ("broker", "broker"),
    "part_calibration": ("calibration", "kalibrasi"),
    "part_camera": ("camera", "kamera"),
    "part_clock": ("clock", "jam"),
    "part_configuration": ("configuration", "konfigurasi"),
    "part_device": ("device", "perangkat"),
    "part_head": ("head", "lapisan akhir"),
    "part_lamps": ("lamps", "lampu"),
    "part_level": ("level", "tingkat isi"),
    "part_model": ("model", "model"),
    "part_overflow": ("overflow", "penyimpanan penuh"),
    "part_pictures": ("pictures", "gambar"),
    "part_restarts": ("restarts", "mulai ulang"),
    "part_stop": ("stop", "sakelar henti"),
    "part_store": ("store", "penyimpanan"),
    "part_trigger": ("trigger", "pemicu"),
    # labels
    "cardboard": ("cardboard", "kardus"),
    "glass": ("glass", "kaca"),
    "metal": ("metal", "logam"),
    "paper": ("paper", "kertas"),
    "plastic": ("plastic", "plastik"),
    "trash": ("trash", "sampah lain"),
    # figures
    "last": ("Period", "Rentang"),
    "hours_1": ("Last hour", "Satu jam terakhir"),
    "hours_24": ("Last 24 hours", "24 jam terakhir"),
    "hours_168": ("Last 7 days", "7 hari terakhir"),
    "hours_720": ("Last 30 days", "30 hari terakhir"),
    "by_class": ("Items by class and hour", "Benda per kelas dan jam"),
    "by_class_and_day": ("Items by class and day", "Benda per kelas dan hari"),
    "by_share": ("Share of uncertain items", "Bagian yang tidak pasti"),
    "by_latency": ("Time to a decision", "Waktu sampai keputusan"),
    "items": ("items", "benda"),
    "hour": ("Hour", "Jam"),
    "day": ("Day", "Hari"),
    "total_ms": ("from the signal, ms", "sejak sinyal, ms"),
    "think_ms": ("network and rules, ms", "jaringan dan aturan, ms"),
    "as_table": ("As a table", "Sebagai tabel"),
    "median": ("median", "median"),
    "nothing_yet": ("No items in this period.", "Tidak ada benda dalam rentang ini."),
    # table of events
    "time": ("Time", "Waktu"),
    "kind": ("Event", "Peristiwa"),
    "label": ("Class", "Kelas"),
    "reason": ("Why", "Sebab"),
    "compartment": ("Into", "Ke"),
    "any": ("all", "semua"),
    "search": ("Search", "Cari"),
    "searching": ("Searching ...", "Sedang mencari ..."),
    "csv": ("Download as CSV", "Unduh sebagai CSV"),
    "found": ("{} events", "{} peristiwa"),
    "newer": ("Newer", "Lebih baru"),
    "older": ("Older", "Lebih lama"),
    "page_of": ("Page {} of {}", "Halaman {} dari {}"),
    # replay
    "replay_intro": (
        "What other thresholds would have done to the items that were kept. Nothing changes "
        "at a bin before you tell it to use them.",
        "Apa yang terjadi bila ambang berbeda, dihitung dari benda yang tersimpan. Tidak ada "
        "yang berubah di tempat sampah sebelum Anda memintanya.",
    ),
    "as_it_was": ("as it was", "semula"),
    "then": ("then", "menjadi"),
    "all": ("all", "semua"),
    "would_change": ("{} of {} items would change", "{} dari {} benda akan berubah"),
    "newest_only": ("Of the newest {} items.", "Dari {} benda terbaru."),
    "use_these": ("Use them at {}", "Pakai di {}"),
    "as_configured": ("Back to its configuration", "Kembali ke konfigurasinya"),
    "none_moved": ("Move a slider first.", "Geser dahulu salah satu."),
    # try a picture
    "try_intro": (
        "A photograph goes through the bin's network and rules, and is kept nowhere.",
        "Foto diproses oleh jaringan dan aturan tempat sampah, dan tidak disimpan.",
    ),
    "choose": ("Choose a picture (.jpg, .jpeg, .png)", "Pilih gambar (.jpg, .jpeg, .png)"),
    "drop_here": ("or drop it here", "atau letakkan di sini"),
    "judging": ("Looking at it ...", "Sedang dilihat ..."),
    "not_sent": (
        "The picture could not be sent. Is there a connection? Choose it again.",
        "Gambar tidak dapat dikirim. Apakah ada koneksi? Pilih lagi.",
    ),
    "confidence": ("relative confidence {}", "keyakinan relatif {}"),
    "would_sort": ("would be sorted", "akan dipilah"),
    "would_hold": ("held as uncertain", "ditahan: tidak pasti"),
    "not_ambiguous": (
        "Not ambiguous: gap {}, needed {}; second is {}",
        "Tidak ambigu: selisih {}, perlu {}; kedua {}",
    ),
    "unambiguous_but": ("Not ambiguous, but {}", "Tidak ambigu, tetapi {}"),
    "ambiguous": ("Ambiguous", "Ambigu"),
    "unambiguous": ("Not ambiguous", "Tidak ambigu"),
    "no_class": ("no class: held", "tanpa kelas: ditahan"),
    "relative": (
        "Shares are relative between the classes: none is a probability of being right.",
        "Bagian bersifat relatif antarkelas: bukan peluang kebenaran.",
    ),
    "every_digit": (
        "Every digit, as trashbin classify --json",
        "Semua angka, seperti trashbin classify --json",
    ),
    "crowded": (
        "Too many pictures are being sent at once. Choose it again in a minute.",
        "Terlalu banyak gambar dikirim sekaligus. Pilih lagi sebentar lagi.",
    ),
    "cannot_judge": ("This picture cannot be judged: {}", "Gambar ini tidak dapat dinilai: {}"),
}

# what ``pictures`` says of a file, in Indonesian
PICTURES = {
    "is empty": "kosong",
    "is larger than {} MB": "lebih besar dari {} MB",
    "is too large: {} megapixels are the most; make it smaller first": (
        "terlalu besar: paling banyak {} megapiksel; perkecil dahulu"
    ),
    "is too large: {} x {} pixels, {} megapixels are the most; make it smaller first": (
        "terlalu besar: {} x {} piksel, paling banyak {} megapiksel; perkecil dahulu"
    ),
    "is a {} that breaks off or is damaged; copy it again": (
        "adalah {} yang terpotong atau rusak; salin lagi"
    ),
    "is a picture without pixels": "adalah gambar tanpa piksel",
    "cannot be decoded ({})": "tidak dapat dibaca ({})",
    "is a HEIC picture, as phones make them; save it as a JPEG first": (
        "adalah gambar HEIC dari ponsel; simpan dahulu sebagai JPEG"
    ),
    "is no picture that can be read (it is damaged, or something else)": (
        "bukan gambar yang dapat dibaca (rusak, atau berkas lain)"
    ),
}
TABLE |= {english: (english, indonesian) for english, indonesian in PICTURES.items()}

PARTS = [key.removeprefix("part_") for key in TABLE if key.startswith("part_")]


class Words:
    """The table in one language. KeyError for a key that is not there: a bug."""

    def __init__(self, language: str = "en") -> None:
        self.language = language if language in LANGUAGES else "en"
        self._column = list(LANGUAGES).index(self.language)

    def __call__(self, key: str, *values: object) -> str:
        """The words of ``key``, with ``values`` in their places."""
        text = TABLE[key][self._column]
        return text.format(*values) if values else text

    def known(self, key: str) -> str:
        """The words of ``key``, or the key itself: for words that a bin sent."""
        return TABLE[key][self._column] if key in TABLE else key

    def both(self, label: str) -> str:
        """A label in this language, and in the other where that differs."""
        here = self.known(label)
        other = TABLE[label][1 - self._column] if label in TABLE else label
        return here if other == here else f"{here} ({other})"

    def part(self, part: str) -> str:
        """A part of a bin, or the bin's own name for it."""
        key = f"part_{part}"
        return self(key) if key in TABLE else part

    def reason(self, reason: str) -> str:
        """Why a bin acted or held."""
        return self("reason_fault") if reason == "fault" else self.known(reason)

    def percent(self, share: float, digits: int = 1) -> str:
        """A share as people write it."""
        return f"{self.number(100 * share, digits)}%"

    def number(self, value: float, digits: int) -> str:
        """A number with decimals, as people write it."""
        text = f"{value:.{digits}f}"
        return text.replace(".", ",") if self.language == "id" else text

    def span(self, seconds: float) -> str:
        """A span of time, short."""
        for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
            if seconds >= size:
                return f"{seconds / size:.0f} {self(f'unit_{unit}')}"
        return f"{seconds:.0f} {self('unit_s')}"


def for_whom(request: HTTPConnection) -> Words:
    """In the language that the person chose, else in the one that the browser asks for."""
    chosen = request.cookies.get("language")  # another program's cookies may be no valid ones
    return Words(chosen or preferred(request.headers.get("accept-language", "")))


def preferred(header: str) -> str:
    """The first of our languages that a browser's Accept-Language names; English otherwise."""
    wanted: list[tuple[float, str]] = []
    for entry in header[:500].split(","):
        name, _, weight = entry.strip().partition(";q=")
        try:
            wanted.append((-float(weight or 1), name.lower().split("-")[0]))
        except ValueError:
            continue
    found = [name for _, name in sorted(wanted, key=lambda pair: pair[0])]
    return next((name for name in found if name in LANGUAGES), "en")
