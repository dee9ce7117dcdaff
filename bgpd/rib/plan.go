package rib

import (
	"net/netip"
	"time"
)

// StepKind is what one step of a plan does.
type StepKind uint8

// Kinds of steps.
const (
	StepProgram   StepKind = iota // program bindings and widen what the ports redirect
	StepAnnounce                  // announce segments that the switches do not have
	StepChange                    // announce segments again with other attributes
	StepWithdraw                  // withdraw segments
	StepUnprogram                 // take bindings out and narrow what the ports redirect
)

var stepNames = [...]string{"program", "announce", "change", "withdraw", "unprogram"}

// String is the kind's name in tables and JSON.
func (k StepKind) String() string {
	if int(k) >= len(stepNames) {
		return "unknown"
	}
	return stepNames[k]
}

// MarshalText makes JSON carry the name.
func (k StepKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Step is one step of a plan.
type Step struct {
	Kind     StepKind
	After    time.Duration // from the start of the plan, at the earliest
	Prefixes []netip.Prefix
	Why      string // for people
}

// Plan is the order in which a change of segments is carried out, such that no
// address that was covered and stays wanted is ever without a route.
type Plan struct {
	Steps []Step
}
