package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"picket/config"
)

// story is all that happened in a run, for people; and who listens is told of what the agents log.
type story struct {
	start time.Time
	heard func(*machine, said) // of every line that an agent logs; it must not block

	mu    sync.Mutex
	lines []line
}

type line struct {
	at   time.Duration
	who  string
	text string
}

// said is a line of an agent's log, as far as it matters here.
type said struct {
	Life    int         `json:"life"`
	Message string      `json:"message"`
	Master  string      `json:"master"`
	Term    uint64      `json:"term"`
	Index   uint64      `json:"index"`
	From    config.Addr `json:"from"`
	To      config.Addr `json:"to"`
	Server  config.Addr `json:"server"`
}

func (s *story) tell(who, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line{time.Since(s.start), who, fmt.Sprintf(format, args...)})
}

// of is where an agent's log goes.
func (s *story) of(m *machine, r *running) *pen { return &pen{s, m, r} }

// pen implements io.Writer for a log of JSON lines.
type pen struct {
	story   *story
	machine *machine
	life    *running
}

func (p *pen) Write(data []byte) (int, error) {
	if p.life.killed.Load() {
		return len(data), nil // nobody hears the dead
	}
	p.story.tell(p.machine.name, "%s", bytes.TrimSpace(data))
	if bytes.Contains(data, []byte(`"master"`)) {
		var s said
		if json.Unmarshal(data, &s) == nil {
			p.story.heard(p.machine, s)
		}
	}
	return len(data), nil
}

// String is the whole of it.
func (s *story) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, l := range s.lines {
		fmt.Fprintf(&b, "%9.3f ms %-8s %s\n", float64(l.at.Microseconds())/1000, l.who, l.text)
	}
	return b.String()
}
