package failover

import (
	"strings"
	"testing"
)

// TestPhases_ClocksThatDisagree: two leaders worked on it, and the second one's clock is behind.
func TestPhases_ClocksThatDisagree(t *testing.T) {
	r := &Record{DownAt: 10, BegunAt: 20, PromoteAt: 15, SwitchAt: 30, EndAt: 40}
	var names []string
	for _, p := range Phases(r) {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "elect promote repoint" {
		t.Errorf("phases %q", got)
	}
	r.Outcome = Aborted
	if got := Phases(r); len(got) != 2 {
		t.Errorf("one that was given up has the phases %v", got)
	}
}
