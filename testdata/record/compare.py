#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""compare.py RECORDED MADE VERSION: compares new recordings in MADE with those of the same module files in RECORDED.

Prints for each case what differs, beside "the same" if this may differ. Only these differences are allowed:
  * addresses of the copy of the file that the kernel frees after the load: sections without `mem`, and symbols in them;
  * if a module is at another address: its sections and symbols by this distance, and relocated fields by what follows from it;
  * .gnu.linkonce.this_module, outside of the relocated fields: it is a struct module in use;
  * in the states after the load: .data, which has objects in use.
  * more lines in the log.
The result of each step must be the same."""
import json
import pathlib
import struct
import sys

from trim import SECTION_HEADER, SYMBOL, read

SHT_RELA = 4
RELA = struct.Struct("<QQq")
# Relocation type -> (bytes of the field, relative to P)
FIELDS = {1: (8, False), 2: (4, True), 4: (4, True), 10: (4, False), 11: (4, False), 24: (8, True)}
IN_USE = {".gnu.linkonce.this_module": True, ".data": False}  # name -> also in the early state


def find(folder, name):
    return next(path for path in (folder / name, folder / f"{name}.xz") if path.exists())


class Case:
    """A recording."""

    def __init__(self, folder):
        self.folder = folder
        self.json = json.loads(read(find(folder, "layout.json")))
        self.module = read(find(folder, "module.ko"))
        self.addresses = [int(section["addr"], 16) for section in self.json["sections"]]
        self.symbols = [int(value, 16) for value in self.json["symbols"]]

    def state(self, label):
        """{section: bytes}"""
        state = self.json["states"][label]
        content = read(find(self.folder, state["file"].removesuffix(".xz")))
        return {int(index): content[at:at + size] for index, (at, size, _) in state["sections"].items()}

    def fields(self):
        """(section, offset, size, relative, symbol) of each relocated field."""
        (table,), (count,) = struct.unpack_from("<Q", self.module, 40), struct.unpack_from("<H", self.module, 60)
        for number in range(count):
            header = SECTION_HEADER.unpack_from(self.module, table + number * SECTION_HEADER.size)
            kind, offset, size, target = header[1], header[4], header[5], header[7]
            if kind == SHT_RELA:
                for at, info, _ in RELA.iter_unpack(self.module[offset:offset + size]):
                    if info & 0xffffffff in FIELDS:
                        yield target, at, *FIELDS[info & 0xffffffff], info >> 32

    def symbol_sections(self):
        """The section of each symbol, as in the file."""
        table = self.json["symtab_index"]
        (headers,) = struct.unpack_from("<Q", self.module, 40)
        header = SECTION_HEADER.unpack_from(self.module, headers + table * SECTION_HEADER.size)
        return [symbol[3] for symbol in SYMBOL.iter_unpack(self.module[header[4]:header[4] + header[5]])]


def adjusted(old, new, state):
    """The bytes of a new state, with the relocated fields as if each section and symbol were at its old address."""
    content = {index: bytearray(part) for index, part in state.items()}
    for section, at, size, relative, symbol in old.fields():
        if section in content and at + size <= len(content[section]):
            change = old.symbols[symbol] - new.symbols[symbol]
            if relative:
                change -= old.addresses[section] - new.addresses[section]
            field = int.from_bytes(content[section][at:at + size], "little") + change
            content[section][at:at + size] = (field % (1 << 8 * size)).to_bytes(size, "little")
    return content


def compare_layout(old, new, notes):
    """Yields what must not differ; adds what may differ to the notes."""
    temporary = moved = 0
    for before, after in zip(old.json["sections"], new.json["sections"], strict=True):
        if before["addr"] != after["addr"]:
            temporary += "mem" not in before
            moved += "mem" in before
        if {**before, "addr": 0} != {**after, "addr": 0}:
            yield f"section {before['name']}: {before} {after}"
    others = 0
    for number, section in enumerate(old.symbol_sections()):
        change = new.symbols[number] - old.symbols[number]
        if 0 < section < len(old.addresses) and change and change != new.addresses[section] - old.addresses[section]:
            yield f"symbol {number}: {old.symbols[number]:#x} {new.symbols[number]:#x}"
        elif change and not 0 < section < len(old.addresses):
            others += 1
    notes += [f"{count} {what}" for count, what in (
        (temporary, "headers of the freed copy are elsewhere"), (moved, "sections are elsewhere"),
        (others, "symbols of other modules are elsewhere")) if count]


def compare_state(old, new, label, notes):
    early = label in ("early", "relocated")
    before, after = old.state(label), new.state(label)
    if before == after:
        return
    if before.keys() != after.keys():
        yield f"{label}: other sections"
        return
    after = adjusted(old, new, after)
    fields = {index: set() for index in before}
    for section, at, size, _, _ in old.fields():
        fields.get(section, set()).update(range(at, at + size))
    for index, part in before.items():
        name, different = old.json["sections"][index]["name"], [at for at, byte in enumerate(part) if byte != after[index][at]]
        in_use = name in IN_USE and (IN_USE[name] or not early)
        if [at for at in different if not in_use or early and at in fields[index]]:
            yield f"{label}: {name}: {len(different)} bytes, the first one at {different[0]:#x}"
        elif different:
            notes.append(f"{label}: {len(different)} bytes of {name} in use")
    if not any(note.startswith(label) for note in notes):
        notes.append(f"{label}: relocated fields")


def compare_log(old, new, notes):
    for before, after in zip(old.json.get("log", []), new.json.get("log", []), strict=True):
        recorded, made = (entry.pop("dmesg", []) for entry in (before, after))
        if before != after:
            yield f"{before} {after}"
        if set(recorded) - set(made):
            yield f"log of {before['step']}: missing: {set(recorded) - set(made)}"
        elif len(recorded) != len(made):
            notes.append(f"{len(made) - len(recorded)} more lines in the log of {before['step']}")


def compare(old, new):
    """Returns (differences, notes about differences that are allowed)."""
    notes = []
    found = list(compare_layout(old, new, notes))
    found += [f"{key}: {old.json.get(key)} {new.json.get(key)}" for key in ("kernel", "errno", "steps", "livepatch", "symtab_index")
              if old.json.get(key) != new.json.get(key)]
    found += list(compare_log(old, new, notes))
    if old.json["states"].keys() != new.json["states"].keys():
        return found + ["other states"], notes
    for label in old.json["states"]:
        found += compare_state(old, new, label, notes)
    return found, notes


def main(recorded, made, version):
    failed = compared = 0
    for kind in ("plain", "klp"):
        for folder in sorted(pathlib.Path(recorded, f"{kind}-{version}").glob("*/")):
            again = pathlib.Path(made, f"{kind}-{version}", folder.name)
            if not again.is_dir():
                continue
            old, new = Case(folder), Case(again)
            if old.module != new.module:
                print(f"{folder.name}: another file")
                continue
            found, notes = compare(old, new)
            compared += 1
            failed += bool(found)
            print(f"{folder.name}: {'DIFFERS: ' + '; '.join(found) if found else '; '.join(['the same', *notes])}")
    print(f"{compared} recordings of testdata are compared, {failed} differ")
    sys.exit(failed != 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
