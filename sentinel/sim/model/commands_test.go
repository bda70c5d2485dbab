package model

import (
	"context"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
)

// TestCommandTable compares what the model believes of its commands with what the real server says of them.
func TestCommandTable(t *testing.T) {
	w := newRealWorld(t)
	if err := w.start("a", options{}); err != nil {
		t.Fatal(err)
	}
	client := w.servers["a"].Client()
	defer client.Close()
	for name, cmd := range commands {
		compareCommand(t, client, name, cmd)
		for _, sub := range cmd.sub {
			if name != "debug" { // it hides its own
				compareCommand(t, client, sub.name, sub)
			}
		}
	}
}

func compareCommand(t *testing.T, client *redis.Client, name string, cmd *command) {
	reply, err := client.Do(context.Background(), "COMMAND", "INFO", name).Slice()
	if err != nil || len(reply) != 1 || reply[0] == nil {
		t.Errorf("COMMAND INFO %s answers %v, %v", name, reply, err)
		return
	}
	facts := reply[0].([]any)
	if arity := facts[1].(int64); arity != int64(cmd.arity) {
		t.Errorf("%s: its arity is %d, not %d", name, arity, cmd.arity)
	}
	flags := facts[2].([]any)
	for flag, trait := range map[string]traits{
		"write": writes, "readonly": reads, "loading": whileLoading, "stale": whileStale,
		"no_auth": withoutAuth, "no_multi": notInMulti,
	} {
		if has := slices.Contains(flags, any(flag)); has != cmd.is(trait) && cmd.sub == nil {
			t.Errorf("%s: %s is %v, not %v", name, flag, has, cmd.is(trait))
		}
	}
}
