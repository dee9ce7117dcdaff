package admin

import (
	"fmt"
	"net/http"
	"runtime/pprof"
	"strconv"
	"time"
)

// profileSpan is how long a CPU profile takes unless asked for otherwise, as that of net/http/pprof.
const profileSpan = 30 * time.Second

// cpuProfile answers as net/http/pprof does, for `go tool pprof`. That one knows nothing of threads
// that are outside of Go's runtime and have to be told: changed is called when the profile has
// begun, and when it has ended.
func cpuProfile(changed func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		span := profileSpan
		if text := r.FormValue("seconds"); text != "" {
			seconds, err := strconv.ParseFloat(text, 64)
			if err != nil || !(seconds > 0 && seconds <= 3600) {
				http.Error(w, fmt.Sprintf("seconds %q: expected a number above 0, up to 3600", text), http.StatusBadRequest)
				return
			}
			span = time.Duration(seconds * float64(time.Second))
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", `attachment; filename="profile"`)
		if err := pprof.StartCPUProfile(w); err != nil {
			w.Header().Del("Content-Disposition")
			http.Error(w, fmt.Sprintf("CPU profile: %v", err), http.StatusInternalServerError)
			return
		}
		changed()
		select {
		case <-time.After(span):
		case <-r.Context().Done():
		}
		pprof.StopCPUProfile()
		changed()
	}
}
