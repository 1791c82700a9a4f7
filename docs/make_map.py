"""Write docs/map.md and docs/map.zh-CN.md: every method in its cell of the four axes, from the methods themselves.

python docs/make_map.py            write them
python docs/make_map.py --check    fail if they are not what the code says
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "bench")]

import table  # noqa: E402
from make_methods import anchor, summary  # noqa: E402

from juyi.cli.kinds import QUESTIONS, kind_of  # noqa: E402
from juyi.cli.methods import ROOMS  # noqa: E402

PAGES = {"en": HERE / "map.md", "zh": HERE / "map.zh-CN.md"}
AXES = ("arrives", "columns", "target_labels")
WORDS = {
    "en": {
        "title": "The map",
        "other": "English · [中文](map.zh-CN.md)",
        "intro": "Made by `docs/make_map.py` from the methods themselves. Transfer learning by four axes: which labels "
        "the target has, what is carried over, whether both domains have the same columns, and whether the target is "
        "there at once or comes online. `juyi methods` answers on the command line, for instance\n"
        "`juyi methods --target-labels none --columns same --tells numbers`.",
        "head": "| carried over | method | what it does | tells | time |\n| --- | --- | --- | --- | --- |",
        "empty": "None yet.",
        "arrives": {"at once": "the target is there at once", "online": "the target comes online"},
        "columns": {"same": "the same columns", "other": "other columns"},
        "target_labels": {
            "none needed": "no label of the target is needed",
            "some needed": "some labels of the target",
        },
        "page": "methods.md",
    },
    "zh": {
        "title": "地图",
        "other": "[English](map.md) · 中文",
        "intro": "本页由 `docs/make_map.py` 根据各方法的代码生成。迁移学习按四个轴来分：目标域有哪些标签，迁移的是"
        "什么，两个域的列是否相同，目标域是一次就有还是在线到来。命令行上可以问 `juyi methods`，例如\n"
        "`juyi methods --target-labels none --columns same --tells numbers`。",
        "head": "| 迁移什么 | 方法 | 做什么 | 回答什么 | 时间 |\n| --- | --- | --- | --- | --- |",
        "empty": "还没有。",
        "arrives": {"at once": "目标域一次就有", "online": "目标域在线到来"},
        "columns": {"same": "列相同", "other": "列不同"},
        "target_labels": {"none needed": "不需要目标标签", "some needed": "需要少量目标标签"},
        "page": "methods.zh-CN.md",
    },
}
CHINESE = {
    "instances": "样本",
    "features": "特征",
    "model": "模型",
    "relations": "关系",
    "classes": "类别",
    "classes, numbers": "类别、数值",
    "trains a network": "训练网络",
    "one pass over the stream": "数据流一遍",
    "seconds; grows with the rows": "几秒；随样本数增长",
    "seconds to minutes; grows with the rows": "几秒到几分钟；随样本数增长",
    "seconds, once the features are computed": "特征算好以后几秒",
    "seconds; grows with the cube of the items": "几秒；随对象数的立方增长",
    "seconds; grows with the square of the rows, of which some are drawn": "几秒；随样本数的平方增长，因此只抽一部分",
}
"""Words of the cells; what has none here is said in English."""


def section(cell: dict[str, str], language: str) -> list[str]:
    """One cell of three axes: its methods, by what they carry over."""
    words, lines = WORDS[language], []
    for carried in QUESTIONS["carried"][1]:
        for room, methods in ROOMS.items():
            for name, method in methods.items():
                kind = kind_of(method)
                if kind["carries"] == carried and all(kind[axis] == cell[axis] for axis in AXES):
                    told = [kind[key] for key in ("carries", "tells", "costs")]
                    what, tells, costs = (CHINESE.get(one, one) for one in told) if language == "zh" else told
                    link = f"[`{name}`]({words['page']}#{anchor(room, name)})"
                    lines.append(f"| {what} | {link} | {summary(method, room, name, language)} | {tells} | {costs} |")
    title = ", ".join(words[axis][cell[axis]] for axis in AXES)
    return [f"## {title[0].upper()}{title[1:]}", "", *([words["head"], *lines] if lines else [words["empty"]]), ""]


def page(language: str) -> str:
    """The whole page."""
    words = WORDS[language]
    lines = [f"# {words['title']}", "", words["other"], "", words["intro"], ""]
    for arrives in words["arrives"]:
        for columns in words["columns"]:
            for labels in words["target_labels"]:
                lines += section({"arrives": arrives, "columns": columns, "target_labels": labels}, language)
    return "\n".join(lines)


def main() -> int:
    """Write the pages, or with `--check` say which are stale."""
    contents = {path: page(language) for language, path in PAGES.items()}
    return table.write_or_check(contents, "methods say; run python docs/make_map.py")


if __name__ == "__main__":
    sys.exit(main())
