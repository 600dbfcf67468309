"""The two sides of the comparison, as processes: PyTorch and runtimes (`Peer`), and nac-measure (`Ours`)."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

WORKER = pathlib.Path(__file__).resolve().parent / "worker.py"
# Large buffers stay with the process, for all sides: page faults are not what is compared.
ALLOCATOR = {
    "MALLOC_TOP_PAD_": "268435456",
    "MALLOC_MMAP_THRESHOLD_": "17179869184",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
}
PYTORCH = ["authors", "optimised", "compiled", "compiled-bfloat16"]
RUNTIMES = ["onnxruntime", "onnxruntime-int8", "openvino", "openvino-bfloat16"]
PEERS = {"train": PYTORCH, "forward": PYTORCH + RUNTIMES}
OURS = {
    "train": {
        "nac": ["--engine", "torch"],
        "nac-mixed": ["--engine", "torch", "--precision", "mixed"],
        "nac-torch": ["--engine", "torch", "--executor", "torch"],
    },
    "forward": {
        "nac": ["--engine", "core"],
        "nac-bfloat16": ["--engine", "core", "--weights", "bf16"],
        "nac-int8": ["--engine", "core", "--weights", "int8"],
        "nac-torch": ["--engine", "torch"],
    },
}


class LeftOut(Exception):
    """A form that cannot run here, with the reason."""


def environment(without=()):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_") and k not in without}
    return kept | ALLOCATOR


class Peer:
    """A Python process that is kept."""

    def __init__(self, form, options):
        words = [options.model, form, options.batch, options.threads, "--pass", options.which]
        command = [sys.executable, WORKER, *map(str, words)]
        # This path would put nac's libtorch in the place of Python's.
        environ = environment(without=["LD_LIBRARY_PATH"])
        pipe, self.errors = subprocess.PIPE, tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=self.errors, text=True, env=environ
        )
        answer = self.answer()
        if answer != "ready":
            self.end()
            raise LeftOut(answer)

    def answer(self):
        """The next line; `LeftOut` with its last words if the process ended."""
        if line := self.process.stdout.readline().strip():
            return line
        status = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read().strip().splitlines() or [f"it ended with status {status}"]
        raise LeftOut(said[-1])

    def measure(self, repeat):
        """`seconds` of passes; resident memory `before` the first pass and its `peak` since, in bytes."""
        self.process.stdin.write(f"{repeat}\n")
        self.process.stdin.flush()
        return json.loads(self.answer())

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """nac-measure, started for every round."""

    def __init__(self, form, options):
        words = ["--model", options.model, "--pass", options.which, *OURS[options.which][form]]
        sizes = ["--batch", str(options.batch), "--threads", str(options.threads)]
        self.command = [options.nac_measure, *words, *sizes, "--json"]

    def measure(self, repeat):
        """As `Peer.measure`."""
        command = [*self.command, "--repeat", str(repeat)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        if done.returncode:
            raise LeftOut(done.stderr.strip())
        answer = json.loads(done.stdout.splitlines()[-1])
        memory = {key: answer["memory"][key] for key in ("before", "peak")}
        return {"seconds": answer["seconds"]["all"], **memory}

    def end(self):
        pass
