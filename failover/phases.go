package failover

import (
	"slices"
	"time"

	"picket/monitor"
)

// Span is a part of a failover.
type Span struct {
	Name       string
	Begin, End time.Time
}

// Phases are those that a failover has completed, in their order. One that nobody can time is left out.
func Phases(r *Record) []Span {
	end := r.EndAt
	if r.Outcome == Aborted {
		end = 0
	}
	all := []Span{
		phase("elect", r.DownAt, r.BegunAt), phase("read", r.BegunAt, r.PromoteAt), phase("promote", r.PromoteAt, r.SwitchAt),
		phase("repoint", r.SwitchAt, end),
	}
	return slices.DeleteFunc(all, func(p Span) bool { return p.Name == "" })
}

func phase(name string, begin, end monitor.Moment) Span {
	if begin == 0 || end < begin {
		return Span{}
	}
	return Span{name, begin.Time(), end.Time()}
}
