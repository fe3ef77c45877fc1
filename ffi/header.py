#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes include/relakit.h from the output of cbindgen.

cbindgen writes all constants, then all types, then all functions. The header has the order of the
sources instead: the files in the order of `mod` in lib.rs, the items in the order of each file.
The //! comment of a file is the title of its topic. A blank line between two items of a file is
also in the header. A short comment of a member is behind the member.

The script adds RELAKIT_CALL to functions and callbacks, and writes numbers so that they are safe in
every expression: (-17), (1U). It stops at everything that it does not understand, and if an item of
cbindgen's output is not in the sources or the other way round.

usage: header.py CBINDGEN_OUTPUT SOURCE_FOLDER HEADER
"""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

WIDTH = 100
# after_includes in cbindgen.toml ends with this line. Everything after it is cbindgen's own.
MARKER = "/* cbindgen writes the items here. */"
GUARD = "RELAKIT_H"
FIXED_TYPES = {"u32": "U", "u64": "U", "usize": "U", "i32": "", "i64": ""}


class Error(Exception):
    """The input is not as expected."""


@dataclass
class Member:
    """A member of a struct."""

    doc: list
    code: str


@dataclass
class Declaration:
    """A declaration of cbindgen's output."""

    kind: str  # "constant", "struct" or "line"
    code: str  # the value of a constant, or the line of another declaration
    doc: list
    members: list = field(default_factory=list)


@dataclass
class Item:
    """A public item of a source file."""

    name: str
    after_blank: bool
    rust_type: str = ""  # of a constant
    literal: str = ""


# Reading cbindgen's output


class Output:
    """The lines of cbindgen's output after the marker."""

    def __init__(self, lines, first_number):
        self.lines = lines
        self.first_number = first_number
        self.at = 0

    def next(self):
        if self.at == len(self.lines):
            raise Error("cbindgen's output ends within a declaration")
        self.at += 1
        return self.lines[self.at - 1]

    def error(self, what):
        return Error(f"cbindgen's output, line {self.first_number + self.at - 1}: {what}")

    def comment(self, indent):
        """Returns the text of a comment, after its first line was read."""
        doc = []
        while (line := self.next()) != f"{indent} */":
            if not line.startswith(f"{indent} *"):
                raise self.error(f"not a line of a comment: {line!r}")
            doc.append(line[len(indent) + 2 :].removeprefix(" "))
        return doc

    def members(self):
        """Returns the members of a struct, after its first line was read."""
        members, doc = [], []
        while (line := self.next()) != "};":
            if line == "    /**" and not doc:
                doc = self.comment("    ")
            elif re.fullmatch(r"    [a-z][^{}#;/]*;", line):
                members.append(Member(doc, line.strip()))
                doc = []
            else:
                raise self.error(f"not a member of a struct: {line!r}")
        if doc:
            raise self.error("a comment without a member")
        return members

    def declarations(self):
        """Returns the declarations by name."""
        found, doc = {}, []
        while self.at < len(self.lines):
            line = self.next()
            if line == "/**" and not doc:
                doc = self.comment("")
                continue
            if line == "" and not doc:
                continue
            if match := re.fullmatch(r"#define (RELAKIT_\w+) (\S+)", line):
                name, declaration = match[1], Declaration("constant", match[2], doc)
            elif match := re.fullmatch(r"struct (relakit_\w+) \{", line):
                name, declaration = match[1], Declaration("struct", line, doc, self.members())
            elif match := re.fullmatch(r"struct (relakit_\w+);", line):
                name, declaration = match[1], Declaration("line", line, doc)
            elif match := re.fullmatch(r"typedef \w+ (relakit_\w+);", line):
                name, declaration = match[1], Declaration("line", line, doc)
            elif match := re.fullmatch(r"typedef [^()]+\(\*(relakit_\w+)\)\([^()]*\);", line):
                name, declaration = match[1], Declaration("line", line, doc)
            elif match := re.fullmatch(r"[a-z][\w *]*\b(relakit_\w+)\([^()]*\);", line):
                name, declaration = match[1], Declaration("line", line, doc)
            else:
                raise self.error(f"not understood: {line!r}")
            if name in found:
                raise self.error(f"{name} is declared twice")
            found[name], doc = declaration, []
        if doc:
            raise self.error("a comment without a declaration")
        return found


def read_output(text):
    """Returns the overview, the text that follows the include guard, and the declarations."""
    lines = text.splitlines()
    if lines.count(MARKER) != 1:
        raise Error(f"cbindgen's output must have this line once: {MARKER}")
    marker = lines.index(MARKER)
    end = lines.index(" */") + 1
    overview, preamble = lines[:end], "\n".join(lines[end:marker]).strip().split("\n")
    if not overview[0].startswith("/* SPDX-License-Identifier:"):
        raise Error("cbindgen's output does not begin with the license and the overview")
    return overview, preamble, Output(lines[marker + 1 :], marker + 2).declarations()


# Reading the sources


def title(text, path):
    """Returns the file's own documentation."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("//!"):
            break
        lines.append(line.removeprefix("//!").removeprefix(" "))
    if not lines:
        raise Error(f"{path} does not begin with //! and a title")
    return lines


ITEM = re.compile(
    r"pub const (?P<constant>RELAKIT_\w+): (?P<type>\w+) = (?P<literal>.*);"
    r"|pub (?:struct|type) (?P<type_name>relakit_\w+)"
    r'|pub (?:const )?(?:unsafe )?extern "C" fn (?P<function>relakit_\w+)\('
)


def items(text):
    """Returns the public items of a file, in its order."""
    found, after_blank = [], True
    for line in text.splitlines():
        if match := ITEM.match(line):
            name = match["constant"] or match["type_name"] or match["function"]
            found.append(Item(name, after_blank, match["type"] or "", match["literal"] or ""))
            after_blank = False
        elif line == "":
            after_blank = True
    return found


def read_sources(folder):
    """Returns the title and the items of each file that has items, and the aliases of numbers."""
    topics, aliases = [], {}
    for module in re.findall(r"^mod (\w+);$", (folder / "lib.rs").read_text(), re.MULTILINE):
        path = folder / f"{module}.rs"
        text = path.read_text()
        aliases.update(re.findall(r"^pub type (\w+) = (\w+);$", text, re.MULTILINE))
        if found := items(text):
            topics.append((title(text, path), found))
    return topics, aliases


def compare(topics, declarations):
    """Checks that the sources and cbindgen have the same items, each one once."""
    names = [item.name for _, found in topics for item in found]
    for name in sorted(set(names) ^ declarations.keys()):
        where = "cbindgen's output" if name in declarations else "the sources"
        raise Error(f"{name} is only in {where}")
    for name in names:
        if names.count(name) > 1:
            raise Error(f"{name} is in the sources twice")


# Writing the header


def topic(text):
    """Writes the title of a topic. A title of one line is one line."""
    if len(text) == 1:
        return [f"/* ---- {text[0].removesuffix('.')} ".ljust(WIDTH - len(" */"), "-") + " */"]
    rule = "-" * (WIDTH - len("/* "))
    return [f"/* {rule}", *(f" * {line}".rstrip() for line in text), f" * {rule[:-3]} */"]


def comment(doc, indent):
    """Writes a comment. It begins and ends in lines of text."""
    lines = [f"{indent}/** {doc[0]}", *(f"{indent} * {text}".rstrip() for text in doc[1:])]
    if len(lines[-1]) + len(" */") > WIDTH:
        return [*lines, f"{indent} */"]
    return [*lines[:-1], f"{lines[-1]} */"]


def call(head, arguments, indent):
    """Writes HEAD(ARGUMENTS); in one line, or in several with four more columns."""
    lines, line = [], f"{indent}{head}("
    for argument in f"{arguments});".split(", "):
        longer = line + argument if line.endswith("(") else f"{line}, {argument}"
        if len(longer) + len("," if not argument.endswith(");") else "") <= WIDTH:
            line = longer
        else:
            lines.append(f"{line},")
            line = f"{indent}    {argument}"
    return [*lines, line]


def line_of_code(code, indent):
    """Writes a declaration or a member that is one line of cbindgen's output."""
    if "(" not in code:
        return [indent + code]
    if match := re.fullmatch(r"([^()]+)\(\*(\w+)\)\(([^()]*)\);", code):
        return call(f"{match[1]}(RELAKIT_CALL *{match[2]})", match[3], indent)
    if match := re.fullmatch(r"([^()]*\W)(\w+)\(([^()]*)\);", code):
        return call(f"{match[1]}RELAKIT_CALL {match[2]}", match[3], indent)
    raise Error(f"neither a function nor a callback: {code}")


def number(item, value, aliases):
    """Writes the value of a constant. Hexadecimal numbers stay hexadecimal."""
    rust_type = aliases.get(item.rust_type, item.rust_type)
    if rust_type not in FIXED_TYPES:
        raise Error(f"{item.name} has the type {item.rust_type}")
    suffix = FIXED_TYPES[rust_type]
    if not re.fullmatch(r"-?\d+", value) or int(value) != int(item.literal.replace("_", ""), 0):
        raise Error(f"{item.name} is {item.literal} in the sources and {value} for cbindgen")
    value = int(value)
    if rust_type == "u64":
        # C90 has no constants of 64 bits.
        high, low = value >> 32, value & 0xFFFFFFFF
        return f"(((uint64_t)0x{high:x}U << 32) | 0x{low:x}U)"
    if not -(2**31) < value < (2**32 if suffix else 2**31):
        raise Error(f"{item.name} does not fit 32 bits")
    text = item.literal.replace("_", "") if item.literal.startswith("0x") else str(value)
    return f"({text}{suffix})"


def is_short(member, column):
    """Whether the comment of a member fits behind it, and begins after the column."""
    if len(member.doc) != 1 or "(" in member.code:
        return False
    return 4 + max(len(member.code), column) + len(f" /**< {member.doc[0]} */") <= WIDTH


def declaration(item, found, aliases):
    lines = comment(found.doc, "") if found.doc else []
    if found.kind == "constant":
        return [*lines, f"#define {item.name} {number(item, found.code, aliases)}"]
    if found.kind == "line":
        return lines + line_of_code(found.code, "")
    lines.append(found.code)
    column = max((len(member.code) for member in found.members if is_short(member, 0)), default=0)
    for member in found.members:
        if is_short(member, column):
            lines.append(f"    {member.code.ljust(column)} /**< {member.doc[0]} */")
        else:
            lines += comment(member.doc, "    ") if member.doc else []
            lines += line_of_code(member.code, "    ")
    return [*lines, "};"]


def uses(found):
    """Returns the names of the header in a declaration, its own name included."""
    code = [found.code, *(member.code for member in found.members)]
    return set(re.findall(r"\brelakit_\w+", " ".join(code), re.IGNORECASE))


def header(overview, preamble, declarations, topics, aliases):
    lines = [*overview, "", f"#ifndef {GUARD}", f"#define {GUARD}", "", *preamble, ""]
    lines += ["#ifdef __cplusplus", 'extern "C" {', "#endif"]
    declared = set()
    for text, found in topics:
        lines += ["", *topic(text)]
        for item in found:
            lines += [""] if item.after_blank else []
            lines += declaration(item, declarations[item.name], aliases)
            declared.add(item.name)
            for name in sorted(uses(declarations[item.name]) - declared):
                raise Error(f"{item.name} uses {name}, which the header declares later")
    lines += ["", "#ifdef __cplusplus", "}", "#endif", "", f"#endif /* {GUARD} */"]
    for line in lines:
        if len(line) > WIDTH:
            raise Error(f"longer than {WIDTH} columns: {line}")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.splitlines()[-1])
    output, folder, path = map(Path, sys.argv[1:])
    try:
        overview, preamble, declarations = read_output(output.read_text())
        topics, aliases = read_sources(folder)
        compare(topics, declarations)
        text = header(overview, preamble, declarations, topics, aliases)
    except Error as error:
        sys.exit(f"ffi/header.py: {error}")
    path.write_text(text)


main()
