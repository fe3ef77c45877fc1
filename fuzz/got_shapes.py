"""The seeds with a global offset table, GOT, that are written by hand; shapes.py writes them."""

from shapes import DATA, ELF, FIRST, LINUX_6_12, TEXT, plan, relocation, seed, target

# apply: a table with a GOT. The types are indices into the lists of `rela` in fuzz/src/apply/case.rs.
GOTPCREL, GOTOFF64, GOTPC32, GOT64, GOTPCREL64, GOTPC64, PLTOFF64 = range(0xE0, 0xE7)
A64, A_PC32, A_PLT32, A32 = 1, 2, 3, 4
STUBS, BRANCH_TARGETS, IN_CODE, UNPLANNED = 1, 2, 4, 0x20
AFTER, FAR_AWAY, AT_THE_END, AT_2_GIB = 0, 8, 16, 24
KERNEL, FAR_SYMBOL, MINUS_4 = (9, 0), (11, 0), (0, 0xFC)


def got(name, how, entries, symbols=((0, 0), KERNEL, FAR_SYMBOL), flags=0, fails=0, content=None):
    """Entries: type, symbol, offset, addend. `content` has the bytes of the section, which are zero without it."""
    head = [flags, fails, len(symbols) + 5 * how, len(content or bytes(40)), int(content is not None)]
    rows = [[offset, symbol, r_type, *addend] for r_type, symbol, offset, addend in entries]
    seed("apply", f"got-{name}", sum([head, [*KERNEL], *map(list, symbols), list(content or b"")], []) + sum(rows, []))


def gots():
    memory = [GOTPCREL, *range(0xE7, 0xEC)]
    got("all-types-of-32-bits", AFTER, [(r_type, 1, 4 * at, MINUS_4) for at, r_type in enumerate([*memory, GOTPC32])])
    wide = [GOTOFF64, GOT64, GOTPCREL64, GOTPC64, PLTOFF64]
    got("all-types-of-64-bits", FAR_AWAY, [(r_type, 2, 8 * at, MINUS_4) for at, r_type in enumerate(wide)])
    for name, how, step in (("largest", AT_2_GIB, 15), ("too-large", AT_2_GIB, 16), ("out-of-reach", FAR_AWAY, 0)):
        got(f"slot-{name}", how, [(GOTPCREL, 1, 0, (0, step))])
        got(f"table-{name}", how, [(GOTPC32, 1, 0, (0, step))])
    one, other = (GOTPCREL, 1, 0, MINUS_4), (GOTPCREL, 2, 4, MINUS_4)
    got("symbol-without-a-slot", UNPLANNED, [one, other])
    got("symbol-without-a-slot-and-one-that-does-not-exist", UNPLANNED, [one, (GOT64, 4, 8, MINUS_4), other])
    got("symbol-that-does-not-exist", AFTER, [one, (GOTPCREL, 4, 4, MINUS_4)])
    got("one-slot-for-two-entries", AFTER, [one, (GOTPCREL, 1, 4, MINUS_4)])
    got("slots-in-two-words", AFTER, [one, other, (GOTPCREL, 0, 8, MINUS_4), (GOT64, 3, 16, MINUS_4)],
        symbols=((0, 0), KERNEL, FAR_SYMBOL, KERNEL), fails=0x80)
    got("ends-at-2-64", AT_THE_END, [one])
    got("wraps", AT_THE_END, [one, other])
    got("with-stubs-ends-at-2-64", AT_THE_END | STUBS, [one, other])
    got("last-entry-is-at-fault", AFTER, [one, other, (A64, 4, 8, MINUS_4)])
    got("field-not-zero", AFTER, [one, other], content=[0] * 7 + [1])
    got("field-past-the-end", AFTER, [one, (GOT64, 1, 35, MINUS_4)])
    got("fields-overlap", AFTER, [one, (GOTPCREL, 1, 2, MINUS_4)])
    got("fields-descend", AFTER, [other, one])
    for flags in (1, 2, 4):
        got(f"flags-{flags}", STUBS, [one, other, (A_PLT32, 2, 9, MINUS_4)], flags=flags)
    for name, how in (("", STUBS), ("-with-endbr", STUBS | BRANCH_TARGETS), ("-and-no-stub", AFTER),
                      ("-and-no-stub-with-endbr", BRANCH_TARGETS), ("-and-the-stub-is-far", STUBS | FAR_AWAY)):
        got(f"call-far{name}", how, [(A_PLT32, 2, 1, MINUS_4)])
    got("call-that-reaches-although-it-has-a-stub", STUBS, [(A_PLT32, 1, 1, MINUS_4)])
    got("call-far-of-the-second-slot", STUBS, [one, (A_PLT32, 2, 9, MINUS_4)])
    for name, how, opcode in (
        ("call", STUBS | IN_CODE, [0, 0xE8]), ("jump", STUBS | IN_CODE, [0, 0xE9]),
        ("condition", STUBS | IN_CODE, [0x0F, 0x84]), ("load", STUBS | IN_CODE, [0x8D, 0x05]),
        ("data", STUBS, [0, 0xE8]), ("almost-a-condition", STUBS | IN_CODE, [0x0F, 0x90]),
    ):
        entries = [(A_PC32, 2, 2, MINUS_4), (GOTPCREL, 2, 8, MINUS_4)]
        code = opcode + [0] * 10
        got(f"pc32-after-{name}", how, entries, content=code)
        got(f"pc32-after-{name}-nonzero-allowed", how, entries, content=code, flags=2)
        for fails in range(6):
            if name == "call":
                got(f"pc32-after-{name}-call-{fails}-fails", how, entries, content=code, fails=fails)
    first = [(A_PC32, 2, at, MINUS_4) for at in (0, 1)] + [(GOTPCREL, 2, 8, MINUS_4)]
    got("pc32-without-an-opcode-before-it", STUBS | IN_CODE, first[:1] + first[2:])
    got("pc32-with-one-byte-before-it", STUBS | IN_CODE, first[1:], content=[0xE8] + [0] * 11)
    # The opcode is the last byte of the field before: 0xe8 becomes 0, or 0 becomes 0xe8.
    symbols = ((0, 0), (0, 0), FAR_SYMBOL)
    entries = [(A32, 1, 0, (0, 0)), (A_PC32, 2, 4, MINUS_4), (GOTPCREL, 2, 8, MINUS_4)]
    for flags in (0, 2):
        got(f"opcode-that-a-field-overwrites-{flags}", STUBS | IN_CODE, entries, symbols, flags,
            content=[0, 0, 0, 0xE8] + [0] * 8)
        written = [(A64, 1, 0, (0, 0)), (A_PC32, 2, 8, MINUS_4), (GOTPCREL, 2, 12, MINUS_4)]
        got(f"opcode-that-a-field-writes-{flags}", STUBS | IN_CODE, written,
            ((0, 0), (0x80, *(0xE9 << 56).to_bytes(8, "little")), FAR_SYMBOL), flags)


# module: plans with a GOT, and what happens to them. The numbers of GOT_TYPES in fuzz/src/module/planned.rs.
M_GOTOFF64, M_GOTPC32, M_GOTPC64, M_PLTOFF64, M_GOTPCREL, M_GOT64, M_GOTPCREL64 = range(132, 139)
M_ALL = range(132, 144)
KEEP_TYPE, M_64, M_PC32, M_PLT32 = 0, 0, 1, 2
GOT_HIGH, GOT_LOW, GOT_FAR, GOT_END = range(4)
PRINTK, KFREE, HERE, GOT_SYMBOL = [0x50], [0x52], [0, 8], [0xFB]


def planned(name, entries, symbols=(PRINTK, KFREE, HERE), flags=0, where=GOT_HIGH, memory=0, fails=None, known=(0,),
            targets=None, profile=ELF, keeps_profile=0, changed=5, whose=0):
    """Entries: what the type becomes, symbol, type, offset bytes."""
    rows = [relocation(symbol, r_type, *offset) for _, symbol, r_type, *offset in entries]
    count = len(rows) if len(rows) < 5 else 0xF0 + len(rows) - 5
    section = [0, whose, 0, 0, count, *sum(rows, []), 0]
    module = plan(targets or [target(TEXT)], list(symbols), [section], profile)
    armed = [0] if fails is None else [0xE0 + (fails >> 8), fails & 255]
    rest = [keeps_profile, *(entry[0] for entry in entries), flags, where, memory, *known, *armed, changed]
    seed("module", f"got-{name}", [0xE0, *module[1:], *rest])


def far_code(content=None):
    """Code at 2^40, from which the kernel is out of reach. `content`: a byte that is not zero, and its offset."""
    rare = [0] if content is None else [0xF8, *content]
    return [[*TEXT, 3, *rare, 5, 0]]


def planned_modules():
    slots = [(r_type, 1 + at % 3, M_64, 0) for at, r_type in enumerate(M_ALL)]
    large = [[*TEXT, 3, 0, 0, 0]]
    planned("all-types", slots[:8], targets=large)
    planned("all-types-of-memory-operands", slots[4:], targets=large)
    planned("types-of-the-table-alone", [(r_type, 1, M_64, 0) for r_type in M_ALL[:4]])
    planned("of-livepatch-relocations", [(M_GOTPCREL, 0, M_64, 0)], symbols=([FIRST, 0],), whose=1)
    one = [(M_GOTPCREL, 1, M_64, 0), (M_GOTPCREL, 3, M_64, 0)]
    planned("of-no-entry", [(KEEP_TYPE, 3, M_64, 0)])
    planned("out-of-reach", one, where=GOT_FAR)
    planned("symbol", [(M_GOTPC32, 1, M_64, 0), (KEEP_TYPE, 1, M_64, 0)], symbols=(GOT_SYMBOL,))
    planned("symbol-without-a-got", [(KEEP_TYPE, 1, M_64, 0)], symbols=(GOT_SYMBOL,))
    planned("symbol-has-a-slot", [(M_GOTPCREL, 1, M_64, 0)], symbols=(GOT_SYMBOL,))
    planned("on-linux", one, profile=LINUX_6_12, keeps_profile=0xF8)
    planned("symbol-of-a-section-without-memory", one, targets=[target(TEXT, odd=0xF8), target(DATA)],
            symbols=(PRINTK, PRINTK, [0, 0]))
    planned("symbol-unknown", one, symbols=(PRINTK, PRINTK, [0xFC]))
    planned("symbol-weak", one, symbols=(PRINTK, PRINTK, [0xF8]))
    planned("field-past-the-end", one + [(M_GOT64, 1, M_64, 0xF0, 57)])
    planned("field-not-zero", one, targets=[[*TEXT, 0, 0xF8, 1, 8, 0, 0]])
    for name, memory in (("not-assigned", 0xF0), ("too-small", 0xF1), ("misaligned", 0xF2), ("behind-a-writer", 3)):
        planned(f"memory-{name}", one, memory=memory)
    planned("memory-ends-at-2-64", one, where=GOT_END)
    call = [(KEEP_TYPE, 1, M_PLT32, 1)]
    for name, flags in (("", 1), ("-with-endbr", 3), ("-and-no-stub", 0)):
        planned(f"call-far{name}", call, flags=flags, where=GOT_FAR, targets=far_code())
        planned(f"pc32-after-call-far{name}", [(KEEP_TYPE, 1, M_PC32, 2)], flags=flags, where=GOT_FAR,
                targets=far_code((0xE8, 1)))
    planned("call-near-with-stubs", call, flags=1)
    planned("call-far-of-its-own-symbol", [(KEEP_TYPE, 3, M_PLT32, 1)], flags=1, where=GOT_FAR, targets=far_code())
    planned("pc32-after-load-far", [(KEEP_TYPE, 1, M_PC32, 2), *call], flags=1, where=GOT_FAR,
            targets=far_code((0x05, 1)))
    for fails in range(0, 24):
        planned(f"call-{fails:02}-fails", one + [(KEEP_TYPE, 2, M_PLT32, 1)], flags=1, memory=3, fails=fails)
    for fails in range(0, 6):
        planned(f"plain-call-{fails:02}-fails", one, fails=fails)
        planned(f"plain-calls-from-{fails:02}-on-fail", one, memory=3, fails=0x300 + fails)
