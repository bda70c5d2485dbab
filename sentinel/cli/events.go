package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"picket/failover"
	"picket/sentinel/api"
	"picket/sentinel/events"
	"picket/sentinel/state"
)

// Events asks for what was agreed.
type Events struct {
	Client  *Client
	Types   []string // or beginnings, like failover.*; none: all
	Masters []string // none: all
}

func (e Events) query(after string) url.Values {
	q := url.Values{"type": e.Types, "master": e.Masters}
	if after != "" {
		q.Set("after", after)
	}
	return q
}

// List gives the events after an id or, without one, the latest, oldest first.
func (e Events) List(ctx context.Context, after string, limit int) (list api.Events, err error) {
	q := e.query(after)
	q.Set("limit", strconv.Itoa(limit))
	return list, e.Client.call(ctx, http.MethodGet, "/v1/events?"+q.Encode(), nil, &list)
}

// Told is an element of a stream: an event, or a gap.
type Told struct {
	*events.CloudEvent
	Gap *api.Gap `json:"gap,omitempty"`
}

// again is the pause before another stream is asked for, when one has ended.
const again = time.Second

// Follow tells events as they come, after an id or from now on, until ctx ends or tell fails. When an agent is gone, another goes on where that was.
func (e Events) Follow(ctx context.Context, after string, tell func(Told) error) error {
	for {
		failed := e.stream(ctx, &after, tell)
		switch told := (*tellError)(nil); {
		case ctx.Err() != nil:
			return nil // somebody has seen enough
		case errors.As(failed, &told):
			return told.err
		case failed != nil && !passing(failed):
			return failed
		case failed != nil:
			e.Client.note("%v; asking again until it answers\n", failed)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
	}
}

// passing says whether a stream may be had later.
func passing(err error) bool {
	var p api.Problem
	return !errors.As(err, &p) || p.Status >= http.StatusInternalServerError
}

// tellError is of who is told, not of who tells.
type tellError struct{ err error }

func (t *tellError) Error() string { return t.err.Error() }

func (e Events) stream(ctx context.Context, after *string, tell func(Told) error) error {
	response, err := e.Client.send(ctx, request{method: http.MethodGet, path: "/v1/events/stream?" + e.query(*after).Encode(), silence: silence})
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return serverSent(response.Body, func(name, id, data string) error {
		if data == "" {
			*after = id
			return nil
		}
		told := Told{}
		var err error
		if name == api.EventGap {
			told.Gap = &api.Gap{}
			err = json.Unmarshal([]byte(data), told.Gap)
		} else {
			told.CloudEvent = &events.CloudEvent{}
			err = json.Unmarshal([]byte(data), told.CloudEvent)
		}
		if err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if id != "" {
			*after = id
		}
		if err := tell(told); err != nil {
			return &tellError{err}
		}
		return nil
	})
}

// maxEventLine bounds a line of a stream: a compaction holds the whole map.
const maxEventLine = maxBody

// serverSent reads server-sent events up to the end of the stream. Picket's have one line of data each, which comes last; or none, but an id: everything up
// to it was told.
func serverSent(stream io.Reader, each func(name, id, data string) error) error {
	in := bufio.NewScanner(stream)
	in.Buffer(nil, maxEventLine)
	in.Split(func(data []byte, _ bool) (int, []byte, error) { return bufio.ScanLines(data, false) }) // what was cut short says nothing
	name, id, over := "", "", false
	for in.Scan() {
		field, value, comment := strings.Cut(in.Text(), ": ")
		switch field {
		case "":
			if comment {
				continue
			}
			if id != "" && !over {
				if err := each("", id, ""); err != nil {
					return err
				}
			}
			name, id, over = "", "", false // the event before is over
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			over = true
			if err := each(name, id, value); err != nil {
				return err
			}
		}
	}
	return in.Err()
}

// WriteEvents writes events as a table.
func WriteEvents(out io.Writer, list api.Events) error {
	page := &page{out: out}
	if list.Gap {
		page.say(doubt, "events up to %d are forgotten", list.Forgotten)
	}
	var g grid
	g.head("ID", "TIME", "EVENT", "MASTER", "WHAT")
	for _, e := range list.Events {
		g.event(e)
	}
	page.grid(g)
	return page.err
}

// WriteTold writes one event of a stream.
func WriteTold(out io.Writer, t Told) error {
	if t.Gap != nil {
		_, err := fmt.Fprintf(out, "events up to %d are forgotten\n", t.Gap.Forgotten)
		return err
	}
	var g grid
	g.event(*t.CloudEvent)
	return g.write(out)
}

func (g *grid) event(e events.CloudEvent) {
	kind := kindOf(e)
	when := e.Time
	if at, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
		when = at.Local().Format("2006-01-02 15:04:05.000")
	}
	g.row(e.Sequence, cell{when, faint}, cell{string(kind), eventInk(kind)}, orDash(e.Subject), describeEvent(kind, e))
}

// kindOf is the type of an event by its short name.
func kindOf(e events.CloudEvent) state.EventType {
	return state.EventType(strings.TrimSuffix(strings.TrimPrefix(e.Type, "io.picket."), ".v1"))
}

func eventInk(kind state.EventType) ink {
	switch kind {
	case state.FailoverAborted, state.FailoverDivergence:
		return bad
	case state.FailoverBegun, state.PauseBegun:
		return doubt
	case state.FailoverEnded, state.FailoverSwitched:
		return good
	}
	return plain
}

// describeEvent tells an event in a line.
func describeEvent(kind state.EventType, e events.CloudEvent) string {
	d := e.Data
	switch kind {
	case state.FailoverBegun:
		return fmt.Sprintf("begun in epoch %s: %s", e.Epoch, d.Evidence)
	case state.FailoverPromoting:
		return fmt.Sprintf("%s is chosen: %s", d.To, d.Why)
	case state.FailoverSwitched:
		return fmt.Sprintf("%s is the master, clients are told", d.To)
	case state.FailoverRepointed:
		return fmt.Sprintf("%s follows it", d.Replica)
	case state.FailoverEnded:
		return strings.TrimSpace("ended " + d.Why)
	case state.FailoverAborted:
		return "given up: " + d.Why
	}
	var words []string
	add := func(format, text string) {
		if text != "" {
			words = append(words, fmt.Sprintf(format, text))
		}
	}
	add("agent %s", d.Agent)
	add("replica %s", string(d.Replica))
	add("from %s", string(d.From))
	add("to %s", string(d.To))
	add("by %s", d.Who)
	add("until %s", d.Until)
	for _, c := range d.Changes {
		add("%s", c.Name)
	}
	text := strings.Join(words, " ")
	if d.Why != "" {
		text = strings.TrimPrefix(text+": "+d.Why, ": ")
	}
	return text
}

// History asks for failovers and switchovers that were, the newest first.
func History(ctx context.Context, c *Client, master string, limit int) (p api.Pasts, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if master != "" {
		q.Set("master", master)
	}
	return p, c.call(ctx, http.MethodGet, "/v1/history?"+q.Encode(), nil, &p)
}

// Past asks for one, by its id or its epoch.
func Past(ctx context.Context, c *Client, id string) (p api.Past, err error) {
	return p, c.call(ctx, http.MethodGet, "/v1/history/"+url.PathEscape(id), nil, &p)
}

// WriteHistory writes failovers as a table.
func WriteHistory(out io.Writer, list []api.Past) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "there was no failover yet, or none is remembered")
		return err
	}
	var g grid
	g.head("EPOCH", "BEGUN", "MASTER", "CAUSE", "FROM", "TO", "OUTCOME", "TOOK", "LOST")
	for _, p := range list {
		r := p.Record
		took, lost := "-", "-"
		if p.TookMS >= 0 {
			took = fmt.Sprintf("%d ms", p.TookMS)
		}
		if p.LostBytes != nil {
			lost = fmt.Sprintf("%d B", *p.LostBytes)
		}
		end := cell{outcome(&r), good}
		if r.Phase != failover.Ended || r.Outcome == failover.Aborted {
			end.ink = doubt
		}
		g.row(r.Epoch, r.BegunAt.Time().Format(time.DateTime), r.Master, r.Cause, r.Old, orDash(string(r.Target)), end, took, lost)
	}
	return g.write(out)
}

// WritePast tells the story of one failover, and how long its phases took.
func WritePast(out io.Writer, p api.Past) error {
	var s story
	s.failover(p.Record.Master, &p.Record)
	for _, phase := range p.Phases {
		took := "not over"
		if phase.TookMS >= 0 {
			took = fmt.Sprintf("%d ms", phase.TookMS)
		}
		s.add("  %-9s %s", phase.Name, took)
	}
	return s.write(out)
}
