//go:build linux && !race

#include "textflag.h"

// func onThreadStack(f func())
TEXT ·onThreadStack(SB), NOSPLIT, $0-8
	JMP runtime·systemstack(SB)
