"""The labels of pictures under some kernels, as a JSON list: python -m tests.data.answers KERNELS.

The pictures' paths come on standard input, a line each. Run by more than one Python: each answers
by the runtime that is installed for it.
"""

from __future__ import annotations

import json
import sys
from typing import cast

import cv2

from trashbin.classify import judge
from trashbin.model.manifest import find
from trashbin.model.tflite import Kernels, TFLiteClassifier
from trashbin.types import Thresholds


def main() -> None:
    """Prints the label of each picture, in their order."""
    kernels = cast(Kernels, sys.argv[1])
    classifier = TFLiteClassifier(find("trashnet-mobilenetv3-large"), kernels=kernels)
    labels = []
    for line in sys.stdin:
        picture = cv2.cvtColor(cv2.imread(line.rstrip("\n")), cv2.COLOR_BGR2RGB)
        labels.append(judge(picture, classifier, Thresholds()).label)
    print(json.dumps({"runtime": classifier.runtime.name, "labels": labels}))


if __name__ == "__main__":
    main()
