#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""verify.py GUEST RELAKIT: relakit verify with the modules of a guest, in all states, then with changes.

Prints what relakit says of each state, of attacks, and of each byte of a module. Ends with 1 if any of it is not as it should be."""
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import sys

import attacks
import core
from elf import SHF_ALLOC, SHF_WRITE, SHT_NOBITS, Elf

LIVEPATCH = "relakit_livepatch"
# Modules with all that is attacked, and with many kinds of sites in few bytes.
ATTACKED, FLIPPED = "kvm", "vhost"
# Distance of bytes that are changed in one run; no site is longer.
STRIDE = 64

failed = False


def fail(text):
    global failed
    failed = True
    print(f"FAILED: {text}")


class Guest:
    def __init__(self, folder, relakit):
        self.folder, self.relakit = pathlib.Path(folder), relakit
        self.files = {}

    def states(self):
        return (self.folder / "states").read_text().split()

    def memory(self, state):
        return core.Core(self.folder / f"core-{state}")

    def places(self, state):
        """{module: {section: address}} of the modules that are loaded in a state."""
        return {module: sections for module, sections in core.places(self.folder, state).items()
                if (self.folder / "modules" / module).is_dir()}

    def sections_file(self, module, state):
        path = self.folder / "modules" / module / f"sections-{state}"
        return path if path.exists() else path.with_name("sections")

    def constants(self, module):
        """Names of sections that are not written after init, and their sizes."""
        if module not in self.files:
            elf = Elf(self.folder / "modules" / module / "module.ko")
            self.files[module] = {s.name: s.size for s in elf.sections if s.flags & SHF_ALLOC and s.size and
                                  not s.flags & SHF_WRITE and s.type != SHT_NOBITS and not s.name.startswith(".init")}
            self.files[module] |= {s.name: s.size for s in elf.sections if s.name == "__jump_table"}
        return self.files[module]

    def symbols(self, module, state):
        """The files of --symbols. Linux before 6.3, which refuses a module that comes again, does not clear what a livepatch has for
        a module that goes. To compare it, relakit needs the symbols that were."""
        files = [self.folder / f"kallsyms-{state}"]
        if module == LIVEPATCH and state not in ("livepatch", "coming") and "again" not in self.states():
            files.insert(0, self.folder / "kallsyms-coming")
        return files

    def verify(self, module, state, memory=None):
        """The JSON of relakit verify."""
        done = subprocess.run(
            [self.relakit, "verify", self.folder / "modules" / module / "module.ko", "--format", "json", "--quiet",
             "--place", self.sections_file(module, state), "--memory", memory or self.folder / f"core-{state}",
             "--symbols", *self.symbols(module, state)], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            return {"verdict": f"exit code {done.returncode}: {done.stderr[:400]}", "differences": [], "counts": {}}
        result = json.loads(done.stdout)
        if (done.returncode == 0) != (result["verdict"] == "verified"):
            fail(f"{module}, {state}: exit code {done.returncode}, but {result['verdict']}")
        return result


def kallsyms(guest, state):
    """{name: addresses} of functions."""
    found = collections.defaultdict(list)
    with open(guest.folder / f"kallsyms-{state}", encoding="utf-8") as file:
        for line in file:
            address, kind, name = line.split()[:3]
            if kind in "tT":
                found[name].append(int(address, 16))
    return found


def is_named(difference, probes, functions):
    """Whether a difference is one that ftrace or a kprobe makes, and relakit says so."""
    at, found = int(difference["address"], 16), bytes.fromhex(difference["found"])
    if difference["cause"] == "patch-site":
        if difference["site"]["role"] != "trace" or found[0] != 0xe8 or len(found) != 5:
            return False
        target = at + 5 + struct.unpack("<i", found[1:])[0]
        return any(target in functions[name] and name in difference["why"]
                   for name in ("ftrace_trampoline", "ftrace_caller", "ftrace_regs_caller"))
    # An optimised kprobe is a jump of 5 bytes.
    return "kprobe" in difference["why"] and at in probes and all(
        any(probe <= at + number < probe + 5 for probe in probes) for number in range(len(found))
        if found[number] != bytes.fromhex(difference["expected"])[number])


def constant_memory(guest, module, sections, memory):
    """A number for the addresses and the content of a module's constants."""
    content = [(name, sections[name], memory.read(sections[name], size))
               for name, size in guest.constants(module).items() if name in sections]
    return module, hashlib.sha256(repr(content).encode()).digest()


def check_state(guest, pool, state, known):
    """Verifies each module of a state, unless its constants are known from a state before. Returns the sum of all counts."""
    kernel = "idle" if state == "kcore" else state
    memory, places, sums = guest.memory(state), guest.places(kernel), collections.Counter()
    contents = {module: constant_memory(guest, module, sections, memory) for module, sections in places.items()}
    # What a livepatch should hold depends on the modules that are loaded.
    todo = [module for module, content in contents.items() if content not in known or module == LIVEPATCH]
    known.update(contents.values())
    functions, probes, seen, named, others = kallsyms(guest, kernel), set(), set(), collections.Counter(), 0
    if state == "kprobes":
        probes = {int(line.split()[0], 16) for line in (guest.folder / "kprobes").read_text().splitlines()}
    results = pool.map(lambda module: guest.verify(module, kernel, guest.folder / f"core-{state}"), todo)
    verified = 0
    for module, result in zip(todo, results):
        verified += result["verdict"] == "verified"
        sums.update(result["counts"])
        if result["verdict"] != "verified" and not result["differences"]:
            fail(f"{module}, {state}: {result['verdict']} {result.get('not_judged')}")
        for difference in result["differences"]:
            at = int(difference["address"], 16)
            seen.update(probe for probe in probes if at <= probe < at + difference["size"])
            if is_named(difference, probes, functions):
                named[module] += 1
                continue
            others += 1
            if others < 10:
                fail(f"{module}, {state}: {difference['section_name']}+{difference['offset']:#x} "
                     f"{difference['expected']} -> {difference['found']}: {difference['why']}")
        if result.get("more_differences"):  # after the first thousand
            fail(f"{module}, {state}: {result['more_differences']} more differences")
    if seen != probes:
        fail(f"{state}: no difference at {', '.join(map(hex, probes - seen))}")
    print(f"  {state:<14}{len(places):>8}{verified:>10}{len(places) - len(todo):>11}{named.total():>7}  {others or 'none'}"
          f"{' (named: ' + ', '.join(sorted(named)) + ')' if named else ''}", flush=True)
    return sums


def check_states(guest, pool):
    known, sums = set(), {}
    print(f"  {'state':<14}{'modules':>8}{'verified':>10}{'as before':>11}{'named':>7}  other differences")
    for state in guest.states() + ["kcore"]:
        sums[state] = check_state(guest, pool, state, known)
    compared, flexible, sites, rewritten = (sums["idle"][name] for name in ("compared", "flexible", "sites", "rewritten"))
    print(f"  idle: {compared} bytes compared; {flexible} ({100 * flexible / compared:.2f} %), at {sites} sites, can have several "
          f"contents; {rewritten} sites are rewritten")


def module_memory(guest, module):
    """[(address, bytes)] of a module's sections, in the state idle."""
    memory, sections = guest.memory("idle"), guest.places("idle")[module]
    elf = Elf(guest.folder / "modules" / module / "module.ko")
    pieces = ((sections[s.name], memory.read(sections[s.name], s.size)) for s in elf.sections if s.name in sections)
    return sorted((address, content) for address, content in pieces if content)


def changed(path, pieces, changes):
    """Writes a core file with changes, each (address, bytes)."""
    pieces = [(address, bytearray(content)) for address, content in pieces]
    for at, new in changes:
        for address, content in pieces:
            if address <= at < address + len(content):
                content[at - address:at - address + len(new)] = new
    core.write(path, pieces)
    return path


def check_attacks(guest):
    elf = Elf(guest.folder / "modules" / ATTACKED / "module.ko")
    module = attacks.Module(elf, guest.places("idle")[ATTACKED], guest.memory("idle"))
    pieces = module_memory(guest, ATTACKED)
    for what, cause, role, address, new in attacks.attacks(module, kallsyms(guest, "idle")):
        path = changed(guest.folder / "changed", pieces, [(address, new)])
        found = guest.verify(ATTACKED, "idle", path)["differences"]
        first, end = address, address + len(new)
        is_found = len(found) == 1 and found[0]["cause"] == cause and (not role or found[0]["site"]["role"] == role) \
            and int(found[0]["address"], 16) < end and first < int(found[0]["address"], 16) + found[0]["size"]
        print(f"  {what + ':':<55}{'found, ' + (role or cause) if is_found else 'NOT FOUND'}", flush=True)
        if not is_found:
            fail(f"{what}, at {address:#x}: {json.dumps(found)[:1000]}")


def longest_site(elf):
    """The length of the longest alternative of a module. Other sites have at most 8 bytes."""
    table, entries = elf.get(".altinstructions"), elf.entries(elf.relocations_of(".altinstructions"))
    size = 2 * len(table.data) // len(entries)  # two relocations in each entry
    return max(8, *table.data[size - 2::size])


def check_flips(guest, pool):
    """Changes each byte of a module in turn. Bytes that are far from each other are changed in one run."""
    places, constants = guest.places("idle")[FLIPPED], guest.constants(FLIPPED)
    pieces, memory = module_memory(guest, FLIPPED), guest.memory("idle")
    every = [places[name] + offset for name, size in constants.items() if name in places for offset in range(size)]
    if longest_site(Elf(guest.folder / "modules" / FLIPPED / "module.ko")) > STRIDE:
        fail(f"{FLIPPED} has sites of more than {STRIDE} bytes")

    def run(start):
        flipped = every[start::STRIDE]
        path = guest.folder / f"changed-{start}"
        changed(path, pieces, [(at, bytes([memory.read(at, 1)[0] ^ 0xff])) for at in flipped])
        result = guest.verify(FLIPPED, "idle", path)
        path.unlink()
        if result.get("more_differences") != 0:
            fail(f"{FLIPPED}: more differences than are listed; take a smaller module")
        found = set()
        for difference in result["differences"]:
            at = int(difference["address"], 16)
            found.update(range(at, at + difference["size"]))
        return [at for at in flipped if at not in found]

    allowed = [at for missed in pool.map(run, range(STRIDE)) for at in missed]
    counts = guest.verify(FLIPPED, "idle")["counts"]
    if counts["compared"] != len(every):
        fail(f"{FLIPPED}: {len(every)} bytes are changed, {counts['compared']} are compared")
    if len(allowed) > counts["flexible"]:
        fail(f"{FLIPPED}: {len(allowed)} changes are not found, but only {counts['flexible']} bytes can have several contents")
    print(f"  {FLIPPED}: {len(every)} bytes, each changed in turn: {len(every) - len(allowed)} are found, {len(allowed)} are not "
          f"({100 * len(allowed) / len(every):.3f} %); {counts['flexible']} ({100 * counts['flexible'] / len(every):.2f} %) are in sites")
    for at in sorted(allowed)[:20]:
        print(f"    {at:#x}: {memory.read(at, 1).hex()} changed to {memory.read(at, 1)[0] ^ 0xff:02x}")


def main(folder, relakit):
    guest = Guest(folder, relakit)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        check_states(guest, pool)
        check_attacks(guest)
        check_flips(guest, pool)
    sys.exit(failed)


main(*sys.argv[1:])
