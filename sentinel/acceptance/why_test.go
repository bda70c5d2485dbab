package acceptance

import (
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
)

// TestWhy_TellsTheStory kills a master and asks every agent why what happened has happened, also one that was restarted since; and what
// would happen next.
func TestWhy_TellsTheStory(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	tells := func(a *lab.Agent, want []string, args ...string) {
		t.Helper()
		out, err := picketRun(t, append(args, "--agent", string(a.HTTP))...)
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("%s, %v: lacks %q:\n%s", a.ID, args, w, out)
			}
		}
		if n := strings.Count(out, "\n"); n > 20 {
			t.Errorf("%s: %d lines are too many:\n%s", a.ID, n, out)
		}
	}
	old := c.Redis[0]
	tells(c.Agents[1], []string{"verdict   healthy: Healthy"}, "why", lab.MasterName)
	tells(c.Agents[1], []string{"DeadMaster", "is promoted", "loss       0 bytes", "not "}, "plan", lab.MasterName, "--fail", string(old.Addr))
	tells(c.Agents[2], []string{"outcome    mymaster stays as it is", "no replica can be reached"}, "plan", lab.MasterName,
		"--fail", string(old.Addr), "--fail", string(c.Redis[1].Addr), "--fail", string(c.Redis[2].Addr))
	tells(c.Agents[2], []string{"nothing is blocked"}, "why")
	before := time.Now().Add(time.Second).Truncate(time.Second) // the decision of then is the one before the crash
	wait(t.Context(), time.Until(before.Add(time.Second)))
	old.Kill()
	next := newMaster(t, c, old.Addr)
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
	restarted := c.Agents[2]
	restarted.Kill()
	if err := restarted.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
	for _, a := range c.Agents {
		tells(a, []string{"last failover: epoch", "master-down", string(old.Addr) + " found down", "connections are refused",
			string(next.Addr) + " chosen: ", "switched: clients are told", "following it: ", "ended"}, "why", lab.MasterName)
	}
	tells(c.Agents[0], []string{"verdict   healthy"}, "why", lab.MasterName, "--at", before.UTC().Format(time.RFC3339))
}
