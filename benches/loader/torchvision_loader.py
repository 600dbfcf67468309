"""Images per second of torchvision and torch's DataLoader: the Python side of compare.py.

python torchvision_loader.py LIST SIZE SECONDS WORKERS PIPELINE
"""

import sys
import time

import torch
from PIL import Image
from torchvision import transforms as T


class Files(torch.utils.data.Dataset):
    def __init__(self, files, transform):
        self.files, self.transform = files, transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with Image.open(self.files[index]) as image:
            return self.transform(image.convert("RGB")), 0


def pipeline(name, size):
    steps = [T.RandomResizedCrop(size, scale=(0.08, 1.0)), T.RandomHorizontalFlip()]
    if name == "jitter":
        steps.append(T.ColorJitter(0.4, 0.4, 0.4, 0.1))
    elif name == "rand_augment":
        from PIL import ImageOps
        from timm.data.auto_augment import rand_augment_transform

        # timm may ask for 0 bits, which Pillow 13 refuses.
        posterize = ImageOps.posterize
        ImageOps.posterize = lambda image, bits: posterize(image, max(bits, 1))
        steps.append(rand_augment_transform("rand-m9-mstd0.5-inc1", {}))
    # Bytes, as on the Rust side.
    steps.append(T.PILToTensor())
    return T.Compose(steps)


def main():
    listing, size, seconds, workers, name = sys.argv[1:]
    torch.set_num_threads(1)
    files = open(listing).read().splitlines()
    dataset = Files(files, pipeline(name, int(size)))
    loader = torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True, num_workers=int(workers))

    def batches():
        while True:
            yield from loader

    source = batches()
    next(source)
    start, images = time.perf_counter(), 0
    for batch, _ in source:
        images += len(batch)
        if time.perf_counter() - start >= float(seconds):
            break
    print(f"{images / (time.perf_counter() - start):.1f}")


main()
