package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"picket/config"
	"picket/failover"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// maxStatus bounds what is read from an agent.
const maxStatus = 16 << 20

// Fetch asks the agent at an HTTP address for its picture.
func Fetch(ctx context.Context, agent config.Addr) (picture.Picture, error) {
	var p picture.Picture
	url := "http://" + string(agent) + "/v1/status"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return p, fmt.Errorf("ask %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return p, fmt.Errorf("ask the agent: %w; is it running, and is listen.http its address?", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return p, fmt.Errorf("ask %s: the agent answers %s", url, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatus)).Decode(&p); err != nil {
		return p, fmt.Errorf("read the status from %s: %w", url, err)
	}
	return p, nil
}

// Watch shows the status again each interval until ctx ends, on a terminal that understands ANSI.
func Watch(ctx context.Context, out io.Writer, agent config.Addr, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		p, err := Fetch(ctx, agent)
		fmt.Fprint(out, "\x1b[H\x1b[2J") // cursor home, clear
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			fmt.Fprintln(out, err) // the agent may come back: keep watching
		default:
			if err := Status(out, p); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Status writes the picture as tables.
func Status(out io.Writer, p picture.Picture) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "cluster %s, epoch %d, %s\n", p.Cluster, p.Epoch, leadership(p))
	if p.Shadow {
		fmt.Fprintln(w, "SHADOW MODE: the agents only watch, and say what they would do")
	}
	for _, m := range p.Masters {
		writeMaster(w, m)
	}
	fmt.Fprintf(w, "\nAGENT\tROLE\tEPOCH\tSENTINEL PORT\tSTATE\n")
	for _, a := range p.Agents {
		state := "up"
		if !a.Up {
			state = "not heard"
		}
		if a.Self {
			state += " (this one)"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s:%d\t%s\n", a.ID, orDash(a.Role), a.Epoch, a.Host, a.SentinelPort, state)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

func leadership(p picture.Picture) string {
	if !p.Majority {
		return "NO MAJORITY: this agent can see, but nothing can be decided until more agents are back"
	}
	return p.Leader + " leads"
}

func writeMaster(w io.Writer, m picture.Master) {
	fmt.Fprintf(w, "\nMASTER %s\tROLE\tSTATE\tOFFSET\tLAG\n", m.Name)
	writeServer(w, m.Server, "master")
	for _, r := range m.Replicas {
		writeServer(w, r, "replica")
	}
	if m.ODown {
		fmt.Fprintf(w, "objectively down: %s\n", m.Verdict.Text)
	}
	if m.Shadow != nil {
		fmt.Fprintf(w, "shadow: %s\n", describeShadow(*m.Shadow))
	}
	for _, f := range m.Foreign {
		fmt.Fprintf(w, "also watched by a Redis Sentinel: %s, as %s (run id %s, heard on %s %s ago)\n", f.Addr, f.Name, f.RunID, f.Server,
			f.Age.Round(time.Millisecond))
	}
	if m.Paused != nil {
		fmt.Fprintf(w, "paused: %s\n", describePause(*m.Paused))
	}
	if m.Blocker != nil {
		fmt.Fprintf(w, "blocked since %s: %s; %s\n", m.BlockedAt.Local().Format(time.DateTime), m.Blocker.Text, m.Blocker.Remedy)
	}
	for _, f := range m.Findings {
		fmt.Fprintf(w, "%s: %s: %s; %s\n", f.Code, f.Where, f.Text, f.Remedy)
	}
	switch {
	case m.Failover != nil:
		fmt.Fprintf(w, "failover running: %s\n", describe(*m.Failover))
	case m.Last != nil:
		fmt.Fprintf(w, "last failover: %s\n", describe(*m.Last))
	default:
		fmt.Fprintf(w, "last failover: none\n")
	}
}

func writeServer(w io.Writer, s picture.Server, role string) {
	state, offset, lag := s.State, "-", "-"
	if s.Down && s.Evidence != "" {
		state += " (" + s.Evidence + ")"
	}
	if s.Last != nil {
		offset = fmt.Sprint(s.Last.Offset)
		if reported := map[string]string{"master": "master", "slave": "replica"}[s.Last.Role]; reported != role {
			state += ", says it is a " + orDash(reported)
		}
		if role == "replica" && s.Last.Role == "slave" && !s.Last.LinkUp {
			state += ", link down"
		}
	}
	if role == "replica" && s.Lag >= 0 {
		lag = fmt.Sprintf("%d B", s.Lag)
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Addr, role, state, offset, lag)
}

// describe tells a failover in one line.
func describe(r failover.Record) string {
	text := fmt.Sprintf("epoch %d, %s, %s", r.Epoch, r.Cause, r.Old)
	if r.Target != "" {
		text += " → " + string(r.Target)
	}
	if r.Phase == failover.Ended {
		text += ", " + string(r.Outcome) + " " + time.Unix(0, r.EndAt).Format(time.DateTime)
	}
	if r.SwitchAt != 0 && r.DownAt != 0 {
		text += fmt.Sprintf(", switched %d ms after it was found down", (r.SwitchAt-r.DownAt)/int64(time.Millisecond))
	}
	if r.Why != "" {
		text += " (" + r.Why + ")"
	}
	return text
}

// describeShadow tells what agents that only watch decided, and what was done instead.
func describeShadow(s state.Shadowed) string {
	text := s.Compared
	switch {
	case s.EndAt == 0 && s.Target == "":
		text = "would have begun a failover, and promoted nobody"
	case s.EndAt == 0:
		text = "would have promoted " + string(s.Target)
	}
	if s.DecidedAt != 0 {
		text += " (" + time.Unix(0, s.DecidedAt).Format(time.DateTime) + "; " + s.Why + ")"
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
