# SPDX-License-Identifier: MIT OR Apache-2.0
"""ELF core files with virtual addresses, and the section addresses that a guest has written."""
import bisect
import mmap
import re
import struct

EHDR, PHDR = struct.Struct("<16sHHIQQQIHHHHHH"), struct.Struct("<IIQQQQQQ")
PT_LOAD, ET_CORE, EM_X86_64 = 1, 4, 62
PAGE = 4096


def loads(content):
    """The PT_LOADs of an ELF file as (address, offset, size), by address."""
    ehdr = EHDR.unpack_from(content)
    headers = (PHDR.unpack_from(content, ehdr[5] + number * PHDR.size) for number in range(ehdr[10]))
    return sorted((header[3], header[2], header[5]) for header in headers if header[0] == PT_LOAD)


class Core:
    """A core file, to be read by address."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.loads = loads(self.content)

    def offset(self, address, size):
        """The offset in the file; None if the address is not in it."""
        number = bisect.bisect_right(self.loads, (address, 1 << 64, 0)) - 1
        if number < 0:
            return None
        first, offset, length = self.loads[number]
        return offset + address - first if address + size <= first + length else None

    def read(self, address, size):
        offset = self.offset(address, size)
        return None if offset is None else self.content[offset:offset + size]


def write(path, pieces):
    """Writes (address, bytes) in order of the addresses. Pieces that follow each other become one PT_LOAD."""
    joined = []
    for address, content in pieces:
        if joined and joined[-1][0] + joined[-1][1] == address:
            joined[-1][1] += len(content)
            joined[-1][2].append(content)
        else:
            joined.append([address, len(content), [content]])
    at = -(-(EHDR.size + PHDR.size * len(joined)) // PAGE) * PAGE
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    headers = EHDR.pack(ident, ET_CORE, EM_X86_64, 1, 0, EHDR.size, 0, 0, EHDR.size, PHDR.size, len(joined), 0, 0, 0)
    for address, size, _ in joined:
        headers += PHDR.pack(PT_LOAD, 4, at, address, 0, size, size, PAGE)
        at += size
    with open(path, "wb") as file:
        file.write(headers + bytes(-len(headers) % PAGE))
        for _, _, contents in joined:
            file.writelines(contents)


def places(guest, state):
    """{module: {section: address}} of the modules that are loaded in a state."""
    found = {}
    with open(guest / f"places-{state}", encoding="utf-8") as file:
        for line in file:
            module, section, address = re.fullmatch(r"/sys/module/([^/]+)/sections/([^:]+):(0x[0-9a-f]+)\n", line).groups()
            found.setdefault(module, {})[section] = int(address, 16)
    return found
