// Command clients shows that client libraries follow Picket as they follow Redis Sentinel. A small program for each library writes
// through the library's Sentinel support, all of them to one group at the same time, while the master is handed over and then killed. No
// program is restarted or told anything. What it prints beside Redis Sentinel's figures is how long each of them could not write.
//
// It ends with 1 when a library does not go on writing with Picket, or a write is lost when Picket hands a master over.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"picket/sentinel/lab"
)

func main() { lab.Main("clients", run) }

// plan is what the command line asks for.
type plan struct {
	picket   string
	programs string // directory of the libraries' programs
	dir      string // where everything is written
	rounds   int
	alone    bool
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var p plan
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	flags.StringVar(&p.picket, "picket", "bin/picket", "the binary whose clients these are")
	flags.StringVar(&p.programs, "programs", "sentinel/clients/testdata", "the directory of the libraries' programs")
	flags.IntVar(&p.rounds, "rounds", 3, "hand-overs, and kills, of the master")
	flags.BoolVar(&p.alone, "alone", false, "leave Redis Sentinel out")
	flags.StringVar(&p.dir, "dir", "", "where logs stay (default: a temporary directory, which stays when something is wrong)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	temporary := p.dir == ""
	var err error
	if temporary {
		p.dir, err = os.MkdirTemp("", "picket-clients-")
	} else {
		p.dir, err = filepath.Abs(p.dir) // programs are built into it from elsewhere
	}
	if err != nil {
		return err
	}
	if err := p.run(ctx, out); err != nil {
		return fmt.Errorf("%w\nlogs: %s", err, p.dir)
	}
	if temporary {
		return os.RemoveAll(p.dir)
	}
	return nil
}

func (p plan) run(ctx context.Context, out io.Writer) error {
	found, missing := installed(ctx, p.programs, p.dir)
	for _, m := range missing {
		fmt.Fprintln(out, "left out:", m)
	}
	results := make([]result, len(systems))
	var broken []string
	for i, s := range systems {
		if p.alone && s.reference {
			continue
		}
		var err error
		if results[i], err = p.play(ctx, s, found, out); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		if !s.reference {
			broken = results[i].broken(found)
		}
	}
	fmt.Fprint(out, "\n", table(found, results))
	if len(broken) > 0 {
		return errors.New(strings.Join(broken, "\n"))
	}
	return nil
}
