package monitor

import (
	"testing"
	"time"

	"picket/config"
)

func TestFind(t *testing.T) {
	well := func() View {
		return change(picture(Up, Answered, 0, Up, Up), aReplica, func(s *Server) {
			s.FollowsAt, s.RoleSince, s.Last.RunID = noon.Add(-time.Minute), noon.Add(-time.Minute), "r"
		})
	}
	of := func(a config.Addr, f func(*Server)) View { return change(well(), a, f) }
	for name, c := range map[string]struct {
		view  View
		code  Code // empty: nothing is found
		where string
	}{
		"all is well":          {view: well()},
		"a full disk":          {of(theMaster, func(s *Server) { s.Last.Disk = "the append-only file" }), DiskErrorMaster, string(theMaster)},
		"a second master":      {of(aReplica, func(s *Server) { s.Last.Role = "master" }), MultiMaster, string(aReplica)},
		"a second address":     {view: of(aReplica, func(s *Server) { s.Last.Role, s.Last.RunID = "master", "m" })},
		"promoted just now":    {view: of(aReplica, func(s *Server) { s.Last.Role, s.RoleSince = "master", noon.Add(-time.Second) })},
		"another's replica":    {of(aReplica, func(s *Server) { s.Last.Master = "10.9.9.9:6379" }), ReplicaOfUnknown, string(aReplica)},
		"on its way back":      {view: of(aReplica, func(s *Server) { s.Last.Master, s.FollowsAt = "10.9.9.9:6379", noon.Add(-time.Second) })},
		"no link":              {of(aReplica, func(s *Server) { s.Last.LinkUp, s.Last.LinkDown = false, time.Minute }), ReplicaLinkDown, string(aReplica)},
		"a link that comes up": {view: of(aReplica, func(s *Server) { s.Last.LinkUp, s.Last.LinkDown = false, time.Second })},
		"a replica is down":    {view: of(aReplica, func(s *Server) { s.Last.LinkUp, s.Last.LinkDown, s.State = false, time.Minute, Down })},
		"a silent agent": {func() View {
			v := well()
			v.Opinions[theMaster] = v.Opinions[theMaster][:2]
			return v
		}(), AgentDown, "a3"},
		"the master is down": {view: change(change(well(), theMaster, func(s *Server) { s.State = Down }), aReplica, func(s *Server) { s.Last.Master = "127.0.0.1:1" })},
	} {
		t.Run(name, func(t *testing.T) {
			got := Find(Question{Name: "m", Master: theMaster, Replicas: []config.Addr{aReplica}}, c.view, []string{"a1", "a2", "a3"})
			switch {
			case c.code == "" && len(got) == 0:
			case c.code == "" || len(got) != 1:
				t.Errorf("found %+v, want %q", got, c.code)
			case got[0].Code != c.code || got[0].Where != c.where || got[0].Text == "" || got[0].Remedy == "":
				t.Errorf("found %+v, want %s at %s", got[0], c.code, c.where)
			}
		})
	}
}
