"""Vocabularies with buckets for unknown words; the buckets are those of TensorFlow 2.21."""

import numpy as np
import pytest

import ckpt as tf


def words(**options):
    initializer = tf.lookup.KeyValueTensorInitializer(["a", "b"], [0, 1], tf.string, tf.int64)
    return tf.lookup.StaticVocabularyTable(initializer, 3, **options)


def numbers(**options):
    initializer = tf.lookup.KeyValueTensorInitializer([5, 7], [0, 1], tf.int64, tf.int64)
    return tf.lookup.StaticVocabularyTable(initializer, 2, **options)


@pytest.fixture(autouse=True)
def graph():
    with tf.Graph().as_default():
        yield


def run(fetches):
    with tf.Session() as session:
        session.run(tf.tables_initializer())
        return session.run(fetches)


def test_known_words_have_their_ids_and_others_a_bucket():
    table = words()
    found, size = run([table.lookup(tf.constant(["a", "zz", "b"])), table.size()])
    assert found.tolist() == [0, 3, 1]
    assert size == 5


def test_keys_may_be_integers_of_another_width():
    found = run(numbers(lookup_key_dtype=tf.int32).lookup(tf.constant([5, 6, 7])))
    assert found.tolist() == [0, 3, 1]


def test_sparse_keys_keep_their_places():
    keys = tf.SparseTensor([[0, 1]], ["b"], [2, 2])
    found = run(words().lookup(keys))
    assert (found.indices.tolist(), found.values.tolist()) == ([[0, 1]], [1])


def test_every_unknown_word_has_a_bucket_of_the_table():
    found = run(words().lookup(tf.constant([f"w{i}" for i in range(200)])))
    assert sorted(np.unique(found)) == [2, 3, 4]


def test_names():
    table = words(name="voc")
    found = table.lookup(tf.constant(["a"]))
    assert (table.name, found.op.name) == ("voc", "voc_Lookup/SelectV2")
    assert table.initializer.type in ("InitializeTableV2", "LookupTableImportV2")
    assert table.resource_handle.dtype == tf.resource


@pytest.mark.parametrize("count", [0, -1])
def test_buckets_are_needed(count):
    initializer = tf.lookup.KeyValueTensorInitializer(["a"], [0], tf.string, tf.int64)
    with pytest.raises(ValueError, match="use StaticHashTable"):
        tf.lookup.StaticVocabularyTable(initializer, count)


def test_dtypes_must_fit():
    of_int32 = tf.lookup.KeyValueTensorInitializer(["a"], [0], tf.string, tf.int32)
    with pytest.raises(TypeError, match="value_dtype"):
        tf.lookup.StaticVocabularyTable(of_int32, 1)
    with pytest.raises(TypeError, match="key_dtype"):
        words(lookup_key_dtype=tf.int64)
    with pytest.raises(TypeError, match="key_dtype"):
        numbers(lookup_key_dtype=tf.string)
    with pytest.raises(TypeError, match="Keys must be dtype"):
        words().lookup(tf.constant([1]))
