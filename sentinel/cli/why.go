package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"picket/config"
	"picket/failover"
	"picket/sentinel/api"
)

// Reasons asks an agent what was decided, and what would be.
type Reasons struct {
	Agent config.Addr // of its HTTP port
}

// Why asks about a master; the zero time is now.
func (r Reasons) Why(ctx context.Context, master string, at time.Time) (w api.Why, err error) {
	query := url.Values{}
	if !at.IsZero() {
		query.Set("at", at.UTC().Format(time.RFC3339))
	}
	return w, r.get(ctx, "/v1/masters/"+url.PathEscape(master)+"/why?"+query.Encode(), &w)
}

// Plan asks what would happen if servers failed.
func (r Reasons) Plan(ctx context.Context, master string, servers []string) (f failover.Forecast, err error) {
	return f, r.get(ctx, "/v1/masters/"+url.PathEscape(master)+"/plan?"+url.Values{"fail": servers}.Encode(), &f)
}

// Blocked lists the masters for which nothing can be done now.
func (r Reasons) Blocked(ctx context.Context) (list []api.Blocked, err error) {
	return list, r.get(ctx, "/v1/blocked", &list)
}

func (r Reasons) get(ctx context.Context, path string, into any) error {
	response, err := send(ctx, r.Agent, http.MethodGet, path, nil, "")
	if err != nil {
		return err
	}
	return receive(response, into)
}

// story is lines of text; whoever is woken by a page reads no more than maxStory of them.
type story struct{ lines []string }

const maxStory = 20

func (s *story) add(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// WriteWhy tells what is decided about a master, and the story of its last failover.
func WriteWhy(out io.Writer, w api.Why) error {
	var s story
	if d := w.Decision; d == nil {
		s.add("%s: %s keeps no decision from so long ago", w.Master, w.Agent)
	} else {
		s.decision(w, d)
	}
	if w.Running != nil {
		s.failover("failover that runs", w.Running)
	} else if w.Last != nil {
		s.failover("last failover", w.Last)
	}
	switch d := w.Diverged; {
	case d == nil:
	case d.Known:
		s.add("lost: %d bytes of commands that %s had written behind its back", d.Bytes, d.Server)
	default:
		s.add("lost: unknown, on %s: %s", d.Server, d.Why)
	}
	return s.write(out)
}

func (s *story) write(out io.Writer) error {
	if len(s.lines) > maxStory {
		s.lines = append(s.lines[:maxStory-1], "… more with -o json")
	}
	_, err := io.WriteString(out, strings.Join(s.lines, "\n")+"\n")
	return err
}

func (s *story) decision(w api.Why, d *failover.Decision) {
	s.add("%s at %s, as %s sees it, epoch %d", w.Master, d.At.Local().Format(time.DateTime), w.Agent, d.Epoch)
	s.add("  verdict   %s: %s, %s", d.Verdict, d.Code, d.Text)
	if d.Verdict != "healthy" {
		var words []string
		for _, o := range d.Opinions {
			words = append(words, fmt.Sprintf("%s %s for %s", o.Agent, o.State, o.Age.Round(time.Millisecond)))
		}
		s.add("  opinions  on %s: %s", d.Master, strings.Join(words, ", "))
	}
	if d.Blocker != nil {
		s.add("  blocked   %s: %s", d.Blocker.Reason, d.Blocker.Text)
		s.add("  remedy    %s", d.Blocker.Remedy)
	}
	if d.Leader == "" {
		s.add("  leader    none is known: nothing can be decided; start the other agents, or mend the network between them")
	}
}

// maxTold bounds how many replicas a story names.
const maxTold = 4

func (s *story) failover(what string, r *failover.Record) {
	zero := r.DownAt
	if zero == 0 {
		zero = r.BegunAt
	}
	moment := func(at int64) string { return fmt.Sprintf("%+6d ms", (at-zero)/int64(time.Millisecond)) }
	s.add("%s: epoch %d, %s, %s, %s", what, r.Epoch, r.Cause, time.Unix(0, r.BegunAt).Format(time.DateTime), outcome(r))
	if r.DownAt != 0 {
		s.add("  %s  %s found down", moment(r.DownAt), r.Old)
	}
	s.add("  %s  begun in epoch %d: %s", moment(r.BegunAt), r.Leaders[0], r.Evidence)
	if n := len(r.Leaders); n > 1 {
		s.add("             continued by %d other leaders, the last in epoch %d", n-1, r.Leaders[n-1])
	}
	if r.PromoteAt != 0 {
		s.add("  %s  %s chosen: %s", moment(r.PromoteAt), r.Target, r.Chosen)
		s.others(r)
		if lost := r.OldOffset - r.Offset; r.OldOffset > 0 && lost > 0 {
			s.add("             at least %d bytes that the old master had are not on it", lost)
		}
	}
	if r.SwitchAt != 0 {
		s.add("  %s  switched: clients are told", moment(r.SwitchAt))
	}
	if n := len(r.Repointed); n > maxTold {
		s.add("             %d servers follow it", n)
	} else if n > 0 {
		s.add("             following it: %s", join(r.Repointed))
	}
	if r.EndAt != 0 {
		s.add("  %s  %s", moment(r.EndAt), ending(r))
	}
}

// others tells of the replicas that were not chosen.
func (s *story) others(r *failover.Record) {
	told := 0
	for _, c := range r.Candidates {
		switch {
		case c.Server == r.Target:
			continue
		case told == maxTold:
			s.add("             … and others")
			return
		case c.Unfit != "":
			s.add("             not %s: %s", c.Server, c.Unfit)
		default:
			s.add("             not %s: offset %d", c.Server, c.Offset)
		}
		told++
	}
}

func join(servers []config.Addr) string {
	words := make([]string, len(servers))
	for i, a := range servers {
		words[i] = string(a)
	}
	return strings.Join(words, ", ")
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
	case r.Why != r.Chosen:
		return "ended; " + r.Why
	}
	return "ended"
}

// WriteBlocked tells which masters nothing can be done about.
func WriteBlocked(out io.Writer, list []api.Blocked) error {
	var s story
	for _, b := range list {
		s.add("%s: %s: %s; %s", b.Master, b.Blocker.Reason, b.Blocker.Text, b.Blocker.Remedy)
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
	s.add("if %s failed now:", join(f.Failed))
	s.add("  diagnosis  %s: %s", f.Decision.Code, f.Decision.Text)
	if f.Target == "" {
		s.add("  outcome    %s stays as it is: %s", master, f.Why)
		return s.write(out)
	}
	s.add("  outcome    %s is promoted: %s", f.Target, f.Why)
	for _, c := range f.Candidates {
		switch {
		case c.Server == f.Target:
		case c.Unfit != "":
			s.add("             not %s: %s", c.Server, c.Unfit)
		default:
			s.add("             not %s: offset %d", c.Server, c.Offset)
		}
	}
	if f.Lost >= 0 {
		s.add("  loss       %d bytes, as of the last look at both", f.Lost)
	} else {
		s.add("  loss       unknown: the master was never seen")
	}
	s.add("  within     about %s where the agent beside it lives", f.Within)
	return s.write(out)
}
