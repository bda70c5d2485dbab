package acl

import (
	"slices"
	"time"
)

const (
	// maxLog bounds how many denials are kept.
	maxLog = 128
	// What is denied again within this time is the same entry, if that is among the last few.
	sameTime   = time.Minute
	sameAmong  = 10
	maxLogText = 1 << 10 // of an object or a name
)

// Entry is something that was denied.
type Entry struct {
	Denial
	User   string // by whom it was wanted
	Client string // its connection, the last time
	At     time.Time
	Count  int64 // how often
}

// Log is of what was denied last, the newest first.
type Log struct{ entries []Entry }

// Add notes a denial.
func (l *Log) Add(e Entry) {
	e.Object, e.User = e.Object[:min(len(e.Object), maxLogText)], e.User[:min(len(e.User), maxLogText)]
	e.Count = 1
	recent := l.entries[:min(len(l.entries), sameAmong)]
	if i := slices.IndexFunc(recent, func(o Entry) bool {
		return o.Denial == e.Denial && o.User == e.User && e.At.Sub(o.At) <= sameTime
	}); i >= 0 {
		e.Count += l.entries[i].Count
		l.entries = slices.Delete(l.entries, i, i+1)
	}
	l.entries = slices.Insert(l.entries, 0, e)
	l.entries = l.entries[:min(len(l.entries), maxLog)]
}

// Last gives up to so many entries.
func (l *Log) Last(count int) []Entry {
	return slices.Clone(l.entries[:min(max(0, count), len(l.entries))])
}

// Reset forgets all.
func (l *Log) Reset() { l.entries = nil }
