"""The optimised form, exported and run by ONNX Runtime or OpenVINO, in a process that does not load PyTorch."""

import pathlib
import subprocess
import sys
import tempfile
from importlib.util import find_spec

from sizes import MODELS, examples

EXPORT = pathlib.Path(__file__).resolve().parent / "export.py"
PACKAGES = {"onnxruntime": ["onnxruntime", "onnx", "onnxscript"], "openvino": ["openvino"]}
FORMS = ["onnxruntime", "onnxruntime-int8", "openvino", "openvino-bfloat16"]


def missing(form):
    """Packages that the form needs and that are not installed."""
    packages = PACKAGES.get(form.split("-")[0], [])
    return [package for package in packages if find_spec(package) is None]


def inference(name, form, batch, threads):
    """Logits in evaluation."""
    inputs, _ = examples(MODELS[name], batch)
    start = onnxruntime_session if form.startswith("onnxruntime") else openvino_request
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, EXPORT, name, form, str(batch), folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return start(pathlib.Path(folder), form, inputs, threads)


def onnxruntime_session(folder, form, inputs, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Between runs threads sleep, as those of the other forms do.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: inputs}
    return lambda: session.run(None, feed)[0]


def openvino_request(folder, form, inputs, threads):
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "bf16" if form.endswith("bfloat16") else "f32",
        # Weights are read, not mapped: the file goes away.
        "ENABLE_MMAP": False,
    }
    request = openvino.Core().compile_model(folder / "model.xml", "CPU", settings).create_infer_request()

    def logits():
        request.infer([inputs])
        return request.get_output_tensor().data

    return logits
