"""Decoded and augmented images per second and core: nac-data's loader against torchvision with torch's DataLoader.

    python3 benches/loader/compare.py [--small DIR] [--large DIR] [--python PYTHON] [--rounds 5] [--seconds 4]

Both do the same work on the same files: decode JPEG, random resized crop (to 64 for --small, 224 for --large), flip, then
colour jitter or RandAugment, to batches of 32 images in bytes. They take turns, each alone on one core and in one thread
(torch with no worker processes, which is its best on one core), and the best round of each counts. Folders are searched
for JPEG files; without them, pictures of shapes and noise are made. Without --python, a virtual environment gets torch,
torchvision and timm by pip.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CROP = ["random_resized_crop:0.08-1", "horizontal_flip"]
PIPELINES = {
    "plain": CROP,
    "jitter": [*CROP, "colour_jitter:0.4,0.4,0.4,0.1"],
    "rand_augment": [*CROP, "rand_augment:m9-mstd0.5-inc1"],
}
MAKE = """
import random, sys
from PIL import Image, ImageDraw
folder, width, height, count = sys.argv[1], *map(int, sys.argv[2:])
for index in range(count):
    rng = random.Random(index)
    image = Image.effect_noise((width, height), 40).convert("RGB")
    draw = ImageDraw.Draw(image)
    for _ in range(20):
        x, y, r = rng.randrange(width), rng.randrange(height), rng.randrange(4, max(5, width // 4))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(rng.randrange(256) for _ in range(3)))
    image.save(f"{folder}/{index}.jpg", quality=90)
"""


def environment(folder):
    venv.create(folder, with_pip=True)
    python = str(pathlib.Path(folder) / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "torch", "torchvision", "timm"], check=True)
    return python


def build():
    command = ["cargo", "build", "--release", "-p", "nac-data", "--example", "loader_throughput", "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in output.splitlines()]
    return [m["executable"] for m in messages if m.get("executable")][-1]


def images(folder, python, scratch, size):
    if folder is None:
        folder = pathlib.Path(scratch) / f"{size[0]}x{size[1]}"
        folder.mkdir()
        subprocess.run([python, "-c", MAKE, str(folder), *map(str, size), "200"], check=True)
    files = sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
    random.Random(0).shuffle(files)
    listing = pathlib.Path(scratch) / f"{size[0]}.txt"
    listing.write_text("\n".join(map(str, files[:512])))
    return str(listing), min(len(files), 512)


def measure(command):
    core = min(os.sched_getaffinity(0))
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, {core})
    )
    return float(output.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", help="folder with JPEG files of about 64x64")
    parser.add_argument("--large", help="folder with JPEG files of about 500x375")
    parser.add_argument("--python", help="one that has torch, torchvision and timm")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    binary = build()
    with tempfile.TemporaryDirectory() as scratch:
        python = arguments.python or environment(pathlib.Path(scratch) / "venv")
        print("| files | pipeline | nac-data, images/s | torchvision, images/s | ratio |")
        print("|---|---|---|---|---|")
        for label, folder, size, side in [
            ("small", arguments.small, (64, 64), "64"),
            ("large", arguments.large, (500, 375), "224"),
        ]:
            listing, count = images(folder, python, scratch, size)
            for name, specs in PIPELINES.items():
                common = [listing, side, str(arguments.seconds), "0"]
                ours, theirs = [], []
                for _ in range(arguments.rounds):
                    ours.append(measure([binary, *common, *specs]))
                    theirs.append(measure([python, str(HERE / "torchvision_loader.py"), *common, name]))
                ratio = max(ours) / max(theirs)
                print(f"| {count} {label} | {name} | {max(ours):.0f} | {max(theirs):.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
