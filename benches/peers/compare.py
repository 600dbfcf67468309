"""Times passes of PyTorch, of runtimes and of nac-measure in turns: compare.py [--help].

Every form is a process of its own. A round times each of them once, so that a busy moment of the machine hits all, and
a matrix product is timed before and after. Prints a Markdown table of medians and writes JSON.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

from sides import OURS, PEERS, LeftOut, Ours, Peer
from sizes import MODELS

PRODUCT = """
import time, torch
torch.set_num_threads({threads})
a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
times = []
for _ in range(20):
    begun = time.perf_counter(); a @ b; times.append(time.perf_counter() - begun)
print(2 * 1024**3 / min(times) / 1e9)
"""


def product(options):
    """GFLOP/s of a matrix product."""
    code = PRODUCT.format(threads=options.threads)
    return round(float(subprocess.check_output([sys.executable, "-c", code], text=True)), 1)


def start(options):
    """Processes by form. What cannot run is named and left out."""
    forms = {}
    for form in options.forms:
        try:
            forms[form] = (Peer if form in PEERS[options.which] else Ours)(form, options)
        except LeftOut as reason:
            print(f"{form} is left out: {reason}", flush=True)
    return forms


def measure(options, forms):
    """The answers of all rounds, by form."""
    record = {form: [] for form in forms}
    for _ in range(options.rounds):
        for form in list(record):
            try:
                record[form].append(forms[form].measure(options.repeat))
            except LeftOut as reason:
                print(f"{form} is left out: {reason}", flush=True)
                del record[form]
    return record


def table(record, baseline):
    """A Markdown table; `baseline` is the form that others are compared with, if it was measured."""
    medians = {
        form: [1e3 * statistics.median(round_["seconds"]) for round_ in rounds] for form, rounds in record.items()
    }
    middle = {form: statistics.median(rounds) for form, rounds in medians.items()}
    speed = f"times as fast as {baseline}"
    lines = [f"| form | median, ms | rounds, ms | shortest, ms | {speed} | peak memory, MB | of it passes, MB |"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|")
    for form, rounds in record.items():
        shortest = 1e3 * min(min(round_["seconds"]) for round_ in rounds)
        times = f"{middle[form]:.2f} | {min(medians[form]):.2f}–{max(medians[form]):.2f} | {shortest:.2f}"
        ratio = f"{middle[baseline] / middle[form]:.2f}" if baseline in middle else ""
        peak = max(round_["peak"] for round_ in rounds) / 1e6
        passes = max(round_["peak"] - round_["before"] for round_ in rounds) / 1e6
        lines.append(f"| {form} | {times} | {ratio} | {peak:.0f} | {passes:.0f} |")
    return "\n".join(lines)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = dict.fromkeys(form for side in (PEERS, OURS) for forms in side.values() for form in forms)
    parser.add_argument("--model", default="listops", choices=MODELS)
    parser.add_argument("--pass", dest="which", default="train", choices=PEERS, help="a training step, or logits")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--forms", nargs="+", choices=every, metavar="FORM", help="all of the pass, if not given")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=10, help="timed passes of a form in a round")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside, of normal priority")
    parser.add_argument("--baseline", default="optimised", help="form that others are compared with")
    parser.add_argument("--nac-measure", default="target/release/nac-measure")
    parser.add_argument("--out", help="a JSON file for all times")
    options = parser.parse_args()
    known = [*PEERS[options.which], *OURS[options.which]]
    options.forms = options.forms or known
    if unknown := set(options.forms) - set(known):
        parser.error(f"--pass {options.which} has no form {', '.join(sorted(unknown))}; it has {', '.join(known)}")
    return options


def main():
    options = arguments()
    before = product(options)
    forms = start(options)
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(spin) for _ in range(options.busy)]
    try:
        record = measure(options, forms)
    finally:
        for process in busy:
            process.kill()
        for process in forms.values():
            process.end()
    after = product(options)
    what = "step" if options.which == "train" else "forward pass"
    print(f"{options.model}, {what} of {options.batch}, {options.threads} threads, {options.busy} busy processes;")
    print(f"matrix product before and after: {before} and {after} GFLOP/s\n")
    print(table(record, options.baseline))
    if options.out:
        everything = {"options": vars(options), "product": [before, after], "forms": record}
        pathlib.Path(options.out).write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
