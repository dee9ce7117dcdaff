#include "textflag.h"

// See node.go for the words. CX counts from -n up to 0, so that it is index and end in one;
// addresses are taken by twos, the first alone where n is odd.

// func lookupDense(root, lines unsafe.Pointer, dst *uint32, out *Value, n int) bool
TEXT ·lookupDense(SB), NOSPLIT, $0-41
	MOVQ root+0(FP), SI
	MOVQ lines+8(FP), DI
	MOVQ dst+16(FP), DX
	MOVQ out+24(FP), R8
	MOVQ n+32(FP), R13
	LEAQ (DX)(R13*4), DX
	LEAQ (R8)(R13*4), R8
	NEGQ R13
	XORL AX, AX             // all words, or-ed
	MOVQ R13, CX
	TESTQ $1, CX
	JEQ  roots
	MOVL (DX)(CX*4), R9
	SHRL $8, R9
	MOVL (SI)(R9*4), AX
	MOVL AX, (R8)(CX*4)
	INCQ CX
	JEQ  known

roots:
	MOVL (DX)(CX*4), R9
	MOVL 4(DX)(CX*4), R10
	SHRL $8, R9
	SHRL $8, R10
	MOVL (SI)(R9*4), R9
	MOVL (SI)(R10*4), R10
	MOVL R9, (R8)(CX*4)
	MOVL R10, 4(R8)(CX*4)
	ORL  R9, AX
	ORL  R10, AX
	ADDQ $2, CX
	JNE  roots

known:
	TESTL AX, AX
	JMI  other              // kinds 2 and 3: packed, single
	MOVQ $(1<<33), AX       // what kind 1 adds to a word that is shifted
	SUBQ AX, DI
	MOVQ R13, CX
	TESTQ $1, CX
	JEQ  nodes
	MOVL (R8)(CX*4), R9
	CMPL R9, $(1<<30)
	JCS  single
	MOVBLZX (DX)(CX*4), R10
	LEAQ (DI)(R9*8), R9
	MOVL (R9)(R10*4), R9
	MOVL R9, (R8)(CX*4)

single:
	INCQ CX
	JEQ  done

nodes:
	MOVL (R8)(CX*4), R9
	MOVBLZX (DX)(CX*4), R10
	CMPL R9, $(1<<30)
	JCS  second             // direct
	LEAQ (DI)(R9*8), R9
	MOVL (R9)(R10*4), R9
	MOVL R9, (R8)(CX*4)

second:
	MOVL 4(R8)(CX*4), R9
	MOVBLZX 4(DX)(CX*4), R10
	CMPL R9, $(1<<30)
	JCS  next
	LEAQ (DI)(R9*8), R9
	MOVL (R9)(R10*4), R9
	MOVL R9, 4(R8)(CX*4)

next:
	ADDQ $2, CX
	JNE  nodes

done:
	MOVB $1, ret+40(FP)
	RET

other:
	MOVB $0, ret+40(FP)
	RET
