"""Runs one form of one model in a process of its own: worker.py MODEL FORM BATCH THREADS [--pass forward].

Says `ready` (or why it cannot run), then answers every line with a number n by a line of JSON: the seconds of n passes,
resident memory before the first pass, and the largest since, in bytes. `check` as FORM compares the forms of the model
instead.
"""

import argparse
import ctypes
import gc
import json
import pathlib
import sys
import time

import numpy

import runtimes
from sizes import MODELS

WARM_UP = 2


def opened(options):
    """The pass, as a function."""
    words = options.model, options.form, options.batch
    if options.form in runtimes.FORMS:
        return runtimes.inference(*words, options.threads)
    import torch

    import forms

    torch.set_num_threads(options.threads)
    return forms.training(*words) if options.which == "train" else forms.inference(*words)


def forget_peak():
    """Gives free memory back and starts the high-water mark anew, so that what compilation took does not count."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def memory(field):
    """Resident memory (`VmRSS`) or its high-water mark (`VmHWM`), in bytes."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("form")
    parser.add_argument("batch", type=int)
    parser.add_argument("threads", type=int)
    parser.add_argument("--pass", dest="which", default="train", choices=["train", "forward"])
    return parser.parse_args()


def main():
    options = arguments()
    if options.form == "check":
        from check import check

        return check(options.model, options.batch, options.threads)
    if missing := runtimes.missing(options.form):
        return print(f"not installed: {', '.join(missing)}", flush=True)
    run = opened(options)
    forget_peak()
    before = memory("VmRSS")
    run()
    forget_peak()
    for _ in range(WARM_UP):
        logits = run()
    if not numpy.isfinite(numpy.asarray(logits)).all():
        return print("its logits are not finite", flush=True)
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            begun = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begun)
        answer = {"seconds": seconds, "before": before, "peak": memory("VmHWM")}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
