package monitor

import "testing"

func TestKnowsMore(t *testing.T) {
	master := Observation{Server: theMaster, Role: "master", ReplID: "new", ReplID2: "old", Offset: 100, Second: 90}
	for name, c := range map[string]struct {
		replica Observation
		more    bool
		keys    int64 // of the master
	}{
		"of the same history":              {Observation{ReplID: "new", Offset: 100}, false, 5},
		"ahead of it":                      {Observation{ReplID: "new", Offset: 101}, true, 5},
		"ahead, because it is fed":         {Observation{ReplID: "new", Offset: 101, Master: theMaster, LinkUp: true}, false, 5},
		"ahead, and fed by another one":    {Observation{ReplID: "new", Offset: 101, Master: "10.0.0.9:6379", LinkUp: true}, true, 5},
		"ahead, its link is down":          {Observation{ReplID: "new", Offset: 101, Master: theMaster}, true, 5},
		"of the former history":            {Observation{ReplID: "old", Offset: 89}, false, 5},
		"beyond the former history":        {Observation{ReplID: "old", Offset: 90}, true, 5},
		"it can't be compared":             {Observation{ReplID: "other", Keys: 1}, true, 5},
		"it has nothing":                   {Observation{ReplID: "other"}, false, 5},
		"a former master, of an empty one": {Observation{Role: "master", ReplID: "other", RunID: "former", Keys: 1}, true, 0},
		"a former master":                  {Observation{Role: "master", ReplID: "other", RunID: "former", Keys: 1}, false, 5},
		"the master by another name":       {Observation{Role: "master", ReplID: "new", Keys: 1}, false, 0},
		"it loads":                         {Observation{ReplID: "other", Keys: 1, Loading: true}, false, 5},
		"it is in the middle of a resync":  {Observation{ReplID: "other", Keys: 1, Syncing: true}, false, 5},
	} {
		if c.replica.Role == "" {
			c.replica.Role = "slave"
		}
		master.Keys = c.keys
		if got := KnowsMore(&c.replica, &master); got != c.more {
			t.Errorf("%s: it knows more: %v, want %v", name, got, c.more)
		}
	}
}
