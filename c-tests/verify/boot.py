#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""boot.py VMLINUZ INITRAMFS GUEST CPU APPEND: boots a kernel, and reads the memory of its modules in each state, from outside.

GUEST is the folder that the guest shares. The guest asks for each state with a file in GUEST/asked, and waits for the answer in
GUEST/answered. In between, QEMU's monitor stops it, and GUEST/core-<state> becomes what its page tables map where modules are."""
import json
import mmap
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

import core

RAM = "640M"
TIMEOUT = 1500  # seconds for all states
# Where x86-64 has modules if the kernel can be moved (CONFIG_RANDOMIZE_BASE), in Documentation/arch/x86/x86_64/mm.rst.
MODULES = (0xffffffffc0000000, 0xffffffffff000000)
CR4_LA57 = 1 << 12


class Monitor:
    """QEMU's machine protocol: one JSON object a line."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(path):
            time.sleep(0.05)
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.run("qmp_capabilities")

    def run(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self.lines:
            answer = json.loads(line)
            if "error" in answer:
                sys.exit(f"FAILED: {command}: {answer}")
            if "return" in answer:
                return answer["return"]
        sys.exit(f"FAILED: {command}: QEMU is gone")


def mapped(ram, table, first, end, level, base):
    """What page tables map from address `first` to `end`, as (address, physical address, size)."""
    for number, (entry,) in enumerate(struct.iter_unpack("<Q", ram[table:table + core.PAGE])):
        address = base + (number << level)
        if entry & 1 == 0 or address + (1 << level) <= first or address >= end:
            continue
        physical = entry & 0x000ffffffffff000
        if level == 12 or entry & 0x80:
            yield address, physical & -(1 << level), 1 << level
        else:
            yield from mapped(ram, physical, first, end, level - 9, address)


def read_memory(monitor, ram, path):
    """Writes what is mapped at the addresses of modules. The guest is stopped."""
    monitor.run("stop")
    registers = monitor.run("human-monitor-command", **{"command-line": "info registers"})
    cr3, cr4 = (int(re.search(f"{name}=([0-9a-f]+)", registers)[1], 16) for name in ("CR3", "CR4"))
    level = 48 if cr4 & CR4_LA57 else 39
    # Addresses of the upper half, which is all that is asked for, have all higher bits set.
    pages = mapped(ram, cr3 & -core.PAGE, *MODULES, level, (1 << 64) - (1 << level + 9))
    core.write(path, [(address, ram[physical:physical + size]) for address, physical, size in pages])
    monitor.run("cont")


def kcore_ranges(guest):
    """Tells the guest's dd which pages of /proc/kcore hold modules: from the first address to the last one."""
    of_modules = core.Core(guest / "core-idle").loads
    first, end = of_modules[0][0], of_modules[-1][0] + of_modules[-1][2]
    headers = (guest / "kcore-headers").read_bytes()
    for address, offset, size in core.loads(headers):
        if address <= first and end <= address + size:
            at = offset + first - address
            assert at % core.PAGE == 0
            (guest / "kcore-ranges").write_text(f"{at // core.PAGE} {(end - first) // core.PAGE}\n")
            return
    sys.exit("FAILED: /proc/kcore has no modules")


def answer(guest, asked, monitor, ram):
    """Does what the guest asks for."""
    if asked == "kcore":
        kcore_ranges(guest)
    elif asked == "kcore-copied":
        first = core.Core(guest / "core-idle").loads[0][0]
        core.write(guest / "core-kcore", [(first, (guest / "kcore-memory").read_bytes())])
    else:
        read_memory(monitor, ram, guest / f"core-{asked}")
        with open(guest / "states", "a", encoding="utf-8") as states:
            states.write(f"{asked}\n")
    (guest / "answered" / asked).touch()


def write_sections(guest):
    """Writes the section addresses of each module: those of the state idle, and of another state if they differ."""
    idle = core.places(guest, "idle")
    for state in (guest / "states").read_text().split():
        for module, sections in core.places(guest, state).items():
            path = guest / "modules" / module / ("sections" if state == "idle" else f"sections-{state}")
            if path.parent.is_dir() and (state == "idle" or sections != idle.get(module)):
                path.write_text("".join(f"{section} {address:#x}\n" for section, address in sections.items()))


def main(vmlinuz, initramfs, guest, cpu, append):
    guest, started = pathlib.Path(guest), time.monotonic()
    for folder in ("asked", "answered"):
        (guest / folder).mkdir()
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as ram_file, subprocess.Popen(
            # One CPU, and QEMU's emulation: the same on every machine.
            ["qemu-system-x86_64", "-machine", "pc,memory-backend=ram", "-accel", "tcg", "-cpu", cpu, "-smp", "1", "-m", RAM,
             "-object", f"memory-backend-file,id=ram,size={RAM},mem-path={ram_file.name},share=on", "-nic", "none",
             "-display", "none", "-no-reboot", "-kernel", vmlinuz, "-initrd", initramfs,
             "-append", f"console=ttyS0 loglevel=7 panic=-1 cryptomgr.notests no_timer_check {append}",
             "-serial", f"file:{guest}/serial", "-qmp", f"unix:{guest}/monitor,server=on,wait=off",
             "-virtfs", f"local,path={guest},mount_tag=share,security_model=none"]) as qemu:
        try:
            monitor = Monitor(f"{guest}/monitor")
            ram = mmap.mmap(ram_file.fileno(), 0, access=mmap.ACCESS_READ)
            while qemu.poll() is None:
                if time.monotonic() - started > TIMEOUT:
                    sys.exit("FAILED: the guest takes too long")
                for asked in set(os.listdir(guest / "asked")) - set(os.listdir(guest / "answered")):
                    answer(guest, asked, monitor, ram)
                time.sleep(0.02)
        finally:
            qemu.kill()
    write_sections(guest)
    print(f"{len((guest / 'states').read_text().split())} states, {time.monotonic() - started:.0f} seconds")


main(*sys.argv[1:])
