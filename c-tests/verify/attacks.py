# SPDX-License-Identifier: MIT OR Apache-2.0
"""Changes of a module's memory that an attacker would make, each as (what, cause and role that relakit reports, address, bytes)."""
import struct

R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32 = 1, 2, 4
CALL, JUMP, SHORT_JUMP, BREAKPOINT = b"\xe8", b"\xe9", b"\xeb", b"\xcc"


class Module:
    """A module's file beside the addresses and the memory that it has in a guest."""

    def __init__(self, elf, places, memory):
        self.elf, self.places, self.memory = elf, places, memory
        self.symbols = elf.symbols()

    def fields(self, section, types):
        """The relocated fields of a section, by the file: address, name of the symbol, and the address that the symbol's section
        and the addend give, if the module defines the symbol."""
        for offset, symbol, kind, addend in self.elf.entries(self.elf.relocations_of(section)):
            name, _, _, index, value, _ = self.symbols[symbol]
            if kind in types:
                of = self.elf.sections[index].name if 0 < index < len(self.elf.sections) else None
                yield self.places[section] + offset, name, self.places.get(of, 0) + value + addend if of else None

    def targets(self, section, types=(R_X86_64_PC32, R_X86_64_64), step=1):
        """What every step-th entry of a table leads to in code."""
        text, size = self.places[".text"], self.elf.get(".text").size
        found = [target for _, _, target in list(self.fields(section, types))[::step]]
        return [target for target in found if target is not None and text <= target < text + size]


def towards(at, target, opcode):
    """A call or jump of 5 bytes."""
    return opcode + struct.pack("<i", target - at - 5)


def attacks(module, functions):
    evil = functions["commit_creds"][0]

    call = next(at - 1 for at, name, _ in module.fields(".text", [R_X86_64_PLT32])
                if name == "kfree" and module.memory.read(at - 1, 1) == CALL)
    # With call depth tracking, all calls are listed.
    listed = module.elf.has(".call_sites")
    yield ("a call leads to another function", "patch-site" if listed else "relocation", "call" if listed else None, call,
           towards(call, evil, CALL))
    pointer = next(at for at, *_ in module.fields(".rodata", [R_X86_64_64]))
    yield "a pointer in .rodata leads to another function", "relocation", None, pointer, struct.pack("<Q", evil)
    # Two relocations of 32 bits in each entry: code, target.
    label = module.targets("__jump_table", step=2)[0]
    # A nop or a jump, of 2 or 5 bytes.
    is_short = module.memory.read(label, 1) in (b"\x66", SHORT_JUMP)
    yield ("a jump label leads to another place", "patch-site", "jump-label", label,
           SHORT_JUMP + b"\x01" if is_short else towards(label, label + 6, JUMP))
    # Two relocations in each entry: site, key.
    static = module.targets(".static_call_sites", step=2)[0]
    yield "a static call leads into a function", "patch-site", "static-call", static, towards(static, evil + 1, CALL)
    traced = module.targets("__mcount_loc")[0]
    yield "the call of the tracer leads to another function", "patch-site", "trace", traced, towards(traced, evil, CALL)
    returns = module.targets(".return_sites")[0]
    yield "a return leads to a function", "patch-site", "return", returns, towards(returns, evil, JUMP)
    # Two relocations in each entry: original, replacement.
    original = module.targets(".altinstructions", step=2)[0]
    yield "an alternative has other bytes", "patch-site", "alternative", original, BREAKPOINT
    # An entry is the offset of the instruction, the offset of what continues, and the type.
    table = module.places["__ex_table"]
    fixup = struct.unpack("<i", module.memory.read(table + 4, 4))[0]
    yield "an exception continues elsewhere", "table", None, table + 4, struct.pack("<i", fixup + 16)
    text = module.places[".rodata.str1.1"]
    yield "a text has another byte", "content", None, text, bytes([module.memory.read(text, 1)[0] ^ 1])
