"""Datasets of groups, chosen elements, numbers of elements, options: values, specs, errors, nodes."""

import numpy as np

R = 10


def numbers(tf, count=R):
    return tf.data.Dataset.range(count)


def plain(value):
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value


def values(tf, dataset, most=60):
    iterator = tf.data.make_initializable_iterator(dataset)
    element, found = iterator.get_next(), []
    with tf.Session() as sess:
        sess.run(iterator.initializer)
        try:
            for _ in range(most):
                found.append(plain(sess.run(element)))
        except tf.errors.OutOfRangeError:
            found.append("the end")
    return found


def outcome(tf, dataset):
    kinds = [
        op.type for op in tf.get_default_graph().get_operations() if op.type.endswith("Dataset")
    ]
    return {
        "values": values(tf, dataset),
        "types": str(tf.data.get_output_types(dataset)),
        "shapes": str(tf.data.get_output_shapes(dataset)),
        "kinds": kinds,
    }


def case_windows(tf):
    by_window = tf.data.experimental.group_by_window
    return {
        "same": values(tf, numbers(tf, 20).apply(by_window(lambda x: x % 3, lambda k, d: d.batch(4), 4))),
        "falling": values(tf, numbers(tf, 9).apply(by_window(lambda x: (8 - x) % 3 - 1, lambda k, d: d.batch(4), 4))),
        "own": values(tf, numbers(tf, 20).apply(
            by_window(lambda x: x % 2, lambda k, d: d.batch(10), window_size_func=lambda k: k + 2))),
        "several": values(tf, numbers(tf).apply(by_window(lambda x: x % 2, lambda k, d: d.map(lambda x: x * 10 + k), 3))),
        "pairs": values(tf, tf.data.Dataset.zip((numbers(tf), numbers(tf).map(lambda x: x % 4))).apply(
            by_window(lambda x, y: y, lambda k, d: d.map(lambda x, y: (k, x + y)), 2))),
    }  # fmt: skip


def case_windows_nodes(tf):
    grouping = tf.data.experimental.group_by_window(lambda x: x % 3, lambda k, d: d.batch(4), 4)
    return outcome(tf, numbers(tf).apply(grouping))


def error_windows_of_both_sizes(tf):
    numbers(tf).apply(
        tf.data.experimental.group_by_window(lambda x: x, lambda k, d: d, 4, lambda k: k)
    )


def error_windows_without_size(tf):
    numbers(tf).apply(tf.data.experimental.group_by_window(lambda x: x, lambda k, d: d))


def error_keys_of_another_dtype(tf):
    numbers(tf).apply(
        tf.data.experimental.group_by_window(lambda x: tf.cast(x, tf.int32), lambda k, d: d, 4)
    )


def error_window_is_no_dataset(tf):
    numbers(tf).apply(tf.data.experimental.group_by_window(lambda x: x, lambda k, d: k, 4))


def error_window_of_none(tf):
    values(tf, numbers(tf).apply(
        tf.data.experimental.group_by_window(lambda x: x, lambda k, d: d, window_size_func=lambda k: k)))  # fmt: skip


def rows(tf, count=12):
    return numbers(tf, count).map(lambda x: tf.fill([tf.cast(x % 7, tf.int32) + 1], x))


def bucketed(tf, dataset, limits, sizes, **options):
    by_length = tf.data.experimental.bucket_by_sequence_length
    return dataset.apply(by_length(lambda x: tf.shape(x)[0], limits, sizes, **options))


def case_buckets(tf):
    ends = numbers(tf).map(lambda x: tf.fill([tf.cast(x % 2, tf.int32) + 1], x))
    return {
        "padded": values(tf, bucketed(tf, rows(tf), [3, 5], [2, 2, 2])),
        "to the limit": values(tf, bucketed(tf, rows(tf), [3, 5, 9], [2, 2, 2, 2], pad_to_bucket_boundary=True)),
        "whole": values(tf, bucketed(tf, rows(tf, 13), [3, 5], [3, 2, 2], drop_remainder=True)),
        "with": values(tf, bucketed(tf, rows(tf), [3, 5], [2, 2, 2], padding_values=tf.constant(-1, tf.int64),
                                    padded_shapes=[None])),
        "not padded": values(tf, bucketed(tf, ends, [2, 3], [2, 2, 2], no_padding=True)),
    }  # fmt: skip


def error_buckets(tf):
    bucketed(tf, rows(tf), [3, 5], [2, 2])


def case_reducers(tf):
    reduced = tf.data.experimental.group_by_reducer
    reducer = tf.data.experimental.Reducer(lambda k: k * 0, lambda s, x: s + x, lambda s: s * 2)
    pairs = tf.data.experimental.Reducer(
        lambda k: (k, tf.constant(0)), lambda s, x: (s[0] + x, s[1] + 1), lambda a, b: (a, b * 10)
    )
    return {
        "sums": values(tf, numbers(tf).apply(reduced(lambda x: x % 3, reducer))),
        "falling": values(tf, numbers(tf, 9).apply(reduced(lambda x: (8 - x) % 3 - 1, reducer))),
        "pairs": outcome(tf, numbers(tf, 9).apply(reduced(lambda x: x % 2, pairs))),
    }


def case_unique(tf):
    slices, unique = tf.data.Dataset.from_tensor_slices, tf.data.experimental.unique()
    return {
        "numbers": outcome(tf, slices([1, 2, 1, 3, 2]).apply(unique)),
        "strings": values(tf, slices(["a", "b", "a", "ab"]).map(lambda x: x).apply(unique))[-1],
    }


def error_unique(tf):
    tf.data.Dataset.from_tensor_slices([1.0, 2.0]).apply(tf.data.experimental.unique())


def halves(tf):
    return [numbers(tf, 5), numbers(tf, 5).map(lambda x: x + 100)]


def case_samples(tf):
    sample, found = tf.data.experimental.sample_from_datasets, {}
    for seed in range(4):
        tf.set_random_seed(seed)
        found[f"equal {seed}"] = values(tf, sample(halves(tf), seed=3))
        found[f"weighted {seed}"] = values(tf, sample(halves(tf), [0.2, 0.8], seed=3))
        found[f"never {seed}"] = values(tf, sample(halves(tf), [0.0, 1.0], seed=3))
        weights = tf.data.Dataset.from_tensors([0.3, 0.7]).repeat()
        found[f"dataset {seed}"] = values(tf, sample(halves(tf), weights, seed=3))
    found["one"] = values(tf, sample([numbers(tf, 3)]))
    return found


def case_random_numbers(tf):
    tf.set_random_seed(7)
    return {"values": values(tf, tf.data.experimental.RandomDataset(seed=4), 20)}


def case_choices(tf):
    chosen = tf.data.experimental.choose_from_datasets
    order = tf.data.Dataset.from_tensor_slices(np.array([0, 1, 1, 0, 0, 0, 0, 0, 1, 1], np.int64))
    return {
        "passed by": values(tf, chosen([numbers(tf, 3), halves(tf)[1]], order)),
        "stopped": values(tf, chosen([numbers(tf, 3), halves(tf)[1]], order, stop_on_empty_dataset=True)),
    }  # fmt: skip


def error_choices(tf):
    tf.data.experimental.choose_from_datasets(
        halves(tf), tf.data.Dataset.from_tensor_slices([0, 1])
    )


def error_choice_of_no_dataset(tf):
    order = tf.data.Dataset.from_tensor_slices(np.array([0, 5], np.int64))
    values(tf, tf.data.experimental.choose_from_datasets(halves(tf), order))


def error_no_datasets(tf):
    tf.data.experimental.sample_from_datasets([])


def error_weights(tf):
    tf.data.experimental.sample_from_datasets(halves(tf), [0.2, 0.3, 0.5])


def error_weights_of_integers(tf):
    tf.data.experimental.sample_from_datasets(halves(tf), [1, 2])


def error_datasets_of_different_kinds(tf):
    tf.data.experimental.sample_from_datasets([numbers(tf), tf.data.Dataset.from_tensors("a")])


def case_sparse_batches(tf):
    sparse = tf.data.experimental.dense_to_sparse_batch
    square = tf.data.Dataset.from_tensors([[1, 2], [3, 0]]).repeat(3)
    made = square.apply(sparse(2, [2, 3]))
    return {"rows": values(tf, rows(tf, 5).apply(sparse(2, [8]))), "squares": values(tf, made),
            "shape": str(tf.data.get_output_shapes(made))}  # fmt: skip


def error_sparse_batch_of_more(tf):
    values(tf, rows(tf, 5).apply(tf.data.experimental.dense_to_sparse_batch(3, [2])))


def error_sparse_batch_of_another_rank(tf):
    values(tf, rows(tf, 5).apply(tf.data.experimental.dense_to_sparse_batch(3, [2, 2])))


def error_sparse_batch_of_pairs(tf):
    pairs = tf.data.Dataset.zip((rows(tf), rows(tf)))
    pairs.apply(tf.data.experimental.dense_to_sparse_batch(3, [8]))


def case_how_many(tf):
    d, x = numbers(tf, 7), tf.data.experimental
    some, ever = d.filter(lambda n: n > 3), d.repeat()
    datasets = [
        d, ever, some, d.batch(2), d.batch(2, drop_remainder=True), d.take(3), d.take(9), d.take(-1), ever.take(4),
        some.take(2), d.skip(2), d.skip(9), d.skip(-1), ever.skip(1), d.concatenate(d), d.concatenate(ever),
        d.concatenate(some), some.concatenate(ever), d.shuffle(3), d.map(lambda n: n), d.prefetch(1), d.repeat(3), d.repeat(0),
        some.repeat(), some.repeat(2), some.repeat(0), tf.data.Dataset.range(0).repeat(),
        tf.data.Dataset.zip((d.take(3), ever)), tf.data.Dataset.zip((d, some)), tf.data.Dataset.zip((ever, ever)),
        d.shard(2, 0), d.shard(2, 1), ever.shard(2, 1), d.flat_map(lambda n: tf.data.Dataset.range(n)),
        d.interleave(lambda n: tf.data.Dataset.range(n), 2), d.cache(), tf.data.Dataset.from_tensors(1),
        tf.data.Dataset.from_tensor_slices([1, 2]), d.window(3), d.window(3, 2), d.window(3, 2, 2, True),
        d.window(3, drop_remainder=True), d.padded_batch(2, []), some.batch(2), ever.batch(2), d.apply(x.ignore_errors()),
        d.apply(x.scan(np.int64(0), lambda s, n: (s, n))), d.apply(x.unique()), d.enumerate(), x.Counter(),
        d.apply(x.shuffle_and_repeat(3, 2)), d.apply(x.map_and_batch(lambda n: n, 2)), d.apply(x.take_while(lambda n: n < 3)),
        d.apply(x.assert_cardinality(9)), x.RandomDataset(), x.sample_from_datasets([d, d]),
        tf.data.TextLineDataset("none"), tf.data.Dataset.from_generator(lambda: [1], tf.int32),
        d.apply(x.group_by_window(lambda n: n, lambda k, w: w, 1)), d.batch(2, num_parallel_calls=2),
        d.with_options(tf.data.Options()),
    ]  # fmt: skip
    with tf.Session() as sess:
        found = sess.run([x.cardinality(dataset) for dataset in datasets])
    known = [tf.data.INFINITE_CARDINALITY, tf.data.UNKNOWN_CARDINALITY, x.INFINITE_CARDINALITY, x.UNKNOWN_CARDINALITY]  # fmt: skip
    return {"found": [int(n) for n in found], "known": known}


def case_as_many_as_said(tf):
    return {"values": values(tf, numbers(tf, 5).apply(tf.data.experimental.assert_cardinality(5)))}


def error_fewer_than_said(tf):
    values(tf, numbers(tf, 5).apply(tf.data.experimental.assert_cardinality(6)))


def error_more_than_said(tf):
    values(tf, numbers(tf, 5).apply(tf.data.experimental.assert_cardinality(4)))


def case_small_datasets(tf):
    x = tf.data.experimental
    return {
        "counter": values(tf, x.Counter(5, 3), 4),
        "counter of floats": values(tf, x.Counter(0.5, 0.25, tf.float32), 4),
        "batch": values(tf, numbers(tf).batch(3, num_parallel_calls=2)),
        "variant": x.to_variant(numbers(tf)).dtype.name,
    }


def case_optionals(tf):
    x = tf.data.experimental
    following = x.get_next_as_optional(numbers(tf, 2).make_one_shot_iterator())
    given, none = x.Optional.from_value((3, "a")), x.Optional.empty(tf.TensorSpec([], tf.int32))
    found = []
    with tf.Session() as sess:
        for _ in range(2):
            found.append(plain(tuple(sess.run([following.has_value(), following.get_value()]))))
        found.append(plain(sess.run(following.has_value())))
        found.append(
            plain(tuple(sess.run([*given.get_value(), given.has_value(), none.has_value()])))
        )
    return {"found": found}


def error_optional_without_value(tf):
    with tf.Session() as sess:
        sess.run(tf.data.experimental.Optional.empty(tf.TensorSpec([], tf.int32)).get_value())


def case_options(tf):
    x, found = tf.data.experimental, {}
    settings = {
        "nothing": {}, "deterministic": {"deterministic": False}, "old": {"experimental_deterministic": True},
        "slack": {"experimental_slack": True}, "name": {"dataset_name": "q"},
        "policy": {"experimental_external_state_policy": x.ExternalStatePolicy.FAIL},
    }  # fmt: skip
    for name, chosen in settings.items():
        options = tf.data.Options()
        for key, value in chosen.items():
            setattr(options, key, value)
        dataset = numbers(tf, 3).with_options(options)
        found[name] = list(dataset._variant_tensor.op.get_attr("serialized_options"))
        found[f"{name} set"] = [str(getattr(dataset.options(), key)) for key in chosen]
        found[f"{name} values"] = values(tf, dataset)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 3
    options.experimental_threading.max_intra_op_parallelism = 2
    options.autotune.enabled = True
    options.autotune.autotune_algorithm = x.AutotuneAlgorithm.HILL_CLIMB
    options.experimental_optimization.map_fusion = True
    options.experimental_optimization.inject_prefetch = False
    options.experimental_distribute.auto_shard_policy = x.AutoShardPolicy.OFF
    made = numbers(tf, 3).with_options(options).with_options(tf.data.Options())
    found["all"] = list(made._variant_tensor.op.get_attr("serialized_options"))
    found["equal"] = [tf.data.Options() == tf.data.Options(), options == tf.data.Options()]
    return found


def error_unknown_option(tf):
    tf.data.Options().quick = True


def error_option_of_another_type(tf):
    tf.data.Options().deterministic = 3


def case_resampled(tf):
    """Which elements are left out is each implementation's own; how often the classes come is not."""
    found = {}
    for name, initial in (("known", [0.5, 0.5]), ("counted", None)):
        resample = tf.data.experimental.rejection_resample(
            lambda x: tf.cast(x % 2, tf.int32), [0.8, 0.2], initial, seed=3
        )
        kept = values(tf, numbers(tf, 4000).apply(resample), 1500)[:-1]
        share = sum(label for label, _ in kept) / len(kept)
        found[name] = [all(label == x % 2 for label, x in kept), 0.15 < share < 0.25]
    return found
