#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""boot.py VMLINUZ INITRAMFS CASES FOLDER: boots the kernel as often as it takes to go through all cases.

Writes FOLDER/kallsyms and FOLDER/log, the kernel's log of all boots. A case that stops the kernel ends its boot; so does one
that the guest does not want to continue after. The next boot begins with the next case."""
import os
import re
import subprocess
import sys
import time

SILENCE = 60  # seconds without a word from the kernel until it counts as stopped


def boot(vmlinuz, initramfs, first, log, kallsyms):
    """Returns the number of the last case that was begun and whether the guest has come to the end."""
    with subprocess.Popen(
            # One CPU, and QEMU's emulation: the same on every machine.
            ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-cpu", "qemu64", "-smp", "1", "-m", "1024",
             "-nic", "none", "-display", "none", "-monitor", "none", "-no-reboot", "-kernel", vmlinuz, "-initrd", initramfs,
             "-append", "console=ttyS0 nokaslr loglevel=8 panic=-1 printk.devkmsg=on cryptomgr.notests "
             f"first={first}", "-serial", f"file:{log}", "-serial", f"file:{kallsyms}"]) as qemu:
        size, since = 0, time.monotonic()
        while qemu.poll() is None:
            time.sleep(0.1)
            now = os.path.getsize(log) + os.path.getsize(kallsyms) if os.path.exists(kallsyms) else 0
            if now != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > SILENCE:
                qemu.kill()
                qemu.wait()
                with open(log, "a", encoding="utf-8") as file:
                    file.write("\n[    0.000000] @ BUG: the kernel has stopped\n")
    with open(log, encoding="utf-8", errors="replace") as file:
        text = file.read().replace("\r", "")
    begun = re.findall(r"@ case ([0-9]+)-", text)
    return int(begun[-1]) if begun else 0, "@ end\n" in text, text


def main(vmlinuz, initramfs, cases, folder):
    total, first, boots, started = int(cases), 0, 0, time.monotonic()
    with open(os.path.join(folder, "log"), "w", encoding="utf-8") as log:
        while first < total:
            kallsyms = os.path.join(folder, "kallsyms" if first == 0 else "nothing")
            last, end, text = boot(vmlinuz, initramfs, first, os.path.join(folder, "serial"), kallsyms)
            log.write(text + "\n")
            boots += 1
            if first == 0:
                with open(kallsyms, "rb+") as file:
                    content = file.read().replace(b"\r", b"")
                    file.seek(0)
                    file.write(content)
                    file.truncate()
            if end:
                break
            if last <= first:
                sys.exit(f"FAILED: the guest does not begin case {first + 1}; see {folder}/log")
            first = last
    print(f"{total} cases, {boots} boots, {time.monotonic() - started:.0f} seconds")


main(*sys.argv[1:])
