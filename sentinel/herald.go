package sentinel

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"picket/config"
	"picket/consensus"
	"picket/failover"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/resp"
	"picket/sentinel/state"
	"picket/sentinel/webhook"
)

// herald tells the outside what happens: one log line and the Sentinel events for each change. Whoever has something to tell
// hands it over and goes on; one goroutine tells it, in order.
type herald struct {
	log     zerolog.Logger
	cluster string
	self    string
	machine *state.Machine
	door    func(...resp.Message) // publishes to subscribers
	scripts scripts
	metrics tally
	queue   chan saying
	dropped atomic.Uint64
	told    func(config.Addr) config.Addr // an address as clients are told; nil: as it is
	last    uint64                        // id of the newest committed event that was told
	old     uint64                        // events up to this were in the log when this agent started
	said    string                        // of enlisting: the last refusal
	tried   attempts
	down    map[config.Addr]bool // servers that are told to be

	mu       sync.Mutex
	problems map[string]string // the last one with each peer
}

// saying is something to be told, and the newest committed event when it was handed over: whatever was committed before is told before, and
// what comes after, after.
type saying struct {
	after uint64
	tell  func()
}

// tally counts what the herald tells.
type tally interface {
	Committed(state.Event, *failover.Record)
}

// heraldQueue bounds what waits to be told: a burst of some hundred servers going down at once.
const heraldQueue = 4096

func (h *herald) run(ctx context.Context) {
	for {
		changed := h.machine.Changed()
		h.catchUp()
		select {
		case <-ctx.Done():
			h.catchUp()
			return
		case <-changed:
		case s := <-h.queue:
			h.say(s)
		}
	}
}

// catchUp tells all that there is, in the order in which it happened.
func (h *herald) catchUp() {
	newest := h.machine.State().Latest() // what was handed over before that one is in the queue by now
	for {
		select {
		case s := <-h.queue:
			h.say(s)
		default:
			h.committed(newest)
			return
		}
	}
}

func (h *herald) say(s saying) {
	h.committed(s.after)
	s.tell()
}

// tell hands something over; when too much waits it is lost, and counted. Committed events never are.
func (h *herald) tell(f func()) {
	select {
	case h.queue <- saying{h.machine.State().Latest(), f}:
	default:
		h.dropped.Add(1)
	}
}

// committed tells the events up to one, as far as they were not told before.
func (h *herald) committed(newest uint64) {
	const some = 256
	for {
		events := h.machine.State().After(h.last, some)
		for _, e := range events {
			if e.ID > newest {
				return
			}
			h.event(e)
			h.last = e.ID
		}
		if len(events) < some {
			return
		}
	}
}

// event tells a committed event. Of those from before the start nobody is told again, but for the switch that made the present
// master: a client may have asked this agent while it had not caught up yet.
func (h *herald) event(e state.Event) {
	if e.ID <= h.old {
		if m := h.machine.State().Master(e.Master); m != nil && m.Epoch == e.Epoch && (e.Type == state.FailoverSwitched || e.Type == state.ShadowComparison) {
			h.door(resp.FromCommitted(h.spoken(e), resp.Update{})...) // and no script: it was run when this agent heard of it first
		}
		return
	}
	line := h.log.Info().Uint64("term", e.Epoch).Uint64("index", e.ID)
	d := e.Data
	for _, field := range []struct{ key, value string }{
		{"master", e.Master}, {"peer", d.Agent}, {"from", string(d.From)}, {"to", string(d.To)}, {"server", string(d.Replica)},
		{"cause", d.Cause}, {"evidence", d.Evidence}, {"who", d.Who}, {"until", d.Until}, {"why", d.Why}, {"kept", d.Kept}, {"unkept", d.Unkept}, {"endpoint", d.Endpoint},
	} {
		if field.value != "" {
			line = line.Str(field.key, field.value)
		}
	}
	if d.Offset != 0 {
		line = line.Int64("offset", d.Offset)
	}
	if d.Known {
		line = line.Int64("bytes", d.Bytes)
	}
	if d.Event != 0 {
		line = line.Uint64("event", d.Event)
	}
	if d.Dropped != 0 {
		line = line.Uint64("dropped", d.Dropped)
	}
	if d.Letters != 0 {
		line = line.Int("letters", d.Letters)
	}
	if d.ElapsedMS != 0 {
		line = line.Int64("elapsed_ms", d.ElapsedMS)
	}
	for _, o := range d.Changes {
		line = line.Str(o.Name, o.Value)
	}
	line.Msg(string(e.Type))
	h.metrics.Committed(e, h.machine.State().Record(e))
	h.publishCommitted(e)
}

// set tells what was set on this agent alone.
func (h *herald) set(o resp.Owner, options map[string]string) {
	h.tell(func() {
		for _, name := range slices.Sorted(maps.Keys(options)) {
			value := options[name]
			if name == config.OptionPassword {
				value = "******"
			}
			h.log.Info().Str("master", o.Name).Str(name, value).Msg("an option was set on this agent")
			h.door(resp.FromSet(o, name, value))
		}
	})
}

// seen tells what the monitor observed.
func (h *herald) seen(e monitor.Event) {
	h.tell(func() {
		var o resp.Owner
		if m := h.machine.State().Owner(e.Server.Addr); m != nil {
			o = h.owner(m, e.Server.Addr)
		}
		switch e.Kind {
		case monitor.ServerDown:
			h.about(zerolog.WarnLevel, o, e).Str("evidence", e.Server.Evidence.String()).Msg("server is down")
		case monitor.ServerUp:
			h.about(zerolog.InfoLevel, o, e).Msg("server is up")
		case monitor.ServerReboot:
			h.about(zerolog.WarnLevel, o, e).Msg("server was restarted")
		case monitor.RoleChanged:
			h.about(zerolog.InfoLevel, o, e).Str("role", e.Server.Last.Role).Msg("server changed its role")
		case monitor.ListenRefused:
			h.about(zerolog.WarnLevel, o, e).Str("why", e.Server.Deaf).Msg("other coordinators can't be heard on the server: let its " +
				"user SUBSCRIBE to the channel __sentinel__:hello")
		case monitor.StallBegun:
			h.log.Warn().Msg("this agent was late itself: it distrusts what it saw and looks again")
		case monitor.StallEnded:
			h.log.Info().Msg("this agent trusts its eyes again")
		}
		h.note(e)
		e.Server.Addr = h.saying(e.Server.Addr)
		h.publish(resp.FromMonitor(e, o), o.Name)
	})
}

func (h *herald) about(level zerolog.Level, o resp.Owner, e monitor.Event) *zerolog.Event {
	return h.log.WithLevel(level).Str("master", o.Name).Str("server", string(e.Server.Addr))
}

// verdict tells a judgement that differs from the last one.
func (h *herald) verdict(o resp.Owner, was, is monitor.Verdict) {
	if was.Code == is.Code && was.ObjectivelyDown == is.ObjectivelyDown {
		return
	}
	h.tell(func() {
		line := h.log.Info()
		switch {
		case is.ObjectivelyDown:
			line = h.log.Warn()
		case is.Code == monitor.UnknownMaster, is.Code == monitor.RoleMismatch:
			line = h.log.Debug() // it has not looked yet, since the start or since the switch; what lasts is told as a server that is down
		}
		line.Str("master", o.Name).Str("server", string(o.Master)).Str("code", string(is.Code)).Msg(is.Text)
		h.publish(resp.FromVerdict(o, was, is), o.Name)
	})
}

// foreign tells when other coordinators of a master are heard first, and when none is any more.
func (h *herald) foreign(master string, was, is []monitor.Foreign) {
	if (len(was) > 0) == (len(is) > 0) {
		return
	}
	h.tell(func() {
		if len(is) == 0 {
			h.log.Info().Str("master", master).Msg("no other coordinator of the master is heard any more")
			return
		}
		h.log.Warn().Str("master", master).Str("peer", string(is[0].Addr)).Str("runid", is[0].RunID).Str("server", string(is[0].Server)).
			Msg("a Redis Sentinel watches the master, too")
	})
}

// blocker tells when what blocks a failover is different.
func (h *herald) blocker(master string, was, is *failover.Blocker) {
	if is == was || is != nil && was != nil && is.Reason == was.Reason {
		return
	}
	h.tell(func() {
		if is == nil {
			h.log.Info().Str("master", master).Str("reason", was.Reason).Msg("a failover is not blocked any more")
			return
		}
		line := h.log.Warn()
		if is.Reason == reasonLease { // nobody need get up for what passes by itself
			line = h.log.Info()
		}
		line.Str("master", master).Str("reason", is.Reason).Str("remedy", is.Remedy).Msg("a failover is blocked: " + is.Text)
	})
}

// progress tells of a step of a runner that is not in the log.
func (h *herald) progress(p failover.Progress) {
	h.tell(func() {
		line := h.log.Info()
		switch {
		case p.Kind != failover.ActionFailed:
		case overtaken(p.Err):
			line = h.log.Debug().Err(p.Err)
		default:
			line = h.log.Warn().Err(p.Err)
		}
		line.Str("master", p.Master).Str("server", string(p.Server)).Msg(did[p.Kind])
		if m := h.machine.State().Master(p.Master); m != nil {
			o := h.owner(m, p.Server)
			p.Server = h.saying(p.Server)
			h.publish(resp.FromProgress(p, o), p.Master)
		}
	})
}

// did says in words what a runner's progress tells.
var did = map[failover.ProgressKind]string{
	failover.ServerCut: "replica detached and read", failover.ServerPromoted: "replica promoted",
	failover.RepointSent: "replica told to follow the new master", failover.RepointSyncing: "replica follows, its link is not up yet",
	failover.RepointDone: "replica follows the new master", failover.ConvertedToSlave: "stray master made a replica",
	failover.Reattached: "replica told to follow its master again", failover.ActionFailed: "an action failed",
	failover.GateOpened:   "the master was started behind a gate, and is the master again",
	failover.FenceRemoved: "a fence was left on the master, and is removed",
}

// started tells which agent this is.
func (h *herald) started(version string) {
	h.tell(func() { h.log.Info().Str("cluster", h.cluster).Str("version", version).Msg("the agent has started") })
}

// located tells by which address the group knows the Redis beside this agent.
func (h *herald) located(master string, server, local config.Addr) {
	h.tell(func() {
		h.log.Info().Str("master", master).Str("server", string(server)).Str("local", string(local)).Msg("the Redis beside this agent is found")
	})
}

// unlocated tells that the Redis beside this agent can't be found among those that are watched.
func (h *herald) unlocated(local config.Addr) {
	h.tell(func() {
		h.log.Warn().Str("local", string(local)).Msg("the Redis beside this agent is none of the servers that are watched, so that it is not fenced in a partition: " +
			"have it follow the master, or correct local")
	})
}

// unguarded tells that nobody is beside a master.
func (h *herald) unguarded(master string, server config.Addr) {
	h.tell(func() {
		h.log.Warn().Str("master", master).Str("server", string(server)).Str("remedy", guardIt).Msg(unguarded)
	})
}

// fenced tells that this agent has its Redis refuse writes, or that it could not.
func (h *herald) fenced(master string, server config.Addr, why string, err error) {
	h.tell(func() {
		line, text := h.log.Warn(), "the Redis beside this agent takes no writes any more"
		if err != nil {
			line, text = h.log.Error().Err(err), "the Redis beside this agent could not be told to refuse writes; that is tried again"
		}
		line.Str("master", master).Str("server", string(server)).Str("why", why).Msg(text)
	})
}

// shielded tells that a replica was detached because its master may have crashed.
func (h *herald) shielded(ctx context.Context, master string, replica config.Addr, err error) {
	if err != nil {
		h.failed(ctx, "keep "+string(replica)+" from a master that may come back empty", master, err)
		return
	}
	h.tell(func() {
		h.log.Info().Str("master", master).Str("server", string(replica)).Msg("replica detached: its master may have crashed, and come back empty")
	})
}

func (h *herald) unfenced(master string, server config.Addr, err error) {
	h.tell(func() {
		line, text := h.log.Info(), "the Redis beside this agent takes writes again"
		if err != nil {
			line, text = h.log.Warn().Err(err), "the Redis beside this agent could not be told to take writes again; that is tried again"
		}
		line.Str("master", master).Str("server", string(server)).Msg(text)
	})
}

// ended tells what became of the last resort against a Redis that does not answer.
func (h *herald) ended(master string, server config.Addr, err error) {
	h.tell(func() {
		if errors.Is(err, errNoLastResort) {
			h.log.Warn().Str("master", master).Str("server", string(server)).Msg("the Redis beside this agent must take no writes: " + err.Error())
			return
		}
		line, text := h.log.Warn(), "the Redis beside this agent was ended, as fence says"
		if err != nil {
			line, text = h.log.Error().Err(err), "the Redis beside this agent could not be ended"
		}
		line.Str("master", master).Str("server", string(server)).Msg(text)
	})
}

// standing tells that this agent stands for election.
func (h *herald) standing(r reason) {
	h.tell(func() {
		h.log.Info().Str("for", string(r.purpose)).Str("master", strings.Join(r.masters, ",")).Msg("campaigning")
	})
}

func (h *herald) defeated(r reason, err error) {
	h.tell(func() {
		h.log.Info().Str("for", string(r.purpose)).Str("master", strings.Join(r.masters, ",")).Err(err).Msg("the election is lost")
		if r.purpose == forDown || r.purpose == forManual {
			h.publishDefeat(r)
		}
	})
}

// consensus tells what happened in the group.
func (h *herald) consensus(e consensus.Event) {
	h.tell(func() {
		line := h.log.Info()
		switch e.Kind {
		case consensus.EventVoted, consensus.EventVoteRefused, consensus.EventVoteDenied, consensus.EventSnapshot, consensus.EventTerm:
			line = h.log.Debug()
		case consensus.EventDisconnected, consensus.EventTrouble:
			line = h.log.Warn()
		case consensus.EventFailed:
			line = h.log.Error()
		}
		if e.Term != 0 {
			line = line.Uint64("term", uint64(e.Term))
		}
		if e.Peer != "" {
			line = line.Str("peer", string(e.Peer))
		}
		if e.Index != 0 {
			line = line.Uint64("index", uint64(e.Index))
		}
		if len(e.Reason) > 0 {
			line = line.Bytes("for", e.Reason)
		}
		if e.Kind == consensus.EventMembers {
			if _, member := (consensus.Configuration{Members: e.Members}).Member(consensus.ServerID(h.self)); !member {
				e.Text = "this agent was removed from the group: to bring it back, stop it, empty its data directory, start it"
			}
			line = line.Strs("voters", voters(e.Members)).Strs("learners", learners(e.Members))
		}
		if e.Text != "" {
			line = line.Str("why", e.Text)
		}
		line.Msg(happened[e.Kind])
		h.publishElection(e)
	})
}

// happened says in words what a consensus event tells.
var happened = map[consensus.EventKind]string{
	consensus.EventTerm: "new term", consensus.EventVoted: "voted", consensus.EventVoteRefused: "vote refused",
	consensus.EventVoteDenied: "vote refused",
	consensus.EventLeader:     "leader elected", consensus.EventLeaderLost: "leader lost", consensus.EventConnected: "agent connected",
	consensus.EventDisconnected: "agent disconnected", consensus.EventSnapshot: "snapshot", consensus.EventFailed: "consensus has failed",
	consensus.EventMembers: "members of the group", consensus.EventTrouble: "something failed and is tried again",
}

func voters(members []consensus.Member) (ids []string) {
	for _, m := range members {
		if m.Voter {
			ids = append(ids, string(m.ID))
		}
	}
	return ids
}

func learners(members []consensus.Member) (ids []string) {
	for _, m := range members {
		if !m.Voter {
			ids = append(ids, string(m.ID))
		}
	}
	return ids
}

// enlisting tells how a request to become a member, or a voter, ended. A no, and whom this agent waits for, is told once, as long as it
// is the same.
func (h *herald) enlisting(change consensus.Change, changed bool, err error, missing []string) {
	switch waits := "waits for " + strings.Join(missing, ", "); {
	case changed:
		h.said = ""
		h.tell(func() { h.log.Info().Stringer("change", change.Kind).Msg("the group has let this agent in") })
	case errors.Is(err, consensus.ErrRefused) && err.Error() != h.said:
		h.said = err.Error()
		h.tell(func() {
			h.log.Warn().Stringer("change", change.Kind).Err(err).Msg("the group does not let this agent in yet; it asks again")
		})
	case errors.Is(err, consensus.ErrNoLeader) && waits != h.said:
		h.said = waits
		h.tell(func() {
			h.log.Warn().Strs("not_connected", missing).Msg("this agent's disk is empty, and it waits: at the first start all agents " +
				"that the file lists must run; a new agent needs a majority of the others")
		})
	}
}

// peer tells of a problem with another agent.
// One that is said again and again, as by an agent of another version, is told once.
func (h *herald) peer(id string, err error) {
	h.mu.Lock()
	again := h.problems[id] == err.Error()
	if len(h.problems) >= maxProblems {
		clear(h.problems) // whoever is not a member yet chooses its own name
	}
	h.problems[id] = err.Error()
	h.mu.Unlock()
	if !again {
		h.tell(func() { h.log.Warn().Str("peer", id).Err(err).Msg("problem with another agent") })
	}
}

// maxProblems bounds of how many agents the last problem is kept.
const maxProblems = 1000

// delivery tells of a webhook that fails, when it begins to and each time that the attempts have doubled, and of its recovery.
func (h *herald) delivery(r webhook.Report) {
	line := h.log.Debug
	switch {
	case r.Kind == webhook.Disabled, r.Kind == webhook.Died, r.Kind == webhook.Missed, r.Kind == webhook.Failed && r.Attempts&(r.Attempts-1) == 0:
		line = h.log.Warn
	case r.Kind == webhook.Delivered && r.Attempts > 1:
		line = h.log.Info
	}
	h.tell(func() {
		said := line().Str("endpoint", r.Endpoint).Str("event", string(r.Event.Type)).Uint64("index", r.Event.ID)
		if r.Attempts > 0 {
			said = said.Int("attempts", r.Attempts)
		}
		if r.Kind == webhook.Failed {
			said = said.Dur("pause", r.Pause)
		}
		said.Err(r.Err).Msg(delivered[r.Kind])
	})
}

// delivered says in words how an attempt to deliver an event ended.
var delivered = map[webhook.ReportKind]string{
	webhook.Delivered: "webhook delivered", webhook.Failed: "webhook failed; it is tried again",
	webhook.Disabled: "webhook is gone by its own word; it gets nothing more until it is enabled: picket webhooks enable",
	webhook.Died:     "webhook failed for too long: the event is a dead letter; picket webhooks dead, and redeliver",
	webhook.Missed:   "events were forgotten before the webhook could be told of them, which it is told",
}

// file tells of a file of TLS that was replaced.
func (h *herald) file(file string, err error) {
	h.tell(func() {
		if err != nil {
			h.log.Warn().Str("file", file).Err(err).Msg("a certificate can't be read: what the file said before counts; put it right, no restart is needed")
			return
		}
		h.log.Info().Str("file", file).Msg("a certificate was read again: new connections use it")
	})
}

// overtaken says whether something failed only because this agent stopped leading, or stops.
func overtaken(err error) bool {
	var notLeader *consensus.NotLeaderError
	return errors.As(err, &notLeader) || errors.Is(err, consensus.ErrStopped) || errors.Is(err, consensus.ErrDropped) ||
		errors.Is(err, context.Canceled)
}

// failed tells of work that failed. That it ended because leadership or the agent did is nothing to tell.
func (h *herald) failed(ctx context.Context, what, master string, err error) {
	if err == nil || ctx.Err() != nil || overtaken(err) {
		return
	}
	h.tell(func() {
		line := h.log.Warn().Err(err)
		if master != "" {
			line = line.Str("master", master)
		}
		line.Msg("could not " + what)
	})
}

// attempt tells who changed something over HTTP, or tried to.
func (h *herald) requested(t api.Attempt) {
	h.tell(func() {
		line, text := h.log.Info(), "asked over HTTP"
		switch {
		case t.Status < http.StatusBadRequest && strings.HasPrefix(t.Path, "/v1/kv/"):
			line = h.log.Debug() // programs write it, often
		case t.Status >= http.StatusBadRequest:
			line, text = h.log.Warn(), "refused over HTTP"
		}
		if t.Who != "" {
			line = line.Str("who", t.Who)
		}
		line.Str("from", t.Source).Str("method", t.Method).Str("path", t.Path).Int("status", t.Status).Msg(text)
	})
}
