package main

import (
	"fmt"
	"strings"
	"time"
)

// broken lists what must not be with Picket: that a library doesn't go on is an error before.
func (r result) broken(found []library) []string {
	var broken []string
	for _, l := range found {
		if t := r[handover][l.name]; t.lost > 0 {
			broken = append(broken, fmt.Sprintf("%s: %d of %d acknowledged writes were lost when the master was handed over", l.name, t.lost, t.acked))
		}
	}
	return broken
}

// table is for the documentation: the longest time in milliseconds for which each library could not write, and lost writes.
func table(found []library, results []result) string {
	var text strings.Builder
	text.WriteString("| library |")
	for f := range faults {
		for i, s := range systems {
			if results[i] != nil {
				fmt.Fprintf(&text, " %s: %s |", f, s.name)
			}
		}
	}
	fmt.Fprintf(&text, "\n|%s\n", strings.Repeat(" --- |", strings.Count(text.String(), "|")-1))
	for _, l := range found {
		fmt.Fprintf(&text, "| %s %s |", l.name, l.version)
		for f := range faults {
			for _, r := range results {
				if r != nil {
					fmt.Fprintf(&text, " %s |", r[f][l.name])
				}
			}
		}
		text.WriteString("\n")
	}
	return text.String()
}

func (t toll) String() string {
	return fmt.Sprintf("%d ms, %d of %d lost", t.gap.Round(time.Millisecond).Milliseconds(), t.lost, t.acked)
}
