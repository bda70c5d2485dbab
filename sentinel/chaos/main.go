// Command chaos breaks hosts and networks under Picket and under Redis Sentinel and counts what their clients lose. Each system
// gets a field of its own: three hosts with a redis-server and an agent (or a Sentinel) each and one for clients, every one a
// network namespace at one switch. Every scenario is played on both in turn, with the same clients and the same faults. Every
// write is accounted for: what was acknowledged and is not on the surviving master is lost.
//
// It ends with 1 when Picket breaks one of its promises; what those are is in the report's last column.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"picket/sentinel/lab"
)

func main() { lab.Main("chaos", run) }

// plan is what the command line asks for.
type plan struct {
	picket   string
	only     []string // names of scenarios; empty: all
	alone    bool
	pace     pace
	dir      string
	json     string
	markdown string
}

func run(ctx context.Context, args []string, out io.Writer) error {
	p := plan{pace: full}
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.StringVar(&p.picket, "picket", "bin/picket", "the binary to break")
	only := flags.String("only", "", "the scenarios to play, with commas (default: all)")
	flags.BoolVar(&p.alone, "alone", false, "play on Picket only")
	short := flags.Bool("short", false, "shorter faults, fewer rounds")
	flags.StringVar(&p.dir, "dir", "", "where logs and the agents' status stay (default: a temporary directory, which stays when a "+
		"promise is broken)")
	flags.StringVar(&p.json, "json", "", "write the figures to this file as JSON")
	flags.StringVar(&p.markdown, "markdown", "", "write the table to this file for the documentation")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *short {
		p.pace = brief
	}
	if *only != "" {
		p.only = strings.Split(*only, ",")
	}
	return p.run(ctx, out)
}

func (p plan) run(ctx context.Context, out io.Writer) error {
	chosen, err := choose(p.only)
	if err != nil {
		return err
	}
	temporary := p.dir == ""
	if temporary {
		p.dir, err = os.MkdirTemp("", "picket-chaos-")
	} else {
		err = os.MkdirAll(p.dir, 0o700)
	}
	if err != nil {
		return err
	}
	var results []result
	for _, s := range chosen {
		r := p.play(ctx, s, out)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		results = append(results, r)
	}
	if err := p.report(out, results); err != nil {
		return err
	}
	broken := brokenIn(results)
	if temporary && len(broken) == 0 {
		return os.RemoveAll(p.dir)
	}
	fmt.Fprintln(out, "logs:", p.dir)
	if len(broken) > 0 {
		return errors.New("promises are broken:\n" + strings.Join(broken, "\n"))
	}
	return nil
}

// choose gives the scenarios of these names.
func choose(names []string) ([]scenario, error) {
	if len(names) == 0 {
		return scenarios, nil
	}
	var chosen []scenario
	for _, name := range names {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no scenario %q", name)
		}
		chosen = append(chosen, scenarios[i])
	}
	return chosen, nil
}
