/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* For LD_PRELOAD: what a program would hand to the kernel with kexec_load goes into the file that RELAKIT_SEGMENTS names,
   and not to the kernel. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

struct segment {
	const void *bytes;
	size_t size;
	const void *address;
	size_t room;
};

static long keep(const void *entry, unsigned long count, const struct segment *segments, unsigned long flags)
{
	const char *name = getenv("RELAKIT_SEGMENTS");
	FILE *out = name ? fopen(name, "wb") : NULL;
	unsigned long i;

	if (!out)
		abort();
	fprintf(out, "entry %p flags %#lx\n", entry, flags);
	for (i = 0; i < count; i++) {
		fprintf(out, "segment %p %zu %zu\n", segments[i].address, segments[i].size, segments[i].room);
		if (fwrite(segments[i].bytes, 1, segments[i].size, out) != segments[i].size)
			abort();
	}
	if (fclose(out))
		abort();
	return 0;
}

long syscall(long number, ...)
{
	long (*next)(long, ...);
	long a[6];
	va_list args;
	int i;

	va_start(args, number);
	for (i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_kexec_load)
		return keep((const void *)a[0], (unsigned long)a[1], (const struct segment *)a[2], (unsigned long)a[3]);
	if (number == SYS_kexec_file_load)
		abort();
	*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
