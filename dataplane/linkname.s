// An assembly file, empty or not, lets the compiler take the declarations without a body of
// hold.go on every processor.
