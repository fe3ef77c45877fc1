#!/usr/bin/env python3
"""Makes testdata/recordings from the full set of recordings.

usage: trim.py ORACLE OUT

ORACLE  folder with klp-6.12/ and verdicts/, or with other folders of recordings (see testdata/README.md and
        testdata/record); a folder that is missing stays in OUT as it is
OUT     folder to write; what it holds of an earlier run is replaced

The files of the chosen cases are copied, the ones that are not yet .xz as .xz where that saves more than a tenth.
The symbol table of each folder is cut down to the lines that the chosen modules need, in the order in which they
were (positions among equal names count):
  * for each undefined symbol NAME: the lines NAME and __ksymtab_NAME of every object;
  * for each KLP symbol `.klp.sym.OBJECT.NAME,POS`: the lines NAME of every object;
  * all lines of the chosen modules themselves.
The verdicts are of the kernel of klp-6.12 and use its symbol table.
The output depends on the input only. Python 3.9 or later, nothing else.
"""

import json
import lzma
import re
import shutil
import struct
import sys
from pathlib import Path

# Folder -> (its symbol table, the cases to keep).
CHOSEN = {
    "klp-6.12": ("kallsyms-vmlinux", ["module_late", "multi_mixed", "vmlinux_only"]),
    "plain-6.1": (
        "kallsyms-after",
        ["ahci", "crc16", "crc32c_generic", "curve25519_x86_64", "isofs", "loop", "mbcache", "vfat", "zram"],
    ),
}
# Verdicts, at least one of each kind of defect.
VERDICTS = """
    ok_vmlinux_64 sym_nonnumeric_pos sym_empty_objname sym_objname_55 sym_objname_56 sym_symname_513 sym_not_found
    sym_ambiguous_pos0 sym_pos3_of3 sym_unique_pos1 sym_unique_pos2 sym_addr_zero sym_undef sym_undef_weak sym_common
    sym_index0 sym_shndx_ff21 sec_name_empty_obj sec_no_flag sec_type_rel sec_info_huge sec_info_zero_badname_module_event
    sec_size_47 sec_two_same_slot ms_ref_vmlinux_early ms_initsym_late ms_mixed_pos2_early ms_two_sections_second_bad
    ms_overflow_second ms_modname_55_sec_64_sym_55 klp_type_COPY klp_type_NONE klp_nonzero_64 klp_nonzero_beside
    klp_same_slot_zero_first klp_offset_last klp_offset_far klp_symidx_far plain_32_max plain_32_over plain_32S_min
    plain_undef_weak plain_rela_klp_sym_after plain_sht_rel_empty elf_shnum_0 elf_sec_wraps elf_trunc_m1
""".split()
# Of a case only these; target-*.json repeats what the modsyms-* say.
WANTED = re.compile(r"(module\.ko|layout\.json|state-.*\.bin|modsyms-.*\.txt)(\.xz)?")

SHT_SYMTAB = 2
SHN_UNDEF = 0
SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr
SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym
KLP_SYMBOL = re.compile(rb"\.klp\.sym\.[^.]+\.([^,]+),")


def read(path):
    """The content of a file, unpacked if its name ends in .xz."""
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def pack(data):
    return lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)


def string_at(data, offset):
    return data[offset : data.index(b"\0", offset)]


def names_in_symbol_table(module):
    """(names of the undefined symbols, names that the KLP symbols stand for) of an ELF64 little-endian module."""
    (table,) = struct.unpack_from("<Q", module, 40)  # e_shoff
    (count,) = struct.unpack_from("<H", module, 60)  # e_shnum
    headers = [SECTION_HEADER.unpack_from(module, table + i * SECTION_HEADER.size) for i in range(count)]
    undefined, klp = set(), set()
    for _, kind, _, _, offset, size, link, _, _, _ in headers:
        if kind != SHT_SYMTAB:
            continue
        strings = headers[link][4]
        for name, _, _, section, _, _ in SYMBOL.iter_unpack(module[offset : offset + size]):
            name = string_at(module, strings + name)
            if match := KLP_SYMBOL.match(name):
                klp.add(match[1])
            elif section == SHN_UNDEF and name:
                undefined.add(name)
    return undefined, klp


def trim_symbols(text, names, modules):
    """The lines of a /proc/kallsyms that have one of the names or belong to one of the modules."""
    kept = []
    for line in text.splitlines(keepends=True):
        fields = line.split()  # address, type, name[, "[module]"]
        owner = fields[3].strip(b"[]") if len(fields) > 3 else b"vmlinux"
        if fields[2] in names or owner in modules:
            kept.append(line)
    return b"".join(kept)


def copy_case(case, out):
    """Copies one case; returns the module's own name and its file."""
    out.mkdir(parents=True)
    for path in sorted(case.iterdir()):
        if not WANTED.fullmatch(path.name):
            continue
        data = path.read_bytes()
        packed = pack(data)
        if path.suffix != ".xz" and len(packed) * 10 < len(data) * 9:
            (out / (path.name + ".xz")).write_bytes(packed)
        else:
            (out / path.name).write_bytes(data)
    layout = json.loads(read(next(case.glob("layout.json*"))))
    return layout.get("livepatch") or layout["module"], read(next(case.glob("module.ko*")))


def write_packed(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(path.name + ".xz").write_bytes(pack(data))


def copy_verdicts(verdicts, out):
    """Copies the chosen verdicts, every file packed; returns the modules."""
    shutil.rmtree(out, ignore_errors=True)
    listed = json.loads(read(verdicts / "verdicts.json"))
    listed["cases"] = [case for case in listed["cases"] if case["case"] in VERDICTS]
    write_packed(out / "verdicts.json", json.dumps(listed).encode())
    files = [verdicts / "base" / f"orc_tgt{number}.ko" for number in (1, 2, 3)]
    for case in listed["cases"]:
        files += [verdicts / case["file"]]
        files += [path for path in sorted((verdicts / "cases" / case["case"]).iterdir()) if path.name != "module.ko"]
    for path in files:
        write_packed(out / path.relative_to(verdicts), path.read_bytes())
    print(f"verdicts: {len(listed['cases'])} cases")
    return [read(verdicts / case["file"]) for case in listed["cases"]]


def names_if_readable(module):
    """The same of a module that may be damaged; of one that is, nothing."""
    try:
        return names_in_symbol_table(module)
    except (struct.error, IndexError, ValueError):
        return set(), set()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    oracle, out = Path(sys.argv[1]), Path(sys.argv[2])
    if (oracle / "verdicts").is_dir() != (oracle / "klp-6.12").is_dir():
        sys.exit("klp-6.12 and verdicts have one symbol table: both are needed, or none")
    damaged = copy_verdicts(oracle / "verdicts", out / "verdicts") if (oracle / "verdicts").is_dir() else []
    for folder, (table, cases) in CHOSEN.items():
        if not (oracle / folder).is_dir():
            continue
        shutil.rmtree(out / folder, ignore_errors=True)
        names, modules = set(), set()
        for case in cases:
            own, module = copy_case(oracle / folder / case, out / folder / case)
            modules.add(own.encode())
            undefined, klp = names_in_symbol_table(module)
            names |= undefined | klp | {b"__ksymtab_" + name for name in undefined}
        if folder == "klp-6.12":
            for undefined, klp in map(names_if_readable, damaged):
                names |= undefined | klp | {b"__ksymtab_" + name for name in undefined}
        text = read(oracle / folder / (table + ".xz"))
        trimmed = trim_symbols(text, names, modules)
        (out / folder / (table + ".xz")).write_bytes(pack(trimmed))
        print(f"{folder}: {len(cases)} cases, {len(trimmed.splitlines())} of {len(text.splitlines())} symbol lines")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{size} bytes in {out}")


if __name__ == "__main__":
    main()
