#include "textflag.h"

// See node.go for the words.

// func prefetchNodes(lines unsafe.Pointer, words *Value, last *byte, stride, n int)
TEXT ·prefetchNodes(SB), NOSPLIT, $0-40
	MOVQ lines+0(FP), SI
	MOVQ words+8(FP), DI
	MOVQ last+16(FP), DX
	MOVQ stride+24(FP), R10
	MOVQ n+32(FP), R9
	LEAQ (DI)(R9*4), DI
	NEGQ R9
	JGE  done

next:
	MOVL (DI)(R9*4), AX
	MOVL AX, CX
	SHRL $30, CX
	DECL CX
	CMPL CX, $1
	JHI  skip               // not a node
	JCS  dense
	MOVBLZX (DX), R8
	MOVL AX, CX
	ANDL $3, CX
	SHLL CX, R8
	ANDL $0x300, R8         // the line, times 256
	SHRL $2, R8
	ANDL $0x3ffffff8, AX
	LEAQ (SI)(AX*8), AX
	PREFETCHT0 (AX)(R8*1)
	ADDQ R10, DX
	INCQ R9
	JNZ  next
	RET

dense:
	MOVBLZX (DX), R8
	ANDL $0x3ffffff8, AX
	LEAQ (SI)(AX*8), AX
	PREFETCHT0 (AX)(R8*4)

skip:
	ADDQ R10, DX
	INCQ R9
	JNZ  next

done:
	RET
