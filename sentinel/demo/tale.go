package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/failover"
	"picket/sentinel/lab"
)

// tale gathers when each thing happened: from the events on all agents' Sentinel ports, from the committed record, and
// from the client.
type tale struct {
	cluster *lab.Cluster
	subs    []io.Closer // subscriptions and their clients
	events  chan heard
	done    chan struct{}

	killed, writing, restarted, back time.Time
	first                            map[string]heard // by channel
	record                           failover.Record
	leader                           string
}

// heard is one event as it came out of an agent.
type heard struct {
	agent, channel, payload string
	at                      time.Time
}

// listen subscribes to every agent.
func listen(ctx context.Context, c *lab.Cluster) (*tale, error) {
	t := &tale{cluster: c, events: make(chan heard, 256), done: make(chan struct{}), first: map[string]heard{}}
	for _, a := range c.Agents {
		client := redis.NewSentinelClient(&redis.Options{Addr: string(a.Sentinel), DisableIdentity: true})
		sub := client.PSubscribe(ctx, "*")
		t.subs = append(t.subs, sub, client)
		if _, err := sub.Receive(ctx); err != nil {
			t.close()
			return nil, fmt.Errorf("subscribe to %s: %w", a.ID, err)
		}
		go t.relay(a.ID, sub.Channel()) // ends when the subscription is closed
	}
	return t, nil
}

func (t *tale) relay(agent string, messages <-chan *redis.Message) {
	for m := range messages {
		select {
		case t.events <- heard{agent: agent, channel: m.Channel, payload: m.Payload, at: time.Now()}:
		case <-t.done:
		}
	}
}

func (t *tale) close() {
	close(t.done)
	for _, s := range t.subs {
		_ = s.Close() // nothing is under way
	}
}

// await returns the new master once every agent has told of it and the record of the switch is readable.
func (t *tale) await(ctx context.Context) (config.Addr, error) {
	for told := 0; told < len(t.cluster.Agents); {
		select {
		case e := <-t.events:
			if old, known := t.first[e.channel]; !known || e.at.Before(old.at) {
				t.first[e.channel] = e
			}
			if e.channel == "+switch-master" {
				told++
			}
		case <-ctx.Done():
			return "", errors.New("not every agent told of a new master in time")
		}
	}
	p, err := t.cluster.Agents[0].Status(ctx)
	if err != nil {
		return "", err
	}
	m := p.Masters[0]
	record := cmp.Or(m.Failover, m.Last)
	if record == nil {
		return "", errors.New("no record of the failover")
	}
	t.record, t.leader = *record, p.Leader
	return m.Server.Addr, nil
}

// write tells the story in the order in which it happened.
func (t *tale) write(out io.Writer, old, master config.Addr) {
	type line struct {
		at         time.Time
		what, text string
	}
	r := t.record
	lines := []line{
		{t.killed, "killed", "the process of " + string(old) + " is gone"},
		{t.first["+sdown"].at, "seen", "by " + t.first["+sdown"].agent},
		{t.first["+odown"].at, "agreed", "a quorum of the agents finds it down"},
		{r.BegunAt.Time(), "elected", fmt.Sprintf("%s leads in epoch %d, for this failover", t.leader, r.Epoch)},
		{r.PromoteAt.Time(), "cut", fmt.Sprintf("replicas detached and read; %s is chosen at offset %d", r.Target, r.Offset)},
		{r.SwitchAt.Time(), "promoted", string(master) + " is the master: committed"},
		{t.first["+switch-master"].at, "told", "clients get +switch-master"},
		{t.writing, "writing", "the client's next acknowledged write"},
		{t.restarted, "restarted", "the old master's process comes back"},
		{t.back, "back", string(old) + " is a replica of " + string(master)},
	}
	slices.SortStableFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	for _, l := range lines {
		fmt.Fprintf(out, "%8.1f ms  %-10s %s\n", float64(l.at.Sub(t.killed).Microseconds())/1000, l.what, l.text)
	}
}
