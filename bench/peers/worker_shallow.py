"""One shallow method of one side, in that side's environment: worker_shallow.py SIDE METHOD DATA REPEATS."""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

SIDE, METHOD, PLACE, REPEATS = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
DIMENSIONS = 20
NUMBERS = METHOD == "tradaboost_r2"
warnings.simplefilter("ignore")


def model():
    """What every side learns on what its method has made of the rows."""
    return Ridge() if NUMBERS else LogisticRegression(max_iter=1_000)


def juyi_answers(x, y, target, few):
    from juyi.adapt import METHODS
    from juyi.data import Domain

    settings = {
        "coral": {"shrinkage": 0.0},
        "linear_monge": {"shrinkage": 0.0},
        "subspace_alignment": {"dimensions": DIMENSIONS},
        "tca": {"dimensions": DIMENSIONS},
    }
    method = METHODS[METHOD](**settings.get(METHOD, {}), estimator=model())
    if METHODS[METHOD].needs_target_labels:
        classes = None if NUMBERS else tuple(map(str, range(int(y.max()) + 1)))
        target = Domain(target.astype(np.float32), few, np.arange(len(few)) < LABELS, classes, name="target")
    method.fit(x, y, target=target)
    return method.predict(target)


def skada_answers(x, y, target, few):
    import skada

    weighed = model().set_fit_request(sample_weight=True)
    made = {
        "coral": lambda: skada.make_da_pipeline(skada.CORALAdapter(reg=1e-10), model()),
        "linear_monge": lambda: skada.make_da_pipeline(skada.LinearOTMappingAdapter(reg=1e-10), model()),
        "subspace_alignment": lambda: skada.make_da_pipeline(
            skada.SubspaceAlignmentAdapter(n_components=DIMENSIONS), model()
        ),
        "tca": lambda: skada.make_da_pipeline(
            skada.TransferComponentAnalysisAdapter(kernel="linear", n_components=DIMENSIONS), model()
        ),
        "kliep": lambda: skada.make_da_pipeline(skada.KLIEPReweightAdapter(gamma=1.0 / x.shape[1]), weighed),
        "kmm": lambda: skada.make_da_pipeline(skada.KMMReweightAdapter(gamma=1.0 / x.shape[1]), weighed),
        "density_ratio": lambda: skada.make_da_pipeline(skada.DiscriminatorReweightAdapter(), weighed),
        "ot": lambda: skada.make_da_pipeline(skada.ClassRegularizerOTMappingAdapter(), model()),
        "jdot": lambda: skada.JDOTClassifier(model(), metric="multinomial"),
    }[METHOD]()
    rows, labels = np.concatenate([x, target]), np.concatenate([y, np.full(len(target), -1)])
    where = np.repeat([1, -2], [len(x), len(target)])
    made.fit(rows, labels, sample_domain=where)
    return made.predict(target, sample_domain=where[len(x) :])


def adapt_answers(x, y, target, few):
    from adapt import feature_based, instance_based

    gamma = 1.0 / x.shape[1]
    labelled = {"Xt": target[:LABELS], "yt": few[:LABELS]}
    made = {
        "coral": lambda: feature_based.CORAL(model(), Xt=target, lambda_=1e-10, verbose=0),
        "subspace_alignment": lambda: feature_based.SA(model(), Xt=target, n_components=DIMENSIONS, verbose=0),
        "tca": lambda: feature_based.TCA(model(), Xt=target, n_components=DIMENSIONS, kernel="linear", verbose=0),
        "rulsif": lambda: instance_based.RULSIF(model(), Xt=target, gamma=[0.1 * gamma, gamma, 10 * gamma], verbose=0),
        "kliep": lambda: instance_based.KLIEP(model(), Xt=target, gamma=[0.1 * gamma, gamma, 10 * gamma], verbose=0),
        "kmm": lambda: instance_based.KMM(model(), Xt=target, gamma=gamma, verbose=0),
        "tradaboost": lambda: instance_based.TrAdaBoost(model(), n_estimators=20, verbose=0, **labelled),
        "tradaboost_r2": lambda: instance_based.TwoStageTrAdaBoostR2(
            model(), n_estimators=30, n_estimators_fs=1, cv=10, verbose=0, **labelled
        ),
    }[METHOD]()
    made.fit(x, y)
    return np.ravel(made.predict(target))


def pot_answers(x, y, target, few):
    import ot

    made = {"linear_monge": lambda: ot.da.LinearTransport(reg=1e-10), "ot": lambda: ot.da.SinkhornLpl1Transport()}
    mapped = made[METHOD]().fit_transform(Xs=x, ys=y, Xt=target)
    return model().fit(mapped, y).predict(target)


LABELS = 50
data = np.load(PLACE)
x, target = data["x"].astype(np.float64), data["target"].astype(np.float64)
y, few = (data["numbers"], data["target_numbers"]) if NUMBERS else (data["y"], data["z"])
answers = globals()[f"{SIDE}_answers"]
order = np.random.default_rng(0).permutation(len(x))[:200]
answers(x[order], y[order], target[:200], few[:200])  # everything is imported, every library awake
wall, processor, told = [], [], None
for _ in range(REPEATS):
    began, spent = time.perf_counter(), time.process_time()
    told = answers(x, y, target, few)
    wall.append(time.perf_counter() - began)
    processor.append(time.process_time() - spent)
told, rest = np.asarray(told, float), slice(LABELS, None)
score = 1 - ((told - few)[rest] ** 2).mean() / few[rest].var() if NUMBERS else float((told[rest] == few[rest]).mean())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"seconds": min(wall), "processor_seconds": min(processor), "score": float(score), "peak_gib": peak,
                  "told": told.tolist()}))  # fmt: skip
