//go:build race

package bgpd

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// init runs the tests anew, in this process, with the race detector told of the races of
// GoBGP's that are known: it looks into the environment at start only.
func init() {
	const env, option = "GORACE", "suppressions="
	if strings.Contains(os.Getenv(env), option) {
		return
	}
	file, err := filepath.Abs("testdata/race-suppressions")
	if err != nil {
		panic(err)
	}
	environ := append(os.Environ(), env+"="+strings.TrimSpace(os.Getenv(env)+" "+option+file))
	panic(syscall.Exec("/proc/self/exe", os.Args, environ))
}
