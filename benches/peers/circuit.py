"""A circuit (NAC) for PyTorch as the paper defines it, and the parameters of both of its forms.

`AuthorsCircuit` computes operation by operation: keys and values of every pair of a token and a module, modulation and
links in every call, scores of every head. `folded.py` computes the same with less.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from tokens import tokenizer

EPSILON = 2.0**-23


class Modulated(nn.Module):
    """`W (x * scale) + b` with a scale for each module, `1 + gain * LN(C code)`."""

    def __init__(self, inputs, outputs, code, bias=True):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=bias)
        self.code = nn.Linear(code, inputs, bias=False)
        self.gain = nn.Parameter(torch.tensor(0.1))

    def scale(self, codes):
        projected = self.code(codes)
        return 1 + self.gain * F.layer_norm(projected, projected.shape[-1:])

    def forward(self, x, codes):
        return self.linear(x * self.scale(codes))


class FeedForward(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.norm = nn.LayerNorm(sizes.state)
        self.expand = Modulated(sizes.state, 2 * sizes.hidden, sizes.state)
        self.contract = Modulated(sizes.hidden, sizes.state, sizes.state)

    def forward(self, x, codes):
        value, gate = self.expand(self.norm(x), codes).chunk(2, -1)
        return x + self.contract(value * F.gelu(gate), codes)


class Attention(nn.Module):
    """Parameters of attention from receivers of width `state` to senders of width `sender`.

    Senders have a norm of their own, or share that of the receivers.
    """

    def __init__(self, state, sender, inner, has_sender_norm):
        super().__init__()
        self.norm = nn.LayerNorm(state)
        self.own_sender_norm = nn.LayerNorm(sender) if has_sender_norm else None
        self.query = Modulated(state, inner, state, bias=False)
        self.key = Modulated(sender, inner, state, bias=False)
        self.value = Modulated(sender, inner, state, bias=False)
        self.exit = Modulated(inner, state, state)

    @property
    def sender_norm(self):
        return self.own_sender_norm or self.norm


def log_probability(receivers, senders):
    """Minus the cosine distance of signatures."""
    cosine = F.normalize(receivers, dim=-1) @ F.normalize(senders, dim=-1).T
    return cosine - 1


def logit(probability):
    probability = probability.clamp(EPSILON, 1 - EPSILON)
    return probability.log() - torch.log1p(-probability)


def relaxed_sample(logits, batch, temperature):
    """Logarithms of relaxed Bernoulli samples, `[batch, receivers, senders]`."""
    noise = logit(torch.rand(batch, *logits.shape))
    return F.logsigmoid((noise + logits) / temperature)


class AuthorsCircuit(nn.Module):
    """All parameters, and the forward pass as it is defined."""

    def __init__(self, sizes):
        super().__init__()
        self.sizes = sizes
        state, cross = sizes.state, sizes.cross_dim
        drawn = lambda rows, columns: nn.Parameter(torch.randn(rows, columns))
        self.tokens = tokenizer(sizes)
        self.read_codes = drawn(sizes.modules, state)
        # The authors' models hold these too, though nothing reads them.
        self.read_signatures = drawn(sizes.modules, sizes.signature)
        self.codes = drawn(sizes.modules, state)
        self.signatures = drawn(sizes.modules, sizes.signature)
        self.out_codes = drawn(sizes.read_out, state)
        self.out_signatures = drawn(sizes.read_out, sizes.signature)
        self.read_in = Attention(state, sizes.token, cross, has_sender_norm=True)
        self.read_feed_forward = FeedForward(sizes)
        inner = sizes.heads * sizes.head_dim
        own = lambda: Attention(state, state, inner, has_sender_norm=False)
        self.attentions = nn.ModuleList(own() for _ in range(sizes.layers))
        self.feed_forwards = nn.ModuleList(FeedForward(sizes) for _ in range(sizes.layers))
        self.read_out = Attention(state, state, cross, has_sender_norm=True)
        self.out_feed_forward = FeedForward(sizes)
        self.confidence = nn.Linear(state, 1)
        self.classes = nn.Linear(state, sizes.classes)

    def links(self, receivers, senders, batch):
        """Log probabilities; in training relaxed samples, anew for each example."""
        log_links = log_probability(receivers, senders)
        if not self.training:
            return log_links
        return relaxed_sample(logit(log_links.exp()), batch, self.sizes.temperature)

    def pooled(self, states):
        """Logits from the states of the read-out, weighted by their confidence."""
        weights = self.confidence(states).softmax(1)
        return self.classes((weights * states).sum(1))

    def read(self, tokens):
        part, codes = self.read_in, self.read_codes
        tokens = part.sender_norm(tokens)
        pairs = tokens.unsqueeze(2).expand(-1, -1, len(codes), -1)
        key, value = part.key(pairs, codes), part.value(pairs, codes)
        query = part.query(part.norm(codes), codes)
        scores = torch.einsum("mc,btmc->bmt", query, key) / math.sqrt(query.shape[-1])
        message = torch.einsum("bmt,btmc->bmc", scores.softmax(-1), value)
        return self.read_feed_forward(codes + part.exit(message, codes), codes)

    def attend(self, part, heads, receivers, senders):
        states, codes, signatures = receivers
        from_states, from_codes, from_signatures = senders
        links = self.links(signatures, from_signatures, len(from_states))
        links = links - links.logsumexp(-1, keepdim=True)
        sent = part.sender_norm(from_states)
        split = lambda x: x.unflatten(-1, (heads, -1))
        query = split(part.query(part.norm(states), codes))
        key, value = split(part.key(sent, from_codes)), split(part.value(sent, from_codes))
        scores = torch.einsum("bihc,bjhc->bhij", query, key) / math.sqrt(query.shape[-1])
        weights = (scores + links.unsqueeze(-3)).softmax(-1)
        message = torch.einsum("bhij,bjhc->bihc", weights, value).flatten(2)
        return part.exit(message, codes)

    def forward(self, inputs):
        states = self.read(self.tokens(inputs))
        for attention, feed_forward in zip(self.attentions, self.feed_forwards):
            modules = (states, self.codes, self.signatures)
            states = states + self.attend(attention, self.sizes.heads, modules, modules)
            states = feed_forward(states, self.codes)
        start = self.out_codes.expand(len(states), -1, -1)
        receivers = (start, self.out_codes, self.out_signatures)
        senders = (states, self.codes, self.signatures)
        answer = self.attend(self.read_out, 1, receivers, senders)
        return self.pooled(self.out_feed_forward(answer, self.out_codes))
