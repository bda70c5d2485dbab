package sentinel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"

	"picket/consensus/vfs"
	"picket/sentinel/state"
)

// own is what was set at run time on this agent alone: credentials, which are never replicated, and what is true of its host only. It is kept in a
// file that nobody else may read.
type own struct {
	fs   vfs.FS
	path string

	mu     sync.Mutex // held while the file is written
	values atomic.Pointer[ownValues]
}

// ownValues are immutable.
type ownValues struct {
	Masters    map[string]ownMaster `json:"masters,omitempty"`    // by name
	Parameters map[string]string    `json:"parameters,omitempty"` // of SENTINEL CONFIG SET
}

// ownMaster is what was set for a master. Another one that bears its name later, after it was removed, gets none of it.
type ownMaster struct {
	Added   uint64            `json:"added"` // which master: state.Master's
	Options map[string]string `json:"options"`
}

const (
	ownFile = "run-time.json"
	ownOp   = "OWN"
	maxOwn  = 1 << 20 // bytes
)

// openOwn reads what was set before.
func openOwn(files vfs.FS, dir string) (*own, error) {
	o := &own{fs: files, path: filepath.Join(dir, ownFile)}
	o.values.Store(&ownValues{})
	data, err := vfs.ReadFile(files, ownOp, o.path, maxOwn)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was set at run time: %w", err)
	}
	values := &ownValues{}
	if err := json.Unmarshal(data, values); err != nil {
		return nil, fmt.Errorf("read %s: %w; restore it, or remove it and set again what was set at run time on this agent", o.path, err)
	}
	o.values.Store(values)
	return o, nil
}

// of gives what was set for a master.
func (o *own) of(m *state.Master) map[string]string {
	if o == nil {
		return nil
	}
	if set := o.values.Load().Masters[m.Name]; set.Added == m.Added {
		return set.Options
	}
	return nil
}

// parameter gives a parameter; empty: it was not set.
func (o *own) parameter(name string) string {
	if o == nil {
		return ""
	}
	return o.values.Load().Parameters[name]
}

// setMaster sets options of a master.
func (o *own) setMaster(m *state.Master, options map[string]string) error {
	return o.change(func(v *ownValues) {
		v.Masters = maps.Clone(v.Masters)
		if v.Masters == nil {
			v.Masters = map[string]ownMaster{}
		}
		set := v.Masters[m.Name]
		if set.Added != m.Added {
			set = ownMaster{Added: m.Added}
		}
		set.Options = merged(set.Options, options)
		v.Masters[m.Name] = set
	})
}

// prune forgets what was set for masters that were removed: secrets, above all. applied is how far this agent knows what was agreed: what it has not
// come to yet is not gone.
func (o *own) prune(s *state.State, applied uint64) error {
	gone := func(name string, set ownMaster) bool {
		m := s.Master(name)
		return set.Added <= applied && (m == nil || m.Added != set.Added)
	}
	for name, set := range o.values.Load().Masters {
		if gone(name, set) {
			return o.change(func(v *ownValues) {
				v.Masters = maps.Clone(v.Masters)
				maps.DeleteFunc(v.Masters, gone)
			})
		}
	}
	return nil
}

func (o *own) setParameters(parameters map[string]string) error {
	return o.change(func(v *ownValues) { v.Parameters = merged(v.Parameters, parameters) })
}

// change has the file hold something else; where that fails, nothing is different. Texts must be UTF-8: others would be other ones once they are read again.
func (o *own) change(f func(*ownValues)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	values := *o.values.Load()
	f(&values)
	data, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return fmt.Errorf("keep what was set: %w", err)
	}
	if len(data) > maxOwn {
		return fmt.Errorf("keep what was set: all that is set on this agent would be larger than %d KiB: set shorter values", maxOwn>>10)
	}
	if err := vfs.WriteAtomic(o.fs, ownOp, o.path, data); err != nil {
		return fmt.Errorf("keep what was set: %w", err)
	}
	o.values.Store(&values)
	return nil
}

func merged(old, news map[string]string) map[string]string {
	all := maps.Clone(old)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, news)
	return all
}
