package monitor

import (
	"fmt"
	"strings"
	"time"

	"picket/config"
)

// Judge says how a master is. It is a pure function.
func Judge(q Question, v View) Verdict {
	own, known := v.Servers[q.Master]
	verdict := Verdict{Quorum: q.Quorum}
	speak := 0
	for _, o := range v.Opinions[q.Master] {
		speak++
		if o.State == Down {
			verdict.Down = append(verdict.Down, o)
		}
	}
	switch {
	case !known || own.State == Unknown || own.State == Down && looking(q, v, own):
		verdict.Code, verdict.Rule = UnknownMaster, NotSeen
		if known && own.State == Down {
			verdict.Rule = ReplicaNotSeen
		}
		verdict.Text = "this agent has not seen the master yet, or was late itself and looks again"
	case verdict.reborn(q, v, own):
	case len(verdict.Down) == 0:
		verdict.Code, verdict.Rule, verdict.Text = alive(own)
	case own.State != Down || len(verdict.Down) < q.Quorum:
		verdict.suspected(q, speak)
	default:
		verdict.Since = own.Since
		if own.Evidence != WrongRole && own.Evidence != StillLoading { // one that answers feeds its replicas, whatever its state
			verdict.Life = proofs(q, v, own)
		}
		verdict.down(q, own)
	}
	return verdict
}

// reborn judges a master that was restarted, and says whether that is what is wrong with it.
func (d *Verdict) reborn(q Question, v View, own Server) bool {
	code, text := restarted(q, v, own)
	if code == "" {
		return false
	}
	d.Code, d.Rule, d.Text, d.Since, d.ObjectivelyDown = code, ReplicaHasMore, text, own.RunSince, true
	return true
}

// looking says whether a replica that might prove the master's life has not been looked at yet, as after a stall. It holds
// a judgement up for down-after at most.
func looking(q Question, v View, master Server) bool {
	for _, addr := range q.Replicas {
		if r, watched := v.Servers[addr]; watched && r.State == Unknown && v.Now.Sub(r.Since) < master.DownAfter {
			return true
		}
	}
	return false
}

// alive tells how a master is that nobody finds down.
func alive(s Server) (Code, Rule, string) {
	switch {
	case s.Last != nil && s.Last.Loading:
		return LoadingMaster, AnswersLoading, "the master answers, but still loads its data"
	case s.Last != nil && s.Last.Role != "master":
		return RoleMismatch, AnswersReplica, fmt.Sprintf("the server at %s says that it is a replica of %s", s.Addr, s.Last.Master)
	}
	return Healthy, Answers, "the master answers"
}

func (d *Verdict) suspected(q Question, speak int) {
	d.Code, d.Rule = SuspectedMaster, BelowQuorum
	d.Text = fmt.Sprintf("%s find %s down, %d are needed", agents(d.Down), q.Master, q.Quorum)
	if speak < q.Quorum {
		d.Code, d.Rule = NoQuorum, TooFewAgents
		d.Text += fmt.Sprintf(", and only %d of %d speak: start the other agents, or mend the network between them", speak, q.Agents)
	}
}

func (d *Verdict) down(q Question, own Server) {
	if len(d.Life) > 0 {
		d.Code, d.Rule = UnreachableMaster, ReplicaIsFed
		d.Text = fmt.Sprintf("%s find %s down, but replica %s %s: the agents are cut off from it, not its replicas; mend the network "+
			"between the agents and the master", agents(d.Down), q.Master, d.Life[0].Replica, d.Life[0].Text)
		return
	}
	d.ObjectivelyDown = true
	switch own.Evidence {
	case Refused:
		d.Code, d.Rule = DeadMaster, QuorumRefused
		d.Text = fmt.Sprintf("%s find %s dead: connections are refused", agents(d.Down), q.Master)
	case WrongRole:
		d.Code, d.Rule = RoleMismatch, QuorumWrongRole
		d.Text = fmt.Sprintf("%s find that %s is no master any more: it says it is a replica of %s", agents(d.Down), q.Master, own.Last.Master)
	case StillLoading:
		d.Code, d.Rule = LoadingMaster, QuorumLoading
		d.Text = fmt.Sprintf("%s find that %s was restarted and still loads its data", agents(d.Down), q.Master)
	case BadReply:
		d.Code, d.Rule = HungMaster, QuorumBadReply
		d.Text = fmt.Sprintf("%s get no valid answer from %s: %s", agents(d.Down), q.Master, own.Text)
	default:
		d.Code, d.Rule = HungMaster, QuorumSilent
		d.Text = fmt.Sprintf("%s have no answer from %s for %s", agents(d.Down), q.Master, own.DownAfter)
	}
}

func agents(opinions []Opinion) string {
	names := make([]string, 0, len(opinions))
	for _, o := range opinions {
		names = append(names, o.Agent)
	}
	return strings.Join(names, ", ")
}

// proofs gathers signs that the master lives although it does not answer the agents: a replica that received something since then. What
// was under way when the answers ceased may arrive for a while, which proves nothing; and an old proof does not count.
func proofs(q Question, v View, master Server) []Proof {
	slack := 2 * PingPeriod(&config.Master{DownAfter: master.DownAfter})
	lost := master.Lost.Add(slack)
	var life []Proof
	for _, addr := range q.Replicas {
		r, ok := v.Servers[addr]
		if !ok || r.State != Up || r.Last == nil || r.Last.Role != "slave" || r.Last.Master != q.Master {
			continue
		}
		if text := received(r, lost, v.Now.Add(-master.DownAfter)); text != "" {
			life = append(life, Proof{Replica: addr, Text: text})
		}
	}
	return life
}

// received says what a replica got after lost, as seen not before fresh; empty: nothing that is certain.
func received(r Server, lost, fresh time.Time) string {
	if r.Prior != nil && r.Prior.At.After(lost) && r.Advanced.After(fresh) {
		return fmt.Sprintf("received %d bytes from it since", r.Last.Received-r.Prior.Received)
	}
	// The last byte came at most LastIO, rounded down to seconds, before the reply.
	age := r.Last.LastIO + time.Second
	if r.Last.LinkUp && r.Last.LastIO >= 0 && age <= lifeSign && r.Last.At.Add(-age).After(lost) && r.Last.At.After(fresh) {
		return fmt.Sprintf("heard from it within the last %s", age)
	}
	return ""
}

// lifeSign is how old the last byte from a master without writes may be and still prove its life: it pings its replicas every
// 10 s, unless told otherwise.
const lifeSign = 11 * time.Second
