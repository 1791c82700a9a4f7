"""One change of every row: its losses, its generator, a teacher that is perturbed, and how often that is fooled."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, interpolate, leaky_relu, log_softmax

from juyi.distill.teacher import Teacher
from juyi.nets import TARGET, Network, mlp
from juyi.training import Batch


def fooling_loss(scores: Tensor, clean: Tensor) -> Tensor:
    """Return mean −log(1 − q_c), q = softmax of the perturbed rows' scores, c what is said of the clean ones.

    1 − q_c is summed over the other classes, so that the gradient lives on where q_c rounds to 1.

    Args:
        scores: of perturbed rows, N×C.
        clean: c, N, int64.

    Source: Mopuri, Uppala and Babu, "Ask, Acquire, and Attack: Data-free UAP Generation using Class Impressions",
    ECCV 2018, section 3.2.

    Example:
        >>> round(fooling_loss(torch.zeros(1, 4), torch.tensor([2])).item(), 4)  # -log(3 / 4)
        0.2877
    """
    logs = log_softmax(scores.float(), 1)
    said = torch.zeros_like(logs, dtype=torch.bool).scatter_(1, clean.unsqueeze(1), True)
    return -logs.masked_fill(said, -torch.inf).logsumexp(1).mean()


def diversity_loss(features: Tensor, others: Tensor) -> Tensor:
    """Return minus the mean cosine distance, −mean(1 − cos(f_n, f_n′)), of the same rows perturbed in two ways, N×d.

    >>> diversity_loss(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 1.0]])).item()
    -0.5
    """
    return cosine_similarity(features.float(), others.float(), dim=1).mean() - 1


@dataclass(frozen=True)
class Fooling:
    """How often an answer changes.

    Attributes:
        rate: share of the rows whose answer the first perturbation changes, 0 to 1.
        low: lower end of Wilson's 95 % interval.
        high: its upper end.
        n: the number of rows.
        each: the rate of each perturbation.
        random: the rate of each of as many random signs of the same size.
    """

    rate: float
    low: float
    high: float
    n: int
    each: tuple[float, ...]
    random: tuple[float, ...]


class PerturbationGenerator(nn.Module):
    """Numbers z to perturbations of size `reach` at most: reach · tanh(g(z)); g looks at one z at a time.

    Args:
        latent: the numbers in z.
        reach: the largest change of each value, of a row's shape or 1 where it is the same (C×1×1).
        shape: of a row, C×H×W or d.
        width: maps of the first convolution, a multiple of 16.
    """

    reach: Tensor

    def __init__(self, latent: int, reach: Tensor, shape: Sequence[int], width: int = 32) -> None:
        super().__init__()
        self.shape, self.latent = tuple(shape), latent
        self.register_buffer("reach", reach)
        self.is_image = len(self.shape) == 3
        if not self.is_image:
            self.parts = nn.ModuleList([mlp(latent, width, self.shape[0])])
            return
        self.start = (width, *(math.ceil(side / 4) for side in self.shape[1:]))
        self.parts = nn.ModuleList(
            [
                nn.Linear(latent, math.prod(self.start)),
                nn.Sequential(nn.GroupNorm(8, width), nn.Conv2d(width, width // 2, 3, padding=1)),
                nn.Sequential(nn.GroupNorm(8, width // 2), nn.Conv2d(width // 2, self.shape[0], 3, padding=1)),
            ]
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return perturbations, N×C×H×W or N×d, of z, N×latent."""
        found = self.parts[0](z)
        if self.is_image:
            found = found.view(-1, *self.start)
            for part in list(self.parts)[1:]:
                found = part(interpolate(leaky_relu(found, 0.2), scale_factor=2))
            found = found[..., : self.shape[1], : self.shape[2]]
        return torch.tanh(found) * self.reach


class Perturbed(Network):
    """A teacher of which every row is perturbed before it answers: by the first of its perturbations.

    Args:
        teacher: it is copied.
        count: how many perturbations there are; at first they are 0.
    """

    perturbations: Tensor

    def __init__(self, teacher: Teacher, count: int) -> None:
        net = copy.deepcopy(teacher.net, {id(teacher): teacher})
        for layer in net.modules():
            layer._forward_hooks.clear()
        own = Teacher(net, teacher.shape, teacher.classes, scale=teacher.scale, probabilities=teacher.probabilities)
        own.net.requires_grad_(True)  # as a network has it whose speed is measured; its weights stay as they are
        width, outputs = own.last.in_features, own.last.out_features
        super().__init__(nn.Identity(), net, nn.Identity(), width, outputs, "perturbed teacher")
        self.asked = own
        self.register_buffer("perturbations", torch.zeros(count, *teacher.shape, device=teacher.device))

    def add(self, x: Tensor, perturbation: Tensor) -> Tensor:
        """Return x + d; of images, within 0 … 255."""
        found = x.float() + perturbation
        return found.clamp(0.0, 255.0) if self.asked.is_image_model else found

    def features(self, x: Tensor, domain: str = TARGET) -> Tensor:
        """Return the features of raw rows, perturbed, N×width."""
        return self.asked.look(self.add(x, self.perturbations[0])).features

    def forward(self, x: Tensor, domain: str = TARGET) -> Tensor:
        """Return what the teacher says of raw rows, perturbed, N×outputs."""
        return self.asked.scores(self.add(x, self.perturbations[0]))


def reach_of(teacher: Teacher, epsilon: float) -> Tensor:
    """Return the largest change of each value: ε 255 of images, C×1×1; of a table 8 ε spreads, d."""
    spread = teacher.scale.spread.to(teacher.device)
    return torch.full_like(spread, 255 * epsilon).view(-1, 1, 1) if teacher.is_image_model else 8 * epsilon * spread


def changed(teacher: Teacher, rows: Batch, perturbed: Tensor) -> Tensor:
    """Return 1.0 for each row whose answer changed against the clean one, else 0.0; N."""
    assert rows.said is not None
    return (teacher.scores(perturbed).argmax(1) != rows.said.argmax(1)).float()
