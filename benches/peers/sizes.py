"""Sizes of the models, as `nac-measure` has them under the same names, and random examples."""

from dataclasses import dataclass

import numpy


@dataclass(frozen=True)
class Sizes:
    is_circuit: bool
    modules: int
    """Of a Perceiver IO: latents."""
    heads: int
    parameters: int
    """All that training changes, as our models count them."""
    state: int = 384
    signature: int = 64
    read_out: int = 64
    layers: int = 8
    head_dim: int = 64
    cross_dim: int = 64
    hidden: int = 1536
    classes: int = 1000
    token: int = 256
    position: int = 64
    image: int | None = 224
    """Side of the images; `None` for models that read symbols."""
    vocabulary: int = 18
    length: int = 50
    """Symbols in a sequence."""
    temperature: float = 0.5
    """Of relaxed samples of links."""


TINY = {"modules": 320, "heads": 6, "image": 64, "classes": 200}
LISTOPS = {
    "modules": 32,
    "read_out": 8,
    "state": 64,
    "signature": 32,
    "layers": 4,
    "heads": 4,
    "head_dim": 16,
    "hidden": 128,
    "classes": 10,
    "token": 64,
    "position": 16,
    "image": None,
}
MODELS = {
    "listops": Sizes(is_circuit=True, parameters=431_215, **LISTOPS),
    "listops-perceiver-io": Sizes(is_circuit=False, parameters=254_282, **LISTOPS),
    "chonker": Sizes(is_circuit=True, parameters=38_737_669, modules=640, heads=8),
    "tiny-nac": Sizes(is_circuit=True, parameters=36_130_789, **TINY),
    "perceiver-io": Sizes(is_circuit=False, parameters=23_011_240, **TINY),
}


def examples(sizes, batch):
    """Images `[batch, 3, side, side]` or symbols `[batch, length]`, and classes `[batch]`."""
    random = numpy.random.default_rng(1)
    if sizes.image:
        inputs = random.standard_normal((batch, 3, sizes.image, sizes.image), dtype=numpy.float32)
    else:
        inputs = random.integers(1, sizes.vocabulary, (batch, sizes.length))
    return inputs, random.integers(sizes.classes, size=batch)
