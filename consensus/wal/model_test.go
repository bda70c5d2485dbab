package wal

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"reflect"

	"picket/consensus"
)

// model is what a log should hold: a naive twin that never crashes.
type model struct {
	hard     consensus.HardState
	snapshot consensus.SnapshotMeta
	content  string // of the snapshot
	// entries holds all that were saved and not superseded; those that a snapshot covers may be there or not.
	entries map[consensus.Index]consensus.Entry
	last    consensus.Index
}

func newModel() model { return model{entries: map[consensus.Index]consensus.Entry{}} }

func (m model) clone() model {
	m.entries = maps.Clone(m.entries)
	return m
}

// next is the index that can be appended.
func (m model) next() consensus.Index { return max(m.last, m.snapshot.Index) + 1 }

// matches compares with what a log recovered.
func (m model) matches(l *Log, rec consensus.Recovered) error {
	if rec.HardState != m.hard {
		return fmt.Errorf("hard state %v, want %v", rec.HardState, m.hard)
	}
	if rec.Snapshot.Index != m.snapshot.Index || rec.Snapshot.Term != m.snapshot.Term {
		return fmt.Errorf("snapshot %v, want %v", rec.Snapshot, m.snapshot)
	}
	if content, err := readSnapshot(l); err != nil || content != m.content {
		return fmt.Errorf("the snapshot holds %q, want %q: %v", content, m.content, err)
	}
	last := rec.Snapshot.Index
	for i, e := range rec.Entries {
		if i == 0 && e.Index > last+1 || i > 0 && e.Index != rec.Entries[i-1].Index+1 {
			return fmt.Errorf("the snapshot ends at %d, and entries %v follow: there is a gap", last, rec.Entries)
		}
		if want, ok := m.entries[e.Index]; !ok || !reflect.DeepEqual(e, want) {
			return fmt.Errorf("entry %v, want %v", e, want)
		}
		last = max(last, e.Index)
	}
	if last != m.next()-1 {
		return fmt.Errorf("the log ends at %d, want %d", last, m.next()-1)
	}
	return nil
}

func readSnapshot(l *Log) (string, error) {
	if l.snaps.current == "" {
		return "", nil
	}
	r, err := l.OpenSnapshot()
	if err != nil {
		return "", err
	}
	defer r.Close()
	content, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	return string(content), err
}

// operation does one thing to a log, and to its twin.
type operation struct {
	name string
	do   func(*Log, *model) error
	// apart: it does not touch the log, and its failure does not end it.
	apart bool
}

// save appends n entries of a term from first on, superseding what is there; 0: behind the last one. The term
// becomes the hard state's if it is newer.
func save(term consensus.Term, first consensus.Index, n, bytesEach int) operation {
	return operation{name: "save", do: func(l *Log, m *model) error {
		from := first
		if from == 0 {
			from = m.next()
		}
		var hard *consensus.HardState
		if term > m.hard.Term {
			m.hard = consensus.HardState{Term: term, Vote: "n2", Admitted: true}
			h := m.hard
			hard = &h
		}
		var entries []consensus.Entry
		for i := range consensus.Index(n) {
			e := consensus.Entry{Term: term, Index: from + i, Kind: consensus.EntryCommand,
				Data: bytes.Repeat([]byte{byte(16*uint64(term) + uint64(from+i))}, bytesEach)}
			entries = append(entries, e)
		}
		if n > 0 {
			for i := from; i <= m.last; i++ {
				delete(m.entries, i)
			}
			m.last = from + consensus.Index(n) - 1
		}
		for _, e := range entries {
			m.entries[e.Index] = e
		}
		return l.Save(hard, entries)
	}}
}

// vote saves a hard state alone.
func vote(term consensus.Term) operation {
	return operation{name: "vote", do: func(l *Log, m *model) error {
		m.hard = consensus.HardState{Term: max(term, m.hard.Term), Vote: consensus.ServerID(fmt.Sprint("n", term)), Admitted: true}
		h := m.hard
		return l.Save(&h, nil)
	}}
}

// take stores a snapshot of the state at an index, which may be ahead of the disk.
func take(at consensus.Index, term consensus.Term) operation {
	return operation{name: "take", apart: true, do: func(l *Log, m *model) error {
		m.snapshot = consensus.SnapshotMeta{Index: at, Term: term}
		m.content = fmt.Sprintf("state at %d of term %d", at, term)
		return l.WriteSnapshot(m.snapshot, func(w io.Writer) error { _, err := io.WriteString(w, m.content); return err })
	}}
}

// install receives a snapshot in pieces of 700 bytes and makes it current.
func install(at consensus.Index, term consensus.Term, keep bool) []operation {
	meta := consensus.SnapshotMeta{Index: at, Term: term, Configuration: consensus.NewConfiguration(voters("n1", "n4")...)}
	content := string(bytes.Repeat([]byte(fmt.Sprintf("%d/%d ", at, term)), 300))
	var operations []operation
	for off := 0; off < len(content); off += 700 {
		chunk := consensus.SnapshotChunk{Meta: meta, Offset: int64(off), Data: []byte(content[off:min(off+700, len(content))])}
		operations = append(operations, operation{name: "receive", do: func(l *Log, _ *model) error { return l.ReceiveChunk(&chunk) }})
	}
	return append(operations, operation{name: "install", do: func(l *Log, m *model) error {
		m.snapshot, m.content = meta, content
		if !keep {
			m.entries, m.last = map[consensus.Index]consensus.Entry{}, 0
		}
		return l.InstallReceived(meta, keep)
	}})
}

func compact(through consensus.Index) operation {
	return operation{name: "compact", do: func(l *Log, _ *model) error { return l.Compact(through) }}
}

// sequence joins operations and lists of them.
func sequence(parts ...any) []operation {
	var all []operation
	for _, p := range parts {
		switch p := p.(type) {
		case operation:
			all = append(all, p)
		case []operation:
			all = append(all, p...)
		}
	}
	return all
}

func repeat(n int, op operation) []operation {
	var all []operation
	for range n {
		all = append(all, op)
	}
	return all
}
