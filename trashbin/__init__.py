"""trashbin: a smart waste bin that looks, decides or holds, moves, and tells."""

import os

__version__ = "0.1.0"

# A few bytes can claim to be a picture of gigabytes. OpenCV reads its limit once, as it loads.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", "50000000")
