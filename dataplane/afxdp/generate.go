package afxdp

// The flags make the object the same from any checkout path: no DWARF, and BTF line
// information relative to this folder.
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package afxdp -target bpfel -cc clang -strip llvm-strip -cflags "-O2 -mcpu=v3 -Wall -Wextra -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" -type counters -type settings -type action filter bpf/xdp.bpf.c
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package afxdp -target bpfel -cc clang -strip llvm-strip -cflags "-O2 -mcpu=v3 -Wall -Wextra -Werror -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu" -type rules -type port_flag -type carried lane bpf/lane.bpf.c
