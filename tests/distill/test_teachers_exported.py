"""Files of torch.export: they answer as the model does, and nothing in a file that was tampered with is run."""

import json
import zipfile
from pathlib import Path

import pytest
import torch
from foreign_nets import Pair, refusal, trained
from torch import nn

from juyi.distill import Teacher, TeacherOptions, read_teacher
from juyi.distill.teachers.archives import PlainArchive
from juyi.distill.teachers.exported import ExportedNet
from juyi.distill.teachers.exported_operators import ATEN, IN_PLACE, VIEWS, operator_of
from juyi.errors import SettingError

SHAPE = (1, 8, 8)
ANY = torch.export.Dim.DYNAMIC


class Attention(nn.Module):
    """A transformer: tokens, a class token, shapes that hang on the number of rows."""

    def __init__(self):
        super().__init__()
        self.enter, self.head, self.norm = nn.Linear(16, 8), nn.Linear(8, 3), nn.LayerNorm(8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.token = nn.Parameter(torch.randn(1, 1, 8))

    def forward(self, x):
        count = x.shape[0]
        x = x.reshape(count, 2, 4, 2, 4).permute(0, 1, 3, 2, 4).reshape(count, 4, 16)
        z = torch.cat([self.token.expand(count, -1, -1), self.enter(x)], 1)
        return self.head(self.norm(self.layer(z))[:, 0])


class Residual(nn.Module):
    """A residual block whose ReLU works in place, and a constant of its own."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.deep, self.relu, self.pool = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.ReLU(True), nn.AvgPool2d(2)
        self.head = nn.Linear(64, 5)
        self.register_buffer("shift", torch.tensor(0.25), persistent=False)

    def forward(self, x):
        z = self.relu(self.norm(self.conv(x + self.shift)))
        z = self.relu(self.deep(z) + z)
        return self.head(self.pool(z).view(z.shape[0], -1))


def export(net, path, shape=SHAPE, batch=3, dynamic=True, lower=False):
    program = torch.export.export(
        net, (torch.rand(batch, *shape),), dynamic_shapes=({0: ANY},) if dynamic else None, strict=False
    )
    torch.export.save(program.run_decompositions() if lower else program, path)
    return str(path)


def tampered(path, change, folder, compress=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    root = next(iter(parts)).partition("/")[0]
    change({name.removeprefix(f"{root}/"): name for name in parts}, parts)
    where = folder / "tampered.pt2"
    with zipfile.ZipFile(where, "w", compress) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return str(where)


def in_program(change):
    def apply(names, parts):
        program = json.loads(parts[names["models/model.json"]])
        change(program["graph_module"])
        parts[names["models/model.json"]] = json.dumps(program).encode()

    return apply


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return export(trained(), tmp_path_factory.mktemp("exported") / "small.pt2")


def refused(path, *words, options=None):
    refusal(lambda: read_teacher(path, options), *words)


@pytest.mark.parametrize(
    ("made", "lower"), [(trained, True), (Residual, False), (Attention, True)], ids=["lower", "residual", "attention"]
)
def test_a_program_answers_as_its_model_and_shows_its_layers(tmp_path, made, lower):
    torch.manual_seed(1)
    net = made().eval()
    path = export(net, tmp_path / "net.pt2", lower=lower)
    teacher = read_teacher(path, TeacherOptions(mean=(0.2,), spread=(0.5,)))
    x = torch.rand(7, *SHAPE) * 255
    scaled = (x / 255 - 0.2) / 0.5
    torch.testing.assert_close(teacher.scores(x), net(scaled), atol=1e-5, rtol=1e-5)
    kept = Teacher(net, SHAPE, teacher.classes).look(scaled)
    torch.testing.assert_close(teacher.look(x).features, kept.features, atol=1e-5, rtol=1e-5)
    assert teacher.shape == SHAPE and teacher.parameters == sum(
        value.numel() for name, value in net.state_dict().items() if "num_" not in name and "running" not in name
    )
    kinds = [type(layer) for layer in teacher.net.modules()]
    assert (nn.BatchNorm2d in kinds) == (made is not Attention)
    x.requires_grad_()
    grad = torch.autograd.grad(teacher.scores(x)[:, 1].sum(), x)[0]
    y = x.detach().requires_grad_()
    wanted = torch.autograd.grad(net((y / 255 - 0.2) / 0.5)[:, 1].sum(), y)[0]
    torch.testing.assert_close(grad, wanted, atol=1e-6, rtol=1e-4)


def test_values_are_given_free_when_nobody_needs_them(small):
    net = ExportedNet(small, "it")
    gone = [name for step in net._steps for name in step.done]
    made = {step.results for step in net._steps} - {net._output}
    assert len(gone) == len(set(gone)) and made | {net._input} <= set(gone)


def test_a_program_for_a_fixed_number_of_rows_serves_if_it_gives_the_same_for_any(tmp_path):
    net = trained()
    teacher = read_teacher(export(net, tmp_path / "fixed.pt2", dynamic=False))
    x = torch.rand(5, *SHAPE) * 255
    torch.testing.assert_close(teacher.scores(x), net(x / 255), atol=1e-5, rtol=1e-5)

    class Fixed(nn.Module):
        def forward(self, x):
            return net(x.view(3, 1, 8, 8))

    class Mixing(nn.Module):
        def forward(self, x):
            return net(x) - net(x).mean(0)

    for made in (Fixed(), Mixing()):
        path = export(made.eval(), tmp_path / "stuck.pt2", dynamic=False)
        refused(path, "was exported for 3 rows at once", "dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)")


def test_a_softmax_in_a_program_is_taken_off(tmp_path):
    net = trained()
    teacher = read_teacher(export(nn.Sequential(net, nn.Softmax(1)).eval(), tmp_path / "soft.pt2"))
    x = torch.rand(5, *SHAPE) * 255
    torch.testing.assert_close(teacher.scores(x), net(x / 255), atol=1e-5, rtol=1e-5)
    assert teacher.notes[0].endswith("ends in a softmax; the scores before it are used")


def test_programs_that_are_no_teachers_are_refused(tmp_path, small):
    refused(export(trained().train(), tmp_path / "learning.pt2"), "call eval() first, and export it again")
    refused(export(Pair().eval(), tmp_path / "pair.pt2"), "gives 2 outputs", "the scores alone")
    refused(small, "--teacher-shape 3×8×8", "takes 1×8×8", options=TeacherOptions(shape=(3, 8, 8)))
    refused(small, "--teacher-weights", "holds its own", options=TeacherOptions(weights="w.pt"))
    refused(str(tmp_path / "none.pt2"), "there is no such file")
    torch.save({}, tmp_path / "torch.pt2")
    refused(str(tmp_path / "torch.pt2"), "lacks archive_format")


def test_a_pickle_in_a_program_is_never_read(tmp_path, small):
    """What torch's own reader unpickles is either refused or not looked at."""
    bomb = b"cposix\nsystem\n(S'touch " + str(tmp_path / "it_ran").encode() + b"'\ntR."

    def weight(names, parts):
        listed = names["data/weights/model_weights_config.json"]
        config = json.loads(parts[listed])
        next(iter(config["config"].values()))["use_pickle"] = True
        parts[listed], parts[names["data/weights/weight_0"]] = json.dumps(config).encode(), bomb

    refused(tampered(small, weight, tmp_path), "is a pickle, which may run any code, so it is not read")

    def rows(names, parts):
        parts[names["data/sample_inputs/model.pt"]] = bomb

    net = trained()
    x = torch.rand(2, *SHAPE) * 255
    teacher = read_teacher(tampered(small, rows, tmp_path))
    torch.testing.assert_close(teacher.scores(x), net(x / 255), atol=1e-5, rtol=1e-5)
    assert not (tmp_path / "it_ran").exists()


def test_code_in_names_and_expressions_is_never_run(tmp_path, small):
    """Torch's own reader evaluates sizes as Python."""
    evil = f"__import__('pathlib').Path({str(tmp_path / 'it_ran')!r}).touch()"

    def change(module):
        text = json.dumps(module["graph"]).replace('"relu_"', json.dumps(f"relu\n{evil}\n"))
        module["graph"] = json.loads(text)
        module["graph"]["tensor_values"]["input"]["sizes"][0] = {"as_expr": {"expr_str": evil, "hint": None}}

    teacher = read_teacher(tampered(small, in_program(change), tmp_path))
    x = torch.rand(2, *SHAPE) * 255
    torch.testing.assert_close(teacher.scores(x), trained()(x / 255), atol=1e-5, rtol=1e-5)
    assert not (tmp_path / "it_ran").exists()


@pytest.mark.parametrize(
    "target",
    [
        "torch.ops.aten.from_file.default", "torch.ops.aten.relu.out", "torch.ops.aten._print.default", "torch.load",
        "torch.hub.load", "_operator.attrgetter", "math.__loader__.load_module", "#any:thing", "torch.ops.prim.device",
        "torch.ops.higher_order.wrap_with_set_grad_enabled", "torch.ops.aten.relu", "torch.ops.aten.set_.source_Tensor",
        "torch.ops.aten.relu.default.__globals__", 7, None,
    ],
)  # fmt: skip
def test_other_operators_are_refused_before_anything_is_called(tmp_path, small, target):
    def change(module):
        module["graph"]["nodes"][2]["target"] = target

    refused(tampered(small, in_program(change), tmp_path), "is not allowed in a teacher", "module:factory")


def test_no_operator_that_is_allowed_reads_files_or_changes_anything_else():
    names = {name for name in ATEN | IN_PLACE if hasattr(torch.ops.aten, name)}
    assert len(names) > 150 and VIEWS <= ATEN
    for name in names:
        for overload in getattr(torch.ops.aten, name).overloads():
            try:
                _, call = operator_of(f"torch.ops.aten.{name}.{overload}", "it")
            except SettingError:
                continue
            words = {argument.name for argument in call._schema.arguments if "str" in str(argument.type)}
            writes = [a.name for a in call._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
            assert writes == (["self"] if name in IN_PLACE else []) or writes == ["input"]
            assert words <= {"padding", "mode", "equation", "approximate", "rounding_mode", "indexing"}, call


def test_a_program_cannot_change_its_weights_or_its_rows(tmp_path, small):
    def change(module):
        node = next(node for node in module["graph"]["nodes"] if "relu_" in node["target"])
        node["inputs"][0]["arg"]["as_tensor"]["name"] = "p_0_weight"

    refused(tampered(small, in_program(change), tmp_path), "changes its own weights or input")


def test_an_archive_cannot_grow_when_it_is_read(tmp_path, small):
    def long(names, parts):
        parts[names["data/weights/weight_0"]] = bytes(10**7)

    path = tampered(small, long, tmp_path, zipfile.ZIP_DEFLATED)
    refused(path, "its parts are compressed or lie over one another")

    def shape(names, parts):
        listed = names["data/weights/model_weights_config.json"]
        text = parts[listed].decode().replace('"sizes": [{"as_int": 4}, ', '"sizes": [{"as_int": 4000000000}, ')
        assert text != parts[listed].decode()
        parts[listed] = text.encode()

    refused(tampered(small, shape, tmp_path), "has fewer numbers than it says")


def test_damaged_files_are_refused_in_one_line(tmp_path, small):
    whole = Path(small).read_bytes()
    for kept in (0, 4, len(whole) // 3, len(whole) - 30):
        (tmp_path / "cut.pt2").write_bytes(whole[:kept])
        refused(str(tmp_path / "cut.pt2"), "damaged")
    for name in ("models/model.json", "data/weights/weight_4"):
        place = whole.find(PlainArchive(small, "it").read(name))
        changed = bytearray(whole)
        changed[place + 40] ^= 255
        (tmp_path / "flipped.pt2").write_bytes(bytes(changed))
        refused(str(tmp_path / "flipped.pt2"), "damaged")

    def nan(names, parts):
        parts[names["data/weights/weight_0"]] = b"\xff" * len(parts[names["data/weights/weight_0"]])

    refused(tampered(small, nan, tmp_path), "0.weight holds numbers that are not finite")


def test_any_part_of_the_description_may_be_wrong(tmp_path, small):
    """Each key taken away, each value made another: an error of one line, or a teacher that still answers."""
    with zipfile.ZipFile(small) as file:
        name = next(part for part in file.namelist() if part.endswith("models/model.json"))
        program = json.loads(file.read(name))

    def places(value, path=()):
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            yield (*path, key)
            yield from places(value[key], (*path, key))

    found = [path for path in places(program) if "metadata" not in path and "module_call_graph" not in path]
    tried = found[:: max(1, len(found) // 40)]
    for path in tried:
        for new in (None, "x", -1, []):
            copy = json.loads(json.dumps(program))
            inner = copy
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = new

            def change(names, parts, copy=copy):
                parts[names["models/model.json"]] = json.dumps(copy).encode()

            try:
                read_teacher(tampered(small, change, tmp_path))
            except SettingError as error:
                assert "\n" not in str(error), path
