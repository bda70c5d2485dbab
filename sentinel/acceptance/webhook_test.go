package acceptance

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/config"
	"picket/sentinel/lab"
)

// webhookKey is what the secret encodes.
const webhookKey = "a key of thirty-two bytes, fixed"

// receiver is a webhook receiver that can be up or down, and checks signatures by its own means.
type receiver struct {
	addr   string
	server *http.Server

	mu     sync.Mutex
	events []delivered
	bad    []string
}

// delivered is one event that came with a valid signature.
type delivered struct {
	ID, Type, Subject string
	Sequence          string
	Data              struct {
		From, To config.Addr
	}
}

func (r *receiver) up(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Second}
	go func() { _ = r.server.Serve(listener) }() // ends with the test, below
	t.Cleanup(func() { _ = r.server.Close() })
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err == nil {
		err = verify(request.Header, body)
	}
	var e delivered
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.bad = append(r.bad, err.Error())
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.events = append(r.events, e)
}

// verify checks the Standard Webhooks signature.
func verify(h http.Header, body []byte) error {
	mac := hmac.New(sha256.New, []byte(webhookKey))
	fmt.Fprintf(mac, "%s.%s.%s", h.Get("webhook-id"), h.Get("webhook-timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if !slices.Contains(strings.Fields(h.Get("webhook-signature")), want) {
		return fmt.Errorf("signature %q of %q is not valid", h.Get("webhook-signature"), h.Get("webhook-id"))
	}
	return nil
}

// types gives the types in the order of arrival, each event once, or what is wrong with the deliveries.
func (r *receiver) types() ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bad) > 0 {
		return nil, errors.New(strings.Join(r.bad, "; "))
	}
	var types []string
	seen := map[string]delivered{}
	last := map[string]delivered{} // by master
	for _, e := range r.events {
		if first, again := seen[e.ID]; again {
			if first != e {
				return nil, fmt.Errorf("event %s came twice with different content: %+v, %+v", e.ID, first, e)
			}
			continue // at least once
		}
		if newest := last[e.Subject]; newest.ID != "" && sequence(e) <= sequence(newest) {
			return nil, fmt.Errorf("event %s of %q came after %s", e.Sequence, e.Subject, newest.Sequence)
		}
		seen[e.ID], last[e.Subject] = e, e
		types = append(types, e.Type)
	}
	return types, nil
}

func sequence(e delivered) (n int) {
	_, _ = fmt.Sscan(e.Sequence, &n) // 0 is out of order and fails the test
	return n
}

func TestWebhook_EveryEventArrivesInOrderAlthoughReceiverAndLeaderDie(t *testing.T) {
	t.Parallel()
	scout := lab.New(t.TempDir())
	t.Cleanup(scout.Close)
	port, err := scout.Port()
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{addr: fmt.Sprintf("127.0.0.1:%d", port)}
	_, c := start(t, func(o *lab.ClusterOptions) {
		o.Webhook = &config.Webhook{
			Name: "ops", URL: "http://" + r.addr + "/hook",
			Secret: config.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte(webhookKey))),
		}
	})
	old := c.Redis[0]
	old.Kill()
	next := newMaster(t, c, old.Addr)
	dead := leader(t, c)
	dead.Kill()
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)

	r.up(t)
	want := []string{"failover.begun", "failover.promoting", "failover.switched", "failover.ended"}
	if err := lab.Await(patience, "every event of the failover has arrived", func(context.Context) error {
		types, err := r.types()
		if err != nil {
			return err
		}
		rest := types
		for _, name := range want {
			i := slices.Index(rest, "io.picket."+name+".v1")
			if i < 0 {
				return fmt.Errorf("%s is missing, or out of order, among %v", name, types)
			}
			rest = rest[i+1:]
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := dead.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
	if _, err := r.types(); err != nil {
		t.Error(err)
	}
}
