"""Files of comma-separated values as datasets: columns, defaults, names, guessed dtypes, refusals."""

import gzip
from pathlib import Path

FIRST = b'x,y,z\n1,2.5,a\n3,,"b,""c"\n5,6,"d\ne"\n'
KINDS = ("int32", "float32", "string")


def written(name, content):
    Path(name).write_bytes(content)
    return name


def first():
    return written("first.csv", FIRST)


def second():
    return written("second.csv", b"x,y,z\r\n7,8,f\r\n")


def plain(value):
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(part) for part in value]
    return value.tolist() if hasattr(value, "tolist") else value


def values(tf, dataset, most=9):
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


def read(tf, files, defaults, **options):
    return values(tf, tf.data.experimental.CsvDataset(files, defaults, **options))


def case_records(tf):
    with gzip.open("packed.csv.gz", "wb") as file:
        file.write(b"1,2\n3,4")
    semicolons = written("semicolons.csv", b"1;2\nNA;4\n")
    quotes = written("quotes.csv", b'"1",2\n')
    types = [tf.int64, tf.constant([1.0], tf.float64), tf.string]
    return {
        "defaults": read(tf, first(), [[0], [9.5], ["?"]], header=True),
        "two files": read(tf, [first(), second()], types, header=True),
        "selected": read(tf, first(), [[""], [""]], header=True, select_cols=[0, 2]),
        "packed": read(tf, "packed.csv.gz", [[0], [0]], compression_type="GZIP"),
        "semicolons": read(tf, semicolons, [[7], [0]], field_delim=";", na_value="NA"),
        "quotes": read(tf, quotes, [[""], [0]], use_quote_delim=False),
    }


def case_nodes(tf):
    kinds = [getattr(tf, kind) for kind in KINDS]
    dataset = tf.data.experimental.CsvDataset(first(), kinds, header=True)
    node = dataset._variant_tensor.op
    return {
        "type": node.type,
        "inputs": [t.name for t in node.inputs],
        "types": str(tf.data.get_output_types(dataset)),
        "shapes": str(tf.data.get_output_shapes(dataset)),
    }


def error_missing(tf):
    read(tf, first(), [getattr(tf, kind) for kind in KINDS], header=True)


def error_fewer_fields(tf):
    read(tf, written("few.csv", b"1,2\n3\n"), [[0], [0]])


def error_more_fields(tf):
    read(tf, written("few.csv", b"1,2\n3\n"), [[0]])


def error_empty_line(tf):
    read(tf, written("gap.csv", b"1,2\n\n3,4\n"), [[0], [0]])


def error_open_quote(tf):
    read(tf, written("open.csv", b'1,"a\n'), [[0], [""]])


def error_no_number(tf):
    read(tf, written("words.csv", b"a\n"), [[0]])


def error_no_file(tf):
    read(tf, "none.csv", [[0]])


def error_columns_do_not_rise(tf):
    read(tf, first(), [[""], [""]], select_cols=[2, 0])


def error_other_number_of_columns(tf):
    read(tf, first(), [[""]], select_cols=[0, 2])


def error_dtype(tf):
    tf.data.experimental.CsvDataset(first(), [tf.uint8])


def made(tf, files, size, **options):
    chosen = {"num_epochs": 1, "shuffle": False, **options}
    return values(tf, tf.data.experimental.make_csv_dataset(files, size, **chosen))


def case_batches(tf):
    both = [first(), second()]
    nothing = written("plain.csv", b"1,2\n3,4")
    guessed = written("kinds.csv", b"a,b,c,d,e,f\n1,3000000000,1.5,1e300,x,\n2,1,2,2,2,\n")
    return {
        "named": made(tf, both[0], 2),
        "label": made(tf, both[0], 2, label_name="x"),
        "other names": made(tf, both[1], 2, column_names=["p", "q", "r"]),
        "selected": made(tf, both[0], 2, select_columns=["z", "x"]),
        "by number": made(tf, both[0], 2, select_columns=[0, 2], column_defaults=[tf.int32, tf.string]),
        "two": made(tf, both, 3),
        "pattern": made(tf, "*o*d.csv", 3),
        "without header": made(tf, nothing, 2, header=False, column_names=["a", "b"]),
        "guessed": made(tf, guessed, 2),
        "for ever": made(tf, both[1], 2, num_epochs=None),
        "in turn": made(tf, both, 1, num_parallel_reads=2),
        "shuffled": len(made(tf, both[0], 1, num_epochs=2, shuffle=True, shuffle_seed=3)),
    }  # fmt: skip


def case_specs(tf):
    dataset = tf.data.experimental.make_csv_dataset(first(), 2, label_name="x")
    return {
        "types": str(tf.data.get_output_types(dataset)),
        "shapes": str(tf.data.get_output_shapes(dataset)),
    }


def error_no_such_column(tf):
    made(tf, first(), 2, select_columns=["w"])


def error_no_such_label(tf):
    made(tf, first(), 2, label_name="w")


def error_no_such_files(tf):
    made(tf, "zz*.csv", 2)


def error_no_names(tf):
    made(tf, written("plain.csv", b"1,2\n"), 2, header=False)


def error_headers_differ(tf):
    made(tf, [first(), written("plain.csv", b"1,2\n")], 2)


def error_twice_the_same_name(tf):
    made(tf, written("twice.csv", b"a,a\n1,2\n"), 2)


def error_rows_of_different_lengths(tf):
    made(tf, written("ragged.csv", b"a,b\n1,2\n1,2,3\n"), 2)
