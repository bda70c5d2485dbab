package failover

import (
	"testing"

	"picket/monitor"
)

func TestMeasure(t *testing.T) {
	promoted := masterAt(replicaA, 150)
	promoted.ReplID, promoted.ReplID2, promoted.Second = "bbbb", history, 101 // it was promoted at offset 100
	for name, c := range map[string]struct {
		old   func(*monitor.Observation)
		known bool
		bytes int64
		gone  bool // its backlog does not reach back to what is lost
	}{
		"it had written more":           {func(o *monitor.Observation) { o.Offset, o.Backlog = 327, 327 }, true, 227, false},
		"its backlog holds just that":   {func(o *monitor.Observation) { o.Offset, o.Backlog = 327, 227 }, true, 227, false},
		"its backlog is too small":      {func(o *monitor.Observation) { o.Offset, o.Backlog = 327, 226 }, true, 227, true},
		"it had written nothing more":   {func(o *monitor.Observation) { o.Offset = 100 }, true, 0, false},
		"it had written less":           {func(o *monitor.Observation) { o.Offset = 90 }, true, 0, false},
		"it was restarted":              {func(o *monitor.Observation) { o.ReplID = "cccc" }, false, 0, false},
		"it has the present one's ways": {func(o *monitor.Observation) { o.ReplID = "bbbb" }, true, 0, false},
	} {
		o := masterAt(oldMaster, 0)
		c.old(o)
		d := Measure(o, promoted)
		if (d.Unkept != "") != c.gone || d.Bytes > 0 && (d.From != 101 || d.ReplID != history) {
			t.Errorf("%s: %+v", name, d)
		}
		if d.Known != c.known || d.Bytes != c.bytes || d.Known == (d.Why != "") || d.Server != oldMaster || d.Master != replicaA {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
