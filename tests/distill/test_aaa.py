"""AAA: the losses, the generator, what is perturbed and counted, and that it fools where random signs do not."""

import numpy as np
import pytest
import torch
from torch import nn

from juyi.check.common import CLASSES, shifted_domains
from juyi.check.distiller import small
from juyi.data import Domain
from juyi.distill import AAA, Teacher
from juyi.distill.perturbed import PerturbationGenerator, Perturbed, diversity_loss, fooling_loss
from juyi.errors import SettingError
from juyi.nets import Standardise


def stripes(rows=60):
    """A teacher of three classes of 1×8×8 images, each a row of pixels that is brighter, and such images."""
    random = np.random.default_rng(0)
    y = np.arange(rows) % 3
    x = random.integers(90, 110, (rows, 1, 8, 8))
    x[np.arange(rows), 0, 2 * y] += 40
    layer = nn.Linear(64, 3)
    with torch.no_grad():
        layer.bias.zero_()
        layer.weight.zero_()
        for code in range(3):
            layer.weight.view(3, 8, 8)[code, 2 * code] = 0.02
    scale = Standardise(torch.tensor([100.0]), torch.tensor([20.0]))
    teacher = Teacher(nn.Sequential(Floats(), nn.Flatten(), layer), (1, 8, 8), CLASSES, scale=scale)
    return teacher, Domain(x.astype(np.uint8), y, classes=CLASSES, name="stripes")


class Floats(nn.Module):
    def forward(self, x):
        return x.float()


def test_fooling_loss_is_the_papers_and_its_gradient_lives_where_the_teacher_is_sure():
    scores = torch.randn(6, 5, dtype=torch.float64)
    clean = torch.tensor([0, 1, 2, 3, 4, 0])
    q = scores.softmax(1)[torch.arange(6), clean]
    assert torch.allclose(fooling_loss(scores, clean).double(), -torch.log1p(-q).mean(), atol=1e-6)

    sure = torch.tensor([[90.0, 0.0, 0.0]], requires_grad=True)
    assert float(sure.softmax(1)[0, 0].detach()) == 1.0
    fooling_loss(sure, torch.tensor([0])).backward()
    assert torch.allclose(sure.grad, torch.tensor([[1.0, -0.5, -0.5]]))


def test_fooling_loss_is_of_each_row_and_not_of_the_mean():
    """−log(1 − mean q) is what the released script watches; by Jensen it is never more."""
    scores, clean = torch.tensor([[4.0, 0.0], [0.0, 4.0]]), torch.tensor([0, 0])
    q = scores.softmax(1)[:, 0]
    assert fooling_loss(scores, clean) > 1.3 * -torch.log1p(-q.mean())


def test_diversity_loss_limits():
    f = torch.randn(4, 7)
    assert diversity_loss(f, 3 * f).item() == pytest.approx(0.0, abs=1e-6)
    assert diversity_loss(f, -f).item() == pytest.approx(-2.0, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 14), (5,)])
def test_generator_reaches_no_further_and_looks_at_one_z_at_a_time(shape):
    reach = torch.full((1,) * len(shape), 20.0)
    generator = PerturbationGenerator(10, reach, shape)
    z = 100 * (torch.rand(4, 10) * 2 - 1)
    found = generator(z)
    assert found.shape == (4, *shape) and float(found.detach().abs().max()) <= 20.0
    assert torch.allclose(generator(z[:1]), found[:1], atol=1e-4)


def test_perturbed_images_stay_in_range_and_the_teacher_is_asked():
    teacher, data = stripes()
    net = Perturbed(teacher, 2)
    x = torch.from_numpy(data.x)
    assert torch.equal(net(x), teacher.scores(x))
    net.perturbations[0] = torch.linspace(-200, 200, 64).view(1, 8, 8)
    moved = (x.float() + net.perturbations[0]).clamp(0, 255)
    assert torch.allclose(net(x), teacher.scores(moved)) and torch.equal(net.add(x, net.perturbations[0]), moved)
    assert torch.allclose(net.features(x), moved.flatten(1))


@pytest.fixture(scope="module")
def fitted():
    teacher, data = stripes()
    settings = {"epochs": 100, "batch": 16, "learning_rate": 0.01, "device": "cpu", "precision": "float32"}
    return AAA(
        teacher=teacher, epsilon=0.1, perturbations=4, held_out=0.5, diversity_weight=1.0, check_every=20, **settings
    ).fit(data)


def test_it_fools_where_random_signs_do_not(fitted):
    _, data = stripes(90)
    found = fitted.fooling_rate(data)
    assert found.rate >= 0.6 and found.rate > 3 * np.mean(found.random)  # a third has the class that all are given
    assert found.low < found.rate < found.high and found.n == 90
    assert np.abs(fitted.perturbations_).max() <= 25.5 and fitted.perturbations_.shape == (4, 1, 8, 8)
    assert len(found.each) == len(found.random) == 4


def test_rate_counts_answers_that_change_against_the_clean_answer(fitted):
    teacher, data = stripes()
    wrong = Domain(data.x, (data.y + 1) % 3, classes=CLASSES, name="other labels")
    changed = fitted.predict(data) != np.array(CLASSES)[teacher.scores(torch.from_numpy(data.x)).argmax(1)]
    assert fitted.fooling_rate(data).rate == pytest.approx(changed.mean()) == fitted.fooling_rate(wrong).rate
    asked = teacher.scores(torch.from_numpy(fitted.perturb(data)))
    assert np.allclose(asked, fitted.scores(data), atol=1e-4)


def test_random_signs_are_of_the_full_size(fitted):
    signs = fitted.random_signs(stripes()[0])
    assert torch.equal(signs.abs(), torch.full_like(signs, 25.5)) and 0.3 < float((signs > 0).float().mean()) < 0.7
    assert set(fitted.answers()) == {"random_signs"}


def test_without_data_it_makes_impressions():
    made = small(AAA, impressions=60).fit()
    assert made.impressions_.size == 60 and made.perturbations_.shape == (10, 8)
    again = small(AAA, impressions=60).fit()
    assert np.array_equal(made.perturbations_, again.perturbations_) and np.abs(made.perturbations_).max() > 0


def test_a_table_is_moved_by_spreads():
    net = small(AAA, epsilon=0.1, impressions=60).fit(shifted_domains(seed=1)[0])
    spread = net.net_.asked.scale.spread.numpy()
    assert (np.abs(net.perturbations_) <= 0.8 * spread + 1e-5).all()


def test_a_student_is_refused():
    with pytest.raises(SettingError, match="student: 'mlp' is named, but AAA makes perturbations"):
        small(AAA, student="mlp").fit()
