package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"picket/consensus"
	"picket/consensus/linear"
)

// machine is the replicated state: a map, what each client was last answered, and a hash of all entries. A pointer to it is shared
// by nobody.
type machine struct {
	values   map[string]string
	sessions map[int]session
	hash     uint64
}

// session is the last command of a client: sent again, it is answered again.
type session struct {
	sequence int
	result   string
}

func newMachine() *machine { return &machine{values: map[string]string{}, sessions: map[int]session{}} }

// command is a client's write.
type command struct {
	client, sequence int
	kind             linear.Kind
	key, value       string
	expect           linear.Cell
}

func (c command) encode() []byte {
	return fmt.Appendf(nil, "%d %d %d %s %s %t %s", c.client, c.sequence, c.kind, c.key, c.value, c.expect.Present, c.expect.Value)
}

func decodeCommand(data []byte) command {
	var c command
	// An absent value is the empty string, which ends the line.
	_, err := fmt.Sscanf(string(data), "%d %d %d %s %s %t", &c.client, &c.sequence, &c.kind, &c.key, &c.value, &c.expect.Present)
	if err != nil {
		panic(violation(fmt.Sprintf("a command that nobody wrote: %q: %v", data, err)))
	}
	c.expect.Value = string(data[strings.LastIndexByte(string(data), ' ')+1:])
	return c
}

// apply carries an entry out and gives its result.
func (m *machine) apply(e consensus.Entry) string {
	m.hash = mix(m.hash, e)
	if e.Kind != consensus.EntryCommand {
		return ""
	}
	c := decodeCommand(e.Data)
	last := m.sessions[c.client]
	switch {
	case c.sequence == last.sequence:
		return last.result
	case c.sequence < last.sequence:
		return "overtaken" // the client has given it up
	}
	result := m.carryOut(c)
	m.sessions[c.client] = session{c.sequence, result}
	return result
}

func (m *machine) carryOut(c command) string {
	held, present := m.values[c.key]
	switch c.kind {
	case linear.Put:
		m.values[c.key] = c.value
		return "true"
	case linear.CAS:
		if present != c.expect.Present || held != c.expect.Value {
			return "false"
		}
		m.values[c.key] = c.value
		return "true"
	case linear.Delete:
		delete(m.values, c.key)
		return fmt.Sprint(present)
	}
	panic(violation(fmt.Sprintf("a command of kind %d", c.kind)))
}

// encode is the content of a snapshot: equal states give equal bytes.
func (m *machine) encode() []byte {
	out := fmt.Appendf(nil, "%d\n%d\n", m.hash, len(m.values))
	for _, key := range slices.Sorted(maps.Keys(m.values)) {
		out = fmt.Appendf(out, "%s %s\n", key, m.values[key])
	}
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		out = fmt.Appendf(out, "%d %d %s\n", id, m.sessions[id].sequence, m.sessions[id].result)
	}
	return out
}

func decodeMachine(data []byte) (*machine, error) {
	m := newMachine()
	in := strings.NewReader(string(data))
	var n int
	if _, err := fmt.Fscan(in, &m.hash, &n); err != nil {
		return nil, err
	}
	for range n {
		var key, value string
		if _, err := fmt.Fscan(in, &key, &value); err != nil {
			return nil, err
		}
		m.values[key] = value
	}
	for {
		var id int
		var last session
		if n, err := fmt.Fscan(in, &id, &last.sequence, &last.result); n == 0 {
			return m, nil
		} else if err != nil {
			return nil, err
		}
		m.sessions[id] = last
	}
}

// mix adds an entry to a hash.
func mix(h uint64, e consensus.Entry) uint64 {
	for _, b := range fmt.Appendf(nil, "%d %d %d %x", e.Index, e.Term, e.Kind, e.Data) {
		h = (h ^ uint64(b)) * 1099511628211
	}
	return h
}
