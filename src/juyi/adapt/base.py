"""What every method of adaptation shares: its settings, `fit` and `predict`; a method adds its stages."""

from __future__ import annotations

import copy
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import nn

from juyi.data import align, as_domain, check_trainable
from juyi.data.domain import Domain
from juyi.errors import DataError, JuyiError, SettingError
from juyi.measure import mean_prediction
from juyi.nets import BATCH_NORMS, SOURCE, Network, default_network, freeze
from juyi.nets.freezing import frozen_parts
from juyi.training import (
    Augmented,
    Checkpoint,
    ClassShares,
    Processes,
    Rows,
    Served,
    Stage,
    StageGenerator,
    Watcher,
    choose_device,
    declared,
    hyperparameter,
    read_run,
)
from juyi.training.learner import as_written, label_scale, outputs_of


class Adapter(Augmented):
    """Learn from labelled examples there and unlabelled ones here; serve here.

    A method is one file with a subclass that says, in `stages`, how it learns.  The class attributes are facts
    about it that the contract (`juyi.check.check_method`) and the documentation read.
    """

    source_free: ClassVar[bool] = False
    """Whether a finished run can take the place of the source's data; `stages` is then given None as source."""

    unweighable: ClassVar[str | None] = None
    """Why `--class-shares estimated` cannot be had; None if it can.  A method that is not `source_free` does nothing
    for it: its source rows are redrawn."""

    needs_batch_norm: ClassVar[bool] = False
    """Whether the network must have batch norm."""

    carries: ClassVar[str | None] = "features"

    draws: ClassVar[bool] = True
    """Whether it draws at random, so that another seed gives another model; learning a network always does."""

    floor: ClassVar[str] = "source_only"
    """The method that it has to beat, by its name on the command line: what could be had without transferring."""

    net: str | nn.Module = hyperparameter(
        default="auto", help="network: a name, module:factory, hub/NAME, its folder, or auto (by the data's shape)"
    )
    standardise: str = hyperparameter(
        default="image",
        help="how images are scaled: source (its mean and spread) or image (each by its own); hub/NAME has its own",
        choices=("source", "image"),
    )
    class_shares: str = hyperparameter(
        default="source",
        help="shares of the classes in the target: the source's, or estimated as it learns",
        choices=("source", "estimated"),
    )

    @abstractmethod
    def stages(self, net: Network, source: Rows, target: Rows) -> StageGenerator:
        """Yield the stages in which `net` learns, and return the network that serves."""
        raise NotImplementedError

    def stages_without_target(self, net: Network, source: Rows) -> StageGenerator:
        """The stages where there is nothing to adapt to: the source's labels are learnt."""
        from juyi.adapt.source_only import supervised

        return supervised(self, net, source, None)

    def check_hyperparameters(self) -> None:
        """Raise `SettingError` for the first hyperparameter whose type or value is not allowed."""
        super().check_hyperparameters()
        if self.class_shares == "estimated" and self.unweighable:
            raise SettingError(
                f"--class-shares estimated: {type(self).__name__} cannot have it, since {self.unweighable}; "
                "leave it out, or name another method"
            )

    def shared(self) -> dict[str, Any]:
        """The settings that every method has, for the models that are trained beside this one."""
        return {field: getattr(self, field) for field in declared(Adapter)} | {"class_shares": "source"}

    def floors(self, source: Domain | Served) -> dict[str, Adapter]:
        """The models that are trained beside this one under the same settings, by name: it has to beat `floor`."""
        from juyi.adapt.source_only import SourceOnly

        return {"source_only": SourceOnly(**self.shared())}

    def leaves(self, name: str) -> dict[str, Adapter]:
        """The fitted models that a run keeps of this method, by name; `name` is the method's own."""
        return {name: self}

    def fit(self, X: Any, y: Any = None, *, target: Any = None) -> Adapter:
        """Learn from the labelled source `X` and the target.

        Args:
            X: the source: a `Domain`, or an array (images or features) with its labels `y`.  For a source-free
                method also a finished run instead: its folder, or what `juyi.training.read_run` returned.
            y: labels of an array `X`; unknown ones are None, NaN or masked.
            target: a `Domain`, whose labels are read only where they are `labelled`, or an unlabelled array.
                None means that there is nothing to adapt to: the source alone is learnt.

        Raises:
            DataError: the data cannot be learnt from, or the domains do not fit together.
            SettingError: a hyperparameter is out of its range.
            TrainingDivergedError: a loss became NaN or infinite.
        """
        self.check_hyperparameters()
        if y is None and isinstance(X, str | Path | Served):
            start = X if isinstance(X, Served) else read_run(str(X), net=None if self.net == "auto" else self.net)
            self.learn(start, None if target is None else start.adopt(as_domain(target, name="target")))
            return self
        source = as_domain(X, y, name="source")
        domains = (source,) if target is None else (source, as_domain(target, name="target"))
        aligned = align(*domains)
        self.learn(aligned[0], aligned[1] if target is not None else None)
        if not isinstance(X, Domain) and source.classes is not None:
            self.classes_ = as_written(y, np.asarray(self.domain_classes_))
        return self

    def learn(
        self,
        source: Domain | Served,
        target: Domain | None,
        *,
        watcher: Watcher | None = None,
        checkpoint: Checkpoint | None = None,
        processes: Processes | None = None,
    ) -> Adapter:
        """Learn from two aligned domains, or from a trained model and one, watched and stored.

        It is what `fit` and the command share.
        """
        self.remarks_: tuple[str, ...] = ()  # what it finds and a person should know, in sentences
        device = choose_device(self.device)
        target_rows = Rows(target, device) if target else None
        if isinstance(source, Served):
            self.check_start(target)
            source_rows, start = None, source
            net = self._started(source)
        else:
            self.check_data(source, target)
            source_rows = Rows(source, device)
            net = self._network(source_rows, outputs_of(source))
            start = Served(net, source.x.shape[1:], source.classes or (), source.columns)
        rows = source_rows or target_rows
        assert rows
        first = rows.take(np.arange(min(self.batch, rows.size)))
        processes = processes or Processes()
        self.net_ = self._learn(
            lambda net: self._stages(net, source_rows, target_rows, processes),
            net, first, device, watcher, checkpoint, processes,
        )  # fmt: skip
        return self.adopt(start)

    def check_start(self, target: Domain | None) -> None:
        """Raise an error unless the method can do without the source's data, and there is a target to learn from."""
        if not self.source_free:
            raise SettingError(
                f"{type(self).__name__}: needs the source's data, not a run; name the data, or use a source-free "
                f"method ({', '.join(_methods_that('source_free'))})"
            )
        if self.weights is not None:
            raise SettingError(f"--weights {self.weights}: a run in the source's place brings its own; leave it out")
        if target is None:
            raise DataError("a run alone leaves nothing to learn from; give a target")
        check_trainable(target, self.batch, needs_labels=False)

    def check_data(self, source: Domain, target: Domain | None) -> None:
        """Raise a `DataError` if a domain cannot be learnt from: one class, no labels, fewer rows than a batch."""
        self.check_source(source, self.batch)
        if target is not None:
            self.check_target(target, self.batch)

    def check_source(self, source: Domain, rows: int) -> None:
        """Raise a `DataError` if a source cannot be learnt from: one class, no labels, fewer than so many rows."""
        if source.classes is None and source.labelled.any():
            self.check_numbers(source)
        check_trainable(source, rows)

    def check_target(self, target: Domain, rows: int) -> None:
        """Raise a `DataError` if a target cannot be learnt from: fewer than so many rows, labels that are needed."""
        check_trainable(target, rows, needs_labels=False)
        if self.needs_target_labels and not target.labelled.any():
            raise DataError(
                f"{target.name}: {type(self).__name__} needs some labels of the target, and none is given; "
                "give some with --target-labels, or use another method"
            )

    def check_numbers(self, source: Domain) -> None:
        """Raise an error unless the method, under its settings, can learn to tell the numbers of this source."""
        if not self.regression:
            able = ", ".join(_methods_that("regression"))
            raise DataError(
                f"{source.name}: its labels are continuous numbers, but {type(self).__name__} tells classes; "
                f"bin them first, or use a method that tells numbers ({able})"
            )
        if self.class_shares == "estimated":
            raise SettingError("--class-shares estimated: numbers have no classes to be shared out; leave it out")
        known = source.y[source.labelled]
        if known.min() == known.max():
            raise DataError(
                f"{source.name}: all labelled rows have the number {known[0]:g}, so there is nothing to learn; "
                "add rows with other numbers"
            )

    def check_network(self, source: Domain | Served) -> Network:
        """Return the network, built on two rows of the source, or that of a trained model.

        Two rows are sent through it, so that a network of one's own fails here and not within a run.

        Raises:
            SettingError: there is no such network or device, or the network cannot take such rows.
        """
        choose_device(self.device)
        if isinstance(source, Served):
            net = self._started(source)
            self.check_net(net)
            return net
        rows = Rows(source.select(np.arange(min(2, source.size))), torch.device("cpu"))
        try:
            net = self._network(rows, outputs_of(source)).eval()
            with torch.no_grad():
                found = tuple(net(rows.x).shape)
        except JuyiError:
            raise
        except Exception as error:
            raise SettingError(
                f"--net {self.net}: cannot take rows of shape {tuple(source.x.shape[1:])} "
                f"({type(error).__name__}: {error}); mend it, or name another"
            ) from error
        self.check_net(net)
        wanted = (rows.size, outputs_of(source))
        if found != wanted:
            raise SettingError(f"--net {self.net}: gives scores of shape {found}, not {wanted}; mend its head")
        return net

    def check_net(self, net: Network) -> None:
        """Raise a `SettingError` if the method cannot work with such a network."""
        found = [layer for layer in net.modules() if isinstance(layer, BATCH_NORMS)]
        if self.needs_batch_norm and all(layer in frozen_parts(net) for layer in found):
            none = "only frozen ones" if found else "none"
            raise SettingError(
                f"{type(self).__name__}: takes anew the statistics of batch norm, but network {net.name} has {none}; "
                "use --batch-norm domain with a named network, or another method"
            )

    def _network(self, source: Rows, outputs: int) -> Network:
        """Build the network for the source's rows, the same for the same seed."""
        labels = label_scale(source) if source.y.is_floating_point() else None
        name = self.default_net(source, labels is not None) if self.net == "auto" else self.net
        return self._build(name, source, outputs, self.layers, labels)

    def default_net(self, source: Rows, numbers: bool) -> str:
        """The network that `auto` means for rows like the source's, whose labels may be numbers."""
        return default_network(source.x, numbers)

    def _started(self, served: Served) -> Network:
        """A copy of the network of a trained model, to be trained further."""
        if served.tells_numbers and not self.regression:
            raise SettingError(f"{type(self).__name__}: tells classes, but the model that it is given tells numbers")
        net = copy.deepcopy(served.net)
        if self.freeze is not None:
            freeze(net, self.freeze)
        return net

    def _stages(self, net: Network, source: Rows | None, target: Rows | None, processes: Processes) -> StageGenerator:
        """The method's stages, seen through the shared options: what is augmented, averaged, and drawn how often.

        Without a target, there is nothing to do but to learn the source.
        """
        self.check_net(net)
        known = cast("Rows", source)  # None reaches source-free methods alone, see check_start
        parts = self.stages(net, known, target) if target else self.stages_without_target(net, known)
        shares = None
        if self.class_shares == "estimated" and target and not self.source_free:
            shares = ClassShares(known, target, net.outputs, mean_prediction, processes)

        def redrawn(part: Stage) -> Stage:
            return shares.redraw(part, known, part.serves or net) if shares else part

        served = yield from self._through_options(parts, net, redrawn)
        self.class_shares_ = shares.current if shares else None
        return served

    @property
    def layers(self) -> dict[str, str]:
        """The settings with which the network is built, beside its name."""
        return {"batch_norm": self.batch_norm, "standardise": self.standardise, "head": self.head}

    def transform_source(self, X: Any) -> np.ndarray:
        """Return the features of source rows, N×width, float32."""
        return self._served().features(X, SOURCE)


def _methods_that(fact: str) -> list[str]:
    """The names of the methods of which a fact holds."""
    from juyi.adapt import METHODS

    return sorted(kind.__name__ for kind in METHODS.values() if getattr(kind, fact))
