package cli

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"picket/config"
	"picket/failover"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// Fetch asks an agent for its picture.
func Fetch(ctx context.Context, c *Client) (p picture.Picture, err error) {
	return p, c.call(ctx, http.MethodGet, "/v1/status", nil, &p)
}

// Watch shows an answer again each second until ctx ends: on a terminal each in the place of the last, else one after the other. What goes wrong
// is told to errs where it would be taken for an answer.
func Watch(ctx context.Context, out, errs io.Writer, f Format, ask func(context.Context) (Answer, error)) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		if err := watchOnce(ctx, out, errs, f, ask); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

const (
	watchEvery  = time.Second
	clearScreen = "\x1b[H\x1b[2J\x1b[3J"
)

// watchOnce shows what is answered, or why nothing is: the agent may come back.
func watchOnce(ctx context.Context, out, errs io.Writer, f Format, ask func(context.Context) (Answer, error)) error {
	asking, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	a, err := ask(asking)
	var text bytes.Buffer
	page := io.Writer(&text)
	if Colours(out) {
		page = Coloured{page}
	}
	if Terminal(out) && f == Table {
		text.WriteString(clearScreen)
	}
	if err != nil && f != Table {
		fmt.Fprintln(errs, err)
	} else if err != nil {
		fmt.Fprintln(page, paint(page, bad, err.Error()))
	} else if err := f.Write(page, a); err != nil {
		return err
	}
	_, err = text.WriteTo(out)
	return err
}

// Unwell says what keeps the masters from being up and safe, a line each.
func Unwell(p picture.Picture) []string {
	var lines []string
	if !p.Majority {
		lines = append(lines, "no majority of agents")
	}
	if len(p.Masters) == 0 {
		lines = append(lines, "no master is watched")
	}
	for _, a := range p.Agents {
		if !a.Up {
			lines = append(lines, "agent "+a.ID+" is not heard")
		}
	}
	for _, m := range p.Masters {
		switch {
		case m.Server.State != "up" || m.ODown:
			lines = append(lines, fmt.Sprintf("%s: its master %s is %s", m.Name, m.Server.Addr, m.Server.State))
		case m.Failover != nil:
			lines = append(lines, m.Name+": a failover is running")
		case m.Blocker != nil:
			lines = append(lines, m.Name+": "+m.Blocker.Text)
		case m.Server.Fenced:
			lines = append(lines, m.Name+": its master is fenced, and takes no writes")
		case !p.Shadow && len(m.Foreign) > 0:
			lines = append(lines, m.Name+": a Redis Sentinel watches it, too")
		case !slices.ContainsFunc(m.Replicas, func(r picture.Server) bool { return r.State == "up" && r.Last != nil && r.Last.LinkUp }):
			lines = append(lines, m.Name+": no replica follows it")
		}
	}
	return lines
}

// Status writes the picture as tables.
func Status(out io.Writer, p picture.Picture) error {
	page := &page{out: out}
	page.say(plain, "cluster %s, epoch %d, %s", p.Cluster, p.Epoch, leadership(p))
	if !p.Majority {
		page.say(bad, "NO MAJORITY: this agent can see, but nothing can be decided until more agents are back")
	}
	if p.Shadow {
		page.say(bold, "SHADOW MODE: the agents only watch, and say what they would do")
	}
	if p.Reload.Error != "" {
		page.say(bad, "CONFIGURATION REFUSED at %s, the former one counts: %s", p.Reload.At.Local().Format(time.DateTime), p.Reload.Error)
	}
	if len(p.Reload.Pending) > 0 {
		page.say(bold, "takes effect after a restart of %s: %s", p.Agent, strings.Join(p.Reload.Pending, ", "))
	}
	for _, m := range p.Masters {
		page.master(m, p.Shadow)
	}
	page.say(plain, "")
	var agents grid
	agents.head("AGENT", "ROLE", "EPOCH", "SENTINEL PORT", "STATE")
	for _, a := range p.Agents {
		agents.row(a.ID, orDash(a.Role), a.Epoch, config.NewAddr(a.Host, a.SentinelPort), agentState(a))
	}
	page.grid(agents)
	if page.err != nil {
		return fmt.Errorf("write the status: %w", page.err)
	}
	return nil
}

// page is written from top to bottom, until something goes wrong.
type page struct {
	out io.Writer
	err error
}

func (p *page) say(i ink, format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.out, paint(p.out, i, fmt.Sprintf(format, args...)))
	}
}

func (p *page) grid(g grid) {
	if p.err == nil {
		p.err = g.write(p.out)
	}
}

func leadership(p picture.Picture) string {
	if p.Leader == "" {
		return "no leader is known"
	}
	return p.Leader + " leads"
}

// agentState tells whether an agent is heard.
func agentState(a picture.Agent) cell {
	c := cell{"up", good}
	if !a.Up {
		c = cell{"not heard", bad}
	}
	if a.Self {
		c.text += " (this one)"
	}
	return c
}

func (p *page) master(m picture.Master, shadow bool) {
	var servers grid
	servers.head("MASTER "+m.Name, "ROLE", "STATE", "OFFSET", "LAG")
	servers.server(m.Server, "master")
	for _, r := range m.Replicas {
		servers.server(r, "replica")
	}
	p.say(plain, "")
	p.grid(servers)
	if m.ODown {
		p.say(bad, "objectively down: %s", m.Verdict.Text)
	}
	if shadow && m.Shadow != nil { // later it is history
		p.say(plain, "shadow: %s", describeShadow(*m.Shadow))
	}
	for _, f := range m.Foreign {
		p.say(plain, "also watched by a Redis Sentinel: %s, as %s (run id %s, heard on %s %s ago)", f.Addr, f.Name, f.RunID, f.Server,
			f.Age.Round(time.Millisecond))
	}
	if m.Paused != nil {
		p.say(doubt, "paused: %s", describePause(*m.Paused))
	}
	if m.Scheduled != nil {
		p.say(plain, "a switchover to %s is due at %s, ordered by %s", cmp.Or(string(m.Scheduled.To), "the best replica"),
			m.Scheduled.At.Local().Format(time.DateTime), m.Scheduled.Who)
	}
	if m.Blocker != nil {
		p.say(bad, "blocked since %s: %s; %s", m.BlockedAt.Local().Format(time.DateTime), m.Blocker.Text, m.Blocker.Remedy)
	}
	for _, f := range m.Findings {
		p.say(doubt, "%s: %s: %s; %s", f.Code, f.Where, f.Text, f.Remedy)
	}
	switch {
	case m.Failover != nil:
		p.say(doubt, "failover running: %s", describe(*m.Failover))
	case m.Last != nil:
		p.say(plain, "last failover: %s", describe(*m.Last))
	default:
		p.say(plain, "last failover: none")
	}
}

func (g *grid) server(s picture.Server, role string) {
	state, offset, lag := cell{s.State, stateInk(s.State)}, "-", "-"
	if s.Down && s.Evidence != "" {
		state.text += " (" + s.Evidence + ")"
	}
	if s.Last != nil {
		offset = fmt.Sprint(s.Last.Offset)
		if reported := map[string]string{"master": "master", "slave": "replica"}[s.Last.Role]; reported != role {
			state = cell{state.text + ", says it is a " + orDash(reported), doubt}
		}
		if role == "replica" && s.Last.Role == "slave" && !s.Last.LinkUp {
			state = cell{state.text + ", link down", doubt}
		}
	}
	if role == "replica" && s.Lag >= 0 {
		lag = fmt.Sprintf("%d B", s.Lag)
	}
	g.row(s.Addr, role, state, offset, lag)
}

// describe tells a failover in one line.
func describe(r failover.Record) string {
	text := fmt.Sprintf("epoch %d, %s, %s", r.Epoch, r.Cause, r.Old)
	if r.Target != "" {
		text += " → " + string(r.Target)
	}
	if r.Phase == failover.Ended {
		text += ", " + string(r.Outcome) + " " + r.EndAt.Time().Format(time.DateTime)
	}
	if r.SwitchAt != 0 && r.DownAt != 0 {
		text += fmt.Sprintf(", switched %d ms after it was found down", r.SwitchAt.Sub(r.DownAt).Milliseconds())
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
		text += " (" + s.DecidedAt.Time().Format(time.DateTime) + "; " + s.Why + ")"
	}
	return text
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
