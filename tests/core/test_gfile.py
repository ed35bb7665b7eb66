"""Files and folders by path: local ones, and through fsspec those of URLs."""

import os
import sys

import pytest

from ckpt import gfile as v1
from ckpt.core import errors, gfile


@pytest.fixture(params=["local", "file", "memory"])
def root(request, tmp_path):
    """A new directory on each kind of file system."""
    if request.param == "local":
        yield str(tmp_path)
    elif request.param == "file":
        yield f"file://{tmp_path}"
    else:
        fsspec = pytest.importorskip("fsspec")
        path = f"memory://{tmp_path.name}"
        gfile.makedirs(path)
        yield path
        fsspec.filesystem("memory").rm(path, recursive=True)


def write(path, content):
    with gfile.GFile(path, "wb" if isinstance(content, bytes) else "w") as file:
        file.write(content)


def read(path):
    with gfile.GFile(path, "rb") as file:
        return file.read()


def test_a_file_is_written_and_read(root):
    path = gfile.join(root, "f")
    write(path, "grün\nblau\n")
    with gfile.GFile(path) as file:
        assert file.size() == 11
        assert file.readline() == "grün\n"
        assert file.tell() == 6
        assert file.readlines() == ["blau\n"]
        file.seek(0)
        assert list(file) == ["grün\n", "blau\n"]
        file.seek(-5, whence=2)
        assert file.read(4) == "blau"
    with gfile.GFile(path, "a") as file:
        file.write(b"\xff")
    assert read(path) == "grün\nblau\n".encode() + b"\xff"


def test_text_that_is_no_utf8_is_an_error_only_when_read_as_text(root):
    path = gfile.join(root, "f")
    write(path, b"\xff")
    with gfile.GFile(path) as file, pytest.raises(UnicodeDecodeError):
        file.read()


def test_folders(root):
    gfile.makedirs(gfile.join(root, "a", "b"))
    gfile.makedirs(gfile.join(root, "a", "b"))
    gfile.mkdir(gfile.join(root, "a", "c"))
    gfile.mkdir(gfile.join(root, "a", "c"))
    write(gfile.join(root, "a", "f"), "x")
    assert gfile.listdir(gfile.join(root, "a")) == ["b", "c", "f"]
    assert gfile.isdir(gfile.join(root, "a"))
    assert not gfile.isdir(gfile.join(root, "a", "f"))
    assert gfile.stat(gfile.join(root, "a", "f")).length == 1
    assert gfile.stat(gfile.join(root, "a")).is_directory
    with pytest.raises(errors.FailedPreconditionError):
        gfile.makedirs(gfile.join(root, "a", "f"))
    gfile.rmtree(gfile.join(root, "a"))
    assert not gfile.exists(gfile.join(root, "a"))


def test_what_is_not_there_is_a_not_found_error(root):
    missing = gfile.join(root, "no")
    assert not gfile.exists(missing)
    assert not gfile.isdir(missing)
    for function in (gfile.listdir, gfile.remove, gfile.rmtree, gfile.stat):
        with pytest.raises(errors.NotFoundError, match="no"):
            function(missing)
    with pytest.raises(errors.NotFoundError):
        gfile.copy(missing, gfile.join(root, "to"))
    with pytest.raises(errors.NotFoundError):
        gfile.rename(missing, gfile.join(root, "to"))
    with pytest.raises(errors.NotFoundError):
        gfile.mkdir(gfile.join(missing, "deeper"))
    with pytest.raises(errors.NotFoundError):
        gfile.GFile(missing).read()
    assert list(gfile.walk(missing)) == []


def test_copies_and_renames_replace_nothing_unless_told(root):
    one, two = gfile.join(root, "one"), gfile.join(root, "two")
    write(one, "1")
    write(two, "2")
    with pytest.raises(errors.AlreadyExistsError):
        gfile.copy(one, two)
    with pytest.raises(errors.AlreadyExistsError):
        gfile.rename(one, two)
    assert read(two) == b"2"
    gfile.copy(one, one, overwrite=True)
    assert read(one) == b"1"
    gfile.copy(one, two, overwrite=True)
    assert read(two) == b"1"
    gfile.rename(one, two, overwrite=True)
    assert gfile.listdir(root) == ["two"]
    with pytest.raises(errors.InvalidArgumentError):
        gfile.copy(root, gfile.join(root, "three"))


def test_deleting_a_directory_as_a_file_is_refused(root):
    gfile.mkdir(gfile.join(root, "d"))
    with pytest.raises(errors.FailedPreconditionError):
        gfile.remove(gfile.join(root, "d"))
    assert gfile.isdir(gfile.join(root, "d"))


def test_glob(root):
    for name in ("a/x.h5", "a/y.h5", "b/x.h5", ".hidden"):
        gfile.makedirs(gfile.join(root, name).rpartition("/")[0])
        write(gfile.join(root, name), "")

    def found(*patterns):
        paths = gfile.glob([gfile.join(root, p) for p in patterns])
        return [path.removeprefix(root + "/") for path in paths]

    assert found("*") == [".hidden", "a", "b"]
    assert found("a/*.h5") == ["a/x.h5", "a/y.h5"]
    assert found("*/x.h5") == ["a/x.h5", "b/x.h5"]
    assert found("[ab]/?.h5", "a") == ["a/x.h5", "a/y.h5", "b/x.h5", "a"]
    assert found("*.h5", "no/*", "no") == []


def test_globs_of_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").touch()
    assert gfile.glob("*") == ["./f"]
    assert gfile.glob("f") == ["f"]


def test_walk(root):
    gfile.makedirs(gfile.join(root, "a", "b"))
    write(gfile.join(root, "f"), "")
    write(gfile.join(root, "a", "g"), "")
    tree = [
        (root, ["a"], ["f"]),
        (gfile.join(root, "a"), ["b"], ["g"]),
        (gfile.join(root, "a", "b"), [], []),
    ]
    assert list(gfile.walk(root)) == tree
    assert list(v1.Walk(root, in_order=False)) == tree[::-1]


def test_walks_do_not_follow_links_round_and_round(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(list(gfile.walk(str(tmp_path)))) == 1


def test_deleting_a_link_spares_what_it_points_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "f").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    gfile.rmtree(tmp_path / "link")
    assert (tmp_path / "kept" / "f").exists()
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("mode", ["q", "rw", "", "b"])
def test_modes_that_are_none(mode):
    with pytest.raises(errors.InvalidArgumentError, match="mode"):
        gfile.GFile("x", mode)


def test_files_open_for_the_other_thing(tmp_path):
    with gfile.GFile(tmp_path / "f", "w") as file:
        with pytest.raises(errors.PermissionDeniedError, match="reading"):
            file.read()
        with pytest.raises(TypeError, match="Expected binary or unicode string, got 3"):
            file.write(3)
        file.write("x")
    with gfile.GFile(tmp_path / "f") as file:
        with pytest.raises(errors.PermissionDeniedError, match="writing"):
            file.write("y")
        for wrong in ({"offset": 0, "whence": 5}, {"offset": -1}):
            with pytest.raises(errors.InvalidArgumentError):
                file.seek(**wrong)
        with pytest.raises(errors.OutOfRangeError):
            file.seek(2)
        with pytest.raises(TypeError):
            file.seek()


def test_bytes_and_path_objects_are_paths_and_numbers_are_not(tmp_path):
    assert gfile.exists(os.fsencode(tmp_path))
    assert gfile.exists(tmp_path)
    assert not gfile.exists("")
    assert gfile.join(b"a", b"b") == b"a/b"
    for wrong in (5, None):
        with pytest.raises(TypeError, match="Expected binary or unicode string"):
            gfile.exists(wrong)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (("a", "b", "/c"), "/c"),
        (("gs://x/", "b"), "gs://x/b"),
        (("a", "memory://b"), "memory://b"),
        (("", "b"), "b"),
        (("a",), "a"),
    ],
)
def test_join(parts, whole):
    assert gfile.join(*parts) == whole


def test_schemes_that_nobody_knows():
    with pytest.raises(errors.UnimplementedError, match="nosuch"):
        gfile.exists("nosuch://x/y")


def test_without_fsspec_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(errors.UnimplementedError, match="pip install"):
        gfile.exists("memory://x")


def test_files_move_between_file_systems(tmp_path):
    pytest.importorskip("fsspec")
    write(tmp_path / "f", "1")
    gfile.rename(tmp_path / "f", "memory://moved")
    assert not gfile.exists(tmp_path / "f")
    assert read("memory://moved") == b"1"
    gfile.remove("memory://moved")


def test_the_names_of_tensorflow_1_take_its_arguments(tmp_path):
    v1.MakeDirs(dirname=tmp_path / "a")
    with v1.Open(str(tmp_path / "a" / "f"), mode="w") as file:
        file.write("x")
    v1.Copy(oldpath=tmp_path / "a" / "f", newpath=tmp_path / "g")
    v1.Rename(oldname=tmp_path / "g", newname=tmp_path / "h")
    assert v1.ListDirectory(dirname=tmp_path) == ["a", "h"]
    assert v1.Glob(filename=tmp_path / "*") == [str(tmp_path / "a"), str(tmp_path / "h")]
    v1.Remove(filename=tmp_path / "h")
    v1.DeleteRecursively(dirname=tmp_path / "a")
    v1.MkDir(tmp_path / "b")
    assert v1.IsDirectory(tmp_path / "b")
    assert v1.Exists(tmp_path / "b")
    assert v1.Stat(tmp_path / "b").is_directory
