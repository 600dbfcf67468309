"""What turns inputs into tokens."""

import torch
import torch.nn.functional as F
from torch import nn


class Symbols(nn.Module):
    """Symbols `[batch, length]` to `[batch, length, token]`."""

    def __init__(self, sizes):
        super().__init__()
        self.symbols = nn.Embedding(sizes.vocabulary, sizes.token - sizes.position)
        self.positions = nn.Parameter(torch.randn(sizes.length, sizes.position) * 0.02)

    def forward(self, ids):
        positions = self.positions.expand(len(ids), -1, -1)
        return torch.cat([self.symbols(ids), positions], -1)


class Images(nn.Module):
    """Images `[batch, 3, side, side]` to `[batch, (side / 8)², token]`: two patch convolutions of ConvNeXt
    (arXiv 2201.03545) with one block between them, and a grid of learned positions."""

    WIDTH, EPSILON = 96, 1e-6

    def __init__(self, sizes):
        super().__init__()
        width, channels, cells = self.WIDTH, sizes.token - sizes.position, (sizes.image // 8) ** 2
        norm = lambda: nn.LayerNorm(width, eps=self.EPSILON)
        self.first, self.first_norm = nn.Conv2d(3, width, 4, stride=4), norm()
        self.depthwise, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), norm()
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full([width], 1e-6))
        self.second_norm, self.second = norm(), nn.Conv2d(width, channels, 2, stride=2)
        self.positions = nn.Parameter(torch.randn(cells, sizes.position) * 0.02)

    def forward(self, images):
        x = self.first_norm(self.first(images).permute(0, 2, 3, 1))
        y = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x + self.gamma * self.contract(F.gelu(self.expand(self.norm(y))))
        x = self.second(self.second_norm(x).permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
        return torch.cat([x, self.positions.expand(len(x), -1, -1)], -1)


def tokenizer(sizes):
    return Images(sizes) if sizes.image else Symbols(sizes)
