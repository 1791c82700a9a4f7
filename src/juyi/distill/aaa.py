"""AAA: one small change of every image, found without any, that changes what a classifier answers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from juyi.data import as_domain, conform
from juyi.distill.base import Distiller
from juyi.distill.class_impressions import ClassImpressions
from juyi.distill.perturbed import (
    Fooling,
    PerturbationGenerator,
    Perturbed,
    changed,
    diversity_loss,
    fooling_loss,
    reach_of,
)
from juyi.distill.teacher import Teacher
from juyi.errors import SettingError
from juyi.measure import wilson_interval
from juyi.nets import Network
from juyi.training import (
    Batch,
    Rows,
    Single,
    Stage,
    StageGenerator,
    Step,
    Turn,
    compute_rows,
    derive_seed,
    hyperparameter,
    redeclare,
)
from juyi.training.batches import Shuffle


class AAA(Distiller):
    """Ask, acquire, attack: perturbations that change a classifier's answers, learnt from class impressions alone.

    A generator G of perturbations ‖G(z)‖_∞ ≤ ε, z ~ U[−1, 1]^10, learns to lower, for impressions x of the classes
    (or rows of data that are given) and c what the teacher says of x,

        mean −log(1 − q_c(x + G(z))) − λ mean (1 − cos(f(x + G(z)), f(x + G(z′))))

    with q the teacher's probabilities, f its features and z′ those of another row.  x + d stays in the images' range.
    It has no student: `predict` answers what the teacher says of perturbed rows, `fooling_rate` how often that is
    another answer than before.  The moment that serves, and the order of the perturbations, are chosen on impressions
    that were held out.  On tables the range of a feature counts as 8 of its spreads.

    Source: K. R. Mopuri, P. K. Uppala, R. V. Babu, "Ask, Acquire, and Attack: Data-free UAP Generation using Class
    Impressions", ECCV 2018, section 3; without batch norm in G, which would tie a perturbation to its batch.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:512]")
        >>> teacher = juyi.adapt.SourceOnly(net="lenet5", epochs=2).fit(digits)
        >>> method = AAA(teacher=teacher, epsilon=0.2, epochs=1).fit(digits)
        >>> method.perturbations_.shape, bool(np.abs(method.perturbations_).max() <= 51)
        ((10, 1, 28, 28), True)
    """

    makes: ClassVar[str] = "perturbations"
    looks_inside: ClassVar[bool] = True
    quick: ClassVar[dict[str, Any]] = {"student": "auto", "impressions": 120, "check_every": 2}
    exempt: ClassVar[dict[str, str]] = {
        "learns_the_teacher": "it makes perturbations, and no student",
        "data_or_none": "it makes perturbations, and no student",
        "saved_model_agrees": "what serves is the teacher's own network, perturbed",
    }

    learning_rate: float = redeclare(Distiller, "learning_rate", 3e-3)
    epsilon: float = hyperparameter(
        default=10 / 255, help="ε, the largest change, as a share of the range", low=0.0, high=1.0, source="section 4"
    )
    diversity_weight: float = hyperparameter(
        default=0.1, help="λ, of how far two perturbations move the features apart", low=0.0, high=1_000.0
    )
    impressions: int = hyperparameter(
        default=1000, help="class impressions that are made where there are no data", low=2, high=10_000_000
    )
    steps: int = redeclare(ClassImpressions, "steps", 60)
    least_sure: float = hyperparameter(
        default=0.99, help="the lowest confidence at which an impression may be finished; the paper's is .55, but real "
        "rows are surer than that, and harder to fool", low=0.0, high=1.0,
    )  # fmt: skip
    most_sure: float = hyperparameter(
        default=0.9999, help="the highest confidence that is asked of an impression; the paper's is .99",
        low=0.0, high=1.0,
    )  # fmt: skip
    smooth: str = redeclare(ClassImpressions, "smooth", "1,2,3")
    perturbations: int = hyperparameter(default=10, help="perturbations that are kept", low=1, high=10_000)
    held_out: float = hyperparameter(
        default=0.2, help="share of the impressions on which moment and order are chosen", low=0.01, high=0.9
    )
    latent: int = hyperparameter(default=10, help="numbers that the generator is given", low=1, high=10_000)
    check_every: int = hyperparameter(default=100, help="steps between looks at what is held out", low=1, high=100_000)

    def check_network(self, teacher: Teacher) -> Network:
        """Return the teacher with perturbations of 0: there is no student, and one that is named is refused."""
        if self.student != "auto":
            raise SettingError(f"student: {self.student!r} is named, but AAA makes perturbations; leave it away")
        return Perturbed(teacher, self.perturbations)

    def acquire(self, teacher: Teacher) -> Generator[Stage | Step, None, Rows]:
        """Make class impressions of the teacher, by the stages of their own method."""
        names = ("impressions", "steps", "smooth", "least_sure", "most_sure")
        settings: dict[str, Any] = {name: getattr(self, name) for name in names}
        maker = ClassImpressions(**settings)
        maker.check_hyperparameters()
        maker.remarks_ = ()
        for part in maker.stages(teacher, Perturbed(teacher, 1), None):
            if hasattr(maker, "impressions_"):  # what comes now is a student
                break
            yield part
        self.impressions_, self.impression_scores_ = maker.impressions_, maker.impression_scores_
        return Rows(maker.impressions_, teacher.device)

    def stages(self, teacher: Teacher, student: Network, data: Rows | None) -> StageGenerator:
        """Impressions, if there are no data; then the generator, whose best perturbations are kept."""
        assert isinstance(student, Perturbed)
        if data is None:
            data = yield from self.acquire(teacher)
        data = data.with_said(compute_rows(teacher.scores, data))
        order = np.random.default_rng(derive_seed(self.random_state, 0)).permutation(data.size)
        apart = min(data.size - 1, max(1, round(self.held_out * data.size)))
        watched, batches = data.take(order[: min(apart, 500)]), Single(data, self.batch)
        batches.shuffle = Shuffle(order[apart:])
        generator = PerturbationGenerator(self.latent, reach_of(teacher, self.epsilon), teacher.shape)
        generator.to(teacher.device)
        tries = torch.rand(self.perturbations, self.latent, device=teacher.device) * 2 - 1
        steps, best = torch.zeros((), dtype=torch.int64), torch.full((), -1.0)
        epochs = self.passes(batches, self.epochs)
        total = epochs * batches.steps_per_epoch(1)

        def losses(batch: Batch, progress: float) -> dict[str, Tensor]:
            assert batch.said is not None
            d = generator(torch.rand(len(batch.x), self.latent, device=batch.x.device) * 2 - 1)
            look = teacher.look(torch.cat([student.add(batch.x, d), student.add(batch.x, d.roll(1, 0))]))
            (scores, _), (one, other) = look.scores.chunk(2), look.features.chunk(2)
            apart = self.diversity_weight * diversity_loss(one, other)
            return {"fooling": fooling_loss(scores, batch.said.argmax(1)), "diversity": apart}

        @torch.no_grad()
        def keep_the_best() -> None:
            steps.add_(1)
            if int(steps) % self.check_every and int(steps) != total:
                return
            found = generator(tries)
            rates = torch.stack([changed(teacher, watched, student.add(watched.x, d)).mean() for d in found])
            if float(rates.mean()) > float(best):
                best.fill_(float(rates.mean()))
                student.perturbations.copy_(found[rates.argsort(descending=True, stable=True)])

        turn = Turn(losses, trains=[generator], optimiser=self.recipe())
        yield Stage("attack", batches, [turn], epochs, keeps=[steps, best], after_step=[keep_the_best])
        self.perturbations_: np.ndarray = student.perturbations.cpu().numpy().copy()
        return student

    def perturb(self, X: Any, which: int = 0) -> np.ndarray:
        """Return rows with a perturbation, N×C×H×W float32, images within 0 … 255; the first was best held out."""
        net = self._perturbed()
        rows = Rows(conform(as_domain(X), self.shape_), net.perturbations.device)
        return compute_rows(lambda x: net.add(x, net.perturbations[which]), rows).cpu().numpy()

    def fooling_rate(self, X: Any) -> Fooling:
        """Return how often perturbations change what the teacher says of rows, and how often random signs do."""
        net = self._perturbed()
        rows = Rows(conform(as_domain(X), self.shape_), net.perturbations.device)
        clean = compute_rows(net.asked.scores, rows).argmax(1)

        def rate(d: Tensor) -> float:
            told = compute_rows(lambda x: net.asked.scores(net.add(x, d)), rows).argmax(1)
            return float((told != clean).float().mean())

        each, random = [rate(d) for d in net.perturbations], [rate(d) for d in self.random_signs(net.asked)]
        low, high = wilson_interval(round(each[0] * rows.size), rows.size)
        return Fooling(each[0], low, high, rows.size, tuple(each), tuple(random))

    def random_signs(self, teacher: Teacher) -> Tensor:
        """As many perturbations as are kept, each value ±ε at random."""
        random = np.random.default_rng(derive_seed(self.random_state, 1))
        signs = random.choice([-1.0, 1.0], (self.perturbations, *teacher.shape)).astype(np.float32)
        return torch.from_numpy(signs).to(teacher.device) * reach_of(teacher, self.epsilon)

    def answers(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """What the teacher says of rows with random signs, beside what it says of perturbed ones."""
        net = self._perturbed()
        signs = self.random_signs(net.asked)[0]
        return {"random_signs": lambda x: net.asked.scores(net.add(x, signs))}

    def _perturbed(self) -> Perturbed:
        net = self._served().net
        assert isinstance(net, Perturbed)
        return net
