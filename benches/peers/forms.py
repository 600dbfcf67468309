"""Forms of a model on PyTorch: authors, optimised, compiled, compiled-bfloat16."""

import torch
import torch.nn.functional as F

from cached import Cached
from circuit import AuthorsCircuit
from folded import FoldedCircuit
from perceiver import AuthorsPerceiver, FusedPerceiver
from sizes import MODELS, examples


def model(name, form):
    """The same parameters for every form."""
    torch.manual_seed(0)
    sizes = MODELS[name]
    circuits, perceivers = (AuthorsCircuit, FoldedCircuit), (AuthorsPerceiver, FusedPerceiver)
    authors, optimised = circuits if sizes.is_circuit else perceivers
    return authors(sizes) if form == "authors" else optimised(sizes)


def batch_of(name, batch):
    return [torch.from_numpy(array) for array in examples(MODELS[name], batch)]


def training(name, form, batch):
    """A training step: forward, backward, clipping, fused AdamW. Gives the logits."""
    net = model(name, form).train()
    if form.startswith("compiled"):
        net.compile()
    is_mixed = form.endswith("bfloat16")
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-6, fused=True)
    inputs, classes = batch_of(name, batch)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            logits = net(inputs)
        F.cross_entropy(logits.float(), classes).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return logits.detach().float()

    return step


def inference(name, form, batch):
    """Logits in evaluation. In bfloat16 all weights and states are bfloat16."""
    net = model(name, form).eval().requires_grad_(False)
    if form != "authors":
        net = Cached(net)
    inputs, _ = batch_of(name, batch)
    if form.endswith("bfloat16"):
        net = net.bfloat16()
        inputs = inputs.bfloat16() if inputs.is_floating_point() else inputs
    if form.startswith("compiled"):
        torch._inductor.config.freezing = True
        net.compile()

    def logits():
        with torch.inference_mode():
            return net(inputs).float()

    return logits
