"""A network's layers in the order of computation, for tables and for TensorBoard's graphs (report, figures 2 to 4)."""

from dataclasses import dataclass, replace

import torch
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.config_pb2 import RunMetadata
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.graph.metadata import PLUGIN_NAME_RUN_METADATA_WITH_GRAPH
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.utils.tensorboard import SummaryWriter

from brushwork.models.modes import in_eval_mode


@dataclass(frozen=True)
class Layer:
    """One step of a network.

    name: its path in the network ("classifier.4"); that of a function is its own ("flatten").
    kind: the type of a module ("Linear"), or "function".
    description: a module with its sizes ("Linear(4096, 4096)"), else the name.
    shape: of its output, (batch, ...), for a batch of one.
    parameters: how many of its own.
    inputs: names of the layers whose outputs it takes.
    """

    name: str
    kind: str
    description: str
    shape: tuple[int, ...]
    parameters: int
    inputs: tuple[str, ...]


def layers(network: nn.Module, image_size: int) -> list[Layer]:
    """The layers of a torchvision classifier from "input" to its logits. Its modes and weights stay as they are.

    The network runs once, in eval mode, on a grey image.

    Raises:
        torch.fx.proxy.TraceError and others: torch.fx can't follow the network's control flow.
    """
    device = next(network.parameters()).device
    with in_eval_mode(network), torch.no_grad():
        traced = fx.symbolic_trace(network)
        ShapeProp(traced).propagate(torch.zeros(1, 3, image_size, image_size, device=device))
    found = []
    for node in traced.graph.nodes:
        if node.op in ("output", "get_attr"):
            continue
        module = network.get_submodule(node.target) if node.op == "call_module" else None
        meta = node.meta.get("tensor_meta")
        found.append(
            Layer(
                _name(node),
                type(module).__name__ if module else "input" if node.op == "placeholder" else "function",
                _describe(module) if module else _name(node),
                tuple(meta.shape) if hasattr(meta, "shape") else (),
                sum(parameter.numel() for parameter in module.parameters()) if module else 0,
                tuple(_name(other) for other in node.all_input_nodes if other.op != "get_attr"),
            )
        )
    return found


def _name(node: fx.Node) -> str:
    if node.op == "call_module":
        path = str(node.target)
        return path + node.name[len(path) :]  # a module that is used again is "layer1.0.relu_1"
    return "input" if node.op == "placeholder" else node.name


def _describe(module: nn.Module) -> str:
    if isinstance(module, nn.Linear):
        return f"Linear({module.in_features}, {module.out_features})"
    if isinstance(module, nn.Conv2d):
        return f"Conv2d({module.in_channels}, {module.out_channels}, {module.kernel_size[0]}x{module.kernel_size[1]})"
    if isinstance(module, nn.Dropout):
        return f"Dropout({module.p:g})"
    return type(module).__name__


def part(found: list[Layer], name: str) -> list[Layer]:
    """The layers of a part of the network, named from there: `part(layers, "classifier")` begins with "0"."""

    def local(path: str) -> str:
        return path.removeprefix(f"{name}.")

    return [
        replace(layer, name=local(layer.name), inputs=tuple(map(local, layer.inputs)))
        for layer in found
        if layer.name.split(".")[0] == name
    ]


def add_graph(writer: SummaryWriter, found: list[Layer], tag: str | None = None) -> None:
    """Add layers to TensorBoard's graphs: as the run's own graph, or as one of several by `tag`.

    `SummaryWriter.add_graph` would trace with torch.jit, which is deprecated and names no layer's sizes.
    """
    graph = _graph_def(found)
    if tag is None:
        writer.file_writer.add_event(Event(graph_def=graph.SerializeToString()))
        return
    # As TensorFlow 2 writes a function's graph; the dashboard lists these by tag.
    run = RunMetadata(function_graphs=[RunMetadata.FunctionGraphs(pre_optimization_graph=graph)])
    plugin = SummaryMetadata.PluginData(plugin_name=PLUGIN_NAME_RUN_METADATA_WITH_GRAPH, content=b"1")
    value = Summary.Value(
        tag=tag,
        tensor=TensorProto(dtype=DT_STRING, string_val=[run.SerializeToString()], tensor_shape=TensorShapeProto()),
        metadata=SummaryMetadata(plugin_data=plugin),
    )
    writer.file_writer.add_summary(Summary(value=[value]), 0)


def _graph_def(found: list[Layer]) -> GraphDef:
    names = {layer.name: _node_name(layer) for layer in found}
    nodes = []
    for layer in found:
        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in layer.shape])
        nodes.append(
            NodeDef(
                name=names[layer.name],
                op=layer.kind,
                input=[names[name] for name in layer.inputs if name in names],
                attr={
                    "_output_shapes": AttrValue(list=AttrValue.ListValue(shape=[shape])),
                    "layer": AttrValue(s=layer.description.encode()),
                    "parameters": AttrValue(i=layer.parameters),
                },
            )
        )
    return GraphDef(node=nodes)


def _node_name(layer: Layer) -> str:
    """The path with "/", which the dashboard folds, and the kind: it shows ten letters of it.

    >>> _node_name(Layer("classifier.1", "Linear", "Linear(9216, 4096)", (1, 4096), 37752832, ()))
    'classifier/1_Linear'
    """
    path = layer.name.replace(".", "/")
    return path if layer.kind in ("input", "function") else f"{path}_{layer.kind}"
