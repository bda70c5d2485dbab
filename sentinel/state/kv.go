package state

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Limits of the replicated map. All of it is in every agent's memory and in every snapshot.
const (
	MaxKey      = 512
	MaxValue    = 64 << 10
	maxKeys     = 10_000
	maxMapBytes = 16 << 20 // of keys and values
	// The history of changes ends where one of these is reached.
	keptChanges     = 1024
	keptChangeBytes = 1 << 20
)

// Refusals of writes to the map, beside ErrInvalid.
var (
	ErrConflict = errors.New("the key is not as expected")
	ErrAbsent   = errors.New("there is no such key")
	ErrFull     = errors.New("the map is full: delete keys")
)

// ErrCompacted: the history of changes does not reach back that far.
var ErrCompacted = errors.New("the changes from that revision on are forgotten: read the present state, and watch from there")

// Map is the replicated map of settings. Like the State that it belongs to, it is immutable.
type Map struct {
	Entries []*Entry // sorted by key
	Bytes   int      // of keys and values
	Changes []Change // the latest, oldest first
	// Revision is of the newest change; Compacted, of the newest that Changes does not hold any more. 0: none yet.
	Revision, Compacted uint64
}

// Entry is a key and what it holds.
type Entry struct {
	Key, Value string
	Revision   uint64 // index of the log entry that wrote it
}

// Change is one write that took effect.
type Change struct {
	Key, Value string
	Revision   uint64
	Deleted    bool
}

// Write is a command that puts or deletes a key, if the condition holds.
type Write struct {
	Key, Value string
	Delete     bool
	If         Condition
}

// Condition is what a key must be for a write to take effect. The zero Condition always holds.
type Condition struct {
	Kind     ConditionKind
	Revision uint64 // of IfRevision
	Value    string // of IfValue
}

// ConditionKind says which of a key's properties is asked for.
type ConditionKind uint8

const (
	Always     ConditionKind = iota
	IfAbsent                 // there is no such key
	IfRevision               // the key was last written at a revision
	IfValue                  // the key holds a value
)

// CheckKey says what is wrong with a key. Keys are written like paths, so that they can stand in URLs.
func CheckKey(key string) error {
	switch {
	case key == "" || len(key) > MaxKey:
		return fmt.Errorf("%w: a key has 1 to %d bytes, not %d", ErrInvalid, MaxKey, len(key))
	case !utf8.ValidString(key):
		return fmt.Errorf("%w: key %q is not UTF-8", ErrInvalid, key)
	case path.Clean("/"+key) != "/"+key:
		return fmt.Errorf("%w: key %q has an empty part, or one that is . or .., between its slashes", ErrInvalid, key)
	}
	return nil
}

// Check says what is wrong with a write, whatever the map holds.
func (w *Write) Check() error {
	if err := CheckKey(w.Key); err != nil {
		return err
	}
	switch {
	case len(w.Value) > MaxValue:
		return fmt.Errorf("%w: a value has at most %d bytes, not %d", ErrInvalid, MaxValue, len(w.Value))
	case !utf8.ValidString(w.Value):
		return fmt.Errorf("%w: the value is not UTF-8: encode it, for example as base64", ErrInvalid)
	case w.If.Kind > IfValue:
		return fmt.Errorf("%w: condition %d is not known to this version; run the same version on all agents", ErrInvalid, w.If.Kind)
	}
	return nil
}

// Get finds a key; nil if there is none.
func (m *Map) Get(key string) *Entry {
	if i, found := m.search(key); found {
		return m.Entries[i]
	}
	return nil
}

// List gives the entries whose keys begin with prefix, sorted.
func (m *Map) List(prefix string) []*Entry {
	i, _ := m.search(prefix)
	end := i
	for end < len(m.Entries) && strings.HasPrefix(m.Entries[end].Key, prefix) {
		end++
	}
	return m.Entries[i:end:end]
}

// From gives the changes at and after a revision, oldest first, or ErrCompacted.
func (m *Map) From(revision uint64) ([]Change, error) {
	if revision <= m.Compacted {
		return nil, fmt.Errorf("%w (revision %d; the history begins after %d, the present is %d)",
			ErrCompacted, revision, m.Compacted, m.Revision)
	}
	i, _ := slices.BinarySearchFunc(m.Changes, revision, func(c Change, r uint64) int { return cmp.Compare(c.Revision, r) })
	return m.Changes[i:len(m.Changes):len(m.Changes)], nil
}

func (m *Map) search(key string) (int, bool) {
	return slices.BinarySearchFunc(m.Entries, key, func(e *Entry, key string) int { return cmp.Compare(e.Key, key) })
}

// write carries a command out.
func (s *State) write(w Write, at position) (*State, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	i, found := s.Map.search(w.Key)
	var old *Entry
	if found {
		old = s.Map.Entries[i]
	}
	if err := w.refused(old); err != nil {
		return nil, err
	}
	m := s.Map
	if found {
		m.Bytes -= len(old.Key) + len(old.Value)
	}
	switch {
	case w.Delete:
		m.Entries = slices.Concat(m.Entries[:i], m.Entries[i+1:])
	default:
		m.Bytes += len(w.Key) + len(w.Value)
		if !found && len(m.Entries) >= maxKeys || m.Bytes > maxMapBytes {
			return nil, fmt.Errorf("%w (at most %d keys and %d bytes)", ErrFull, maxKeys, maxMapBytes)
		}
		rest := m.Entries[i:]
		if found {
			rest = m.Entries[i+1:]
		}
		m.Entries = slices.Concat(m.Entries[:i], []*Entry{{w.Key, w.Value, at.index}}, rest)
	}
	m.remember(Change{Key: w.Key, Value: w.Value, Revision: at.index, Deleted: w.Delete})
	next := *s
	next.Map = m
	return &next, nil
}

// refused says why a write does not take effect, old being what the key holds.
func (w *Write) refused(old *Entry) error {
	if w.If.holds(old) {
		if w.Delete && old == nil {
			return ErrAbsent
		}
		return nil
	}
	if old == nil {
		return fmt.Errorf("%w: there is no such key", ErrConflict)
	}
	return fmt.Errorf("%w: it was written at revision %d", ErrConflict, old.Revision)
}

func (c Condition) holds(old *Entry) bool {
	switch c.Kind {
	case IfAbsent:
		return old == nil
	case IfRevision:
		return old != nil && old.Revision == c.Revision
	case IfValue:
		return old != nil && old.Value == c.Value
	}
	return true
}

// remember adds a change to the history and forgets the oldest, as the limits say. Successive states share the array
// behind Changes, as they do with events.
func (m *Map) remember(c Change) {
	m.Changes = append(m.Changes, c)
	m.Revision = c.Revision
	bytes := 0
	for i := len(m.Changes) - 1; i >= 0; i-- {
		bytes += len(m.Changes[i].Key) + len(m.Changes[i].Value)
		if len(m.Changes)-i > keptChanges || bytes > keptChangeBytes {
			m.Compacted = m.Changes[i].Revision
			m.Changes = m.Changes[i+1:]
			return
		}
	}
}
