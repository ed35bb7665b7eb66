"""CRC32C by its published test vectors."""

import crc32c as package
import pytest

from ckpt.core.checksum import crc32c

# RFC 3720, appendix B.4
VECTORS = {bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43, bytes(range(32)): 0x46DD794E, b"": 0}


@pytest.mark.parametrize("data", VECTORS, ids=repr)
def test_published_vectors(data):
    assert crc32c(data) == VECTORS[data] == package.crc32c(data)


def test_pieces_continue_and_any_buffer_is_taken():
    data = bytes(range(256)) * 40
    assert crc32c(memoryview(data)[100:], crc32c(bytearray(data[:100]))) == crc32c(data)
