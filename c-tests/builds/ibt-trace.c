/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Indirect branch tracking without a processor that has it: runs a program one instruction at a time, and checks after each
 * call or jump through a register or memory that the next instruction is endbr64.
 *
 *   ibt-trace PROGRAM
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned char endbr64[4] = { 0xf3, 0x0f, 0x1e, 0xfa };

/* Is it FF /2 to FF /5: a call or a jump through a register or memory? 0x3e exempts one: notrack. */
static int is_tracked_branch(const unsigned char *code)
{
    int notrack = 0, at = 0;
    while (at < 6 && (code[at] == 0x3e || code[at] == 0x2e || code[at] == 0x66 || code[at] == 0x67 || code[at] == 0xf2))
        notrack |= code[at++] == 0x3e;
    if ((code[at] & 0xf0) == 0x40)
        at++;
    return code[at] == 0xff && (code[at + 1] >> 3 & 7) >= 2 && (code[at + 1] >> 3 & 7) <= 5 && !notrack;
}

int main(int count, char **arguments)
{
    unsigned long branches = 0, failures = 0, steps = 0, from = 0;
    int status = 0, is_tracked = 0;
    pid_t child;

    if (count != 2)
        return 2;
    child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execv(arguments[1], arguments + 1);
        _exit(99);
    }
    while (waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        struct user_regs_struct registers;
        unsigned char code[8];
        long word;
        if (WSTOPSIG(status) != SIGTRAP || ptrace(PTRACE_GETREGS, child, NULL, &registers) != 0)
            break;
        errno = 0;
        word = ptrace(PTRACE_PEEKTEXT, child, registers.rip, NULL);
        if (errno != 0)
            break;
        memcpy(code, &word, sizeof code);
        if (is_tracked && memcmp(code, endbr64, sizeof endbr64) != 0) {
            failures++;
            printf("ibt-trace: the branch at %#lx leads to %#llx, where no endbr64 is\n", from, registers.rip);
        }
        is_tracked = is_tracked_branch(code);
        branches += is_tracked != 0;
        from = registers.rip;
        steps++;
        if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0)
            break;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        failures++;
        printf("ibt-trace: the program ends with %#x after %lu instructions\n", status, steps);
        if (!WIFEXITED(status))
            kill(child, SIGKILL);
    }
    printf("ibt-trace: %lu checks, %lu failures\n", branches, failures);
    return failures != 0;
}
