"""A network's layers in the order of computation, for tables and for TensorBoard's graphs (report, figures 2 to 4)."""

from typing import NamedTuple

import torch
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.config_pb2 import RunMetadata
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.graph.metadata import PLUGIN_NAME_RUN_METADATA_WITH_GRAPH
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.utils.tensorboard import SummaryWriter

from brushwork.models.modes import in_eval_mode


class Layer(NamedTuple):
    """One step of a network."""

    name: str  # its path in the network ("classifier.4"); that of a function is its own ("flatten")
    kind: str  # the type of a module ("Linear"), "input", or "function"
    description: str  # a module with its sizes ("Linear(4096, 4096)"), else the name
    shape: tuple[int, ...]  # of its output, (batch, ...), for a batch of one
    parameters: int  # how many of its own
    inputs: tuple[str, ...]  # names of the layers whose outputs it takes


def layers(network: nn.Module, image_size: int) -> list[Layer]:
    """The layers of a torchvision classifier from "input" to its logits; the network runs once, in eval mode.

    Raises torch.fx.proxy.TraceError and others where torch.fx can't follow the network's control flow.
    """
    like = next(network.parameters())
    with in_eval_mode(network), torch.no_grad():
        traced = fx.symbolic_trace(network)
        ShapeProp(traced).propagate(torch.zeros(1, 3, image_size, image_size).to(like))
    found = []
    for node in traced.graph.nodes:
        if node.op in ("output", "get_attr"):
            continue
        module = network.get_submodule(node.target) if node.op == "call_module" else None
        kind = type(module).__name__ if module else "input" if node.op == "placeholder" else "function"
        description = _describe(module) if module else _name(node)
        shape = getattr(node.meta.get("tensor_meta"), "shape", ())
        parameters = sum(parameter.numel() for parameter in module.parameters()) if module else 0
        inputs = tuple(_name(other) for other in node.all_input_nodes if other.op != "get_attr")
        found.append(Layer(_name(node), kind, description, tuple(shape), parameters, inputs))
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
    """The layers of a part of the network, with names relative to it: `part(layers, "classifier")` begins with "0"."""

    def relative(path: str) -> str:
        return path.removeprefix(f"{name}.")

    chosen = [layer for layer in found if layer.name.split(".")[0] == name]
    return [layer._replace(name=relative(layer.name), inputs=tuple(map(relative, layer.inputs))) for layer in chosen]


def add_graph(writer: SummaryWriter, found: list[Layer], tag: str | None = None) -> None:
    """Add layers to TensorBoard's graphs: as the run's own graph, or as one of several by `tag`.

    `SummaryWriter.add_graph` would trace with torch.jit, which is deprecated and names no layer's sizes.
    """
    # The dashboard folds nodes at "/", and shows ten letters of a name: "classifier/1_Linear".
    kinds = {layer.name: "" if layer.kind in ("input", "function") else f"_{layer.kind}" for layer in found}
    names = {name: name.replace(".", "/") + kind for name, kind in kinds.items()}
    graph = GraphDef()
    for layer in found:
        shape = {"dim": [{"size": size} for size in layer.shape]}
        attributes = {
            "_output_shapes": AttrValue(list={"shape": [shape]}),
            "layer": AttrValue(s=layer.description.encode()),
            "parameters": AttrValue(i=layer.parameters),
        }
        inputs = [names[name] for name in layer.inputs if name in names]
        graph.node.add(name=names[layer.name], op=layer.kind, input=inputs, attr=attributes)
    if tag is None:
        writer.file_writer.add_event(Event(graph_def=graph.SerializeToString()))
        return
    # As TensorFlow 2 writes a function's graph; the dashboard lists these by tag.
    run = RunMetadata(function_graphs=[{"pre_optimization_graph": graph}])
    tensor = {"dtype": "DT_STRING", "string_val": [run.SerializeToString()], "tensor_shape": {}}
    plugin = {"plugin_name": PLUGIN_NAME_RUN_METADATA_WITH_GRAPH, "content": b"1"}
    value = {"tag": tag, "tensor": tensor, "metadata": {"plugin_data": plugin}}
    writer.file_writer.add_summary(Summary(value=[value]), 0)
