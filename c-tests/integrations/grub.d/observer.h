/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Compiled into grub-core/kern/dl.c of both trees. When GRUB has relocated a module, this computes every field again from
 * the file, and writes a line "NAME RIGHT WRONG" to port 0xe9: the fields that hold this value, and those that do not.
 */
#include <grub/cpu/io.h>

static const Elf_Shdr *observer_section (const Elf_Ehdr *e, unsigned index)
{
	return (const Elf_Shdr *) ((const char *) e + e->e_shoff + (grub_size_t) e->e_shentsize * index);
}

static int observer_is_right (const Elf64_Rela *rela, const Elf64_Sym *symtab, const char *in_file, const char *in_memory)
{
	grub_uint64_t place = (grub_addr_t) in_memory + rela->r_offset;
	grub_uint64_t value = symtab[rela->r_info >> 32].st_value + rela->r_addend;
	grub_uint64_t before = 0, after = 0;
	grub_size_t size = 4;

	switch ((grub_uint32_t) rela->r_info)
	{
	case R_X86_64_64:
		size = 8;
		break;
	case R_X86_64_PC64:
		size = 8;
		value -= place;
		break;
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		value -= place;
		break;
	case R_X86_64_32:
	case R_X86_64_32S:
		break;
	default:
		return 0;
	}
	grub_memcpy (&before, in_file + rela->r_offset, size);
	grub_memcpy (&after, in_memory + rela->r_offset, size);
	value += before;
	return size == 4 ? (grub_uint32_t) value == after : value == after;
}

static void observer (grub_dl_t mod, const Elf_Ehdr *e)
{
	char line[100];
	unsigned right = 0, wrong = 0, i, entry;

	for (i = 0; i < e->e_shnum; i++) {
		const Elf_Shdr *s = observer_section (e, i);
		grub_dl_segment_t segment = mod->segment;

		if (s->sh_type != SHT_RELA)
			continue;
		while (segment && segment->section != s->sh_info)
			segment = segment->next;
		for (entry = 0; segment && entry < s->sh_size / sizeof (Elf64_Rela); entry++) {
			const Elf64_Rela *rela = (const Elf64_Rela *) ((const char *) e + s->sh_offset) + entry;

			if (observer_is_right (rela, mod->symtab, (const char *) e + observer_section (e, s->sh_info)->sh_offset,
					       segment->addr))
				right++;
			else
				wrong++;
		}
	}
	grub_snprintf (line, sizeof line, "%s %u %u\n", mod->name, right, wrong);
	for (i = 0; line[i]; i++)
		grub_outb (line[i], 0xe9);
}
