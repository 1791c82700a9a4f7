"""Auto: the method that does best by cross-validation on the few labels."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
from sklearn.model_selection import StratifiedKFold

from juyi.data.domain import Domain
from juyi.errors import DataError, SettingError, nearest
from juyi.finetune.base import Finetuner
from juyi.finetune.full import Tuned
from juyi.measure import share
from juyi.nets import Network
from juyi.nets.build import fit_head
from juyi.training import Rows, StageGenerator, Step, compute, declared, hyperparameter
from juyi.training.learn import under_its_name


class Auto(Tuned):
    """Compare methods by cross-validation on the few labels, and go on with the best.

    The labelled rows are parted into folds with the shares of the classes; each candidate learns on all folds but one
    and is asked about that one.  Who is right most often is then taught on all rows; of equals, the first that was
    named, so name the simplest first.  Nothing is chosen by a test.

    Source: M. Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions", 1974.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:100]")
        >>> backbone = juyi.pretrain.ISIF(net="lenet5", epochs=1, batch=50).fit(digits)
        >>> method = Auto(backbone=backbone, candidates="nearest_centroid,linear").fit(digits)
        >>> method.chosen_ in ("nearest_centroid", "linear"), len(method.compared_)
        (True, 2)
    """

    quick: ClassVar = {"candidates": "nearest_centroid,linear"}

    candidates: str = hyperparameter(
        default="nearest_centroid,knn,linear,mlp,lp_ft", help="methods to compare, with commas between"
    )
    folds: int = hyperparameter(default=3, help="folds of the cross-validation", low=2, high=100)

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` also for a candidate that there is not."""
        super().check_hyperparameters()
        self.find_candidates()

    def find_candidates(self) -> dict[str, Finetuner]:
        """The candidates by name, with the settings that they share with this method."""
        from juyi.finetune import METHODS

        known = {name: kind for name, kind in METHODS.items() if not kind.takes_unlabelled and kind is not Auto}
        found = {}
        for name in (word.strip() for word in self.candidates.split(",")):
            if name not in known:
                raise SettingError(f"--candidates {name}: there is no such candidate; {nearest(name, known)}")
            shared = declared(Tuned if issubclass(known[name], Tuned) else Finetuner)
            mine = {field: getattr(self, field) for field in shared}
            if not issubclass(known[name], Tuned):
                mine["augment"] = "none"
            found[name] = known[name](**mine)
        return found

    def check_data(self, few: Domain, unlabelled: Domain | None) -> None:
        """Raise an error if the rows cannot be parted into folds."""
        super().check_data(few, unlabelled)
        counts = few.class_counts()
        if (alone := np.flatnonzero(counts == 1)).size:
            raise DataError(
                f"{few.name}: has one label of class {few.classes[alone[0]]}, but methods are compared by "  # type: ignore[index]
                "cross-validation, which needs two of each; give more, or name a method (--method nearest_centroid)"
            )
        self.few_ = few

    def stages(self, net: Network, few: Rows, unlabelled: Rows | None) -> StageGenerator:
        """Each candidate on each fold, then the best on all rows."""
        candidates = self.find_candidates()
        tally = Tally()
        y = few.y.cpu().numpy()
        folds = min(self.folds, int(np.bincount(y)[np.bincount(y) > 0].min()))
        parts = list(StratifiedKFold(folds, shuffle=True, random_state=self.random_state % 2**32).split(y, y))
        for name, candidate in candidates.items():
            for number, (fitted, held) in enumerate(parts):
                some = self.few_.select(fitted)
                trial = self._with_head(candidate, net, some)
                inner = candidate.stages(trial, Rows(some, few.x.device), None)
                served = yield from under_its_name(f"{name}, fold {number + 1} of {folds}", trial, inner)

                def ask(name: str = name, held: np.ndarray = held, served: Network = served) -> None:
                    told = compute(served, few, held, served).argmax(1).numpy()
                    tally.add(name, int((told == y[held]).sum()), len(held))

                yield Step(f"ask {name}", ask, keeps=[tally])
        self.compared_ = {name: tally.share(name) for name in candidates}
        self.chosen_ = max(candidates, key=lambda name: tally.share(name)["value"])
        best = candidates[self.chosen_]
        final = self._with_head(best, net, self.few_)
        served = yield from under_its_name(self.chosen_, final, best.stages(final, few, None))
        said = ", ".join(f"{name} {found['value']:.1%}" for name, found in self.compared_.items())
        self.remarks_ = (f"chosen by cross-validation on the labels, {folds} folds: {self.chosen_} ({said})",)
        return served

    def _with_head(self, candidate: Finetuner, net: Network, few: Domain) -> Network:
        trial = copy.deepcopy(net)
        fit_head(trial, candidate.head_for(few))
        return trial.to(net.head.weight.device)  # type: ignore[arg-type]

    def layers_of(self, backbone: Any, few: Domain) -> dict[str, str]:
        """Those of the method that was chosen."""
        return self.find_candidates()[self.chosen_].layers_of(backbone, few)


class Tally:
    """How many rows each candidate was right on; it is in the steps' `keeps`."""

    def __init__(self) -> None:
        self.right: dict[str, int] = {}
        self.asked: dict[str, int] = {}

    def add(self, name: str, right: int, asked: int) -> None:
        """Count some rows."""
        self.right[name] = self.right.get(name, 0) + right
        self.asked[name] = self.asked.get(name, 0) + asked

    def share(self, name: str) -> dict[str, Any]:
        """The share of rows on which it was right, with its interval."""
        return share(np.arange(self.asked[name]) < self.right[name])

    def state_dict(self) -> dict[str, Any]:
        """What is stored."""
        return {f"{what}.{name}": n for what in ("right", "asked") for name, n in getattr(self, what).items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what was stored."""
        for key, n in state.items():
            what, _, name = key.partition(".")
            getattr(self, what)[name] = int(n)
