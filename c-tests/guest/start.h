/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What C and assembler must agree on. */
#ifndef START_H
#define START_H

/* Where start.S finds what to begin with: guest-physical, below the guest's own memory. Eight bytes each. */
#define START_PARAMETERS 0x180000
#define START_ROOT 0
#define START_ENTER 8
#define START_FUNCTION 16
#define START_STACK 24
#define START_ARGUMENT 32

#define PORT_RESULT 0xe9
#define PORT_END 0xf4

#endif
