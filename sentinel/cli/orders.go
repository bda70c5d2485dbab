package cli

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"picket/config"
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
	return o.carryOut(ctx, "/v1/switchover", order, order.Master, !order.At.IsZero())
}

// Failover fails a master over whatever its health, and tells the steps.
func (o Orders) Failover(ctx context.Context, order api.FailoverOrder) error {
	order.Who = o.Who
	return o.carryOut(ctx, "/v1/failover", order, order.Master, false)
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

func (o Orders) carryOut(ctx context.Context, path string, order any, master string, later bool) error {
	before, err := Fetch(ctx, o.Client)
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
	return o.follow(ctx, master, newest(before.Events))
}

func (o Orders) call(ctx context.Context, method, path string, order any) (m picture.Master, err error) {
	return m, o.Client.call(ctx, method, path, order, &m)
}

func newest(events []state.Event) uint64 {
	if len(events) == 0 {
		return 0
	}
	return events[len(events)-1].ID
}

// followEvery is how often the agent is asked how it goes on.
const followEvery = 20 * time.Millisecond

// follow tells the committed steps that are newer than an event, until the failover has ended.
func (o Orders) follow(ctx context.Context, master string, told uint64) error {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	start := int64(0)
	for {
		p, err := Fetch(ctx, o.Client)
		if err != nil {
			return fmt.Errorf("%w; `picket status` at another agent shows how the failover goes on", err)
		}
		for _, e := range p.Events {
			if e.ID <= told || e.Master != master {
				continue
			}
			told = e.ID
			if start == 0 {
				start = e.At
			}
			if err := o.tell(e, "%6d ms  %s\n", (e.At-start)/int64(time.Millisecond), describeStep(e)); err != nil {
				return err
			}
			switch e.Type {
			case state.FailoverEnded:
				return nil
			case state.FailoverAborted:
				return fmt.Errorf("the failover of %s was given up: %s; nothing has changed", master, e.Data.Why)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the end of the failover: %w; `picket status` shows how it goes on", ctx.Err())
		}
	}
}

// describeStep tells a step of a failover in a line.
func describeStep(e state.Event) string {
	d := e.Data
	switch e.Type {
	case state.FailoverBegun:
		return fmt.Sprintf("begun in epoch %d: %s", e.Epoch, d.Evidence)
	case state.FailoverPromoting:
		return fmt.Sprintf("%s is chosen: %s", d.To, d.Why)
	case state.FailoverSwitched:
		return fmt.Sprintf("%s is the master, clients are told", d.To)
	case state.FailoverRepointed:
		return fmt.Sprintf("%s follows it", d.Replica)
	case state.FailoverEnded:
		return "ended " + d.Why
	case state.FailoverAborted:
		return "given up: " + d.Why
	}
	return string(e.Type)
}
