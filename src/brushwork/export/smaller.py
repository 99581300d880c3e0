"""Smaller ONNX files that cost some accuracy: weights of 16 bits, or of 8, by ONNX Runtime's own converters."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np

from brushwork.export.program import PIXELS

_AT_ONCE = 16  # pictures in a batch of calibration


def half(source: Path, target: Path) -> None:
    """float16 inside; input and outputs stay as they are."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def quantize(source: Path, target: Path, calibration: np.ndarray | None) -> None:
    """int8 weights. With pictures, uint8 (pictures, height, width, 3), the layers' outputs have 8 bits as well, in
    ranges found on these ("static"); without, ranges are found anew for each batch ("dynamic").

    What is before the first convolution, and softmax, whose outputs of 8 bits would be steps of 1/255, stay float32.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic, quantize_static
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory(dir=target.parent) as folder, _quiet():
        fused = Path(folder) / "fused.onnx"  # batch normalisation within the convolutions, as the converters want it
        quant_pre_process(source, fused, skip_symbolic_shape=True)
        if calibration is None:
            quantize_dynamic(fused, target, weight_type=QuantType.QUInt8)  # the one that convolutions take on a CPU
            return
        nodes = onnx.load(fused, load_external_data=False).graph.node
        quantize_static(
            fused,
            target,
            _reader(calibration),
            per_channel=True,
            activation_type=QuantType.QUInt8,  # with int8 weights the fastest on processors without AMX
            op_types_to_quantize=sorted({*QDQRegistry, *QLinearOpsRegistry} - {"Softmax"}),
            nodes_to_exclude=[node.name for node in takewhile(lambda node: node.op_type != "Conv", nodes)],
        )


def _reader(pictures: np.ndarray) -> object:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self, batches: Sequence[np.ndarray]) -> None:
            self.batches = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {PIXELS: batch}

    return Reader([pictures[start : start + _AT_ONCE] for start in range(0, len(pictures), _AT_ONCE)])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The converters warn, on the root logger and by printing, of each tensor that they leave as it is; the root logger
    gets a handler by that, which would repeat all that is logged later."""
    handlers = [*logging.root.handlers]
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
        logging.root.handlers[:] = handlers
