package monitor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"picket/monitor"
	"picket/sentinel/lab"
)

const (
	channel  = "__sentinel__:hello"
	stranger = "8ac5000000000000000000000000000000000d30"
)

func (s *scene) awaitForeign(epoch uint64) monitor.Foreign {
	s.t.Helper()
	var got monitor.Foreign
	if err := lab.Await(15*time.Second, fmt.Sprintf("a stranger of epoch %d is known", epoch), func(context.Context) error {
		all := s.monitor.View().Foreign
		if len(all) != 1 || all[0].Epoch != epoch {
			return fmt.Errorf("known are %+v", all)
		}
		got = all[0]
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return got
}

func TestListener_HearsAStrangerAlsoAfterItsConnectionWasKilled(t *testing.T) {
	s := newScene(t, quick())
	r := s.redis(lab.RedisOptions{Lines: []string{"user picket on >sesame +@all &*"}})
	s.settings.Username, s.settings.Password = "picket", "sesame"
	target := monitor.Target{Addr: r.Addr, Settings: s.settings, IsMaster: true, Listen: true}
	s.monitor.Watch([]monitor.Target{target})
	client := r.Client()
	defer client.Close()
	publish := func(message string) {
		t.Helper()
		if err := lab.Await(15*time.Second, "somebody hears the hello", func(ctx context.Context) error {
			if n, err := client.Publish(ctx, channel, message).Result(); err != nil || n != 1 {
				return fmt.Errorf("%d do, %v", n, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	message := func(epoch int) string {
		return fmt.Sprintf("127.0.0.1,26379,%s,7,m,127.0.0.1,%d,%d", stranger, r.Addr.Port(), epoch)
	}
	for _, nonsense := range []string{"", "nonsense", strings.Repeat("x", 1<<20), message(1) + ",more"} {
		publish(nonsense)
	}
	publish(message(1))
	if got := s.awaitForeign(1); got.RunID != stranger || got.Server != r.Addr || got.Master != r.Addr || got.Addr != "127.0.0.1:26379" {
		t.Errorf("heard %+v", got)
	}
	if own := s.monitor.Foreign(); len(own) != 1 || own[0].RunID != stranger {
		t.Errorf("peers are told %+v", own)
	}
	if err := client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	publish(message(2))
	s.awaitForeign(2)
	if got := s.server(r); got.State != monitor.Up {
		t.Errorf("the server is in state %d because a listener was cut off", got.State)
	}
	// Nobody wants to know any more.
	target.Listen = false
	s.monitor.Watch([]monitor.Target{target})
	if err := lab.Await(15*time.Second, "nobody listens", func(ctx context.Context) error {
		if n, err := client.Publish(ctx, channel, "x").Result(); err != nil || n != 0 {
			return fmt.Errorf("%d do, %v", n, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestListener_SaysWhenItMayNotListen(t *testing.T) {
	s := newScene(t, quick())
	r := s.redis(lab.RedisOptions{Lines: []string{"user picket on >sesame +ping +info +client +config resetchannels"}})
	s.settings.Username, s.settings.Password = "picket", "sesame"
	s.monitor.Watch([]monitor.Target{{Addr: r.Addr, Settings: s.settings, IsMaster: true, Listen: true}})
	var refused monitor.Event
	if err := lab.Await(15*time.Second, "the refusal is told", func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, e := range s.events {
			if e.Kind == monitor.ListenRefused {
				refused = e
				return nil
			}
		}
		return fmt.Errorf("told are %d events", len(s.events))
	}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(refused.Server.Deaf, "NOPERM") {
		t.Errorf("told is %q", refused.Server.Deaf)
	}
}

func TestMonitor_PeersWordOnStrangersIsTakenWithinBounds(t *testing.T) {
	s := newScene(t, quick())
	r := s.redis(lab.RedisOptions{})
	s.watch(r)
	good := monitor.Foreign{RunID: stranger, Addr: "h:1", Name: "m", Master: r.Addr, Epoch: 3, Server: r.Addr, Age: time.Second}
	bad := []monitor.Foreign{good, good, good, good}
	bad[0].Server, bad[1].Name, bad[2].Age, bad[3].Age = "other:1", "\x1b[2J", -time.Second, time.Hour
	s.monitor.HeardForeign(bad)
	if got := s.monitor.View().Foreign; len(got) > 0 {
		t.Errorf("known are %+v", got)
	}
	s.monitor.HeardForeign([]monitor.Foreign{good})
	if got := s.awaitForeign(3); got.Age < time.Second {
		t.Errorf("it is %s old, want more than a second", got.Age)
	}
	if own := s.monitor.Foreign(); len(own) > 0 {
		t.Errorf("peers are told %+v, which they said themselves", own)
	}
}
