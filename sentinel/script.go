package sentinel

import (
	"strconv"

	"picket/config"
	"picket/sentinel/resp"
	"picket/sentinel/script"
	"picket/sentinel/state"
)

// scripts has the programs run that operators have for Redis Sentinel, with its arguments. It only queues them: nothing waits for them.
type scripts struct {
	add      func(argv ...string)
	settings func(master string) *config.Master // nil: its programs are not run here
}

// notify tells of an event of a master, if Sentinel calls it a warning.
func (s scripts) notify(master string, m resp.Message) {
	if c := s.settings(master); c != nil && c.NotificationScript != "" && m.Warning() {
		s.add(c.NotificationScript, m.Channel, m.Payload)
	}
}

// reconfigure tells of a new master. Sentinel's leader does so when it has promoted the server, the others when they hear of it; here
// all do as soon as it is agreed, which is before anybody else is told.
func (s scripts) reconfigure(e state.Event, self string) {
	c := s.settings(e.Master)
	if c == nil || c.ClientReconfigScript == "" {
		return
	}
	role := "observer"
	if e.Data.Agent == self {
		role = "leader"
	}
	from, to := e.Data.From, e.Data.To
	s.add(c.ClientReconfigScript, e.Master, role, "start", from.Host(), strconv.Itoa(from.Port()), to.Host(), strconv.Itoa(to.Port()))
}

// scripting gives whose programs this agent runs: none, where it only watches, because whoever it watches runs them.
func (a *Agent) scripting(master string) *config.Master {
	if a.shadow() {
		return nil
	}
	return a.named(master)
}

// Scripts implements resp.Backend.
func (a *Agent) Scripts() []script.Pending { return a.scripts.Pending() }

// script tells what became of a program.
func (h *herald) script(r script.Report) {
	h.tell(func() {
		line := h.log.Debug()
		if r.Kind == script.Failed || r.Kind == script.TimedOut || r.Kind == script.Dropped {
			line = h.log.Warn()
		}
		line = line.Str("script", r.Path)
		if r.PID != 0 {
			line = line.Int("pid", r.PID)
		}
		if r.Kind == script.Ended || r.Kind == script.Failed {
			line = line.Int("signal", r.Exit.Signal).Int("code", r.Exit.Code)
		}
		line.Msg(ran[r.Kind])
		h.publish(resp.FromScript(r)) // of no master: that would have another one run
	})
}

// ran says in words what became of a program.
var ran = map[script.ReportKind]string{
	script.Started: "script started", script.Ended: "script ended", script.Failed: "script failed; it is not tried again",
	script.TimedOut: "script took too long and is killed", script.Dropped: "script dropped: too many wait",
}
