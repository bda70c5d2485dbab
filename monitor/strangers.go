package monitor

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"picket/config"
)

// maxStrangers bounds how many coordinators are remembered for one server: more would not change anything.
const maxStrangers = 32

// strangers holds the foreign coordinators that were heard not long ago, by server.
type strangers map[config.Addr]map[strangerKey]stranger

// strangerKey keeps what was heard here apart from what peers tell: only the former is passed on, or agents would keep each
// other's memories alive.
type strangerKey struct {
	runID string
	own   bool
}

type stranger struct {
	Foreign
	at time.Time // of its last word
}

func (s stranger) over(now time.Time) bool { return now.Sub(s.at) > helloExpiry }

// take notes what a coordinator said at a time, and says whether it is news.
func (t strangers) take(f Foreign, at time.Time, own bool) bool {
	known := t[f.Server]
	if known == nil {
		known = map[strangerKey]stranger{}
		t[f.Server] = known
	}
	maps.DeleteFunc(known, func(_ strangerKey, s stranger) bool { return s.over(at) })
	key := strangerKey{f.RunID, own}
	old, again := known[key]
	if again && at.Before(old.at) || !again && len(known) >= maxStrangers {
		return false
	}
	known[key] = stranger{f, at}
	return !again || old.Master != f.Master || old.Epoch != f.Epoch || old.Addr != f.Addr
}

// fresh lists them by server and run id, each with what it said of the newest epoch.
func (t strangers) fresh(now time.Time) []Foreign {
	var list []Foreign
	for _, known := range t {
		for key, s := range known {
			other, both := known[strangerKey{key.runID, !key.own}]
			shadowed := both && !other.over(now) && (other.Epoch > s.Epoch || other.Epoch == s.Epoch && !key.own)
			if !shadowed && !s.over(now) {
				s.Age = max(0, now.Sub(s.at))
				list = append(list, s.Foreign)
			}
		}
	}
	slices.SortFunc(list, func(a, b Foreign) int { return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.RunID, b.RunID)) })
	return list
}

// own lists what peers are told: for each server the coordinator that knows most, of those heard here.
func (t strangers) own(now time.Time) []Foreign {
	var list []Foreign
	for _, known := range t {
		var best stranger
		for key, s := range known {
			if key.own && !s.over(now) && (best.at.IsZero() || s.Epoch > best.Epoch || s.Epoch == best.Epoch && s.at.After(best.at)) {
				best = s
			}
		}
		if !best.at.IsZero() {
			best.Age = max(0, now.Sub(best.at))
			list = append(list, best.Foreign)
		}
	}
	return list
}
