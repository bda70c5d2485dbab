package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// report prints medians, the 99th percentile (of few rounds: the worst) and ratios of the medians.
func report(out io.Writer, p plan, systems []*system) {
	fmt.Fprintf(out, "\n3 hosts, down-after %s, go-redis client; milliseconds from the fault, median / p99 / worst\n\n", p.downAfter)
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprint(w, "what\t")
	for _, s := range systems {
		fmt.Fprintf(w, "%s\t", s.name)
	}
	fmt.Fprintln(w, "ratio")
	for f := range faults {
		if len(systems[0].rounds[f]) == 0 {
			continue
		}
		n := len(systems[0].rounds[f])
		if f == planned {
			row(w, systems, fmt.Sprintf("%s (%d): longest wait of each of %d writers", f, n, writers), f,
				func(r round) []time.Duration { return r.gaps })
			fullRow(w, systems)
		} else {
			row(w, systems, fmt.Sprintf("%s (%d): a client writes again", f, n), f,
				func(r round) []time.Duration { return []time.Duration{r.gap} })
			row(w, systems, fmt.Sprintf("%s: the returned master is a replica", f), f,
				func(r round) []time.Duration { return []time.Duration{r.rejoin} })
		}
		lostRow(w, systems, f)
	}
	_ = w.Flush() // stdout
}

func row(w io.Writer, systems []*system, what string, f fault, of func(round) []time.Duration) {
	fmt.Fprintf(w, "%s\t", what)
	var medians []time.Duration
	for _, s := range systems {
		var values []time.Duration
		for _, r := range s.rounds[f] {
			values = append(values, of(r)...)
		}
		slices.Sort(values)
		medians = append(medians, quantile(values, 0.5))
		fmt.Fprintf(w, "%.0f / %.0f / %.0f\t", ms(quantile(values, 0.5)), ms(quantile(values, 0.99)), ms(values[len(values)-1]))
	}
	if len(medians) == 2 {
		fmt.Fprintf(w, "%.1f ×", float64(medians[1])/float64(medians[0]))
	}
	fmt.Fprintln(w)
}

func fullRow(w io.Writer, systems []*system) {
	fmt.Fprint(w, "switchover: full resyncs\t")
	for _, s := range systems {
		full := 0
		for _, r := range s.rounds[planned] {
			full += r.full
		}
		fmt.Fprintf(w, "%d\t", full)
	}
	fmt.Fprintln(w)
}

func lostRow(w io.Writer, systems []*system, f fault) {
	fmt.Fprintf(w, "%s: acknowledged writes lost\t", f)
	for _, s := range systems {
		lost, acked := 0, 0
		for _, r := range s.rounds[f] {
			lost, acked = lost+r.lost, acked+r.acked
		}
		fmt.Fprintf(w, "%d of %d\t", lost, acked)
	}
	fmt.Fprintln(w)
}

// quantile of sorted values, the nearest rank.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
