// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * load insert FILE | load remove NAME: loads or unloads a module and prints the errno as a number, 0 if it worked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long result;

	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "insert") == 0) {
		int file = open(argv[2], O_RDONLY | O_CLOEXEC);

		if (file < 0)
			return 2;
		result = syscall(SYS_finit_module, file, "", 0);
	} else {
		result = syscall(SYS_delete_module, argv[2], O_NONBLOCK);
	}
	printf("%d\n", result == 0 ? 0 : errno);
	return 0;
}
