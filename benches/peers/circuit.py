"""The small ListOps circuit for PyTorch, in two forms with the same parameters and results.

`AuthorsCircuit` computes operation by operation what the paper defines: keys and values of every pair of a token and a
module, modulation and links in every call, scores of every head. `FoldedCircuit` is what exact algebra leaves of it:
the projectors of the read-in move to the other side of the sums over tokens, whatever depends on parameters alone is
computed once a step, and attention is PyTorch's fused kernel.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

EPSILON = 2.0**-23


@dataclass(frozen=True)
class Sizes:
    """Those of `nac-measure --model listops`."""

    vocabulary: int = 18
    length: int = 50
    embedding: int = 48
    position: int = 16
    modules: int = 32
    read_out: int = 8
    state: int = 64
    signature: int = 32
    layers: int = 4
    heads: int = 4
    head_dim: int = 16
    cross_dim: int = 64
    hidden: int = 128
    classes: int = 10
    temperature: float = 0.5

    @property
    def token(self):
        return self.embedding + self.position


class Tokens(nn.Module):
    """Symbols to `[batch, length, token]`."""

    def __init__(self, sizes):
        super().__init__()
        self.symbols = nn.Embedding(sizes.vocabulary, sizes.embedding)
        self.positions = nn.Parameter(torch.randn(sizes.length, sizes.position) * 0.02)

    def forward(self, ids):
        positions = self.positions.expand(len(ids), -1, -1)
        return torch.cat([self.symbols(ids), positions], -1)


class Modulated(nn.Module):
    """`W (x * scale) + b` with a scale for each module, `1 + gain * LN(C code)`."""

    def __init__(self, inputs, outputs, code):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
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
    """Parameters of attention from some modules to others."""

    def __init__(self, sizes, inner, sender_norm=False):
        super().__init__()
        self.norm = nn.LayerNorm(sizes.state)
        self.sender_norm = nn.LayerNorm(sizes.state) if sender_norm else None
        wide = lambda: Modulated(sizes.state, inner, sizes.state)
        self.query, self.key, self.value = wide(), wide(), wide()
        self.exit = Modulated(inner, sizes.state, sizes.state)


class ReadIn(nn.Module):
    """Parameters of attention from modules to tokens."""

    def __init__(self, sizes):
        super().__init__()
        state, inner = sizes.state, sizes.cross_dim
        self.norm, self.token_norm = nn.LayerNorm(state), nn.LayerNorm(sizes.token)
        self.query = Modulated(state, inner, state)
        self.key = Modulated(sizes.token, inner, state)
        self.value = Modulated(sizes.token, inner, state)
        self.exit = Modulated(inner, state, state)
        self.feed_forward = FeedForward(sizes)


def log_probability(receivers, senders):
    """Minus the cosine distance."""
    cosine = F.normalize(receivers, dim=-1) @ F.normalize(senders, dim=-1).T
    return cosine - 1


def logit(probability):
    probability = probability.clamp(EPSILON, 1 - EPSILON)
    return probability.log() - torch.log1p(-probability)


class AuthorsCircuit(nn.Module):
    """All parameters, and the forward pass as it is defined."""

    def __init__(self, sizes=Sizes()):
        super().__init__()
        self.sizes = sizes
        drawn = lambda rows, columns: nn.Parameter(torch.randn(rows, columns))
        self.tokens = Tokens(sizes)
        self.read_codes = drawn(sizes.modules, sizes.state)
        self.codes = drawn(sizes.modules, sizes.state)
        self.signatures = drawn(sizes.modules, sizes.signature)
        self.out_codes = drawn(sizes.read_out, sizes.state)
        self.out_signatures = drawn(sizes.read_out, sizes.signature)
        self.read_in = ReadIn(sizes)
        inner = sizes.heads * sizes.head_dim
        self.attentions = nn.ModuleList(Attention(sizes, inner) for _ in range(sizes.layers))
        self.feed_forwards = nn.ModuleList(FeedForward(sizes) for _ in range(sizes.layers))
        self.read_out = Attention(sizes, sizes.cross_dim, sender_norm=True)
        self.out_feed_forward = FeedForward(sizes)
        self.confidence = nn.Linear(sizes.state, 1)
        self.classes = nn.Linear(sizes.state, sizes.classes)

    def sampled(self, log_links, batch):
        """Relaxed samples of links in training, anew for each example; themselves in evaluation."""
        if not self.training:
            return log_links
        return self.relaxed(logit(log_links.exp()), batch)

    def relaxed(self, logits, batch):
        noise = logit(torch.rand(batch, *logits.shape))
        return F.logsigmoid((noise + logits) / self.sizes.temperature)

    def pooled(self, states):
        weights = self.confidence(states).softmax(1)
        return self.classes((weights * states).sum(1))

    def read(self, tokens):
        part, codes = self.read_in, self.read_codes
        tokens = part.token_norm(tokens)
        pairs = tokens.unsqueeze(2).expand(-1, -1, len(codes), -1)
        key, value = part.key(pairs, codes), part.value(pairs, codes)
        query = part.query(part.norm(codes), codes)
        scores = torch.einsum("mc,btmc->bmt", query, key) / math.sqrt(query.shape[-1])
        message = torch.einsum("bmt,btmc->bmc", scores.softmax(-1), value)
        return part.feed_forward(codes + part.exit(message, codes), codes)

    def attend(self, part, heads, receivers, senders):
        states, codes, signatures = receivers
        from_states, from_codes, from_signatures = senders
        batch = len(from_states)
        links = self.sampled(log_probability(signatures, from_signatures), batch)
        links = links - links.logsumexp(-1, keepdim=True)
        sent = (part.sender_norm or part.norm)(from_states)
        split = lambda x: x.unflatten(-1, (heads, -1))
        query = split(part.query(part.norm(states), codes))
        key, value = split(part.key(sent, from_codes)), split(part.value(sent, from_codes))
        scores = torch.einsum("bihc,bjhc->bhij", query, key) / math.sqrt(query.shape[-1])
        weights = (scores + links.unsqueeze(-3)).softmax(-1)
        message = torch.einsum("bhij,bjhc->bihc", weights, value).flatten(2)
        return part.exit(message, codes)

    def forward(self, ids):
        states = self.read(self.tokens(ids))
        for attention, feed_forward in zip(self.attentions, self.feed_forwards):
            modules = (states, self.codes, self.signatures)
            states = states + self.attend(attention, self.sizes.heads, modules, modules)
            states = feed_forward(states, self.codes)
        start = self.out_codes.expand(len(ids), -1, -1)
        receivers = (start, self.out_codes, self.out_signatures)
        senders = (states, self.codes, self.signatures)
        answer = self.attend(self.read_out, 1, receivers, senders)
        return self.pooled(self.out_feed_forward(answer, self.out_codes))


def affine(norm, scale):
    """Gain and bias of a norm and the scale after it, as one pair."""
    return norm.weight * scale, norm.bias * scale


class FoldedCircuit(AuthorsCircuit):
    """The same function with everything folded that can be."""

    def feed(self, part, x, codes):
        gain, bias = affine(part.norm, part.expand.scale(codes))
        hidden = part.expand.linear(torch.addcmul(bias, F.layer_norm(x, x.shape[-1:]), gain))
        value, gate = hidden.chunk(2, -1)
        return x + part.contract.linear(value * F.gelu(gate) * part.contract.scale(codes))

    def read(self, tokens):
        part, codes = self.read_in, self.read_codes
        tokens = F.layer_norm(tokens, tokens.shape[-1:])
        query = part.query(part.norm(codes), codes)
        # The bias of the token norm and of the keys shift all scores of a module alike.
        folded = (query @ part.key.linear.weight) * part.key.scale(codes) * part.token_norm.weight
        scores = tokens @ (folded / math.sqrt(query.shape[-1])).T
        read = scores.transpose(1, 2).softmax(-1) @ tokens
        gain, bias = affine(part.token_norm, part.value.scale(codes))
        message = part.value.linear(torch.addcmul(bias, read, gain))
        states = codes + part.exit(message, codes)
        return self.feed(part.feed_forward, states, codes)

    def links(self, receivers, senders):
        """Logits in training, log probabilities in evaluation."""
        log_links = log_probability(receivers, senders)
        return logit(log_links.exp()) if self.training else log_links

    def bias(self, links, batch):
        return self.relaxed(links, batch).unsqueeze(1) if self.training else links

    def projected(self, part, normal, norm, codes, heads):
        gain, bias = affine(norm, part.scale(codes))
        return part.linear(torch.addcmul(bias, normal, gain)).unflatten(-1, (heads, -1)).transpose(1, 2)

    def forward(self, ids):
        batch, heads = len(ids), self.sizes.heads
        states = self.read(self.tokens(ids))
        links = self.links(self.signatures, self.signatures)
        for part, feed_forward in zip(self.attentions, self.feed_forwards):
            normal = F.layer_norm(states, states.shape[-1:])
            operands = [
                self.projected(projection, normal, part.norm, self.codes, heads)
                for projection in (part.query, part.key, part.value)
            ]
            bias = self.bias(links, batch).to(operands[0].dtype)
            message = F.scaled_dot_product_attention(*operands, attn_mask=bias)
            states = states + part.exit(message.transpose(1, 2).flatten(2), self.codes)
            states = self.feed(feed_forward, states, self.codes)
        part = self.read_out
        normal = F.layer_norm(states, states.shape[-1:])
        query = part.query(part.norm(self.out_codes), self.out_codes)
        key, value = (
            self.projected(projection, normal, part.sender_norm, self.codes, 1)
            for projection in (part.key, part.value)
        )
        bias = self.bias(self.links(self.out_signatures, self.signatures), batch).to(key.dtype)
        query = query.to(key.dtype).expand(batch, 1, -1, -1)
        message = F.scaled_dot_product_attention(query, key, value, attn_mask=bias).squeeze(1)
        answer = part.exit(message, self.out_codes)
        return self.pooled(self.feed(self.out_feed_forward, answer, self.out_codes))
