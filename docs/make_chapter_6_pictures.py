"""Draw the pictures of chapter 6: from_noise, made_images, related_classes and perturbed, all in docs/pictures.

    python docs/make_chapter_6_pictures.py

A teacher is trained on the built-in `digits`; all else is made from the teacher alone, but the first row of
`made_images.png` and the images that `perturbed.png` perturbs, which are real ones, to compare with.  matplotlib is in
the extra `development`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

import juyi
from juyi.distill import AAA, DAFL, ZSKD, ClassImpressions, Distiller
from juyi.distill.zskd import class_similarity, concentrations, draw_answers

PLACE = Path(__file__).parent / "pictures"
BLUE, RED, INK, PAPER = "#2a63b8", "#cf3f36", "#222222", "#ffffff"
SETTINGS = {"precision": "float32", "random_state": 0}
STEPS = (1, 4, 8, 16, 32, 64)
"""After how many steps an impression is shown."""


def trained() -> juyi.adapt.SourceOnly:
    """Train the teacher."""
    method = juyi.adapt.SourceOnly(net="lenet5", epochs=5, standardise="source", **SETTINGS)
    return method.fit(juyi.load("digits@train"))


def made_by(method: type[Distiller], teacher: juyi.adapt.SourceOnly, **settings: object) -> Distiller:
    """Let a method make its rows, and a student that learns next to nothing from them."""
    return method(teacher=teacher, student="lenet5_half", epochs=1, **SETTINGS, **settings).fit()


def one_a_class(images: np.ndarray, said: np.ndarray) -> list[np.ndarray | None]:
    """The first image of each class; none where there is none."""
    found = [np.flatnonzero(said == code) for code in range(10)]
    return [images[rows[0], 0] if len(rows) else None for rows in found]


def draw_from_noise(teacher: juyi.adapt.SourceOnly, place: Path) -> None:
    """Draw class impressions of some classes after more and more steps, with how sure the teacher is."""
    pictures, sure = [], []
    for steps in STEPS:
        made = made_by(ClassImpressions, teacher, impressions=10, at_once=10, steps=steps, least_sure=0.99)
        p = torch.from_numpy(teacher.scores(made.impressions_)).softmax(1).numpy()
        pictures.append(made.impressions_.x[:, 0])
        sure.append(p[np.arange(10), np.arange(10)])  # row k is drawn for class k
    shown = (0, 3, 4, 7)
    drawing, axes = pyplot.subplots(len(shown), len(STEPS), figsize=(6.4, 4.7), dpi=110, facecolor=PAPER)
    for line, code in zip(axes, shown, strict=True):
        for axis, images, confidence in zip(line, pictures, sure, strict=True):
            axis.imshow(images[code], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_axis_off()
            axis.text(0.5, -0.14, f"{confidence[code]:.2f}", transform=axis.transAxes, ha="center", va="center")
        line[0].text(-0.2, 0.5, f"for {code}", transform=line[0].transAxes, ha="right", va="center")
    for axis, steps in zip(axes[0], STEPS, strict=True):
        axis.set_title(f"{steps} step{'s' if steps > 1 else ''}", fontsize=9)
    drawing.subplots_adjust(left=0.1, right=0.99, top=0.94, bottom=0.05, wspace=0.08, hspace=0.25)
    save(drawing, place)


def draw_made_images(teacher: juyi.adapt.SourceOnly, place: Path) -> None:
    """Draw an image of each class: real, noise, and what the methods make."""
    real = juyi.load("digits@test")
    noise = np.random.default_rng(0).integers(0, 256, (10, 1, 28, 28), dtype=np.uint8)
    rows = {"real": one_a_class(real.x, real.y), "noise": [image[0] for image in noise]}
    makers = {
        "class impressions": (ClassImpressions, {"impressions": 100}),
        "data impressions (zskd)": (ZSKD, {"impressions": 200}),
        "generated (dafl)": (DAFL, {"epoch_steps": 150}),
    }
    for name, (method, settings) in makers.items():
        made = made_by(method, teacher, **settings).impressions_
        rows[name] = one_a_class(made.x, made.y)
    drawing, axes = pyplot.subplots(len(rows), 10, figsize=(8.4, 3.6), dpi=110, facecolor=PAPER)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(line, images, strict=True):
            if image is not None:
                axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_axis_off()
        line[0].text(-0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center")
    for code, axis in enumerate(axes[0]):
        axis.set_title(str(code), fontsize=9)
    drawing.subplots_adjust(left=0.2, right=0.995, top=0.93, bottom=0.01, wspace=0.08, hspace=0.08)
    save(drawing, place)


def draw_related_classes(teacher: juyi.adapt.SourceOnly, place: Path) -> None:
    """Draw how alike classes are by the last layer, and soft answers that are drawn from that for one class."""
    similarity = class_similarity(juyi.distill.teachers.as_teacher(teacher).last.weight.detach())
    drawing, (left, *others) = pyplot.subplots(
        1, 3, figsize=(8.4, 2.8), dpi=110, facecolor=PAPER, gridspec_kw={"width_ratios": (1, 1.2, 1.2)}
    )
    left.imshow(similarity, cmap="RdBu_r", vmin=-1, vmax=1)
    left.set(xticks=range(10), yticks=range(10), title="how alike two classes are")
    left.tick_params(length=0)
    code, count = 4, 5
    for axis, scale in zip(others, (1.0, 0.1), strict=True):
        torch.manual_seed(0)
        answers = draw_answers(concentrations(similarity, scale)[code].repeat(count, 1)).numpy()
        for place_of, answer in enumerate(answers):
            axis.bar(
                np.arange(10) + (place_of - count / 2) * 0.15,
                answer,
                width=0.15,
                color=BLUE,
                alpha=0.35 + 0.15 * place_of,
            )
        axis.set(xticks=range(10), ylim=(0, 1), yticks=(0, 0.5, 1), title=f"five answers for a {code}, β = {scale:g}")
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(length=0)
    drawing.tight_layout()
    save(drawing, place)


def draw_perturbed(teacher: juyi.adapt.SourceOnly, place: Path) -> None:
    """Draw images, the perturbation, and the images with it, each with the teacher's answer."""
    attack = AAA(teacher=teacher, epsilon=0.3, epochs=60, batch=50, impressions=200, **SETTINGS).fit()
    test = juyi.load("digits@test")
    some = test.select(np.array([int(np.flatnonzero(test.y == code)[0]) for code in range(8)]))
    found = attack.fooling_rate(test)
    print(f"fooling rate {found.rate:.3f}, random signs {np.mean(found.random):.3f}")
    before, after = teacher.predict(some), attack.predict(some)
    pictures = (some.x[:, 0], attack.perturb(some)[:, 0])
    drawing, axes = pyplot.subplots(2, 9, figsize=(8.4, 2.3), dpi=110, facecolor=PAPER)
    axes[0, 0].set_axis_off()
    axes[1, 0].imshow(attack.perturbations_[0, 0], cmap="gray", interpolation="nearest")
    axes[1, 0].set_axis_off()
    axes[1, 0].set_title("added", fontsize=9)
    for line, images, said in zip(axes, pictures, (before, after), strict=True):
        for axis, image, answer, first in zip(line[1:], images, said, before, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_axis_off()
            axis.set_title(str(answer), fontsize=9, color=INK if answer == first else RED)
    drawing.subplots_adjust(left=0.01, right=0.99, top=0.9, bottom=0.02, wspace=0.08, hspace=0.25)
    save(drawing, place)


def save(drawing: pyplot.Figure, place: Path) -> None:
    """Write a PNG file with a white background."""
    place.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(place, facecolor=PAPER, metadata={"Software": ""}, pil_kwargs={"optimize": True})
    pyplot.close(drawing)
    print(place)


if __name__ == "__main__":
    pyplot.rcParams.update({"font.size": 9, "text.color": INK, "axes.titlesize": 9, "font.family": "DejaVu Sans"})
    model = trained()
    draw_from_noise(model, PLACE / "from_noise.png")
    draw_made_images(model, PLACE / "made_images.png")
    draw_related_classes(model, PLACE / "related_classes.png")
    draw_perturbed(model, PLACE / "perturbed.png")
