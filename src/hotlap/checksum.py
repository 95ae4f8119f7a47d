"""The checksums of TensorFlow's tables and records.

Source: tensorflow, `core/lib/hash/crc32c.h`.
"""

from __future__ import annotations

from functools import cache

import numpy as np


def masked(crc: int) -> int:
    """How they are stored, so that a checksum of checksums is no coincidence."""
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFF_FFFF


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), which Python's zlib does not have.

    Long data is cut into pieces of equal length whose checksums are computed side by side, then joined: moving a
    checksum past n bytes is linear in its bits.
    """
    table = _table()
    num_pieces = len(data) >> 12
    crc = 0xFFFF_FFFF
    start = 0
    if num_pieces > 1:
        length = len(data) // num_pieces
        start = num_pieces * length
        columns = np.frombuffer(data, np.uint8, start).reshape(num_pieces, length).T.copy()
        pieces = np.zeros(num_pieces, np.uint32)
        for column in columns:
            pieces = table[(pieces ^ column) & 0xFF] ^ (pieces >> np.uint32(8))
        shift = _shift(length)
        for piece in pieces.tolist():
            crc = (
                piece ^ shift[0][crc & 255] ^ shift[1][crc >> 8 & 255] ^ shift[2][crc >> 16 & 255] ^ shift[3][crc >> 24]
            )
    entries = table.tolist()
    for byte in data[start:]:
        crc = entries[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFF_FFFF


@cache
def _table() -> np.ndarray:
    """The effect of a byte on the checksum, uint32 (256,)."""
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> np.uint32(1) ^ np.uint32(0x82F63B78), table >> np.uint32(1))
    return table


@cache
def _shift(num_bytes: int) -> list[list[int]]:
    """What becomes of each byte of a checksum, lowest first, when ``num_bytes`` zero bytes follow: 4 tables of 256."""
    table = _table()
    moved = (np.arange(256, dtype=np.uint32)[None] << (8 * np.arange(4, dtype=np.uint32))[:, None]).reshape(-1)
    for _ in range(num_bytes):
        moved = table[moved & 0xFF] ^ (moved >> np.uint32(8))
    return moved.reshape(4, 256).tolist()
