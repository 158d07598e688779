#!/usr/bin/env python3
"""Images of many modes with what Pillow and torchvision make of them (pillow 13.0.0, torchvision 0.26.0, transformers
5.23.0, seed 3).

Usage: make_vision.py FOLDER     writes FOLDER/*.png|jpg|bmp|tif|webp|gif, FOLDER/expected.json and FOLDER/shapes.json
Pixels are kept as SHA-256 of the RGB bytes: of the decoded image and of it resized by each backend.
"""
import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy
import torch
from PIL import Image, ImageOps
from torchvision.transforms.v2 import functional
from torchvision.transforms import InterpolationMode
from transformers.image_transforms import convert_to_rgb


def sha(array):
    return hashlib.sha256(numpy.ascontiguousarray(array).tobytes()).hexdigest()


def noise(rng, shape, dtype=numpy.uint8, high=256):
    small = rng.integers(0, high, (shape[0] // 4 + 1, shape[1] // 4 + 1) + shape[2:])
    return numpy.repeat(numpy.repeat(small, 4, 0), 4, 1)[: shape[0], : shape[1]].astype(dtype)


def images(rng):
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
    yield "progressive.jpg", rgb, {"quality": 60, "progressive": True, "subsampling": 2}
    yield "rgb.tif", rgb, {"compression": "tiff_lzw"}
    yield "rgba.tif", Image.fromarray(noise(rng, (29, 33, 4))), {"compression": "tiff_deflate"}
    yield "la.tif", Image.fromarray(noise(rng, (29, 33, 4))).convert("LA"), {}
    yield "palette.tif", rgb.quantize(13), {"compression": "packbits"}
    yield "bit.tif", rgb.convert("1"), {"compression": "group4"}
    yield "gray16.tif", Image.fromarray(noise(rng, (21, 40), numpy.uint16, 600)), {}
    yield "jpeg.tif", rgb, {"compression": "jpeg"}
    for orientation in (2, 3, 4, 5, 7, 8):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"turned{orientation}.{'png' if orientation % 2 else 'tif'}", rgb.crop((0, 0, 30, 20)), {"exif": exif}


def more_images(rng):
    """Formats that came later; their own generator keeps the files above as they are."""
    rgb = Image.fromarray(noise(rng, (31, 45, 3)))
    cmyk = Image.fromarray(noise(rng, (23, 37, 4)), mode="CMYK")
    yield "cmyk.jpg", cmyk, {"quality": 90}
    yield "cmyk_progressive.jpg", cmyk, {"quality": 75, "progressive": True, "subsampling": 0}
    yield "lossless.webp", rgb, {"lossless": True}
    yield "lossy.webp", rgb, {"quality": 80}
    rgba = Image.fromarray(noise(rng, (29, 33, 4)))
    yield "rgba.webp", rgba, {"lossless": True, "exact": True}
    yield "rgba_lossy.webp", rgba, {"quality": 70, "exact": True}
    yield "animated.webp", rgb, {"lossless": True, "save_all": True, "append_images": [rgb.rotate(180)]}
    exif = Image.Exif()
    exif[0x0112] = 8
    yield "turned.webp", rgb, {"lossless": True, "exif": exif}
    palette = rgb.quantize(40)
    yield "palette.gif", palette, {"interlace": 0}
    yield "interlaced.gif", palette, {"interlace": 1}
    yield "gray.gif", rgb.convert("L"), {}
    yield "animated.gif", palette, {"save_all": True, "append_images": [palette.rotate(180)]}
    yield "transparent.gif", palette, {"transparency": 5}


def shifted_gif(data, left, top, screen):
    """The first image of a GIF file moved on a larger screen."""
    at = data.index(b"\x2c", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    data = bytearray(data)
    data[6:10] = struct.pack("<HH", *screen)
    data[at + 1 : at + 5] = struct.pack("<HH", left, top)
    return bytes(data)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_deep_png(path, rng):
    """16 bits a sample in RGB, which Pillow reads but does not write."""
    samples = noise(rng, (20, 24, 3), ">u2", 65536)
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", 24, 20, 16, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(rows))
                     + png_chunk(b"IEND", b""))


# height, width -> height, width: both axes shrunk, grown or mixed, and the border between Pillow's two orders of passes.
SHAPES = [(90, 90, 45, 45), (61, 37, 28, 56), (37, 61, 56, 28), (5, 7, 28, 28), (300, 2, 28, 28), (205, 1, 56, 28),
          (80, 60, 40, 40), (81, 60, 40, 40), (79, 60, 40, 40), (35, 12, 12, 4), (52, 38, 13, 13), (40, 90, 40, 28),
          (90, 40, 28, 40), (28, 56, 28, 56), (111, 97, 28, 112), (97, 111, 112, 28), (405, 22, 330, 9)]


def resized(image, size):
    tensor = torch.from_numpy(numpy.array(image)).permute(2, 0, 1)
    other = functional.resize(tensor, size, interpolation=InterpolationMode.BICUBIC, antialias=True)
    pil = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    return {"pil": sha(numpy.array(pil)), "torchvision": sha(other.permute(1, 2, 0).numpy())}


def shape_cases():
    """Of the image whose k-th byte is k * 2654435761 (modulo 2^32) >> 24."""
    for height, width, *size in SHAPES:
        index = numpy.arange(height * width * 3, dtype=numpy.uint64)
        data = ((index * 2654435761) % 2**32 >> 24).astype(numpy.uint8).reshape(height, width, 3)
        yield {"from": [height, width], "to": size, **resized(Image.fromarray(data), size)}


def expected(path, size):
    """What transformers' load_image and convert_to_rgb make of a file; a file of one transparent colour ends on white."""
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    image = Image.fromarray(convert_to_rgb(image, return_numpy=True))
    return {"size": [image.height, image.width], "rgb": sha(numpy.array(image)), "resize_to": size, **resized(image, size)}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = numpy.random.default_rng(3)
    sizes = [[56, 84], [28, 28], [140, 56], [112, 28], [84, 84], [112, 196]]
    result = {}
    for i, (name, image, options) in enumerate(images(rng)):
        image.save(folder / name, **options)
        result[name] = expected(folder / name, sizes[i % len(sizes)])
    write_deep_png(folder / "rgb16.png", rng)
    result["rgb16.png"] = expected(folder / "rgb16.png", sizes[0])
    for name, image, options in more_images(numpy.random.default_rng(4)):
        image.save(folder / name, **options)
        result[name] = expected(folder / name, [84, 56])
    for name, source in (("shifted.gif", "palette.gif"), ("shifted_transparent.gif", "transparent.gif")):
        (folder / name).write_bytes(shifted_gif((folder / source).read_bytes(), 7, 4, (60, 50)))
        result[name] = expected(folder / name, [84, 56])
    (folder / "enlarged.gif").write_bytes(shifted_gif((folder / "palette.gif").read_bytes(), 7, 4, (45, 31)))
    result["enlarged.gif"] = expected(folder / "enlarged.gif", [84, 56])
    (folder / "shapes.json").write_text(json.dumps(list(shape_cases()), indent=1) + "\n")
    (folder / "expected.json").write_text(json.dumps(result, indent=1) + "\n")


main()
