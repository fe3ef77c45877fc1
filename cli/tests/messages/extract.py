#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Lists the messages that Linux prints while it loads modules and applies livepatches.

    extract.py 6.1=TREE 6.12=TREE 7.3=TREE > list.tsv

TREE is the source of a kernel. Each line of the output has the versions, the file, the function, the macro and one line of
the format string. A format string is a fact: a log can only be recognised by it. Nothing else of the source is copied.

Not listed: pr_debug, pr_cont, pr_info (except those of a failure of ftrace), and what only an Oops prints."""

import pathlib
import re
import sys

ALL = None
# The files, and the functions in them that modules and livepatches reach.
FILES = {
    "kernel/module/*.c": ALL,
    "kernel/livepatch/*.c": ALL,
    "kernel/module_signature.c": ALL,
    "arch/x86/kernel/module.c": ALL,
    "include/linux/moduleloader.h": ["apply_relocate"],
    "arch/x86/kernel/alternative.c": [
        "alt_replace_call", "its_allocate_thunk", "apply_returns", "cfi_rand_preamble", "cfi_rewrite_preamble",
        "cfi_rewrite_callers", "__apply_fineibt",
    ],
    "arch/x86/kernel/callthunks.c": ["patch_dest"],
    "arch/x86/kernel/static_call.c": ["__static_call_validate"],
    "arch/x86/kernel/jump_label.c": ["__jump_label_patch"],
    "kernel/static_call_inline.c": ["static_call_add_module", "static_call_module_notify", "__static_call_update"],
    "kernel/jump_label.c": ["jump_label_module_notify", "jump_label_can_update"],
    "kernel/params.c": [
        "parse_args", "param_array", "param_set_charp", "param_set_copystring", "param_check_unsafe",
        "lookup_or_create_module_kobject",
    ],
    "kernel/trace/ftrace.c": [
        "ftrace_bug", "print_bug_type", "ftrace_module_init", "ftrace_process_locs", "test_is_sorted",
    ],
    "fs/sysfs/dir.c": ["sysfs_warn_dup"],
    "lib/kobject.c": ["kobject_add_internal"],
    "kernel/panic.c": ["__warn"],
    "security/lockdown/lockdown.c": ["lockdown_is_locked_down"],
}
# These print for an Oops.
NOT = {"print_modules", "print_unloaded_tainted_modules"}
INFO = {"ftrace_bug", "print_bug_type"}
LEVELS = r"(?:err|warn|crit|alert|emerg|notice|info)"
CALL = re.compile(rf"\b(pr_{LEVELS}(?:_once|_ratelimited)?|WARN|WARN_ONCE|printk)\s*\(")
TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


def without_comments(source):
    """Comments become blanks, so that positions stay."""
    return re.sub(r"/\*.*?\*/", lambda found: re.sub(r"[^\n]", " ", found.group(0)), source, flags=re.S)


def arguments(source, start):
    """The text between the parenthesis at `start` and the one that closes it."""
    depth, quoted, at = 0, False, start
    while at < len(source):
        char = source[at]
        if char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif not quoted and char == "(":
            depth += 1
        elif not quoted and char == ")":
            depth -= 1
            if depth == 0:
                break
        at += 1
    return source[start + 1 : at]


def function(source, at):
    """The function that has the position: the last line that begins with a word and has a parenthesis."""
    for line in reversed(source[:at].splitlines()[:-1]):
        name = re.match(r"(?=[A-Za-z_]).*?\b(\w+)\s*\(", line)
        if name:
            return name.group(1)
    return "?"


def messages(source):
    """Function, macro and lines of each message of a file."""
    source = without_comments(source)
    for call in CALL.finditer(source):
        given, name, macro = arguments(source, call.end() - 1), function(source, call.start()), call.group(1)
        if source[: call.start()].splitlines()[-1].startswith("#define") or name in NOT:
            continue
        if macro == "printk" and not re.match(r"\s*KERN_(ERR|WARNING|CRIT)", given):
            continue
        if macro.startswith("pr_info") and name not in INFO:
            continue
        # The first text, with the texts that the compiler appends to it.
        text = re.search(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', given)
        if text:
            whole = "".join(TEXT.findall(text.group(0)))
            yield from ((name, macro, line.replace("\\t", " ").strip()) for line in whole.split("\\n") if line.strip())


def main(trees):
    found = {}
    for version, tree in (tree.split("=", 1) for tree in trees):
        for pattern, functions in FILES.items():
            for path in sorted(pathlib.Path(tree).glob(pattern)):
                for name, macro, line in messages(path.read_text(errors="replace")):
                    if functions is ALL or name in functions:
                        versions, _, _ = found.setdefault((str(path.relative_to(tree)), line), ([], name, macro))
                        if version not in versions:
                            versions.append(version)
    print("# Format strings of Linux 6.1.192, 6.12.117 and 7.3.4, as Debian has them. extract.py has made this list.")
    print("# They are facts about the log, which a test needs: each must be recognised. No other text of Linux is here.")
    print("# versions\tfile\tfunction\tmacro\tformat")
    for (path, line), (versions, name, macro) in sorted(found.items()):
        print(" ".join(versions), path, name, macro, line, sep="\t")


main(sys.argv[1:])
