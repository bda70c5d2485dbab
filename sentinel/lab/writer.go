package lab

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// FailoverOptions are of go-redis' Sentinel client on a host as a careful user sets it up: no command is sent twice, so that what
// was acknowledged is known, and a refused connection is tried again soon, not only after the default of 100 ms.
func FailoverOptions(h *Host, sentinels []string) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: MasterName, SentinelAddrs: sentinels, Password: ClientPassword, Dialer: h.Dial, MaxRetries: -1, DialerRetryTimeout: 10 * time.Millisecond,
		DialTimeout: 500 * time.Millisecond, ReadTimeout: 3 * time.Second, ContextTimeoutEnabled: true,
		DisableIdentity: true,
	}
}

// Writer writes one new key after the other, as fast as they are acknowledged, and remembers what was.
type Writer struct {
	client *redis.Client
	prefix string
	opts   WriterOptions
	stop   context.CancelFunc
	done   chan struct{}

	mu    sync.Mutex
	acked []Ack
	wake  chan struct{} // closed and replaced at each acknowledgement
}

// WriterOptions shapes a writer. The zero value writes as fast as it is answered.
type WriterOptions struct {
	Pause time.Duration // from the beginning of one write to that of the next, at least
	Wait  int           // WAIT for so many replicas after each write
}

// waitLimit is how long a writer's WAIT waits.
const waitLimit = 250 * time.Millisecond

// Ack is one acknowledged write.
type Ack struct {
	Key      string
	Sent, At time.Time // the command, its reply
	Waited   bool      // so many replicas have it as the writer waits for
}

// NewWriter starts a writer that leaves the cores to the servers.
func NewWriter(client *redis.Client, prefix string) *Writer {
	return StartWriter(client, prefix, WriterOptions{Pause: time.Millisecond})
}

// StartWriter starts writing keys that begin with prefix. The writer closes the client when it stops.
func StartWriter(client *redis.Client, prefix string, opts WriterOptions) *Writer {
	ctx, cancel := context.WithCancel(context.Background())
	w := &Writer{client: client, prefix: prefix, opts: opts, stop: cancel, done: make(chan struct{}), wake: make(chan struct{})}
	go w.run(ctx) // ends with Stop, which waits for it
	return w
}

func (w *Writer) run(ctx context.Context) {
	defer close(w.done)
	for n := 0; ctx.Err() == nil; n++ {
		ack := Ack{Key: fmt.Sprintf("%s:%d", w.prefix, n), Sent: time.Now()}
		if w.write(ctx, &ack) == nil {
			ack.At = time.Now()
			w.add(ack)
		}
		if rest := w.opts.Pause - time.Since(ack.Sent); rest > 0 {
			Pause(ctx, rest)
		}
	}
}

// write succeeds when the server has acknowledged the key.
func (w *Writer) write(ctx context.Context, a *Ack) error {
	if w.opts.Wait == 0 {
		return w.client.Set(ctx, a.Key, "", 0).Err()
	}
	pipe := w.client.Pipeline() // WAIT speaks of its own connection's writes
	set := pipe.Set(ctx, a.Key, "", 0)
	wait := pipe.Do(ctx, "WAIT", w.opts.Wait, waitLimit.Milliseconds())
	_, _ = pipe.Exec(ctx) // each reply has its own error
	n, err := wait.Int()
	a.Waited = err == nil && n >= w.opts.Wait
	return set.Err()
}

func (w *Writer) add(a Ack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked = append(w.acked, a)
	close(w.wake)
	w.wake = make(chan struct{})
}

// Stop ends the writing.
func (w *Writer) Stop() {
	w.stop()
	<-w.done
	_ = w.client.Close() // nothing is under way
}

// Acked gives everything acknowledged so far.
func (w *Writer) Acked() []Ack {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Ack(nil), w.acked...)
}

// FirstAfter waits for a write that was acknowledged later than t and gives the time of the first one. The caller takes t
// when the old master can't answer any more: after a kill has been waited for.
func (w *Writer) FirstAfter(ctx context.Context, t time.Time) (time.Time, error) {
	for {
		w.mu.Lock()
		wake := w.wake
		var last time.Time
		if n := len(w.acked); n > 0 {
			last = w.acked[n-1].At
		}
		w.mu.Unlock()
		if last.After(t) {
			return w.firstAfter(t), nil
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("no write was acknowledged: %w", ctx.Err())
		}
	}
}

func (w *Writer) firstAfter(t time.Time) time.Time {
	for _, a := range w.Acked() {
		if a.At.After(t) {
			return a.At
		}
	}
	return time.Time{}
}

// LongestGap is the longest time without an acknowledgement from then on, to the last one.
func LongestGap(acked []Ack, from time.Time) time.Duration {
	last, gap := from, time.Duration(0)
	for _, a := range acked {
		if a.At.After(from) {
			gap, last = max(gap, a.At.Sub(last)), a.At
		}
	}
	return gap
}

// Lost counts the acknowledged writes that the server behind client does not hold.
func Lost(ctx context.Context, client *redis.Client, acked []Ack) (int, error) {
	lost := 0
	for len(acked) > 0 {
		n := min(len(acked), 1000)
		found, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, a := range acked[:n] {
				p.Exists(ctx, a.Key)
			}
			return nil
		})
		if err != nil {
			return 0, fmt.Errorf("look for acknowledged writes: %w", err)
		}
		for _, reply := range found {
			if reply.(*redis.IntCmd).Val() == 0 {
				lost++
			}
		}
		acked = acked[n:]
	}
	return lost, nil
}
