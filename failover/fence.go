package failover

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/monitor"
)

// A server is fenced by asking for more replicas than it can have before it takes a write: min-replicas-to-write takes effect at
// once, on every version, and says -NOREPLICAS to clients. The number carries what it replaces, so that whoever finds a fence can take
// it away: no memory of it is needed, and none can be lost. Where min-replicas-max-lag is 0 the server ignores the setting; the
// fence then sets that, too, and says so by a larger number.
const (
	fenceBase    = 1_000_000
	fenceBaseLag = 2_000_000
	fenceMaxLag  = 10 // seconds, the servers' own default
)

// Fenced reads min-replicas-to-write: whether it is a fence, and what it replaces.
func Fenced(value int64) (replaced int64, lagWasZero, fenced bool) {
	switch {
	case value >= fenceBaseLag:
		return value - fenceBaseLag, true, true
	case value >= fenceBase:
		return value - fenceBase, false, true
	}
	return value, false, false
}

// settings are the two that a fence is made of.
type fenceSettings struct{ replicas, lag int64 }

const (
	minReplicas = "min-replicas-to-write"
	maxLag      = "min-replicas-max-lag"
)

// fenced is the settings with a fence. One that was left blindly may lack the lag.
func (s fenceSettings) fenced() fenceSettings {
	replaced, _, already := Fenced(s.replicas)
	switch {
	case s.lag == 0:
		return fenceSettings{fenceBaseLag + replaced, fenceMaxLag}
	case already:
		return s
	}
	return fenceSettings{fenceBase + replaced, s.lag}
}

// unfenced is the settings without one.
func (s fenceSettings) unfenced() fenceSettings {
	replaced, lagWasZero, fenced := Fenced(s.replicas)
	switch {
	case !fenced:
		return s
	case lagWasZero:
		return fenceSettings{replaced, 0}
	}
	return fenceSettings{replaced, s.lag}
}

// readFence asks a server for its settings.
func readFence(ctx context.Context, c *redis.Client) (s fenceSettings, err error) {
	values, err := c.ConfigGet(ctx, "min-replicas-*").Result()
	if err != nil {
		return s, fmt.Errorf("read min-replicas-to-write (the user needs CONFIG GET and CONFIG SET): %w", err)
	}
	for key, to := range map[string]*int64{minReplicas: &s.replicas, maxLag: &s.lag} {
		if *to, err = strconv.ParseInt(values[key], 10, 64); err != nil {
			return s, fmt.Errorf("read %s: %w", key, err)
		}
	}
	return s, nil
}

// setFence changes the settings of a server. Each is set by a command of its own: several at once need Redis 7.
func setFence(ctx context.Context, pipe redis.Pipeliner, is, want fenceSettings) {
	if want.lag != is.lag {
		pipe.ConfigSet(ctx, maxLag, strconv.FormatInt(want.lag, 10))
	}
	if want.replicas != is.replicas {
		pipe.ConfigSet(ctx, minReplicas, strconv.FormatInt(want.replicas, 10))
	}
}

// fence has a server refuse writes from now on and disconnects its clients, so that they look for their master anew. It returns what
// the server says behind it.
func fence(ctx context.Context, c *redis.Client, a Action) (*monitor.Observation, error) {
	is, err := readFence(ctx, c)
	if err != nil {
		return nil, err
	}
	o, err := commandAndInfo(ctx, c, a.Server, func(pipe redis.Pipeliner) { setFence(ctx, pipe, is, is.fenced()) })
	if err != nil || a.Quiet {
		return o, err
	}
	// That they may not be disconnected changes nothing about the writes.
	if err := disconnectClients(ctx, c); err != nil && !isReply(err) {
		return nil, err
	}
	return o, nil
}

// unfence lets a server take writes again, as far as Picket had forbidden them. First the fence is taken away, so that none of the writers that
// wait is refused.
func unfence(ctx context.Context, c *redis.Client, server config.Addr) (*monitor.Observation, error) {
	is, err := readFence(ctx, c)
	if err != nil {
		return nil, err
	}
	o, err := commandAndInfo(ctx, c, server, func(pipe redis.Pipeliner) { setFence(ctx, pipe, is, is.unfenced()) })
	if err == nil && o.Role == "master" {
		err = letGo(ctx, c)
	}
	return o, err
}

// hold has a server keep its writers waiting, for a while.
func hold(ctx context.Context, c *redis.Client, a Action) (*monitor.Observation, error) {
	return commandAndInfo(ctx, c, a.Server, command("CLIENT", "PAUSE", strconv.FormatInt(a.For.Milliseconds(), 10), "WRITE"))
}

// letGo has the writers go on. Servers older than 6.2 don't know the command, and have held nobody.
func letGo(ctx context.Context, c *redis.Client) error {
	err := c.Do(ctx, "CLIENT", "UNPAUSE").Err()
	if isReply(err) {
		return nil
	}
	return err
}

func disconnectClients(ctx context.Context, c *redis.Client) error {
	pipe := c.Pipeline()
	pipe.Do(ctx, "CLIENT", "KILL", "TYPE", "normal")
	pipe.Do(ctx, "CLIENT", "KILL", "TYPE", "pubsub")
	_, err := pipe.Exec(ctx)
	return err
}
