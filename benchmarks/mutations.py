"""Damage to files: what a broken disk, another program or a hostile sender makes of them. Drawn from a generator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

_SIZES = (0, 1, 2, 255, 256, 32_767, 65_535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
_HEADER = 160  # bytes of a sound file in which most of what matters is
_LENGTH_BYTES = 8  # of a safetensors file, before its header
_DTYPES = ("F32", "F16", "BF16", "F64", "I64", "U8", "BOOL", "F8_E4M3", "", "f32")
_NUMBERS = (0, 1, -1, 2, 3, 7, 8, 64, 255, 10**6, 10**9, 2**31, 2**63, 2**64, 10**30, 0.5, -0.0, 1e308, 1e999)
_VALUES: tuple[Any, ...] = (
    *_NUMBERS,
    True,
    None,
    "",
    "mala",
    "idconv",
    "met",
    "de",
    "\0",
    "\ud83d",
    [],
    [1],
    {},
    {"a": 1},
)
_WORDS = (
    '""', "0", "-1", "1e999", "nan", "inf", "true", "[]", "[[]]", "{}", "[1, 2]", "9" * 5000, "2026-01-01", '"\\u0000"',
    "'''", '"""', "=", "[", "]]", "[data]", "[[data]]", "[a.b.c]", "extends = '.'", "a.b = 1", "\t", "\n", "\r", "#",
    "é", "/dev/zero", "/dev/null", ".", "..", "/", "", "speech", "noise", "train", "held_out", "-0", "1e5",
    "1e-400", "\0",
)  # fmt: skip


def damaged(content: bytes, draw: Random, others: Sequence[bytes] = ()) -> bytes:
    """Some bytes flipped, replaced by a size, cut out, doubled, inserted or taken from another file, or the end cut."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 3, 8, 30))):
        at = draw.randrange(min(len(data), _HEADER) if draw.random() < 0.6 else len(data)) if data else 0
        length = draw.choice((1, 2, 4, 8, 64, 1024))
        match draw.randrange(9):
            case 0 | 1 if data:
                data[at] ^= 1 << draw.randrange(8)
            case 2 if data:
                data[at] = draw.choice((0, 1, 127, 128, 255, draw.randrange(256)))
            case 3 | 4:
                width = draw.choice((2, 4, 8))
                number = draw.choice(_SIZES) % 256**width
                data[at : at + width] = number.to_bytes(width, draw.choice(("little", "big")))
            case 5:
                del data[at : at + length]
            case 6:
                data[at:at] = data[at : at + length] if draw.random() < 0.5 else draw.randbytes(length)
            case 7 if others:
                other = draw.choice(others)
                start = draw.randrange(len(other))
                data[at : at + length] = other[start : start + length]
            case 8 if draw.random() < 0.5:
                del data[at:]
    return bytes(data)


def damaged_safetensors(content: bytes, draw: Random) -> bytes:
    """The header of a safetensors file changed in what it says, values changed, or any bytes."""
    kind = draw.random()
    if kind < 0.15:
        return damaged(content, draw)
    start = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    data = bytearray(content[start:])
    if kind < 0.35:
        for _ in range(draw.choice((1, 1, 10, len(data) // 4))):
            at = 4 * draw.randrange(len(data) // 4)
            data[at : at + 4] = _float(draw)
        return content[:start] + data
    header: dict[str, Any] = json.loads(content[_LENGTH_BYTES:start])
    for _ in range(draw.choice((1, 1, 2, 5))):
        _change_header(header, draw)
    text = json.dumps(header, ensure_ascii=draw.random() < 0.9).encode("utf-8", "surrogatepass")
    if draw.random() < 0.1:
        text = damaged(text, draw)
    if draw.random() < 0.1:
        data = data[: draw.randrange(len(data))]
    length = len(text) if draw.random() < 0.95 else draw.choice(_SIZES)
    return length.to_bytes(_LENGTH_BYTES, "little") + text + data


def _float(draw: Random) -> bytes:
    """A float32: NaN, infinite, the largest, denormal, or any bits."""
    special = (0x7FC00000, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0x00000001, 0x80000000, 0x447A0000)
    return draw.choice((*special, draw.getrandbits(32))).to_bytes(4, "little")


def _change_header(header: dict[str, Any], draw: Random) -> None:
    metadata = header.get("__metadata__")
    if draw.random() < 0.4 and isinstance(metadata, dict):
        _change_metadata(metadata, draw)
        return
    name = draw.choice([*header])
    entry = header[name]
    if draw.random() < 0.2 or not isinstance(entry, dict):
        match draw.randrange(4):
            case 0:
                del header[name]
            case 1:
                header[draw.choice(("", "x", "\0", "é" * 1000, name + "x"))] = header.pop(name)
            case 2:
                header[name] = draw.choice(_VALUES)
            case 3:
                header[name + "x"] = entry
        return
    key = draw.choice(("dtype", "shape", "data_offsets", "more"))
    old = entry.get(key)
    if key == "dtype":
        entry[key] = draw.choice((*_DTYPES, *_VALUES))
    elif isinstance(old, list) and old and draw.random() < 0.8:
        old[draw.randrange(len(old))] = draw.choice((*_NUMBERS, draw.randrange(10**6)))
    else:
        entry[key] = draw.choice((*_VALUES, [0, 0], [*reversed(old)] if isinstance(old, list) else [2, 1], [1] * 5000))


def _change_metadata(metadata: dict[str, Any], draw: Random) -> None:
    key = draw.choice([*metadata, "x"])
    try:
        config = json.loads(metadata["imse.network"])
        config[draw.choice([*config, "x"])] = draw.choice(_VALUES)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        config = draw.choice(_VALUES)
    match draw.randrange(6):
        case 0:
            metadata.pop(key, None)
        case 1:
            metadata[key] = draw.choice(_VALUES)
        case 2:
            metadata[key] = "[" * draw.choice((10, 1_000, 100_000))
        case _:
            metadata["imse.network"] = json.dumps(config)


def damaged_text(content: str, draw: Random) -> bytes:
    """Words and lines of a text exchanged, doubled, left out or replaced, numbers changed, or any bytes."""
    lines = content.split("\n")
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at = draw.randrange(len(lines))
        match draw.randrange(8):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, draw.choice(lines))
            case 2:
                lines[at] += draw.choice(_WORDS)
            case 3:
                lines.insert(at, draw.choice(_WORDS))
            case 4 | 5:
                separator = draw.choice((" ", "\t", "=", ",", "."))
                cells = lines[at].split(separator)
                cells[-1 if draw.random() < 0.5 else draw.randrange(len(cells))] = draw.choice(
                    (*_WORDS, draw.choice(lines), str(draw.choice(_NUMBERS)))
                )
                lines[at] = separator.join(cells)
            case 6 if draw.random() < 0.1:
                lines.insert(at, draw.choice(("[", "{", "a.", "a = [", "x\t")) * draw.choice((100, 20_000)))
            case 7 if draw.random() < 0.3:
                lines[at] = "".join(draw.sample(lines[at], len(lines[at])))
    text = "\n".join(lines).encode()
    return damaged(text, draw) if draw.random() < 0.15 else text
