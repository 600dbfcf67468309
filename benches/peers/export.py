"""Writes the optimised form of a model for a runtime: export.py MODEL FORM BATCH FOLDER.

The folder gets `model.onnx` or `model.xml`.
"""

import pathlib
import sys
import warnings

import torch

from cached import Cached
from forms import batch_of, model


def to_onnx(net, inputs, folder, is_int8):
    file = folder / "model.onnx"
    torch.onnx.export(net, (inputs,), file, dynamo=True, external_data=False, verbose=False)
    if is_int8:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        products = ["MatMul", "Gemm"]
        quantize_dynamic(file, file, weight_type=QuantType.QInt8, op_types_to_quantize=products)


def to_openvino(net, inputs, folder):
    import openvino

    converted = openvino.convert_model(net, example_input=inputs, input=[list(inputs.shape)])
    openvino.save_model(converted, folder / "model.xml", compress_to_fp16=False)


def main():
    name, form, batch, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), pathlib.Path(sys.argv[4])
    warnings.filterwarnings("ignore")
    net = Cached(model(name, "optimised"))
    inputs, _ = batch_of(name, batch)
    with torch.no_grad():
        if form.startswith("onnxruntime"):
            to_onnx(net, inputs, folder, is_int8=form.endswith("int8"))
        else:
            to_openvino(net, inputs, folder)


if __name__ == "__main__":
    main()
