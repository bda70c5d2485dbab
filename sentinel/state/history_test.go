package state

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// named is a name in an epoch: there is one master of it, whatever was removed and made known again in between.
type named struct {
	name  string
	epoch uint64
}

func TestHistory_IsBoundedAndKeepsWhatNobodyWasTold(t *testing.T) {
	m := NewMachine()
	index := uint64(0)
	do := func(c Command) {
		t.Helper()
		index++
		if err := apply(t, m, index, 1, c); err != nil {
			t.Fatal(err)
		}
	}
	register := func(n int) {
		for range n {
			do(Command{RegisterAgent: &Agent{ID: "a", Host: fmt.Sprint(index)}})
		}
	}
	register(keptEvents + 10)
	if got := len(m.State().Events); got != keptEvents {
		t.Errorf("%d events without endpoints, want %d", got, keptEvents)
	}
	if got := m.State().Forgotten; got != 10 {
		t.Errorf("forgotten up to %d, want 10", got)
	}
	do(Command{AdvanceCursor: &Cursor{Endpoint: "told", ID: 1 << 40}}) // of everything
	told := index
	do(Command{AdvanceCursor: &Cursor{Endpoint: "ops", ID: told}})
	register(keptEvents + 500)
	if first := m.State().Events[0].ID; first > told+2 {
		t.Errorf("event %d is the oldest, but the endpoint was told up to %d only", first, told)
	}
	do(Command{AdvanceCursor: &Cursor{Endpoint: "ops", ID: index}})
	if got := len(m.State().Events); got != keptEvents {
		t.Errorf("%d events after the endpoint was told, want %d", got, keptEvents)
	}
	told = index
	register(maxEvents)
	if gap := m.State().Cursor("ops").Gap; gap != nil {
		t.Errorf("there is a gap already: %+v", *gap)
	}
	register(3)
	if got := len(m.State().Events); got != maxEvents {
		t.Errorf("%d events while the endpoint is gone, want %d", got, maxEvents)
	}
	want := Gap{After: told - 1, UpTo: told + 3, Events: 3}
	if gap := m.State().Cursor("ops").Gap; gap == nil || *gap != want {
		t.Errorf("gap %+v, want %+v", gap, want)
	}
	// What is told while the gap grows is a part of it.
	register(2)
	do(Command{Delivery: &Delivery{Kind: DeliveryGapTold, Endpoint: "ops", ID: told + 3}})
	want = Gap{After: told + 3, UpTo: told + 5, Events: 2}
	if gap := m.State().Cursor("ops").Gap; gap == nil || *gap != want {
		t.Errorf("gap %+v, want %+v", gap, want)
	}
	do(Command{Delivery: &Delivery{Kind: DeliveryGapTold, Endpoint: "ops", ID: told + 5}})
	if gap := m.State().Cursor("ops").Gap; gap != nil {
		t.Errorf("it was told of the gap %+v", *gap)
	}
	// Nothing is kept for one that may never want more.
	do(Command{Delivery: &Delivery{Kind: DeliveryGone, Endpoint: "ops"}})
	if got := len(m.State().Events); got != keptEvents {
		t.Errorf("%d events for an endpoint that is disabled, want %d", got, keptEvents)
	}
	if gap := m.State().Cursor("ops").Gap; gap == nil || gap.UpTo != m.State().Forgotten {
		t.Errorf("gap %+v, forgotten up to %d", gap, m.State().Forgotten)
	}
	if gap := m.State().Cursor("told").Gap; gap != nil {
		t.Errorf("one that was told of everything has the gap %+v", *gap)
	}
	// What is forgotten can't be told again.
	rewound := func(to uint64) Command {
		return Command{Delivery: &Delivery{Kind: DeliveryRewound, Endpoint: "told", ID: to}}
	}
	if err := apply(t, m, index+1, 1, rewound(m.State().Forgotten-1)); !errors.Is(err, ErrUnknown) {
		t.Errorf("taken back to what is forgotten: %v", err)
	}
	do(rewound(m.State().Forgotten))
}

// TestDeadLetters_AreBounded shows that the oldest is lost when there are too many, and that others hear of it.
func TestDeadLetters_AreBounded(t *testing.T) {
	m := NewMachine()
	index := uint64(0)
	do := func(c Command) error {
		index++
		return apply(t, m, index, 1, c)
	}
	if err := do(Command{AdvanceCursor: &Cursor{Endpoint: "ops"}}); err != nil {
		t.Fatal(err)
	}
	for i := range MaxDead + 2 {
		if err := do(Command{RegisterAgent: &Agent{ID: "a", Host: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
		if err := do(Command{Delivery: &Delivery{
			Kind: DeliveryDied, Endpoint: "ops", ID: index, Lane: "", Error: strings.Repeat("é", maxError),
		}}); err != nil {
			t.Fatal(err)
		}
	}
	c := m.State().Cursor("ops")
	if len(c.Dead) != MaxDead || c.Dropped != 2 || c.Dead[0].Event.ID != 6 {
		t.Errorf("%d letters, %d dropped, the oldest of event %d", len(c.Dead), c.Dropped, c.Dead[0].Event.ID)
	}
	if e := c.Dead[0].Error; len(e) > maxError || !utf8.ValidString(e) {
		t.Errorf("an error of %d bytes: %q", len(e), e)
	}
	if e := m.State().Event(index); e == nil || e.Type != WebhookDead || e.Data.Dropped != 4 {
		t.Errorf("the last event is %+v", e)
	}
	if err := do(Command{RegisterAgent: &Agent{ID: "a", Host: "new"}}); err != nil {
		t.Fatal(err)
	}
	if err := do(Command{Delivery: &Delivery{Kind: DeliveryAgain, Endpoint: "ops", ID: index}}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a letter too many is asked for: %v", err)
	}
}

// TestAhead_IsBounded shows that an endpoint can't have the state hold more lanes than there may be.
func TestAhead_IsBounded(t *testing.T) {
	m := NewMachine()
	if err := apply(t, m, 1, 1, Command{AdvanceCursor: &Cursor{Endpoint: "ops"}}); err != nil {
		t.Fatal(err)
	}
	tell := func(lanes int) error {
		var ahead []Ahead
		for i := range lanes {
			ahead = append(ahead, Ahead{fmt.Sprint("m", i), 9})
		}
		return apply(t, m, 2, 1, Command{Delivery: &Delivery{Kind: DeliveryTold, Endpoint: "ops", Ahead: ahead}})
	}
	if err := tell(MaxAhead + 1); !errors.Is(err, ErrInvalid) {
		t.Errorf("too many lanes: %v", err)
	}
	if err := tell(MaxAhead); err != nil {
		t.Error(err)
	}
	if err := apply(t, m, 20, 1, Command{RegisterAgent: &Agent{ID: "a"}}); err != nil {
		t.Fatal(err)
	}
	giveUp := func(lane string) error {
		return apply(t, m, 21, 1, Command{Delivery: &Delivery{Kind: DeliveryDied, Endpoint: "ops", ID: 20, Lane: lane}})
	}
	if err := giveUp("one more"); !errors.Is(err, ErrInvalid) {
		t.Errorf("an event of one more lane is given up: %v", err)
	}
	if err := giveUp("m0"); err != nil {
		t.Error(err)
	}
}

// TestCursors_AreBounded: names of webhooks that come and go must not have the state grow for ever.
func TestCursors_AreBounded(t *testing.T) {
	m := NewMachine()
	for i := range uint64(maxCursors + 1) {
		err := apply(t, m, i+1, 1, Command{AdvanceCursor: &Cursor{Endpoint: fmt.Sprint(i)}})
		if full := i == maxCursors; full != errors.Is(err, ErrInvalid) || !full && err != nil {
			t.Fatalf("cursor %d: %v", i+1, err)
		}
	}
	if err := apply(t, m, 1000, 1, Command{AdvanceCursor: &Cursor{Endpoint: "0", ID: 1}}); err != nil {
		t.Errorf("one that there is goes on: %v", err)
	}
}

func TestAfter_GivesEventsInOrderFromAnyID(t *testing.T) {
	m := NewMachine()
	for i := range uint64(5) {
		if err := apply(t, m, (i+1)*10, 1, Command{RegisterAgent: &Agent{ID: fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		id    uint64
		limit int
		want  []uint64
	}{
		{0, 10, []uint64{10, 20, 30, 40, 50}}, {10, 2, []uint64{20, 30}}, {15, 1, []uint64{20}}, {50, 10, nil}, {49, 0, nil},
	} {
		var got []uint64
		for _, e := range m.State().After(tc.id, tc.limit) {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("After(%d, %d) = %v, want %v", tc.id, tc.limit, got, tc.want)
		}
	}
}
