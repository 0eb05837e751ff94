"""What the network answers on this machine, as one JSON object: run on x86-64 and on arm64.

``golden``: each golden input's logits under reference kernels, exact; the labels and gaps of
the sample scenes come from ``trashbin classify`` itself.
"""

from __future__ import annotations

import json
import platform

from trashbin.model import golden, manifest
from trashbin.model.tflite import TFLiteClassifier
from trashbin.types import Frame


def main() -> None:
    """Print the answers."""
    classifier = TFLiteClassifier(manifest.find(), kernels="reference")  # checks them, too
    spec = classifier.file.input_spec
    answers = {}
    for wanted in classifier.file.manifest.variants[classifier.file.variant].golden:
        picture = golden.pattern(wanted.seed, spec.height, spec.width)
        classifier.load_input(Frame(picture, 0.0))
        classifier.invoke()
        answers[str(wanted.seed)] = classifier.logits().tolist()
    print(json.dumps({"machine": platform.machine(), "golden": answers}))


if __name__ == "__main__":
    main()
