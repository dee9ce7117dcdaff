package rib

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// refusals counts claims that were not accepted and lists the latest of each
// source and prefix, up to a bound. Any goroutine may use it.
type refusals struct {
	mu     sync.Mutex
	max    int
	order  *list.List // of *Refusal, latest first
	byKey  map[refusalKey]*list.Element
	counts [NumRefuseReasons]uint64
	listed atomic.Int32 // entries; read without the lock
}

type refusalKey struct {
	src    SourceID
	prefix netip.Prefix
}

func newRefusals(limit int) *refusals {
	return &refusals{max: limit, order: list.New(), byKey: map[refusalKey]*list.Element{}}
}

// add counts and lists one refusal, and says whether it is the first of its
// reason from this source. src is nil where nobody knows the source.
func (l *refusals) add(src *source, r Refusal) (first bool) {
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[r.Reason]++
	if src != nil {
		src.refused[r.Reason]++
		first = src.refused[r.Reason] == 1
	}
	k := refusalKey{r.Source, r.Prefix}
	if e := l.byKey[k]; e != nil {
		r.Count = e.Value.(*Refusal).Count + 1
		*e.Value.(*Refusal) = r
		l.order.MoveToFront(e)
		return first
	}
	r.Count = 1
	l.byKey[k] = l.order.PushFront(&r)
	if l.order.Len() > l.max {
		old := l.order.Remove(l.order.Back()).(*Refusal)
		delete(l.byKey, refusalKey{old.Source, old.Prefix})
	}
	l.listed.Store(int32(l.order.Len()))
	return first
}

// clear takes an entry off the list, because the claim is accepted now.
func (l *refusals) clear(src SourceID, p netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := refusalKey{src, p}
	if e := l.byKey[k]; e != nil {
		l.order.Remove(e)
		delete(l.byKey, k)
		l.listed.Store(int32(l.order.Len()))
	}
}

func (l *refusals) empty() bool { return l.listed.Load() == 0 }

// list copies the entries that fn wants, latest first. A nil fn wants all.
func (l *refusals) list(fn func(*Refusal) bool) []Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Refusal
	for e := l.order.Front(); e != nil; e = e.Next() {
		if r := e.Value.(*Refusal); fn == nil || fn(r) {
			out = append(out, *r)
		}
	}
	return slices.Clip(out)
}

// counted copies the counters of a source, or of all when src is nil.
func (l *refusals) counted(src *source) [NumRefuseReasons]uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if src != nil {
		return src.refused
	}
	return l.counts
}
