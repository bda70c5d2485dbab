package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"picket/sentinel/lab"
)

// gently is a writer that leaves the cores to the servers.
var gently = lab.WriterOptions{Pause: time.Millisecond}

// waiting is one that waits until a replica has each write.
var waiting = lab.WriterOptions{Pause: time.Millisecond, Wait: 1}

// write starts a client on a host that follows the master as the system tells it.
func (f *field) write(h *lab.Host, opts lab.WriterOptions) *lab.Writer {
	return f.add(redis.NewFailoverClient(lab.FailoverOptions(h, f.sentinels())), opts)
}

// writeAcross is a client for networks that lose hosts. go-redis stays with a Sentinel that it can't reach any more as long as
// its dial timeout is the first to run out: it must leave room for the read timeout, and for another try.
func (f *field) writeAcross(h *lab.Host, opts lab.WriterOptions) *lab.Writer {
	failover := lab.FailoverOptions(h, f.sentinels())
	failover.ReadTimeout, failover.DialTimeout = 400*time.Millisecond, time.Second
	return f.add(redis.NewFailoverClient(failover), opts)
}

// cling starts a client on the host of a server that writes to it, whatever others say.
func (f *field) cling(server *lab.Redis, opts lab.WriterOptions) *lab.Writer {
	return f.add(server.Client(), opts)
}

// add starts a writer with keys of its own.
func (f *field) add(client *redis.Client, opts lab.WriterOptions) *lab.Writer {
	w := lab.StartWriter(client, fmt.Sprintf("writer-%d", len(f.writers)), opts)
	f.writers = append(f.writers, w)
	return w
}

// warm waits until these writers write, and a while longer.
func (f *field) warm(ctx context.Context, writers ...*lab.Writer) error {
	for _, w := range writers {
		if _, err := next(ctx, w, time.Now()); err != nil {
			return err
		}
	}
	lab.Pause(ctx, f.pace.calm)
	return ctx.Err()
}

// next gives the time of the first write that is acknowledged after t.
func next(ctx context.Context, w *lab.Writer, t time.Time) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return w.FirstAfter(ctx, t)
}

// inFlight is how long a reply that left before a fault may stand in a socket.
const inFlight = 5 * time.Millisecond

// tally is what became of acknowledged writes.
type tally struct{ acked, lost int }

// account ends writers and looks for what was acknowledged to them on the surviving master.
func (f *field) account(ctx context.Context, master *lab.Redis, writers ...*lab.Writer) (all, waited tally, err error) {
	client := master.Client()
	defer client.Close()
	for _, w := range writers {
		w.Stop()
		var safe, plain []lab.Ack
		for _, a := range w.Acked() {
			if a.Waited {
				safe = append(safe, a)
			} else {
				plain = append(plain, a)
			}
		}
		lostSafe, err := lab.Lost(ctx, client, safe)
		if err != nil {
			return all, waited, err
		}
		lostPlain, err := lab.Lost(ctx, client, plain)
		if err != nil {
			return all, waited, err
		}
		all.acked, all.lost = all.acked+len(safe)+len(plain), all.lost+lostSafe+lostPlain
		waited.acked, waited.lost = waited.acked+len(safe), waited.lost+lostSafe
	}
	return all, waited, nil
}

// sentAfter counts the acknowledged writes that were sent after t, so that no clock can be blamed for one.
func sentAfter(w *lab.Writer, t time.Time) int {
	n := 0
	for _, a := range w.Acked() {
		if a.Sent.After(t) {
			n++
		}
	}
	return n
}

// ackedAfter counts the writes that were acknowledged after t.
func ackedAfter(w *lab.Writer, t time.Time) int {
	n := 0
	for _, a := range w.Acked() {
		if a.At.After(t) {
			n++
		}
	}
	return n
}

// longest is the longest time without an acknowledgement between two instants.
func longest(w *lab.Writer, from, to time.Time) time.Duration {
	acked := w.Acked()
	within := slices.DeleteFunc(acked, func(a lab.Ack) bool { return a.At.After(to) })
	return lab.LongestGap(append(within, lab.Ack{At: to}), from)
}
