"""Files of Examples as batches of features."""


def features(tf):
    return {"a": tf.FixedLenFeature([], tf.int64), "b": tf.VarLenFeature(tf.string)}


def files(tf):
    for name, numbers in (("first", range(4)), ("second", range(4, 7))):
        with tf.python_io.TFRecordWriter(f"{name}.rec") as writer:
            for number in numbers:
                a = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
                b = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"x"] * number))
                held = tf.train.Features(feature={"a": a, "b": b})
                writer.write(tf.train.Example(features=held).SerializeToString())
    return "*.rec"


def plain(value):
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if hasattr(value, "dense_shape"):
        return [part.tolist() for part in (value.indices, value.values, value.dense_shape)]
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    return value.tolist()


def values(tf, dataset, most=30):
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


def made(tf, size, pattern=None, **options):
    chosen = {"num_epochs": 1, "shuffle": False, "reader": tf.data.TFRecordDataset, **options}
    found = tf.data.experimental.make_batched_features_dataset
    return found(pattern or files(tf), size, features(tf), **chosen)


def case_batches(tf):
    return {
        "named": values(tf, made(tf, 2)),
        "label": values(tf, made(tf, 2, label_key="a")),
        "whole": values(tf, made(tf, 2, drop_final_batch=True)),
        "in turn": values(tf, made(tf, 2, reader_num_threads=2)),
        "side by side": values(tf, made(tf, 2, parser_num_threads=2)),
        "twice": values(tf, made(tf, 2, num_epochs=2)),
        "how": values(tf, made(tf, 3, reader_args=["", 100])),
        "shuffled": len(values(tf, made(tf, 1, shuffle=True, num_epochs=2))),
    }


def case_parsed(tf):
    files(tf)
    batches = tf.data.TFRecordDataset(["first.rec"]).batch(2)
    parsed = tf.data.experimental.parse_example_dataset
    return {
        "one": values(tf, batches.apply(parsed(features(tf)))),
        "three": values(tf, batches.apply(parsed(features(tf), num_parallel_calls=3))),
    }


def error_label(tf):
    made(tf, 2, label_key="z")


def error_no_files(tf):
    values(tf, made(tf, 2, "none*.rec"))


def error_no_features(tf):
    tf.data.Dataset.from_tensors(["a"]).apply(tf.data.experimental.parse_example_dataset(None))


def error_no_strings(tf):
    numbers = tf.data.Dataset.range(3).batch(2)
    numbers.apply(tf.data.experimental.parse_example_dataset(features(tf)))


def error_no_batches(tf):
    single = tf.data.Dataset.from_tensors("a")
    single.apply(tf.data.experimental.parse_example_dataset(features(tf)))
