package acceptance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"picket/consensus/linear"
	"picket/sentinel/api"
	"picket/sentinel/cli"
	"picket/sentinel/lab"
	"picket/sentinel/state"
)

const (
	// clientPatience is how long a client waits for an answer before it takes the outcome for unknown.
	clientPatience = time.Second
	// keyLife is how long clients use a set of keys: a history with many unknown outcomes is hard to check.
	keyLife = 2 * time.Second
	keys    = 3
	pace    = 4 * time.Millisecond // between the operations of a client
)

// history is what clients asked and were told.
type history struct {
	start time.Time

	mu  sync.Mutex
	ops []linear.Operation
}

// now is both the clock of the history and the source of new values.
func (h *history) now() int64 { return int64(time.Since(h.start)) }

func (h *history) add(o linear.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
}

// check fails the test if the answers contradict one another, or are too few to say anything.
func (h *history) check(t *testing.T) {
	t.Helper()
	known := map[linear.Kind]int{}
	unknown := 0
	for _, o := range h.ops {
		if o.Unknown {
			unknown++
		} else {
			known[o.Kind]++
		}
	}
	t.Logf("%d operations, of which %d without an answer; answers: %v", len(h.ops), unknown, known)
	for kind := linear.Get; kind <= linear.Delete; kind++ {
		if known[kind] < 20 {
			t.Errorf("only %d answers to %s", known[kind], kind)
		}
	}
	if err := linear.Check(h.ops, time.Minute); err != nil {
		t.Error(err)
	}
}

// client works on the map through all doors in turn until ctx ends.
func (h *history) client(ctx context.Context, id int, doors []cli.KV) {
	random := rand.New(rand.NewPCG(uint64(id), 0))
	var last linear.Cell // that this client saw
	for n := 0; lab.Pause(ctx, pace); n++ {
		o := linear.Operation{
			Client: id, Kind: linear.Kind(random.IntN(4)), Value: fmt.Sprintf("%d.%d", id, n), Expect: last, Call: h.now(),
		}
		o.Key = fmt.Sprintf("history/%d/%d/%d", h.start.UnixNano(), o.Call/int64(keyLife), random.IntN(keys)) // nobody else has written them
		if random.IntN(2) == 0 {
			o.Kind = linear.Get // what a compare-and-set expects has to be read
		}
		told := h.ask(ctx, doors[random.IntN(len(doors))], &o)
		o.Return = h.now()
		if !told {
			continue
		}
		if o.Kind == linear.Get && !o.Unknown {
			last = o.Read
		}
		h.add(o)
	}
}

// ask carries an operation out; false: it certainly did nothing.
func (h *history) ask(ctx context.Context, kv cli.KV, o *linear.Operation) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clientPatience)
	defer cancel()
	var err error
	if o.Kind == linear.Get {
		var item api.Item
		item, err = kv.Get(ctx, o.Key)
		o.Read, o.Revision = linear.Holding(item.Value), item.Revision
	} else {
		o.Revision, err = kv.Write(ctx, write(o))
		o.Done = true
	}
	if o.Kind == linear.Delete {
		o.Revision = 0 // of the deletion, not of a value
	}
	var p api.Problem
	switch {
	case err == nil:
		return true
	case errors.Is(err, syscall.ECONNREFUSED):
		return false
	case !errors.As(err, &p):
		o.Unknown = true
		return true
	}
	switch p.Status {
	case http.StatusNotFound:
		o.Read, o.Done = linear.Cell{}, false
	case http.StatusPreconditionFailed:
		o.Done = false
	case http.StatusServiceUnavailable:
		return false
	default:
		o.Unknown = true
	}
	return true
}

func write(o *linear.Operation) state.Write {
	w := state.Write{Key: o.Key, Value: o.Value, Delete: o.Kind == linear.Delete}
	switch {
	case o.Kind != linear.CAS:
	case o.Expect.Present:
		w.If = state.Condition{Kind: state.IfValue, Value: o.Expect.Value}
	default:
		w.If = state.Condition{Kind: state.IfAbsent}
	}
	return w
}

// record has clients work on the map through all doors while faults happens.
func record(t *testing.T, doors []cli.KV, faults func()) *history {
	t.Helper()
	h := &history{start: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for id := range 6 {
		clients.Go(func() { h.client(ctx, id, doors) })
	}
	faults()
	cancel()
	clients.Wait()
	return h
}
