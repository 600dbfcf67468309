"""Times training steps of PyTorch and of nac-measure in turns: compare.py [--help].

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

HERE = pathlib.Path(__file__).resolve().parent
# Large buffers stay with the process, for all sides: page faults are not what is compared.
ALLOCATOR = {
    "MALLOC_TOP_PAD_": "268435456",
    "MALLOC_MMAP_THRESHOLD_": "17179869184",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}
PEERS = ["authors", "optimised", "compiled", "compiled-bfloat16"]
OURS = {
    "nac": ["--executor", "auto"],
    "nac-mixed": ["--executor", "auto", "--precision", "mixed"],
    "nac-torch": ["--executor", "torch"],
}
PRODUCT = """
import time, torch
torch.set_num_threads({threads})
a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
times = []
for _ in range(20):
    begun = time.perf_counter(); a @ b; times.append(time.perf_counter() - begun)
print(2 * 1024**3 / min(times) / 1e9)
"""


class Peer:
    """A PyTorch process that is kept."""

    def __init__(self, form, options, environment):
        words = [options.model, form, options.batch, options.threads]
        command = [sys.executable, HERE / "worker.py", *map(str, words)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        if self.process.stdout.readline().strip() != "ready":
            sys.exit(f"{form} did not start")

    def seconds(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["seconds"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """nac-measure, started for every round."""

    def __init__(self, form, options, environment):
        self.environment = environment
        words = ["--model", options.model, "--engine", "torch", "--pass", "train", "--json"]
        sizes = ["--batch", str(options.batch), "--threads", str(options.threads)]
        self.command = [options.nac_measure, *words, *sizes, *OURS[form]]

    def seconds(self, steps):
        command = [*self.command, "--repeat", str(steps)]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])["seconds"]["all"]

    def end(self):
        pass


def product(options):
    """GFLOP/s of a matrix product."""
    code = PRODUCT.format(threads=options.threads)
    return round(float(subprocess.check_output([sys.executable, "-c", code], text=True)), 1)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="listops", choices=["listops", "listops-perceiver-io"])
    parser.add_argument("--forms", nargs="+", default=[*PEERS, *OURS], choices=[*PEERS, *OURS])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of a form in a round")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside, of normal priority")
    parser.add_argument("--nac-measure", default="target/release/nac-measure")
    parser.add_argument("--out", help="a JSON file for all times")
    return parser.parse_args()


def main():
    options = arguments()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")} | ALLOCATOR
    record = {"options": vars(options), "product": [product(options)], "seconds": {}}
    forms = {
        form: (Peer if form in PEERS else Ours)(form, options, environment) for form in options.forms
    }
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(spin) for _ in range(options.busy)]
    try:
        for _ in range(options.rounds):
            for form, process in forms.items():
                times = process.seconds(options.steps)
                record["seconds"].setdefault(form, []).append(times)
    finally:
        for process in busy:
            process.kill()
        for process in forms.values():
            process.end()
    record["product"].append(product(options))
    print(f"{options.model}, step of {options.batch}, {options.threads} threads, {options.busy} busy processes;")
    print(f"matrix product before and after: {record['product']} GFLOP/s\n")
    print("| form | median, ms | rounds, ms | shortest, ms |\n|---|---:|---:|---:|")
    for form, rounds in record["seconds"].items():
        medians = [1e3 * statistics.median(times) for times in rounds]
        shortest = 1e3 * min(min(times) for times in rounds)
        middle = statistics.median(medians)
        print(f"| {form} | {middle:.1f} | {min(medians):.1f}–{max(medians):.1f} | {shortest:.1f} |")
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
