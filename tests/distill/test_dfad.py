"""The game of student and generator alone."""

import torch

from juyi.distill import DAFL, DFAD, DFQ, Teacher
from juyi.training import declared

PARTS = ("one_hot", "activation", "entropy", "adversarial", "statistics")


def test_the_three_methods_are_one_loop_by_its_weights():
    assert all(not vars(method).keys() & {"stages", "generator_losses"} for method in (DFAD, DFQ))
    on = {method: {part for part in PARTS if declared(method)[part].default} for method in (DAFL, DFAD, DFQ)}
    assert {"one_hot", "activation", "entropy"} <= on[DAFL] and "statistics" not in on[DAFL]
    assert on[DFAD] == {"adversarial"}
    assert on[DFQ] == {"one_hot", "entropy", "adversarial", "statistics"}


def test_where_student_and_teacher_are_equal_the_generator_has_nothing_to_find():
    teacher = Teacher(torch.nn.Linear(4, 3), (4,), "abc")
    x = torch.randn(6, 4, requires_grad=True)
    losses = DFAD().generator_losses(x, teacher, teacher.net)
    assert list(losses) == ["adversarial"]
    losses["adversarial"].backward()
    assert losses["adversarial"].item() == 0 and not x.grad.any()


def test_the_generator_looks_for_rows_on_which_they_differ():
    """Teacher and student differ in what they make of the first feature: the rows go out along it."""
    teacher = Teacher(torch.nn.Linear(4, 3), (4,), "abc")
    student = torch.nn.Linear(4, 3)
    student.load_state_dict(teacher.net.state_dict())
    with torch.no_grad():
        student.weight[:, 0] += 1.0
    x = torch.tensor([[1.0, 2.0, -1.0, 0.5], [-2.0, 1.0, 1.0, 0.5]], requires_grad=True)
    DFAD().generator_losses(x, teacher, student)["adversarial"].backward()
    assert not x.grad[:, 1:].any()
    assert torch.equal(-x.grad[:, 0].sign(), x[:, 0].sign())
