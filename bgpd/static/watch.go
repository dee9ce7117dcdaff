package static

import (
	"io"
	"os"
	"syscall"
	"time"
)

// racy is how old a file's change must be for its time to tell it from the next
// one: clocks of file systems are that coarse.
const racy = 2 * time.Second

// signature is what changes with a file: its place (a rename, a symlink that was
// swapped), or its content.
type signature struct {
	dev, ino     uint64
	size         int64
	mtime, ctime syscall.Timespec
}

func (s signature) samePlace(o signature) bool { return s.dev == o.dev && s.ino == o.ino }

// watch notices by polling that a file has changed. Polling sees what inotify would
// miss: network file systems, a directory that was swapped, a file that comes later.
type watch struct {
	loaded signature // of what was read last; zero when nothing was
	seen   signature // at the last look
	again  bool      // read while its change was so young that another may hide behind it
	failed bool      // could not be looked at or read since
}

// look says whether the file is to be read. One that was put in the place of another
// is read at once. One that is written in place is read when it has not changed
// between two looks, so that half a file is not taken for a whole one.
func (w *watch) look(path string) (changed bool, err error) {
	st, err := os.Stat(path)
	if err != nil {
		w.failed = true
		return false, err
	}
	s := sign(st)
	quiet := s == w.seen
	w.seen = s
	switch {
	case s == w.loaded:
		return w.again || w.failed, nil
	case s.samePlace(w.loaded):
		return quiet, nil
	default:
		return true, nil
	}
}

// read returns the file's text and remembers which file that was.
func (w *watch) read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		w.failed = true
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		w.failed = true
		return nil, err
	}
	text, err := io.ReadAll(f)
	if err != nil {
		w.failed = true
		return nil, err
	}
	w.loaded = sign(st)
	w.seen = w.loaded
	w.again = time.Since(st.ModTime()) < racy
	return text, nil
}

func sign(st os.FileInfo) signature {
	s := signature{size: st.Size()}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.mtime, s.ctime = sys.Dev, sys.Ino, sys.Mtim, sys.Ctim
	}
	return s
}
