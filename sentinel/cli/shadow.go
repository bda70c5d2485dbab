package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"picket/config"
	"picket/monitor"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// ShadowReport compares what agents that only watch would have done with what Redis Sentinels did, and says whether the agents may take over.
type ShadowReport struct {
	Since   time.Time      `json:"since,omitzero"` // of the first comparison that is remembered
	Masters []ShadowMaster `json:"masters"`
	Ready   bool           `json:"ready"`
	Against []string       `json:"against"` // why it is not
	Look    []string       `json:"look"`    // what to look at before, although it may be as it should
}

// ShadowMaster is one master's part.
type ShadowMaster struct {
	Name      string       `json:"name"`
	Master    config.Addr  `json:"master"`
	Sentinels int          `json:"sentinels"` // that were heard not long ago
	Same      int          `json:"same"`      // both chose the same replica
	Other     int          `json:"other"`     // each chose another one
	Alone     int          `json:"alone"`     // only Picket would have replaced the master
	Unmatched int          `json:"unmatched"` // only the Sentinels did: by hand, or Picket saw no failure
	Nobody    int          `json:"nobody"`    // Picket found the master failed, and nobody fit to be promoted
	AheadMS   *Ahead       `json:"ahead_ms,omitempty"`
	Cases     []ShadowCase `json:"cases"` // oldest first
}

// Ahead is by how much Picket decided earlier; negative: later.
type Ahead struct {
	Least  int64 `json:"least"`
	Median int64 `json:"median"`
	Most   int64 `json:"most"`
}

// ShadowCase is one comparison.
type ShadowCase struct {
	At      time.Time   `json:"at"`
	From    config.Addr `json:"from"`
	Picket  config.Addr `json:"picket,omitempty"`   // whom it would have promoted; empty: nobody
	To      config.Addr `json:"to"`                 // the master then; From: the Sentinels did nothing
	AheadMS int64       `json:"ahead_ms,omitempty"` // 0: Picket had decided nothing
	Text    string      `json:"text"`
}

// Compared asks for the comparisons that are remembered.
func Compared(ctx context.Context, c *Client) ([]state.Event, error) {
	list, err := Events{Client: c, Types: []string{string(state.ShadowComparison)}}.List(ctx, "", mostEvents)
	var compared []state.Event
	for _, e := range list.Events {
		at, err := time.Parse(time.RFC3339Nano, e.Time)
		if err != nil {
			return nil, fmt.Errorf("read the time of event %s: %w", e.ID, err)
		}
		compared = append(compared, state.Event{Type: state.ShadowComparison, Master: e.Subject, At: monitor.MomentOf(at), Data: e.Data})
	}
	return compared, err
}

// mostEvents is as many as an agent gives at once.
const mostEvents = 1000

// Shadow reports what a picture and the events of comparisons say.
func Shadow(p picture.Picture, events []state.Event) ShadowReport {
	r := ShadowReport{Masters: []ShadowMaster{}, Against: []string{}, Look: []string{}}
	if len(events) > 0 {
		r.Since = events[0].At.Time().UTC()
	}
	r.group(p)
	for _, m := range p.Masters {
		r.Masters = append(r.Masters, r.master(m, events))
	}
	r.Ready = len(r.Against) == 0
	return r
}

func (r *ShadowReport) against(format string, args ...any) {
	r.Against = append(r.Against, fmt.Sprintf(format, args...))
}

func (r *ShadowReport) look(format string, args ...any) {
	r.Look = append(r.Look, fmt.Sprintf(format, args...))
}

// group looks at the agents.
func (r *ShadowReport) group(p picture.Picture) {
	switch {
	case !p.Shadow:
		r.against("the agents act already: mode is active")
	case !p.Majority || p.Leader == "":
		r.against("the agents have no leader with a majority: start all of them, and let them reach each other's listen.peers")
	}
	for _, a := range p.Agents {
		switch {
		case !a.Up:
			r.against("agent %s is not heard: start it", a.ID)
		case !a.Voter:
			r.against("agent %s has no vote yet: it gets it when it has caught up", a.ID)
		}
	}
	if len(p.Masters) == 0 {
		r.against("no master is watched: list it under masters")
	}
}

// master looks at one master, and counts.
func (r *ShadowReport) master(m picture.Master, events []state.Event) ShadowMaster {
	s := ShadowMaster{Name: m.Name, Master: m.Server.Addr, Cases: []ShadowCase{}}
	heard := map[string]bool{}
	for _, f := range m.Foreign {
		heard[f.RunID] = true
	}
	s.Sentinels = len(heard)
	r.servers(m)
	var ahead []int64
	for _, e := range events {
		if e.Type != state.ShadowComparison || e.Master != m.Name {
			continue
		}
		d := e.Data
		s.Cases = append(s.Cases, ShadowCase{e.At.Time().UTC(), d.From, d.Imagined, d.To, d.AheadMS, d.Why})
		switch stayed := d.To == d.From; {
		case stayed && d.Imagined != "":
			s.Alone++
		case stayed, d.Imagined == "" && d.AheadMS != 0:
			s.Nobody++
		case d.Imagined == "":
			s.Unmatched++
		case d.Imagined == d.To:
			s.Same++
			ahead = append(ahead, d.AheadMS)
		default:
			s.Other++
			ahead = append(ahead, d.AheadMS)
		}
	}
	if n := len(ahead); n > 0 {
		slices.Sort(ahead)
		s.AheadMS = &Ahead{ahead[0], ahead[n/2], ahead[n-1]}
	}
	r.doubts(s)
	return s
}

// servers looks at whether the master and its replicas are well.
func (r *ShadowReport) servers(m picture.Master) {
	if m.Shadow != nil && m.Shadow.DecidedAt != 0 && m.Shadow.EndAt == 0 {
		r.against("%s: a failure is going on, and it is not known yet what the Sentinels make of it", m.Name)
	}
	if m.Server.State != "up" {
		r.against("%s: its master %s is %s", m.Name, m.Server.Addr, m.Server.State)
	}
	if len(m.Replicas) == 0 {
		r.against("%s: it has no replica that is known", m.Name)
	}
	for _, s := range m.Replicas {
		switch {
		case s.State != "up":
			r.against("%s: its replica %s is %s; `picket forget` drops one that is gone for good, when the agents act", m.Name, s.Addr, s.State)
		case s.Last == nil || !s.Last.LinkUp:
			r.against("%s: its replica %s has no link to the master", m.Name, s.Addr)
		}
	}
	for _, f := range m.Findings {
		r.look("%s: %s: %s: %s", m.Name, f.Code, f.Where, f.Text) // its remedy is what agents do that act
	}
}

// doubts says what in the comparisons is worth a look.
func (r *ShadowReport) doubts(s ShadowMaster) {
	if s.Alone > 0 {
		r.look("%s: %d times Picket would have replaced a master that the Sentinels left alone, and that came back: a longer down-after or crash-grace waits for it", s.Name, s.Alone)
	}
	if s.Other > 0 {
		r.look("%s: %d times Picket would have promoted another replica: the one that holds the most, unless prefer says priority", s.Name, s.Other)
	}
	if s.Unmatched > 0 {
		r.look("%s: %d times the Sentinels replaced a master in which Picket saw no failure: by hand, surely", s.Name, s.Unmatched)
	}
	if s.Nobody > 0 {
		r.look("%s: %d times Picket would have promoted nobody: the log says why, and picket why what is in the way now", s.Name, s.Nobody)
	}
	if len(s.Cases) == 0 {
		r.look("%s: nothing has failed yet, so there is nothing to compare", s.Name)
	}
}

// Table writes the report.
func (r ShadowReport) Table(out io.Writer) error {
	page := &page{out: out}
	var masters grid
	masters.head("MASTER", "NOW", "SENTINELS", "SAME CHOICE", "OTHER", "ONLY PICKET", "ONLY SENTINEL", "NOBODY", "PICKET EARLIER BY")
	for _, m := range r.Masters {
		ahead := "-"
		if a := m.AheadMS; a != nil {
			ahead = fmt.Sprintf("%d ms (%d to %d)", a.Median, a.Least, a.Most)
		}
		masters.row(m.Name, m.Master, m.Sentinels, m.Same, m.Other, m.Alone, m.Unmatched, m.Nobody, ahead)
	}
	page.grid(masters)
	for _, m := range r.Masters {
		cases := m.Cases[max(0, len(m.Cases)-maxCases):]
		if len(cases) < len(m.Cases) {
			page.say(plain, "%s: %d earlier ones with -o json", m.Name, len(m.Cases)-len(cases))
		}
		for _, c := range cases {
			page.say(plain, "%s %s: %s", c.At.Local().Format(time.DateTime), m.Name, c.Text)
		}
	}
	for _, l := range r.Look {
		page.say(doubt, "look at  %s", l)
	}
	for _, a := range r.Against {
		page.say(bad, "against  %s", a)
	}
	if r.Ready {
		page.say(good, "READY: the agents can take over; docs/from-sentinel.md says how")
	} else {
		page.say(bad, "NOT READY")
	}
	return page.err
}

// maxCases is how many of a master's comparisons people are told.
const maxCases = 10
