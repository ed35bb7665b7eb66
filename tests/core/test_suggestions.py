"""Suggestions: how many renamings are recovered, and that none is recovered wrongly."""

import random
import re
import tracemalloc

import pytest

from ckpt.core import renames
from ckpt.core.near_names import Named
from ckpt.core.suggestions import suggest

from .renamings import MODELS, case, is_ambiguous

F32 = "float32"


def named(names, shape=(2, 3)):
    return [Named(name, F32, shape) for name in names]


def recovered(seeds):
    """(how many of how many cases are explained whole, those missed); none may be explained wrongly.

    Cases that are ambiguous by construction are not counted: of them only that nothing wrong is said. With them, 95.3 of
    100 were recovered of 6,000.
    """
    total, missed = 0, []
    for seed in seeds:
        kind, wanted, held, truth = case(seed)
        found = suggest(wanted, held, shown=0)
        wrong = {w: h for w, h in found.pairs.items() if truth.get(w) != h}
        assert not wrong, (seed, kind, wrong)
        if is_ambiguous(kind):
            continue
        total += 1
        if any(found.pairs.get(name) != source for name, source in truth.items()):
            missed.append((seed, kind))
    return total, missed


def test_single_rule_renamings_are_recovered_and_none_wrongly():
    """The promise: at least 95 of 100, measured on models as TensorFlow, Keras and PyTorch name them, and on small ones."""
    total, missed = recovered(range(200))
    assert len(missed) <= 0.05 * total, missed


@pytest.mark.slow
@pytest.mark.parametrize("first", range(200, 2200, 200))
def test_none_of_two_thousand_is_recovered_wrongly(first):
    total, missed = recovered(range(first, first + 200))
    assert len(missed) <= 0.06 * total, missed


def test_the_rules_say_what_the_pairs_say():
    for seed in range(60):
        _, wanted, held, _ = case(seed)
        found = suggest(wanted, held, shown=0)
        if not found.pairs:
            continue
        names = {n.name for n in wanted}
        sources = renames.renamed([n.name for n in held], found.rename, wanted=names).sources
        assert {w: sources[w] for w in found.pairs} == found.pairs


@pytest.mark.parametrize(
    ("change", "rename"),
    [
        (lambda n: "old/" + n, {"old/": ""}),
        (lambda n: n.replace("net/", "old/"), {"old/": "net/"}),
        (lambda n: n.removeprefix("net/"), {"": "net/"}),
        (lambda n: "module." + n.replace("/", "."), None),
        (lambda n: n.replace("kernel", "weights"), {"**/weights": "**/kernel"}),
        (lambda n: n + "/ExponentialMovingAverage", "ema"),
        (lambda n: n + "/.ATTRIBUTES/VARIABLE_VALUE", "object"),
        (str.upper, "lower"),
        (
            lambda n: n.replace("kernel", "weights").replace("bias", "biases"),
            {"**/weights": "**/kernel", "**/biases": "**/bias"},
        ),
        (
            lambda n: "module/" + n.replace("kernel", "w"),
            [{"module/": ""}, {"**/w": "**/kernel"}],
        ),
    ],
)
def test_the_rules_are_the_few_that_a_person_would_write(change, rename):
    names = [f"net/layer_{i}/{leaf}" for i in range(7) for leaf in ("kernel", "bias")]
    wanted = [Named(n, F32, (9, 9) if n.endswith("kernel") else (9,)) for n in names]
    held = [Named(change(n.name), F32, n.shape) for n in wanted]
    found = suggest(wanted, held)
    assert found.pairs == {n: change(n) for n in names if n != change(n)}
    if rename is not None:
        assert found.rename == rename


@pytest.mark.parametrize("scope", ["a*b/", "what?/", "re:x/", "**/"])
@pytest.mark.parametrize("is_held", [True, False], ids=["held", "wanted"])
def test_names_that_would_be_patterns_are_renamed_as_they_are(scope, is_held):
    """Keys of a checkpoint may be any text; the error about missing ones ended in one about a rule that nobody gave."""
    plain, odd = named(["w", "b"]), named([scope + "w", scope + "b"])
    wanted, held = (plain, odd) if is_held else (odd, plain)
    found = suggest(wanted, held)
    assert found.pairs == {w.name: h.name for w, h in zip(wanted, held, strict=True)}
    assert renames.renamed([n.name for n in held], found.rename).sources == found.pairs


def test_two_towers_are_no_suggestion():
    """Either could be meant, so neither is taken; both are shown."""
    wanted = named(["net/a", "net/b"])
    held = named(["tower_0/a", "tower_0/b", "tower_1/a", "tower_1/b"])
    found = suggest(wanted, held)
    assert found.pairs == {}
    assert [c for c, _ in found.candidates["net/a"]][:2] == ["tower_0/a", "tower_1/a"]


def test_a_second_model_beside_the_one_that_is_found_is_left_out_of_account():
    """`student/` repeats what is found without it, so what is missing is not in there."""
    mine = [Named("net/dense/weight", F32, (3, 5)), Named("net/dense/bias", F32, (5,))]
    held = [Named("net/dense/weight", F32, (3, 5)), Named("net/dense/teacher", F32, (5,))]
    held += [Named(f"student/{n.name}", F32, n.shape) for n in held]
    found = suggest(mine, held)
    assert found.pairs == {"net/dense/bias": "net/dense/teacher"}
    assert {c for c, _ in found.candidates["net/dense/bias"]} >= {"net/dense/teacher"}


def test_a_second_model_is_a_source_where_it_is_wanted_or_more_than_a_copy():
    both = [*named(["net/a", "net/b"]), *named(["copy/a", "copy/b"], (4,))]
    held = [*named(["net/a", "net/b"]), *named(["student/a", "student/b"], (4,))]
    assert suggest(both, held).pairs == {"copy/a": "student/a", "copy/b": "student/b"}
    held = [*named(["net/a", "old/net/a"]), *named(["old/net/b", "old/x"], (7,))]
    wanted = [*named(["net/a"]), *named(["net/b"], (7,))]
    assert suggest(wanted, held).pairs in ({"net/b": "old/net/b"}, {})


def test_words_that_many_layers_share_are_all_told_apart():
    """Four vectors of one shape in each of ten layers: the wrong rules explain as much as the right ones."""
    assert recovered([1020]) == (1, [])


def test_scale_is_gamma_and_offset_is_beta_and_words_that_mean_nothing_are_not_guessed():
    wanted = named([f"bn_{i}/{leaf}" for i in range(4) for leaf in ("gamma", "beta")])
    held = named([f"bn_{i}/{leaf}" for i in range(4) for leaf in ("offset", "scale")])
    assert suggest(wanted, held).rename == {"**/scale": "**/gamma", "**/offset": "**/beta"}
    held = named([f"bn_{i}/{leaf}" for i in range(4) for leaf in ("p", "q")])
    assert suggest(wanted, held).pairs == {}


def layer(scope, kernel, bias):
    return [Named(f"{scope}/{kernel}", F32, (3, 2)), Named(f"{scope}/{bias}", F32, (2,))]


@pytest.mark.parametrize("extra", [[], named(["extra"], (2,)), named(["extra", "more"], (2,))])
@pytest.mark.parametrize("has_slots", [False, True])
def test_one_layer_in_other_words_is_recognized_beside_variables_that_are_new(extra, has_slots):
    """Two names are all there is: what the words mean is evidence enough, with equal dtype and shape."""
    held = layer("net/dense", "kernel", "bias")
    if has_slots:
        held += [Named(f"{n.name}/{s}", F32, n.shape) for n in held for s in ("Adam", "Adam_1")]
    found = suggest(layer("net/dense", "weights", "biases") + extra, held)
    assert found.pairs == {
        "net/dense/weights": "net/dense/kernel",
        "net/dense/biases": "net/dense/bias",
    }
    assert found.rename == {"**/kernel": "**/weights", "**/bias": "**/biases"}


def test_words_for_the_same_thing_that_both_occur_are_not_chosen_between():
    wanted = named(["dense/weights", "extra"])
    assert suggest(wanted, named(["dense/kernel", "dense/w"])).pairs == {}
    assert suggest(named(["dense/weights", "dense/w", "x"]), named(["dense/kernel"])).pairs == {}


def test_the_only_one_of_its_shape_in_another_scope_is_recognized():
    wanted = [Named("net/dense/kernel", F32, (3, 2)), Named("extra", F32, (9,))]
    held = [Named("old/dense/kernel", F32, (3, 2)), Named("legacy", F32, (5,))]
    assert suggest(wanted, held).pairs == {"net/dense/kernel": "old/dense/kernel"}
    twice = [*held, Named("older/dense/kernel", F32, (3, 2))]
    assert suggest(wanted, twice).pairs == {}
    numbered = [Named("net/dense_1/kernel", F32, (3, 2)), held[1]]
    assert suggest([Named("net/dense_2/kernel", F32, (3, 2)), wanted[1]], numbered).pairs == {}


def test_layers_whose_numbers_have_moved_are_not_taken_from_another_tower():
    """A name that both have and that does not fit tells that the names next to it are other layers'."""
    wanted = [
        *layer("dense", "w", "b"),
        Named("dense_1/w", F32, (2, 2)),
        Named("dense_1/b", F32, (2,)),
    ]
    held = [*layer("dense_1", "w", "b"), *layer("student/dense_1", "w", "b")]
    assert suggest(wanted, held).pairs == {}


def test_a_slot_is_never_taken_for_its_variable_nor_one_slot_for_another():
    assert suggest(named(["w"]), named(["w/Adam", "w/Adam_1"])).pairs == {}
    found = suggest(named(["a/w/Adam"]), named(["b/w/Adam_1", "b/w"]))
    assert found.pairs == {}


def test_dtype_and_shape_must_agree():
    wanted = [Named("a/w", F32, (2, 3)), Named("a/b", F32, (3,)), Named("a/s", F32, None)]
    held = [Named("x/w", F32, (3, 2)), Named("x/b", "float64", (3,)), Named("x/s", F32, (5,))]
    found = suggest(wanted, held)
    assert "a/w" not in found.pairs
    assert "a/b" not in found.pairs
    reasons = {held: reason for reasons in found.candidates.values() for held, reason in reasons}
    assert "transposed: float32[3, 2]" in reasons["x/w"]
    assert "but float64[3]" in reasons["x/b"]


def test_layers_that_were_numbered_anew_are_a_guess_and_not_taken():
    wanted = [Named(f"conv_{i}/k", F32, (3, 3)) for i in range(9, 12)]
    held = [Named(f"conv_{i}/k", F32, (3, 3)) for i in range(1, 4)]
    found = suggest(wanted, held)
    assert found.pairs == {}
    assert found.guess == {"conv_1/": "conv_9/", "conv_2/": "conv_10/", "conv_3/": "conv_11/"}
    held[1] = Named("conv_2/k", F32, (1,))
    assert suggest(wanted, held).guess == {}


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("called", ["net/layer_{}/{}", "blocks.{}.{}", "conv{}/{}", "a/{}/b/{}"])
def test_layers_that_are_counted_from_another_number_are_not_mixed_up(called, first):
    """All but one have the name of another one: the one that is left over is not the one that is missing."""

    def layers(first):
        return [
            Named(called.format(first + i, part), F32, shape)
            for i in range(4)
            for part, shape in (("kernel", (8, 8)), ("bias", (8,)))
        ]

    wanted, held = layers(first), layers((first + 1) % 3)
    found = suggest(
        [*wanted, Named("logits/w", F32, (8, 2))], [*held, Named("logits/w", F32, (8, 2))]
    )
    assert found.pairs == {}
    names = {w.name: h.name for w, h in zip(wanted, held, strict=True)}
    renamed = renames.renamed([n.name for n in held], found.guess)
    assert renamed.sources == names


def test_layers_of_which_one_stays_where_it_is_are_no_guess_that_moves_it():
    wanted = [Named(f"a/l_{i}/{part}", F32, (2,)) for i, part in ((0, "w"), (1, "w"), (1, "b"))]
    held = [Named(f"a/l_{i}/{part}", F32, (2,)) for i, part in ((1, "w"), (2, "w"), (1, "b"))]
    found = suggest(wanted, held)
    assert found.pairs == {}
    assert found.guess == {}


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("step", [1, 2])
def test_where_all_numbers_have_moved_no_layer_is_taken_for_another(step, back):
    """Most names are found, and are other layers': the few that are left over are no evidence for each other."""
    tried = 0
    for seed in range(120):
        rng = random.Random(seed)
        model = rng.choice(MODELS)(rng)
        if any(re.search(r"Adam|power", name) for name in model):
            continue
        moved = {n: re.sub(r"\d+(?=\D*$)", lambda m: str(int(m[0]) + step), n) for n in model}
        if len(set(moved.values())) < len(model) or not set(moved.values()) & set(model):
            continue
        tried += 1
        truth = {held: name for name, held in moved.items()} if back else moved
        wanted = [Named(moved[n] if back else n, F32, shape) for n, shape in model.items()]
        held = [Named(truth[n.name], F32, n.shape) for n in wanted]
        found = suggest(wanted, held, shown=0).pairs
        assert {w: h for w, h in found.items() if truth[w] != h} == {}, seed
    assert tried > 20


def test_a_numbering_that_has_moved_by_one_is_seen_behind_names_that_agree():
    """Some names are found, and are another layer's: only the rule that moves them too explains everything."""
    wanted = [Named(f"conv{n}/k", F32, (3, 3)) for n in ("", "_1", "_2")]
    held = [Named(f"conv{n}_1/k", F32, (3, 3)) for n in ("", "_1", "_2")]
    found = suggest(wanted, held)
    assert found.pairs == {"conv/k": "conv_1/k", "conv_1/k": "conv_1_1/k", "conv_2/k": "conv_2_1/k"}


def test_the_reason_is_said():
    wanted = named(["net/dense/kernel", "net/dense/bias", "emb"])
    held = [
        *named(["dense/kernel", "net/dense_1/kernel", "net/dense/kernel/ExponentialMovingAverage"]),
        *named(["emb/part_0"], (1, 3)),
        Named("unlike", F32, (2, 3)),
    ]
    found = suggest(wanted, held).candidates
    assert dict(found["net/dense/kernel"])["dense/kernel"].startswith("without scope 'net'") or (
        "'net'" in dict(found["net/dense/kernel"])["dense/kernel"]
    )
    assert any("moving average" in why for _, why in found["net/dense/kernel"])
    assert (
        "emb/part_0",
        "a part of it, saved under a name of its own, but float32[1, 3]",
    ) in found["emb"]
    alone = suggest([Named("x", F32, (7,))], [Named("completely/else", F32, (7,))])
    assert "the only one of this dtype and shape" in alone.candidates["x"][0][1]
    assert alone.pairs == {}


def test_twenty_thousand_names_take_no_quadratic_time():
    """Near names come from tables: the work per name does not grow with their number."""
    names = [
        f"net/block_{i // 20}/layer_{i % 20}/{leaf}" for i in range(10_000) for leaf in ("k", "b")
    ]
    wanted = named(names)
    held = named(["old/" + name for name in names])
    random.Random(0).shuffle(held)
    found = suggest(wanted, held, shown=10)
    assert len(found.pairs) == 20_000
    assert found.rename == {"old/": ""}
    assert re.fullmatch("old/net/.*", found.pairs[names[7]])


def test_a_checkpoint_of_very_many_names_takes_little_memory_for_a_few_that_are_missing():
    wanted = named([f"net/dense_{i}/kernel" for i in range(10)])
    others = [f"other/net_{i}/dense_{i % 50}/block/a/b/c/d/kernel" for i in range(20_000)]
    held = named(others, (5,))
    held += named([f"old/net/dense_{i}/kernel" for i in range(10)])
    tracemalloc.start()
    try:
        found = suggest(wanted, held)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.rename == {"old/": ""}
    assert peak < 15 << 20  # 80 MiB with tables of all names


@pytest.mark.parametrize(
    "name", ["net/" + "x" * 1_000_000, "a/" * 20_000 + "b", "net/dense/" + "kernel/" * 300]
)
def test_a_name_that_is_longer_than_names_are_is_no_candidate(name):
    """Comparing two of them letter by letter, or writing out its parts, would take hours or gigabytes."""
    wanted = [*named(["net/dense/kernel", "net/dense/bias"]), *named([name + "y"], (7,))]
    held = [*named(["old/net/dense/kernel", "old/net/dense/bias", name + "z"]), *named([name], (7,))]  # fmt: skip
    found = suggest(wanted, held)
    assert found.rename == {"old/": ""}
    assert found.candidates.keys() == {"net/dense/kernel", "net/dense/bias"}


def test_nothing_is_suggested_where_there_are_more_names_than_can_be_compared():
    others = named([f"{n:0>390}" for n in range(21_600)], (5,))
    wanted, held = named(["a/w", "a/b"]), named(["old/a/w", "old/a/b"])
    assert suggest(wanted, [*others[:21_400], *held]).rename == {"old/": ""}
    assert suggest(wanted, [*others, *held]) == suggest([], [])
