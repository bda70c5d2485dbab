package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"
)

// report holds everything that was measured, by the contenders' names.
type report struct {
	Machine   string
	Rounds    int
	Proposers []int
	Behind    int64
	Loads     map[string]map[int][]load
	Elected   map[string][]time.Duration // after the leader's end
	Writable  map[string][]time.Duration
	Campaign  []time.Duration // ours
	CatchUp   map[string][]time.Duration
	Sizes     map[string]map[int][]float64 // commits per second of 64 proposers, by nodes
}

func newReport(p plan) *report {
	r := &report{
		Machine: fmt.Sprintf("%d cores, %s/%s, %s", runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version()),
		Rounds:  p.rounds, Proposers: p.proposers, Behind: p.behind,
		Loads: map[string]map[int][]load{}, Elected: map[string][]time.Duration{}, Writable: map[string][]time.Duration{},
		CatchUp: map[string][]time.Duration{}, Sizes: map[string]map[int][]float64{},
	}
	for _, ct := range contenders {
		r.Loads[ct.name], r.Sizes[ct.name] = map[int][]load{}, map[int][]float64{}
	}
	return r
}

// of gives the median of one figure of a contender's loads.
func of[T int64 | float64 | time.Duration](r *report, name string, proposers int, figure func(load) T) T {
	var values []T
	for _, l := range r.Loads[name][proposers] {
		values = append(values, figure(l))
	}
	return median(values)
}

func perSecond(l load) float64   { return l.PerSecond }
func p50(l load) time.Duration   { return l.P50 }
func p99(l load) time.Duration   { return l.P99 }
func allocs(l load) float64      { return l.Allocs }
func bytesOf(l load) float64     { return l.Bytes }
func cpuOf(l load) time.Duration { return l.CPU }

// print writes medians, and our ratio to each of the others.
func (r *report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "three nodes in one process, durable, loopback TCP, commands of %d bytes; medians of %d rounds; %s\n",
		commandBytes, r.Rounds, r.Machine)
	ours := contenders[0].name
	for _, n := range r.Proposers {
		fmt.Fprintf(w, "\n%d PROPOSERS\tcommits/s\tours is\tp50\tp99\tallocs\tbytes\tCPU, each commit\n", n)
		for _, ct := range contenders {
			rate := of(r, ct.name, n, perSecond)
			fmt.Fprintf(w, "%s\t%.0f\t%.2f x\t%s\t%s\t%.0f\t%.0f\t%s\n", ct.name, rate, of(r, ours, n, perSecond)/rate,
				round(of(r, ct.name, n, p50)), round(of(r, ct.name, n, p99)), of(r, ct.name, n, allocs), of(r, ct.name, n, bytesOf),
				round(of(r, ct.name, n, cpuOf)))
		}
	}
	fmt.Fprintf(w, "\nLEADER STOPS\tanother one\tslowest\ta commit\tslowest\n")
	for _, ct := range contenders {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", ct.name, round(median(r.Elected[ct.name])), round(slowest(r.Elected[ct.name])),
			round(median(r.Writable[ct.name])), round(slowest(r.Writable[ct.name])))
	}
	fmt.Fprintf(w, "\nFAILURE ELECTION, the leader lives, to the first commit\t%s\n", round(median(r.Campaign)))
	fmt.Fprintf(w, "\nA FOLLOWER CATCHES UP WITH %d COMMANDS\ttime\tours is\n", r.Behind)
	for _, ct := range contenders {
		d := median(r.CatchUp[ct.name])
		fmt.Fprintf(w, "%s\t%s\t%.2f x as fast\n", ct.name, round(d), float64(d)/float64(median(r.CatchUp[ours])))
	}
	r.printSizes(w)
	r.printGoals(w)
	return w.Flush()
}

func (r *report) printSizes(w io.Writer) {
	if len(r.Sizes[contenders[0].name]) == 0 {
		return
	}
	fmt.Fprintf(w, "\n64 PROPOSERS, commits/s\t3 nodes\t5 nodes\t7 nodes\n")
	for _, ct := range contenders {
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\n", ct.name, of(r, ct.name, 64, perSecond), median(r.Sizes[ct.name][5]), median(r.Sizes[ct.name][7]))
	}
}

// slowest of what was measured; 0: nothing was.
func slowest(values []time.Duration) (most time.Duration) {
	for _, d := range values {
		most = max(most, d)
	}
	return most
}

// printGoals compares with what we want to reach.
func (r *report) printGoals(w io.Writer) {
	ours := contenders[0].name
	rate, lone := of(r, ours, 64, perSecond), of(r, ours, 1, p50)
	fastest, quickest := 0.0, time.Duration(1<<62)
	for _, ct := range contenders[1:] {
		fastest = max(fastest, of(r, ct.name, 64, perSecond))
		quickest = min(quickest, of(r, ct.name, 1, p50))
	}
	bolt := of(r, contenders[len(contenders)-1].name, 64, perSecond)
	goal := func(text string, value, want float64, met bool) {
		verdict := "reached"
		if !met {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s\t%.2f\tgoal %.2f\t%s\n", text, value, want, verdict)
	}
	fmt.Fprintf(w, "\nGOALS\n")
	goal("64 proposers, times hashicorp/raft with boltdb", rate/bolt, 2, rate >= 2*bolt)
	goal("64 proposers, times the fastest other", rate/fastest, 1.2, rate >= 1.2*fastest)
	goal("1 proposer, p50, of the quickest other's", float64(lone)/float64(quickest), 1, lone <= quickest)
	election := median(r.Campaign)
	goal("failure election to the first commit, ms", election.Seconds()*1000, 5, election <= 5*time.Millisecond)
}

// round keeps three digits.
func round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}
