#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes damaged copies of GRUB's module hello.

    damage.py hello.mod FOLDER

Prints a line for each file: its name, and what is damaged. The damage is in the command of the module, not in what runs
when the module is loaded and unloaded, so that a GRUB that accepts a damaged module continues.
"""
import struct
import sys

SECTION, SYMBOL, RELA = "<IIQQQQIIQQ", "<IBBHQQ", "<QQq"
SHT_REL, STT_FUNC, R_X86_64_32, R_X86_64_GOTPCRELX = 9, 2, 10, 41


class Module:
    """The bytes of hello.mod, and where they are: .text, its relocations, and the symbols."""

    def __init__(self, data):
        self.data = bytearray(data)
        table, = struct.unpack_from("<Q", data, 0x28)
        count, names = struct.unpack_from("<HH", data, 0x3C)
        headers = [table + 64 * i for i in range(count)]
        names = self.get(SECTION, headers[names])[4]
        named = {self.text_at(names + self.get(SECTION, at)[0]): at for at in headers}
        self.rela_header = named[".rela.text"]
        self.text, self.text_size = self.get(SECTION, named[".text"])[4:6]
        self.rela, self.rela_size = self.get(SECTION, self.rela_header)[4:6]
        self.symtab, self.symtab_size = self.get(SECTION, named[".symtab"])[4:6]
        strings = self.get(SECTION, named[".strtab"])[4]
        symbols = [self.text_at(strings + self.get(SYMBOL, at)[0])
                   for at in range(self.symtab, self.symtab + self.symtab_size, 24)]
        self.printf = symbols.index("grub_printf")
        # The relocation of the call of grub_printf, in the function of the command.
        self.call, = (at for at in range(self.rela, self.rela + self.rela_size, 24)
                      if self.get(RELA, at)[1] >> 32 == self.printf)

    def get(self, form, at):
        return list(struct.unpack_from(form, self.data, at))

    def text_at(self, at):
        return self.data[at:self.data.index(0, at)].decode()

    def change(self, form, at, member, value):
        members = self.get(form, at)
        if members[member] == value:
            raise SystemExit("the damage changes nothing")
        members[member] = value
        struct.pack_into(form, self.data, at, *members)


def offset(m):
    """r_offset is the size of the section"""
    m.change(RELA, m.call, 0, m.text_size)


def symbol(m):
    """the symbol index is larger than the symbol table"""
    m.change(RELA, m.call, 1, 0xFFFFF << 32 | 1)


def nonzero(m):
    """the field is not zero"""
    m.change("<B", m.text + m.get(RELA, m.call)[0], 0, 0x5A)


def partial(m):
    """the table ends inside its last entry"""
    m.change(SECTION, m.rela_header, 5, m.rela_size - 8)


def rel(m):
    """the type of the section is SHT_REL"""
    m.change(SECTION, m.rela_header, 1, SHT_REL)


def unknown(m):
    """the type of the relocation is R_X86_64_GOTPCRELX"""
    m.change(RELA, m.call, 1, m.printf << 32 | R_X86_64_GOTPCRELX)


def none(m):
    """the type of the relocation is R_X86_64_NONE"""
    m.change(RELA, m.call, 1, m.printf << 32)


def overflow(m):
    """the value of an R_X86_64_32 does not fit"""
    m.change(RELA, m.call, 1, m.printf << 32 | R_X86_64_32)
    m.change(RELA, m.call, 2, 1 << 40)


def function(m):
    """an undefined symbol has the type STT_FUNC"""
    # Last, because GRUB then exports a grub_printf with the value 0, also if it refuses the module.
    m.change(SYMBOL, m.symtab + 24 * m.printf, 1, 1 << 4 | STT_FUNC)


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    for damage in (offset, symbol, nonzero, partial, rel, unknown, none, overflow, function):
        module = Module(data)
        damage(module)
        with open(f"{sys.argv[2]}/{damage.__name__}.mod", "wb") as file:
            file.write(module.data)
        print(damage.__name__, damage.__doc__)


if __name__ == "__main__":
    main()
