"""Networks of the Hugging Face hub: made here, small and at random, as save_pretrained writes them."""

import builtins
import copy
import json

import pytest
import torch
from hub_models import prepared, saved

from juyi.errors import ForeignFileError, SettingError
from juyi.nets import DomainBatchNorm, Inputs, build_network, rebuild_hub
from juyi.runs.files import write_tensors
from juyi.training import read_model, write_model

pytest.importorskip("transformers")
LAYERS = {"batch_norm": "domain", "standardise": "image"}


def images(side=32, channels=3, rows=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (rows, channels, side, side), dtype=torch.uint8, generator=generator)


def own_features(kind, model, pixels):
    """What each model's own documentation calls the features that its classifier takes."""
    base = model if kind == "dinov3_vit" else getattr(model, model.base_model_prefix)
    found = base(pixel_values=pixels)
    if kind == "vit":
        return found.last_hidden_state[:, 0]
    if kind == "dinov2":
        return torch.cat([found.last_hidden_state[:, 0], found.last_hidden_state[:, 1:].mean(1)], 1)
    return found.pooler_output.flatten(1)


@pytest.mark.parametrize("kind", ["resnet", "vit", "convnext", "mobilenet_v2", "swin", "dinov2", "dinov3_vit"])
def test_features_are_the_models_own_on_the_same_pixels_and_come_back_from_a_file(tmp_path, kind, capsys):
    side = 28 if kind == "dinov2" else 32
    whole = kind != "dinov3_vit"  # which has no classifier in the library
    model = saved(tmp_path / "given", kind, size=side, whole=whole)
    capsys.readouterr()
    x = images(side)
    net = build_network(str(tmp_path / "given"), x, 5, **LAYERS).eval()
    assert capsys.readouterr() == ("", "")
    with torch.no_grad():
        expected = own_features(kind, model, prepared(x))
        torch.testing.assert_close(net.features(x), expected, atol=1e-5, rtol=1e-4)
        assert expected.std() > 0.01 and net.head.weight.shape == (5, expected.shape[1])
        before = net.eval()(x)
    assert f"hub network {kind}: scaled as it was trained, head new, {net.width}→5" == net.notes[0]
    write_model(tmp_path, "m", net, (3, side, side), list("abcde"), LAYERS)
    state = torch.get_rng_state()
    read, _ = read_model(tmp_path, "m")
    assert torch.equal(state, torch.get_rng_state())
    torch.testing.assert_close(read(x), before, atol=1e-5, rtol=1e-5)
    assert read.name == str(tmp_path / "given") and read.hub == net.hub


def test_grey_and_small_images_are_fitted_and_it_is_said(tmp_path):
    model = saved(tmp_path, "vit", size=32)
    net = build_network(str(tmp_path), images(28, 1), 5).eval()
    assert net.notes == (
        "hub network vit: grey repeated to 3 channels, resized 28×28→32×32, scaled as it was trained, head new, 16→5",
    )
    x = images(28, 1, seed=1)
    pixels = torch.nn.functional.interpolate(prepared(x.expand(-1, 3, -1, -1)), (32, 32), mode="bilinear")
    torch.testing.assert_close(net.features(x), own_features("vit", model, pixels), atol=1e-5, rtol=1e-4)


def test_large_images_are_made_smaller_as_pillow_does_it(tmp_path):
    import numpy as np
    from PIL import Image

    saved(tmp_path, "vit", size=32)
    x = images(80, 3, rows=1)
    found = build_network(str(tmp_path), x, 5).standardise(x)
    pillow = Image.fromarray(x[0].permute(1, 2, 0).numpy()).resize((32, 32), Image.Resampling.BILINEAR)
    expected = prepared(torch.from_numpy(np.asarray(pillow).copy()).permute(2, 0, 1)[None])
    assert (found - expected).abs().max() < 0.02  # Pillow rounds to whole grey levels: 1 / 255 / 0.22


def test_without_a_word_on_scale_and_size_the_datas_own_and_what_the_strides_need(tmp_path):
    saved(tmp_path, "resnet")
    x = images(12, 1, rows=9)
    net = build_network(str(tmp_path), x, 5)
    assert "resized 12×12→32×32, scaled by the source's mean and spread" in net.notes[0]
    standardised = net.standardise.scale(x.expand(-1, 3, -1, -1))
    assert abs(standardised.mean()) < 1e-4 and abs(standardised.std(correction=0) - 1) < 1e-4


PREPARED = {
    "rescaled only": ({"do_rescale": True, "do_normalize": False}, lambda x: x / 255),
    "from -1 to 1": (
        {"do_rescale": True, "rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False},
        lambda x: x / 127.5 - 1,
    ),
    "older files": ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": 32}, lambda x: (x / 255 - 0.5) / 0.25),
    "not rescaled": (
        {"do_rescale": False, "image_mean": [100, 110, 120], "image_std": 50},
        lambda x: (x - torch.tensor([100, 110, 120]).view(1, 3, 1, 1)) / 50,
    ),
    "blue first": (
        {"do_rescale": True, "do_normalize": False, "do_flip_channel_order": True},
        lambda x: x.flip(1) / 255,
    ),
}


@pytest.mark.parametrize("how", PREPARED)
def test_how_pixels_were_prepared_is_read_from_the_file(tmp_path, how):
    content, reference = PREPARED[how]
    saved(tmp_path, "resnet")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    x = images()
    net = build_network(str(tmp_path), x, 5)
    torch.testing.assert_close(net.standardise(x), reference(x.float()), atol=1e-5, rtol=1e-5)
    assert isinstance(net.standardise, Inputs)
    torch.testing.assert_close(rebuild_hub(net.hub, 5, "f").standardise.reverse, net.standardise.reverse)


def test_the_crop_is_the_size_that_it_was_trained_on(tmp_path):
    saved(tmp_path, "convnext")
    content = {"size": {"shortest_edge": 73}, "crop_size": {"height": 64, "width": 64}, "do_rescale": True}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(content))
    assert build_network(str(tmp_path), images(), 5).hub["size"] == [64, 64]


def test_batch_norm_by_domain_and_layer_norm_left_alone(tmp_path):
    saved(tmp_path / "r", "resnet", size=32)
    saved(tmp_path / "v", "vit", size=32)
    x = images()
    shared, domain = (build_network(str(tmp_path / "r"), x, 5, batch_norm=kind) for kind in ("shared", "domain"))
    assert not any(isinstance(layer, DomainBatchNorm) for layer in shared.modules())
    assert domain.notes[1] == "batch norm: statistics of source and target apart in 6 layers"
    torch.testing.assert_close(domain.eval().features(x), shared.eval().features(x))
    assert len(build_network(str(tmp_path / "v"), x, 5, batch_norm="domain").notes) == 1


def test_a_fine_tuned_file_of_weights_fits_by_its_own_names(tmp_path):
    saved(tmp_path / "a", "resnet", size=32)
    other = saved(tmp_path / "b", "resnet", size=32, seed=5)
    path = str(tmp_path / "b" / "model.safetensors")
    net = build_network(str(tmp_path / "a"), images(), 7, batch_norm="domain", weights=path).eval()
    with torch.no_grad():
        torch.testing.assert_close(net(images()), other(prepared(images())).logits, atol=1e-5, rtol=1e-4)
    assert "but not the head" in build_network(str(tmp_path / "a"), images(), 5, weights=path).notes[-1]


def test_a_folder_without_a_classifier_has_its_weights_and_half_a_model_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    saved(tmp_path, "vit", whole=False)  # a pooler besides, and no classifier
    assert build_network(str(tmp_path), images(), 5).width == 16
    stored = load_file(tmp_path / "model.safetensors")
    first = next(name for name in stored if "layer" in name and name.endswith("weight"))
    save_file({k: v for k, v in stored.items() if k != first}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(SettingError, match=r"its files lack .*; give a folder with all its weights"):
        build_network(str(tmp_path), images(), 5)


def test_code_and_pickles_in_a_folder_are_not_touched(tmp_path):
    saved(tmp_path, "vit", size=32)
    path = tmp_path / "config.json"
    bait = {"auto_map": {"AutoConfig": "evil.Config", "AutoModelForImageClassification": "evil.Model"}}
    bait |= {
        "attn_implementation": "evil/kernel",
        "_attn_implementation": "evil/kernel",
        "quantization_config": {"a": 1},
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), **bait}))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    net = build_network(str(tmp_path), images(), 5)
    assert not (tmp_path / "ran").exists()
    assert not any(word in json.dumps(net.hub) for word in ("evil", "auto_map", "attn_impl", "quanti"))
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(SettingError, match=r"holds no safetensors \(pickles are not read\)"):
        build_network(str(tmp_path), images(), 5)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"model_type": "no-such-kind"}, "no-such-kind is no network for images|its config.json cannot be used"),
        ({"model_type": "bert"}, "bert is no network for images"),
        ({"model_type": "vit_mae"}, "vit_mae is no network for images"),
        ({"model_type": None}, "names no model_type"),
        ({"hidden_size": "many"}, "cannot be used"),
        ({"hidden_size": 32}, "its weights cannot be read"),
    ],
)
def test_a_configuration_that_cannot_be_used(tmp_path, change, words):
    saved(tmp_path, "vit", size=32)
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(SettingError, match=words) as caught:
        build_network(str(tmp_path), images(), 5)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_none_and_data_that_are_none(tmp_path):
    with pytest.raises(SettingError, match=r"is a folder without config\.json"):
        build_network(str(tmp_path), images(), 5)
    with pytest.raises(SettingError, match="is a network for images, but the data are features"):
        build_network(str(tmp_path), torch.randn(4, 3), 5)


def test_a_name_is_fetched_without_code_or_pickles(tmp_path, monkeypatch):
    import huggingface_hub

    saved(tmp_path, "vit", size=32)
    asked = []
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **options: asked.append((name, options)) or str(tmp_path)
    )
    net = build_network("hub/someone/vit-tiny", images(), 5)
    assert net.name == "hub/someone/vit-tiny"
    ((name, options),) = asked
    assert name == "someone/vit-tiny"
    assert all(pattern.endswith((".json", ".safetensors")) for pattern in options["allow_patterns"])

    def fails(name, **options):
        raise OSError("no\nnetwork")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(SettingError, match=r"hub/a/b: cannot be fetched \(no network\); check the name"):
        build_network("hub/a/b", images(), 5)


def test_without_the_extra_it_is_said_how_to_install_it(tmp_path, monkeypatch):
    saved(tmp_path, "vit", size=32)
    hub = build_network(str(tmp_path), images(), 5).hub
    real = builtins.__import__

    def absent(name, *rest, **options):
        if name.split(".")[0] in ("transformers", "huggingface_hub"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    for call in (
        lambda: build_network(str(tmp_path), images(), 5),
        lambda: build_network("hub/a/b", images(), 5),
        lambda: rebuild_hub(hub, 5, "m.json"),
    ):
        with pytest.raises(
            SettingError, match=r"needs the transformers library; install it with: pip install 'juyi\[hub"
        ):
            call()


def put(*path, value):
    def change(description):
        place = description
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


TAMPERED = {
    "another kind": put("hub", "model_type", value="bert"),
    "a kind that is none": put("hub", "model_type", value="os"),
    "a kind that is no word": put("hub", "model_type", value=["vit"]),
    "code": put("hub", "config", "auto_map", value={"AutoModel": "evil.Model"}),
    "a kernel": put("hub", "config", "attn_implementation", value="evil/kernel"),
    "a kernel below": put("hub", "config", "more", value={"_attn_implementation": "evil/kernel"}),
    "a setting that is none": put("hub", "config", "more", value=1),
    "a petabyte": put("hub", "config", "hidden_size", value=10**7),
    "a number without end": put("hub", "config", "hidden_size", value=10**30),
    "endless layers": put("hub", "config", "num_hidden_layers", value=10**6),
    "other layers": put("hub", "config", "num_hidden_layers", value=3),
    "no layers": put("hub", "config", "num_hidden_layers", value=-1),
    "words for numbers": put("hub", "config", "patch_size", value="__import__('os')"),
    "an activation that is none": put("hub", "config", "hidden_act", value="os.system"),
    "another head": put("hub", "head", value="vit.encoder"),
    "no head": put("hub", "head", value=None),
    "another width": put("hub", "width", value=17),
    "features that are none": put("hub", "features", value="eval"),
    "a huge size": put("hub", "size", value=[10**9, 10**9]),
    "three sizes": put("hub", "size", value=[32, 32, 32]),
    "no channels": put("hub", "channels", value=0),
    "another number of channels": put("hub", "channels", value=4),
    "more entries": put("hub", "more", value=1),
    "no table": put("hub", value="vit"),
    "no configuration": put("hub", "config", value=[1]),
    "nothing": put("hub", value=None),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    saved(folder / "given", "vit", size=32)
    net = build_network(str(folder / "given"), images(), 5, **LAYERS)
    write_model(folder, "m", net, (3, 32, 32), list("abcde"), LAYERS)
    return folder


@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_description_is_refused_and_runs_nothing(written, tmp_path, monkeypatch, what):
    description = json.loads((written / "m.json").read_text())
    TAMPERED[what](description)
    (tmp_path / "m.json").write_text(json.dumps(description))
    (tmp_path / "m.safetensors").write_bytes((written / "m.safetensors").read_bytes())
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ForeignFileError) as caught:
        read_model(tmp_path, "m")
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_weights_that_do_not_fit_are_refused_before_memory_is_taken(written, tmp_path):
    (tmp_path / "m.json").write_text((written / "m.json").read_text())
    net, _ = read_model(written, "m")
    tensors = copy.deepcopy(net.state_dict())
    first = next(name for name in tensors if name.startswith("body."))
    write_tensors(tmp_path / "m.safetensors", {k: v for k, v in tensors.items() if k != first}, {"model": "m"})
    with pytest.raises(ForeignFileError, match=f"does not fit its description .it lacks {first}"):
        read_model(tmp_path, "m")
