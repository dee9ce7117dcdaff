package main

// The flags make the object the same from any checkout path: no DWARF, and BTF line
// information relative to this folder.
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package main -target bpfel -cc clang -strip llvm-strip -cflags "-O2 -mcpu=v3 -Wall -Wextra -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" -type tunnel -type prefix bpf bpf/encap.bpf.c
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package main -target bpfel -cc clang -strip llvm-strip -cflags "-O2 -mcpu=v3 -Wall -Wextra -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" feed bpf/feed.bpf.c
