#include "go_asm.h"
#include "textflag.h"

// func prefetch(f *Frame, n int)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVQ f+0(FP), AX
	MOVQ n+8(FP), CX
	TESTQ CX, CX
	JLE  done

next:
	MOVQ Frame_buf(AX), DX
	MOVL Frame_off(AX), BX
	BYTE $0x0f; BYTE $0x0d; BYTE $0x0c; BYTE $0x1a             // PREFETCHW (DX)(BX*1)
	BYTE $0x0f; BYTE $0x0d; BYTE $0x4c; BYTE $0x1a; BYTE $0xc0 // PREFETCHW -64(DX)(BX*1)
	ADDQ $Frame__size, AX
	DECQ CX
	JNZ  next

done:
	RET
