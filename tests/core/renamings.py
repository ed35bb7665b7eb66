"""Models as TensorFlow, Keras and PyTorch name them, and single-rule renamings of them: the set that suggestions are measured on."""

import itertools
import random
import re

from ckpt.core.near_names import Named

F32 = "float32"


def tf_slim(rng):
    """Convolutions and batch norm under one scope: `vgg/conv1/conv1_1/weights`."""
    top = rng.choice(["vgg_16", "resnet_v1_50", "net", "InceptionV3", "tower_0"])
    found = {}
    for block in range(1, rng.randint(2, 5)):
        for unit in range(1, rng.randint(2, 4)):
            scope = f"{top}/block{block}/unit_{unit}/conv"
            cin, cout = rng.choice([16, 32, 64]), rng.choice([16, 32, 64])
            found[f"{scope}/weights"] = (3, 3, cin, cout)
            found[f"{scope}/biases"] = (cout,)
            for name in ("gamma", "beta", "moving_mean", "moving_variance"):
                found[f"{scope}/BatchNorm/{name}"] = (cout,)
    found[f"{top}/logits/weights"] = (64, 10)
    found[f"{top}/logits/biases"] = (10,)
    return found


def keras(rng):
    """Numbered layers: `conv2d_1/kernel`."""
    found = {}
    for index in range(rng.randint(2, 8)):
        number = f"_{index}" if index else ""
        found[f"conv2d{number}/kernel"] = (3, 3, rng.choice([8, 16]), 16)
        found[f"conv2d{number}/bias"] = (16,)
        found[f"batch_normalization{number}/gamma"] = (16,)
        found[f"batch_normalization{number}/beta"] = (16,)
    found["dense/kernel"] = (256, 10)
    found["dense/bias"] = (10,)
    return found


def torch(rng):
    """Modules in modules: `encoder.layers.3.attn.q_proj.weight`."""
    width = rng.choice([32, 64])
    top = rng.choice(["encoder", "model.decoder", "transformer"])
    found = {"embed.weight": (100, width)}
    for layer in range(rng.randint(1, 6)):
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found[f"{top}.layers.{layer}.attn.{part}.weight"] = (width, width)
            found[f"{top}.layers.{layer}.attn.{part}.bias"] = (width,)
        found[f"{top}.layers.{layer}.norm.weight"] = (width,)
        found[f"{top}.layers.{layer}.norm.bias"] = (width,)
    return found


def recurrent(rng):
    """Cells in cells, with slots of Adam: `rnn/multi_rnn_cell/cell_0/basic_lstm_cell/kernel/Adam`."""
    found = {"embedding": (50, 32), "softmax/w": (32, 50), "softmax/b": (50,)}
    for cell in range(rng.randint(1, 4)):
        scope = f"rnn/multi_rnn_cell/cell_{cell}/basic_lstm_cell"
        found[f"{scope}/kernel"] = (64, 128)
        found[f"{scope}/bias"] = (128,)
    if rng.random() < 0.5:
        found.update(
            {f"{n}/{slot}": s for n, s in list(found.items()) for slot in ("Adam", "Adam_1")}
        )
        found["beta1_power"] = found["beta2_power"] = ()
    return found


def small(rng):
    """One to three layers, as one writes them by hand: `net/dense/weights`, `w`."""
    kernel, bias = rng.choice(
        [("kernel", "bias"), ("weights", "biases"), ("w", "b"), ("W", "B"), ("weight", "bias")]
    )
    top = rng.choice(["net/", "model/body/", ""])
    width = rng.choice([2, 5])
    sizes = [rng.choice([3, 4]), *(rng.choice([width, 7]) for _ in range(rng.randint(1, 3)))]
    found = {}
    for index, (cin, cout) in enumerate(itertools.pairwise(sizes)):
        scope = f"{top}dense{f'_{index}' if index else ''}"
        found[f"{scope}/{kernel}"] = (cin, cout)
        if rng.random() < 0.8:
            found[f"{scope}/{bias}"] = (cout,)
        if rng.random() < 0.3:
            found |= {f"{scope}/norm/{name}": (cout,) for name in ("gamma", "beta")}
    return found


MODELS = [tf_slim, keras, torch, recurrent, small, small, small]


EXTRAS = [
    "nothing",
    "slots",
    "averages",
    "another tower",
    "removed layer",
    "new variable",
    "removed and new",
]
"""What a checkpoint may hold, or a program want, beside the model."""

WORDS = {
    "kernel": "weights",
    "weights": "kernel",
    "weight": "kernel",
    "w": "kernel",
    "W": "weights",
    "bias": "biases",
    "biases": "b",
    "b": "bias",
    "B": "biases",
    "gamma": "scale",
    "beta": "offset",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "embedding": "embedding_table",
}
"""Words for the same thing, in two libraries."""

ONE_PREFIX = {
    "prefix added",
    "module.",
    "two scopes added",
    "scope renamed",
    "scope taken out",
    "first scope _1",
}
"""The renamings where a copy of the model under one more scope is explained by a rule of the same kind: ambiguous."""


def _mark(name):
    return "." if "/" not in name and "." in name else "/"


def renaming(rng, names):
    """(kind, function from the variable's name to the name in the checkpoint): one rule, as people rename."""
    mark = _mark(next(n for n in names if "/" in n or "." in n))
    tops = sorted({n.split(mark)[0] for n in names if mark in n})
    leaves = sorted({n.split(mark)[-1] for n in names if mark in n})
    inner = sorted({part for n in names for part in n.split(mark)[1:-1]})
    top, leaf = rng.choice(tops), rng.choice(leaves)
    new = rng.choice(["old", "A_untrain", "pretrained", "w2", "scope_1", "teacher", "body"])
    edge = re.escape(mark)
    found = {
        "prefix added": lambda n: f"{new}{mark}{n}",
        "module.": lambda n: "module." + n,
        "two scopes added": lambda n: f"{new}{mark}net{mark}{n}",
        "scope renamed": lambda n: re.sub(rf"^{re.escape(top)}{edge}", new + mark, n),
        "scope taken out": lambda n: re.sub(rf"^{re.escape(top)}{edge}", "", n),
        "leaf renamed": lambda n: re.sub(rf"(^|{edge}){re.escape(leaf)}$", rf"\1{new}", n),
        "suffix :0": lambda n: n + ":0",
        "object keys": lambda n: n + "/.ATTRIBUTES/VARIABLE_VALUE",
        "moving averages": lambda n: n + "/ExponentialMovingAverage",
        "numbers joined": lambda n: re.sub(r"_(\d+)", r"\1", n),
        "numbers dashed": lambda n: re.sub(r"_(\d+)", r"-\1", n),
        "first scope _1": lambda n: re.sub(rf"^([^{edge}]+){edge}", rf"\1_1{mark}", n),
        "words": lambda n: _in_other_words(n, mark),
        "capitals": str.upper,
        "capital first letters": lambda n: re.sub(
            rf"(^|{edge})([a-z])", lambda m: m[1] + m[2].upper(), n
        ),
        "separators": lambda n: n.replace(mark, "." if mark == "/" else "/"),
        "scope put in": lambda n: re.sub(rf"{edge}([^{edge}]+)$", rf"{mark}{new}{mark}\1", n),
        "second scope put in": lambda n: re.sub(
            rf"^([^{edge}]+){edge}", rf"\1{mark}{new}{mark}", n
        ),
    }
    if inner:
        part = rng.choice(inner)
        found["inner scope renamed"] = lambda n: re.sub(
            rf"(?<={edge}){re.escape(part)}(?={edge})", new, n
        )
        found["inner scope taken out"] = lambda n: re.sub(
            rf"(?<={edge}){re.escape(part)}{edge}", "", n
        )
        stem = part.rstrip("0123456789").rstrip("_")
        if stem and stem != part:
            found["inner numbered scope renamed"] = lambda n: re.sub(
                rf"(?<={edge}){re.escape(stem)}_?(\d+)(?={edge})", rf"{new}\1", n
            )
    kind = rng.choice(sorted(found))
    return kind, found[kind]


def _in_other_words(name, mark):
    *scopes, last = name.split(mark)
    return mark.join([*scopes, WORDS.get(last, last)])


def _also(change, kind, name, suffix):
    """What the checkpoint calls something kept beside a variable."""
    return f"{name}/{suffix}" if kind == "moving averages" else change(f"{name}/{suffix}")


def _removed(rng, model):
    """What the checkpoint holds and the program wants no more; its shapes may be those of other variables."""
    leaf = rng.choice(["weights", "kernel", "alpha"])
    shape = rng.choice([(7, 3), (), *model.values()])
    return {f"legacy/head/{leaf}": shape, f"legacy/head/{leaf}_bias": (3,)}


def _new(rng, model):
    """One to three variables that the checkpoint never had; their shapes may be those of other variables."""
    mark = _mark(next(iter(model)))
    scope = rng.choice(list(model)).rpartition(mark)[0]
    names = ["extra", "brand/new/thing", "temperature", f"{scope}{mark}alpha".strip(mark)]
    return {
        name: rng.choice([(77,), (), *model.values()])
        for name in rng.sample(names, rng.randint(1, 3))
    }


def is_ambiguous(kind):
    """Whether the checkpoint of a case also holds a second copy of the model that one rule explains as well."""
    renamed, _, extra = kind.rpartition(", ")
    return extra == "another tower" and renamed in ONE_PREFIX


def case(seed):
    """(kind, wanted, held, truth): truth is variable -> name in the checkpoint, for those renamed.

    The checkpoint also holds what nobody wants: slots of the renamed, another tower, a layer that was removed; and some
    variables are new.
    """
    rng = random.Random(seed)
    while True:
        model = rng.choice(MODELS)(rng)
        kind, change = renaming(rng, list(model))
        if kind == "moving averages":
            model = {n: s for n, s in model.items() if not re.search(r"Adam|power", n)}
        renamed = {n: change(n) for n in model}
        if len(set(renamed.values())) == len(model) and any(n != c for n, c in renamed.items()):
            break
    held = {renamed[n]: shape for n, shape in model.items()}
    extra = rng.choice([*EXTRAS, "nothing"])
    if kind == "moving averages" and extra == "averages":
        extra = "slots"
    if kind in ("leaf renamed", "scope put in", "words"):  # these say nothing about slots
        extra = "nothing" if extra in ("slots", "averages") else extra
    wanted = dict(model)
    suffixes = {"slots": ("Adam", "Adam_1"), "averages": ("ExponentialMovingAverage",)}
    if not any("Adam" in name for name in model):
        for suffix in suffixes.get(extra, ()):
            held.update({_also(change, kind, n, suffix): s for n, s in model.items()})
    if extra == "another tower":
        held.update({f"student{_mark(n)}{renamed[n]}": shape for n, shape in model.items()})
    if extra in ("removed layer", "removed and new"):
        held.update(_removed(rng, model))
    if extra in ("new variable", "removed and new"):
        wanted.update(_new(rng, model))
    found = [Named(n, F32, s) for n, s in held.items()]
    truth = {n: renamed[n] for n in model if n != renamed[n]}
    rng.shuffle(found)
    return f"{kind}, {extra}", [Named(n, F32, s) for n, s in wanted.items()], found, truth
