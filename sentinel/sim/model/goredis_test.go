package model

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestGoRedis has a client library as it comes, with all that it sends unasked, talk to a model.
func TestGoRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		w := newModelWorld(t)
		if err := w.start("a", options{}); err != nil {
			t.Fatal(err)
		}
		client := redis.NewClient(&redis.Options{
			Addr: w.addr("a"), MaxRetries: -1,
			Dialer: func(ctx context.Context, _, addr string) (net.Conn, error) { return w.network.Dial(ctx, addr) },
		})
		defer client.Close()
		if err := client.Set(ctx, "k", "v", time.Second).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := client.Get(ctx, "k").Result(); got != "v" || err != nil {
			t.Fatalf("GET answers %q, %v", got, err)
		}
		sub := client.Subscribe(ctx, "c")
		defer sub.Close()
		if _, err := sub.Receive(ctx); err != nil {
			t.Fatal(err)
		}
		if err := client.Publish(ctx, "c", "hello").Err(); err != nil {
			t.Fatal(err)
		}
		if m, err := sub.ReceiveMessage(ctx); err != nil || m.Payload != "hello" {
			t.Fatalf("received %v, %v", m, err)
		}
		time.Sleep(2 * time.Second)
		if got, err := client.Get(ctx, "k").Result(); !errors.Is(err, redis.Nil) {
			t.Fatalf("GET of an expired key answers %q, %v", got, err)
		}
	})
}
