package admin_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eipgw/eipgw/cmd/internal/admin"
)

// A CPU profile comes as from net/http/pprof, and threads outside of the runtime are told that it
// has begun and that it has ended. What cannot be says why.
func TestCPUProfile(t *testing.T) {
	var told atomic.Int32
	h := admin.NewWebHandler(admin.WebConfig{PProf: true, Gateway: &ready{}, Profiling: func() { told.Add(1) }})
	get := func(query string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/debug/pprof/profile"+query, nil))
		return w
	}
	w := get("?seconds=0.2")
	require.Equal(t, 200, w.Code)
	assert.Equal(t, "application/octet-stream", w.Header().Get("Content-Type"))
	assert.Equal(t, []byte{0x1f, 0x8b}, w.Body.Bytes()[:2], "gzip, as pprof wants it")
	assert.EqualValues(t, 2, told.Load())

	for _, seconds := range []string{"-1", "0", "NaN", "ten", "3601"} {
		w = get("?seconds=" + seconds)
		assert.Equal(t, 400, w.Code)
		assert.Equal(t, "seconds \""+seconds+"\": expected a number above 0, up to 3600\n", w.Body.String())
	}
	var other bytes.Buffer
	require.NoError(t, pprof.StartCPUProfile(&other))
	defer pprof.StopCPUProfile()
	w = get("?seconds=0.2")
	assert.Equal(t, 500, w.Code)
	assert.Contains(t, w.Body.String(), "CPU profile: cpu profiling already in use")
	assert.EqualValues(t, 2, told.Load())
}
