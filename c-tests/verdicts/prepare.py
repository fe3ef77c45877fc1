#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""prepare.py sources VERSION FOLDER: writes the sources of all cases, and Kbuild.
prepare.py modules VERSION BUILT MODULES: converts, edits and collects the built modules.
prepare.py plans VERSION MODULES FOLDER: for each case a folder with its module and the steps for the guest."""
import os
import shutil
import subprocess
import sys

import cases
from elf import Elf

HERE = os.path.dirname(os.path.abspath(__file__))
CONVERT = os.path.join(HERE, "..", "modules", "convert")


# Livepatches that relakit convert refuses, because Linux patches them too late or never.
REFUSED = {"klp-object-not-patched", "klp-into-init-live", "klp-into-init-coming", "klp-jump-late-live",
           "klp-jump-late-coming"}
MACRO = ".klp.sym.rela."


def of(version):
    return [case for case in cases.CASES if case.only in (None, version)]


def write(path, content):
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)


def sources(version, folder):
    shutil.copytree(os.path.join(HERE, "kernel"), folder, dirs_exist_ok=True)
    built = [(case.module, case.source) for case in of(version) if case.source]
    built.append(("vt_livepatch", cases.LIVEPATCH))
    for name, source in built:
        write(os.path.join(folder, f"{name}.c"), source)
    # vt_target has two files, which have other names than the module.
    os.rename(os.path.join(folder, "vt_target.c"), os.path.join(folder, "vt_target_first.c"))
    names = [name for name, _ in built] + [base for base in cases.BASES if base != "vt_livepatch"]
    write(os.path.join(folder, "Kbuild"), "".join(f"obj-m += {name}.o\n" for name in names) +
          "vt_target-y := vt_target_first.o vt_target_other.o\n")


def convert(path, refused):
    """Makes the livepatch sections of a module. Those of a refused one are made for vmlinux and then renamed."""
    run = subprocess.run([CONVERT, path, f"{path}.converted"], check=False, stderr=subprocess.PIPE)
    if (run.returncode != 0) != refused:
        raise SystemExit(f"relakit convert {path}: {run.returncode} {run.stderr.decode()}")
    if refused:
        elf = Elf(path)
        for index, symbol in enumerate(elf.symbols()):
            if symbol[0].startswith(MACRO):
                elf.rename_symbol(index, symbol[0].replace("vt_target", "vmlinux"))
        elf.save(path)
        subprocess.run([CONVERT, path, f"{path}.converted"], check=True)
        elf = Elf(f"{path}.converted")
        for index, symbol in enumerate(elf.symbols()):
            if symbol[0].startswith(".klp.sym."):
                elf.rename_symbol(index, symbol[0].replace("vmlinux", "vt_target"))
        for section in elf.sections:
            if section.name.startswith(".klp.rela."):
                elf.rename_section(section, section.name.replace("vmlinux", "vt_target"))
        elf.save(f"{path}.converted")
    os.replace(f"{path}.converted", path)


def modules(version, built, to):
    os.makedirs(to)
    names = [(name, False) for name in cases.BASES]
    names += [(case.module, case.name in REFUSED) for case in of(version) if case.source]
    for name, refused in names:
        path = os.path.join(to, f"{name}.ko")
        subprocess.run(["objcopy", "--strip-debug", os.path.join(built, f"{name}.ko"), path], check=True)
        if any(symbol[0].startswith(MACRO) for symbol in Elf(path).symbols()):
            convert(path, refused)
    for case in of(version):
        if case.source is None:
            base = case.base.replace("-", "_")
            elf = Elf(os.path.join(to, f"{base}.ko"))
            try:
                case.edit(elf)
            except Exception as error:
                raise SystemExit(f"{case.name} cannot be made for {version}: {error!r}") from error
            elf.save(os.path.join(to, f"{case.module}.ko"))


def plan(case):
    lines = []
    for step in case.steps:
        kind, _, name = step.partition(":")
        lines.append({
            "P": f"insert {step} /cases/CASE/{case.module}.ko {case.loaded_as}",
            "X": f"remove {step} - {case.loaded_as}",
            "D": f"disable {step} - {case.loaded_as}",
            "L": f"insert {step} /base/{name}.ko {name}",
            "K": f"insert {step} /base/{name}.ko {name}",
            "U": f"remove {step} - {name}",
            "R": f"read {step} {name} -",
        }[kind])
    return lines


def plans(version, collected, to):
    os.makedirs(os.path.join(to, "base"))
    write(os.path.join(to, "complaint"), f"{cases.COMPLAINT}\n")
    for base in cases.BASES:
        shutil.copy(os.path.join(collected, f"{base}.ko"), os.path.join(to, "base"))
    for number, case in enumerate(of(version)):
        folder = f"{number + 1:03}-{case.name}"
        os.makedirs(os.path.join(to, "cases", folder))
        shutil.copy(os.path.join(collected, f"{case.module}.ko"), os.path.join(to, "cases", folder))
        write(os.path.join(to, "cases", folder, "plan"),
              "".join(f"{line}\n" for line in plan(case)).replace("CASE", folder))


{"sources": sources, "modules": modules, "plans": plans}[sys.argv[1]](*sys.argv[2:])
