//go:build linux && !race

#include "funcdata.h"
#include "textflag.h"

// The runtime's g begins with the stack's two ends and the guard that every function's
// beginning compares the stack pointer with. Assemblers and compilers rely on the same.
#define g_stack_lo 0
#define g_stackguard0 16

// The guard that a goroutine has which is to be preempted (stackPreempt).
#define PREEMPT 0xfffffffffffffade

// How far above the end of the stack a guard may lie, and how much room there has to be above it.
#define SPAN 8192
#define ROOM 49152

// The frame is left as it is: only that there is one counts.
//
// func grow()
TEXT ·grow(SB), 0, $65536-0
	NO_LOCAL_POINTERS
	RET

// func guardSpan() uintptr
TEXT ·guardSpan(SB), NOSPLIT, $0-8
	MOVQ (TLS), AX
	MOVQ g_stackguard0(AX), CX
	SUBQ g_stack_lo(AX), CX
	CMPQ CX, $SPAN
	JLS  known
	XORL CX, CX

known:
	MOVQ CX, ret+0(FP)
	RET

// func restoreGuard(span uintptr) uintptr
TEXT ·restoreGuard(SB), NOSPLIT, $0-16
	MOVQ (TLS), AX
	MOVQ $PREEMPT, CX
	MOVQ $2, DX // never
	CMPQ g_stackguard0(AX), CX
	JNE  done
	MOVQ g_stack_lo(AX), CX
	ADDQ span+0(FP), CX
	MOVQ SP, BX
	SUBQ CX, BX
	MOVQ $1, DX // later
	CMPQ BX, $ROOM
	JLT  done
	MOVQ CX, g_stackguard0(AX)
	XORL DX, DX // entered

done:
	MOVQ DX, ret+8(FP)
	RET
