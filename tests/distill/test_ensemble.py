"""Several teachers as one: what they say on average."""

import torch
from foreign_nets import refusal, trained
from torch import nn

from juyi.distill import Ensemble, Teacher
from juyi.distill.teachers import as_teacher
from juyi.errors import ClassesDifferError

SHAPE = (1, 8, 8)


def rows(count=5, seed=0):
    return torch.randint(0, 256, (count, *SHAPE), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def test_an_ensemble_answers_with_the_geometric_mean_whatever_the_order_of_classes():
    one, other = trained(0, classes=3), trained(1, classes=3)
    members = [Teacher(one, SHAPE, "abc", name="p"), Teacher(other, SHAPE, "cab", name="q")]
    both = as_teacher(members)
    x = rows() / 255
    wanted = (one(x).softmax(1) * other(x)[:, [1, 2, 0]].softmax(1)).sqrt()
    torch.testing.assert_close(both.scores(x).softmax(1), wanted / wanted.sum(1, keepdim=True))
    assert both.parameters == sum(p.numel() for net in (one, other) for p in net.parameters()) and both.name == "p,q"
    assert both.fingerprint() != Ensemble(members[::-1]).fingerprint()
    refusal(lambda: both.last, "is 2 models, and this method looks inside one")
    wrong = Teacher(trained(classes=3), SHAPE, "abd", name="r")
    refusal(lambda: Ensemble([members[0], wrong]), "TEACHER r", "a, b, d", error=ClassesDifferError)
    small = Teacher(nn.Linear(4, 3), (4,), "abc", name="s")
    refusal(lambda: Ensemble([members[0], small]), "TEACHER s: takes rows of shape 4, and p of 1×8×8")
    refusal(lambda: Ensemble(members[:1]), "two teachers or more")
