"""Times `nac train` with one process and with several, in turns: processes.py [--help].

Every run is a short one in a folder of its own, with loading, loss, metrics and the exchange of gradients. Its speed is
that of the steps after the first tenth, from `metrics.jsonl`. Prints a Markdown table of examples per second.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "crates/nac-cli/configs/quick-listops.toml"


def examples_per_second(options, processes, threads):
    """Of one run."""
    settings = {
        "threads": threads,
        "training.steps": options.steps,
        "training.log_every": max(1, options.steps // 10),
        "training.evaluate_every": options.steps,
        "training.checkpoint_every": options.steps,
    }
    with tempfile.TemporaryDirectory() as folder:
        words = ["train", "--config", options.config, "--processes", str(processes), "--out", f"{folder}/run"]
        words += [word for setting in settings.items() for word in ("--set", "{}={}".format(*setting))]
        words += ["--data-dir", options.data_dir] if options.data_dir else []
        done = subprocess.run([options.nac, *words, *options.more], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        lines = pathlib.Path(f"{folder}/run/metrics.jsonl").read_text().splitlines()
        batch = json.loads(pathlib.Path(f"{folder}/run/summary.json").read_text())["batch_size"]
    events = [event for event in map(json.loads, lines) if event["event"] == "train"]
    first, last = events[0], events[-1]
    return batch * (last["step"] - first["step"]) / (last["seconds"] - first["seconds"])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=str(CONFIG), help="settings of the run; quick-listops, if not given")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside, of normal priority")
    parser.add_argument("--data-dir", help="folder of data sets, for settings whose data are not generated")
    parser.add_argument("--nac", default="target/release/nac")
    parser.add_argument("--out", help="a JSON file for all speeds")
    parser.add_argument("more", nargs="*", help="more options of nac train, after --")
    return parser.parse_args()


def main():
    options = arguments()
    count = options.processes
    cases = {
        f"one process, {count} threads": (1, count),
        "one process, one thread": (1, 1),
        f"{count} processes of one thread": (count, 1),
    }
    speeds = {case: [] for case in cases}
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen(spin) for _ in range(options.busy)]
    try:
        for _ in range(options.rounds):
            for case, sizes in cases.items():
                speeds[case].append(examples_per_second(options, *sizes))
    finally:
        for process in busy:
            process.kill()
    print(f"{options.steps} steps, {options.busy} busy processes\n")
    print("| processes and threads | median, examples/s | rounds | ratio |\n|---|---:|---:|---:|")
    baseline = statistics.median(speeds[next(iter(cases))])
    for case, found in speeds.items():
        middle = statistics.median(found)
        print(f"| {case} | {middle:.0f} | {min(found):.0f}–{max(found):.0f} | {middle / baseline:.2f} |")
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps({"options": vars(options), "speeds": speeds}, indent=1))


if __name__ == "__main__":
    main()
