package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"picket/sentinel/lab"
)

// binary is picket, built with the race detector.
var binary string

func TestMain(m *testing.M) {
	os.Exit(lab.WithProgram(func(program string) int {
		binary = program
		return m.Run()
	}, "-race"))
}

// shortly plays on Picket alone, with short faults. It skips the test where there can be no network.
func shortly(t *testing.T) plan {
	t.Helper()
	if _, err := lab.FindRedis(); err != nil {
		t.Skip(err)
	}
	l := lab.New(t.TempDir())
	defer l.Close()
	if _, err := l.NewNetwork(0); errors.Is(err, lab.ErrNoNetwork) {
		t.Skip(err)
	}
	t.Cleanup(func() { // but a pool that could not dial looks up to a second later whether it has been closed
		goleak.VerifyNone(t, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
	})
	return plan{picket: binary, alone: true, pace: brief, dir: t.TempDir()}
}

// playOne plays a scenario and shows the agents' logs when the test has failed. A data race in an agent fails it.
func playOne(t *testing.T, p plan, s scenario) result {
	t.Helper()
	var told bytes.Buffer
	r := p.play(t.Context(), s, &told)
	t.Log(told.String())
	logs, err := filepath.Glob(filepath.Join(p.dir, s.name, "*", "agent-*.log"))
	if err != nil || len(logs) != hosts {
		t.Fatalf("%d logs of agents (error: %v), want %d", len(logs), err, hosts)
	}
	for _, file := range logs {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("DATA RACE")) || bytes.Contains(text, []byte("panic:")) {
			t.Errorf("%s: a data race or a panic", filepath.Base(file))
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s (the end):\n%s", filepath.Base(file), text[max(0, len(text)-6000):])
			}
		})
	}
	return r
}

func TestScenarios_PicketKeepsItsWord(t *testing.T) {
	for _, name := range []string{"crash", "hang", "partition"} {
		t.Run(name, func(t *testing.T) {
			chosen, err := choose([]string{name})
			if err != nil {
				t.Fatal(err)
			}
			for _, broken := range brokenIn([]result{playOne(t, shortly(t), chosen[0])}) {
				t.Error(broken)
			}
		})
	}
}

// TestPartition_FindsWritesAfterThePromotion takes the lease away, without which the cut-off master goes on.
func TestPartition_FindsWritesAfterThePromotion(t *testing.T) {
	r := playOne(t, shortly(t), scenario{name: "unleased", settings: []string{"lease-loss: off"}, play: partition})
	if o := r.Outcomes["Picket"]; o.Error != "" {
		t.Fatal(o.Error)
	}
	if broken := strings.Join(brokenIn([]result{r}), "\n"); !strings.Contains(broken, "after the promotion") {
		t.Errorf("broken promises: %q, want one about writes after the promotion", broken)
	}
}

func TestBroken_NamesThePromise(t *testing.T) {
	results := []result{
		{Scenario: "kept", Outcomes: map[string]outcome{"Picket": {Figures: []figure{count("lost", 0).atMost(0), count("told", 7)}}}},
		{Scenario: "lost", Outcomes: map[string]outcome{"Picket": {Figures: []figure{count("lost", 1).atMost(0)}}}},
		{Scenario: "slow", Outcomes: map[string]outcome{"Picket": {Figures: []figure{took("late", 30e6).atMost(20)}}}},
		{Scenario: "stuck", Outcomes: map[string]outcome{"Picket": {Error: "nobody answers"}}},
		{Scenario: "long", Outcomes: map[string]outcome{"Picket": {Why: strings.Repeat("because\n", whyLines+1)}}},
		{Scenario: "theirs", Outcomes: map[string]outcome{"Redis Sentinel": {Figures: []figure{count("lost", 9).atMost(0)}}}},
	}
	want := []string{
		"lost: lost: 1, promised: 0", "slow: late: 30 ms, promised: ≤ 20 ms", "stuck: nobody answers",
		"long: picket why says it in 21 lines, promised: ≤ 20",
	}
	if got := brokenIn(results); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestMarkdown_HasAColumnForEachSystem(t *testing.T) {
	got := markdown([]result{{Scenario: "crash", About: "the master is killed", Outcomes: map[string]outcome{
		"Picket":         {Figures: []figure{count("lost", 0).atMost(0), share("share", 1, 8)}},
		"Redis Sentinel": {Figures: []figure{count("lost", 9).atMost(0)}},
	}}})
	want := `| | Picket | Redis Sentinel | promised |
| --- | --- | --- | --- |
| **crash**: the master is killed | | | |
| lost | 0 | 9 | 0 |
| share | 12.50 % | – |  |
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
