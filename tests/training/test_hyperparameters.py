"""Hyperparameters: declared once, checked in fit, and good scikit-learn citizens."""

import inspect
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from juyi.adapt import DANN, METHODS, Adapter
from juyi.adapt.shallow import Shallow
from juyi.errors import InputError, SettingError
from juyi.training import Method, check_known, declared, hyperparameter, plain_type


class Some(Method):
    rate: float = hyperparameter(default=0.5, help="a share", low=0.0, high=1.0)
    units: int = hyperparameter(default=3, help="a number", low=1)
    limit: int | None = hyperparameter(default=None, help="may be left out", low=1)
    kind: str = hyperparameter(default="plain", help="a word", choices=("plain", "fancy"))
    free: object = hyperparameter(default="anything", help="anything")


class More(Some):
    extra: float = hyperparameter(default=1.0, help="another", low=0.0)
    rate: float = hyperparameter(default=0.25, help="a share, by another paper", low=0.0, high=1.0)


def refused(method, words):
    with pytest.raises(SettingError, match=words) as caught:
        method.check_hyperparameters()
    assert isinstance(caught.value, InputError) and isinstance(caught.value, ValueError)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_a_subclass_is_a_dataclass_of_keywords():
    assert Some().rate == 0.5 and More().rate == 0.25 and More(extra=2.0).extra == 2.0
    with pytest.raises(TypeError):
        Some(0.5)
    with pytest.raises(TypeError, match="unexpected keyword argument 'rat'"):
        Some(rat=1.0)
    assert all(p.kind is p.KEYWORD_ONLY for p in inspect.signature(More).parameters.values())
    assert list(declared(More)) == ["rate", "units", "limit", "kind", "free", "extra"]
    assert Some() != Some() and len({Some(), Some()}) == 2  # identity, as scikit-learn wants


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"rate": 1.5}, "rate: 1.5 is out of range; it goes from 0 to 1"),
        ({"rate": -1e-9}, "rate: -1e-09 is out of range"),
        ({"rate": float("nan")}, "rate: must be a number, not nan"),
        ({"rate": "0.5"}, "rate: must be a number, not '0.5'"),
        ({"rate": True}, "rate: must be a number, not True"),
        ({"rate": None}, "rate: must be a number, not None"),
        ({"units": 0}, "units: 0 is out of range; it goes from 1 to inf"),
        ({"units": 2.0}, "units: must be a whole number, not 2.0"),
        ({"limit": 0}, "limit: 0 is out of range"),
        ({"kind": "fanci"}, r"kind: 'fanci' is not allowed; did you mean fancy\?"),
        ({"kind": "zzz"}, "kind: 'zzz' is not allowed; known are fancy, plain"),
        ({"kind": 3}, "kind: must be one of plain, fancy, not 3"),
    ],
)
def test_what_is_not_allowed_is_said_in_one_line(settings, words):
    refused(Some(**settings), words)  # and not before it is checked


def test_what_is_allowed():
    for settings in ({"rate": 0}, {"rate": 1.0}, {"limit": 5}, {"units": 10**9}, {"free": object()}):
        Some(**settings).check_hyperparameters()


def test_numbers_of_numpy_are_numbers():
    """GridSearchCV over np.array([32, 64]) used to be refused."""
    Some(rate=np.float32(0.25), units=np.int64(5)).check_hyperparameters()
    refused(Some(units=np.float64(5)), "whole number")
    refused(Some(units=np.bool_(True)), "must be a number")
    largest = DANN(random_state=2**63 - 1)
    largest.check_hyperparameters()
    refused(DANN(random_state=2**63), "out of range")


def test_names_that_are_not_known_are_answered_with_the_nearest():
    check_known(More, ["rate", "extra", "units"])
    with pytest.raises(SettingError, match=r"unit: is no setting of Some; did you mean units\?"):
        check_known(Some, ["rate", "unit"])
    with pytest.raises(SettingError, match="extra: is no setting of Some; known are free, kind"):
        check_known(Some, ["extra"])
    check_known(DANN, ["learning-rate"])


def test_get_set_clone_repr_pickle():
    method = More(rate=0.75, kind="fancy")
    parameters = method.get_params()
    assert parameters == {
        "rate": 0.75, "units": 3, "limit": None, "kind": "fancy", "free": "anything", "extra": 1.0,
    }  # fmt: skip
    copy = clone(method)
    assert copy is not method and copy.get_params() == parameters
    assert copy.set_params(units=7) is copy and copy.units == 7 and method.units == 3
    with pytest.raises(ValueError, match="Invalid parameter 'unit'"):
        copy.set_params(unit=7)
    assert repr(method) == "More(kind='fancy', rate=0.75)"
    assert pickle.loads(pickle.dumps(method)).get_params() == parameters


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_such_a_citizen(name):
    method = METHODS[name]()
    method.check_hyperparameters()
    assert clone(method).get_params() == method.get_params()
    assert repr(method) == f"{METHODS[name].__name__}()"
    objects = {"estimator", "classifier"} & set(method.get_params())  # of shallow methods, and no words to be typed
    assert not objects or issubclass(METHODS[name], Shallow)
    assert set(method.get_params()) == set(declared(METHODS[name])) | objects
    for field in declared(METHODS[name]).values():
        assert field.metadata["help"] and "\n" not in field.metadata["help"]
        if field.metadata["choices"]:
            assert field.default in field.metadata["choices"]


def test_a_net_as_hyperparameter_is_cloned_whole():
    net = torch.nn.Linear(2, 2)
    copy = clone(DANN(net=net))
    assert copy.net is not net and torch.equal(copy.net.weight, net.weight)


def test_a_base_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Adapter()


def test_plain_types_leave_out_what_a_command_line_cannot_give():
    assert plain_type(str | torch.nn.Module) is str
    assert plain_type(int | None) is int
    assert set(plain_type(int | float).__args__) == {int, float}
    assert plain_type(float) is float
