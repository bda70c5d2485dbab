package acceptance

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/config"
	"picket/failover"
	"picket/sentinel/lab"
)

// TestHAProxy_NeverWritesToAFencedMaster cuts the master and its agent off from the others, but not from the proxy, through which a client goes on
// writing: nothing that the old master acknowledges after another one was promoted, and all that was acknowledged then is on the new one.
func TestHAProxy_NeverWritesToAFencedMaster(t *testing.T) {
	tool(t, "haproxy", "haproxy")
	l := lab.New(t.TempDir())
	t.Cleanup(l.Close)
	n := newNetworkOf(t, l, 4)
	cooldown := time.Duration(0)
	c, err := l.StartCluster(lab.ClusterOptions{
		Program: binary, Network: n.Network, DownAfter: time.Second, FailoverTimeout: 5 * time.Second, Cooldown: &cooldown,
		OpenHTTP: true, File: []string{"http: {anonymous: read}"},
	})
	n.must(err)
	t.Cleanup(func() { checkLogs(t, l, c) })
	outside := n.Hosts[3]
	front := config.NewAddr(outside.IP(), 6379)
	startProxy(t, l, outside, documented(t, "10.0.0.9", outside.IP()))
	through := func() *redis.Client {
		return redis.NewClient(&redis.Options{
			Addr: string(front), Password: lab.ClientPassword, Dialer: outside.Dial, MaxRetries: -1, DisableIdentity: true, DialTimeout: time.Second, ReadTimeout: time.Second, ContextTimeoutEnabled: true,
		})
	}
	n.must(lab.Await(patience, "the proxy leads to the master", func(ctx context.Context) error {
		client := through()
		defer client.Close()
		return client.Set(ctx, "key", "", 0).Err()
	}))
	writer := lab.NewWriter(through(), "through")
	t.Cleanup(writer.Stop)
	old := c.Redis[0]
	untrue := n.asksAFencedMaster(outside, c)
	cut := time.Now()
	for _, other := range []int{1, 2} {
		n.must(n.Deafen(n.Hosts[0], n.Hosts[other]))
		n.must(n.Deafen(n.Hosts[other], n.Hosts[0]))
	}
	promoted, next := promotion(t, c.Redis[1], c.Redis[2])
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	back, err := writer.FirstAfter(ctx, promoted)
	if err != nil {
		t.Fatal(err)
	}
	lab.Pause(t.Context(), time.Second) // more writes
	writer.Stop()
	var late []lab.Ack
	for _, a := range writer.Acked() {
		if a.Sent.After(promoted) {
			late = append(late, a)
		}
	}
	client := next.Client()
	defer client.Close()
	lost, err := lab.Lost(t.Context(), client, late)
	if err != nil || lost > 0 || len(late) == 0 {
		t.Errorf("%d of %d writes that were acknowledged after the promotion are not on the new master, %v", lost, len(late), err)
	}
	t.Logf("promoted %v after the cut, and through the proxy writes are acknowledged again %v later: %d", promoted.Sub(cut), back.Sub(promoted), len(late))
	inside := old.Client()
	defer inside.Close()
	if err := inside.Set(t.Context(), "x", "y", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "NOREPLICAS") {
		t.Errorf("the fenced master says %v to a write", err)
	}
	if asked, wrong := untrue(); asked == 0 || wrong > 0 {
		t.Errorf("/primary was asked %d times after the fence, and said yes %d times", asked, wrong)
	}
	n.must(n.Heal())
	settle(t, c, next.Addr)
}

// asksAFencedMaster asks the first agent's /primary from another host whenever its Redis was seen to be fenced before, until the result is wanted: how
// often that was, and how often the answer was yes.
func (n *network) asksAFencedMaster(from *lab.Host, c *lab.Cluster) (untrue func() (asked, wrong int)) {
	ctx, cancel := context.WithCancel(n.t.Context())
	done := make(chan [2]int, 1)
	transport := &http.Transport{DialContext: from.Dial}
	server := c.Redis[0].Client()
	go func() { // ends with ctx
		var count [2]int
		for ctx.Err() == nil {
			time.Sleep(time.Millisecond)
			text := server.ConfigGet(ctx, "min-replicas-to-write").Val()["min-replicas-to-write"]
			if value, err := strconv.ParseInt(text, 10, 64); err != nil {
				continue
			} else if _, _, fenced := failover.Fenced(value); !fenced {
				continue
			}
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+string(c.Agents[0].HTTP)+"/primary", nil)
			if err != nil {
				continue
			}
			if answer, err := transport.RoundTrip(request); err == nil {
				_ = answer.Body.Close()
				count[0]++
				if answer.StatusCode == http.StatusOK {
					count[1]++
				}
			}
		}
		done <- count
	}()
	return func() (asked, wrong int) {
		cancel()
		count := <-done
		transport.CloseIdleConnections()
		_ = server.Close()
		return count[0], count[1]
	}
}
