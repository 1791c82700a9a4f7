"""Small models of `transformers` with random weights, as save_pretrained writes them."""

import json
from pathlib import Path

import torch

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def config(kind, **changes):
    import transformers as t

    small = {"num_labels": 7}
    made = {
        "resnet": lambda: t.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic", **small, **changes
        ),
        "vit": lambda: t.ViTConfig(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=32,
            patch_size=8, **small, **changes,
        ),
        "convnext": lambda: t.ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2, **small, **changes),
        "mobilenet_v2": lambda: t.MobileNetV2Config(depth_multiplier=0.1, depth_divisible_by=4, min_depth=4, **small),
        "swin": lambda: t.SwinConfig(
            image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4, **small
        ),
        "dinov2": lambda: t.Dinov2Config(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14, **small
        ),
        "dinov3_vit": lambda: t.DINOv3ViTConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32,
            patch_size=8,
        ),
        "bert": lambda: t.BertConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=20
        ),
    }  # fmt: skip
    return made[kind]()


def saved(folder, kind, size=None, whole=True, seed=0, **changes):
    """Write a model of a kind; with `size`, also how its images were prepared. Return the model."""
    import transformers as t

    classes = t.AutoModelForImageClassification if whole else t.AutoModel
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = classes.from_config(config(kind, **changes)).eval()
        with torch.no_grad():  # running statistics and scales that are not those of a fresh layer
            for name, value in model.state_dict().items():
                if value.is_floating_point() and value.numel() > 1:
                    value.add_(0.1 * torch.rand_like(value)) if "var" in name else value.add_(
                        0.05 * torch.randn_like(value)
                    )
    model.save_pretrained(folder)
    if size is not None:
        said = {
            "size": {"height": size, "width": size},
            "image_mean": MEAN,
            "image_std": STD,
            "rescale_factor": 1 / 255,
        }
        said |= {"do_resize": True, "do_rescale": True, "do_normalize": True}
        (Path(folder) / "preprocessor_config.json").write_text(json.dumps(said))
    return model


def prepared(x):
    """The pixels as the library prepares them, of N×3×H×W uint8 images that need no resizing."""
    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (MEAN, STD))
    return (x.float() / 255 - mean) / std
