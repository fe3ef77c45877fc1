#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Counts the relocations of a livepatch payload, or makes damaged copies of one.

    payload.py count PAYLOAD...
    payload.py damage PAYLOAD FOLDER

A count is of the tables that Xen applies: their target is SHF_ALLOC. Every damage is to the first entry of one table, or to
its section header; PC32 is a table of calls and of addresses in code, ABS64 one of pointers."""
import collections
import os
import struct
import sys

RELA, SHT_RELA, SHF_ALLOC = "<QIIq", 4, 2
NAMES = {0: "NONE", 1: "64", 2: "PC32", 4: "PLT32"}
Section = collections.namedtuple("Section", "name at name_at type flags addr offset size link info align entsize")


def sections(data):
    table, = struct.unpack_from("<Q", data, 0x28)
    count, names = struct.unpack_from("<HH", data, 0x3c)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + 64 * i) for i in range(count)]
    start = headers[names][4]

    def text(at):
        return data[start + at:data.index(0, start + at)].decode()
    return [Section(text(header[0]), table + 64 * i, *header) for i, header in enumerate(headers)]


def tables(data):
    every = sections(data)
    for section in every:
        if section.type == SHT_RELA and every[section.info].flags & SHF_ALLOC:
            entries = [struct.unpack_from(RELA, data, section.offset + at) for at in range(0, section.size, 24)]
            yield section, every[section.info], entries


def count(names):
    total, kinds = 0, collections.Counter()
    for name in names:
        with open(name, "rb") as file:
            for _, _, entries in tables(file.read()):
                total += 1
                kinds.update(NAMES[kind] for _, kind, _, _ in entries)
    print(len(names), total, sum(kinds.values()), ", ".join(f"{number} {kind}" for kind, number in kinds.most_common()))


def damage(name, folder):
    with open(name, "rb") as file:
        good = file.read()
    chosen = {}
    for section, target, entries in tables(good):
        kind = {1: "ABS64", 2: "PC32", 4: "PC32"}[entries[0][1]]
        if len(entries) > 1:
            chosen.setdefault(kind, (section, target, entries[0], len(entries)))
    symbols = next(section for section in sections(good) if section.type == 2)

    def write(what, at, layout, *values):
        data = bytearray(good)
        struct.pack_into(layout, data, at, *values)
        assert data != good, what
        with open(os.path.join(folder, f"{what}.livepatch"), "wb") as file:
            file.write(data)

    for kind, width in (("PC32", 4), ("ABS64", 8)):
        section, target, (offset, relocation, symbol, addend), entries = chosen[kind]
        tail = "" if kind == "PC32" else "_64"

        def entry(what, offset=offset, relocation=relocation, symbol=symbol, addend=addend):
            write(what + tail, section.offset, RELA, offset, relocation, symbol, addend)
        entry("offset_past_end", offset=target.size - width + 1)
        entry("offset_wraps", offset=2**64 - width)
        entry("symbol_past_end", symbol=symbols.size // 24)
        entry("symbol_undef", symbol=0)
        entry("type_unknown", relocation=42)
        write("field_not_zero" + tail, target.offset + offset, "<I", 0x5a)
        # sh_size is at 32 in a section header, sh_entsize at 56.
        write("table_cut" + tail, section.at + 32, "<Q", section.size - 1)
        write("one_entry" + tail, section.at + 56, "<Q", section.size)
        if kind == "PC32":
            entry("value_too_far", addend=1 << 40)
            entry("type_32s", relocation=11)
        print(f"{os.path.basename(name)}: {section.name}, {entries} entries, for {target.name}, {target.size} bytes")


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "count":
        count(sys.argv[2:])
    elif len(sys.argv) == 4 and sys.argv[1] == "damage":
        damage(*sys.argv[2:])
    else:
        sys.exit(__doc__)
