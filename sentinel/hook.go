package sentinel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/script"
	"picket/sentinel/state"
)

// A program of the operator's may forbid a failover, or a switchover, before it begins. An automatic failover asks the leader's, once it is elected: the
// others must not stand for election meanwhile, so that the question is in the log, and so is a no. What somebody orders asks before any election; who
// ordered it hears the answer. Without a program nothing of this happens.

// program gives the one that is to be asked; empty: none is.
func (a *Agent) program(settings *config.Master, name string) string {
	if name == failover.PreSwitchover {
		return cmp.Or(settings.PreSwitchover, a.current().Hooks.PreSwitchover)
	}
	return cmp.Or(settings.PreFailover, a.current().Hooks.PreFailover)
}

// hesitation is how long what is to be done to a master may wait for a program; 0: there is none.
func (a *Agent) hesitation(m *state.Master) time.Duration {
	if m == nil {
		return 0
	}
	s := a.settings(m)
	if s == nil || a.program(s, failover.PreFailover) == "" && a.program(s, failover.PreSwitchover) == "" {
		return 0
	}
	return a.current().Hooks.Timeout
}

// question is what a program is told.
type question struct {
	hook  string
	cause failover.Cause
	to    config.Addr // the replica that is wanted; empty: the best one
	by    string      // of an order: who gave it
}

// environment is the question as the program sees it.
func (q question) environment(a *Agent, s failover.Situation) []string {
	return []string{
		"PICKET_HOOK=" + q.hook, "PICKET_CLUSTER=" + a.cfg.Cluster, "PICKET_AGENT=" + a.cfg.Agent.ID, "PICKET_MASTER=" + s.Settings.Name,
		"PICKET_FROM=" + string(s.Master), "PICKET_TO=" + string(q.to), "PICKET_EPOCH=" + strconv.FormatUint(s.Epoch, 10),
		"PICKET_CAUSE=" + string(q.cause), "PICKET_CODE=" + string(s.Verdict.Code), "PICKET_EVIDENCE=" + s.Verdict.Text, "PICKET_BY=" + q.by,
	}
}

// Exit codes by which a shell says that it found nothing to run. They are no answer.
const notExecutable, notFound = 126, 127

// forbidden asks the program, if there is one, and says why it forbids what is to be done; empty: it does not.
func (a *Agent) forbidden(ctx context.Context, s failover.Situation, q question) (veto string) {
	program := a.program(s.Settings, q.hook)
	if program == "" {
		return ""
	}
	limit, cancel := context.WithTimeout(ctx, a.current().Hooks.Timeout)
	defer cancel()
	began := a.now()
	code, said, err := script.Run(limit, []string{program, q.hook, s.Settings.Name, string(s.Master)}, q.environment(a, s))
	if err == nil && (code == notExecutable || code == notFound) {
		err = fmt.Errorf("run %s: it found nothing to run: %s", program, said)
	}
	outcome := "allowed"
	switch {
	case ctx.Err() != nil: // nobody waits for the answer any more
		return ""
	case err != nil:
		outcome = "failed"
		if a.current().Hooks.OnFailure == config.HookVeto {
			veto = err.Error()
		}
	case code != 0:
		outcome, veto = "vetoed", fmt.Sprintf("it ended with code %d", code)
		if said != "" {
			veto += ": " + said
		}
	}
	a.metrics.Asked(q.hook, outcome)
	a.herald.asked(s.Settings.Name, q.hook, program, outcome, a.now().Sub(began), said, err)
	return strings.ToValidUTF8(veto[:min(len(veto), maxVeto)], "")
}

// maxVeto bounds what is kept of a no, in bytes.
const maxVeto = 450

// allowed asks before an automatic failover begins, and gives the situation as it is then.
func (a *Agent) allowed(ctx context.Context, term consensus.Term, master string, s failover.Situation) (failover.Situation, error) {
	if a.program(s.Settings, failover.PreFailover) == "" {
		return s, nil
	}
	if err := a.consult(ctx, term, master, s); err != nil {
		return s, err
	}
	l := a.look()
	m := l.master(master)
	if m == nil {
		return s, fmt.Errorf("begin a failover of %s: it is not known any more", master)
	}
	s = a.situation(l, m, term)
	s.Inquiry = nil // it is answered
	if b := failover.MayBegin(s, failover.CauseDown, m.Last); b != nil {
		return s, &blockedError{*b}
	}
	return s, nil
}

// consult has the group know that the program is asked, and what it says if that is no.
func (a *Agent) consult(ctx context.Context, term consensus.Term, master string, s failover.Situation) error {
	inquiry := failover.Inquiry{Agent: a.cfg.Agent.ID, Epoch: uint64(term), For: a.current().Hooks.Timeout + time.Second}
	if err := a.inquire(ctx, term, master, inquiry); err != nil {
		return err
	}
	why := a.forbidden(ctx, s, question{hook: failover.PreFailover, cause: failover.CauseDown})
	if why == "" {
		return ctx.Err()
	}
	inquiry.Vetoed, inquiry.Why = true, why
	if err := a.inquire(ctx, term, master, inquiry); err != nil {
		return err
	}
	return &blockedError{failover.Vetoed(master, failover.PreFailover, inquiry.Agent, why)}
}

func (a *Agent) inquire(ctx context.Context, term consensus.Term, master string, q failover.Inquiry) error {
	return a.propose(ctx, term, state.Command{At: monitor.MomentOf(a.now()), Inquire: &state.Inquire{Master: master, Inquiry: q}})
}

// permit asks before what somebody orders, and before anybody is elected for it. The master may be dead, or well again, when the program has answered: what it
// has allowed is then another thing, which is judged anew, and asked for.
func (a *Agent) permit(ctx context.Context, master string, w wish) error {
	for asked := ""; ; {
		l := a.look()
		if err := a.refuse(l, master, w); err != nil {
			return err
		}
		s := a.situation(l, l.master(master), l.status.Term)
		q := question{hook: failover.PreSwitchover, cause: failover.CauseManual, to: w.to, by: w.by}
		if s.Verdict.ObjectivelyDown {
			q.hook = failover.PreFailover
		}
		if w.ignoreHooks || q.hook == asked {
			return nil
		}
		if why := a.forbidden(ctx, s, q); why != "" {
			return &blockedError{failover.Vetoed(master, q.hook, a.cfg.Agent.ID, why)}
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("ask the program %s: %w", q.hook, err)
		}
		asked = q.hook
	}
}

// vetoed says whether an operator's program has forbidden it.
func vetoed(err error) bool {
	var blocked *blockedError
	return errors.As(err, &blocked) && blocked.blocker.Reason == "vetoed"
}

// asked tells what a program has said.
func (h *herald) asked(master, hook, program, outcome string, took time.Duration, said string, err error) {
	h.tell(func() {
		line := h.log.Info()
		if err != nil {
			line = h.log.Warn().Err(err)
		}
		if said != "" {
			line = line.Str("said", said)
		}
		line.Str("master", master).Str("hook", hook).Str("program", program).Dur("took", took).Msg(answered[outcome])
	})
}

// answered says in words how a program has answered.
var answered = map[string]string{
	"allowed": "the program allows it", "vetoed": "the program forbids it", "failed": "the program has failed: what hooks.on-failure says is done",
}
