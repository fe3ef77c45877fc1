# SPDX-License-Identifier: MIT OR Apache-2.0
"""The cases: modules with one mistake each or none, what is done with each, and what a finding about it must name.

A case is built in one of two ways: from a source that is written here, or from the built module of another case or of a base
module, by a function that edits it.

Steps are separated by spaces. relakit check hears of all but the last two:
  P         load the module that is checked
  L:NAME    load the base module NAME: an event live:NAME before P, coming:NAME after it
  U:NAME    unload the base module NAME: going:NAME
  K:NAME    load the base livepatch NAME, which relakit check loads before the one that is checked
  X, D      unload the checked module; D disables it first
  R:FILE    read a file of the guest, so that patched code runs
"""
from elf import SHF_ALLOC, SHF_INFO_LINK, SHF_RELA_LIVEPATCH, SHF_WRITE, SHT_RELA, Section

# The modules that L: and K: steps load, and that cases edit.
BASES = ["vt_target", "vt_user", "vt_stays", "vt_special", "vt_plain", "vt_livepatch"]
NONE, PC32, ABS32, ABS32S, PC64, GOTPCREL, GOTPCRELX, REX_GOTPCRELX = 0, 2, 10, 11, 24, 9, 41, 42
CASES = []
# What the kernel logs if a module has done harm.
COMPLAINT = "BUG:|WARNING:|Oops|general protection|ftrace bug|invalid opcode|kernel BUG|UBSAN|lockup"


class Case:
    """names: what the rule or the section of a finding must match, if the kernel accepts or complains;
    patched: the functions that the livepatch intends to patch;
    silent: the mistake is real, but the kernel of this test does not notice it, so that relakit may report an error;
    undefined: what the kernel does depends on what it has in memory that is freed or sorted;
    unknown: nothing is wrong, but only code says so, so that relakit may not judge it;
    code: the module's own code refuses, which relakit does not run, so that it must say so in a note that matches;
    beside: a base module of the same build, which relakit gets to compare with."""

    def __init__(self, name, steps, source=None, base=None, edit=None, only=None, names="", patched="", silent=False,
                 undefined=False, unknown=False, code="", beside=""):
        self.name, self.steps, self.source, self.base, self.edit = name, steps.split(), source, base, edit
        self.only, self.names, self.patched = only, names, patched.split()
        self.silent, self.undefined, self.unknown, self.code, self.beside = silent, undefined, unknown, code, beside

    @property
    def module(self):
        """The file's name without .ko; a case without an own source edits that of its base."""
        return self.name.replace("-", "_")

    @property
    def loaded_as(self):
        """The name of the module in the kernel."""
        return self.module if self.source else self.base if self.base in BASES else self.base.replace("-", "_")


def case(*args, **kwargs):
    made = Case(*args, **kwargs)
    for other in CASES:
        assert made.name != other.name or None not in (made.only, other.only) and made.only != other.only, made.name
    CASES.append(made)


# Livepatches

def text(value):
    return "NULL" if value is None else f'"{value}"'


def func(old, new="replacement", position=0):
    return f"{{ .old_name = {text(old)}, .new_func = {new or 'NULL'}, .old_sympos = {position} }}"


def obj(name, *funcs, more=""):
    return name, funcs, more


def livepatch(*objects, before="", patch=".mod = THIS_MODULE, .objs = objects", info='MODULE_INFO(livepatch, "Y");',
              enable="LIVEPATCH(&patch);"):
    out = ['/* SPDX-License-Identifier: MIT OR Apache-2.0 */', '#include "livepatch.h"', "", before]
    rows = []
    for index, (name, funcs, more) in enumerate(objects):
        member = ""
        if funcs is not None and funcs != (None,):
            out.append(f"static struct klp_func funcs{index}[] = {{ {', '.join((*funcs, '{}'))} }};")
            member = f", .funcs = funcs{index}"
        rows.append(f"{{ .name = {text(name)}{member}{more} }}")
    out.append(f"static struct klp_object objects[] = {{ {', '.join((*rows, '{}'))} }};")
    out.append(f"static struct klp_patch patch = {{ {patch} }};")
    return "\n".join((*out, enable, info, ""))


CMDLINE = obj(None, func("cmdline_proc_show"))
TARGET = obj("vt_target", func("target_call"))
LIVE, COMING, AGAIN = "L:vt_target P D", "P L:vt_target D", "P L:vt_target U:vt_target L:vt_target D"
TWICE = "P L:vt_target L:vt_target D"
TARGET_CALL = "vt_target:target_call"


def tree(name, steps, *objects, **kwargs):
    """A case whose source is a livepatch."""
    parts = {key: kwargs.pop(key) for key in ("before", "patch", "info", "enable") if key in kwargs}
    case(f"tree-{name}", steps, source=livepatch(*objects, **parts), **kwargs)


tree("vmlinux", "P R:/proc/cmdline D", CMDLINE, patched="cmdline_proc_show")
tree("live", LIVE, TARGET, patched=TARGET_CALL)
tree("coming", COMING, TARGET, patched=TARGET_CALL)
tree("again", AGAIN, TARGET, patched=TARGET_CALL)
tree("two-objects", COMING, CMDLINE, TARGET, patched="cmdline_proc_show " + TARGET_CALL)

tree("name-missing", "P", obj(None, func("cmdline_proc_shaw")))
tree("name-missing-live", "L:vt_target P", obj("vt_target", func("target_cell")))
tree("name-missing-coming", TWICE, obj("vt_target", func("target_cell")))
tree("name-of-other-object", "P", obj(None, func("target_call")))

# get_name is the name of two functions of vmlinux; twin that of two functions of vt_target.
tree("ambiguous", "P", obj(None, func("get_name")))
tree("ambiguous-live", "L:vt_target P", obj("vt_target", func("twin")))
tree("ambiguous-coming", TWICE, obj("vt_target", func("twin")))
tree("position", "P D", obj(None, func("get_name", position=2)), patched="get_name")
tree("position-past", "P", obj(None, func("get_name", position=3)))
tree("position-one", "P D", obj(None, func("cmdline_proc_show", position=1)), patched="cmdline_proc_show")
tree("position-two-of-one", "P", obj(None, func("cmdline_proc_show", position=2)))
tree("position-live", LIVE, obj("vt_target", func("twin", position=2)), patched="vt_target:twin")
tree("position-coming", COMING, obj("vt_target", func("twin", position=1)), patched="vt_target:twin")
tree("position-past-live", "L:vt_target P", obj("vt_target", func("twin", position=3)))
tree("position-past-coming", TWICE, obj("vt_target", func("twin", position=3)))

# The other half is an init function, which has a symbol only while vt_target is loaded.
tree("position-init-live", LIVE, obj("vt_target", func("half")), patched="vt_target:half")
tree("position-init-coming", TWICE, obj("vt_target", func("half")))
tree("position-init-coming-one", COMING, obj("vt_target", func("half", position=1)), patched="vt_target:half")

tree("function-twice", "P", obj(None, func("cmdline_proc_show"), func("cmdline_proc_show", "second_replacement")))
tree("function-twice-0-1", "P",
     obj(None, func("cmdline_proc_show"), func("cmdline_proc_show", "second_replacement", position=1)))
tree("function-both", "P D", obj(None, func("get_name", position=1), func("get_name", "second_replacement", position=2)),
     patched="get_name")
tree("function-twice-module", "P", obj("vt_target", func("target_call"), func("target_call", "second_replacement")))
tree("object-twice", "P", TARGET, obj("vt_target", func("target_secret")))
tree("vmlinux-twice", "P", CMDLINE, obj(None, func("version_proc_show")))

tree("old-name-null", "P", obj(None, func(None)))
tree("new-func-null", "P", obj(None, func("cmdline_proc_show", None)))
tree("funcs-null", "P", obj("vt_target", None))
tree("funcs-empty", "P D", obj(None), names="func|empty|patches", patched="cmdline_proc_show")
tree("objects-null", "P", CMDLINE, patch=".mod = THIS_MODULE")
tree("objects-empty", "P D", names="object|empty|patches", patched="cmdline_proc_show")
tree("mod-null", "P", CMDLINE, patch=".objs = objects")
tree("not-enabled", "P X", CMDLINE, enable="static int __init begin(void)\n{\n\treturn 0;\n}\nmodule_init(begin);\n"
     "static void __exit end(void)\n{\n}\nmodule_exit(end);\nextern void *tree;\nvoid *tree = &patch;",
     names="enable|patches", patched="cmdline_proc_show")
tree("not-marked", "P", CMDLINE, info="")

tree("object-55", COMING, obj("v" * 55, func("target_call")), names="object", patched=TARGET_CALL)
tree("object-56", "P", obj("v" * 56, func("target_call")))
tree("object-misspelt", COMING, obj("vt_tagret", func("target_call")), names="object", patched=TARGET_CALL)
tree("object-hyphen", COMING, obj("vt-target", func("target_call")), names="object", patched=TARGET_CALL)
tree("object-case", COMING, obj("VT_target", func("target_call")), names="object", patched=TARGET_CALL)
tree("object-ko", COMING, obj("vt_target.ko", func("target_call")), names="object", patched=TARGET_CALL)
tree("object-empty", COMING, obj("", func("target_call")), names="object", patched=TARGET_CALL)
tree("object-vmlinux", "P D", obj("vmlinux", func("cmdline_proc_show")), names="object|vmlinux",
     patched="cmdline_proc_show")
tree("name-511", TWICE, obj("vt_target", func("n" * 511)))
tree("name-512", "P", obj("vt_target", func("n" * 512)))
tree("name-empty", "P", obj(None, func("")))

# Functions without a call to __fentry__ that ftrace knows, and symbols that are no functions.
for name, symbol in (("assembly", "__switch_to_asm"), ("notrace", "native_sched_clock"), ("noinstr", "irqentry_enter"),
                     ("exception", "asm_exc_page_fault"), ("init", "start_kernel"), ("data", "jiffies_64"),
                     ("data-structure", "init_task")):
    tree(f"untraced-{name}", "P", obj(None, func(symbol)))
tree("untraced-module-live", "L:vt_target P", obj("vt_target", func("target_untraced")))
tree("untraced-module-coming", TWICE, obj("vt_target", func("target_untraced")))
tree("init-module-live", "L:vt_target P", obj("vt_target", func("target_begin")))
tree("init-module-coming", "P L:vt_target U:vt_target L:vt_target", obj("vt_target", func("target_begin")), silent=True,
     names="init", patched="vt_target:target_begin")
tree("data-module-live", "L:vt_target P", obj("vt_target", func("target_count")))
tree("data-module-coming", TWICE, obj("vt_target", func("target_count")))
tree("new-func-data", "P R:/proc/cmdline", obj(None, func("cmdline_proc_show", "(void *)&numbers")),
     before="static int numbers[4] = { 1 };", names="func|new")

CALLBACK = """static int refuse(struct klp_object *object)
{
	return -EBUSY;
}
static int allow(struct klp_object *object)
{
	return 0;
}
"""
UNUSED = "\nvoid *both[] = { refuse, allow };"
tree("callback-good", COMING, obj("vt_target", func("target_call"), more=", .callbacks.pre_patch = allow"),
     before=CALLBACK + "extern void *both[];" + UNUSED, patched=TARGET_CALL, unknown=True)
tree("callback-refuses", "P", obj(None, func("cmdline_proc_show"), more=", .callbacks.pre_patch = refuse"),
     before=CALLBACK + "extern void *both[];" + UNUSED, code="callback pre-patch")
tree("callback-refuses-live", "L:vt_target P",
     obj("vt_target", func("target_call"), more=", .callbacks.pre_patch = refuse"),
     before=CALLBACK + "extern void *both[];" + UNUSED, code="callback pre-patch")
tree("callback-refuses-coming", TWICE, obj("vt_target", func("target_call"), more=", .callbacks.pre_patch = refuse"),
     before=CALLBACK + "extern void *both[];" + UNUSED, code="callback pre-patch")

tree("second-livepatch", "K:vt_livepatch P D", CMDLINE, patched="cmdline_proc_show")
tree("replace", "K:vt_livepatch P D", CMDLINE, patch=".mod = THIS_MODULE, .objs = objects, .replace = true",
     patched="cmdline_proc_show")


# Livepatch relocations

SECRET = """extern int target_secret(int n) KLP(vt_target, target_secret, 0);
extern int target_twin(int n) KLP(vt_target, twin, %d);
int patched_call(int n);
int patched_call(int n)
{
	return target_secret(n) + target_twin(n);
}
"""
VMLINUX = """extern unsigned long lookup(const char *name) KLP(vmlinux, %s, %d);
int patched_cmdline(void);
int patched_cmdline(void)
{
	return lookup("_stext") == 0;
}
"""
PATCHED = obj("vt_target", func("target_call", "patched_call"))
PATCHED_CMDLINE = obj(None, func("cmdline_proc_show", "patched_cmdline"))


def klp(name, steps, *objects, **kwargs):
    parts = {key: kwargs.pop(key) for key in ("before", "enable") if key in kwargs}
    case(f"klp-{name}", steps, source=livepatch(*objects, **parts), **kwargs)


klp("early", "P R:/proc/cmdline D", PATCHED_CMDLINE, before=VMLINUX % ("kallsyms_lookup_name", 0), patched="cmdline_proc_show")
klp("late-live", LIVE, PATCHED, before=SECRET % 2, patched=TARGET_CALL)
klp("late-coming", COMING, PATCHED, before=SECRET % 2, patched=TARGET_CALL)
klp("late-going", "P L:vt_target U:vt_target", PATCHED, before=SECRET % 2, patched=TARGET_CALL)
klp("late-again", AGAIN, PATCHED, before=SECRET % 2, patched=TARGET_CALL)
klp("early-missing", "P", PATCHED_CMDLINE, before=VMLINUX % ("kallsyms_lookup_nome", 0))
klp("early-ambiguous", "P", PATCHED_CMDLINE, before=VMLINUX % ("get_name", 0))
klp("early-position", "P D", PATCHED_CMDLINE, before=VMLINUX % ("get_name", 2), patched="cmdline_proc_show")
klp("early-past", "P", PATCHED_CMDLINE, before=VMLINUX % ("get_name", 3))
klp("early-init-symbol", "P D", PATCHED_CMDLINE, before=VMLINUX % ("start_kernel", 0), patched="cmdline_proc_show", silent=True)
klp("late-ambiguous", "L:vt_target P", PATCHED, before=SECRET % 0)
klp("late-past", "L:vt_target P", PATCHED, before=SECRET % 3)
klp("late-past-coming", TWICE, PATCHED, before=SECRET % 3)
klp("late-missing-coming", TWICE, PATCHED, before=SECRET.replace("target, target_secret", "target, target_sacred") % 1)
# The function does not exist, and relocations of the target have been written.
klp("function-missing-coming", TWICE, obj("vt_target", func("target_cell", "patched_call")), before=SECRET % 1)
klp("callback-refuses-coming", TWICE,
    obj("vt_target", func("target_call", "patched_call"), more=", .callbacks.pre_patch = refuse"),
    before=CALLBACK + "extern void *both[];" + UNUSED + "\n" + SECRET % 1, code="callback pre-patch")
INIT_SYMBOL = SECRET.replace("target, twin, %d", "target, target_begin, 0")
klp("late-init-symbol-coming", COMING, PATCHED, before=INIT_SYMBOL, patched=TARGET_CALL, silent=True)
klp("late-init-symbol-live", "L:vt_target P", PATCHED, before=INIT_SYMBOL)
klp("object-not-patched", "P L:vt_target D", CMDLINE, before=SECRET % 1, names="object|skipped",
    patched="vt_target:target_call")
EARLY_CALL = """static int __init begin(void)
{
	%s
	return klp_enable_patch(&patch);
}
static void __exit end(void)
{
}
module_init(begin);
module_exit(end);
"""
klp("init-calls-late", "P L:vt_target", PATCHED, names="init",
    before=SECRET % 1 + "static int (*volatile secret)(int n) = target_secret;", enable=EARLY_CALL % "secret(1);")
klp("init-calls-late-live", "L:vt_target P", PATCHED, names="init",
    before=SECRET % 1 + "static int (*volatile secret)(int n) = target_secret;", enable=EARLY_CALL % "secret(1);")
klp("init-calls-later", "L:vt_target P D", PATCHED, patched=TARGET_CALL,
    before=SECRET % 1 + "static int (*volatile secret)(int n) = target_secret;",
    enable=EARLY_CALL.replace("%s\n\treturn klp_enable_patch(&patch);",
                              "int error = klp_enable_patch(&patch);\n\n\treturn error ? error : secret(1) == 77;"))
THIRD = """extern int other_call(int n) KLP(vt_user, user_call, 0);
int patched_call(int n);
int patched_call(int n)
{
	return other_call(n);
}
"""
INIT_USER = SECRET % 1 + """static noinline int __init early_user(int n)
{
	return target_secret(n);
}
"""
INTO_INIT = EARLY_CALL % "if (replacement())\n\t\treturn early_user(1);"
klp("into-init-live", LIVE, PATCHED, before=INIT_USER, enable=INTO_INIT, patched=TARGET_CALL, silent=True)
klp("into-init-coming", COMING, PATCHED, before=INIT_USER, enable=INTO_INIT, names="init", undefined=True)
JUMP = """extern struct static_key_false %s KLP(%s, %s, 0);
int patched_key(void);
int patched_key(void)
{
	if (static_branch_unlikely(&%s))
		return 1;
	return replacement();
}
"""
klp("third-module", "L:vt_target L:vt_user P D", PATCHED, obj("vt_user", func("user_call")), before=THIRD,
    patched=TARGET_CALL + " vt_user:user_call")
klp("jump-early", "P D", obj(None, func("cmdline_proc_show", "patched_key")), patched="cmdline_proc_show",
    before="#include <linux/jump_label.h>\n" + JUMP % ("key", "vmlinux", "sched_schedstats", "key"))
klp("jump-late-live", "L:vt_target P D", obj("vt_target", func("target_call", "patched_key")), names="jump_table",
    patched=TARGET_CALL, before="#include <linux/jump_label.h>\n" + JUMP % ("key", "vt_target", "target_key", "key"))
klp("jump-late-coming", "P L:vt_target D", obj("vt_target", func("target_call", "patched_key")), names="jump_table",
    patched=TARGET_CALL, before="#include <linux/jump_label.h>\n" + JUMP % ("key", "vt_target", "target_key", "key"))


def edited(name, base, steps, edit, **kwargs):
    case(name, steps, base=base, edit=edit, **kwargs)


def klp_section(elf):
    return next(section for section in elf.sections if section.name.startswith(".klp.rela."))


def change_klp(change):
    """An edit of the entries of the livepatch relocation section."""
    def edit(elf):
        section = klp_section(elf)
        entries = elf.entries(section)
        change(elf, entries)
        elf.set_entries(section, entries)
    return edit


def first_type(value):
    def change(_, entries):
        entries[0][2] = value
    return change_klp(change)


def rename_klp_section(name):
    def edit(elf):
        elf.rename_section(klp_section(elf), name)
    return edit


def rename_klp_symbol(old, new):
    def edit(elf):
        elf.rename_symbol(elf.symbol(old), new)
    return edit


def not_allocated(elf):
    klp_section(elf).flags &= ~SHF_ALLOC


def ordinary_symbol(elf, entries):
    entries[-1][1] = elf.symbol("replacement")


def repeat(_, entries):
    entries.append(list(entries[0]))


for when, base, steps in (("early", "klp-early", "P"), ("live", "klp-late-live", "L:vt_target P"),
                          ("coming", "klp-late-coming", TWICE)):
    edited(f"klp-32-overflow-{when}", base, steps, first_type(ABS32))
    edited(f"klp-type-9-{when}", base, steps, first_type(GOTPCREL))
    edited(f"klp-type-42-{when}", base, steps, first_type(REX_GOTPCRELX))
    edited(f"klp-ordinary-symbol-{when}", base, steps, change_klp(ordinary_symbol))
    edited(f"klp-field-twice-{when}", base, steps, change_klp(repeat))


def sign_extended(addend):
    """A field of type 32S: kernel addresses fit, and others do not."""
    def change(_, entries):
        entries[0][2:] = ABS32S, addend
    return change_klp(change)


edited("klp-32s-early", "klp-early", "P D", sign_extended(0), patched="cmdline_proc_show", silent=True)
edited("klp-32s-overflow-early", "klp-early", "P", sign_extended(-0x80000000))
edited("klp-type-41-early", "klp-early", "P", first_type(GOTPCRELX))
edited("klp-vmlinux-symbol-late", "klp-early", "L:vt_target P", rename_klp_section(".klp.rela.vt_target..text"),
       silent=True, names="object|skipped", patched="vt_target:target_call")
edited("klp-vmlinux-symbol-coming", "klp-late-coming", TWICE,
       rename_klp_symbol(".klp.sym.vt_target.target_secret,0", ".klp.sym.vmlinux.cmdline_proc_show,0"))
edited("klp-vmlinux-section-live", "klp-late-live", LIVE, rename_klp_section(".klp.rela.vmlinux..text"), silent=True,
       patched=TARGET_CALL)
edited("klp-vmlinux-section-alone", "klp-late-live", "P", rename_klp_section(".klp.rela.vmlinux..text"))
edited("klp-third-module-live", "klp-third-module", "L:vt_target L:vt_user P D",
       rename_klp_section(".klp.rela.vt_target..text"), patched=TARGET_CALL + " vt_user:user_call")
edited("klp-third-module-absent", "klp-third-module", "L:vt_target P", rename_klp_section(".klp.rela.vt_target..text"))
edited("klp-not-allocated", "klp-late-coming", COMING, not_allocated, names="alloc", undefined=True)
edited("klp-section-no-object", "klp-early", "P", rename_klp_section(".klp.rela..text"))
edited("klp-section-prefix", "klp-early", "P", rename_klp_section(".klp.rel.vmlinux..text"))
edited("klp-symbol-no-comma", "klp-early", "P",
       rename_klp_symbol(".klp.sym.vmlinux.kallsyms_lookup_name,0", ".klp.sym.vmlinux.kallsyms_lookup_name"))
edited("klp-symbol-prefix", "klp-early", "P",
       rename_klp_symbol(".klp.sym.vmlinux.kallsyms_lookup_name,0", "kallsyms_lookup_name"))
edited("klp-symbol-position-text", "klp-early", "P",
       rename_klp_symbol(".klp.sym.vmlinux.kallsyms_lookup_name,0", ".klp.sym.vmlinux.kallsyms_lookup_name,x"))


# Special sections of vt_special

def without_relocations(section):
    """The first entry of a section without its relocations: those of the first `size` bytes become R_X86_64_NONE."""
    name, size, _ = section

    def edit(elf):
        table = elf.relocations_of(name)
        entries = elf.entries(table)
        assert any(entry[0] < size for entry in entries)
        for entry in entries:
            if entry[0] < size:
                entry[2] = NONE
        elf.set_entries(table, entries)
    return edit


def cut(section):
    """A section that ends in the middle of its last entry; its last relocations are removed."""
    name, size, cut_by = section

    def edit(elf):
        target, table = elf.get(name), elf.relocations_of(name)
        target.data = target.data[:-cut_by]
        elf.set_entries(table, [e for e in elf.entries(table) if e[0] + 8 <= len(target.data)])
    return edit


# Name, bytes of an entry, bytes that are cut off, kernel version if only one has it.
SPECIAL = [
    (".parainstructions", 16, 3, "6.1"),
    (".altinstructions", 14, 3, "6.12"),
    (".altinstructions", 12, 3, "6.1"),
    (".return_sites", 4, 1, None),
    (".retpoline_sites", 4, 1, None),
    ("__jump_table", 16, 4, None),
    (".static_call_sites", 8, 4, None),
    ("__bug_table", 12, 4, None),
    ("__ex_table", 12, 4, None),
    (".orc_unwind", 6, 1, None),
    (".orc_unwind_ip", 4, 1, None),
    (".smp_locks", 4, 1, None),
    (".call_sites", 4, 1, "6.12"),
    (".ibt_endbr_seal", 4, 1, "6.12"),
    ("__mcount_loc", 8, 4, None),
]
case("special-good", "P X", base="vt_special", edit=lambda elf: None)
for name, size, cut_by, version in SPECIAL:
    short = name.strip("._").replace("_", "-")
    if short != "orc-unwind":  # has no relocations
        edited(f"special-{short}-zero", "vt_special", "P X", without_relocations((name, size, cut_by)), only=version,
               names=name.replace(".", r"\."), silent=True)
        edited(f"special-{short}-cut", "vt_special", "P X", cut((name, size, cut_by)), only=version,
               names=name.replace(".", r"\."), silent=True)


edited("special-parainstructions-cut-pointer", "vt_special", "P X", cut((".parainstructions", 16, 9)), only="6.1",
       names=r"\.parainstructions", silent=True)


def written_late(name, size):
    """The first entry of a section gets its relocation when vt_target is loaded: zero until then."""
    def edit(elf):
        without_relocations((name, size, 0))(elf)
        late = Section((0, SHT_RELA, SHF_ALLOC | SHF_INFO_LINK | SHF_RELA_LIVEPATCH, 0, 0, 0, elf.sections.index(elf.symtab),
                        elf.sections.index(elf.get(name)), 8, 24), b"")
        symbol = elf.symbol(".klp.sym.vt_target.target_secret,0")
        elf.set_entries(late, [[0, symbol, PC64 if size == 8 else PC32, 0]])
        elf.rename_section(late, f".klp.rela.vt_target.{name}")
        elf.sections.append(late)
    return edit


for name, size in ((".return_sites", 4), (".orc_unwind_ip", 4), ("__mcount_loc", 8)):
    edited(f"special-{name.strip('._').replace('_', '-')}-late", "klp-late-coming", COMING, written_late(name, size),
           names=name.replace(".", r"\."), silent=True, patched=TARGET_CALL,
           undefined=name == ".orc_unwind_ip")  # the kernel has sorted it


def mcount_elsewhere(elf):
    """The first entry of __mcount_loc names the byte after the call to __fentry__."""
    table = elf.relocations_of("__mcount_loc")
    entries = elf.entries(table)
    entries[0][3] += 5
    elf.set_entries(table, entries)


def removed(name):
    """A section and its relocations under names that no kernel knows."""
    def edit(elf):
        elf.rename_section(elf.relocations_of(name), ".rela.unknown")
        elf.rename_section(elf.get(name), ".unknown")
    return edit


def orc_unwind_cut(elf):
    section = elf.get(".orc_unwind")
    section.data = section.data[:-1]


edited("special-mcount-loc-elsewhere", "vt_special", "P X", mcount_elsewhere, names="mcount", silent=True)
edited("special-return-sites-missing", "vt_special", "P X", removed(".return_sites"), names="return_sites|thunk", silent=True)
edited("special-retpoline-sites-missing", "vt_special", "P X", removed(".retpoline_sites"), names="retpoline_sites|thunk",
       silent=True)
edited("special-mcount-loc-missing", "vt_special", "P X", removed("__mcount_loc"), names="mcount", silent=True)
edited("special-orc-unwind-cut", "vt_special", "P X", orc_unwind_cut, names="orc", silent=True)


# Evidence: what other files of the build say

def modinfo(change):
    """An edit of the strings of .modinfo; `change` maps a list of KEY=VALUE to another."""
    def edit(elf):
        section = elf.get(".modinfo")
        strings = [text for text in bytes(section.data).decode().split("\0") if text]
        section.data = bytearray("".join(f"{text}\0" for text in change(strings)).encode())
    return edit


def replace(key, value):
    def change(strings):
        assert any(text.startswith(f"{key}=") for text in strings)
        return [f"{key}={value}" if text.startswith(f"{key}=") else text for text in strings]
    return modinfo(change)


def other_release(strings):
    return [text.replace("vermagic=6.1", "vermagic=5.1", 1) if text.startswith("vermagic=6.1.")
            else text.replace("vermagic=6.12", "vermagic=6.11", 1) for text in strings]


def other_flags(strings):
    return [text.replace(" mod_unload", "") if text.startswith("vermagic=") else text for text in strings]


def wrong_crc(name):
    """Changes the CRC of a symbol in __versions: 8 bytes before its name."""
    def edit(elf):
        data = elf.get("__versions").data
        data[data.index(name.encode() + b"\0") - 8] ^= 1
    return edit


def no_version(elf):
    """The entry of kobject_put in __versions has another name."""
    data = elf.get("__versions").data
    at = data.index(b"kobject_put\0")
    data[at:at + 11] = b"kobject_pot"


def no_versions(elf):
    elf.rename_section(elf.get("__versions"), "__no_versions")


def both(*edits):
    def edit(elf):
        for one in edits:
            one(elf)
    return edit


def rename_import(old, new):
    def edit(elf):
        elf.rename_symbol(elf.symbol(old), new)
    return edit


def strong(elf):
    at = 24 * elf.symbol("plain_absent") + 4
    elf.symtab.data[at] = 0x10 | elf.symtab.data[at] & 0xf


THIS = ".gnu.linkonce.this_module"


def this_module_size(by):
    def edit(elf):
        data = elf.get(THIS).data
        if by < 0:
            del data[by:]
        else:
            data.extend(b"\0" * by)
    return edit


def move_relocation(number, by):
    """The relocation of init (0) or exit (1) in struct module."""
    def edit(elf):
        table = elf.relocations_of(THIS)
        entries = elf.entries(table)
        entries[number][0] += by
        elf.set_entries(table, entries)
    return edit


def name_in_struct(name):
    """The name in struct module: after its state and list, at byte 24."""
    def edit(elf):
        data = elf.get(THIS).data
        data[24:24 + 56] = name.encode().ljust(56, b"\0")
    return edit


case("evidence-good", "P X", base="vt_plain", edit=lambda elf: None)
edited("evidence-crc", "vt_plain", "P", wrong_crc("kobject_put"))
edited("evidence-crc-layout", "vt_plain", "P", wrong_crc("module_layout"))
edited("evidence-depends-only", "vt_plain", "P X", replace("depends", "vt_absent"), silent=True)
edited("evidence-crc-absent", "vt_plain", "P X", no_version, silent=True)
edited("evidence-gpl", "vt_plain", "P", replace("license", "Proprietary"))
edited("evidence-licence-missing", "vt_plain", "P", modinfo(lambda s: [t for t in s if not t.startswith("license=")]))
edited("evidence-dual-licence", "vt_plain", "P X", replace("license", "Dual MIT/GPL"))
edited("evidence-import-missing", "vt_plain", "P", rename_import("kobject_put", "kobject_pat"))
edited("evidence-import-not-exported", "vt_plain", "P", rename_import("kobject_put", "cmdline_proc_show"))
edited("evidence-import-strong", "vt_plain", "P", strong)
edited("evidence-vermagic-release", "vt_plain", "P X", modinfo(other_release), silent=True)
edited("evidence-vermagic-release-no-versions", "vt_plain", "P", both(modinfo(other_release), no_versions))
edited("evidence-vermagic-flags", "vt_plain", "P", modinfo(other_flags), beside="vt_target")
edited("evidence-no-vermagic", "vt_plain", "P X", modinfo(lambda s: [t for t in s if not t.startswith("vermagic=")]),
       silent=True)
edited("evidence-no-versions", "vt_plain", "P X", no_versions, silent=True)
edited("evidence-struct-small", "vt_plain", "P", this_module_size(-64), silent=True, beside="vt_target")
edited("evidence-struct-large", "vt_plain", "P X", this_module_size(64), silent=True, beside="vt_target")
edited("evidence-init-moved", "vt_plain", "P", move_relocation(0, 8), silent=True, beside="vt_target")
edited("evidence-exit-moved", "vt_plain", "P", move_relocation(1, 8), silent=True, beside="vt_target")
edited("evidence-name-changed", "vt_plain", "P", name_in_struct("vt_plane"), silent=True)
edited("evidence-name-empty", "vt_plain", "P", name_in_struct(""), silent=True)
edited("evidence-dependency-missing", "vt_user", "P", lambda elf: None)
edited("evidence-dependency-live", "vt_user", "L:vt_target P X", lambda elf: None)
NAMESPACE = """// SPDX-License-Identifier: MIT OR Apache-2.0
#include <linux/module.h>
#include <crypto/internal/cipher.h>
static void *volatile import = crypto_cipher_setkey;
static int __init begin(void)
{
	return import == NULL;
}
static void __exit end(void)
{
}
module_init(begin);
module_exit(end);
MODULE_DESCRIPTION("A module that imports a symbol of a namespace");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(CRYPTO_INTERNAL);
"""
case("evidence-namespace", "P X", source=NAMESPACE)
edited("evidence-namespace-missing", "evidence-namespace", "P",
       modinfo(lambda s: [t for t in s if not t.startswith("import_ns=")]))
edited("evidence-namespace-other", "evidence-namespace", "P", replace("import_ns", "CRYPTO_EXTERNAL"))
for number in (GOTPCREL, GOTPCRELX, REX_GOTPCRELX):
    def got(elf, number=number):
        table = elf.relocations_of(".text")
        entries = elf.entries(table)
        entries[-1][2] = number
        elf.set_entries(table, entries)
    edited(f"plain-type-{number}", "vt_plain", "P", got)


def writable_text(elf):
    elf.get(".text").flags |= SHF_WRITE


def rename_section(old, new):
    def edit(elf):
        elf.rename_section(elf.get(old), new)
    return edit


edited("plain-writable-text", "vt_plain", "P", writable_text)
edited("plain-section-twice", "vt_plain", "P X", rename_section(".rodata.str1.1", ".text"), only="6.1")
edited("plain-section-twice", "vt_plain", "P", rename_section(".rodata.str1.1", ".text"), only="6.12")


# Life

tree("going-used", "L:vt_target L:vt_user P U:vt_target U:vt_user U:vt_target", TARGET, patched=TARGET_CALL)
tree("going-no-exit", "L:vt_stays P U:vt_stays", obj("vt_stays", func("stays_call")), patched="vt_stays:stays_call")
tree("going-no-exit-coming", "P L:vt_stays U:vt_stays", obj("vt_stays", func("stays_call")), patched="vt_stays:stays_call")
tree("going-good", "L:vt_target P U:vt_target", TARGET, patched=TARGET_CALL)
tree("coming-twice", "P L:vt_target L:vt_target D", TARGET, patched=TARGET_CALL)
tree("coming-without-dependency", "P L:vt_user", obj("vt_user", func("user_call")))
klp("live-again", "L:vt_target P U:vt_target L:vt_target", PATCHED, before=SECRET % 2, patched=TARGET_CALL)
USES = """int target_call(int n);
int patched_call(int n);
int patched_call(int n)
{
	return target_call(n);
}
"""
tree("depends-live", "L:vt_target P D", PATCHED_CMDLINE[:1] + ((func("cmdline_proc_show", "patched_call"),), ""), before=USES,
     patched="cmdline_proc_show")
tree("depends-missing", "P", PATCHED_CMDLINE[:1] + ((func("cmdline_proc_show", "patched_call"),), ""), before=USES)

LIVEPATCH = livepatch(obj(None, func("cmdline_proc_show", "second_replacement"), func("version_proc_show")))
