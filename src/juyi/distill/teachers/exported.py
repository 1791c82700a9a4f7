"""Read a `.pt2` file of `torch.export` without torch's own reader, which trusts the file.

`torch.export.load` unpickles parts of the file and runs its sizes as Python, and `module()` of what it reads runs its
guards.  Here the description is read as data, weights are read as bytes, and a short list of operators is
called one by one (`juyi.distill.teachers.exported_operators`); nothing else in the file is looked at.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from juyi.distill.teachers.archives import LONGEST_DESCRIPTION, PlainArchive
from juyi.distill.teachers.exported_operators import IN_PLACE, VIEWS, operator_of
from juyi.distill.teachers.exported_values import AGAIN, NUMBER_TYPES, Name, argument_of, names_of, result_of
from juyi.errors import SettingError

MAJOR_VERSION = 8
"""Of the form in which torch 2.6 and newer describe a program."""


class Step(NamedTuple):
    """One call: what is called, with what, what its results are called, and which values are not needed after it.

    `writes` says that it changes what it is given.
    """

    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    results: Any
    done: tuple[str, ...] = ()
    writes: bool = False


class ExportedNet(nn.Module):
    """An exported classifier: its linear layers and batch norms are torch's own modules, so that hooks find them.

    Attributes:
        shape: of one row that it takes, None for a length that may vary.
        batch: the number of rows that it was exported for; None where it may vary.
    """

    def __init__(self, path: str, where: str) -> None:
        super().__init__()
        archive = PlainArchive(path, where)
        if archive.read("archive_format", 64) != b"pt2" or "models/model.json" not in archive:
            raise SettingError(f"{where}: holds no program called model; {AGAIN}")
        if any(name.startswith("data/aotinductor/") for name in archive.names):
            raise SettingError(f"{where}: holds compiled machine code, which is not run; {AGAIN}")
        try:
            program = json.loads(archive.read("models/model.json", LONGEST_DESCRIPTION))
            if program["schema_version"]["major"] != MAJOR_VERSION:
                raise SettingError(f"{where}: was written by another version of torch; {AGAIN}")
            _Reader(self, archive, program["graph_module"], where).read()
        except SettingError:
            raise
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError, OverflowError) as error:
            raise SettingError(f"{where}: is damaged, or not what torch.export.save writes ({error!r})") from error

    def forward(self, x: Tensor) -> Tensor:
        """Return what the program gives."""
        values: dict[str, Any] = {self._input: x.to(self._input_type)}
        for name, place in self._held.items():
            values[name] = getattr(self, place)

        def known(argument: Any) -> Any:
            if isinstance(argument, Name):
                return values[argument.name]
            return [known(part) for part in argument] if isinstance(argument, list) else argument

        for step in self._steps:
            named = {key: known(argument) for key, argument in step.named.items()}
            if "device" in named:
                named["device"] = x.device
            _bind(values, step.results, step.call(*map(known, step.arguments), **named))
            for name in step.done:
                values.pop(name, None)
        scores: Tensor = values[self._output]
        return scores

    _input: str
    _input_type: torch.dtype
    _output: str
    _held: dict[str, str]
    _steps: list[Step]
    shape: tuple[int | None, ...]
    batch: int | None


def _bind(values: dict[str, Any], names: Any, found: Any) -> None:
    if isinstance(names, str):
        values[names] = found
    elif names is not None:
        for name, part in zip(names, found, strict=True):
            _bind(values, name, part)


class _Reader:
    """Reads the description of a program into an `ExportedNet`."""

    def __init__(self, net: ExportedNet, archive: PlainArchive, module: Any, where: str) -> None:
        self.net, self.archive, self.where = net, archive, where
        self.graph, self.signature = module["graph"], module["signature"]
        self.held: dict[str, Tensor] = {}
        self.learnt = set[str]()  # those of them that are parameters
        self.fixed = set[str]()  # values in the memory of weights, or of the rows
        self.turned: dict[str, str] = {}  # weights by what they are called when they are transposed
        self.layers: dict[tuple[str, str | None], nn.Linear] = {}

    def read(self) -> None:
        """Fill the net."""
        net = self.net
        net._input, names = self._inputs()
        self.fixed |= {net._input, *names}
        meta = self.graph["tensor_values"][net._input]
        net._input_type = NUMBER_TYPES[meta["dtype"]]
        if not net._input_type.is_floating_point:
            raise SettingError(f"{self.where}: takes {net._input_type}, and no floating-point numbers; {AGAIN}")
        net.batch, *lengths = [_length(size) for size in meta["sizes"]]
        net.shape = tuple(lengths)
        net._output = self._output()
        steps = [step for node in self.graph["nodes"] if (step := self._step(node)) is not None]
        net._steps = _with_ends(steps, net._output)
        needed = {name for step in net._steps for name in names_of([step.arguments, step.named])}
        net._held = {}
        for i, name in enumerate(name for name in names if name in needed):
            value, place = self.held[name], f"value_{i}"
            if name in self.learnt and value.is_floating_point():
                net.register_parameter(place, nn.Parameter(value, requires_grad=False))
            else:
                net.register_buffer(place, value)
            net._held[name] = place

    def _inputs(self) -> tuple[str, list[str]]:
        """Read the weights; return the name of the rows, and those of the weights."""
        weights = self._tensors("data/weights/", "data/weights/model_weights_config.json")
        constants = self._tensors("data/constants/", "data/constants/model_constants_config.json")
        rows = []
        for spec in self.signature["input_specs"]:
            ((kind, content),) = spec.items()
            if kind == "user_input" and "as_tensor" in content["arg"]:
                rows.append(str(content["arg"]["as_tensor"]["name"]))
            elif kind in ("parameter", "buffer", "tensor_constant"):
                name = content[f"{kind}_name"]
                value = str(content["arg"]["name"])
                self.held[value] = weights[name] if name in weights else constants[name]
                self.learnt |= {value} if kind == "parameter" else set()
            else:
                raise SettingError(f"{self.where}: asks for an input of another kind ({kind}); {AGAIN}")
        if len(rows) != 1:
            raise SettingError(f"{self.where}: takes {len(rows)} inputs; export a model that takes one tensor of rows")
        return rows[0], list(self.held)

    def _output(self) -> str:
        kinds = [next(iter(spec)) for spec in self.signature["output_specs"]]
        if "buffer_mutation" in kinds:
            raise SettingError(f"{self.where}: was exported in training mode; call eval() first, and export it again")
        outputs = self.graph["outputs"]
        if kinds != ["user_output"] or len(outputs) != 1 or "as_tensor" not in outputs[0]:
            raise SettingError(
                f"{self.where}: gives {len(outputs)} outputs, and no scores N×classes; export a module whose forward "
                "gives the scores alone"
            )
        return str(outputs[0]["as_tensor"]["name"])

    def _tensors(self, folder: str, listed: str) -> dict[str, Tensor]:
        """Read the tensors that a list in the archive describes, each from the bytes of its part."""
        found = {}
        for name, entry in json.loads(self.archive.read(listed, LONGEST_DESCRIPTION))["config"].items():
            if entry["use_pickle"]:
                raise SettingError(f"{self.where}: {name} is a pickle, which may run any code, so it is not read")
            meta = entry["tensor_meta"]
            kind = NUMBER_TYPES[meta["dtype"]]
            raw = self.archive.read(f"{folder}{entry['path_name']}")
            sizes, strides = ([int(length["as_int"]) for length in meta[key]] for key in ("sizes", "strides"))
            flat = torch.frombuffer(bytearray(raw), dtype=kind) if raw else torch.zeros(0, dtype=kind)
            if min([0, *sizes, *strides]) < 0 or math.prod(sizes) > flat.numel():
                raise SettingError(f"{self.where}: {name} has fewer numbers than it says, so it is damaged")
            try:
                value = flat.as_strided(sizes, strides, int(meta["storage_offset"]["as_int"]))
            except RuntimeError as error:
                raise SettingError(f"{self.where}: {name} reaches beyond its bytes, so it is damaged") from error
            if kind.is_floating_point and not bool((value.isfinite() if entry["is_param"] else ~value.isnan()).all()):
                raise SettingError(f"{self.where}: {name} holds numbers that are not finite, so it is damaged")
            found[str(name)] = value.contiguous()
        return found

    def _step(self, node: Any) -> Step | None:
        """Read one call; None for a mere check."""
        found = operator_of(node["target"], self.where)
        if found is None:
            return None
        name, call = found
        inputs = [(str(given["name"]), argument_of(given["arg"], self.where)) for given in node["inputs"]]
        results: Any = [result_of(output) for output in node["outputs"]]
        results = results[0] if len(results) == 1 else results
        if name.startswith(("_operator", "torch.sym", "math")):
            return Step(call, tuple(value for _, value in inputs), {}, results)
        named = dict(inputs)
        if named.get("training") is True or named.get("train") is True:
            raise SettingError(f"{self.where}: was exported in training mode; call eval() first, and export it again")
        given = set(names_of(list(named.values())))
        if name in VIEWS and given & self.fixed:
            self.fixed |= set(_flat(results))
        if name in IN_PLACE and given & self.fixed and named["self"].name in self.fixed:
            raise SettingError(
                f"{self.where}: changes its own weights or input; call eval() first, and export it again"
            )
        return self._layer(name, named, results) or Step(call, (), named, results, writes=name in IN_PLACE)

    def _layer(self, name: str, named: dict[str, Any], results: Any) -> Step | None:
        """Make a module of torch of a call that is one."""
        weight = named.get("weight")
        if name in ("t", "transpose", "permute") and _is_turn(name, named) and named["self"].name in self.held:
            self.turned[results] = named["self"].name
        elif name == "linear" and isinstance(weight, Name):
            return self._linear(named["input"], weight.name, named.get("bias"), results)
        elif name == "addmm" and set(named) == {"self", "mat1", "mat2"} and named["mat2"].name in self.turned:
            return self._linear(named["mat1"], self.turned[named["mat2"].name], named["self"], results)
        elif name == "mm" and named["mat2"].name in self.turned:
            return self._linear(named["self"], self.turned[named["mat2"].name], None, results)
        elif name in ("batch_norm", "_native_batch_norm_legit_no_training"):
            return self._batch_norm(name, named, results)
        return None

    def _linear(self, x: Any, weight: str, bias: Name | None, results: Any) -> Step | None:
        key = (weight, None if bias is None else bias.name)
        values = [self.held[part] for part in key if part is not None and part in self.held]
        if [value.dim() for value in values] != ([2] if bias is None else [2, 1]):
            return None
        if key not in self.layers:
            layer = nn.Linear(values[0].shape[1], values[0].shape[0], bias is not None)
            layer.load_state_dict(dict(zip(("weight", "bias"), values, strict=False)))
            self.layers[key] = layer
            self.net.add_module(f"linear_{len(self.layers)}", layer)
        return Step(self.layers[key], (x,), {}, results)

    def _batch_norm(self, name: str, named: dict[str, Any], results: Any) -> Step | None:
        parts = [named.get(part) for part in ("weight", "bias", "running_mean", "running_var")]
        held = [self.held[part.name] for part in parts if isinstance(part, Name) and part.name in self.held]
        rank = len(self.graph["tensor_values"][named["input"].name]["sizes"])
        if len(held) < 4 or rank not in (2, 3, 4, 5):
            return None
        kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}[rank]
        layer = kind(held[0].numel(), eps=float(named["eps"]))
        state = dict(zip(("weight", "bias", "running_mean", "running_var"), held, strict=True))
        layer.load_state_dict({**layer.state_dict(), **state})
        self.net.add_module(f"batch_norm_{len(self.net._modules)}", layer)
        if isinstance(results, list):  # mean and spread besides, which serve learning alone
            results = results[0]
        return Step(layer, (named["input"],), {}, results)


def _length(size: Any) -> int | None:
    """Read a length of the rows; None for one that may vary."""
    ((kind, value),) = size.items()
    if kind == "as_int" and (not isinstance(value, int) or not 0 < value <= 10**6):
        raise ValueError(f"a length of {value!r}")
    return value if kind == "as_int" else None


def _is_turn(name: str, named: dict[str, Any]) -> bool:
    """Whether a call transposes a matrix."""
    return name == "t" or named.get("dims") == [1, 0] or {named.get("dim0"), named.get("dim1")} in ({0, 1}, {-1, -2})


def _with_ends(steps: list[Step], output: str) -> list[Step]:
    """Tell each step which values nobody needs after it, so that memory does not grow; leave idle steps out."""
    seen, found = {output}, list[Step]()
    for step in reversed(steps):
        results = set(_flat(step.results))
        if not results & seen and not step.writes:
            continue
        used = set(names_of([step.arguments, step.named]))
        found.append(step._replace(done=tuple((used | results) - seen)))
        seen |= used
    return found[::-1]


def _flat(names: Any) -> list[str]:
    if isinstance(names, str):
        return [names]
    return [name for part in names or () for name in _flat(part)]
