"""Trains one form of one model, in a process of its own: worker.py MODEL FORM BATCH THREADS.

Says `ready`, then answers every line with a number n by a line of JSON: the seconds of n steps (forward, backward,
clipping, fused AdamW) and the peak memory so far. `check` as FORM compares the two forms of the model instead.
"""

import json
import resource
import sys
import time

import torch
import torch.nn.functional as F

from circuit import AuthorsCircuit, FoldedCircuit, Sizes
from perceiver import AuthorsPerceiver, FusedPerceiver

MODELS = {
    "listops": (AuthorsCircuit, FoldedCircuit),
    "listops-perceiver-io": (AuthorsPerceiver, FusedPerceiver),
}


def examples(batch):
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, Sizes().vocabulary, (batch, Sizes().length), generator=generator)
    return ids, torch.randint(Sizes().classes, (batch,), generator=generator)


def check(model):
    """Both forms give the same logits and gradients."""
    authors, optimised = (form() for form in MODELS[model])
    optimised.load_state_dict(authors.state_dict())
    ids, classes = examples(4)
    results = []
    for form in (authors, optimised):
        logits = form.eval()(ids)
        F.cross_entropy(logits, classes).backward()
        gradients = {name: p.grad for name, p in form.named_parameters() if p.grad is not None}
        results.append({"logits": logits.detach(), **gradients})
    for name, expected in results[0].items():
        found = results[1].get(name)
        if found is None:
            assert expected.abs().max() < 1e-6, f"{name} has a gradient in one form only"
        else:
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5, msg=lambda m: f"{name}: {m}")
    print(f"{model}: both forms agree")


def main():
    model, form, batch, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if form == "check":
        return check(model)
    net = MODELS[model][form != "authors"]().train()
    if form.startswith("compiled"):
        net.compile()
    is_mixed = form.endswith("bfloat16")
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-6, fused=True)
    ids, classes = examples(batch)

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=is_mixed):
            logits = net(ids)
        F.cross_entropy(logits.float(), classes).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(3):
        step()
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begun)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
