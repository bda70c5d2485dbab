package acceptance

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"picket/sentinel/lab"
)

// tells asks an agent by the command line, and wants words in an answer that can be read at three in the morning.
func tells(t *testing.T, a *lab.Agent, want []string, args ...string) {
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
	if testing.Verbose() {
		t.Log("\n" + out)
	}
}

// TestWhy_TellsOfACrash kills a master and asks every agent why what happened has happened, also one that was restarted since; and what
// would happen next.
func TestWhy_TellsOfACrash(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	old := c.Redis[0]
	tells(t, c.Agents[1], []string{"verdict   healthy: Healthy by rule answers"}, "why", lab.MasterName)
	tells(t, c.Agents[1], []string{"DeadMaster by rule quorum-refused", "is promoted", "loss       0 bytes", "not ", "durability.wait is 0", "within     about "},
		"plan", lab.MasterName, "--fail", string(old.Addr))
	tells(t, c.Agents[2], []string{"nobody could be promoted", "no replica can be reached", "start a replica"}, "plan", lab.MasterName,
		"--fail", string(old.Addr), "--fail", string(c.Redis[1].Addr), "--fail", string(c.Redis[2].Addr))
	tells(t, c.Agents[2], []string{"stays as it is", "if the master failed as well, " + string(c.Redis[2].Addr) + " is promoted"}, "plan", lab.MasterName,
		"--fail", string(c.Redis[1].Addr))
	tells(t, c.Agents[2], []string{"NoQuorum", "blocked    no-majority: ", "stays as it is"}, "plan", lab.MasterName,
		"--fail", string(old.Addr), "--fail-agent", c.Agents[0].ID, "--fail-agent", c.Agents[1].ID)
	tells(t, c.Agents[2], []string{"nothing is blocked"}, "why")
	before := time.Now().Add(time.Second).Truncate(time.Second) // the decision of then is the one before the crash
	lab.Pause(t.Context(), time.Until(before.Add(time.Second)))
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
		tells(t, a, []string{"last failover: ", "master-down", string(old.Addr) + " found down; ", "down, refused at ", " begins in epoch ",
			"DeadMaster by rule quorum-refused: ", "replicas detached and read", string(next.Addr) + " chosen: ", "not ",
			"is promoted, clients are told", "ms after it was found down", "following it: ", "ended"}, "why", lab.MasterName)
	}
	tells(t, c.Agents[0], []string{"verdict   healthy"}, "why", lab.MasterName, "--at", before.UTC().Format(time.RFC3339))
}

func TestWhy_TellsOfAHang(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	old := c.Redis[0]
	if err := old.Freeze(); err != nil {
		t.Fatal(err)
	}
	next := newMaster(t, c, old.Addr)
	for _, a := range c.Agents {
		tells(t, a, []string{"HungMaster by rule quorum-silent", "down, timed-out at ", string(next.Addr) + " chosen: ", "is promoted, clients are told"},
			"why", lab.MasterName)
	}
	if err := old.Thaw(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
}

// TestWhy_TellsOfAMinority leaves one agent of three, which must do nothing, and must say so.
func TestWhy_TellsOfAMinority(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	last := c.Agents[2]
	c.Agents[0].Kill()
	c.Agents[1].Kill()
	c.Redis[0].Kill()
	err := lab.Await(patience, "the master is blocked", func(context.Context) error {
		out, err := picketRun(t, "why", "--agent", string(last.HTTP))
		if err == nil && !strings.Contains(out, "no-quorum") {
			err = errors.New(out)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tells(t, last, []string{"NO LEADER", "blocked: NoQuorum by rule too-few-agents", "blocked   no-quorum since ", "remedy    start the other agents",
		"finding   AgentDown " + c.Agents[0].ID}, "why", lab.MasterName)
	tells(t, last, []string{"mymaster since ", "no-quorum", "start the other agents"}, "why")
}

func TestWhy_TellsOfASwitchover(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	to := c.Redis[2]
	picket(t, 0, "switchover", lab.MasterName, "--to", string(to.Addr), "--agent", string(c.Agents[1].HTTP))
	settle(t, c, to.Addr)
	for _, a := range c.Agents {
		tells(t, a, []string{"last failover: ", "manual", "writers wait", string(to.Addr) + " chosen: the master hands over to it",
			string(c.Redis[1].Addr) + " (another one was asked for)", "ms after writers were stopped", "ended"}, "why", lab.MasterName)
	}
}
