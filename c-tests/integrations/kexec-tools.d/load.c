/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Loads one relocatable object through the loader of the kexec that it is linked with, and writes the bytes that it would
   hand to the kernel to a file.

   load OBJECT ADDRESS OUTPUT [OFFSET VALUE SIZE]...

   Each OFFSET VALUE SIZE changes SIZE bytes of the object before it is loaded. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kexec.h"
#include "kexec-elf.h"
#include "kexec-syscall.h"

#define ROOM 0x10000000ul

int main(int argc, char **argv)
{
	struct kexec_info info;
	struct memory_range range;
	unsigned long address;
	off_t size;
	char *object;
	FILE *out;
	int i;

	if (argc < 4 || argc % 3 != 1)
		die("load OBJECT ADDRESS OUTPUT [OFFSET VALUE SIZE]...\n");
	object = slurp_file(argv[1], &size);
	address = strtoul(argv[2], NULL, 0);
	for (i = 4; i < argc; i += 3) {
		unsigned long offset = strtoul(argv[i], NULL, 0);
		uint64_t value = strtoull(argv[i + 1], NULL, 0);
		size_t bytes = strtoul(argv[i + 2], NULL, 0);

		if (bytes > sizeof(value) || offset > (unsigned long)size - bytes)
			die("no such bytes to change\n");
		memcpy(object + offset, &value, bytes);
	}

	memset(&info, 0, sizeof(info));
	memset(&range, 0, sizeof(range));
	range.start = address;
	range.end = address + ROOM - 1;
	range.type = RANGE_RAM;
	info.memory_range = &range;
	info.memory_ranges = 1;
	elf_rel_build_load(&info, &info.rhdr, object, size, address, address + ROOM - 1, 1, 0);

	out = fopen(argv[3], "wb");
	if (!out)
		die("cannot write %s\n", argv[3]);
	for (i = 0; i < info.nr_segments; i++) {
		const struct kexec_segment *segment = &info.segment[i];

		fprintf(out, "%p %zu %zu\n", (void *)segment->mem, (size_t)segment->bufsz, (size_t)segment->memsz);
		if (fwrite(segment->buf, 1, segment->bufsz, out) != (size_t)segment->bufsz)
			die("cannot write %s\n", argv[3]);
	}
	fprintf(out, "entry %p\n", info.entry);
	if (fclose(out))
		die("cannot write %s\n", argv[3]);
	return 0;
}
