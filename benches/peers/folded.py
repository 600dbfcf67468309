"""The circuit as exact algebra leaves it: the same parameters and results as `AuthorsCircuit`, with less work.

The projectors of the read-in move to the other side of the sums over tokens, the affine part of a norm joins the
modulation after it, attention is PyTorch's fused kernel, and whatever depends on parameters alone is computed apart:
once a step in training, once for all (`Cached`) in inference.
"""

import math

import torch
import torch.nn.functional as F

from circuit import AuthorsCircuit, log_probability, logit, relaxed_sample


def normal(x):
    """A layer norm without its affine part."""
    return F.layer_norm(x, x.shape[-1:])


def norm_and_scale(norm, scale):
    """The affine part of a norm and the scale after it, as one gain and one bias."""
    return {"gain": norm.weight * scale, "bias": norm.bias * scale}


def scaled(x, constants):
    return torch.addcmul(constants["bias"], x, constants["gain"])


class FoldedCircuit(AuthorsCircuit):
    def constants(self):
        """All that depends on parameters alone: nested dictionaries of tensors."""
        return {
            "read_in": self.read_in_constants(),
            "read_feed_forward": feed_forward_constants(self.read_feed_forward, self.read_codes),
            "links": self.link_constants(self.signatures),
            "attentions": [attention_constants(part, self.codes, self.codes) for part in self.attentions],
            "feed_forwards": [feed_forward_constants(part, self.codes) for part in self.feed_forwards],
            "read_out": self.read_out_constants(),
            "out_links": self.link_constants(self.out_signatures),
            "out_feed_forward": feed_forward_constants(self.out_feed_forward, self.out_codes),
        }

    def read_in_constants(self):
        part, codes = self.read_in, self.read_codes
        query = part.query(part.norm(codes), codes)
        # The bias of the token norm shifts all scores of a module alike, so that the softmax drops it.
        queries = (query @ part.key.linear.weight) * part.key.scale(codes) * part.sender_norm.weight
        return {
            "queries": (queries / math.sqrt(query.shape[-1])).T,
            "value": norm_and_scale(part.sender_norm, part.value.scale(codes)),
            "exit": part.exit.scale(codes),
        }

    def read_out_constants(self):
        part, codes = self.read_out, self.out_codes
        constants = attention_constants(part, codes, self.codes)
        return constants | {"queries": part.query(part.norm(codes), codes)}

    def link_constants(self, receivers):
        """Logits in training, log probabilities in evaluation.

        In float32 always: in bfloat16 a probability just below 1 would be 1, and its logit infinite.
        """
        with torch.autocast("cpu", enabled=False):
            log_links = log_probability(receivers, self.signatures)
            return logit(log_links.exp()) if self.training else log_links

    def bias(self, links, like):
        """What is added to scores, `[batch or 1, 1, receivers, senders]`."""
        if self.training:
            links = relaxed_sample(links, len(like), self.sizes.temperature)
        else:
            links = links.unsqueeze(0)
        return links.unsqueeze(1).to(like.dtype)

    def read(self, tokens, constants):
        part, tokens = self.read_in, normal(tokens)
        weights = (tokens @ constants["queries"]).transpose(1, 2).softmax(-1)
        message = part.value.linear(scaled(weights @ tokens, constants["value"]))
        return self.read_codes + part.exit.linear(message * constants["exit"])

    def attend(self, part, states, constants, links):
        sent, heads = normal(states), self.sizes.heads
        operands = [
            projected(getattr(part, name), sent, constants[name], heads) for name in ("query", "key", "value")
        ]
        bias = self.bias(links, operands[0])
        message = F.scaled_dot_product_attention(*operands, attn_mask=bias)
        message = message.transpose(1, 2).flatten(2)
        return states + part.exit.linear(message * constants["exit"])

    def read_answer(self, states, constants, links):
        part, sent = self.read_out, normal(states)
        key = projected(part.key, sent, constants["key"], 1)
        value = projected(part.value, sent, constants["value"], 1)
        query = constants["queries"].to(key.dtype).expand(len(states), 1, -1, -1)
        message = F.scaled_dot_product_attention(query, key, value, attn_mask=self.bias(links, key))
        return part.exit.linear(message.squeeze(1) * constants["exit"])

    def logits(self, inputs, constants):
        states = self.read(self.tokens(inputs), constants["read_in"])
        states = feed_forward(self.read_feed_forward, states, constants["read_feed_forward"])
        for layer, part in enumerate(self.attentions):
            states = self.attend(part, states, constants["attentions"][layer], constants["links"])
            states = feed_forward(self.feed_forwards[layer], states, constants["feed_forwards"][layer])
        answer = self.read_answer(states, constants["read_out"], constants["out_links"])
        return self.pooled(feed_forward(self.out_feed_forward, answer, constants["out_feed_forward"]))

    def forward(self, inputs):
        return self.logits(inputs, self.constants())


def feed_forward_constants(part, codes):
    return {"expand": norm_and_scale(part.norm, part.expand.scale(codes)), "contract": part.contract.scale(codes)}


def feed_forward(part, x, constants):
    value, gate = part.expand.linear(scaled(normal(x), constants["expand"])).chunk(2, -1)
    return x + part.contract.linear(value * F.gelu(gate) * constants["contract"])


def attention_constants(part, codes, sender_codes):
    return {
        "query": norm_and_scale(part.norm, part.query.scale(codes)),
        "key": norm_and_scale(part.sender_norm, part.key.scale(sender_codes)),
        "value": norm_and_scale(part.sender_norm, part.value.scale(sender_codes)),
        "exit": part.exit.scale(codes),
    }


def projected(part, sent, constants, heads):
    """Queries, keys or values, `[batch, heads, modules, head dim]`."""
    return part.linear(scaled(sent, constants)).unflatten(-1, (heads, -1)).transpose(1, 2)
