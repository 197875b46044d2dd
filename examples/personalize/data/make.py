"""Writes digits.bin beside this script, from scikit-learn's copy of the data.

    python make.py            write the file
    python make.py --check    make it again and compare byte for byte

Needs scikit-learn (1.9.1 made the committed file; the data are the same in all versions).

digits.bin: the magic bytes "DIGITS8x", the number of images as a little-endian u32, then for each
image its 64 pixels, row after row, one byte each (0 white to 16 black), and its label (0 to 9).
"""

import struct
import sys
from pathlib import Path

from sklearn.datasets import load_digits

MAGIC = b"DIGITS8x"
FILE = Path(__file__).resolve().parent / "digits.bin"


def encode() -> bytes:
    digits = load_digits()
    images = digits.data.astype("uint8")
    assert (images == digits.data).all(), "pixels are whole numbers"
    records = (bytes(pixels) + bytes([label]) for pixels, label in zip(images, digits.target))
    return MAGIC + struct.pack("<I", len(images)) + b"".join(records)


def main() -> int:
    if "--check" not in sys.argv[1:]:
        FILE.write_bytes(encode())
        return 0
    same = FILE.read_bytes() == encode()
    print(f"{FILE.name}: {'as generated' if same else 'differs from what the script makes'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
