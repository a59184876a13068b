"""Read characters from pictures with an exported model and nothing of the toolkit.

    python examples/recognise_alone.py models/emnist_model.onnx picture.png…

The pictures are dark ink on light paper, cropped to one character; `toolkit predict` takes any.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image


def main(model: str, *pictures: str) -> None:
    session = onnxruntime.InferenceSession(model)
    labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
    for path in pictures:
        picture = Image.open(path).convert("L").resize((28, 28), Image.Resampling.BOX)
        glyph = (255 - np.asarray(picture, dtype=np.float32)) / 255
        (probabilities,) = session.run(None, {"image": glyph[np.newaxis, ..., np.newaxis]})
        best = probabilities[0].argsort()[::-1][:3]
        print(path, "  ".join(f"{labels[index]} {probabilities[0][index]:.1%}" for index in best))


if __name__ == "__main__":
    main(*sys.argv[1:])
