"""trashbin: a smart waste bin that looks, decides or holds, moves, and tells."""

__version__ = "0.1.0"
