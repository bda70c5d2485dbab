package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
)

// Door is an agent's Sentinel port.
type Door struct {
	Addr     config.Addr
	Password config.Secret
	TLS      *tls.Config // nil: it has none
}

// Failover asks the agent behind a Sentinel port to fail a master over, and tells its progress from
// the events until the failover has ended or ctx does.
func Failover(ctx context.Context, out io.Writer, door Door, master string) error {
	client := redis.NewSentinelClient(&redis.Options{
		Addr: string(door.Addr), Password: string(door.Password), TLSConfig: door.TLS, MaxRetries: -1, DisableIdentity: true,
		ReadTimeout: 15 * time.Second, // the agent answers when the failover has begun
	})
	defer client.Close()
	events := client.PSubscribe(ctx, "*")
	defer events.Close()
	if _, err := events.Receive(ctx); err != nil {
		return fmt.Errorf("listen to the agent at %s: %w; is it running, and is listen.sentinel its address?", door.Addr, err)
	}
	start := time.Now()
	if err := client.Failover(ctx, master).Err(); err != nil {
		return fmt.Errorf("fail over %s: %w", master, err)
	}
	fmt.Fprintf(out, "%6d ms  the failover of %s has begun\n", time.Since(start).Milliseconds(), master)
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the failover: %w; `picket status` shows how it goes on", ctx.Err())
		case m, open := <-events.Channel():
			if !open {
				return errors.New("the agent closed the connection; `picket status` shows how the failover goes on")
			}
			if !concerns(m.Payload, master) {
				continue
			}
			fmt.Fprintf(out, "%6d ms  %s %s\n", time.Since(start).Milliseconds(), m.Channel, m.Payload)
			if m.Channel == "+failover-end" {
				return nil
			}
			if strings.HasPrefix(m.Channel, "-failover-abort") {
				return fmt.Errorf("the failover of %s was given up (%s); nothing has changed, `picket status` says why",
					master, m.Channel)
			}
		}
	}
}

// concerns says whether an event's payload is about the master: it leads the payload, follows "master", or
// stands behind "@".
func concerns(payload, master string) bool {
	words := strings.Fields(payload)
	for i, word := range words {
		if word == master && (i == 0 || words[i-1] == "master" || words[i-1] == "@") {
			return true
		}
	}
	return false
}
