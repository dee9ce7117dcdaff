package bgpd

import "os"

// plainTCP runs f while Go makes listeners of plain TCP. Its default is Multipath
// TCP, and the kernel sets neither a password (RFC 2385) nor a TTL (RFC 5082) on
// such a socket; GoBGP makes its listeners the default way and only logs what fails.
// The setting is the process's: f should do nothing but listen.
func plainTCP(f func() error) error {
	const name, setting = "GODEBUG", "multipathtcp=0"
	old, had := os.LookupEnv(name)
	value := setting
	if old != "" {
		value = old + "," + setting // the last one of a name counts
	}
	if err := os.Setenv(name, value); err != nil {
		return err
	}
	defer func() {
		if had {
			_ = os.Setenv(name, old)
		} else {
			_ = os.Unsetenv(name)
		}
	}()
	return f()
}
