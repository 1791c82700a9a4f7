"""Write docs/methods.md and docs/methods.zh-CN.md: every method, from its class and from the benchmarks' results.

python docs/make_methods.py            write them
python docs/make_methods.py --check    fail if they are not what the code and the results say

What a method does and where it comes from is read in its docstring, what it needs in its class attributes, its figures
and its cost in bench/results; an experiment that has no result yet is left out.  Only the Chinese lines stand here.
"""

from __future__ import annotations

import inspect
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from juyi.cli.methods import ROOMS

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "bench"))

import table  # noqa: E402  (bench/table.py: the figures of all pages are computed there)

FLOOR = "source_only"
FLOORS = {"distill": "student_alone", "pretrain": "untrained", "finetune": "from_scratch", "personalize": "fedavg"}
"""What stands beside the methods of a room, where that is another model: it gives the cost, and the first figure."""
FLOOR_WORDS = {
    "source_only": ("source only", "仅源域"),
    "student_alone": ("the student alone", "学生只用标签"),
    "untrained": ("the untrained network", "未训练的网络"),
    "from_scratch": ("the network from scratch", "从头训练的网络"),
    "fedavg": ("the general model", "通用模型"),
}
PAGES = {"en": HERE / "methods.md", "zh": HERE / "methods.zh-CN.md"}

CHINESE = {
    "source_only": "只从标签学习，不用任何没有标签的目标样本；别的方法都要胜过它才算有用。",
    "dann": "学出让判别器分不清两个域的特征：判别器的梯度反转后传给特征。",
    "adda": "先学源域，再让目标域的编码器学到判别器把它当成源域，最后接上源域的分类头。",
    "adabn": "先学源域，再把批归一化的均值和方差换成目标域的。",
    "mcc": "减少目标样本在类别之间的混淆；不用判别器，没有要安排的进度，也不对类别比例作假设。",
    "auto": "在时间预算内训练若干方法，不用标签选出一个；看不出迁移有用时，就用只学源域的模型。",
    "adamatch": "弱增强下足够确定的预测当作强增强样本的标签，阈值随源域的置信度而定；有没有目标标签都是同一个损失。",
    "cdan": "判别器同时看特征和预测（两者的多线性映射），预测越确定的样本权重越大。",
    "deep_coral": "让两个域的协方差一致，损失只有一行。",
    "deep_jdot": "用最优传输给每批目标样本配上源样本，再拉近配对在特征和标签上的距离。",
    "shot": "冻结源域的分类头，只用目标样本调整特征：信息最大化加伪标签。",
    "batch_norm_adaptation": "每批图用自己的均值和方差归一化，并与各层学到的混合。",
    "tent": "每来一批，就调整归一化层的缩放和平移，让对这批的回答更确定。",
    "target_only": "只学给出的少量目标标签，别的都不用；给了目标标签时，迁移要胜过它才算有用。",
    "biased_regularisation": "先学源域，再用少量目标标签以闭式解求最后一层，并拉向源域的 a 倍；a 由标签定，可以为负。",
    "hinton": "学生学教师软化后的概率，有标签时也学标签；教师可以是一个，也可以是几个的平均。",
    "specialists": "给全科容易混淆的类各请一个专家，两者合起来的回答教给一个学生。",
    "class_impressions": "不用数据：把噪声挪到教师对某一类有把握为止，学生从这些图学。",
    "zskd": "不用数据：按教师最后一层的类间关系抽出软回答，为每个回答找一张图，学生从这些图学。",
    "dafl": "不用数据：生成器造教师有把握、各类一样多的图，学生同时学教师对它们的回答。",
    "dfad": "不用数据：生成器专造学生和教师分歧最大的图，学生去消除分歧。",
    "dfq": "不用数据：生成器造的图要合乎教师批归一化记下的统计量，教师须带批归一化。",
    "aaa": "不用数据：从类印象学出加到任何图上都会改变模型回答的扰动；没有学生。",
    "isif": "不用标签：一张图的任何视图都认得出是它，别的图都不会被当成它。",
    "simclr": "不用标签：一批图的两份视图里，每份都要在其余里找到同一张图的另一份。",
    "vicreg": "不用标签：两份视图说得一样，每个数都有变化，又不重复；图与图之间不比较。",
    "byol": "不用标签：网络预言自己的缓慢平均对另一份视图说什么；图与图之间不比较。",
    "patches": "不用标签也不用梯度：白化的小块聚类，特征是各处与各类小块有多像；神经网络要胜过它。",
    "finetune.auto": "用少量标签交叉验证，在若干方法里选最好的一个。",
    "nearest_centroid": "主干冻结：一类就是它那几个样本特征的平均；每类只有几个标签时很难超过。",
    "knn": "主干冻结：特征最近的 k 个带标签的样本投票。",
    "linear": "主干冻结：在特征上做逻辑回归，正则的强度由交叉验证定。",
    "mlp": "主干冻结：只在特征上训练一个带一层隐藏层的小网络。",
    "full": "主干和新的分类头一起学，主干学得慢些。",
    "gradual": "从头往里一段一段解冻，越靠里学得越慢。",
    "lp_ft": "先只定分类头，再一起调，免得乱的头弄坏特征。",
    "l2sp": "一起调，但把主干拉向它开始的地方。",
    "lora": "每层只加一个低秩的改变，归一化的统计量不变；最后并入权重。",
    "fixmatch": "少量标签加大量没有标签的样本：弱增强下有把握的预测当作强增强样本的标签。",
    "local": "每个客户只用自己的样本学，什么都不发送；个性化要胜过它才算有用。",
    "fedavg": "一个模型给所有人：每个客户在自己的样本上学一遍，服务器把大家发来的模型取平均。",
    "fedavg_ft": "轮次同 FedAvg；最后每个客户在自己的样本上继续学，若留出的样本答得更差就退回通用模型。",
    "fedprox": "FedAvg，但每个客户被拉向收到的模型，走不远。",
    "scaffold": "FedAvg，但每一步都减去这个客户的梯度与大家不同的那部分。",
    "fedper": "主干大家共享，分类头各用各的。",
    "fedrep": "先学自己的分类头，再在它之下学共享的主干。",
    "fedbabu": "只有主干学，分类头一直是同一个随机的；最后每个客户再微调。",
    "fedbn": "除批归一化外全部共享；适合输入样子不同的客户。",
    "ditto": "每个客户参加 FedAvg，同时养一个自己的模型，并拉向通用模型。",
    "fedala": "每次学之前，逐个权重地决定让通用模型的分类头进来多少。",
    "knn_per": "通用模型的回答，加上自己样本里特征最近的邻居的投票；每个客户自己定两者的比例。",
    "feddbe": "客户特征里独有的部分是一个自己的向量，加到特征上；其余共享。",
    "apfl": "用自己的模型和通用模型的混合，混合的比例也在学。",
    "fedproto": "不共享权重，只共享每一类特征的平均；各自的特征被拉向它们。",
    "personalize.auto": "先看客户之间差别多大，训练几种合适的方法，再由留出的样本选一个。",
    "coral": "把源域样本线性变换成目标域的均值和协方差，再从它们学习。",
    "linear_monge": "用两个正态分布之间的最优传输（一个线性映射）把源域样本搬到目标域。",
    "subspace_alignment": "两个域各取主方向，把源域的转到目标域的上。",
    "gfk": "在从源域子空间到目标域子空间的整条路上比较样本。",
    "tca": "找变化大、而两个域的均值相差小的方向；时间随样本数线性增长。",
    "jda": "同 tca，并且每一类的均值也要一致；目标样本的类别由上一轮的模型给出。",
    "bda": "同 jda，域的均值与各类的均值各占多少由数据定。",
    "ot": "按保持类别分开的最优传输，把源域样本搬到目标样本所在处，再从那里学习。",
    "jdot": "把源域的样本和标签与目标域的样本和回答配对，从配对学习，轮流进行。",
    "rulsif": "每个源域样本按它在目标域里可能多少倍来加权；密度比用最小二乘直接求。",
    "kliep": "给源域样本加权，使加权后的目标域最可能；无须步长。",
    "kmm": "给源域样本加权，使它在核空间里的均值就是目标域的均值。",
    "density_ratio": "用一个分辨两个域的分类器的胜率当作密度比来加权。",
    "bbse": "由模型说各类的次数和它的混淆，估计目标域各类的比例，再按比例给源域加权。",
    "mlls": "用最大似然由校准过的概率估计目标域各类的比例，再按比例给源域加权。",
    "feature_augmentation": "特征抄成三份：共有的、源域的、目标域的；需要少量目标标签。",
    "tradaboost": "提升法：每轮里，被误判的目标样本加权，和目标标签矛盾的源样本减权；需要少量目标标签。",
    "tradaboost_r2": "两阶段提升：一步步减去源域的权重，选对留出的目标标签误差最小的一步；数值和类别都行。",
    "transfer_forest": "树的结构不变，用少量目标标签修正源域森林各叶子的回答。",
    "adaptive_svm": "用少量目标标签，尽量少地弯折源域支持向量机的分界面。",
    "mme": "半监督：分类头让目标样本的预测熵变大，特征让它变小，目标样本因此聚到各类周围。",
}
"""What each method does, in Chinese; a method without a line here is described in English."""

ROOM_LINES = {
    "adapt": (
        "`juyi adapt SOURCE TARGET --method NAME`. Every method needs labelled source data and unlabelled target data; "
        "only what differs from that is said here.",
        "`juyi adapt SOURCE TARGET --method NAME`。每个方法都需要带标签的源域数据和没有标签的目标域数据，这里只写与此"
        "不同的。",
    ),
    "adapt.online": (
        "`juyi adapt RUN --online STREAM --method NAME`: a finished run follows a stream.",
        "`juyi adapt RUN --online STREAM --method NAME`：一次已完成的运行跟随数据流。",
    ),
    "distill": (
        "`juyi distill TEACHER [DATA] --student NET --method NAME`: a small network learns what a large one knows.",
        "`juyi distill TEACHER [DATA] --student NET --method NAME`：小网络学会大网络知道的。",
    ),
    "pretrain": (
        "`juyi pretrain IMAGES --method NAME`: a backbone learns from images without labels.",
        "`juyi pretrain IMAGES --method NAME`：主干网络从没有标签的图学习。",
    ),
    "finetune": (
        "`juyi finetune BACKBONE FEW --method NAME`: a classifier from a backbone and a few labels.",
        "`juyi finetune BACKBONE FEW --method NAME`：由主干和少量标签得到分类器。",
    ),
    "personalize": (
        "`juyi personalize CLIENTS --method NAME`: a model for each client out of what all can teach. `local`, "
        "`fedavg` and `fedavg_ft` are trained beside whatever is named.",
        "`juyi personalize CLIENTS --method NAME`：从大家能教的东西里，给每个客户一个模型。不论选哪种方法，旁边都会"
        "训练 `local`、`fedavg` 和 `fedavg_ft`。",
    ),
}
"""How the methods of a room are used; a room without a line here is only named."""

NEEDS = {
    ("needs_target_labels", True): (
        "some labels of the target (`--target-labels`)",
        "少量目标标签（`--target-labels`）",
    ),
    ("takes_unlabelled", True): ("unlabelled rows as well", "还要没有标签的样本"),
    ("needs_batch_norm", True): ("a network with batch norm", "带批归一化的网络"),
    ("source_free", True): (
        "for the source's data, a finished run will do",
        "源域数据可以用一次已完成的运行代替",
    ),
    ("needs_labels", True): ("labelled data", "带标签的数据"),
    ("needs_data", True): ("data, labelled or not", "数据，有没有标签都行"),
    ("takes_data", False): ("no data", "不要数据"),
    ("looks_inside", True): (
        "a teacher with gradients and a last linear layer",
        "教师须能求梯度，最后一层是线性层",
    ),
    ("statistics", 1.0): ("a teacher with batch norm", "教师带批归一化"),
    ("needs", "batch_norm"): ("a network with batch norm", "带批归一化的网络"),
    ("needs", "normalisation"): ("a network with layers of normalisation", "带归一化层的网络"),
}
"""What a class attribute with this value means."""

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Methods",
        "other": "English · [中文](methods.zh-CN.md)",
        "intro": "Made by `docs/make_methods.py` from the methods themselves and from `bench/results/`. "
        "`juyi methods NAME` shows a method's settings. Training time is that of the method as a "
        "multiple of source only (in distillation, of the student alone, which has the labels and no teacher) in the "
        "same run, the median of all runs here; on a busy machine it varies.",
        "head": "| method | what it does | what it needs | training time |\n| --- | --- | --- | --- |",
        "python": "In Python: ",
        "source": "Source: ",
        "needs": "Needs: ",
        "numbers": "Labels may be classes or numbers.",
        "processes": "With several processes: ",
        "shares": "`--class-shares estimated` cannot be had: ",
        "cost": "Training takes {median:.1f} times as long as {floor} (median of {n} runs; {low:.1f} to {high:.1f}).",
        "cost_one": "Training takes {median:.1f} times as long as {floor} (one run).",
        "figures": "Figures, all seeds counted, {floor} first where it was run beside:",
        "none": "No figures yet.",
        "nothing": "–",
        "stop": ".",
        "join": "; ",
    },
    "zh": {
        "title": "方法",
        "other": "[English](methods.md) · 中文",
        "intro": "本页由 `docs/make_methods.py` 根据各方法的代码和 `bench/results/` 生成。`juyi methods NAME` "
        "显示一个方法的设置。训练时间是同一次运行中该方法相当于仅源域（蒸馏则是没有教师、只用标签的学生）的几倍，取这里全部运行的中位数；机器忙时会有出入。",
        "head": "| 方法 | 做什么 | 需要什么 | 训练时间 |\n| --- | --- | --- | --- |",
        "python": "在 Python 里：",
        "source": "出处：",
        "needs": "需要：",
        "numbers": "标签可以是类别，也可以是数值。",
        "processes": "多个进程时（英文）：",
        "shares": "不能用 `--class-shares estimated`（英文）：",
        "cost": "训练时间是{floor}的 {median:.1f} 倍（{n} 次运行的中位数；{low:.1f} 到 {high:.1f}）。",
        "cost_one": "训练时间是{floor}的 {median:.1f} 倍（一次运行）。",
        "figures": "结果如下，所有种子都算在内；同时跑了{floor}的，它在前：",
        "none": "还没有结果。",
        "nothing": "–",
        "stop": "。",
        "join": "；",
    },
}


@dataclass(frozen=True)
class Experiment:
    """An experiment of the benchmarks in which the method was run: its name, its command without seed, its records."""

    name: str
    command: str
    records: list[dict[str, Any]]


def experiments(room: str, method: str) -> list[Experiment]:
    """Every experiment that has results of a method, by name; results of another form are no runs and left out."""
    found = []
    for folder in sorted(path.name for path in (table.HERE / "results").iterdir() if path.is_dir()):
        records = [
            record
            for record in table.records(folder)
            if record.get("method") == method and record.get("room", "adapt") == room.partition(".")[0]
        ]
        if records and table.accuracies(folder, method):
            found.append(Experiment(folder, str(records[0]["command"]).partition(" --seed ")[0], records))
    return found


def costs(room: str, method: str) -> list[float]:
    """Training time of the method as a multiple of its floor's, for every run in which both were trained."""
    floor = FLOORS.get(room, FLOOR)
    seconds = [record.get("seconds", {}) for found in experiments(room, method) for record in found.records]
    return [one[method] / one[floor] for one in seconds if method != floor and one.get(floor) and one.get(method)]


def summary(method: type, room: str, name: str, language: str) -> str:
    """What a method does, in a line."""
    english = (inspect.getdoc(method) or method.__name__).splitlines()[0]
    english = english.removesuffix(":")
    return CHINESE.get(f"{room}.{name}", CHINESE.get(name, english)) if language == "zh" else english


def source(method: type) -> str:
    """The paragraph of the docstring that names author, title and year; empty if there is none.

    >>> class Toy:
    ...     '''A toy.
    ...
    ...     Source: Nobody, "Nothing",
    ...     2026.
    ...
    ...     Example:
    ...         ...
    ...     '''
    >>> source(Toy)
    'Nobody, "Nothing", 2026.'
    """
    after = (inspect.getdoc(method) or "").partition("\nSource:")[2]
    return " ".join(after.split("\n\n")[0].split())


def needs(method: type, language: str) -> list[str]:
    """What a method needs besides data, as its class attributes say."""
    found = {
        key: words[language == "zh"] for (key, value), words in NEEDS.items() if getattr(method, key, None) == value
    }
    if "needs_labels" in found:  # which says it all
        found.pop("needs_data", None)
    return list(found.values())


def figures(room: str, name: str, language: str) -> list[str]:
    """The table of a method's results: each experiment by its command, its floor first."""
    papers = {(row[0], row[1]): row[-1] for row in table.ROWS}
    floor = FLOORS.get(room, FLOOR)
    only = FLOOR_WORDS[floor][language == "zh"]
    lines = []
    for found in experiments(room, name):
        for model, told in ((floor, f"`{found.command}`, {only}"), (name, f"`{found.command}`")):
            if model == name or name != floor:
                line = table.row(language, found.name, model, (told, told), papers.get((found.name, model), ""))
                lines += [line] if line else []
    return [table.HEADS[language], "| --- | --- | --- | --- | --- | --- |", *lines] if lines else []


def section(name: str, method: type, room: str, language: str) -> str:
    """What the page says of one method."""
    floor = FLOOR_WORDS[FLOORS.get(room, FLOOR)][language == "zh"]
    words, facts = WORDS[language], [f"{WORDS[language]['python']}`juyi.{room}.{method.__name__}`"]
    if origin := source(method):
        facts.append(words["source"] + origin)
    if needed := needs(method, language):
        facts.append(words["needs"] + words["join"].join(needed) + words["stop"])
    if getattr(method, "regression", False):
        facts.append(words["numbers"])
    for attribute, word in (("unweighable", "shares"), ("batch_coupled", "processes")):
        reason = getattr(method, attribute, None)
        inherited = any(reason == getattr(parent, attribute, None) for parent in method.__mro__[1:])
        if reason and not inherited:  # what holds for every method is no fact about this one
            facts.append(f"{words[word]}{reason}.")
    if ratios := costs(room, name):
        told = words["cost" if len(ratios) > 1 else "cost_one"]
        facts.append(
            told.format(floor=floor, median=statistics.median(ratios), n=len(ratios), low=min(ratios), high=max(ratios))
        )
    listed = "\n".join(f"- {fact}" for fact in facts)
    results = figures(room, name, language)
    shown = "\n".join([words["figures"].format(floor=floor), "", *results]) if results else words["none"]
    return f"## {name}\n\n{summary(method, room, name, language)}\n\n{listed}\n\n{shown}\n"


def overview(room: str, methods: dict[str, type], language: str) -> str:
    """How the methods of a room are used, and a line for each."""
    words, rows = WORDS[language], []
    for name, method in methods.items():
        ratios = costs(room, name)
        time = f"{statistics.median(ratios):.1f} ×" if ratios else words["nothing"]
        needed = words["join"].join(needs(method, language)) or words["nothing"]
        rows.append(
            f"| [`{name}`](#{anchor(room, name)}) | {summary(method, room, name, language)} | {needed} | {time} |"
        )
    line = ROOM_LINES.get(room, (f"`juyi.{room}`", f"`juyi.{room}`"))[language == "zh"]
    return "\n".join([line, "", words["head"], *rows, ""])


def anchor(room: str, name: str) -> str:
    """Where on the page a method is: of several methods of one name, each later one has a number."""
    before = [one for one, methods in ROOMS.items() if name in methods]
    number = before.index(room)
    return f"{name}-{number}" if number else name


def page(language: str) -> str:
    """The whole page."""
    words = WORDS[language]
    tables = [overview(room, methods, language) for room, methods in ROOMS.items()]
    parts = [section(name, m, room, language) for room, methods in ROOMS.items() for name, m in methods.items()]
    return "\n".join([f"# {words['title']}", "", words["other"], "", words["intro"], "", *tables, *parts])


def main() -> int:
    """Write the pages, or with `--check` say which are stale."""
    contents = {path: page(language) for language, path in PAGES.items()}
    return table.write_or_check(contents, "methods and results say; run python docs/make_methods.py")


if __name__ == "__main__":
    sys.exit(main())
