package main

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestRuntimeSettings(t *testing.T) {
	for name, c := range map[string]struct {
		env           map[string]string
		cpus, workers int
		want          runtimeSettings
	}{
		"small machine":          {nil, 2, 1, runtimeSettings{4, defaultGOGC}},
		"as many Ps as CPUs":     {nil, 16, 4, runtimeSettings{16, defaultGOGC}},
		"a P for each worker":    {nil, 8, 8, runtimeSettings{10, defaultGOGC}},
		"GOMAXPROCS is set":      {map[string]string{"GOMAXPROCS": "3"}, 16, 4, runtimeSettings{0, defaultGOGC}},
		"GOGC is set":            {map[string]string{"GOGC": "off"}, 2, 1, runtimeSettings{4, 0}},
		"both are":               {map[string]string{"GOGC": "100", "GOMAXPROCS": "2"}, 2, 1, runtimeSettings{}},
		"GOMEMLIMIT goes beside": {map[string]string{"GOMEMLIMIT": "2GiB"}, 2, 1, runtimeSettings{4, defaultGOGC}},
	} {
		t.Run(name, func(t *testing.T) {
			got := chooseRuntime(func(k string) string { return c.env[k] }, c.cpus, c.workers)
			assert.Equal(t, c.want, got)
		})
	}
}

// TestRuntimeSettingsApply: what is zero stays as it is.
func TestRuntimeSettingsApply(t *testing.T) {
	procs, gogc := runtime.GOMAXPROCS(0), debug.SetGCPercent(100)
	defer func() {
		runtime.GOMAXPROCS(procs)
		debug.SetGCPercent(gogc)
	}()
	runtimeSettings{procs: 5, gogc: 321}.apply()
	assert.Equal(t, 5, runtime.GOMAXPROCS(0))
	runtimeSettings{}.apply()
	assert.Equal(t, 5, runtime.GOMAXPROCS(0))
	assert.Equal(t, 321, debug.SetGCPercent(321))
}
