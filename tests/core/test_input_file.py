"""Files are read as they are expected, or not at all."""

import pytest

from ckpt.core.errors import DataLossError, FailedPreconditionError
from ckpt.core.input_file import InputFile
from ckpt.core.storage import read_file

CONTENT = b"content" * 500


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def test_links_are_followed_only_where_a_user_named_them(target, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(target)
    assert read_file(link, limit=10**6) == CONTENT
    with pytest.raises(FailedPreconditionError, match="symbolic link"):
        InputFile(link, follow=False)


def test_reads_stay_inside_the_file_and_the_limit(target):
    with InputFile(target) as file:
        for offset, length in ((0, len(CONTENT) + 1), (-1, 2), (len(CONTENT), 1), (1 << 70, 1)):
            with pytest.raises(DataLossError, match="file"):
                file.read(offset, length)
    with pytest.raises(DataLossError, match="at most 10"):
        read_file(target, limit=10)
