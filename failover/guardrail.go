package failover

import (
	"fmt"
	"time"
)

// Pause is an operator's word that nothing begins by itself.
type Pause struct {
	Who   string
	Why   string
	Until time.Time
	All   bool // of all masters
}

func (p *Pause) String() string {
	text := fmt.Sprintf("until %s by %s", p.Until.UTC().Format(time.RFC3339), p.Who)
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}

// resume is the command that ends the pause.
func (p *Pause) resume(master string) string {
	if p.All {
		return "picket resume"
	}
	return "picket resume " + master
}

// Forbidden says why nothing may be begun for the master now, however good the reason for it would be; nil: it may. An order by
// hand passes what another operator has said. It is a pure function.
func Forbidden(s Situation, byHand bool) *Blocker {
	if s.Paused != nil && !byHand {
		return &Blocker{"paused", fmt.Sprintf("%s is paused %s", s.Settings.Name, s.Paused),
			"it ends by itself; or end it: " + s.Paused.resume(s.Settings.Name)}
	}
	return nil
}
