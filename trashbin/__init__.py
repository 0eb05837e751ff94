"""trashbin: a smart waste bin that looks, decides or holds, moves, and tells."""

import os

__version__ = "0.1.0"

# What OpenCV and NumPy read once, as they load.
DEFAULTS = {
    # a few bytes can claim to be a picture of gigabytes
    "OPENCV_IO_MAX_IMAGE_PIXELS": "50000000",
    # as NumPy's BLAS loads it starts a thread for each core, which takes as long as all else of
    # NumPy; what a bin reckons with it is over before a second core has woken
    "OPENBLAS_NUM_THREADS": "1",
}
for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)
