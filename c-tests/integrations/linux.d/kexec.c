/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* kexec KERNEL INITRAMFS COMMAND-LINE: kexec_file_load, and the start of what it loaded. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/reboot.h>

int main(int argc, char **argv)
{
    int kernel, initramfs;

    if (argc != 4)
        return 2;
    kernel = open(argv[1], O_RDONLY);
    initramfs = open(argv[2], O_RDONLY);
    if (syscall(SYS_kexec_file_load, kernel, initramfs, strlen(argv[3]) + 1, argv[3], 0UL)) {
        perror("kexec_file_load");
        return 1;
    }
    puts("guest: kexec_file_load has loaded the second kernel");
    fflush(stdout);
    syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, NULL);
    perror("reboot");
    return 1;
}
