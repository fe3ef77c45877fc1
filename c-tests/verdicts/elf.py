# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads, changes and writes 64-bit ELF files of type ET_REL."""
import struct

EHDR, SHDR, SYM, RELA = "<16sHHIQQQIHHHHHH", "<IIQQQQIIQQ", "<IBBHQQ", "<QQq"
SHT_SYMTAB, SHT_RELA, SHT_NOBITS = 2, 4, 8
SHF_WRITE, SHF_ALLOC, SHF_INFO_LINK, SHF_RELA_LIVEPATCH = 0x1, 0x2, 0x40, 0x100000


class Section:
    def __init__(self, header, data):
        (self.name_at, self.type, self.flags, self.addr, self.offset, self.size, self.link, self.info, self.align,
         self.entsize) = header
        self.data = bytearray(data)
        self.name = ""


class Elf:
    """Sections with their content. save() places all of it anew and keeps the section numbers."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        self.ehdr = list(struct.unpack_from(EHDR, data))
        self.sections = []
        for index in range(self.ehdr[12]):
            header = struct.unpack_from(SHDR, data, self.ehdr[6] + 64 * index)
            content = b"" if header[1] in (0, SHT_NOBITS) else data[header[4]:header[4] + header[5]]
            self.sections.append(Section(header, content))
        names = self.sections[self.ehdr[13]].data
        for section in self.sections:
            section.name = self.string(names, section.name_at)
        self.symtab = next(section for section in self.sections if section.type == SHT_SYMTAB)
        self.strtab = self.sections[self.symtab.link]

    @staticmethod
    def string(table, at):
        return table[at:table.index(b"\0", at)].decode()

    def get(self, name):
        """The section of this name; it must exist."""
        return next(section for section in self.sections if section.name == name)

    def has(self, name):
        return any(section.name == name for section in self.sections)

    def relocations_of(self, name):
        """The ordinary relocation section of the section of this name."""
        target = self.sections.index(self.get(name))
        return next(s for s in self.sections if s.type == SHT_RELA and s.info == target and s.name == f".rela{name}")

    def entries(self, section):
        """[offset, symbol, type, addend] of each relocation of a relocation section."""
        return [[o, i >> 32, i & 0xffffffff, a] for o, i, a in struct.iter_unpack(RELA, section.data)]

    def set_entries(self, section, entries):
        section.data = bytearray(b"".join(struct.pack(RELA, o, s << 32 | t, a) for o, s, t, a in entries))

    def symbols(self):
        """[name, info, other, shndx, value, size] of each symbol."""
        return [[self.string(self.strtab.data, n), i, o, x, v, s]
                for n, i, o, x, v, s in struct.iter_unpack(SYM, self.symtab.data)]

    def symbol(self, name):
        """The index of the only symbol of this name."""
        found = [index for index, symbol in enumerate(self.symbols()) if symbol[0] == name]
        assert len(found) == 1, (name, found)
        return found[0]

    def rename_symbol(self, index, name):
        struct.pack_into("<I", self.symtab.data, 24 * index, len(self.strtab.data))
        self.strtab.data += name.encode() + b"\0"

    def rename_section(self, section, name):
        names = self.sections[self.ehdr[13]].data
        section.name, section.name_at = name, len(names)
        names += name.encode() + b"\0"

    def save(self, path):
        out = bytearray(64)
        for section in self.sections[1:]:
            if section.type == SHT_NOBITS:
                section.offset = len(out)
                continue
            out.extend(b"\0" * (-len(out) % max(section.align, 1)))
            section.offset, section.size = len(out), len(section.data)
            out.extend(section.data)
        out.extend(b"\0" * (-len(out) % 8))
        self.ehdr[6], self.ehdr[12] = len(out), len(self.sections)
        for s in self.sections:
            out.extend(struct.pack(SHDR, s.name_at, s.type, s.flags, s.addr, s.offset, s.size, s.link, s.info, s.align,
                                   s.entsize))
        out[:64] = struct.pack(EHDR, *self.ehdr)
        with open(path, "wb") as file:
            file.write(out)
