package bgpd

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/osrg/gobgp/v3/pkg/log"
	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// libLogger is what GoBGP logs to. It passes warnings and errors on, drops the rest
// unless tracing, and takes out of them the only word that GoBGP gives on why a
// session ended. GoBGP calls it from every goroutine of its own; it never ends the
// process.
type libLogger struct {
	log   *slog.Logger
	trace bool
	gate  *gate

	// note is told what concerns a neighbor: kind, and what was said.
	note func(neighbor netip.Addr, kind noteKind, text string)

	// noPassword is told that the kernel has not taken the password of a neighbor or
	// a range: GoBGP goes on without it.
	noPassword func(key string, text string)
}

type noteKind uint8

const (
	noteProblem noteKind = iota // something went wrong
	noteDown                    // the session ended
)

// What GoBGP says in the cases above. Tests fail if another version says it
// differently.
const (
	sayPeerDown = "Peer Down"
	sayNoMD5    = "failed to set md5"
)

// sayHarmless is logged as a warning and is none: a collision of two connections
// (RFC 4271 section 6.8), a router that is back before GoBGP has forgotten it, a
// connection that the neighbor was first to close.
var sayHarmless = map[string]bool{
	"Closed an accepted connection":           true,
	"restart flag is not set":                 true,
	"failed to close existing tcp connection": true,
}

func (l *libLogger) Panic(msg string, f log.Fields) { l.emit(slog.LevelError, msg, f) }
func (l *libLogger) Fatal(msg string, f log.Fields) { l.emit(slog.LevelError, msg, f) }
func (l *libLogger) Error(msg string, f log.Fields) { l.emit(slog.LevelError, msg, f) }
func (l *libLogger) Warn(msg string, f log.Fields)  { l.emit(slog.LevelWarn, msg, f) }

func (l *libLogger) Info(msg string, f log.Fields) {
	if msg == sayPeerDown {
		l.gate.pass(func() {
			if a, ok := neighborOf(f); ok {
				l.note(a, noteDown, reason(fmt.Sprint(f["Reason"])))
			}
		})
	}
	l.Debug(msg, f)
}

func (l *libLogger) Debug(msg string, f log.Fields) {
	if l.trace {
		l.gate.pass(func() { l.log.LogAttrs(context.Background(), slog.LevelDebug, "gobgp: "+msg, attrs(f)...) })
	}
}

// GetLevel keeps GoBGP from making up debug messages that nobody reads.
func (l *libLogger) GetLevel() log.LogLevel {
	if l.trace {
		return log.DebugLevel
	}
	return log.InfoLevel
}

// SetLevel is for GoBGP's command line, which is not built.
func (l *libLogger) SetLevel(log.LogLevel) {}

func (l *libLogger) emit(level slog.Level, msg string, f log.Fields) {
	if sayHarmless[msg] {
		l.Debug(msg, f)
		return
	}
	l.gate.pass(func() { l.tell(level, msg, f) })
}

// tell notes and logs what matters.
func (l *libLogger) tell(level slog.Level, msg string, f log.Fields) {
	if key, ok := f["Key"].(string); ok && msg == sayNoMD5 {
		l.noPassword(key, describe(msg, f))
	}
	if a, ok := neighborOf(f); ok {
		l.note(a, noteProblem, describe(msg, f))
	}
	l.log.LogAttrs(context.Background(), level, "gobgp: "+msg, attrs(f)...)
}

const lostConnection = "connection lost"

// reason is GoBGP's reason for the end of a session in plain words. What it calls
// graceful restart is a connection lost, or a hold timer that ran out, with a
// neighbor that knows graceful restart.
func reason(s string) string {
	switch s {
	case "graceful-restart", "read-failed", "write-failed":
		return lostConnection
	case "hold-timer-expired":
		return "hold timer expired"
	case "dying":
		return "removed from the configuration"
	}
	return strings.ReplaceAll(s, "-", " ")
}

// neighborOf is the neighbor that a message is about.
func neighborOf(f log.Fields) (netip.Addr, bool) {
	s, ok := f["Key"].(string)
	if !ok {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(s)
	return a, err == nil
}

// describe is the message in a line.
func describe(msg string, f log.Fields) string {
	code, ok1 := f["Code"].(uint8)
	sub, ok2 := f["Subcode"].(uint8)
	if ok1 && ok2 {
		msg += " " + bgp.NewNotificationErrorCode(code, sub).String()
	}
	for _, k := range []string{"Error", "error", "Err", "Communicated-Reason", "Data"} {
		switch v := f[k].(type) {
		case error:
			return msg + ": " + v.Error()
		case string:
			if v != "" {
				return msg + ": " + v
			}
		}
	}
	return msg
}

func attrs(f log.Fields) []slog.Attr {
	list := make([]slog.Attr, 0, len(f))
	for k, v := range f {
		if k == "Topic" || k == log.FieldFacility {
			continue
		}
		list = append(list, slog.Any(k, v))
	}
	slices.SortFunc(list, func(a, b slog.Attr) int { return strings.Compare(a.Key, b.Key) })
	return list
}
