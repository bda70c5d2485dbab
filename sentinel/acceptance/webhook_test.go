package acceptance

import (
	"bytes"
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
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/lab"
	"picket/sentinel/state"
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

// newReceiver makes one that is down.
func newReceiver(t *testing.T) *receiver {
	t.Helper()
	scout := lab.New(t.TempDir())
	t.Cleanup(scout.Close)
	port, err := scout.Port()
	if err != nil {
		t.Fatal(err)
	}
	return &receiver{addr: fmt.Sprintf("127.0.0.1:%d", port)}
}

// webhook is how agents know it.
func (r *receiver) webhook() *config.Webhook {
	return &config.Webhook{
		Name: "ops", URL: "http://" + r.addr + "/hook",
		Secret: config.Secret("whsec_" + base64.StdEncoding.EncodeToString([]byte(webhookKey))),
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
	if err == nil {
		err = validate(body)
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

// eventSchema is the published one of all events.
var eventSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	return jsonschema.NewCompiler().Compile("../../docs/events.schema.json")
})

// validate checks a body against the schema.
func validate(body []byte) error {
	schema, err := eventSchema()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
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
	r := newReceiver(t)
	_, c := start(t, func(o *lab.ClusterOptions) { o.Webhook = r.webhook() })
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

// TestWebhook_ReceiverThatHangsDelaysNoFailover shows that a failover is over, from its begin to its end, while its first event, and those
// before, still wait for a receiver that takes connections and never answers. Then operators look after the receiver.
func TestWebhook_ReceiverThatHangsDelaysNoFailover(t *testing.T) {
	t.Parallel()
	hanging, err := net.Listen("tcp", "127.0.0.1:0") // the kernel takes connections in
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{addr: hanging.Addr().String()}
	l, c := start(t, func(o *lab.ClusterOptions) { o.Webhook = r.webhook() })
	old := c.Redis[0]
	old.Kill()
	next := newMaster(t, c, old.Addr)
	var steps []state.EventType
	if err := lab.Await(patience, "the failover has ended", func(ctx context.Context) error {
		p, err := leader(t, c).Status(ctx)
		if err != nil {
			return err
		}
		steps = steps[:0]
		for _, e := range p.Events {
			if e.Data.Failover != 0 {
				steps = append(steps, e.Type)
			}
		}
		if !slices.Contains(steps, state.FailoverEnded) {
			return fmt.Errorf("its steps are %v", steps)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(l.Dir, leader(t, c).ID+".yaml")
	var list api.WebhookList
	if err := json.Unmarshal([]byte(picket(t, 0, "webhooks", "list", "--config", conf, "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	if w := list.Webhooks; len(w) != 1 || w[0].Backlog < len(steps) || w[0].Dead != 0 || strings.Contains(w[0].URL, "/hook") {
		t.Errorf("%d steps of a failover are done, and the webhooks are %+v", len(steps), w)
	}
	if err := hanging.Close(); err != nil {
		t.Fatal(err)
	}
	if out := picket(t, 1, "webhooks", "test", "ops", "--config", conf); !strings.Contains(out, "has not taken the test") {
		t.Errorf("a receiver that is down is tested: %s", out)
	}
	r.up(t)
	if out := picket(t, 0, "webhooks", "test", "ops", "--config", conf); !strings.Contains(out, "ops has taken io.picket.webhook.test.v1") {
		t.Errorf("a receiver that is up is tested: %s", out)
	}
	delivered := func() (n int, ids []string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range r.events {
			if e.Type == "io.picket.failover.switched.v1" {
				n, ids = n+1, append(ids, e.ID)
			}
		}
		return n, ids
	}
	arrives := func(times int) {
		t.Helper()
		if err := lab.Await(patience, "the switch has arrived", func(context.Context) error {
			if n, _ := delivered(); n < times {
				return fmt.Errorf("it has, %d times", n)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	arrives(1)
	_, ids := delivered()
	picket(t, 0, "webhooks", "redeliver", "ops", "--id", ids[0], "--config", conf)
	arrives(2)
	if n, ids := delivered(); n != 2 || ids[0] != ids[1] {
		t.Errorf("delivered again: %v", ids)
	}
	if out := picket(t, 2, "webhooks", "redeliver", "ops", "--id", "other-1", "--config", conf); !strings.Contains(out, "is not the id of an event, like lab-123") {
		t.Errorf("an id of nobody: %s", out)
	}
	if out := picket(t, 6, "webhooks", "dead", "pos", "--config", conf); !strings.Contains(out, "webhooks list") {
		t.Errorf("a webhook of nobody: %s", out)
	}
	if err := old.Start(); err != nil {
		t.Fatal(err)
	}
	settle(t, c, next.Addr)
}
