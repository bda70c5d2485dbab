package session

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"picket/consensus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counter is an inner machine that counts how often it was asked to carry out each command.
type counter struct{ log []string }

func (c *counter) Apply(e consensus.Entry) any {
	c.log = append(c.log, string(e.Data))
	return fmt.Sprintf("%s is %d of %d", e.Data, len(c.log), e.Index)
}

func (c *counter) EncodeResult(result any) []byte { return []byte(result.(string)) }

func (c *counter) Snapshot() (func(io.Writer) error, error) {
	var out []byte
	for _, s := range c.log {
		out = append(binary.AppendUvarint(out, uint64(len(s))), s...)
	}
	return func(w io.Writer) error { _, err := w.Write(out); return err }, nil
}

func (c *counter) Restore(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.log = nil
	for len(data) > 0 {
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return errors.New("cut short")
		}
		c.log = append(c.log, string(data[n:n+int(size)]))
		data = data[n+int(size):]
	}
	return nil
}

func snapshot(t testing.TB, m *Machine) []byte {
	t.Helper()
	write, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func restored(t testing.TB, data []byte) *Machine {
	t.Helper()
	m := NewMachine(&counter{})
	if err := m.Restore(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return m
}

// show is a result of Machine.Apply as text.
func show(result any) string {
	if b, ok := result.([]byte); ok {
		return string(b)
	}
	return fmt.Sprint(result)
}

func TestMachine(t *testing.T) {
	open := command{}.encode()
	do := func(id ID, sequence, floor uint64, data string) []byte {
		return command{Session: id, Sequence: sequence, Floor: floor, Data: []byte(data)}.encode()
	}
	for _, tc := range []struct {
		name string
		log  [][]byte // from index 1 on
		want []string
	}{
		{"without a session", [][]byte{[]byte("a"), []byte("a")}, []string{"a is 1 of 1", "a is 2 of 2"}},
		{"a copy gets the first answer", [][]byte{open, do(1, 1, 1, "a"), do(1, 1, 1, "a"), do(1, 2, 1, "b")},
			[]string{"<nil>", "a is 1 of 2", "a is 1 of 2", "b is 2 of 4"}},
		{"sessions number for themselves", [][]byte{open, open, do(1, 1, 1, "a"), do(2, 1, 1, "b")},
			[]string{"<nil>", "<nil>", "a is 1 of 3", "b is 2 of 4"}},
		{"out of order", [][]byte{open, do(1, 3, 1, "c"), do(1, 1, 1, "a"), do(1, 3, 1, "c")},
			[]string{"<nil>", "c is 1 of 2", "a is 2 of 3", "c is 1 of 2"}},
		{"never opened", [][]byte{do(1, 1, 1, "a")}, []string{ErrExpired.Error()}},
		{"a copy after the client went on", [][]byte{open, do(1, 1, 1, "a"), do(1, 2, 2, "b"), do(1, 1, 1, "a")},
			[]string{"<nil>", "a is 1 of 2", "b is 2 of 3", errPassed.Error()}},
		{"given up before it came", [][]byte{open, do(1, 2, 2, "b"), do(1, 1, 1, "a")}, []string{"<nil>", "b is 1 of 2", errPassed.Error()}},
		{"a floor does not fall", [][]byte{open, do(1, 3, 3, "c"), do(1, 4, 1, "d"), do(1, 2, 1, "b")},
			[]string{"<nil>", "c is 1 of 2", "d is 2 of 3", errPassed.Error()}},
		{"as far ahead as may be", [][]byte{open, do(1, maxOpen, 1, "a"), do(1, maxOpen+1, 1, "b"), do(1, maxOpen+1, 2, "b")},
			[]string{"<nil>", "a is 1 of 2", errTooAhead.Error(), "b is 2 of 4"}},
		{"nonsense", [][]byte{open, do(1, 1, 2, "a"), do(1, 1, 0, "a"), append(do(1, 1, 1, "a"), 0), {Mark}, {Mark, 9}}, []string{"<nil>",
			"entry 2: decode a session's command: number 1 with floor 2", "entry 3: decode a session's command: number 1 with floor 0",
			"entry 4: decode a session's command: bytes are left over",
			"entry 5: decode a session's command: it is not of version 1: run the same version on all agents",
			"entry 6: decode a session's command: it is not of version 1: run the same version on all agents"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := NewMachine(&counter{})
			for i, data := range tc.log {
				if got := show(m.Apply(consensus.Entry{Index: consensus.Index(i + 1), Data: data})); got != tc.want[i] {
					t.Errorf("entry %d: %s, want %s", i+1, got, tc.want[i])
				}
			}
		})
	}
}

func TestMachine_TheSessionUsedLongestAgoMakesRoom(t *testing.T) {
	m := NewMachine(&counter{})
	index := consensus.Index(0)
	apply := func(c command) any {
		index++
		return m.Apply(consensus.Entry{Index: index, Data: c.encode()})
	}
	for range maxSessions {
		apply(command{})
	}
	used := apply(command{Session: 1, Sequence: 1, Floor: 1, Data: []byte("a")})
	apply(command{})
	if got := apply(command{Session: 2, Sequence: 1, Floor: 1}); got != ErrExpired {
		t.Errorf("session 2: %v, want it to have made room", got)
	}
	if got := apply(command{Session: 1, Sequence: 1, Floor: 1}); show(got) != show(used) {
		t.Errorf("session 1: %v, want %v", got, used)
	}
	if n := len(m.table.Sessions); n != maxSessions {
		t.Errorf("%d sessions", n)
	}
	if _, err := m.lookup(2, 1, index); !errors.Is(err, ErrExpired) {
		t.Errorf("looked up after it made room: %v", err)
	}
	if _, err := m.lookup(2, 1, 2); !errors.Is(err, consensus.ErrUnknown) {
		t.Errorf("looked up for an entry before it made room: %v", err)
	}
}

// twin is the machine as one would explain it: it remembers everything, and never counts by more than one.
type twin struct {
	inner    counter
	opened   []ID          // in the order of use
	floors   map[ID]uint64 // of all sessions ever
	answered map[ID]map[uint64]string
}

func (w *twin) apply(c command, at consensus.Index) string {
	if c.Session == 0 {
		if len(w.opened) == maxSessions {
			w.opened = w.opened[1:]
		}
		w.opened = append(w.opened, ID(at))
		w.floors[ID(at)], w.answered[ID(at)] = 1, map[uint64]string{}
		return "<nil>"
	}
	i := slices.Index(w.opened, c.Session)
	if i < 0 {
		return ErrExpired.Error()
	}
	w.opened = append(slices.Delete(w.opened, i, i+1), c.Session)
	floor := max(w.floors[c.Session], c.Floor)
	w.floors[c.Session] = floor
	if c.Sequence < floor {
		return errPassed.Error()
	}
	if known, ok := w.answered[c.Session][c.Sequence]; ok {
		return known
	}
	if c.Sequence >= floor+maxOpen {
		return errTooAhead.Error()
	}
	result := w.inner.Apply(consensus.Entry{Index: at, Data: c.Data}).(string)
	w.answered[c.Session][c.Sequence] = result
	return result
}

func TestMachine_IsLikeItsTwinAndSurvivesSnapshots(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m, slow := NewMachine(&counter{}), &twin{floors: map[ID]uint64{}, answered: map[ID]map[uint64]string{}}
		sessions := rapid.SampledFrom([]int{1, 3, maxSessions + 2}).Draw(rt, "sessions")
		index := consensus.Index(0)
		step := func(c command) {
			index++
			got, want := show(m.Apply(consensus.Entry{Index: index, Data: c.encode()})), slow.apply(c, index)
			if got != want {
				rt.Fatalf("entry %d, %+v: %s, want %s", index, c, got, want)
			}
		}
		for range sessions {
			step(command{})
		}
		for i := range rapid.IntRange(0, 60).Draw(rt, "n") {
			sequence := rapid.OneOf(rapid.Uint64Range(1, 8), rapid.Uint64Range(1, 2*maxOpen)).Draw(rt, "sequence")
			step(command{
				Session: ID(rapid.IntRange(1, min(sessions, 4)).Draw(rt, "session")), Sequence: sequence,
				Floor: max(1, sequence-min(sequence, rapid.Uint64Range(0, maxOpen).Draw(rt, "behind"))), Data: fmt.Append(nil, i),
			})
			if i%8 == 0 {
				before := snapshot(t, m)
				m = restored(t, before)
				if !bytes.Equal(before, snapshot(t, m)) {
					rt.Fatal("a restored machine has other bytes")
				}
			}
		}
	})
}

func TestRestore(t *testing.T) {
	m := NewMachine(&counter{})
	for i, c := range []command{{}, {Session: 1, Sequence: 1, Floor: 1, Data: []byte("a")}} {
		m.Apply(consensus.Entry{Index: consensus.Index(i + 1), Data: c.encode()})
	}
	whole := snapshot(t, m)
	inner := &counter{log: []string{"a", "b"}}
	write, _ := inner.Snapshot()
	var plain bytes.Buffer
	if err := write(&plain); err != nil {
		t.Fatal(err)
	}
	if got := restored(t, plain.Bytes()).inner.(*counter).log; !slices.Equal(got, inner.log) {
		t.Errorf("the inner machine's own snapshot gives %v", got)
	}
	if got := restored(t, nil).inner.(*counter).log; len(got) != 0 {
		t.Errorf("nothing gives %v", got)
	}
	with := func(r ...record) []byte {
		return snapshot(t, &Machine{inner: &counter{}, table: table{Sessions: r}})
	}
	for name, data := range map[string][]byte{
		"cut in the head": whole[:3], "cut in the table": whole[:12], "other version": {Mark, 9, 0, 0, 0, 0},
		"no table":           {Mark, version, 0, 0, 0, 0},
		"endless table":      {Mark, version, 0xff, 0xff, 0xff, 0xff},
		"not sorted":         with(record{ID: 2, Used: 2, Floor: 1}, record{ID: 1, Used: 2, Floor: 1}),
		"used too early":     with(record{ID: 2, Used: 1, Floor: 1}),
		"answer below floor": with(record{ID: 1, Used: 1, Floor: 2, Answers: []answer{{Sequence: 1}}}),
		"answers twice":      with(record{ID: 1, Used: 1, Floor: 1, Answers: []answer{{Sequence: 1}, {Sequence: 1}}}),
		"answer far ahead":   with(record{ID: 1, Used: 1, Floor: 1, Answers: []answer{{Sequence: 1 + maxOpen}}}),
		"too many":           with(make([]record, maxSessions+1)...),
	} {
		if err := NewMachine(&counter{}).Restore(bytes.NewReader(data)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzApply(f *testing.F) {
	f.Add(command{}.encode())
	f.Add(command{Session: 1, Sequence: 3, Floor: 2, Data: []byte("a")}.encode())
	f.Add([]byte("a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMachine(&counter{})
		m.Apply(consensus.Entry{Index: 1, Data: command{}.encode()})
		first := m.Apply(consensus.Entry{Index: 2, Data: data})
		restored(t, snapshot(t, m))
		if c, err := decodeCommand(data); err == nil {
			if again, err := decodeCommand(c.encode()); err != nil || fmt.Sprint(again) != fmt.Sprint(c) {
				t.Errorf("%+v comes back as %+v, %v", c, again, err)
			}
			if second := m.Apply(consensus.Entry{Index: 3, Data: data}); c.Session != 0 && show(first) != show(second) {
				t.Errorf("%s, and again %s", show(first), show(second))
			}
		}
	})
}

func FuzzRestore(f *testing.F) {
	m := NewMachine(&counter{})
	for i, c := range []command{{}, {}, {Session: 2, Sequence: 3, Floor: 2, Data: []byte("a")}} {
		m.Apply(consensus.Entry{Index: consensus.Index(i + 1), Data: c.encode()})
	}
	f.Add(snapshot(f, m))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMachine(&counter{})
		if m.Restore(bytes.NewReader(data)) == nil {
			again := restored(t, snapshot(t, m))
			if !bytes.Equal(snapshot(t, again), snapshot(t, m)) {
				t.Error("a restored machine has other bytes")
			}
		}
	})
}

// unreliable is a log of one server. Fault says what befalls the next proposal: it is asked with the proposal's number,
// from 1 on.
type unreliable struct {
	machine *Machine
	fault   func(n int) fault

	mu    sync.Mutex
	calls int
	index consensus.Index
	late  [][]byte // copies that are still under way
}

type fault uint8

const (
	none       fault = iota
	refused          // not proposed: no leader
	busy             // not proposed: too many
	lost             // not proposed, but nobody knows
	unanswered       // applied, but nobody knows
	delayed          // applied after what comes next, and nobody knows
	silent           // applied, and no answer comes
	replaced         // applied after all other sessions have made room
)

func (u *unreliable) apply(data []byte) consensus.Index {
	u.index++
	u.machine.Apply(consensus.Entry{Index: u.index, Data: data})
	return u.index
}

func (u *unreliable) Propose(ctx context.Context, data []byte) (consensus.Result, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls++
	what := none
	if u.fault != nil {
		what = u.fault(u.calls)
	}
	switch what {
	case refused:
		return consensus.Result{}, fmt.Errorf("%w: nobody", consensus.ErrNoLeader)
	case busy:
		return consensus.Result{}, consensus.ErrBusy
	case lost:
		return consensus.Result{}, consensus.ErrUnknown
	case unanswered:
		u.apply(data)
		return consensus.Result{}, consensus.ErrUnknown
	case delayed:
		u.late = append(u.late, data)
		return consensus.Result{}, consensus.ErrUnknown
	case silent:
		u.apply(data)
		u.mu.Unlock()
		<-ctx.Done()
		u.mu.Lock()
		return consensus.Result{}, ctx.Err()
	case replaced:
		for range maxSessions {
			u.apply(command{}.encode())
		}
	}
	index := u.apply(data)
	for _, copy := range u.late {
		u.apply(copy)
	}
	u.late = nil
	return consensus.Result{Index: index}, nil
}

// faults gives them one after the other, and then none.
func faults(list ...fault) func(int) fault {
	return func(n int) fault {
		if n > len(list) {
			return none
		}
		return list[n-1]
	}
}

func TestClient(t *testing.T) {
	for _, tc := range []struct {
		name   string
		faults []fault // the first befalls the opening of the session
		want   string  // the answer, if no error
		err    error
		log    []string // what the inner machine carried out
	}{
		{"all is well", nil, "a is 1 of 2", nil, []string{"a"}},
		{"no leader for a while", []fault{refused, refused, none, refused}, "a is 1 of 2", nil, []string{"a"}},
		{"the opening is lost", []fault{lost}, "a is 1 of 2", nil, []string{"a"}},
		{"the opening is not answered", []fault{unanswered}, "a is 1 of 3", nil, []string{"a"}},
		{"the command is lost", []fault{none, lost, lost}, "a is 1 of 2", nil, []string{"a"}},
		{"the answer is lost", []fault{none, unanswered, unanswered}, "a is 1 of 2", nil, []string{"a"}},
		{"a copy comes late", []fault{none, delayed, delayed}, "a is 1 of 2", nil, []string{"a"}},
		{"no answer comes", []fault{silent, none, silent}, "a is 1 of 3", nil, []string{"a"}},
		{"the session makes room", []fault{none, replaced}, fmt.Sprintf("a is 1 of %d", maxSessions+4), nil, []string{"a"}},
		{"the session makes room after a doubt", []fault{none, unanswered, replaced}, "", consensus.ErrUnknown, []string{"a"}},
		{"too many", []fault{none, busy}, "", consensus.ErrBusy, nil},
		{"too many after a doubt", []fault{none, unanswered, busy}, "", consensus.ErrUnknown, []string{"a"}},
		{"too many to open", []fault{busy}, "", consensus.ErrNoLeader, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := &counter{}
				u := &unreliable{machine: NewMachine(inner), fault: faults(tc.faults...)}
				got, err := NewClient(u, u.machine).Propose(t.Context(), []byte("a"))
				if !errors.Is(err, tc.err) || string(got) != tc.want {
					t.Errorf("%q, %v; want %q, %v", got, err, tc.want, tc.err)
				}
				if !slices.Equal(inner.log, tc.log) {
					t.Errorf("carried out: %v, want %v", inner.log, tc.log)
				}
			})
		})
	}
}

func TestClient_SaysWhatTheEndOfItsContextLeavesOpen(t *testing.T) {
	for _, tc := range []struct {
		name          string
		first, second fault
		want          error
		unknown       bool
	}{
		{"never proposed", none, refused, consensus.ErrNoLeader, false},
		{"session never open", refused, refused, consensus.ErrNoLeader, false},
		{"session in doubt", silent, silent, consensus.ErrNoLeader, false},
		{"in doubt", none, lost, consensus.ErrUnknown, true},
		{"not answered", none, silent, context.DeadlineExceeded, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := &unreliable{machine: NewMachine(&counter{}), fault: func(n int) fault {
					if n == 1 {
						return tc.first
					}
					return tc.second
				}}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				_, err := NewClient(u, u.machine).Propose(ctx, []byte("a"))
				if !errors.Is(err, tc.want) || errors.Is(err, consensus.ErrUnknown) != tc.unknown {
					t.Errorf("%v, want %v, unknown %t", err, tc.want, tc.unknown)
				}
				if took := time.Since(start); took != 5*time.Second {
					t.Errorf("it gave up after %s", took)
				}
			})
		})
	}
}

func TestClient_ManyAtOnceAreEachCarriedOutOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &counter{}
		random := rand.New(rand.NewPCG(1, 2))
		u := &unreliable{machine: NewMachine(inner), fault: func(int) fault {
			return []fault{none, none, refused, lost, unanswered, delayed}[random.IntN(6)]
		}}
		c := NewClient(u, u.machine)
		const n = 2 * maxOpen
		var group sync.WaitGroup
		for i := range n {
			group.Go(func() {
				if _, err := c.Propose(t.Context(), fmt.Append(nil, i)); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		slices.Sort(inner.log)
		if len(inner.log) != n || len(slices.Compact(inner.log)) != n {
			t.Errorf("%d commands were carried out, want each of %d once", len(inner.log), n)
		}
		if w := c.current(); w.floor != n+1 || len(w.ended) != 0 || len(w.room) != 0 {
			t.Errorf("floor %d, %d ended, %d open after all", w.floor, len(w.ended), len(w.room))
		}
	})
}

func TestClient_WaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &unreliable{machine: NewMachine(&counter{})}
		c := NewClient(u, u.machine)
		if _, err := c.Propose(t.Context(), []byte("a")); err != nil {
			t.Fatal(err)
		}
		w := c.current()
		for range maxOpen {
			if _, err := w.begin(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Propose(ctx, []byte("b")); !errors.Is(err, consensus.ErrBusy) {
			t.Errorf("%v, want %v", err, consensus.ErrBusy)
		}
		w.end(3) // not the lowest: no room yet
		if len(w.room) != maxOpen {
			t.Errorf("%d open", len(w.room))
		}
		w.end(2)
		if got, err := c.Propose(t.Context(), []byte("b")); err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}
