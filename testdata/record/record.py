# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs in gdb: boots a guest in QEMU, and records the memory of its modules. testdata/README.md has the formats.

The environment has RECORD_QEMU, the command that boots the guest; RECORD_GUEST, the folder with the guest's steps, modules and
kallsyms, where QEMU writes what the guest reports; RECORD_RELEASE, the kernel; RECORD_OUT, the folder to write."""
import hashlib
import json
import lzma
import os
import pathlib
import re
import struct
import sys

import gdb

from trim import SECTION_HEADER, SHT_SYMTAB, SYMBOL

SHT_STRTAB, SHF_ALLOC = 3, 2
# struct pt_regs of x86-64, and its users' ABI: rsi and rdi are the 14th and 15th of its registers.
SI, DI = 13 * 8, 14 * 8
TIMEOUT = 600  # seconds for a guest; QEMU does not end with gdb
NO_MEMORY = (1 << 64) - 1
# enum mod_mem_type. Since Linux 6.4, sh_entsize has it in its upper four bits; before, its top bit says that a section is init.
MEMORY = ["text", "data", "rodata", "ro_after_init", "init_text", "init_data", "init_rodata"]


def register(name):
    return int(gdb.parse_and_eval(f"(unsigned long)${name}"))


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size)) if size else b""


def read_u64(address):
    return struct.unpack("<Q", read(address, 8))[0]


def section_names(file):
    """The names of the sections of a module's file, in order."""
    (table,), (count, strings) = struct.unpack_from("<Q", file, 40), struct.unpack_from("<HH", file, 60)
    headers = [SECTION_HEADER.unpack_from(file, table + number * SECTION_HEADER.size) for number in range(count)]
    first = headers[strings][4]
    return [file[first + header[0]:file.index(b"\0", first + header[0])].decode() for header in headers]


def version(release):
    return tuple(int(number) for number in re.match(r"(\d+)\.(\d+)", release).groups())


def memory_type(entsize, release):
    if version(release) >= (6, 4):
        return MEMORY[entsize >> 60]
    return "init" if entsize >> 63 else "core"


def read_layout(headers, file, release):
    """The section headers and symbol values of the module that is being loaded. The kernel has its headers at `headers`."""
    sections, symbols, symtab = [], [], None
    for index, name in enumerate(section_names(file)):
        header = SECTION_HEADER.unpack(read(headers + index * SECTION_HEADER.size, SECTION_HEADER.size))
        _, kind, flags, address, _, size, link, info, align, entsize = header
        section = {"index": index, "name": name, "type": kind, "flags": f"{flags:#x}", "addr": f"{address:#x}", "size": size,
                   "link": link, "info": info, "align": align, "ent": f"{entsize:#x}"}
        if entsize != NO_MEMORY:
            section["mem"] = memory_type(entsize, release)
        sections.append(section)
        if kind == SHT_SYMTAB:
            symtab = index
            symbols = [f"{symbol[4]:#x}" for symbol in SYMBOL.iter_unpack(read(address, size))]
    return {"sections": sections, "symtab_index": symtab, "symbols": symbols}


def in_memory(section):
    """Whether the section's content is recorded. Linux allocates the per-CPU section elsewhere, but relocates this copy first."""
    alloc = int(section["flags"], 16) & SHF_ALLOC or section["name"] == ".data..percpu"
    return alloc and section["size"] and section["type"] not in (SHT_SYMTAB, SHT_STRTAB)


def read_state(layout, with_init):
    """The bytes of the sections, and where each one is among them."""
    content, places = b"", {}
    for section in filter(in_memory, layout["sections"]):
        if with_init or not section.get("mem", "init").startswith("init"):
            part = read(int(section["addr"], 16), section["size"])
            places[str(section["index"])] = [len(content), len(part), hashlib.sha256(part).hexdigest()]
            content += part
    return content, places


class Boot:
    """One boot of the guest."""

    def __init__(self, guest, release):
        self.guest, self.release = guest, release
        self.steps = (guest / "steps").read_text().split()
        name = guest / "livepatch"
        self.livepatch = name.read_text().strip() if name.exists() else None
        self.kallsyms = {}
        for line in (guest / "kallsyms").read_text().splitlines():
            address, _, name = line.split()[:3]
            self.kallsyms.setdefault(name, int(address, 16))

    def file(self, name):
        return (self.guest / "modules" / f"{name}.ko").read_bytes()

    def stop_at(self, function):
        """A breakpoint at the first instruction of a function. It does not stop yet."""
        stop = gdb.Breakpoint(f"*{self.kallsyms[function]:#x}", type=gdb.BP_HARDWARE_BREAKPOINT)
        stop.enabled = False
        return stop

    def run(self, qemu):
        """Follows the guest. Returns the layout of each load and the recorded states, both by the number of the step."""
        layouts, states, number, step, livepatch = {}, {}, -1, None, None
        gdb.execute(f"target remote | exec timeout {TIMEOUT} {qemu} -S -gdb stdio")
        # The guest tells its step. Linux relocates the module's first table, for which it passes the section headers, and sorts the
        # exception table when all is relocated.
        self.stop_at("__x64_sys_sethostname").enabled = True
        relocate, relocated = self.stop_at("apply_relocate_add"), self.stop_at("sort_extable")
        while True:
            try:
                gdb.execute("continue", to_string=True)
            except gdb.error:  # QEMU is gone; whether the guest was at its end, its reports say
                return layouts, states
            if not gdb.selected_inferior().threads():
                return layouts, states
            at = register("rip")
            if at == self.kallsyms["__x64_sys_sethostname"]:
                registers = register("rdi")
                said = read(read_u64(registers + DI), read_u64(registers + SI)).decode()
                if said == f"{number} {step}":  # a breakpoint can stop the guest twice
                    continue
                number += 1
                step = self.steps[number]
                if said != f"{number} {step}":
                    sys.exit(f"FAILED: step {number} is {step}, the guest does {said}")
                relocate.enabled, relocated.enabled = step[0] in "PL", False
                if step[0] == "S":
                    states[number] = read_state(livepatch, with_init=False)
            elif at == self.kallsyms["sort_extable"]:
                name = self.livepatch if step == "P" else step[2:]
                layouts[number] = read_layout(headers, self.file(name), self.release)
                if step == "P" or not self.livepatch:
                    livepatch = layouts[number]
                    states[number] = read_state(livepatch, with_init=True)
                relocated.enabled = False
            elif at == self.kallsyms["apply_relocate_add"]:
                headers = register("rdi")
                relocate.enabled, relocated.enabled = False, True
            else:
                sys.exit(f"FAILED: the guest stops at {at:#x}")


def reports(guest):
    """What the guest has reported: (the words after @, the lines that follow)."""
    found = []
    for line in (guest / "reports").read_bytes().decode(errors="replace").replace("\r", "").splitlines():
        if line.startswith("@ "):
            found.append((line[2:].split(), []))
        else:
            found[-1][1].append(line)
    if not found or found[-1][0] != ["end"]:
        sys.exit(f"FAILED: the guest has not come to its end; see {guest}/console")
    return found


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lzma.compress(content, preset=6) if path.suffix == ".xz" else content)


def text(lines):
    return "".join(f"{line}\n" for line in lines).encode()


def write_state(folder, layout, label, state):
    """Writes the bytes of a state, and its entry in the layout."""
    content, places = state
    layout["states"][label] = {"file": f"state-{label}.bin", "sections": places}
    write(folder / f"state-{label}.bin", content)


def write_plain(boot, out, done, layouts, states):
    """Writes a folder for each module, and the symbols after all loads."""
    for number, step in enumerate(boot.steps):
        if number not in layouts:
            print(f"{step}: errno {done[number][0][1]}, refused before its relocation")
            continue
        name, file = step[2:], boot.file(step[2:])
        layout = {"module": name, "kernel": boot.release, "errno": int(done[number][0][1]),
                  "file_sha256": hashlib.sha256(file).hexdigest(), "stop": "sort_extable", "states": {}}
        write_state(out / name, layout, "relocated", states[number])
        write(out / name / "layout.json", json.dumps(layout | layouts[number]).encode())
        write(out / name / "module.ko", file)
    write(out / "kallsyms-after.xz", text(done[-2][1]))


def write_livepatch(boot, out, done, layouts, states):
    """Writes the folder of a livepatch, and beside it the symbols of the kernel and the modules that it patches."""
    case, times = out / boot.guest.name, {}
    layout = {"case": boot.guest.name, "kernel": boot.release, "livepatch": boot.livepatch, "steps": boot.steps, "log": [],
              "states": {}}
    for number, step in enumerate(boot.steps):
        (_, *errnos), lines = done[number]
        action, _, label = step.partition(":")
        entry = {"step": step}
        if action == "S":
            write_state(case, layout, label, states[number])
            layout["states"][label]["modsyms"] = f"modsyms-{label}.txt.xz"
            write(case / f"modsyms-{label}.txt.xz", text(lines))
        else:
            entry |= dict(zip(("errno", "unload_errno"), map(int, errnos))) | {"dmesg": lines}
        if action == "P" and number in states:
            write_state(case, layout, "early", states[number])
            layout |= layouts[number]
        if action == "L":
            times[label] = times.get(label, 0) + 1
            write(out / f"{label}.ko", boot.file(label))
            if number in layouts:
                entry["target_layout"] = f"target-{label}-{times[label]}.json"
                write(case / entry["target_layout"], json.dumps({"module": label} | layouts[number], indent=1).encode())
        layout["log"].append(entry)
    write(case / "layout.json", json.dumps(layout, indent=1).encode())
    write(case / "module.ko", boot.file(boot.livepatch))
    write(out / "kallsyms-vmlinux.xz", (boot.guest / "kallsyms").read_bytes())


def main(guest, out):
    for setting in ("pagination off", "confirm off", "architecture i386:x86-64", "remotetimeout 60"):
        gdb.execute(f"set {setting}", to_string=True)
    boot = Boot(guest, os.environ["RECORD_RELEASE"])
    layouts, states = boot.run(os.environ["RECORD_QEMU"])
    done = reports(guest)
    if boot.livepatch:
        write_livepatch(boot, out, done, layouts, states)
    else:
        write_plain(boot, out, done, layouts, states)
    print(f"{guest.name}: {len(boot.steps)} steps, {len(layouts)} loads, {sum(len(state[0]) for state in states.values())} bytes")


main(pathlib.Path(os.environ["RECORD_GUEST"]), pathlib.Path(os.environ["RECORD_OUT"]))
