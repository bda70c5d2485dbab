package failover

import (
	"strings"
	"testing"
	"time"

	"picket/config"
	"picket/monitor"
)

// healthy is a master with two replicas that have everything, long after the last failover.
func healthy(adjust func(*Situation)) Situation {
	const offset = 100_000_000
	s := Situation{
		Now: start.Add(time.Hour), Settings: &config.Master{Name: "m", Cooldown: time.Minute}, Master: oldMaster,
		Replicas: []config.Addr{replicaA, replicaB},
		Zone:     map[config.Addr]string{oldMaster: "east", replicaA: "east", replicaB: "west"},
		View: monitor.View{Servers: map[config.Addr]monitor.Server{
			oldMaster: up(masterAt(oldMaster, offset)), replicaA: up(replica(replicaA, offset)), replicaB: up(replica(replicaB, offset)),
		}},
	}
	for a, server := range s.View.Servers {
		server.FollowsAt, server.Since = start, start
		s.View.Servers[a] = server
	}
	if adjust != nil {
		adjust(&s)
	}
	return s
}

func TestPreCheck(t *testing.T) {
	// both changes both replicas.
	both := func(f func(*monitor.Observation)) func(*Situation) {
		return func(s *Situation) {
			for _, a := range s.Replicas {
				f(s.View.Servers[a].Last)
			}
		}
	}
	for name, c := range map[string]struct {
		adjust func(*Situation)
		to     config.Addr
		want   string // part of the reason or the text; empty: it may be handed over
	}{
		"all is well":            {nil, "", ""},
		"to a named one":         {nil, replicaB, ""},
		"to the master itself":   {nil, oldMaster, "is the master already"},
		"to a stranger":          {nil, "10.0.0.9:6379", "is no replica of m"},
		"one of two is enough":   {func(s *Situation) { s.View.Servers[replicaA].Last.LinkUp = false }, "", ""},
		"the named one is not":   {func(s *Situation) { s.View.Servers[replicaA].Last.LinkUp = false }, replicaA, "its link to the master is down"},
		"no replica":             {func(s *Situation) { s.Replicas = nil }, "", "no replica of"},
		"a failover runs":        {func(s *Situation) { s.Record = &Record{ID: 3} }, "", "in-progress"},
		"the master is down":     {func(s *Situation) { s.Verdict.ObjectivelyDown = true }, "", "master-down"},
		"the master is fenced":   {func(s *Situation) { s.View.Servers[oldMaster].Last.Fence = fenceBase }, "", "takes no writes"},
		"the master is not seen": {func(s *Situation) { delete(s.View.Servers, oldMaster) }, "", "master-down"},
		"replicas are down": {func(s *Situation) {
			s.View.Servers[replicaA] = down(nothingSeen(replicaA))
			delete(s.View.Servers, replicaB)
		}, "", "it is not up"},
		"they load":                    {both(func(o *monitor.Observation) { o.Loading = true }), "", "it still loads"},
		"they are in a full resync":    {both(func(o *monitor.Observation) { o.Syncing = true }), "", "full resync"},
		"they can't write their files": {both(func(o *monitor.Observation) { o.Disk = "AOF" }), "", "it can't write its data: AOF"},
		"their priority is 0":          {both(func(o *monitor.Observation) { o.Priority = 0 }), "", "its replica-priority is 0"},
		"unless one is named":          {both(func(o *monitor.Observation) { o.Priority = 0 }), replicaA, ""},
		"they hold other data":         {both(func(o *monitor.Observation) { o.ReplID = "cccc" }), "", "another master's data"},
		"they are far behind":          {both(func(o *monitor.Observation) { o.Offset -= farBehind + 1 }), "", "bytes behind"},
		"not too far":                  {both(func(o *monitor.Observation) { o.Offset -= farBehind }), "", ""},
		"the backlog is short": {func(s *Situation) {
			both(func(o *monitor.Observation) { o.Offset -= 101 })(s)
			s.View.Servers[oldMaster].Last.Room = 100 * spare
		}, "", "the master's backlog has room for 1000 only"},
		"the backlog suffices": {func(s *Situation) {
			both(func(o *monitor.Observation) { o.Offset -= 100 })(s)
			s.View.Servers[oldMaster].Last.Room = 100 * spare
		}, "", ""},
		"they fell out of the backlog": {func(s *Situation) {
			both(func(o *monitor.Observation) { o.Offset -= 101 })(s)
			s.View.Servers[oldMaster].Last.Backlog = 100
		}, "", "the master's backlog holds the last 100 only"},
		"a new backlog is not full yet": {func(s *Situation) {
			both(func(o *monitor.Observation) { o.Offset -= 100 })(s)
			s.View.Servers[oldMaster].Last.Backlog, s.View.Servers[oldMaster].Last.Room = 100, 1<<20
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := PreCheck(healthy(c.adjust), c.to)
			switch {
			case b == nil && c.want != "":
				t.Errorf("it may be handed over, want %q", c.want)
			case b != nil && (c.want == "" || !strings.Contains(b.Reason+": "+b.Text, c.want)):
				t.Errorf("refused by %+v, want %q", *b, c.want)
			case b != nil && b.Remedy == "":
				t.Errorf("%s: %s, and no remedy", b.Reason, b.Text)
			}
		})
	}
}

func nothingSeen(a config.Addr) *monitor.Observation { return &monitor.Observation{Server: a} }

func TestPreferred(t *testing.T) {
	west := func(s *Situation) { s.Settings.PreferZone = "west" }
	with := func(list ...func(*Situation)) func(*Situation) {
		return func(s *Situation) {
			for _, f := range list {
				f(s)
			}
		}
	}
	ended := func(ago time.Duration, o Outcome) *Record {
		return &Record{Outcome: o, EndAt: monitor.MomentOf(start.Add(time.Hour - ago))}
	}
	for name, c := range map[string]struct {
		adjust func(*Situation)
		last   *Record
		want   config.Addr
	}{
		"nothing is preferred":             {nil, nil, ""},
		"another zone":                     {west, nil, replicaB},
		"this zone":                        {func(s *Situation) { s.Settings.PreferZone = "east" }, nil, ""},
		"a zone without a server":          {func(s *Situation) { s.Settings.PreferZone = "north" }, nil, ""},
		"another server":                   {func(s *Situation) { s.Settings.PreferServer = replicaA }, nil, replicaA},
		"this server":                      {func(s *Situation) { s.Settings.PreferServer = oldMaster }, nil, ""},
		"the server counts, not the zone":  {with(west, func(s *Situation) { s.Settings.PreferServer = oldMaster }), nil, ""},
		"within the cool-down":             {west, ended(time.Minute-1, Done), ""},
		"after it":                         {west, ended(time.Minute, Done), replicaB},
		"soon after one that was given up": {west, ended(time.Minute-1, Aborted), ""},
		"no cool-down, and not steady yet": {with(west, func(s *Situation) { s.Settings.Cooldown = 0 }), ended(steady-1, Done), ""},
		"paused":                           {with(west, func(s *Situation) { s.Paused = &Pause{Who: "ann", Until: s.Now.Add(time.Hour)} }), nil, ""},
		"it follows since a moment ago": {with(west, func(s *Situation) {
			server := s.View.Servers[replicaB]
			server.FollowsAt = s.Now.Add(1 - steady)
			s.View.Servers[replicaB] = server
		}), nil, ""},
		"it is up since a moment ago": {with(west, func(s *Situation) {
			server := s.View.Servers[replicaB]
			server.Since = s.Now.Add(1 - steady)
			s.View.Servers[replicaB] = server
		}), nil, ""},
		"it can't take over":     {with(west, func(s *Situation) { s.View.Servers[replicaB].Last.LinkUp = false }), nil, ""},
		"the master is not well": {with(west, func(s *Situation) { s.Verdict.ObjectivelyDown = true }), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got, why := Preferred(healthy(c.adjust), c.last); got != c.want || (why == "") != (c.want == "") {
				t.Errorf("prefers %q (%s), want %q", got, why, c.want)
			}
		})
	}
}

func TestRehearse(t *testing.T) {
	behind := func(s *Situation) { s.View.Servers[replicaA].Last.Offset -= 7 }
	for name, c := range map[string]struct {
		adjust        func(*Situation)
		to            config.Addr
		want          config.Addr
		why, not, but string // parts of why that one, of why not the other one, and of what blocks
	}{
		"the best one":           {nil, "", replicaA, "the best", "", ""},
		"the one that is named":  {nil, replicaB, replicaB, "asked for; it is 0 bytes behind", "another one was asked for", ""},
		"a little behind":        {behind, replicaA, replicaA, "7 bytes behind", "another one was asked for", ""},
		"the best one is down":   {func(s *Situation) { s.View.Servers[replicaA] = down(replica(replicaA, 100_000_000)) }, "", replicaB, "the best", "it is not up", ""},
		"the link of one is":     {func(s *Situation) { s.View.Servers[replicaA].Last.LinkUp = false }, "", replicaB, "the best", "its link to the master is down", ""},
		"to a stranger":          {nil, "10.0.0.9:6379", "", "", "", "is no replica of m"},
		"nobody could take over": {func(s *Situation) { s.Replicas = nil }, "", "", "", "", "no replica of"},
	} {
		r := Rehearse(healthy(c.adjust), c.to)
		if r.From != oldMaster || r.To != c.want || !strings.Contains(r.Why, c.why) {
			t.Errorf("%s: from %s to %s: %s", name, r.From, r.To, r.Why)
		}
		switch {
		case c.but != "":
			if r.Blocker == nil || !strings.Contains(r.Blocker.Text, c.but) {
				t.Errorf("%s: %+v blocks, want %q", name, r.Blocker, c.but)
			}
		case r.Blocker != nil || len(r.Others) != 1 || r.Others[0].Server == r.To || !strings.Contains(r.Others[0].Unfit, c.not):
			t.Errorf("%s: others are %+v, want %q; %+v blocks", name, r.Others, c.not, r.Blocker)
		}
	}
}
