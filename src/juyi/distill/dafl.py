"""DAFL: a generator makes rows on which a teacher is sure, and a student learns its answers on them."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from juyi.augmentation.views import View
from juyi.data.domain import Domain
from juyi.distill.base import Distiller
from juyi.distill.generators import GENERATORS, build_generator
from juyi.distill.memory import Memory
from juyi.distill.statistics import KeptStatistics
from juyi.distill.teacher import Teacher
from juyi.losses.distillation import correlation_loss, soft_loss
from juyi.nets import Network
from juyi.training import Rows, Stage, StageGenerator, Step, Steps, Turn, hyperparameter, redeclare

SHOWN = 1_000
"""How many rows are kept to be looked at."""


def one_hot_loss(scores: Tensor) -> Tensor:
    """Return mean CE(z, argmax z): small where the teacher is sure (equation 2).

    Args:
        scores: z, the teacher's, N×C.

    Example:
        >>> round(one_hot_loss(torch.zeros(4, 10)).item(), 4)  # ln 10
        2.3026
    """
    loss: Tensor = cross_entropy(scores.float(), scores.argmax(1))
    return loss


def activation_loss(features: Tensor) -> Tensor:
    """Return −mean |f| over rows and features: rows of the kind that a teacher was trained on excite it (equation 3).

    The paper sums over the features; the mean, which is that of its program, does not hang on their number.

    Args:
        features: f, what the teacher's last layer is given, N×d.

    Example:
        >>> activation_loss(torch.tensor([[1.0, -3.0]])).item()
        -2.0
    """
    return -features.float().abs().mean()


def entropy_loss(scores: Tensor) -> Tensor:
    """Return Σ_k p̄_k log p̄_k, p̄ = mean softmax(z) over the batch: −log C where the classes are balanced (equation 4).

    With the natural logarithm.  The paper's program takes that to base 10, so its weight of 5 is 5 / ln 10 = 2.17 here.

    Args:
        scores: z, the teacher's, N×C.

    Example:
        >>> round(entropy_loss(torch.eye(10)).item(), 4)
        -2.3026
    """
    mean = scores.float().softmax(1).mean(0)
    loss: Tensor = (mean * mean.clamp(min=1e-12).log()).sum()  # the gradient of a class that never comes is finite
    return loss


def absolute_gap(student: Tensor, teacher: Tensor) -> Tensor:
    """Return mean |z − v| of the scores of student and teacher, N×C: Fang et al. 2019, equation 4.

    Example:
        >>> absolute_gap(torch.zeros(1, 2), torch.tensor([[1.0, -3.0]])).item()
        2.0
    """
    return (student.float() - teacher.float()).abs().mean()


class DAFL(Distiller):
    """Data-free learning: a generator takes the place of the data.

    In a step the generator makes rows x = G(z), z ~ N(0, I).  With the teacher's scores v, its features f and the
    student's scores s of them, the generator descends

        w_o mean CE(v, argmax v) − w_a mean |f| + w_e Σ p̄ log p̄ − w_d D(s, v) + w_b Σ_layers KL(batch ‖ kept)

    with D = mean KL(softmax(v) ‖ softmax(s)), or mean |s − v|.  The student descends, on these rows and on remembered
    ones, the correlation loss of s and v (`juyi.losses.distillation.correlation_loss`), or D, then with a temperature.
    The paper has the first three parts alone, D for the student, 24,000 steps of 512 rows, one update of the student
    in a step, no memory, and no views.  The defaults are what a CPU can do: the fourth part too, by which the student
    meets what it does not know yet, six updates a step, remembered rows being warped, and 3,000 steps of 64 rows.  A
    generator settles on what it has found, so after a part of the steps a new one takes its place, `generators` in
    all; what earlier ones made stays in the memory, and the student's learning rate falls anew with each.  `dfad` is
    the fourth part alone, `dfq` all but the second.

    Source: Chen et al., "Data-Free Learning of Student Networks", ICCV 2019, equations 2-6.  The memory of past rows
    is that of Fang et al., "Contrastive Model Inversion for Data-Free Knowledge Distillation", IJCAI 2021.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> teacher = juyi.adapt.SourceOnly(net="lenet5", epochs=1).fit(digits)
        >>> method = DAFL(teacher=teacher, student="lenet5_half", epochs=1, epoch_steps=2, batch=16).fit()
        >>> method.predict(digits).shape, method.impressions_.x.shape
        ((256,), (32, 1, 28, 28))
    """

    looks_inside: ClassVar[bool] = True
    takes_data: ClassVar[bool] = False
    batch_coupled: ClassVar[str | None] = "the generator's batch norm and the balance of classes see one process's rows"

    quick: ClassVar[dict[str, Any]] = {"epoch_steps": 10, "student_turns": 1}

    epochs: int | None = redeclare(Distiller, "epochs", default=25)
    batch: int = redeclare(Distiller, "batch", default=64)
    learning_rate: float = redeclare(Distiller, "learning_rate", default=6e-3)
    augment: str = redeclare(Distiller, "augment", default="warped")
    average: float = redeclare(Distiller, "average", default=0.99)
    one_hot: float = hyperparameter(
        default=1.0, help="weight of the teacher being sure", low=0.0, high=1e4, source="the program's, for MNIST"
    )
    activation: float = hyperparameter(
        default=0.1, help="weight of the teacher's features being large", low=0.0, high=1e4,
        source="the program's, for MNIST",
    )  # fmt: skip
    entropy: float = hyperparameter(
        default=2.17, help="weight of balanced classes; the program's 5, with its logarithm to base 10",
        low=0.0, high=1e4, source="the program's, for MNIST",
    )  # fmt: skip
    adversarial: float = hyperparameter(
        default=1.0, help="weight of rows on which student and teacher disagree; the paper has none (0)",
        low=0.0, high=1e4,
    )  # fmt: skip
    statistics: float = hyperparameter(
        default=0.0, help="weight of the statistics that the teacher's batch norm keeps", low=0.0, high=1e4
    )
    gap: str = hyperparameter(
        default="kl", help="D, that the generator makes large: kl (of probabilities) or absolute (of scores)",
        choices=("kl", "absolute"),
    )  # fmt: skip
    student_loss: str = hyperparameter(
        default="dist", help="what the student makes small: dist (of correlations) or gap (D, as in the paper)",
        choices=("dist", "gap"),
    )  # fmt: skip
    temperature: float = hyperparameter(
        default=20.0, help="T of the student's loss; the paper's is 1, as the generator's is here",
        low=1e-6, high=1_000.0,
    )  # fmt: skip
    generator: str = hyperparameter(
        default="small", help="small (at the data's own size, 75 times cheaper) or paper", choices=GENERATORS
    )
    generators: int = hyperparameter(
        default=5, help="how many, one after the other, share the epochs; the paper has 1", low=1, high=1_000
    )
    latent: int = hyperparameter(default=100, help="noise values a row", low=1, high=65_536, source="section 4.1")
    generator_rate: float = hyperparameter(
        default=1e-3, help="learning rate of the generator; the program's is .2", low=0.0, high=10.0
    )
    student_turns: int = hyperparameter(
        default=6, help="updates of the student in a step; the paper's is 1", low=1, high=1_000
    )
    memory: int = hyperparameter(
        default=20_000, help="how many past rows are remembered; 0 for none, as in the paper", low=0, high=10_000_000
    )
    remembered: float = hyperparameter(
        default=0.5, help="share of remembered rows in a student's batch", low=0.0, high=1.0
    )
    epoch_steps: int = hyperparameter(
        default=120, help="steps that count as an epoch", low=1, high=1_000_000, source="the program's"
    )

    def check_data(self, data: Domain | None, teacher: Teacher) -> None:
        """Raise an error also if statistics are to be matched, and the teacher keeps none."""
        super().check_data(data, teacher)
        if self.statistics:
            KeptStatistics(teacher)

    def stages(self, teacher: Teacher, student: Network, data: Rows | None) -> StageGenerator:
        """A stage for each generator: its turn, and the student's on what it made and what is remembered."""
        device = teacher.device
        memory = Memory(self.memory or 1, teacher.shape, device)
        shown = Memory(SHOWN, teacher.shape, device)
        kept = KeptStatistics(teacher) if self.statistics else None
        view = self.view()
        made: list[Tensor] = []  # the rows of this step: they are made once for both turns
        generator = build_generator(self.generator, teacher, self.latent)

        def make(batch: None, progress: float) -> dict[str, Tensor]:
            x = generator.make(self.batch)
            made[:] = [x.detach()]
            if self.memory:
                memory.add(made[0])
            return self.generator_losses(x, teacher, student, kept)

        def imitate(batch: None, progress: float) -> dict[str, Tensor]:
            x = self.mix(made[0], memory, view)
            with torch.no_grad():
                said = teacher.scores(x)
            return {"imitation": self.imitation(student(x), said)}

        def show() -> None:
            with torch.no_grad():
                rows = memory.rows() if self.memory else generator.eval().make(SHOWN)
            shown.add(rows[torch.randperm(len(rows), device=device)[:SHOWN]])

        faster = self.recipe(kind="adam", learning_rate=self.generator_rate, momentum=0.5, weight_decay=0.0)
        batches = Steps(self.epoch_steps)
        epochs = self.passes(batches, self.epochs)
        count = min(self.generators, epochs)
        for number in range(count):
            if number:
                generator = build_generator(self.generator, teacher, self.latent)
            turns = [Turn(make, trains=[generator], optimiser=faster)]
            turns += [Turn(imitate, trains=[student], optimiser=self.recipe())] * self.student_turns
            some = epochs * (number + 1) // count - epochs * number // count
            yield Stage(f"make and imitate {number + 1} of {count}", batches, turns, some, keeps=[memory])
        yield Step("show", show, keeps=[shown])
        self.impressions_, scores = shown.told_by(teacher, "generated")
        self.impression_scores_ = scores.cpu().numpy()
        return student

    def generator_losses(
        self, x: Tensor, teacher: Teacher, student: Network, kept: KeptStatistics | None = None
    ) -> dict[str, Tensor]:
        """Return what the generator descends, for raw rows x that it made: the parts whose weights are not 0."""
        gaps: list[Tensor] = []
        with kept.watched(gaps) if kept else contextlib.nullcontext():
            scores, features = teacher.look(x)
        found: dict[str, Tensor] = {}
        if self.one_hot:
            found["one_hot"] = self.one_hot * one_hot_loss(scores)
        if self.activation:
            found["activation"] = self.activation * activation_loss(features)
        if self.entropy:
            found["entropy"] = self.entropy * entropy_loss(scores)
        if self.adversarial:
            found["adversarial"] = -self.adversarial * self.disagreement(student(x), scores)
        if self.statistics:
            found["statistics"] = self.statistics * torch.stack(gaps).sum()
        return found or {"none": 0.0 * x.mean()}  # without any loss it stays as it began

    def imitation(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return what the student makes small, of its scores and the teacher's, N×C."""
        if self.student_loss == "dist":
            return correlation_loss(student, teacher, self.temperature)
        return self.disagreement(student, teacher, self.temperature)

    def disagreement(self, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """Return D of the scores of student and teacher, N×C: what the generator makes large."""
        return absolute_gap(student, teacher) if self.gap == "absolute" else soft_loss(student, teacher, temperature)

    def mix(self, made: Tensor, memory: Memory, view: View | None = None) -> Tensor:
        """Return a student's batch: rows that were just made, and the share of remembered ones, these seen anew.

        What was just made stays as it is: of rows that the student never saw unchanged, it never would learn what the
        generator found, which then would go ever further.
        """
        old = round(self.remembered * len(made)) if memory.added > len(made) and self.memory else 0
        if not old:
            return made
        new = made[torch.randperm(len(made), device=made.device)[: len(made) - old]]
        remembered = memory.draw(old)
        return torch.cat([new, view(remembered) if view else remembered])
