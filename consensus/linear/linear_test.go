package linear

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func get(call, ret int64, read Cell) Operation {
	return Operation{Kind: Get, Key: "k", Read: read, Call: call, Return: ret}
}

func put(call, ret int64, value string) Operation {
	return Operation{Kind: Put, Key: "k", Value: value, Call: call, Return: ret}
}

func cas(call, ret int64, expect Cell, value string, done bool) Operation {
	return Operation{Kind: CAS, Key: "k", Expect: expect, Value: value, Done: done, Call: call, Return: ret}
}

func remove(call, ret int64, done bool) Operation {
	return Operation{Kind: Delete, Key: "k", Done: done, Call: call, Return: ret}
}

func unknown(o Operation) Operation {
	o.Unknown, o.Return = true, 0
	return o
}

func at(revision uint64, o Operation) Operation {
	o.Revision = revision
	return o
}

func TestCheck(t *testing.T) {
	a, b := Holding("a"), Holding("b")
	for _, tc := range []struct {
		name string
		ops  []Operation
		want error
	}{
		{"nothing", nil, nil},
		{"in order", []Operation{get(1, 2, Cell{}), put(3, 4, "a"), get(5, 6, a), remove(7, 8, true), get(9, 10, Cell{})}, nil},
		{"an empty value is not absence", []Operation{put(1, 2, ""), get(3, 4, Cell{})}, ErrIllegal},
		{"a stale read", []Operation{put(1, 2, "a"), put(3, 4, "b"), get(5, 6, a)}, ErrIllegal},
		{"a read beside a write sees either", []Operation{put(1, 2, "a"), put(3, 9, "b"), get(4, 5, a), get(6, 7, b)}, nil},
		{"but never goes back", []Operation{put(1, 2, "a"), put(3, 9, "b"), get(4, 5, b), get(6, 7, a)}, ErrIllegal},
		{"a lost write", []Operation{put(1, 2, "a"), get(3, 4, Cell{})}, ErrIllegal},
		{"a write out of nothing", []Operation{get(3, 4, a)}, ErrIllegal},
		{"an unknown write that was lost", []Operation{unknown(put(1, 2, "a")), get(3, 4, Cell{})}, nil},
		{"an unknown write that comes late", []Operation{unknown(put(1, 2, "a")), get(3, 4, Cell{}), get(5, 6, a)}, nil},
		{"an unknown write that comes twice", []Operation{unknown(put(1, 2, "a")), get(3, 4, a), put(5, 6, "b"), get(7, 8, b), get(9, 10, a)},
			ErrIllegal},
		{"an unknown write before its call", []Operation{get(1, 2, a), unknown(put(3, 4, "a"))}, ErrIllegal},
		{"an unknown read says nothing", []Operation{put(1, 2, "a"), unknown(get(3, 4, b))}, nil},
		{"cas from absence", []Operation{cas(1, 2, Cell{}, "a", true), get(3, 4, a)}, nil},
		{"cas twice", []Operation{cas(1, 9, Cell{}, "a", true), cas(1, 9, Cell{}, "b", true)}, ErrIllegal},
		{"cas of two, one wins", []Operation{cas(1, 9, Cell{}, "a", true), cas(1, 9, Cell{}, "b", false), get(10, 11, a)}, nil},
		{"a cas that should have won", []Operation{put(1, 2, "a"), cas(3, 4, a, "b", false)}, ErrIllegal},
		{"an unknown cas that won", []Operation{put(1, 2, "a"), unknown(cas(3, 4, a, "b", false)), get(5, 6, b)}, nil},
		{"an unknown cas that cannot have won", []Operation{put(1, 2, "a"), unknown(cas(3, 4, b, "c", false)), get(5, 6, Holding("c"))}, ErrIllegal},
		{"a delete of nothing", []Operation{remove(1, 2, true)}, ErrIllegal},
		{"a delete that found nothing", []Operation{remove(1, 2, false), put(3, 4, "a"), remove(5, 6, false)}, ErrIllegal},
		{"revisions", []Operation{at(3, put(1, 2, "a")), at(3, get(3, 4, a)), at(5, cas(5, 6, a, "b", true)), at(5, get(7, 8, b))}, nil},
		{"a revision of another write", []Operation{at(3, put(1, 2, "a")), at(4, get(3, 4, a))}, ErrIllegal},
		{"the same value from an older write", []Operation{at(3, put(1, 2, "a")), at(5, put(3, 4, "a")), at(3, get(5, 6, a))}, ErrIllegal},
		{"revisions that go back", []Operation{at(5, put(1, 2, "a")), at(3, put(3, 4, "b"))}, ErrIllegal},
		{"a cas at a revision that goes back", []Operation{at(5, put(1, 2, "a")), at(3, cas(3, 4, a, "b", true))}, ErrIllegal},
		{"a revision that is told by readers", []Operation{unknown(put(1, 2, "a")), at(4, get(3, 4, a)), at(5, get(5, 6, a))}, ErrIllegal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := Check(tc.ops, time.Minute); !errors.Is(err, tc.want) {
				t.Errorf("%v, want %v", err, tc.want)
			}
		})
	}
}

func TestCheck_NamesTheFirstAnswerThatCannotBe(t *testing.T) {
	ops := []Operation{put(1, 2, "a"), put(3, 4, "b"), put(5, 30, "c"), get(6, 10, Holding("a")), get(11, 12, Holding("b"))}
	other := put(1, 2, "x")
	other.Key = "other"
	err := Check(append(ops, other), time.Minute)
	if err == nil || !strings.Contains(err.Error(), `answer client 0: get k -> "a" [6, 10]`) || strings.Contains(err.Error(), "other") {
		t.Errorf("%v", err)
	}
}

func TestCheck_GivesUp(t *testing.T) {
	var ops []Operation
	for i := range int64(40) {
		ops = append(ops, put(1, 100, fmt.Sprint(i)))
	}
	if err := Check(append(ops, get(101, 102, Cell{})), time.Millisecond); !errors.Is(err, ErrUndecided) {
		t.Errorf("%v, want %v", err, ErrUndecided)
	}
}

// run carries operations out on one map, each at some instant between its call and its return.
func run(r *rand.Rand, n int) []Operation {
	cells, revision := map[string]Cell{}, uint64(0)
	value := func() string { return fmt.Sprint(r.IntN(4)) }
	var ops []Operation
	for i := range int64(n) {
		now := i * 10
		o := Operation{
			Client: int(i), Kind: Kind(r.IntN(4)), Key: string(rune('a' + r.IntN(2))), Value: value(),
			Call: now - r.Int64N(25), Return: now + r.Int64N(25), Unknown: r.IntN(10) == 0,
		}
		if r.IntN(3) > 0 {
			o.Expect = Holding(value())
		}
		cell := cells[o.Key]
		o.Read = cell
		o.Done = o.Kind == CAS && cell == o.Expect || o.Kind == Delete && cell.Present
		if lost := o.Unknown && r.IntN(2) == 0; !lost {
			revision++
			switch {
			case o.Kind == Put || o.Kind == CAS && o.Done:
				cells[o.Key], o.Revision = Holding(o.Value), revision
			case o.Kind == Delete:
				cells[o.Key] = Cell{}
			}
		}
		ops = append(ops, o)
	}
	return ops
}

func TestCheck_AcceptsWhatOneMapDid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := run(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)), 60)
		if err := Check(ops, time.Minute); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCheck_CatchesPlantedBugs spoils one answer of a legal history in which nothing overlaps.
func TestCheck_CatchesPlantedBugs(t *testing.T) {
	for name, spoil := range map[string]func(ops []Operation, i int) bool{
		"stale read": func(ops []Operation, i int) bool {
			if i == 0 || ops[i].Kind != Get || ops[i-1].Kind != Put || ops[i-1].Unknown {
				return false
			}
			ops[i].Read = Holding("what was before")
			return true
		},
		"lost write": func(ops []Operation, i int) bool {
			if i == 0 || ops[i].Kind != Get || ops[i-1].Kind != Put || ops[i-1].Unknown {
				return false
			}
			ops[i].Read = Cell{}
			return true
		},
		"cas won twice": func(ops []Operation, i int) bool {
			if i == 0 || ops[i].Kind != CAS || ops[i-1].Kind != CAS || !ops[i-1].Done || ops[i-1].Expect == Holding(ops[i-1].Value) {
				return false
			}
			ops[i].Expect, ops[i].Done = ops[i-1].Expect, true
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			planted := 0
			for seed := range uint64(200) {
				ops := run(rand.New(rand.NewPCG(seed, 1)), 40)
				for i := range ops {
					ops[i].Key, ops[i].Unknown = "k", false
				}
				ops = sequential(ops)
				for i := range ops {
					if spoil(ops, i) {
						planted++
						if err := Check(ops, time.Minute); !errors.Is(err, ErrIllegal) {
							t.Fatalf("seed %d, operation %d (%s): %v", seed, i, ops[i], err)
						}
						break
					}
				}
			}
			if planted < 20 {
				t.Errorf("the bug was planted %d times only", planted)
			}
		})
	}
}

// sequential gives the operations, in their order, the answers of one key and times that do not overlap.
func sequential(ops []Operation) []Operation {
	var cell Cell
	for i := range ops {
		o := &ops[i]
		o.Call, o.Return, o.Revision = int64(2*i), int64(2*i+1), 0
		o.Read = cell
		o.Done = o.Kind == CAS && cell == o.Expect || o.Kind == Delete && cell.Present
		switch {
		case o.Kind == Put || o.Kind == CAS && o.Done:
			cell = Holding(o.Value)
		case o.Kind == Delete:
			cell = Cell{}
		}
	}
	return ops
}
