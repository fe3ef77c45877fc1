/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The livepatch of `relakit demo`. It replaces diskstats_show() of the kernel and demo_submit() of the module demo_disk.
 * It needs no kernel headers: the structures are those of Linux 6.12 on x86_64, unless a comment says "simplified".
 * It is an example. No kernel can load it, because it has no real struct module.
 *
 * To make livepatch.ko, run in this folder:
 *   gcc $(cat cflags.txt) -c livepatch.c -o /tmp/livepatch.o
 *   relakit convert /tmp/livepatch.o -o livepatch.ko
 */
typedef unsigned int u32;
typedef unsigned long u64;

#include "../../convert/klp_reloc.h" /* relakit convert --header */

/* A symbol that is not exported. sympos 0: the name is unique in the object; n: the n-th symbol of this name. */
#define KLP_SYM(object, name, sympos) KLP_RELOC_SYMBOL_POS(object, object, name, sympos)
#define SECTION(name) __attribute__((section(name), used))

struct seq_file;
struct klp_patch;
struct static_key { int enabled; void *entries; };
struct request { u32 direction, sectors; };

/* Exported by vmlinux: ordinary undefined symbols and ordinary relocations. */
extern int _printk(const char *format, ...);
extern void seq_printf(struct seq_file *m, const char *format, ...);
extern int klp_enable_patch(struct klp_patch *patch);

/* Not exported by vmlinux: early, .klp.rela.vmlinux.*. The kernel has two static functions part_in_flight(). */
extern struct static_key diskstats_key KLP_SYM(vmlinux, diskstats_key, 0);
extern u32 part_in_flight(const void *part) KLP_SYM(vmlinux, part_in_flight, 2);

/* In the module demo_disk: late, .klp.rela.demo_disk.*, applied each time the module is loaded. */
extern int demo_queue(struct request *request) KLP_SYM(demo_disk, demo_queue, 0);
extern u32 demo_requests KLP_SYM(demo_disk, demo_requests, 0);
extern u32 demo_limits[2] KLP_SYM(demo_disk, demo_limits, 0);

/* A jump that the kernel switches on and off. In the file it is a no-op. struct jump_entry in __jump_table. */
static inline __attribute__((always_inline)) int static_branch(struct static_key *key)
{
	__asm__ goto("1: .byte 0x0f, 0x1f, 0x44, 0x00, 0x00\n"
		     ".pushsection __jump_table, \"aw\"\n"
		     ".balign 8\n"
		     ".long 1b - .\n"
		     ".long %l[yes] - .\n"
		     ".quad %c0 - .\n"
		     ".popsection" : : "i"(key) : : yes);
	return 0;
yes:
	return 1;
}

/* rdtsc, with an lfence if the CPU has X86_FEATURE_LFENCE_RDTSC (3*32 + 18). struct alt_instr in .altinstructions. */
static inline u64 rdtsc_ordered(void)
{
	u32 low, high;

	__asm__ volatile("1: rdtsc; .byte 0x90, 0x90, 0x90; 2:\n"
			 ".pushsection .altinstr_replacement, \"ax\"\n"
			 "3: lfence; rdtsc; 4:\n"
			 ".popsection\n"
			 ".pushsection .altinstructions, \"a\"\n"
			 ".long 1b - .\n"
			 ".long 3b - .\n"
			 ".4byte 3*32 + 18\n"
			 ".byte 2b - 1b, 4b - 3b\n"
			 ".popsection" : "=a"(low), "=d"(high));
	return (u64)high << 32 | low;
}

/* A read that may fault; the result is then 0 (EX_TYPE_DEFAULT, 1). struct exception_table_entry in __ex_table. */
static inline u32 read_nofault(const u32 *from)
{
	u32 value = 0;

	__asm__ volatile("1: movl %1, %0; 2:\n"
			 ".pushsection __ex_table, \"a\"\n"
			 ".balign 4\n"
			 ".long 1b - .\n"
			 ".long 2b - .\n"
			 ".long 1\n"
			 ".popsection" : "+r"(value) : "m"(*from));
	return value;
}

/* An atomic increment. On one CPU, the kernel removes the lock prefix. Its address is in .smp_locks. */
static inline void atomic_inc(u32 *counter)
{
	__asm__ volatile(".pushsection .smp_locks, \"a\"\n"
			 ".balign 4\n"
			 ".long 1f - .\n"
			 ".popsection\n"
			 "1: lock incl %0" : "+m"(*counter));
}

/* A warning (BUGFLAG_WARNING, 1). struct bug_entry in __bug_table. */
static inline void warn(void)
{
	__asm__ volatile("1: ud2\n"
			 ".pushsection __bug_table, \"aw\"\n"
			 ".balign 4\n"
			 ".long 1b - .\n"
			 ".long %c0 - .\n"
			 ".word %c1, 1\n"
			 ".popsection" : : "i"("livepatch.c"), "i"(__LINE__));
}

/* NULL unless demo_disk is loaded. */
static struct { u32 *requests; u64 last; } stats __attribute__((used)) = { .requests = &demo_requests };

static int new_diskstats_show(struct seq_file *m, const void *part)
{
	if (static_branch(&diskstats_key))
		return 0;
	seq_printf(m, "%u in flight, %u seen\n", part_in_flight(part), read_nofault(stats.requests));
	return 0;
}

static int new_demo_submit(struct request *request)
{
	if (request->sectors > demo_limits[request->direction & 1]) {
		warn();
		return -22; /* -EINVAL */
	}
	atomic_inc(&demo_requests);
	stats.last = rdtsc_ordered();
	return demo_queue(request);
}

/* Structures of the kernel. Their own fields are padding of the same size. */
struct klp_func { const char *old_name; void *new_func; u64 old_sympos, own[16]; };
struct klp_object { const char *name; struct klp_func *funcs; void *callbacks[5]; u64 own[14]; };
struct klp_patch { void *module; struct klp_object *objects; void *states; u64 replace, own[24]; };
struct module { u64 state, list[2]; char name[56]; int (*init)(void); };

extern struct module __this_module;
static struct klp_func vmlinux_funcs[] = { { "diskstats_show", new_diskstats_show }, { 0 } };
static struct klp_func demo_disk_funcs[] = { { "demo_submit", new_demo_submit }, { 0 } };
static struct klp_object objects[] = { { 0, vmlinux_funcs }, { "demo_disk", demo_disk_funcs }, { 0 } };
static struct klp_patch patch = { &__this_module, objects };

SECTION(".init.text") int init_module(void)
{
	_printk("livepatch_demo: enabling\n");
	return klp_enable_patch(&patch);
}

SECTION(".gnu.linkonce.this_module") struct module __this_module = { .name = "livepatch_demo", .init = init_module };
SECTION(".modinfo") _Alignas(1) static const char modinfo[] = "name=livepatch_demo\0license=Dual MIT/GPL\0livepatch=Y\0vermagic=6.12.0-demo ";
