package cli

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/failover"
	"picket/failover/salvage"
	"picket/monitor"
	"picket/sentinel/api"
	"picket/sentinel/events"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

var update = flag.Bool("update", false, "write the pages anew")

// TestPages compares what people are told with testdata/pages.txt.
func TestPages(t *testing.T) {
	var got strings.Builder
	for _, p := range pages() {
		fmt.Fprintf(&got, "=== %s\n", p.name)
		if err := p.write(&got); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join("testdata", "pages.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gotLines, wantLines := strings.Split(got.String(), "\n"), strings.Split(string(want), "\n")
	for i, line := range gotLines {
		if i >= len(wantLines) || line != wantLines[i] {
			t.Fatalf("line %d is %q; wanted is %q: -update writes it anew", i+1, line, append(wantLines, "nothing")[min(i, len(wantLines))])
		}
	}
	if len(gotLines) != len(wantLines) {
		t.Errorf("%d lines, %d are wanted", len(gotLines), len(wantLines))
	}
}

// told is a page.
type told struct {
	name  string
	write func(io.Writer) error
}

func pageOf[T any](name string, write func(io.Writer, T) error, value T) told {
	return told{name, func(out io.Writer) error { return write(out, value) }}
}

func at(ms int) monitor.Moment {
	return monitor.MomentOf(time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local).Add(time.Duration(ms) * time.Millisecond))
}

func pages() (list []told) {
	list = append(list,
		pageOf("status: all is well", Status, quiet()), pageOf("status: nothing is", Status, unquiet()), pageOf("status: agents that only watch", Status, onlyWatching()),
		pageOf("members", WriteMembers, api.Members{Members: []picture.Agent{
			{ID: "a", Role: "leader", Voter: true, Peer: "h1:1", Commit: 90, Up: true, Self: true}, {ID: "b", Role: "follower", Voter: true, Witness: true, Peer: "h2:1", Commit: 80, Up: true},
			{ID: "c", Peer: "h3:1"},
		}}),
	)
	for _, w := range whys() {
		list = append(list, pageOf("why: "+w.name, WriteWhy, w.why))
	}
	list = append(list,
		pageOf("blocked: none", WriteBlocked, nil),
		pageOf("blocked", WriteBlocked, []api.Blocked{{Master: "m", Blocker: *blocker(), Since: at(0).Time()}}),
		pageOf("pauses: none", WritePauses, api.Pauses{}),
		pageOf("pauses", WritePauses, api.Pauses{Pauses: []picture.Pause{{Who: "ann", Until: at(0).Time()}, {Master: "m", Who: "ann", Until: at(0).Time(), Why: "new rack"}}}),
		pageOf("events", WriteEvents, api.Events{Events: []events.CloudEvent{
			{Sequence: "4", Type: "io.picket.failover.promoting.v1", Subject: "m", Time: at(678).Time().UTC().Format(time.RFC3339Nano), Data: state.EventData{To: "h2:6379", Why: "it holds the most"}},
			{Sequence: "5", Type: "io.picket.replica.added.v1", Subject: "m", Time: "then", Data: state.EventData{Replica: "h3:6379"}},
			{Sequence: "6", Type: "io.picket.failover.repointed.v1", Subject: "m", Time: "then", Data: state.EventData{Replica: "h3:6379"}},
		}}),
		pageOf("salvage: none", WriteSalvage, nil),
		pageOf("salvage", WriteSalvage, []Salvaged{{File: "m/4.salvage", Header: keptFile(5, false)}, {File: "m/5.salvage", Header: keptFile(6, true)}, {File: "m/6.salvage", Damage: "it is damaged"}}),
		pageOf("a command with all that there is of it", commandText, salvage.Command{Args: []salvage.Arg{{Text: []byte("DEL"), Size: 3}}}),
		pageOf("the beginning of one", commandText, salvage.Command{DB: salvage.NoDB, Args: []salvage.Arg{{Text: []byte("DEL"), Size: 3}}, More: 1}),
		pageOf("history: none", WriteHistory, nil),
		pageOf("history", WriteHistory, []api.Past{{Record: crash(), TookMS: 60, LostBytes: new(int64)}, {Record: byHand(), TookMS: 9}, {Record: abandoned(), TookMS: -1}, {Record: running(), TookMS: -1}}),
		pageOf("past", WritePast, api.Past{Record: crash(), Phases: []api.Phase{{Name: "decide", TookMS: 40}, {Name: "repoint", TookMS: -1}}}),
	)
	for _, f := range forecasts() {
		list = append(list, pageOf("plan: "+f.name, func(out io.Writer, f failover.Forecast) error { return WritePlan(out, "m", f) }, f.forecast))
	}
	hook := api.Webhook{Name: "told", URL: "http://x", Dead: 2, Again: 1}
	behind, failing, disabled := hook, hook, hook
	behind.Name, behind.Backlog, behind.Oldest, behind.Dropped = "behind", 3, at(0).Time(), 4
	failing.Name, failing.Backlog, failing.LastError = "failing", 3, &api.WebhookError{Error: "status 500"}
	disabled.Name, disabled.Disabled, disabled.Backlog, disabled.LastError = "disabled", true, 3, &api.WebhookError{Error: "status 410"}
	recovered := hook
	recovered.Name, recovered.LastError = "recovered", &api.WebhookError{Error: "status 500"}
	all := []api.Webhook{hook, behind, failing, disabled, recovered}
	letter := api.DeadLetter{ID: "c-7", Event: events.CloudEvent{Type: "io.picket.pause.begun.v1", Time: "then"}, DiedAt: at(0).Time(), Attempts: 5, Error: "status 500"}
	again := letter
	again.ID, again.Event.Subject, again.AgainSince = "c-8", "m", at(1).Time()
	return append(list,
		pageOf("webhooks: none", WriteWebhooks, api.WebhookList{}),
		pageOf("webhooks", WriteWebhooks, api.WebhookList{Agent: "a", Leader: "a", Webhooks: all}),
		pageOf("webhooks: as a follower knows them", WriteWebhooks, api.WebhookList{Agent: "a", Leader: "b", Webhooks: all[:1]}),
		pageOf("webhook", WriteWebhook, behind),
		pageOf("dead letters: none", WriteDeadLetters, api.DeadLetters{Webhook: "w"}),
		pageOf("dead letters", WriteDeadLetters, api.DeadLetters{Webhook: "w", Letters: []api.DeadLetter{letter, again}}),
		pageOf("dead letters: some were lost", WriteDeadLetters, api.DeadLetters{Webhook: "w", Dropped: 3, Letters: []api.DeadLetter{letter}}),
		pageOf("import: one that is printed", func(out io.Writer, r Imported) error { return r.Table(out) }, Imported{Notes: []Note{{File: "f", Text: "it has no counterpart"}}}),
		pageOf("shadow: more cases than people read", func(out io.Writer, r ShadowReport) error { return r.Table(out) }, manyCases()),
	)
}

func keptFile(keys int64, more bool) salvage.Header {
	return salvage.Header{Lost: salvage.Lost{Server: "h1:6379", Epoch: 4, From: 1, To: 20}, Tally: salvage.Tally{Commands: 9, Keys: keys, MoreKeys: more}, At: at(0).Time()}
}

func commandText(out io.Writer, c salvage.Command) error { return writeText(out, c, nil) }

func blocker() *failover.Blocker {
	return &failover.Blocker{Reason: "no-candidate", Text: "no replica is fit", Remedy: "start one"}
}

func server(a config.Addr, role string, offset, lag int64) picture.Server {
	return picture.Server{Addr: a, State: "up", Lag: lag, Last: &monitor.Observation{Role: role, Offset: offset, LinkUp: true}}
}

func quiet() picture.Picture {
	return picture.Picture{
		Cluster: "c", Agent: "a", Epoch: 4, Leader: "b", Majority: true,
		Agents: []picture.Agent{{ID: "a", Host: "h1", SentinelPort: 26379, Up: true, Self: true, Role: "follower", Epoch: 4}, {ID: "b", Host: "h2", SentinelPort: 26379, Up: true, Role: "leader", Epoch: 4}},
		Masters: []picture.Master{
			{
				Name: "m", Server: server("h1:6379", "master", 900, -1), Replicas: []picture.Server{server("h2:6379", "slave", 880, 20), server("h3:6379", "slave", 900, 0)},
				Shadow: &state.Shadowed{DecidedAt: at(0), EndAt: at(0), Compared: "as the Sentinels"},
			},
			{Name: "n", Server: server("h1:6380", "master", 900, -1), Last: new(crash())},
		},
	}
}

// unquiet has as much wrong as there may be at once.
func unquiet() picture.Picture {
	down := picture.Server{Addr: "h1:6379", State: "down", Down: true, Evidence: "refused", Lag: -1}
	unlinked := server("h2:6379", "slave", 880, -1)
	unlinked.Last.LinkUp = false
	returned := server("h3:6379", "master", 7, -1)
	returned.Evidence = "of before"
	return picture.Picture{
		Cluster: "c", Agent: "a", Epoch: 4,
		Reload: picture.Reload{At: at(0).Time(), Error: "agent.id is missing", Pending: []string{"listen.http", "agent.id"}},
		Agents: []picture.Agent{{ID: "b", Host: "h2", SentinelPort: 26379}},
		Masters: []picture.Master{
			{
				Name: "m", Server: down, Replicas: []picture.Server{unlinked, returned, {Addr: "h5:6379", State: "unknown", Down: true, Lag: 5}}, ODown: true,
				Verdict: monitor.Verdict{Text: "2 of 3 find it down"}, Foreign: []monitor.Foreign{{RunID: "ab", Addr: "h9:26379", Name: "mm", Server: "h1:6379", Age: 1234567 * time.Microsecond}},
				Paused:    &picture.Pause{Who: "ann", Until: at(60_000).Time(), Why: "new rack"},
				Scheduled: &picture.Scheduled{At: at(0).Time(), Who: "ann"}, Blocker: blocker(), BlockedAt: at(0).Time(),
				Findings: []monitor.Finding{{Code: "AgentDown", Where: "b", Text: "it is silent", Remedy: "start it"}},
				Failover: new(running()), Last: new(crash()),
			},
			{Name: "n", Server: server("h1:6380", "slave", 900, 3), Scheduled: &picture.Scheduled{To: "h2:6380", At: at(0).Time(), Who: "bob"}, Last: new(abandoned()), Paused: &picture.Pause{Who: "bob", Until: at(0).Time()}},
		},
	}
}

func onlyWatching() picture.Picture {
	p := quiet()
	p.Shadow, p.Agents, p.Masters = true, nil, p.Masters[:1]
	for _, s := range []state.Shadowed{
		{DecidedAt: at(0), Target: "h2:6379", Why: "it holds the most"}, {DecidedAt: at(0), Why: "no replica is fit"}, {EndAt: at(9), To: "h2:6379", Compared: "the Sentinels alone"},
		{DecidedAt: at(0), Target: "h2:6379", Why: "it holds the most", EndAt: at(9), Compared: "both chose it"},
	} {
		m := p.Masters[0]
		m.Shadow, m.Replicas = &s, nil
		p.Masters = append(p.Masters, m)
	}
	p.Masters[0].Shadow = nil
	return p
}

// crash is a failover with all that can be told of one.
func crash() failover.Record {
	return failover.Record{
		ID: 70, Master: "m", Epoch: 4, Phase: failover.Ended, Outcome: failover.Done, Cause: failover.CauseDown, Old: "h1:6379", Target: "h2:6379",
		Code: "DeadMaster", Rule: "crash", Evidence: "refused", Leaders: []uint64{4, 5, 6}, Agents: []string{"a", "", "c"},
		Seen:   []failover.Witness{{Agent: "a", State: "down", Evidence: "refused", Since: at(-2)}, {Agent: "b", State: "up", Evidence: "a pong"}},
		DownAt: at(0), BegunAt: at(40), PromoteAt: at(50), SwitchAt: at(60), EndAt: at(90),
		Offset: 880, OldOffset: 900, Chosen: "it holds the most", Why: "h5:6379 is down",
		Candidates: []failover.Candidate{{Server: "h2:6379", Offset: 880, ReadAt: at(45)}, {Server: "h3:6379", Offset: 870, ReadAt: at(47)}, {Server: "h4:6379", Unfit: "priority 0"}},
		Repointed:  []config.Addr{"h3:6379", "h4:6379"}, RepointAt: []monitor.Moment{at(70), at(65)},
	}
}

// byHand is a hand-over in which nobody lacked anything; an older version kept less of it.
func byHand() failover.Record {
	return failover.Record{
		ID: 60, Master: "m", Epoch: 3, Phase: failover.Ended, Outcome: failover.Done, Cause: failover.CauseManual, Old: "h1:6379", Target: "h2:6379", HandOver: true,
		Evidence: "ordered by ann", Leaders: []uint64{3}, BegunAt: at(0), PromoteAt: at(5), HeldAt: at(7), SwitchAt: at(12), EndAt: at(20), OldOffset: 900, Offset: 900,
		Chosen: "it was asked for", Why: "it was asked for", Repointed: []config.Addr{"h1:6379", "h3:6379", "h4:6379", "h5:6379", "h6:6379"},
		Candidates: []failover.Candidate{{Server: "h2:6379", ReadAt: at(4)}},
	}
}

func abandoned() failover.Record {
	return failover.Record{ID: 50, Master: "m", Epoch: 2, Phase: failover.Ended, Outcome: failover.Aborted, Cause: failover.CauseDown, Old: "h1:6379", Evidence: "refused", Leaders: []uint64{2}, Agents: []string{"a"},
		DownAt: at(0), BegunAt: at(1), EndAt: at(30), Why: "no replica is left"}
}

func running() failover.Record {
	return failover.Record{ID: 80, Master: "m", Epoch: 5, Phase: failover.Switched, Cause: failover.CauseManual, Old: "h1:6379", Target: "h2:6379", Evidence: "ordered", Leaders: []uint64{5}, Agents: []string{"a"},
		BegunAt: at(0), PromoteAt: at(5), SwitchAt: at(7), Chosen: "the best", OldOffset: 900, Offset: 910}
}

type namedWhy struct {
	name string
	why  api.Why
}

func whys() []namedWhy {
	decision := func(change func(*failover.Decision)) *failover.Decision {
		d := &failover.Decision{
			At: at(0).Time(), Epoch: 4, Leader: "b", Master: "h1:6379", Code: "DeadMaster", Rule: "crash", Text: "2 of 3 agents find it down", Verdict: "failover",
			Servers: []failover.Sight{{Opinions: []failover.Word{{Agent: "a", State: "down", Evidence: "refused", Age: 1500500 * time.Microsecond}, {Agent: "b", State: "up", Evidence: "a pong", Age: time.Second}}}},
		}
		change(d)
		return d
	}
	why := func(name string, d *failover.Decision, change func(*api.Why)) namedWhy {
		w := api.Why{Master: "m", Agent: "a", Decision: d}
		change(&w)
		return namedWhy{name, w}
	}
	none := func(*api.Why) {}
	lost := func(d failover.Divergence) func(*api.Why) {
		d.Server = "h1:6379"
		return func(w *api.Why) { w.Diverged = &d }
	}
	nobody := &failover.Imagined{Why: "no replica is fit", Blocker: blocker()}
	return []namedWhy{
		why("all is well", decision(func(d *failover.Decision) {
			d.Code, d.Rule, d.Text, d.Verdict = monitor.Healthy, "fine", "it answers", "healthy"
		}), none),
		why("long ago", nil, none),
		why("nobody leads, or says anything of it", decision(func(d *failover.Decision) { d.Leader, d.Servers = "", nil }), none),
		why("who would be promoted", decision(func(d *failover.Decision) {
			d.Outlook = &failover.Imagined{Target: "h2:6379", Why: "it holds the most", Lost: 20}
		}), none),
		why("it lacks nothing", decision(func(d *failover.Decision) {
			d.Outlook = &failover.Imagined{Target: "h2:6379", Why: "it holds the most"}
		}), none),
		why("who knows what it lacks", decision(func(d *failover.Decision) {
			d.Outlook = &failover.Imagined{Target: "h2:6379", Why: "it holds the most", Lost: -1}
		}), none),
		why("nobody would be promoted", decision(func(d *failover.Decision) { d.Outlook = nobody }), none),
		why("which is what blocks it", decision(func(d *failover.Decision) { d.Outlook, d.Blocker = nobody, blocker() }), func(w *api.Why) { w.Since = at(0).Time() }),
		why("which is not what blocks it", decision(func(d *failover.Decision) {
			d.Outlook, d.Blocker = nobody, &failover.Blocker{Reason: "paused", Text: "it is paused", Remedy: "resume it"}
		}), none),
		why("one runs", decision(func(*failover.Decision) {}), func(w *api.Why) { w.Running, w.Last = new(running()), new(crash()) }),
		why("one was given up", nil, func(w *api.Why) {
			w.Last = new(abandoned())
			w.Findings = []monitor.Finding{{Code: "1"}, {Code: "2"}, {Code: "3"}, {Code: "4"}}
		}),
		why("one was ordered", nil, func(w *api.Why) { w.Last = new(byHand()) }),
		why("what was lost is kept", nil, lost(failover.Divergence{Known: true, Bytes: 20, Kept: "m/4.salvage"})),
		why("what was lost is not kept", nil, lost(failover.Divergence{Known: true, Bytes: 20, Unkept: "it is too much"})),
		why("nothing was lost", nil, lost(failover.Divergence{Known: true})),
		why("nobody knows what was lost", nil, lost(failover.Divergence{Why: "it is another history"})),
	}
}

type namedForecast struct {
	name     string
	forecast failover.Forecast
}

func forecasts() []namedForecast {
	decision := failover.Decision{Code: "DeadMaster", Rule: "crash", Text: "it would be down"}
	next := &failover.Imagined{Target: "h2:6379", Why: "it holds the most", Lost: 20, Candidates: []failover.Candidate{{Server: "h2:6379"}, {Server: "h3:6379", Offset: 5}}}
	nobody := &failover.Imagined{Blocker: blocker()}
	plan := func(name string, change func(*failover.Forecast)) namedForecast {
		f := failover.Forecast{Failure: failover.Failure{Servers: []config.Addr{"h1:6379"}}, Decision: decision}
		change(&f)
		return namedForecast{name, f}
	}
	return []namedForecast{
		plan("another one is promoted", func(f *failover.Forecast) {
			f.Decision.Outlook, f.Promise, f.Within, f.Silent = next, "WAIT 1 is kept", 80*time.Millisecond, 1100*time.Millisecond
			f.Failure.Agents = []string{"a"}
		}),
		plan("a replica's", func(f *failover.Forecast) {
			f.Then = &failover.Imagined{Target: "h3:6379", Why: "it is left", Lost: -1}
		}),
		plan("nothing happens", func(*failover.Forecast) {}),
		plan("nobody is promoted", func(f *failover.Forecast) { f.Decision.Outlook = nobody }),
		plan("nor may anybody be", func(f *failover.Forecast) { f.Decision.Outlook, f.Decision.Blocker = nobody, blocker() }),
		plan("it is paused", func(f *failover.Forecast) { f.Decision.Outlook, f.Decision.Blocker = next, blocker() }),
	}
}

func manyCases() ShadowReport {
	m := ShadowMaster{Name: "m", Master: "h1:6379"}
	for i := range maxCases + 2 {
		m.Cases = append(m.Cases, ShadowCase{At: at(1000 * i).Time(), Text: fmt.Sprint("case ", i)})
	}
	few := ShadowMaster{Name: "n", Master: "h1:6380", Cases: m.Cases[:1]}
	return ShadowReport{Masters: []ShadowMaster{m, few}}
}
