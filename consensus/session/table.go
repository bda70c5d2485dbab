package session

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"picket/consensus"
)

// Limits of what is remembered.
const (
	maxSessions = 1024
	// maxOpen is how far a sequence number may be above the lowest that is not answered.
	maxOpen = 256
)

// Refusals: the command was not carried out.
var (
	ErrExpired  = errors.New("session: it is not known: it had to make room for newer ones")
	errPassed   = errors.New("session: the client has not waited for this command's answer")
	errTooAhead = fmt.Errorf("session: more than %d commands are not answered", maxOpen)
)

// table is the replicated memory of all sessions. It is pure: equal commands give equal tables.
type table struct {
	Sessions []record // sorted by id
	// Dropped is the newest entry that had a session make room.
	Dropped consensus.Index
}

// record is one session.
type record struct {
	ID      ID
	Used    consensus.Index // of the newest command
	Floor   uint64          // answers below are not wanted any more
	Answers []answer        // sorted by sequence number; all from Floor on, less than Floor + maxOpen
}

// answer is what became of a command.
type answer struct {
	Sequence uint64
	Result   []byte
}

func (t *table) find(id ID) *record {
	i, found := slices.BinarySearchFunc(t.Sessions, id, func(r record, id ID) int { return cmp.Compare(r.ID, id) })
	if !found {
		return nil
	}
	return &t.Sessions[i]
}

// open makes a session of the entry at index.
func (t *table) open(at consensus.Index) {
	if len(t.Sessions) >= maxSessions {
		t.dropOldest()
		t.Dropped = at
	}
	t.Sessions = append(t.Sessions, record{ID: ID(at), Used: at, Floor: 1}) // indices grow: it stays sorted
}

func (t *table) dropOldest() {
	oldest := 0
	for i, r := range t.Sessions {
		if r.Used < t.Sessions[oldest].Used {
			oldest = i
		}
	}
	t.Sessions = slices.Delete(t.Sessions, oldest, oldest+1)
}

// admit says what is to be done with the command at index: nothing more than to give the answer again, to carry it
// out (fresh), or to refuse it.
func (t *table) admit(c command, at consensus.Index) (known []byte, fresh bool, err error) {
	r := t.find(c.Session)
	if r == nil {
		return nil, false, ErrExpired
	}
	r.Used = at
	r.raise(c.Floor)
	switch i, found := r.search(c.Sequence); {
	case c.Sequence < r.Floor:
		return nil, false, errPassed
	case found:
		return r.Answers[i].Result, false, nil
	case c.Sequence-r.Floor >= maxOpen:
		return nil, false, errTooAhead
	}
	return nil, true, nil
}

// raise forgets the answers that the client has.
func (r *record) raise(floor uint64) {
	if floor > r.Floor {
		r.Floor = floor
		i, _ := r.search(floor)
		r.Answers = slices.Delete(r.Answers, 0, i)
	}
}

// keep remembers the answer to a command that was admitted as fresh.
func (t *table) keep(c command, result []byte) {
	r := t.find(c.Session)
	i, _ := r.search(c.Sequence)
	r.Answers = slices.Insert(r.Answers, i, answer{c.Sequence, result})
}

func (r *record) search(sequence uint64) (int, bool) {
	return slices.BinarySearchFunc(r.Answers, sequence, func(a answer, s uint64) int { return cmp.Compare(a.Sequence, s) })
}

// lookup gives the answer to a command of which the entry at index is one copy, all up to that being applied.
func (t *table) lookup(id ID, sequence uint64, at consensus.Index) ([]byte, error) {
	r := t.find(id)
	if r == nil {
		if t.Dropped > at {
			return nil, fmt.Errorf("%w: its session had to make room meanwhile", consensus.ErrUnknown)
		}
		return nil, ErrExpired
	}
	i, found := r.search(sequence)
	if !found {
		// Only a client that does not count what it waits for gets here.
		return nil, fmt.Errorf("%w: number %d of session %d, whose floor is %d, has no answer", consensus.ErrUnknown, sequence, id, r.Floor)
	}
	return r.Answers[i].Result, nil
}

// check says whether a table from a snapshot keeps the rules above.
func (t *table) check() error {
	if len(t.Sessions) > maxSessions {
		return fmt.Errorf("%d sessions", len(t.Sessions))
	}
	last := ID(0)
	for _, r := range t.Sessions {
		if r.ID <= last || r.Used < consensus.Index(r.ID) || r.Floor == 0 {
			return fmt.Errorf("session %d after %d, used at %d, with floor %d", r.ID, last, r.Used, r.Floor)
		}
		last = r.ID
		next := r.Floor
		for _, a := range r.Answers {
			if a.Sequence < next || a.Sequence-r.Floor >= maxOpen {
				return fmt.Errorf("session %d with floor %d keeps an answer to %d", r.ID, r.Floor, a.Sequence)
			}
			next = a.Sequence + 1
		}
	}
	return nil
}
