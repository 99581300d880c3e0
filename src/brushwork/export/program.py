"""A trained network as one graph: a picture's bytes to its probabilities, with nothing of ours around it."""

import io
import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from brushwork.errors import UserError, one_line
from brushwork.models.predictor import Predictor
from brushwork.preprocessing import normalize

Run = Callable[[np.ndarray], np.ndarray]  # pixels as `WholeNetwork` takes them to probabilities (batch, classes)

PIXELS, OUTPUTS = "pixels", ("probabilities", "logits")
OPSET = 20  # of ONNX: read by ONNX Runtime from version 1.17 on
SMALLEST_OPSET = 18  # of torch's exporter
_ONE_FILE = 1.9e9  # bytes: what a protocol buffer holds; larger weights lie beside the graph


class WholeNetwork(nn.Module):
    """Normalisation, network and calibrated softmax.

    Takes pixels, uint8 (batch, height, width, 3), RGB, resized to the network's size; returns the probabilities and
    the logits, each (batch, classes) float32.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.network, self.temperature = predictor.network, predictor.calibration.temperature
        mean, std = (
            torch.tensor(values, dtype=torch.float64)[:, None, None] for values in (predictor.mean, predictor.std)
        )
        self.register_buffer("scale", (1 / (255 * std)).float())
        self.register_buffer("shift", (-mean / std).float())

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        images = pixels.permute(0, 3, 1, 2).float() * self.scale + self.shift  # (batch, 3, height, width)
        logits = self.network(images)
        return (logits / self.temperature).softmax(1), logits


def traced(predictor: Predictor) -> ExportedProgram:
    """The graph of a `WholeNetwork`, for any batch size. UserError where torch can't trace the network."""
    size = predictor.preprocessing.image_size
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    try:
        whole = WholeNetwork(predictor).eval()
        program = torch.export.export(whole, (example,), dynamic_shapes=({0: Dim("batch")},))
    except Exception as error:  # torch._dynamo's, of many kinds
        raise UserError(f"torch.export can't trace {predictor.name} ({one_line(error)})") from None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


def write_torch_export(program: ExportedProgram, path: Path, about: dict[str, str]) -> None:
    """Write a .pt2; `torch.export.load(path, extra_files=...)` gives `about` back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of weights on other devices than the CPU, which there are not
        torch.export.save(program, content := io.BytesIO(), extra_files=about)
    path.write_bytes(content.getbuffer())  # torch's own writer would abort the process on a full disk


def write_onnx(program: ExportedProgram, path: Path, about: dict[str, str], opset: int) -> None:
    """Write an ONNX file with `about` as its metadata; weights of over 2 GB beside it, in PATH.data."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = torch.onnx.export(
                program, dynamo=True, opset_version=opset, input_names=[PIXELS], output_names=OUTPUTS, verbose=False
            )
    except (torch.onnx.OnnxExporterError, ValueError) as error:
        raise UserError(
            f"torch can't write it as ONNX of opset {opset} ({one_line(error)}): try another --opset"
        ) from None
    if (written := made.model.opset_imports[""]) != opset:
        raise UserError(f"torch writes it as ONNX of opset {written}, not {opset}: --opset {written}")
    made.model.metadata_props.update(about)
    made.save(path, external_data=sum(t.nbytes for t in program.state_dict.values()) > _ONE_FILE)


def about(predictor: Predictor) -> dict[str, str]:
    """What a taker needs beside the graph, as text; names are ASCII JSON, since ONNX takes UTF-8 alone."""
    used = predictor.preprocessing
    return {
        "class_names": json.dumps(predictor.class_names),
        "image_size": str(used.image_size),
        "resize": used.resize,
        "temperature": repr(float(predictor.calibration.temperature)),
        "architecture": predictor.described["architecture"],
    }


def checkpoint_runner(predictor: Predictor) -> Run:
    """The checkpoint itself, in float32, as `scripts/predict.py` runs it: what the formats are compared with."""

    @torch.inference_mode()
    def run(pixels: np.ndarray) -> np.ndarray:
        pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        logits = predictor.network(normalize(pictures, predictor.preprocessing))
        return (logits / predictor.calibration.temperature).softmax(1).numpy()

    return run


def torch_export_runner(path: Path) -> Run:
    program = torch.export.load(path).module()

    @torch.inference_mode()
    def run(pixels: np.ndarray) -> np.ndarray:
        return program(torch.from_numpy(pixels))[0].numpy()

    return run


def onnx_runner(path: Path, threads: int | None = None) -> Run:
    """ONNX Runtime on the CPU, with as many threads as torch by default."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(pixels: np.ndarray) -> np.ndarray:
        return session.run(OUTPUTS[:1], {PIXELS: pixels})[0]

    return run
