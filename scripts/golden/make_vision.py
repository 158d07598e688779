#!/usr/bin/env python3
"""Pictures of many modes with what Pillow and torchvision make of them (pillow 13.0.0, torchvision 0.26.0, seed 3).

Usage: make_vision.py FOLDER     writes FOLDER/*.png|jpg|bmp and FOLDER/expected.json
Pixels are kept as SHA-256 of the RGB bytes: of the decoded picture and of it resized by each backend.
"""
import hashlib
import json
import sys
from pathlib import Path

import numpy
import torch
from PIL import Image
from torchvision.transforms.v2 import functional
from torchvision.transforms import InterpolationMode


def sha(array):
    return hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()


def noise(rng, shape, dtype=numpy.uint8, high=256):
    small = rng.integers(0, high, (shape[0] // 4 + 1, shape[1] // 4 + 1) + shape[2:])
    return numpy.repeat(numpy.repeat(small, 4, 0), 4, 1)[: shape[0], : shape[1]].astype(dtype)


def pictures(rng):
    rgb = Image.fromarray(noise(rng, (37, 61, 3)))
    yield "rgb.png", rgb, {}
    yield "rgb.bmp", rgb, {}
    yield "rgb.jpg", rgb, {"quality": 90}
    yield "gray.jpg", rgb.convert("L"), {"quality": 90}
    yield "gray.png", rgb.convert("L"), {}
    yield "bit.png", rgb.convert("1"), {}
    yield "palette.png", rgb.quantize(13), {}
    yield "rgba.png", Image.fromarray(noise(rng, (29, 33, 4))), {}
    yield "la.png", Image.fromarray(noise(rng, (29, 33, 4))).convert("LA"), {}
    yield "gray16.png", Image.fromarray(noise(rng, (21, 40), numpy.uint16, 600)), {}
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "turned.jpg", rgb, {"quality": 90, "exif": exif}


def expected(path, size):
    from PIL import ImageOps

    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    tensor = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)
    resized = functional.resize(tensor, size, interpolation=InterpolationMode.BICUBIC, antialias=True)
    pil = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return {"size": [image.height, image.width], "rgb": sha(numpy.array(image)), "resize_to": size,
            "pil": sha(numpy.array(pil)), "torchvision": sha(resized.permute(1, 2, 0).numpy())}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = numpy.random.default_rng(3)
    sizes = [[56, 84], [28, 28], [140, 56], [112, 28], [84, 84], [112, 196]]
    result = {}
    for i, (name, image, options) in enumerate(pictures(rng)):
        image.save(folder / name, **options)
        result[name] = expected(folder / name, sizes[i % len(sizes)])
    (folder / "expected.json").write_text(json.dumps(result, indent=1) + "\n")


main()
