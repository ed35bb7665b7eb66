"""Input pipelines: elements in their order, what they are said to be, the four kinds of iterators, errors, positions."""

import gzip
import os
import tempfile

import numpy as np


def elements(tf, dataset, most=60):
    """All elements, as lists and numbers that can be compared."""
    following = dataset.make_one_shot_iterator().get_next()
    found = []
    with tf.Session() as session:
        try:
            while len(found) < most:
                found.append(plain(session.run(following)))
        except tf.errors.OutOfRangeError:
            pass
    return found


def plain(value):
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return [plain(member) for member in value]
    return np.asarray(value).tolist()


def described(tf, dataset):
    """What a dataset says of its elements."""
    types, shapes = dataset.output_types, dataset.output_shapes
    names = tf.nest.map_structure(lambda kind: kind.__name__, dataset.output_classes)
    return [plain_text(types), plain_text(shapes), str(names)]


def plain_text(nest):
    return repr(nest)


def case_nested_elements(tf):
    data = tf.data.Dataset
    slices = data.from_tensor_slices(
        {"b": np.ones((3, 2), np.float32), "a": ([1, 2, 3], ["x", "y", "z"])}
    )
    datasets = {
        "slices": slices,
        "batches": slices.batch(2),
        "full": slices.batch(2, drop_remainder=True),
        "mapped": slices.map(lambda d: (d["a"][0] * 2, {"text": d["a"][1]})),
        "zipped": data.zip((slices, {"n": data.range(5)})),
        "listed": data.range(3).map(lambda v: [v, v + 1]),
        "enumerated": data.from_tensor_slices(["p", "q"]).enumerate(start=5),
    }
    return {
        name: [elements(tf, dataset), described(tf, dataset)] for name, dataset in datasets.items()
    }


def case_shuffled(tf):
    data, found = tf.data.Dataset, {}
    for size in (1, 3, 10, 99):
        for seed in (0, 3, 2**31 + 5):
            once = data.range(10).shuffle(size, seed=seed)
            found[f"{size} {seed}"] = elements(tf, once.repeat(3))
            found[f"{size} {seed} alike"] = elements(
                tf, data.range(10).shuffle(size, seed, reshuffle_each_iteration=False).repeat(2)
            )
            found[f"{size} {seed} after"] = elements(
                tf, data.range(10).repeat(2).shuffle(size, seed)
            )
    for first, second in ((1, 3), (2, 2), (3, 1)):
        rounds = data.range(10).shuffle(20, seed=5).repeat(first).repeat(second)
        found[f"{first} times {second} rounds"] = elements(tf, rounds)
    found["long"] = elements(tf, data.range(3000).shuffle(1000, seed=8).batch(500))
    tf.set_random_seed(12)
    numbered = [data.range(10).shuffle(10) for _ in range(2)]
    found["graph"] = [elements(tf, dataset) for dataset in numbered]
    found["both"] = elements(tf, data.range(10).shuffle(10, seed=1))
    return found


def case_transformations(tf):
    data = tf.data.Dataset
    numbers = data.range(7)
    made = {
        "interleave": numbers.interleave(lambda v: data.from_tensors(v).repeat(v), 3, 2),
        "flat": numbers.flat_map(lambda v: data.range(v)),
        "captured": numbers.flat_map(lambda v: numbers.take(v)),
        "filter": numbers.filter(lambda v: tf.equal(v % 2, 0)),
        "concatenate": numbers.concatenate(data.range(2)),
        "repeat": numbers.take(2).repeat(3),
        "none": numbers.repeat(0),
        "skip": numbers.skip(5),
        "too many": numbers.skip(9),
        "shard": numbers.shard(3, 2),
        "cache": numbers.cache().repeat(2),
        "prefetch": numbers.prefetch(1),
        "padded": numbers.map(lambda v: tf.fill(tf.reshape(v, [1]), v)).padded_batch(3, [None]),
        "padded to": numbers.map(lambda v: (v, tf.fill(tf.reshape(v, [1]), "x"))).padded_batch(
            4, ([], [8]), (np.int64(0), "-")
        ),
        "window": numbers.window(3, 2, 1, True).flat_map(lambda d: d.batch(3)),
        "unbatch": numbers.batch(3).unbatch(),
        "apply": numbers.apply(lambda d: d.map(lambda v: v + 1)),
        "branches": numbers.map(lambda v: tf.cond(v > 3, lambda: v * 10, lambda: v)),
        "loops": numbers.map(lambda v: tf.while_loop(lambda w: w < 20, lambda w: w * 2 + 1, [v])),
    }
    found = {name: elements(tf, dataset) for name, dataset in made.items()}
    found["reduce"] = int(tf.Session().run(numbers.reduce(np.int64(1), lambda s, v: s * 2 + v)))
    return found


def case_experimental(tf):
    data, experimental = tf.data.Dataset, tf.data.experimental
    numbers = data.range(7)
    batches = experimental.map_and_batch(lambda v: (v, v * 2), 3, drop_remainder=True)
    pieces = data.from_tensors(([1, 2], ["a", "b"]))
    made = {
        "shuffle_and_repeat": numbers.apply(experimental.shuffle_and_repeat(4, 3, seed=9)),
        "map_and_batch": numbers.apply(batches),
        "scan": numbers.apply(
            experimental.scan((np.int64(0), 1.0), lambda s, v: ((s[0] + v, s[1] * 2), s))
        ),
        "take_while": numbers.apply(experimental.take_while(lambda v: v < 4)),
        "unbatch": pieces.apply(experimental.unbatch()),
        "enumerate": numbers.take(2).apply(experimental.enumerate_dataset(3)),
        "interleave": numbers.apply(
            experimental.parallel_interleave(lambda v: data.range(v), 2, 2, sloppy=False)
        ),
        "ignore_errors": numbers.map(lambda v: 6 // (v - 2)).apply(experimental.ignore_errors()),
    }
    found = {name: [elements(tf, d), described(tf, d)] for name, d in made.items()}
    single = experimental.get_single_element(numbers.skip(6).map(lambda v: {"v": v}))
    found["single"] = plain(tf.Session().run(single))
    found["legacy"] = [
        plain_text(f(numbers)) for f in (tf.data.get_output_types, tf.data.get_output_shapes)
    ]
    return found


def case_names_of_files(tf):
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a1", "a2", "b1", "a3"):
            with open(os.path.join(folder, name), "w"):
                pass
        datasets = {
            "in order": tf.data.Dataset.list_files(folder + "/a*", shuffle=False),
            "of several": tf.data.Dataset.list_files(
                [folder + "/b*", folder + "/a?"], shuffle=False
            ),
            "shuffled": tf.data.Dataset.list_files(folder + "/*", seed=4),
        }
        found = {name: elements(tf, dataset) for name, dataset in datasets.items()}
    return {name: [n.decode()[-2:] for n in names] for name, names in found.items()}


def error_no_file_matches(tf):
    iterator = tf.data.Dataset.list_files("/nowhere/at/all*").make_initializable_iterator()
    tf.Session().run(iterator.initializer)


def error_scan_without_a_pair(tf):
    tf.data.Dataset.range(2).apply(tf.data.experimental.scan(np.int64(0), lambda s, v: s + v))


def error_several_elements_are_no_single_one(tf):
    tf.Session().run(tf.data.experimental.get_single_element(tf.data.Dataset.range(2)))


def case_sparse(tf):
    data = tf.data.Dataset
    sparse = tf.SparseTensor([[0, 0], [1, 2]], [1, 2], [2, 3])
    made = {
        "whole": data.from_tensors(sparse).repeat(2).batch(2),
        "rows": data.from_tensor_slices({"s": sparse}),
        "mapped": data.from_tensors((sparse, 1)).map(lambda s, n: tf.sparse_tensor_to_dense(s) + n),
        "made": data.range(2).map(lambda v: tf.SparseTensor([[0]], tf.reshape(v, [1]), [4])),
    }
    return {name: [elements(tf, d), described(tf, d)] for name, d in made.items()}


def case_generator(tf):
    data = tf.data.Dataset

    def counted(stop):
        for i in range(stop):
            yield i, {"t": "x" * i, "v": np.arange(i)}

    dataset = data.from_generator(
        counted,
        (tf.int32, {"t": tf.string, "v": tf.int64}),
        ([], {"t": [], "v": [None]}),
        args=(3,),
    )
    squares = data.from_generator(lambda: (i * i for i in range(4)), tf.float32)
    return {
        "nested": elements(tf, dataset.repeat(2)),
        "said": described(tf, dataset),
        "numbers": elements(tf, squares),
        "unknown": described(tf, squares),
    }


def case_files(tf):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "f")
        with open(path, "wb") as file:
            file.write(b"HHa\r\nb\n\nccFF")
        with gzip.open(path + ".gz", "wb") as file:
            file.write(b"x\ny\n")
        with tf.python_io.TFRecordWriter(path + ".r") as writer:
            for record in (b"one", b"", b"three"):
                writer.write(record)
        found = {
            "lines": tf.data.TextLineDataset([path, path]),
            "packed": tf.data.TextLineDataset(path + ".gz", compression_type="GZIP"),
            "records": tf.data.TFRecordDataset([path + ".r"]),
            "twice": tf.data.TFRecordDataset(tf.data.Dataset.from_tensors(path + ".r").repeat(2)),
            "fixed": tf.data.FixedLengthRecordDataset(path, 2, 2, 2),
        }
        return {name: str(elements(tf, dataset)) for name, dataset in found.items()}


def case_iterators(tf):
    data = tf.data.Dataset
    least = tf.placeholder(tf.int64, [])
    reading = data.range(10).filter(lambda v: v >= least).make_initializable_iterator()
    either = tf.data.Iterator.from_structure(tf.int64, tf.TensorShape([]))
    first, second = (either.make_initializer(data.range(a, b)) for a, b in ((0, 2), (7, 9)))
    handle = tf.placeholder(tf.string, [])
    fed = tf.data.Iterator.from_string_handle(handle, tf.int64, [])
    values = [reading.get_next(), either.get_next(), fed.get_next()]
    once = data.range(50, 53).make_one_shot_iterator()
    with tf.Session() as session:
        found = []
        for number in (4, 8):
            session.run(reading.initializer, {least: number})
            found.append([session.run(values[0]) for _ in range(2)])
        for initializer in (first, second):
            session.run(initializer)
            found.append([session.run(values[1]) for _ in range(2)])
        handles = session.run([once.string_handle(), reading.string_handle()])
        session.run(reading.initializer, {least: 3})
        found.append([session.run(values[2], {handle: handles[i % 2]}) for i in range(6)])
    names = [reading.initializer.name, first.name, once.get_next("element").name]
    return {
        "found": np.array(found[:4]).tolist(),
        "fed": [int(v) for v in found[4]],
        "names": names,
    }


def case_a_position_is_saved(tf):
    data = tf.data.Dataset
    with tempfile.TemporaryDirectory() as folder:
        dataset = data.range(12).shuffle(5, seed=1).repeat(3).map(lambda v: (v, tf.as_string(v)))
        iterator = dataset.interleave(lambda v, t: data.from_tensors((v, t)).repeat(2), 2).batch(3)
        iterator = iterator.make_initializable_iterator()
        following = iterator.get_next()
        tf.add_to_collection(
            tf.GraphKeys.SAVEABLE_OBJECTS,
            tf.data.experimental.make_saveable_from_iterator(iterator),
        )
        saver = tf.train.Saver()
        with tf.Session() as session:
            session.run(iterator.initializer)
            for _ in range(9):
                session.run(following)
            path = saver.save(session, os.path.join(folder, "model"))
            rest = [plain(session.run(following)) for _ in range(5)]
        with tf.Session() as session:
            session.run(iterator.initializer)
            saver.restore(session, path)
            again = [plain(session.run(following)) for _ in range(5)]
    return {"rest": str(rest), "is_same": rest == again}


def case_errors_do_not_end_an_iteration(tf):
    def checked(v):
        return tf.check_numerics(1.0 / tf.cast(v - 1, tf.float32), "one")

    following = tf.data.Dataset.range(3).map(checked).make_one_shot_iterator().get_next()
    found = []
    with tf.Session() as session:
        for _ in range(5):
            try:
                found.append(float(session.run(following)))
            except tf.errors.OpError as error:
                found.append(type(error).__name__)
    return {"found": found}


def error_scalars_have_no_slices(tf):
    tf.data.Dataset.from_tensor_slices(3)


def error_sizes_differ(tf):
    tf.data.Dataset.from_tensor_slices((np.ones(3), np.ones(4)))


def error_placeholder_in_one_shot(tf):
    tf.data.Dataset.from_tensors(tf.placeholder(tf.int64)).make_one_shot_iterator()


def error_variable_in_one_shot(tf):
    v = tf.get_variable("v", [], tf.int64)
    tf.data.Dataset.range(3).map(lambda x: x + v).make_one_shot_iterator()


def error_not_initialized(tf):
    following = tf.data.Dataset.range(3).make_initializable_iterator().get_next()
    tf.Session().run(following)


def error_no_initializer(tf):
    return tf.data.Dataset.range(3).make_one_shot_iterator().initializer


def error_other_types(tf):
    tf.data.Iterator.from_structure(tf.int32, []).make_initializer(tf.data.Dataset.range(3))


def error_other_shapes(tf):
    tf.data.Iterator.from_structure(tf.int64, [2]).make_initializer(tf.data.Dataset.range(3))


def error_concatenated_with_others(tf):
    tf.data.Dataset.range(3).concatenate(tf.data.Dataset.from_tensors(1.0))


def error_predicate_of_numbers(tf):
    tf.data.Dataset.range(3).filter(lambda v: v)


def error_iterated_in_python(tf):
    list(tf.data.Dataset.range(3))


def error_generator_that_is_none(tf):
    tf.data.Dataset.from_generator(3, tf.int32, [])


def error_generator_of_another_type(tf):
    elements(tf, tf.data.Dataset.from_generator(lambda: iter([1, "x"]), tf.int32, []))


def error_generator_of_another_shape(tf):
    elements(tf, tf.data.Dataset.from_generator(lambda: iter([1, [2]]), tf.int32, []))


def error_padded_to_less(tf):
    numbers = tf.data.Dataset.range(4).map(lambda v: tf.fill(tf.reshape(v, [1]), v))
    elements(tf, numbers.padded_batch(4, [2]))


def error_random_state_is_not_saved(tf):
    def noisy(v):
        return v + tf.random_uniform([], 0, 2, tf.int64)

    iterator = tf.data.Dataset.range(5).map(noisy).make_initializable_iterator()
    saveable = tf.data.experimental.make_saveable_from_iterator(iterator)
    with tempfile.TemporaryDirectory() as folder, tf.Session() as session:
        session.run(iterator.initializer)
        tf.train.Saver([saveable]).save(session, os.path.join(folder, "model"))
