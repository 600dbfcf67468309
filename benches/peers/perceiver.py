"""A Perceiver IO of the size of the small ListOps circuit for PyTorch, in two forms with the same parameters.

`AuthorsPerceiver` computes scores and weights of every head, `FusedPerceiver` uses PyTorch's fused attention and one
product for queries, keys and values of a layer.
"""

import torch
import torch.nn.functional as F
from torch import nn

from circuit import Sizes, Tokens


class Attention(nn.Module):
    def __init__(self, dim, context, heads, head_dim, is_cross, is_fused):
        super().__init__()
        self.heads, self.is_fused = heads, is_fused
        self.norm = nn.LayerNorm(dim)
        self.context_norm = nn.LayerNorm(context) if is_cross else None
        inner = heads * head_dim
        self.query = nn.Linear(dim, inner, bias=False)
        self.key_value = nn.Linear(context, 2 * inner, bias=False)
        self.exit = nn.Linear(inner, dim)

    def operands(self, x, context):
        x = self.norm(x)
        if self.context_norm is not None:
            context = self.context_norm(context)
            return [self.query(x), *self.key_value(context).chunk(2, -1)]
        if self.is_fused:
            weight = torch.cat([self.query.weight, self.key_value.weight])
            return F.linear(x, weight).chunk(3, -1)
        return [self.query(x), *self.key_value(x).chunk(2, -1)]

    def forward(self, x, context=None):
        split = lambda y: y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        query, key, value = (split(y) for y in self.operands(x, context))
        if self.is_fused:
            message = F.scaled_dot_product_attention(query, key, value)
        else:
            scores = torch.einsum("bhic,bhjc->bhij", query, key) * query.shape[-1] ** -0.5
            message = torch.einsum("bhij,bhjc->bhic", scores.softmax(-1), value)
        return self.exit(message.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand, self.contract = nn.Linear(dim, 2 * hidden), nn.Linear(hidden, dim)

    def forward(self, x):
        value, gate = self.expand(self.norm(x)).chunk(2, -1)
        return self.contract(value * F.gelu(gate))


class AuthorsPerceiver(nn.Module):
    is_fused = False

    def __init__(self, sizes=Sizes()):
        super().__init__()
        dim, fused = sizes.state, self.is_fused
        cross = lambda context: Attention(dim, context, 1, sizes.cross_dim, True, fused)
        feed = lambda: FeedForward(dim, sizes.hidden)
        own = lambda: Attention(dim, dim, sizes.heads, sizes.head_dim, False, fused)
        self.tokens = Tokens(sizes)
        self.latents = nn.Parameter(torch.randn(sizes.modules, dim))
        self.question = nn.Parameter(torch.randn(1, dim))
        self.read, self.read_feed = cross(sizes.token), feed()
        self.attentions = nn.ModuleList(own() for _ in range(sizes.layers))
        self.feeds = nn.ModuleList(feed() for _ in range(sizes.layers))
        self.answer, self.answer_feed = cross(dim), feed()
        self.classes = nn.Linear(dim, sizes.classes)

    def forward(self, ids):
        x = self.latents.expand(len(ids), -1, -1)
        x = x + self.read(x, self.tokens(ids))
        x = x + self.read_feed(x)
        for attention, feed in zip(self.attentions, self.feeds):
            x = x + attention(x)
            x = x + feed(x)
        y = self.answer(self.question.expand(len(ids), -1, -1), x)
        y = y + self.answer_feed(y)
        return self.classes(y.squeeze(1))


class FusedPerceiver(AuthorsPerceiver):
    is_fused = True
