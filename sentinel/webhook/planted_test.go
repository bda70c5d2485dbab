//go:build planted

package webhook

import (
	"strings"
	"testing"
)

// TestPlantedBugs shows that what checks an hour of deliveries sees mistakes in them.
func TestPlantedBugs(t *testing.T) {
	for name, m := range map[string]struct {
		bug  Bug
		sign string
	}{
		"told before it was":                      {CursorFirst, "was not delivered"},
		"what waits in another lane is forgotten": {LowWaterJumps, "was not delivered"},
		"overtaken by a later event":              {OutOfOrder, "comes after"},
	} {
		t.Run(name, func(t *testing.T) {
			Plant(m.bug)
			defer Plant(NoBug)
			faults := strings.Join(hour(t), "\n")
			if !strings.Contains(faults, m.sign) {
				t.Errorf("the checker says %q; want something that %q", faults, m.sign)
			}
		})
	}
}
