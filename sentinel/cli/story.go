package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"picket/config"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/api"
)

// story is lines of text; whoever is woken by a page reads no more than maxStory of them.
type story struct{ lines []string }

const (
	maxStory = 20
	// maxTold bounds how many of a kind a story names: servers, agents, findings.
	maxTold = 3
)

func (s *story) add(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *story) write(out io.Writer) error {
	if len(s.lines) > maxStory {
		s.lines = append(s.lines[:maxStory-1], "… more with -o json")
	}
	_, err := io.WriteString(out, strings.Join(s.lines, "\n")+"\n")
	return err
}

// WriteWhy tells what is decided about a master, and the story of its last failover.
func WriteWhy(out io.Writer, w api.Why) error {
	var s story
	if d := w.Decision; d == nil {
		s.add("%s: %s keeps no decision from so long ago", w.Master, w.Agent)
	} else {
		s.decision(w, d)
	}
	for _, f := range w.Findings[:min(len(w.Findings), maxTold)] {
		s.add("  finding   %s %s: %s; %s", f.Code, f.Where, f.Text, f.Remedy)
	}
	switch {
	case w.Running != nil:
		s.failover("failover that runs", w.Running)
	case w.Last != nil:
		s.failover("last failover", w.Last)
	}
	switch d := w.Diverged; {
	case d == nil:
	case d.Known:
		s.add("  lost      %d bytes of commands that %s had written and the new master has not", d.Bytes, d.Server)
		switch {
		case d.Kept != "":
			s.add("            kept in %s", d.Kept)
		case d.Unkept != "":
			s.add("            not kept: %s", d.Unkept)
		}
	default:
		s.add("  lost      unknown, on %s: %s", d.Server, d.Why)
	}
	return s.write(out)
}

// decision tells what is the case.
func (s *story) decision(w api.Why, d *failover.Decision) {
	leader := d.Leader + " leads"
	if d.Leader == "" {
		leader = "NO LEADER is known"
	}
	s.add("%s at %s, as %s sees it: epoch %d, %s", w.Master, d.At.Local().Format(time.DateTime), w.Agent, d.Epoch, leader)
	s.add("  verdict   %s: %s by rule %s: %s", d.Verdict, d.Code, d.Rule, d.Text)
	if d.Code != monitor.Healthy && len(d.Servers) > 0 {
		var words []string
		for _, o := range d.Servers[0].Opinions {
			words = append(words, fmt.Sprintf("%s %s for %s", o.Agent, believes(o.State, o.Evidence), o.Age.Round(time.Millisecond)))
		}
		s.add("  opinions  on %s: %s", d.Master, some(words))
	}
	if d.Blocker != nil {
		since := ""
		if !w.Since.IsZero() {
			since = " since " + w.Since.Local().Format(time.TimeOnly)
		}
		s.add("  blocked   %s%s: %s", d.Blocker.Reason, since, d.Blocker.Text)
		s.add("  remedy    %s", d.Blocker.Remedy)
	}
	if o := d.Outlook; o != nil && o.Target != "" {
		s.add("  outlook   %s would be promoted%s: %s", o.Target, missing(o.Lost), o.Why)
	} else if o != nil && (d.Blocker == nil || d.Blocker.Reason != o.Blocker.Reason) {
		s.add("  outlook   nobody could be promoted: %s", o.Why)
	}
}

// failover tells the story of one.
func (s *story) failover(which string, r *failover.Record) {
	zero := cmp.Or(r.DownAt, r.BegunAt)
	at := func(moment monitor.Moment, format string, args ...any) {
		s.add("%+8d ms  %s", moment.Sub(zero).Milliseconds(), fmt.Sprintf(format, args...))
	}
	s.add("%s: %s, %s, epoch %d, %s", which, r.BegunAt.Time().Local().Format(time.DateTime), r.Cause, r.Epoch, outcome(r))
	if r.DownAt != 0 {
		at(r.DownAt, "%s found down; %s", r.Old, witnesses(r, zero))
	}
	at(r.BegunAt, "%s begins in epoch %d: %s%s", leader(r, 0), r.Leaders[0], diagnosis(r), r.Evidence)
	if n := len(r.Leaders); n > 1 {
		s.add("             continued by %d other leaders, last by %s in epoch %d", n-1, leader(r, n-1), r.Leaders[n-1])
	}
	if r.PromoteAt != 0 {
		if read := lastRead(r); read != 0 && !r.HandOver {
			at(read, "replicas detached and read")
		}
		at(r.PromoteAt, "%s chosen: %s", r.Target, r.Chosen)
		s.others(r)
		if lost := r.OldOffset - r.Offset; r.OldOffset > 0 && !r.HandOver {
			s.add("             it lacks %s of what was last seen on %s", size(max(0, lost)), r.Old)
		}
	}
	if r.HeldAt != 0 {
		at(r.HeldAt, "writers wait, until it has everything")
	}
	if r.SwitchAt != 0 {
		at(r.SwitchAt, "%s is promoted, clients are told%s", r.Target, gap(r))
	}
	s.repointed(r, at)
	if r.EndAt != 0 {
		at(r.EndAt, "%s", ending(r))
	}
}

// others tells of the replicas that were not chosen.
func (s *story) others(r *failover.Record) {
	var words []string
	for _, c := range r.Candidates {
		switch {
		case c.Server == r.Target:
		case c.Unfit != "":
			words = append(words, fmt.Sprintf("%s (%s)", c.Server, c.Unfit))
		default:
			words = append(words, fmt.Sprintf("%s (offset %d)", c.Server, c.Offset))
		}
	}
	if len(words) > 0 {
		s.add("             not %s", some(words))
	}
}

func (s *story) repointed(r *failover.Record, at func(monitor.Moment, string, ...any)) {
	n := len(r.Repointed)
	switch {
	case n == 0:
	case len(r.RepointAt) != n:
		s.add("             following it: %s", join(r.Repointed))
	default:
		at(slices.Max(r.RepointAt), "following it: %s", join(r.Repointed))
	}
}

// witnesses tells who saw what, and when.
func witnesses(r *failover.Record, zero monitor.Moment) string {
	var words []string
	for _, w := range r.Seen {
		when := ""
		if w.State == "down" {
			when = fmt.Sprintf(" at %+d ms", w.Since.Sub(zero).Milliseconds())
		}
		words = append(words, fmt.Sprintf("%s: %s%s", w.Agent, believes(w.State, w.Evidence), when))
	}
	return some(words)
}

func believes(state, evidence string) string {
	if state == "down" {
		return "down, " + evidence
	}
	return state
}

// diagnosis is what was found, and by which rule.
func diagnosis(r *failover.Record) string {
	if r.Code == "" {
		return ""
	}
	return fmt.Sprintf("%s by rule %s: ", r.Code, r.Rule)
}

func leader(r *failover.Record, i int) string {
	if i < len(r.Agents) && r.Agents[i] != "" {
		return r.Agents[i]
	}
	return "the leader"
}

// lastRead is when the last of the replicas had said what it holds; 0: unknown.
func lastRead(r *failover.Record) (last monitor.Moment) {
	for _, c := range r.Candidates {
		last = max(last, c.ReadAt)
	}
	return last
}

// gap is how long writers waited.
func gap(r *failover.Record) string {
	since := cmp.Or(r.HeldAt, r.DownAt)
	if since == 0 {
		return ""
	}
	return fmt.Sprintf(", %d ms after %s", r.SwitchAt.Sub(since).Milliseconds(),
		map[bool]string{true: "writers were stopped", false: "it was found down"}[r.HeldAt != 0])
}

func missing(lost int64) string {
	if lost < 0 {
		return ""
	}
	return fmt.Sprintf(", lacking %s of what was last seen", size(lost))
}

func size(n int64) string {
	if n == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes", n)
}

// some joins at most maxTold words.
func some(words []string) string {
	if n := len(words); n > maxTold {
		words = append(slices.Clone(words[:maxTold]), fmt.Sprintf("%d more", n-maxTold))
	}
	return strings.Join(words, ", ")
}

func join(servers []config.Addr) string {
	words := make([]string, len(servers))
	for i, a := range servers {
		words[i] = string(a)
	}
	return some(words)
}

func outcome(r *failover.Record) string {
	if r.Phase != failover.Ended {
		return "not over yet"
	}
	return string(r.Outcome)
}

func ending(r *failover.Record) string {
	switch {
	case r.Outcome == failover.Aborted:
		return "given up: " + r.Why
	case r.Why != "" && r.Why != r.Chosen:
		return "ended; " + r.Why
	}
	return "ended"
}

// WriteBlocked tells which masters nothing can be done about.
func WriteBlocked(out io.Writer, list []api.Blocked) error {
	var s story
	for _, b := range list {
		s.add("%s since %s: %s: %s; %s", b.Master, b.Since.Local().Format(time.DateTime), b.Blocker.Reason, b.Blocker.Text, b.Blocker.Remedy)
	}
	if len(list) == 0 {
		s.add("nothing is blocked")
	}
	_, err := io.WriteString(out, strings.Join(s.lines, "\n")+"\n")
	return err
}

// WritePlan tells what would happen.
func WritePlan(out io.Writer, master string, f failover.Forecast) error {
	var s story
	d := f.Decision
	failed := join(f.Failure.Servers)
	for _, a := range f.Failure.Agents {
		failed += ", agent " + a
	}
	s.add("if these failed now: %s", failed)
	s.add("  diagnosis  %s by rule %s: %s", d.Code, d.Rule, d.Text)
	if d.Blocker != nil {
		s.add("  blocked    %s: %s; %s", d.Blocker.Reason, d.Blocker.Text, d.Blocker.Remedy)
	}
	switch o := d.Outlook; {
	case f.Then != nil:
		s.add("  outcome    %s stays as it is", master)
		s.imagined("then       if the master failed as well, ", *f.Then)
	case o == nil || d.Blocker != nil && o.Target == "":
		s.add("  outcome    %s stays as it is", master)
	case d.Blocker != nil:
		s.add("  outcome    %s stays as it is until that is lifted", master)
		s.imagined("then       ", *o)
	default:
		s.imagined("outcome    ", *o)
	}
	if f.Promise != "" {
		s.add("  promise    %s", f.Promise)
	}
	if f.Within > 0 {
		s.add("  within     about %s; where the hosts are gone, about %s", f.Within.Round(time.Millisecond), f.Silent.Round(time.Millisecond))
	}
	return s.write(out)
}

// imagined tells who would be promoted.
func (s *story) imagined(head string, o failover.Imagined) {
	if o.Target == "" {
		s.add("  %snobody could be promoted: %s; %s", head, o.Blocker.Text, o.Blocker.Remedy)
		return
	}
	s.add("  %s%s is promoted: %s", head, o.Target, o.Why)
	s.others(&failover.Record{Target: o.Target, Candidates: o.Candidates})
	if o.Lost >= 0 {
		s.add("  loss       %d bytes, as of the last look at both", o.Lost)
	} else {
		s.add("  loss       unknown: the master was never seen")
	}
}
