package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// scenario is one story of faults.
type scenario struct {
	name     string
	about    string
	settings []string // more lines of the master in Picket's configuration
	alone    bool     // it says nothing about Redis Sentinel
	play     func(context.Context, *field) ([]figure, error)
}

var scenarios = []scenario{
	{name: "crash", play: crash, about: "the master is killed under load"},
	{name: "hang", play: hang, about: "the master is stopped, and wakes"},
	{name: "partition", play: partition, about: "the master's host is cut off, with a client on it"},
	{name: "one-way", play: oneWay, about: "the master's host hears nobody, then nobody hears it"},
	{name: "planned", play: planned, about: "a healthy master is failed over by order, 8 connections writing as fast as they can"},
	{name: "wipe", play: wipe, about: "a master without persistence is killed and restarted within 100 ms"},
	{name: "minority", play: minority, about: "the master dies when one of three agents is left; another one returns"},
	{name: "lonely", play: lonely, about: "two of three agents die, the servers are well"},
	{
		name: "lonely-strict", play: lonelyStrict, about: "the same with lease-loss: strict",
		settings: []string{"lease-loss: strict"}, alone: true,
	},
	{name: "alarm", play: alarm, about: "short stops of the master, starved CPUs, frozen agents"},
	{name: "both", play: both, about: "the master and the leading agent are killed together"},
}

// pace is how long faults last, and how often they come.
type pace struct {
	calm    time.Duration // before a fault, and after it
	crashes int
	hang    time.Duration
	cut     time.Duration
	planned int
	wipes   int
	stalls  int           // of the master
	starved time.Duration // CPUs
}

var (
	full = pace{
		calm: time.Second, crashes: 3, hang: 5 * time.Second, cut: 15 * time.Second, planned: 20, wipes: 20, stalls: 10,
		starved: 5 * time.Second,
	}
	brief = pace{
		calm: 300 * time.Millisecond, crashes: 1, hang: 3 * time.Second, cut: 5 * time.Second, planned: 3, wipes: 3, stalls: 3,
		starved: 2 * time.Second,
	}
)

// figure is one thing that was counted or measured.
type figure struct {
	What  string   `json:"what"`
	Value float64  `json:"value"`
	Unit  string   `json:"unit,omitempty"` // ms or %; empty: a number of things
	Must  *float64 `json:"must,omitempty"` // Picket promises at most this
}

func count(what string, n int) figure { return figure{What: what, Value: float64(n)} }

func took(what string, d time.Duration) figure {
	return figure{What: what, Value: float64(d.Microseconds()) / 1000, Unit: "ms"}
}

func share(what string, part, whole int) figure {
	return figure{What: what, Value: 100 * float64(part) / float64(max(whole, 1)), Unit: "%"}
}

// atMost makes a promise of a figure. Times are bounded generously: the machine may be busy.
func (f figure) atMost(most float64) figure {
	f.Must = &most
	return f
}

func (f figure) kept() bool { return f.Must == nil || f.Value <= *f.Must }

// outcome is how a scenario went on one system.
type outcome struct {
	Figures []figure `json:"figures,omitempty"`
	Why     string   `json:"why,omitempty"`   // what picket says of it
	Error   string   `json:"error,omitempty"` // it did not come to its end
}

// result is how a scenario went on all systems.
type result struct {
	Scenario string             `json:"scenario"`
	About    string             `json:"about"`
	Outcomes map[string]outcome `json:"outcomes"` // by system
}

// play plays a scenario on each system in turn.
func (p plan) play(ctx context.Context, s scenario, out io.Writer) result {
	r := result{Scenario: s.name, About: s.about, Outcomes: map[string]outcome{}}
	for _, system := range systems {
		if system.reference && (s.alone || p.alone) {
			continue
		}
		start := time.Now()
		o := p.playOn(ctx, s, system)
		r.Outcomes[system.name] = o
		fmt.Fprintf(out, "%s, %s (%.0f s)\n", s.name, system.name, time.Since(start).Seconds())
		o.print(out)
	}
	return r
}

func (p plan) playOn(ctx context.Context, s scenario, on system) outcome {
	f, err := p.open(filepath.Join(p.dir, s.name, on.dir), s, on)
	if err != nil {
		return outcome{Error: err.Error()}
	}
	defer f.close()
	figures, err := s.play(ctx, f)
	why, untold := f.why(ctx)
	o := outcome{Figures: figures, Why: why}
	if err = errors.Join(err, untold); err != nil {
		o.Error = err.Error()
	}
	return o
}
