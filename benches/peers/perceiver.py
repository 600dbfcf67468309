"""A Perceiver IO for PyTorch, in two forms with the same parameters.

`AuthorsPerceiver` computes scores and weights of every head. `FusedPerceiver` uses PyTorch's fused attention and one
product for queries, keys and values of a layer, and computes the queries of the first and last attention, which depend
on parameters alone, once for all examples.
"""

import torch
import torch.nn.functional as F
from torch import nn

from tokens import tokenizer


class Attention(nn.Module):
    """Attention from `x` to a context, or to itself."""

    def __init__(self, dim, context, heads, head_dim, is_cross):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim)
        self.context_norm = nn.LayerNorm(context) if is_cross else None
        inner = heads * head_dim
        self.query = nn.Linear(dim, inner, bias=False)
        self.key_value = nn.Linear(context, 2 * inner, bias=False)
        self.exit = nn.Linear(inner, dim)

    def split(self, x):
        """`[batch, heads, length, head dim]`"""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x, context=None):
        x = self.norm(x)
        context = x if context is None else self.context_norm(context)
        query = self.split(self.query(x))
        key, value = map(self.split, self.key_value(context).chunk(2, -1))
        scores = torch.einsum("bhic,bhjc->bhij", query, key) * query.shape[-1] ** -0.5
        message = torch.einsum("bhij,bhjc->bhic", scores.softmax(-1), value)
        return self.exit(message.transpose(1, 2).flatten(2))

    def weight(self):
        """Of queries, keys and values."""
        return torch.cat([self.query.weight, self.key_value.weight])

    def fused(self, query, key, value):
        message = F.scaled_dot_product_attention(*map(self.split, (query, key, value)))
        return self.exit(message.transpose(1, 2).flatten(2))

    def to_itself(self, x, weight):
        return self.fused(*F.linear(self.norm(x), weight).chunk(3, -1))

    def to_context(self, query, context):
        key, value = self.key_value(self.context_norm(context)).chunk(2, -1)
        return self.fused(query.to(key.dtype).expand(len(context), -1, -1), key, value)


class FeedForward(nn.Module):
    def __init__(self, dim, hidden):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand, self.contract = nn.Linear(dim, 2 * hidden), nn.Linear(hidden, dim)

    def forward(self, x):
        value, gate = self.expand(self.norm(x)).chunk(2, -1)
        return x + self.contract(value * F.gelu(gate))


class AuthorsPerceiver(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        dim = sizes.state
        cross = lambda context: Attention(dim, context, 1, sizes.cross_dim, is_cross=True)
        own = lambda: Attention(dim, dim, sizes.heads, sizes.head_dim, is_cross=False)
        feed = lambda: FeedForward(dim, sizes.hidden)
        self.tokens = tokenizer(sizes)
        self.latents = nn.Parameter(torch.randn(sizes.modules, dim))
        self.question = nn.Parameter(torch.randn(1, dim))
        self.read, self.read_feed = cross(sizes.token), feed()
        self.attentions = nn.ModuleList(own() for _ in range(sizes.layers))
        self.feeds = nn.ModuleList(feed() for _ in range(sizes.layers))
        self.answer, self.answer_feed = cross(dim), feed()
        self.classes = nn.Linear(dim, sizes.classes)

    def forward(self, inputs):
        tokens = self.tokens(inputs)
        x = self.latents.expand(len(tokens), -1, -1)
        x = self.read_feed(x + self.read(x, tokens))
        for attention, feed in zip(self.attentions, self.feeds):
            x = feed(x + attention(x))
        y = self.answer(self.question.expand(len(tokens), -1, -1), x)
        return self.classes(self.answer_feed(y).squeeze(1))


class FusedPerceiver(AuthorsPerceiver):
    def constants(self):
        """All that depends on parameters alone."""
        return {
            "read": self.read.query(self.read.norm(self.latents)),
            "attentions": [attention.weight() for attention in self.attentions],
            "answer": self.answer.query(self.answer.norm(self.question)),
        }

    def logits(self, inputs, constants):
        x = self.latents + self.read.to_context(constants["read"], self.tokens(inputs))
        x = self.read_feed(x)
        for attention, feed, weight in zip(self.attentions, self.feeds, constants["attentions"]):
            x = feed(x + attention.to_itself(x, weight))
        y = self.answer.to_context(constants["answer"], x)
        return self.classes(self.answer_feed(y).squeeze(1))

    def forward(self, inputs):
        return self.logits(inputs, self.constants())
