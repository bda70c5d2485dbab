package consensus

import (
	"fmt"
	"slices"
)

// raftLog is the log's suffix behind the snapshot, in memory:
//
//	snapshot         entries
//	|----------------|-----|-----|-----|
//	1 …         base  base+1  …     last
//
// Entries at or before the snapshot's index may be kept (trailing), so base <= snapshot.Index. The term of the entry at
// base is remembered.
type raftLog struct {
	base     Index
	baseTerm Term
	entries  []Entry // entries[i].Index == base+1+i
	snapshot SnapshotMeta
	configs  []placedConfiguration // of entries, ascending
	bytes    int64                 // of entries' data
}

// placedConfiguration is the configuration that an entry carries.
type placedConfiguration struct {
	index Index
	Configuration
}

func newLog(rec Recovered) (*raftLog, error) {
	l := &raftLog{base: rec.Snapshot.Index, baseTerm: rec.Snapshot.Term, snapshot: rec.Snapshot}
	entries := rec.Entries
	if len(entries) > 0 {
		first := entries[0].Index
		if first > rec.Snapshot.Index+1 {
			return nil, fmt.Errorf("recover the log: it begins at %d, behind the snapshot at %d: entries are missing",
				first, rec.Snapshot.Index)
		}
		// What the snapshot covers is not needed again.
		entries = entries[min(len(entries), int(rec.Snapshot.Index+1-first)):]
	}
	for i, e := range entries {
		if want := l.base + 1 + Index(i); e.Index != want {
			return nil, fmt.Errorf("recover the log: index %d stands where %d belongs", e.Index, want)
		}
	}
	l.append(entries)
	return l, nil
}

func (l *raftLog) last() Index { return l.base + Index(len(l.entries)) }

func (l *raftLog) lastTerm() Term {
	if n := len(l.entries); n > 0 {
		return l.entries[n-1].Term
	}
	return l.baseTerm
}

// term of the entry at i; false when it is compacted or not there yet.
func (l *raftLog) term(i Index) (Term, bool) {
	switch {
	case i == l.base:
		return l.baseTerm, true
	case i > l.base && i <= l.last():
		return l.entries[i-l.base-1].Term, true
	}
	return 0, false
}

func (l *raftLog) has(i Index, t Term) bool {
	got, ok := l.term(i)
	return ok && got == t
}

// upToDate says whether a log that ends at (index, term) is at least as up to date as this one (Raft §5.4.1).
func (l *raftLog) upToDate(i Index, t Term) bool {
	return t > l.lastTerm() || t == l.lastTerm() && i >= l.last()
}

// slice gives the entries of [from, to]. It must not be written to.
func (l *raftLog) slice(from, to Index) []Entry {
	if from <= l.base || to > l.last() {
		panic(fmt.Sprintf("consensus: entries %d to %d of a log that holds %d to %d", from, to, l.base+1, l.last()))
	}
	return l.entries[from-l.base-1 : to-l.base : to-l.base]
}

// upTo gives the entries from one index to another, at most limit; nil: they are compacted.
func (l *raftLog) upTo(from, to Index, limit int) []Entry {
	if from <= l.base {
		return nil
	}
	return l.slice(from, min(to, from+Index(limit)-1))
}

// batch gives entries from an index on, at least one if there is any, of about maxBytes.
func (l *raftLog) batch(from Index, maxBytes int) []Entry {
	size, to := 0, from
	for ; to <= l.last(); to++ {
		size += len(l.entries[to-l.base-1].Data)
		if size > maxBytes && to > from {
			break
		}
	}
	if to == from {
		return nil
	}
	return l.slice(from, to-1)
}

func (l *raftLog) append(entries []Entry) {
	for _, e := range entries {
		if e.Index != l.last()+1 {
			panic(fmt.Sprintf("consensus: entry %d appended to a log that ends at %d", e.Index, l.last()))
		}
		if e.Kind == EntryConfiguration {
			l.configs = append(l.configs, placedConfiguration{e.Index, mustDecodeConfiguration(e.Data)})
		}
		l.entries = append(l.entries, e)
		l.bytes += weigh(e)
	}
}

// weigh estimates what an entry costs in memory.
func weigh(e Entry) int64 { return int64(len(e.Data)) + 64 }

// truncate drops the entries from i on. What was handed out before stays untouched: the next append reallocates.
func (l *raftLog) truncate(i Index) {
	n := i - l.base - 1
	for _, e := range l.entries[n:] {
		l.bytes -= weigh(e)
	}
	l.entries = l.entries[:n:n]
	for len(l.configs) > 0 && l.configs[len(l.configs)-1].index >= i {
		l.configs = l.configs[:len(l.configs)-1]
	}
}

// compact forgets entries up to through, which a snapshot at meta covers.
func (l *raftLog) compact(meta SnapshotMeta, through Index) {
	if through > meta.Index || meta.Index > l.last() {
		panic(fmt.Sprintf("consensus: compact through %d with a snapshot at %d and a log to %d", through, meta.Index, l.last()))
	}
	if meta.Index > l.snapshot.Index {
		l.snapshot = meta
	}
	if through <= l.base {
		return
	}
	l.baseTerm, _ = l.term(through)
	for _, e := range l.entries[:through-l.base] {
		l.bytes -= weigh(e)
	}
	l.entries = slices.Clone(l.entries[through-l.base:])
	l.base = through
	for len(l.configs) > 0 && l.configs[0].index <= through {
		l.configs = l.configs[1:]
	}
}

// trail is where a log must end to leave at most so many entries and bytes up to an index.
func (l *raftLog) trail(to Index, entries int, bytes int64) Index {
	for ; to > l.base && entries > 0; to-- {
		if bytes -= weigh(l.entries[to-l.base-1]); bytes < 0 {
			break
		}
		entries--
	}
	return to
}

// restore replaces the log by a snapshot that a leader sent. A suffix that agrees with the snapshot is kept: its entries may be
// acknowledged already. It says whether there was one.
func (l *raftLog) restore(meta SnapshotMeta) bool {
	if l.has(meta.Index, meta.Term) || planted(SnapshotUnchecked) && meta.Index > l.base && meta.Index < l.last() {
		l.compact(meta, meta.Index)
		l.snapshot = meta
		return true
	}
	*l = raftLog{base: meta.Index, baseTerm: meta.Term, snapshot: meta}
	return false
}

// configuration is the one in force, committed or not, and the index from which it is; 0: the founding one, or covered
// by the snapshot.
func (l *raftLog) configuration() (Configuration, Index) { return l.configurationAt(l.last()) }

// configurationAt is the latest one at or before an index that the snapshot does not cover.
func (l *raftLog) configurationAt(i Index) (Configuration, Index) {
	for n := len(l.configs) - 1; n >= 0; n-- {
		if l.configs[n].index <= i {
			return l.configs[n].Configuration, l.configs[n].index
		}
	}
	return l.snapshot.Configuration, 0
}

// conflictHint gives the largest index at or before i whose entry's term is at most t: where two logs may still agree when they
// do not at i with term t. Both sides skip whole terms with it.
func (l *raftLog) conflictHint(i Index, t Term) (Index, Term) {
	for ; i > l.base; i-- {
		if got, ok := l.term(i); ok && got <= t {
			return i, got
		}
	}
	return min(i, l.base), l.baseTerm
}
