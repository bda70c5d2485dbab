package acceptance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"picket/consensus/linear"
	"picket/sentinel/api"
	"picket/sentinel/cli"
	"picket/sentinel/lab"
)

// faultTime is how long agents are killed and frozen while clients work.
const faultTime = 12 * time.Second

// TestMap_IsLinearizableWhileAgentsDieAndHang kills, freezes and restarts one agent after the other, at times two, so
// that there is no majority.
func TestMap_IsLinearizableWhileAgentsDieAndHang(t *testing.T) {
	_, c := start(t, nil)
	doors := doorsOf(c)
	h := record(t, doors, func() {
		random := rand.New(rand.NewPCG(1, 2))
		for end := time.Now().Add(faultTime); time.Now().Before(end); {
			victims := []*lab.Agent{c.Agents[random.IntN(len(c.Agents))]}
			if random.IntN(4) == 0 {
				victims = append(victims, c.Agents[random.IntN(len(c.Agents))])
			}
			strike(t, victims, random)
			lab.Pause(t.Context(), time.Duration(300+random.IntN(700))*time.Millisecond)
			revive(t, victims)
			lab.Pause(t.Context(), time.Duration(random.IntN(700))*time.Millisecond)
		}
	})
	h.check(t)
	sameMap(t, doors)
}

// TestHistory_CatchesStaleReads shows that the clients would notice: the same history, but with reads of what each agent
// knows. One that was frozen answers at once what it is about to learn better, or later: that is up to its scheduler.
func TestHistory_CatchesStaleReads(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	doors := doorsOf(c)
	for i := range doors {
		doors[i].Stale = true
	}
	for round := range 20 {
		frozen := c.Agents[round%len(c.Agents) : round%len(c.Agents)+1]
		h := record(t, doors, func() {
			lab.Pause(t.Context(), 300*time.Millisecond)
			if err := frozen[0].Freeze(); err != nil {
				t.Error(err)
			}
			lab.Pause(t.Context(), 300*time.Millisecond)
			revive(t, frozen)
			lab.Pause(t.Context(), 300*time.Millisecond)
		})
		switch err := linear.Check(h.ops, time.Minute); {
		case errors.Is(err, linear.ErrIllegal):
			t.Logf("caught in round %d", round+1)
			return
		case err != nil:
			t.Fatal(err)
		}
	}
	t.Error("20 times an agent answered what it knew when it was frozen, and nobody noticed")
}

func strike(t *testing.T, victims []*lab.Agent, random *rand.Rand) {
	t.Helper()
	for _, a := range victims {
		if random.IntN(2) == 0 {
			a.Kill()
		} else if a.Running() {
			if err := a.Freeze(); err != nil {
				t.Error(err)
			}
		}
	}
}

func revive(t *testing.T, victims []*lab.Agent) {
	t.Helper()
	for _, a := range victims {
		var err error
		if a.Running() {
			err = a.Thaw()
		} else {
			err = a.Start()
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func doorsOf(c *lab.Cluster) []cli.KV {
	var doors []cli.KV
	for _, a := range c.Agents {
		doors = append(doors, cli.KV{Client: cli.At(a.HTTP)})
	}
	return doors
}

// sameMap waits until every agent holds what the group agreed on.
func sameMap(t *testing.T, doors []cli.KV) {
	t.Helper()
	if err := lab.Await(patience, "all agents hold the same map", func(ctx context.Context) error {
		want, err := doors[0].List(ctx, "")
		if err != nil {
			return err
		}
		want.Stale = true
		for i, door := range doors {
			door.Stale = true
			got, err := door.List(ctx, "")
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(got, want) {
				return fmt.Errorf("door %d holds %d keys up to revision %d, not %d up to %d",
					i, len(got.Items), got.Revision, len(want.Items), want.Revision)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// TestKVCommand uses every kv command once, each through another agent.
func TestKVCommand(t *testing.T) {
	t.Parallel()
	_, c := start(t, nil)
	at := func(i int, args ...string) []string {
		return append([]string{"kv", "--agent", string(c.Agents[i].HTTP)}, args...)
	}
	if out := picket(t, 0, at(0, "put", "team/on-call", "ada", "--absent")...); !strings.HasPrefix(out, "revision ") {
		t.Errorf("put: %s", out)
	}
	for _, tc := range []struct {
		code int
		args []string
		want string
	}{
		{0, at(1, "get", "team/on-call"), "ada\n"},
		{3, at(2, "put", "team/on-call", "eve", "--absent"), "picket kv get"},
		{0, at(1, "cas", "team/on-call", "ada", "grace"), "revision "},
		{3, at(2, "cas", "team/on-call", "ada", "eve"), "picket kv get"},
		{0, at(0, "list", "team/", "-o", "json"), `"value":"grace"`},
		{0, at(2, "get", "team/on-call", "--stale", "-o", "json"), `"stale":true`},
		{6, at(2, "get", "nothing"), "picket kv list"},
		{2, at(2, "get", "nothing", "-o", "xml"), "table, json, yaml"},
		{3, at(2, "delete", "team/on-call", "--at", "1"), "picket kv get"},
		{0, at(1, "delete", "team/on-call"), "revision "},
		{6, at(0, "get", "team/on-call"), "there is no such key"},
	} {
		out := picket(t, tc.code, tc.args...)
		if !strings.Contains(out, tc.want) {
			t.Errorf("%q: %s, want %q", tc.args, out, tc.want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var seen []string
	if err := (cli.KV{Client: cli.At(c.Agents[2].HTTP)}).Watch(ctx, "team/", true, 1, func(change cli.Change) error {
		if seen = append(seen, change.Kind+" "+change.Item.Value); change.Kind == api.EventDelete {
			cancel()
		}
		return nil
	}); err != nil || !reflect.DeepEqual(seen, []string{"put ada", "put grace", "delete "}) {
		t.Errorf("watch: %q, %v", seen, err)
	}
}
