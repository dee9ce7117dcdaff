package fib

// Value is what the table holds for an address. 0 is no binding; any other names
// a tunnel or a group, see Reader.Entry.
type Value uint32
