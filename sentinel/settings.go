package sentinel

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"picket/config"
	"picket/sentinel/state"
)

// rules give what holds for each master: what this agent's file says, or the defaults for one that was made known at run time; over it what was set
// at run time for all agents; over that what was set on this one.
type rules struct {
	own *own // nil before the agent runs

	files sync.RWMutex // guards file
	file  map[string]*config.Master

	mu    sync.Mutex
	known map[string]setting
}

// setting is one master's, and of what it was made.
type setting struct {
	file      *config.Master
	monitored bool
	options   []state.Option
	own       map[string]string
	result    *config.Master
}

// of gives the settings of a master; nil: this agent leaves it alone, because its file does not name it and nobody made it known at run time. As long as
// nothing is different, they are the same.
func (r *rules) of(m *state.Master) *config.Master {
	file := r.inFile(m.Name)
	if file == nil && m.Monitored == "" {
		return nil
	}
	own := r.own.of(m)
	if file != nil && len(m.Options) == 0 && len(own) == 0 {
		return file
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.known[m.Name]
	if known.result == nil || known.file != file || known.monitored != (m.Monitored != "") || !slices.Equal(known.options, m.Options) || !maps.Equal(known.own, own) {
		known = setting{file, m.Monitored != "", m.Options, own, overlaid(file, m, own)}
		r.known[m.Name] = known
	}
	return known.result
}

// inFile gives what the file says of a master; nil: it does not name it.
func (r *rules) inFile(master string) *config.Master {
	r.files.RLock()
	defer r.files.RUnlock()
	return r.file[master]
}

// take has the file say something else. A master of which it says the same keeps its settings: whoever uses them needn't begin anew.
func (r *rules) take(masters []config.Master) {
	r.files.Lock()
	defer r.files.Unlock()
	file := map[string]*config.Master{}
	for i := range masters {
		m := &masters[i]
		if was := r.file[m.Name]; was != nil && reflect.DeepEqual(was, m) {
			m = was
		}
		file[m.Name] = m
	}
	r.file = file
}

// last gives the settings of a master that is not agreed on: those of the file, or of before it was removed.
func (r *rules) last(master string) *config.Master {
	if file := r.inFile(master); file != nil {
		return file
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.known[master].result
}

// overlaid puts options over a file's settings. One that this agent can't make sense of, as a script that another version knew, is left out.
func overlaid(file *config.Master, m *state.Master, own map[string]string) *config.Master {
	result := config.MonitoredMaster()
	if file != nil {
		result = *file
	}
	result.Name = m.Name
	for _, o := range m.Options {
		_ = result.Set(o.Name, o.Value) // was checked when it was set
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		_ = result.Set(name, own[name]) // as above
	}
	return &result
}

// settings gives what holds for a master.
func (a *Agent) settings(m *state.Master) *config.Master { return a.rules.of(m) }

// named gives the settings of a master by its name; nil: this agent knows none.
func (a *Agent) named(master string) *config.Master {
	if m := a.machine.State().Master(master); m != nil {
		return a.settings(m)
	}
	return a.rules.last(master)
}
