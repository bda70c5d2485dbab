package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"picket/config"
	"picket/failover"
	"picket/sentinel/api"
	"picket/sentinel/picture"
	"picket/sentinel/state"
)

// Orders have a master handed over, by way of an agent, and tell its steps.
type Orders struct {
	Client *Client
	Who    string // orders it
	Out    io.Writer
	Format Format
}

// Switchover hands a healthy master over, and tells its steps until it has ended; one for later is only agreed.
func (o Orders) Switchover(ctx context.Context, order api.SwitchoverOrder) error {
	order.Who = o.Who
	return o.carryOut(ctx, "/v1/switchover", order, order.Master, !order.At.IsZero(), false)
}

// Failover fails a master over whatever its health, and tells the steps.
func (o Orders) Failover(ctx context.Context, order api.FailoverOrder) error {
	order.Who = o.Who
	return o.carryOut(ctx, "/v1/failover", order, order.Master, false, order.AllowDataLoss)
}

// Forget drops a replica that is gone for good.
func (o Orders) Forget(ctx context.Context, master string, server config.Addr) error {
	m, err := o.call(ctx, http.MethodDelete, "/v1/masters/"+url.PathEscape(master)+"/replicas/"+url.PathEscape(string(server)), nil)
	if err != nil {
		return err
	}
	return o.tell(m, "%s is forgotten; if it comes back as a replica of %s, it is known again\n", server, master)
}

// Cancel takes back a switchover that is ordered for later.
func (o Orders) Cancel(ctx context.Context, master string) error {
	m, err := o.call(ctx, http.MethodDelete, "/v1/switchover?"+url.Values{"master": {master}, "who": {o.Who}}.Encode(), nil)
	if err != nil {
		return err
	}
	return o.tell(m, "the switchover of %s is cancelled\n", master)
}

// tell prints a fact, or words for people.
func (o Orders) tell(value any, words string, args ...any) error {
	return o.Format.Write(o.Out, Answer{value, func(out io.Writer) error {
		_, err := fmt.Fprintf(out, words, args...)
		return err
	}})
}

func (o Orders) carryOut(ctx context.Context, path string, order any, master string, later, joins bool) error {
	before, err := Events{Client: o.Client}.List(ctx, "", 1)
	if err != nil {
		return err
	}
	m, err := o.call(ctx, http.MethodPost, path, order)
	if err != nil {
		return err
	}
	if later && m.Scheduled != nil {
		return o.tell(m, "the switchover of %s is due at %s; picket switchover %s --cancel takes it back\n",
			master, m.Scheduled.At.Local().Format(time.DateTime), master)
	}
	running := uint64(0)
	if joins && m.Failover != nil {
		running = m.Failover.ID
	}
	return o.follow(ctx, master, before.Latest, running)
}

func (o Orders) call(ctx context.Context, method, path string, order any) (m picture.Master, err error) {
	return m, o.Client.call(ctx, method, path, order, &m)
}

// errOver ends the telling of steps.
var errOver = errors.New("the failover is over")

// follow tells the committed steps after an event, until the failover has ended: the one that runs already, or else the one that begins. The agent
// may not have heard yet of the end of another one before.
func (o Orders) follow(ctx context.Context, master string, after, running uint64) error {
	var first time.Time
	var end error
	err := Events{Client: o.Client, Masters: []string{master}}.Follow(ctx, strconv.FormatUint(after, 10), func(t Told) error {
		if t.Gap != nil {
			if err := o.Format.Write(o.Out, Answer{t, func(out io.Writer) error { return WriteTold(out, t) }}); err != nil {
				return err
			}
			p, err := o.past(ctx, master, after, running)
			if err != nil || p == nil {
				return err
			}
			running = p.Record.ID
			if p.Record.Phase != failover.Ended {
				return nil // that will be told
			}
			if p.Record.Outcome == failover.Aborted {
				end = givenUp(master, p.Record.Why)
			}
			return cmp.Or(o.Format.Write(o.Out, Answer{p, func(out io.Writer) error { return WritePast(out, *p) }}), errOver)
		}
		at, err := time.Parse(time.RFC3339Nano, t.Time)
		if err != nil {
			return fmt.Errorf("read the time of event %s: %w", t.ID, err)
		}
		if first.IsZero() {
			first = at
		}
		kind := kindOf(*t.CloudEvent)
		if kind == state.FailoverBegun {
			running = t.Data.Failover
		}
		if err := o.tell(t, "%6d ms  %s\n", at.Sub(first).Milliseconds(), describeEvent(kind, *t.CloudEvent)); err != nil {
			return err
		}
		switch {
		case t.Data.Failover != running:
		case kind == state.FailoverEnded:
			return errOver
		case kind == state.FailoverAborted:
			end = givenUp(master, t.Data.Why)
			return errOver
		}
		return nil
	})
	if errors.Is(err, errOver) {
		return end
	}
	if err == nil {
		err = ctx.Err()
	}
	return &LostError{fmt.Errorf("wait for the end of the failover: %w", err)}
}

// past asks what became of the failover that runs already or, where its beginning may be forgotten, too, of the first one after an event; nil: none began.
func (o Orders) past(ctx context.Context, master string, after, running uint64) (found *api.Past, err error) {
	list, err := History(ctx, o.Client, master, usualPasts)
	for i, p := range list.Failovers { // the newest first
		if id := p.Record.ID; id == running || running == 0 && id > after {
			found = &list.Failovers[i]
		}
	}
	return found, err
}

// usualPasts is many more than there are in a gap.
const usualPasts = 20

func givenUp(master, why string) error {
	return fmt.Errorf("the failover of %s was given up: %s; nothing has changed", master, why)
}
