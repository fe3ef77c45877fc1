#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""prepare.py KERNEL LISTED ROOT SHARE [FIRST...]: the modules of a guest, with those that they depend on.

KERNEL is an unpacked kernel package, LISTED the names. SHARE/modules gets all modules, and ROOT/first those that the guest loads
first."""
import lzma
import pathlib
import re
import sys


def main(kernel, listed, root, share, *sooner):
    files = {re.sub(r"\.ko(\.xz)?$", "", path.name).replace("-", "_"): path
             for path in pathlib.Path(kernel, "lib/modules").rglob("*.ko*")}
    order, content = [], {}

    def add(name):
        name = name.replace("-", "_")
        if name in content or name not in files:  # the kernel may have it built in
            return
        path = files[name]
        file = content[name] = path.read_bytes() if path.suffix == ".ko" else lzma.decompress(path.read_bytes())
        for dependency in re.search(rb"\0depends=([^\0]*)\0", file)[1].decode().split(","):
            add(dependency)
        order.append(name)

    first = pathlib.Path(root, "first")
    first.mkdir(parents=True)
    for name in sooner:
        add(name)
    for name in order:
        (first / f"{name}.ko").write_bytes(content[name])
    (first / "list").write_text("".join(f"{name}\n" for name in order))
    for line in pathlib.Path(listed).read_text().splitlines():
        if not line.startswith("#"):
            for name in line.split():
                add(name)
    for name in order:
        folder = pathlib.Path(share, "modules", name)
        folder.mkdir(parents=True)
        (folder / "module.ko").write_bytes(content[name])
    pathlib.Path(share, "list").write_text("".join(f"{name}\n" for name in order))
    print(f"{len(order)} modules of Debian's")


main(*sys.argv[1:])
