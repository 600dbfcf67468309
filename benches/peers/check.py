"""Checks that the forms of a model compute the same."""

import numpy
import torch
import torch.nn.functional as F

import runtimes
from cached import Cached
from forms import batch_of, inference, model
from sizes import MODELS


def check(name, batch, threads):
    """Logits and gradients of both PyTorch forms in float64, then logits of all forms of inference."""
    authors, optimised = (model(name, form).double() for form in ("authors", "optimised"))
    count = sum(parameter.numel() for parameter in authors.parameters())
    assert count == MODELS[name].parameters, f"{count:,} parameters, not {MODELS[name].parameters:,}"
    with torch.no_grad():
        # Norms and biases that are not those of the start, so that forgetting one shows.
        for parameter in authors.parameters():
            if parameter.dim() < 2:
                parameter.add_(0.3 * torch.randn_like(parameter))
    optimised.load_state_dict(authors.state_dict())
    inputs, classes = batch_of(name, batch)
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    for is_training in (True, False):
        expected, found = (results(form.train(is_training), inputs, classes) for form in (authors, optimised))
        worst = compare(expected, found)
        mode = "training" if is_training else "evaluation"
        print(f"{name}, {mode}: logits and {len(expected) - 1} gradients agree to {worst:.0e}", flush=True)
    with torch.inference_mode():
        cached = {"logits": Cached(optimised)(inputs)}
    compare({"logits": expected["logits"]}, cached)
    print(f"{name}: {count:,} parameters; logits of inference, largest difference from those of authors:")
    check_inference(name, batch, threads)


def results(net, inputs, classes):
    """Logits and gradients; noise is the same in every call."""
    torch.manual_seed(1)
    net.zero_grad()
    logits = net(inputs)
    F.cross_entropy(logits, classes).backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"logits": logits.detach(), **gradients}


def compare(expected, found, tolerance=1e-6):
    """The largest difference as a share of the largest element of the tensor."""
    assert expected.keys() == found.keys(), f"only in one form: {expected.keys() ^ found.keys()}"
    worst = 0.0
    for name, tensor in expected.items():
        difference = (found[name] - tensor).abs().max() / tensor.abs().max().clamp(min=1e-9)
        assert difference < tolerance, f"{name}: differs by {difference:.1e}"
        worst = max(worst, float(difference))
    return worst


def check_inference(name, batch, threads):
    expected = inference(name, "authors", batch)().numpy()
    for form in ["optimised", *runtimes.FORMS]:
        if missing := runtimes.missing(form):
            print(f"  {form}: not installed: {', '.join(missing)}")
            continue
        is_torch = form == "optimised"
        run = inference(name, form, batch) if is_torch else runtimes.inference(name, form, batch, threads)
        difference = numpy.abs(run() - expected).max() / numpy.abs(expected).max()
        print(f"  {form}: {difference:.1e} of the largest logit", flush=True)
        is_exact = not form.endswith(("int8", "bfloat16"))
        assert difference < (1e-4 if is_exact else 0.2), f"{form} computes something else"
