#!/usr/bin/env python3
"""Makes the seeds that are written by hand: shapes that a fuzzer would not guess in a minute.

    fuzz/shapes.py      writes them to fuzz/seeds; a seed that is there already is written anew, with the same bytes

A seed is a row of choices that a target reads in order (fuzz/src). The functions here have the names of what reads them.
Change them together: if the order of choices changes, old seeds mean something else. got_shapes.py has those with a
global offset table.
"""

import os
import struct

SEEDS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")


def seed(target, name, data):
    with open(os.path.join(SEEDS, target, name), "wb") as file:
        file.write(bytes(data))


def both(make):
    """Plain memory, and behind a writer."""
    make("plain", False)
    make("behind-a-writer", True)


# ffi/aliased: relocations. A type is an index into the list of `entry`.
R64, PC32, R32, NONE = 0, 3, 5, 8
FAR = (0xC0, 0)  # a symbol's value, far away


def entry(r_type, symbol, offset, addend=0):
    return [r_type, symbol, offset, addend]


def at(offset):
    """An offset that is a multiple of 8 and below 96, as a choice."""
    assert offset % 8 == 0 and offset < 96
    return offset // 8


TWICE = [entry(R64, 1, 0), entry(R64, 1, 0)]  # the second one fails: its field is not zero


def table(what, info, entries):
    return [what, info - 1, len(entries), *sum(entries, [])]


def data(what=0):
    return [what, 0, 0]


def alias(offset):
    """A section that lies at `offset` in the arena."""
    return [0, 0, 0xE0 | offset % 8, offset // 8, 0]


def shaped(how, sections, symbols=(), fails=(0, 0), lies=None, lie_at=0, flags=0):
    symbols = list(symbols) + [(0, 0)] * (6 - len(symbols))
    head = [4, how, *fails, *([] if lies is None else [lies]), lie_at, 0, flags, 0]
    return head + [byte for symbol in symbols for byte in symbol] + sum(sections, [])


# Where the parts of the arena of `Shape` are.
SYMTAB, SECTION_NAMES, SYMBOL_NAMES, HEADERS = 640, 808, 864, 960
ORDINARY, LIVEPATCH = 1, 2


def level_2(how_name, hooked):
    how = 2 if hooked else 0
    klp, name = how | 1, lambda text: f"aliased-{text}-{how_name}"
    honest = [entry(R64, 1, 0), entry(PC32, 2, at(8)), entry(R64, 3, at(16))]
    seed("ffi", name("section-honest"),
         shaped(how, [table(ORDINARY, 2, honest), data()], [FAR, (0x70, 0), (1, 0)]))
    seed("ffi", name("section-targets-itself"), shaped(how, [table(ORDINARY, 1, TWICE)], [FAR]))
    seed("ffi", name("klp-section-targets-itself"), shaped(klp, [table(LIVEPATCH, 1, TWICE)], [FAR]))
    seed("ffi", name("klp-vmlinux-section-targets-itself"),
         shaped(how | 0xC1, [table(LIVEPATCH, 1, [entry(R64, 4, 0)] * 2)], [(0, 0)] * 3 + [FAR]))
    inside = TWICE + [entry(NONE, 0, 0), entry(NONE, 0, 0x98, 0xC0)]
    seed("ffi", name("section-targets-itself-inside"), shaped(how, [table(ORDINARY, 1, inside)], [(9, 0)]))
    each_other = [table(LIVEPATCH, 2, [entry(R64, 1, 0)]), table(LIVEPATCH, 1, [entry(R64, 2, at(48))] * 2)]
    seed("ffi", name("sections-target-each-other"), shaped(klp, each_other, [(9, 0), (3, 0)]))
    later = [table(LIVEPATCH, 2, [entry(R64, 1, 0)]),
             table(LIVEPATCH, 3, [entry(R64, 2, 0), entry(R64, 2, at(8))]), data()]
    seed("ffi", name("section-targets-a-later-table"), shaped(klp, later, [(3, 0), (4, 0)]))
    another = [table(ORDINARY, 2, [entry(R64, 1, 0)]), table(ORDINARY, 3, [entry(R64, 2, 0)]), data()]
    seed("ffi", name("section-targets-the-table-of-another"), shaped(how, another, [(3, 0), (4, 0)]))
    near, changes = [FAR], [(9, 0), (0xE0, 0)]
    for what, where, entries, symbols in (
        ("symbols", SYMTAB, [entry(R64, 2, at(32), 0xC1), entry(R64, 1, at(56))], changes),
        ("section-names", SECTION_NAMES, [entry(R64, 1, at(40))] * 2, near),
        ("symbol-names", SYMBOL_NAMES, [entry(R64, 1, at(80))] * 2, near),
        ("headers", HEADERS, [entry(R64, 1, 0), entry(R64, 1, at(8)), entry(R64, 1, 0)], near),
        ("the-table", 64, TWICE, near),
    ):
        for kind, prefix, flags in ((ORDINARY, "", how), (LIVEPATCH, "klp-", klp)):
            sections = [table(kind, 2, entries), alias(where)]
            seed("ffi", name(f"{prefix}target-is-{what}"), shaped(flags, sections, symbols))


def level_2_without_count():
    """The number of headers is unknown: the target comes before the symbol table, or is refused."""
    one = [entry(R64, 1, 0), entry(R64, 2, at(8))]
    unknown = 0x40
    for name, sections in (
        ("honest", [table(ORDINARY, 2, one), data()]),
        ("target-is-headers", [table(ORDINARY, 2, one), alias(HEADERS)]),
        ("target-is-the-last-header", [table(ORDINARY, 2, one), alias(HEADERS + 8 * 64)]),
        ("target-is-symbol-names", [[ORDINARY, 0xFA, 1, *one[0]]]),
        ("target-does-not-exist", [[ORDINARY, 0xFB, 1, *one[0]]]),
        ("no-relocations", [data()]),
    ):
        seed("ffi", f"aliased-count-unknown-{name}", shaped(0, sections, [FAR, (0x70, 0)], flags=unknown))
        seed("ffi", f"aliased-count-unknown-{name}-behind-a-writer",
             shaped(2, sections, [FAR, (0x70, 0)], flags=unknown))


def level_2_writers():
    one = [table(ORDINARY, 2, [entry(R64, 1, 0)])]
    seed("ffi", "aliased-section-wraps", shaped(2, one + [data(0xD8)], [FAR]))
    seed("ffi", "aliased-klp-section-wraps",
         shaped(3, [table(LIVEPATCH, 2, [entry(R64, 1, 0)]), data(0xD8)], [FAR]))
    seed("ffi", "aliased-section-of-any-size", shaped(0, one + [data(0xD4)], [FAR]))
    seed("ffi", "aliased-section-nowhere", shaped(0, one + [data(0xD0)], [FAR]))
    four = [entry(R64, 1, 0), entry(PC32, 2, at(8)), entry(R64, 3, at(16)), entry(R64, 3, at(16))]
    for lies in (1, 2, 3, 4, 0x81, 0x85):
        for prefix, kind, how in (("", ORDINARY, 0x32), ("klp-", LIVEPATCH, 0x33)):
            sections = [table(kind, 2, four), data()]
            seed("ffi", f"aliased-{prefix}writer-lies-{lies:02x}",
                 shaped(how, sections, [FAR, (0x70, 0), (1, 0)], lies=lies, lie_at=5))
    two = [entry(R64, 1, 0), entry(R64, 1, at(8))]
    # The write of an entry also changes the r_offset of this entry, and then the next one fails: `Port::write`.
    into = [table(ORDINARY, 2, TWICE), data()]
    seed("ffi", "aliased-writer-lies-into-the-table", shaped(0x32, into, [FAR], lies=4, lie_at=122))
    for fails in (12, 13, 14):
        into = [table(ORDINARY, 2, two), data()]
        seed("ffi", f"aliased-writer-lies-into-the-table-and-clearing-fails-at-{fails}",
             shaped(0x32, into, [FAR], fails=(fails, 0), lies=4, lie_at=104))
    for name, sections in (
        ("itself", [table(ORDINARY, 1, TWICE)]),
        ("the-table-s-addresses", [table(ORDINARY, 2, two), alias(64)]),
        ("headers", [table(ORDINARY, 2, two), alias(HEADERS)]),
    ):
        seed("ffi", f"aliased-foreign-section-targets-{name}", shaped(0x0E, sections, [FAR]))
    for fails in range(1, 7):
        sections = [table(ORDINARY, 2, [entry(R64, 1, 0), entry(PC32, 2, at(8))]), data()]
        seed("ffi", f"aliased-writer-fails-at-{fails}",
             shaped(2, sections, [FAR, (0x70, 0)], fails=(fails, 0)))
    for fails in range(1, 10):
        sections = [table(LIVEPATCH, 2, [entry(R64, 1, 0), entry(PC32, 2, at(8))]), data()]
        seed("ffi", f"aliased-klp-writer-fails-at-{fails}",
             shaped(3, sections, [FAR, (0x70, 0)], fails=(fails, 0)))
    for shndx, name in ((0xFF, "undefined"), (0xFE, "weak"), (0, "livepatch")):
        symbols = [(0xE0, shndx)]
        unused = [table(ORDINARY, 2, [entry(NONE, 1, 0)])]
        seed("ffi", f"aliased-symbol-unresolved-{name}", shaped(0, one + [data()], symbols))
        seed("ffi", f"aliased-symbol-unresolved-{name}-allowed", shaped(0, one + [data()], symbols, flags=16))
        seed("ffi", f"aliased-symbol-unresolved-{name}-used-by-none", shaped(0, unused + [data()], symbols))


def single(how, entries, start, length=0, symbols=(), lies=None, lie_at=0, address=(0,)):
    symbols = list(symbols) + [0] * (6 - len(symbols))
    head = [5, how, 0, 0, *([] if lies is None else [lies]), lie_at, 0, 0, len(entries)]
    return head + symbols + [start, length, *address] + sum(entries, [])


def level_1(how_name, hooked):
    how, name = int(hooked), lambda text: f"aliased-{text}-{how_name}"
    two = [entry(R64, 1, 0), entry(R64, 1, at(8))]
    for values, symtab in (("values", 0), ("symtab", 2)):
        kind = how | symtab
        seed("ffi", name(f"table-honest-{values}"),
             single(kind, [entry(R64, 1, 0), entry(R64, 2, at(8))], 0, symbols=[0xC1, 5]))
        seed("ffi", name(f"table-is-its-target-{values}"), single(kind, TWICE, 0x40, 2, [0xE1]))
        first, second = (at(32), at(56)) if symtab else (at(8), at(16))
        seed("ffi", name(f"table-target-is-{values}"),
             single(kind, [entry(R64, 2, first, 0x9F), entry(R64, 1, second)], 0x80, 0, [9, 0]))
    seed("ffi", name("check-unordered"),
         single(how | 8, [entry(R64, 1, at(8)), entry(R64, 1, 0)], 0, symbols=[9]))
    seed("ffi", name("check-overlapping"),
         single(how | 8, [entry(R64, 1, 0), entry(R32, 1, 0xDF)], 0, symbols=[9]))
    seed("ffi", name("table-target-wraps"),
         single(how, two, 0, symbols=[9], address=(0xF0, *[0xFF] * 7, 0xF0)))


def level_1_others():
    two = [entry(R64, 1, 0), entry(R64, 1, at(8))]
    seed("ffi", "aliased-check-unordered-read-only", single(0x0C, two[::-1], 0, symbols=[9]))
    seed("ffi", "aliased-check-ordered-read-only", single(0x0C, two, 0, symbols=[9]))
    seed("ffi", "aliased-table-foreign-is-its-target", single(0x31, two, 0x40, 2, [0xE1]))
    for lies in (1, 2, 3, 4, 0x81):
        seed("ffi", f"aliased-table-writer-lies-{lies:02x}",
             single(0xC1, two + [entry(R64, 1, 0)], 0, symbols=[0xE1], lies=lies, lie_at=5))


# module: plans.
ELF, LINUX_6_12 = 22, 3
TEXT, DATA, UNUSED = [0], [1], [0xC0, 14]
FIRST = 0x60  # the first livepatch symbol: vmlinux, "f"


def target(name, size=0, odd=0):
    return [*name, size, 0, 0, odd]


def relocation(symbol, r_type, *offset, addend=0):
    return [0, symbol, r_type, *offset, addend]


def relocations(usual, whose, entries, info=(0,), odd=(0,)):
    return [usual, whose, *info, *odd, len(entries), *sum(entries, []), 0]


def plan(targets, symbols, sections, profile=LINUX_6_12, zero=0):
    rows = [[0, profile, zero, len(targets) - 1], *targets, [len(symbols), 0], *symbols]
    return sum(rows + [[len(sections)]] + sections, [])


LOAD = [0, 0, 0]


def life(how, aliases, module, fails=(0, 0), lies=None, lie_at=0):
    aliases = (sum(map(list, aliases), []) + [0] * 9)[:9]
    return [6, how, 0, *fails, *([] if lies is None else [lies]), lie_at, 0] + aliases + module[1:]


LATE = [FIRST + 3, 0]
GOOD = plan([target(TEXT), target(DATA)], [[0x50], LATE],
            [relocations(0, 0, [relocation(1, 0, 0), relocation(1, 0, 0)]),
             relocations(1, 2, [relocation(0, 0, 0), relocation(0, 1, 0)])])


def at_offsets(*offsets):
    entries = [relocation(1, 0, 0xF0, offset) for offset in offsets]
    return plan([target(TEXT), target(DATA)], [[0x50], LATE], [relocations(0, 0, entries)])


def level_3(how_name, hooked):
    how, name = 0x10 if hooked else 0, lambda text: f"aliased-life-{text}-{how_name}"
    in_table = (2, 0, (64 + 64 + 64) // 8)
    seed("ffi", name("honest"), life(how, [], GOOD))
    seed("ffi", name("section-is-its-table"), life(how, [in_table], at_offsets(0, 0)))
    seed("ffi", name("section-is-in-the-file"), life(how, [in_table], at_offsets(32, 40)))
    seed("ffi", name("section-is-values"), life(how, [(2, 1, 0)], GOOD))
    seed("ffi", name("section-is-kept"), life(how, [(3, 2, 0)], GOOD))
    seed("ffi", name("section-is-kept-further"), life(how, [(3, 2, 4)], GOOD))
    for fails in range(1, 14, 2):
        seed("ffi", f"aliased-life-{how_name}-hook-{fails:02}-fails", life(how, [], GOOD, fails=(fails, 0)))
    if hooked:
        seed("ffi", "aliased-life-foreign", life(0x13, [in_table, (3, 2, 0)], GOOD))
        for lies in (1, 2, 3, 4, 0x81):
            seed("ffi", f"aliased-life-writer-lies-{lies:02x}", life(0x1C, [], GOOD, lies=lies, lie_at=9))


def module():
    for name, odd in (("", 0), ("-behind-a-writer", 3)):
        unused = [target(UNUSED, odd=odd), target(TEXT)]
        seed("module", f"unused-header-is-filled{name}", plan(unused, [[0]], []) + LOAD)
    for name, whose, symbol in (("early", 0, [0x50]), ("vmlinux", 1, [FIRST, 0]), ("late", 2, LATE)):
        one, klp = [relocation(0 if whose else 1, 0, 0)], relocations(0, 2, [], odd=(0,))
        seed("module", f"target-is-an-unused-header-{name}",
             plan([target(UNUSED)], [symbol], [relocations(0, whose, one)]) + LOAD)
        seed("module", f"target-is-a-relocation-section-{name}",
             plan([target(TEXT)], [symbol], [relocations(0, whose, one, info=(0xF8, 3)), klp]) + LOAD)
        for end, odd in (("wraps", 0xF2), ("wraps-behind-a-writer", 0xF7), ("ends-at-2-64", 0xF4)):
            seed("module", f"target-{end}-{name}",
                 plan([target(TEXT, odd=odd)], [symbol], [relocations(0, whose, one)]) + LOAD)
    for name, odd in (("", 0xFC), ("-with-a-name-outside", 0xFB)):
        sections = [relocations(0, 2, [relocation(0, 0, 0)], odd=(odd,))]
        seed("module", f"late-section-is-an-unused-header{name}", plan([target(TEXT)], [LATE], sections) + LOAD)
        sections = [relocations(0, 2, [relocation(0, 0, 0)], info=(0xF8, 1), odd=(odd,))]
        seed("module", f"late-section-is-an-unused-header{name}-and-has-no-target",
             plan([target(TEXT)], [LATE], sections) + LOAD)
    for length, symbol in ((4096, 0x5E), (4097, 0x5F)):
        seed("module", f"undefined-name-of-{length}-bytes", plan([target(TEXT)], [[symbol]], []) + LOAD)
    symbols = [[0xFD, which] for which in range(5)]
    for name, profile in (("linux", LINUX_6_12), ("elf", ELF)):
        seed("module", f"sections-of-reserved-indices-{name}",
             plan([target(TEXT)], symbols, [], profile, zero=0xFF))
    # The second section is of no object.
    sections = [relocations(0, 2, []), relocations(0, 2, [], info=(0xF8, 1), odd=(0xFD, 0)),
                relocations(0, 4, []), relocations(0, 2, []), relocations(0, 5, [])]
    seed("module", "late-objects-by-index", plan([target(TEXT)], [LATE], sections) + LOAD + [11, 0])


# ffi: calls in any order.
INIT, PLACE, FILL, EARLY, LATE_SIZE, KEEP, COMING, FILLED = 0, 3, 4, 5, 7, 8, 10, (4, 0x80)


def order(calls, file):
    calls = [call if isinstance(call, tuple) else (call, 0) for call in calls]
    return [3] + [0] * 10 + [len(calls)] + [byte for call in calls for byte in (*call, 0)] + list(file)


def orders():
    text = (struct.pack("<QIIq", 0, 0, 0, 0), 4, 0, 1)
    file = elf([(".text", 1, 6, bytes(8)), (".rela.text", 4, 0, text[0], 0, 1)])
    for name, calls in (
        ("early-before-fill", [INIT, PLACE, EARLY, FILL, EARLY, LATE_SIZE, KEEP]),
        ("early-before-fill-by-the-caller", [INIT, PLACE, EARLY, FILLED, EARLY, KEEP, COMING]),
        ("placed-again-after-fill", [INIT, PLACE, FILL, PLACE, EARLY, FILLED, EARLY]),
        ("filled-twice", [INIT, FILLED, FILL, PLACE, FILLED, FILLED, FILL, FILL, EARLY, FILL, FILLED, KEEP, FILLED]),
    ):
        seed("ffi", f"order-{name}", order(calls, file))


# apply: a table and a target of 16 bytes.
def apply():
    for name, content, rules in (("undefined", 2, 0), ("livepatch", 4, 0), ("weak", 6, 0),
                                 ("undefined-allowed", 2, 16), ("livepatch-allowed", 4, 16)):
        head = [rules, 0, 3, 16, content, 9, 0, 0, 0, 0, 0, 0, 9]  # symbols 0 and 1 are 0
        first, second = [0, 2, 1, 0, 1], [8, 1, 1, 0, 1]
        seed("apply", f"symbol-unresolved-{name}", head + first + second)
        seed("apply", f"symbol-unresolved-{name}-after-a-fault", head + [9, 2, 1, 0, 1] + second)
    head = [0, 0, 3, 16, 0, 9, 0, 0, 0, 0, 5, 0, 9]
    descend = [8, 2, 1, 0, 1, 0, 1, 1, 0, 1]
    seed("apply", "fields-descend-and-then-one-is-outside", head + descend + [15, 1, 1, 0, 1])
    seed("apply", "fields-descend-and-the-second-is-at-fault", head + descend[:6] + [3, 1, 0, 1])


# Files, of which the tables are made by hand.
def elf(sections, symbols=bytes(24), strings=b"\0"):
    """A module of these sections: name, type, flags, bytes, sh_link, sh_info, sh_offset, sh_size, sh_name."""
    sections = [("", 0, 0, b""), *sections, (".symtab", 2, 0, symbols), (".strtab", 3, 0, strings),
                (".shstrtab", 3, 0, b"")]
    names, file, headers = b"\0", bytearray(64), []
    count = len(sections)
    for index, section in enumerate(sections):
        name, kind, flags, content, link, info, offset, size, name_at = (*section, *[None] * 9)[:9]
        if index == count - 3:
            link = count - 2
        at_name = len(names) if name else 0
        if name:
            names += name.encode() + b"\0"
        if index == count - 1:
            content = names
        start = len(file)
        file += content
        headers.append(struct.pack(
            "<IIQQQQIIQQ", at_name if name_at is None else name_at, kind, flags, 0,
            start if offset is None else offset, len(content) if size is None else size, link or 0, info or 0, 8, 0))
    table_at = len(file)
    file[:16] = b"\x7fELF\2\1\1" + bytes(9)
    struct.pack_into("<HHIQQQIHHHHHH", file, 16, 1, 62, 1, 0, 0, table_at, 0, 64, 0, 0, 64, count, count - 1)
    return bytes(file) + b"".join(headers)


def many_livepatch_symbols():
    """More livepatch symbols than a pass caches, each used twice."""
    count, strings, symbols, entries = 20, b"\0", bytes(24), b""
    for index in range(1, count + 1):
        symbols += struct.pack("<IBBHQQ", len(strings), 0x10, 0, 0xFF20, 0, 0)
        strings += f".klp.sym.m.a{index},1\0".encode()
    for at in range(2 * count):
        entries += struct.pack("<QQq", 8 * at, (at % count + 1) << 32 | 1, at)
    sections = [(".data", 1, 3, bytes(16 * count)), (".klp.rela.m..data", 4, 0x100002, entries, 0, 1)]
    file = elf(sections, symbols, strings)
    for how, flags in (("plain", 4), ("behind-a-writer", 6)):
        for fails in (0, 3):
            seed("ffi", f"many-livepatch-symbols-{how}-fails-{fails}", bytes([1, 3, flags, 0, 2, fails, 0, 0, 0]) + file)
    for how, flags in (("plain", 0x28), ("behind-a-writer", 0x2A)):
        seed("ffi", f"count-unknown-{how}", bytes([1, 3, flags, 0, 2, 0, 0, 0, 0]) + file)


def sentinel():
    """A symbol whose real value is the sentinel, beside a symbol of a section that is not loaded."""
    symbols = bytes(24) + struct.pack("<IBBHQQ", 0, 0, 0, 0xFFF1, 0x5EC7_1000_0000_0000, 0) + struct.pack(
        "<IBBHQQ", 0, 0, 0, 2, 0, 0)
    for name, used in (("sentinel-of-a-real-symbol", (1, 1)), ("sentinel-of-a-symbol-without-memory", (1, 2))):
        entries = b"".join(struct.pack("<QQq", 8 * at, symbol << 32 | 1, 1) for at, symbol in enumerate(used))
        sections = [(".data", 1, 3, bytes(16)), (".comment", 1, 0, bytes(8)), (".rela.data", 4, 0, entries, 0, 1)]
        seed("check", name, bytes([3, 0, 0]) + elf(sections, symbols))


def files():
    entries = bytes(24 * 8)
    shared = [(f".rela{n}", 4, 0, b"" if n else entries, 0, 1, 64 + 8, len(entries)) for n in range(8)]
    text = (".text", 1, 6, bytes(8))
    percpu = (".data..percpu", 1, 3, bytes(24))
    inside = (".rela.x", 4, 0, b"", 0, 1, 64 + 8, 24)
    long = "n" * 4097

    def in_headers(name, kind):
        """A section of 24 bytes, the last of them in the section headers."""
        sections = [text, (name, kind, 2, b"", 0, 1, 0, 24)]
        headers = struct.unpack_from("<Q", elf(sections), 40)[0]
        return elf([text, (*sections[1][:6], headers - 23, 24)])

    made = {
        "tables-share-bytes": elf([text, *shared]),
        "table-shares-bytes-with-the-headers": in_headers(".rela.x", 4),
        "section-shares-bytes-with-the-headers": in_headers(".x", 1),
        "table-shares-bytes-with-the-template": elf([text, percpu, (*inside[:6], 64 + 8 + 16, 24)]),
        "table-touches-the-template": elf([text, percpu, (*inside[:6], 64 + 8 + 24, 24)]),
        "unused-header-leads-outside": elf([text, (".unused", 0, 2, b"", 0, 0, 1 << 20, 8)]),
        "unused-header-ends-outside": elf([text, (".unused", 0, 2, b"", 0, 0, 64, 1 << 20)]),
        "unused-header-leads-outside-and-is-not-copied": elf([text, (".unused", 0, 0, b"", 0, 0, 1 << 20, 8)]),
        "livepatch-name-outside": elf([text, (".unused", 0, 0x100002, b"", 0, 1, None, None, 0xFFFF)]),
        "name-of-4096-bytes": elf([text, (long[1:], 1, 2, b"\0")]),
        "name-of-4097-bytes": elf([text, (long, 1, 2, b"\0")]),
        "empty": b"",
    }
    for name, file in made.items():
        for profile, kernel in ((3, "6.12"), (6, "6.16"), (ELF, "elf")):
            seed("parse", f"{name}-{kernel}", bytes([profile]) + file)
        seed("check", name, bytes([6, 0, 0]) + file)
        seed("differential", name, file)


# verify: the numbers of KINDS, NEW and VERSIONS in fuzz/src/verify/plan.rs.
KINDS = range(11)
LABEL, ALTERNATIVE, CALL, LOCK, RETURN, TRACE, RETPOLINE, ENDBR, STATIC_CALL, LATE_CALL, CODE = KINDS
VERSIONS = ("6.12", "6.1", "5.10", "5.15", "5.18", "6.6", "6.15", "7.3")
NOTHING, FENCE, RET, CALL_F, JUMP = range(5)


def slot(kind, choice=0, to=0, old=0, new=(FENCE,)):
    if kind != ALTERNATIVE:
        return [kind, choice, to]
    return [kind, choice, to, old, new[0], len(new) - 1, *([] if len(new) == 1 else [new[1]])]


def runs(version, slots, forms=(), changes=(), comes=1, reverse=1, exceptions=((9, 1), (4, 2), (9, 3)), unwind=(30, 2, 7)):
    """A module that runs: which form each site has, and up to four changes: section, offset, what is flipped."""
    sites = sum(2 if entry[:1] == [ALTERNATIVE] and entry[3] == 2 else entry[0] not in (CALL, LATE_CALL, CODE) for entry in slots)
    forms = (list(forms) * sites)[:sites] if forms else [0] * sites
    changes = (list(changes) + [(1, 0, 1)] * 4)[:4]
    return [0, VERSIONS.index(version), reverse, len(slots) - 1, *sum(slots, []), len(exceptions), *sum(map(list, exceptions), []),
            len(unwind), *unwind, 40, comes, *forms, *(byte for at in changes for byte in (at[0], at[1] & 255, at[1] >> 8, at[2]))]


def verify():
    count = 0
    for version in VERSIONS:
        for form in range(4):
            slots = [slot(kind, 16 * form + 3 * kind + form, 11 * kind, kind % 3, (form, JUMP)) for kind in KINDS]
            changes = []
            for _ in range(4):
                changes.append((1, 16 * (count % 11) + count // 11 % 5, 1 << count % 8))
                count += 1
            seed("verify", f"all-{version}-{form}", runs(version, slots, [form, form + 1, 2], changes, form & 1, form & 1))
        for section in (2, 3, 5, 7, 9, 11, 13, 15, 17, 19):
            slots = [slot(LABEL, 1, 3), slot(ALTERNATIVE, new=(CALL_F,)), slot(TRACE), slot(LOCK), slot(LABEL), slot(TRACE)]
            changes = [(section, at, 4) for at in (0, 5, 9, 14)]
            seed("verify", f"tables-{version}-{section}", runs(version, slots, [1], changes))
    for old, new in ((0, NOTHING), (1, RET), (2, FENCE), (2, CALL_F), (0, JUMP)):
        for form in range(4):
            changes = [(1, byte, 0xCE) for byte in (0, 1, 3, 4)]
            seed("verify", f"alternative-{old}-{new}-{form}",
                 runs("6.12", [slot(ALTERNATIVE, 0, 5, old, (new,)), slot(CODE)], [form], changes))
    seed("verify", "empty-replacement-at-the-end", runs("6.1", [slot(ALTERNATIVE, old=1, new=(FENCE, NOTHING))], [2]))
    for name in ("demo-on-6.1", "late-into-special-section", "rewritten-at-altinstructions", "rewritten-at-jump-table",
                 "rewritten-at-return-sites", "rewritten-at-static-call-sites"):
        with open(os.path.join(SEEDS, "check", name), "rb") as file:
            seed("verify", f"file-{name}", bytes([0xE0, 0, 0, *range(1, 30)]) + file.read()[3:])


if __name__ == "__main__":
    import got_shapes

    both(level_1)
    both(level_2)
    both(level_3)
    level_1_others()
    level_2_without_count()
    level_2_writers()
    module()
    orders()
    apply()
    got_shapes.gots()
    got_shapes.planned_modules()
    many_livepatch_symbols()
    sentinel()
    files()
    verify()
