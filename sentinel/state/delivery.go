package state

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/monitor"
)

// Cursor is how far an endpoint has been told, and what it could not be told.
type Cursor struct {
	Endpoint string
	ID       uint64 // it was told of all events up to and including this one, or will not be
	// Ahead are the lanes in which it was told more than that, sorted by lane. One that does not lead beyond ID is dropped, so that
	// there are never more than there are lanes with news since the oldest event that waits.
	Ahead    []Ahead
	Disabled *Disabled // nil: it is not
	Dead     []Letter  // sorted by event
	Dropped  uint64    // how many dead letters were lost, because there were too many
	Gap      *Gap      // what the history forgot before the endpoint was told, and it does not know yet; nil: nothing
	// Rewound is the index of the entry that last took the cursor back; what was agreed about the cursor before does not count any more.
	Rewound uint64
}

// Ahead is how far an endpoint was told in one lane. In a lane events are delivered one after the other.
type Ahead struct {
	Lane string // see MasterLane and EventLane
	ID   uint64
}

// MasterLane is the lane of all events of a master; empty: of those that concern no master.
func MasterLane(master string) string { return master }

// EventLane is the lane of one event alone. It can't be a master's name.
func EventLane(id uint64) string { return "#" + strconv.FormatUint(id, 10) }

// Disabled says that an endpoint wants nothing more (410).
type Disabled struct {
	At     monitor.Moment
	Target string // fingerprint of its address: another address is another receiver
}

// Letter is an event that could not be delivered, or that somebody wants delivered again.
type Letter struct {
	Event    Event
	At       monitor.Moment // when it was given up
	Attempts int            // by the leader that gave it up
	Error    string         // of the last attempt
	Again    monitor.Moment // since when it is to be delivered again; 0: it is not
}

// Gap is a part of the history that was forgotten before an endpoint was told of it.
type Gap struct {
	After, UpTo uint64         // it lies after the first, and ends with the second
	Events      uint64         // at most so many
	At          monitor.Moment // when its newest event happened
}

// Limits of what is kept for an endpoint.
const (
	MaxDead  = 100   // dead letters
	MaxAhead = 1_000 // lanes
	maxError = 300   // bytes of an error
)

// DeliveryKind says what was agreed about an endpoint.
type DeliveryKind uint8

const (
	DeliveryTold      DeliveryKind = iota + 1 // it was told up to ID, and in lanes up to Ahead
	DeliveryDied                              // the event of ID is given up: it becomes a dead letter; its lane goes on
	DeliveryGone                              // it wants nothing more; Target is its address
	DeliveryEnabled                           // it is told again
	DeliveryAgain                             // the event of ID is to be delivered again, dead or not
	DeliveryAgainAll                          // all dead letters are
	DeliveryRewound                           // everything after ID is
	DeliverySettled                           // the letter of ID was delivered
	DeliveryFailed                            // the letter of ID could not be delivered again
	DeliveryGapTold                           // it knows what was forgotten up to ID
	DeliveryForgotten                         // the dead letter of ID is dropped; 0: all are
	DeliveryRemoved                           // no file names it any more
	deliveryKinds
)

// Delivery is what becomes of one endpoint.
type Delivery struct {
	Kind     DeliveryKind
	Endpoint string
	Of       uint64 // the cursor's Rewound that it is about; not of what operators want
	ID       uint64
	Ahead    []Ahead
	Lane     string // of the event that is given up
	Attempts int
	Error    string
	Target   string
	Who      string
}

// Told says whether an endpoint needs not be told of an event, in whichever order it is told.
func (c *Cursor) Told(e *Event) bool {
	return e.ID <= c.ID || c.ahead(MasterLane(e.Master)) >= e.ID || c.ahead(EventLane(e.ID)) >= e.ID
}

func (c *Cursor) ahead(lane string) uint64 {
	if a := find(c.Ahead, lane, laneKey); a != nil {
		return a.ID
	}
	return 0
}

// Letter finds a letter; nil if there is none of that event.
func (c *Cursor) Letter(event uint64) *Letter {
	if i, found := c.letter(event); found {
		return &c.Dead[i]
	}
	return nil
}

func (c *Cursor) letter(event uint64) (int, bool) {
	return slices.BinarySearchFunc(c.Dead, event, func(l Letter, id uint64) int { return cmp.Compare(l.Event.ID, id) })
}

func laneKey(a *Ahead) string { return a.Lane }

// Event finds an event in the history; nil: it is forgotten, or there was none.
func (s *State) Event(id uint64) *Event {
	i, found := slices.BinarySearchFunc(s.Events, id, func(e Event, id uint64) int { return cmp.Compare(e.ID, id) })
	if !found {
		return nil
	}
	return &s.Events[i]
}

// deliver changes what is kept for an endpoint.
func (s *State) deliver(c Command, at position) (*State, error) {
	d := *c.Delivery
	known := find(s.Cursors, d.Endpoint, cursorKey)
	switch {
	case known == nil:
		return nil, fmt.Errorf("%w: webhook %q", ErrUnknown, d.Endpoint)
	case d.Kind <= DeliveryDied && d.Of != known.Rewound:
		return nil, fmt.Errorf("%w: the webhook %s was taken back", ErrStale, d.Endpoint)
	}
	cursor := *known
	switch d.Kind {
	case DeliveryTold:
		return s.told(cursor, d)
	case DeliveryDied:
		return s.died(cursor, c, at)
	case DeliveryGone, DeliveryEnabled:
		return s.enable(cursor, c, at)
	case DeliveryAgain:
		return s.again(cursor, c)
	case DeliveryAgainAll:
		return s.againAll(cursor, c)
	case DeliveryRewound:
		return s.rewind(cursor, d, at)
	case DeliverySettled, DeliveryFailed:
		return s.settle(cursor, c)
	case DeliveryGapTold:
		return s.gapTold(cursor, d)
	case DeliveryForgotten:
		return s.forgetLetters(cursor, c, at)
	case DeliveryRemoved:
		return s.removeCursor(cursor, c, at)
	}
	return nil, fmt.Errorf("%w: a delivery of kind %d", ErrInvalid, d.Kind)
}

func (s *State) withCursor(c Cursor) *State {
	next := *s
	next.Cursors = with(s.Cursors, c, cursorKey)
	next.forget()
	return &next
}

// told joins what two leaders may have agreed on: the farthest counts, in every lane.
func (s *State) told(c Cursor, d Delivery) (*State, error) {
	next, changed := c, d.ID > c.ID
	next.ID = max(c.ID, d.ID)
	for _, a := range d.Ahead {
		if a.ID > max(next.ID, next.ahead(a.Lane)) {
			next.Ahead, changed = with(next.Ahead, a, laneKey), true
		}
	}
	if !changed {
		return nil, nil
	}
	next.drop()
	if len(next.Ahead) > MaxAhead {
		return nil, fmt.Errorf("%w: %s is ahead in more than %d lanes", ErrInvalid, c.Endpoint, MaxAhead)
	}
	return s.withCursor(next), nil
}

// drop takes those lanes away that say no more than the cursor's ID.
func (c *Cursor) drop() {
	if slices.ContainsFunc(c.Ahead, func(a Ahead) bool { return a.ID <= c.ID }) {
		c.Ahead = slices.DeleteFunc(slices.Clone(c.Ahead), func(a Ahead) bool { return a.ID <= c.ID })
	}
}

// died makes an event a dead letter, of which the others are told. An endpoint is not told that it could not be told.
func (s *State) died(c Cursor, command Command, at position) (*State, error) {
	d := command.Delivery
	e := s.Event(d.ID)
	switch {
	case e == nil:
		return nil, fmt.Errorf("%w: event %d is forgotten", ErrStale, d.ID)
	case c.Told(e):
		return nil, nil
	case len(c.Ahead) >= MaxAhead && c.ahead(d.Lane) == 0:
		return nil, fmt.Errorf("%w: %s is ahead in %d lanes", ErrInvalid, c.Endpoint, MaxAhead)
	}
	c.Ahead = with(c.Ahead, Ahead{d.Lane, d.ID}, laneKey)
	letter := Letter{Event: *e, At: command.At, Attempts: d.Attempts, Error: shortened(d.Error)}
	if known := c.Letter(d.ID); known != nil {
		letter.Again = known.Again // somebody has asked for it meanwhile
	}
	dropped := c.bury(letter)
	next := s.withCursor(c)
	if e.Type.aboutWebhooks() {
		return next, nil // two receivers that are down must not keep each other's events going for ever
	}
	return next.withEvent(Event{ID: at.index, Type: WebhookDead, Epoch: at.term, At: command.At, Data: EventData{
		Endpoint: c.Endpoint, Event: d.ID, EventType: e.Type, Why: shortened(d.Error), Dropped: dropped,
	}}), nil
}

// bury keeps a letter. Where there are too many the oldest is lost, and given; 0: none is.
func (c *Cursor) bury(l Letter) (dropped uint64) {
	i, found := c.letter(l.Event.ID)
	c.Dead = slices.Clone(c.Dead)
	if found {
		c.Dead[i] = l
		return 0
	}
	c.Dead = slices.Insert(c.Dead, i, l)
	if len(c.Dead) > MaxDead {
		dropped = c.Dead[0].Event.ID
		c.Dead, c.Dropped = c.Dead[1:], c.Dropped+1
	}
	return dropped
}

// enable has an endpoint be told, or not.
func (s *State) enable(c Cursor, command Command, at position) (*State, error) {
	d := command.Delivery
	event := Event{ID: at.index, Type: WebhookEnabled, Epoch: at.term, At: command.At, Data: EventData{Endpoint: c.Endpoint, Who: d.Who}}
	switch {
	case (d.Kind == DeliveryGone) == (c.Disabled != nil):
		return nil, nil
	case d.Kind == DeliveryGone:
		c.Disabled = &Disabled{At: command.At, Target: d.Target}
		event.Type = WebhookDisabled
	default:
		c.Disabled = nil
	}
	return s.withCursor(c).withEvent(event), nil
}

// again has one event delivered again. One that was not given up becomes a letter, which stays if that fails.
func (s *State) again(c Cursor, command Command) (*State, error) {
	id := command.Delivery.ID
	letter := Letter{At: command.At, Error: "asked for again"}
	switch known, e := c.Letter(id), s.Event(id); {
	case known != nil:
		letter = *known
	case e == nil:
		return nil, fmt.Errorf("%w: event %d is no dead letter of %s, and the history does not hold it", ErrUnknown, id, c.Endpoint)
	case len(c.Dead) >= MaxDead:
		return nil, fmt.Errorf("%w: %s has %d dead letters, and no room for another event: drop some, or have them delivered again",
			ErrInvalid, c.Endpoint, len(c.Dead))
	default:
		letter.Event = *e
	}
	letter.Again = command.At
	c.bury(letter)
	return s.withCursor(c), nil
}

func (s *State) againAll(c Cursor, command Command) (*State, error) {
	if len(c.Dead) == 0 {
		return nil, nil
	}
	c.Dead = slices.Clone(c.Dead)
	for i := range c.Dead {
		c.Dead[i].Again = command.At
	}
	return s.withCursor(c), nil
}

// rewind has everything delivered again that happened after an event.
func (s *State) rewind(c Cursor, d Delivery, at position) (*State, error) {
	switch {
	case d.ID < s.Forgotten:
		return nil, fmt.Errorf("%w: the history begins after event %d", ErrUnknown, s.Forgotten)
	case d.ID > s.Latest():
		return nil, fmt.Errorf("%w: the newest event is %d", ErrUnknown, s.Latest())
	}
	c.ID, c.Ahead, c.Rewound = d.ID, nil, at.index
	return s.withCursor(c), nil
}

// settle ends that a letter is delivered again.
func (s *State) settle(c Cursor, command Command) (*State, error) {
	d := command.Delivery
	i, found := c.letter(d.ID)
	if !found || c.Dead[i].Again == 0 {
		return nil, nil // it was dropped meanwhile
	}
	c.Dead = slices.Clone(c.Dead)
	if d.Kind == DeliverySettled {
		c.Dead = slices.Delete(c.Dead, i, i+1)
	} else {
		l := &c.Dead[i]
		l.Again, l.At, l.Attempts, l.Error = 0, command.At, d.Attempts, shortened(d.Error)
	}
	return s.withCursor(c), nil
}

func (s *State) gapTold(c Cursor, d Delivery) (*State, error) {
	switch {
	case c.Gap == nil || d.ID <= c.Gap.After:
		return nil, nil
	case d.ID < c.Gap.UpTo: // it has grown since; how many of its events are new is not known exactly
		gap := *c.Gap
		gap.After, gap.Events = d.ID, min(gap.Events, gap.UpTo-d.ID)
		c.Gap = &gap
	default:
		c.Gap = nil
	}
	return s.withCursor(c), nil
}

func (s *State) forgetLetters(c Cursor, command Command, at position) (*State, error) {
	d, n := command.Delivery, len(c.Dead)
	c.Dead = slices.DeleteFunc(slices.Clone(c.Dead), func(l Letter) bool { return d.ID == 0 || l.Event.ID == d.ID })
	switch {
	case d.ID != 0 && len(c.Dead) == n:
		return nil, fmt.Errorf("%w: event %d is no dead letter of %s", ErrUnknown, d.ID, c.Endpoint)
	case n == 0:
		return nil, nil
	}
	return s.withCursor(c).withEvent(Event{ID: at.index, Type: WebhookDropped, Epoch: at.term, At: command.At, Data: EventData{
		Endpoint: c.Endpoint, Letters: n - len(c.Dead), Who: d.Who,
	}}), nil
}

func (s *State) removeCursor(c Cursor, command Command, at position) (*State, error) {
	next := *s
	next.Cursors = slices.DeleteFunc(slices.Clone(s.Cursors), func(other Cursor) bool { return other.Endpoint == c.Endpoint })
	next.forget()
	return next.withEvent(Event{ID: at.index, Type: WebhookRemoved, Epoch: at.term, At: command.At, Data: EventData{
		Endpoint: c.Endpoint, Letters: len(c.Dead),
	}}), nil
}

// miss notes in the cursors of those that were not told of the oldest event that it is forgotten.
func (s *State) miss(e *Event) {
	for i := range s.Cursors {
		c := s.Cursors[i]
		if c.Told(e) {
			continue
		}
		gap := Gap{After: c.ID}
		if c.Gap != nil {
			gap = *c.Gap
		}
		gap.UpTo, gap.Events, gap.At = e.ID, gap.Events+1, e.At
		c.Gap = &gap
		s.Cursors = with(s.Cursors, c, cursorKey)
	}
}

// shortened bounds what receivers and networks have this state hold.
func shortened(text string) string {
	if len(text) > maxError {
		text = text[:maxError-len(dots)] + dots
	}
	return strings.ToValidUTF8(text, "")
}

const dots = "..."
