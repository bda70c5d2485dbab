package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"picket/config/sentinelconf"
)

// likeSentinel is what redis-sentinel is started with.
type likeSentinel struct {
	file       *string
	input      *bool
	directives *[]string
}

const (
	sentinelConfFlag = "sentinel-conf"
	// What arguments makes of Sentinel's command line.
	inputFlag     = "sentinel-input"
	directiveFlag = "sentinel-directive"
)

func sentinelFlags(cmd *cobra.Command) *likeSentinel {
	l := &likeSentinel{
		file:       cmd.Flags().String(sentinelConfFlag, "", "configuration of Redis Sentinel, to start from; - is the standard input"),
		input:      cmd.Flags().Bool(inputFlag, false, ""),
		directives: cmd.Flags().StringArray(directiveFlag, nil, ""),
	}
	for _, hidden := range []string{inputFlag, directiveFlag} {
		_ = cmd.Flags().MarkHidden(hidden) // fails only without the flag
	}
	return l
}

// source is what is to be read.
func (l *likeSentinel) source(stdin io.Reader) (sentinelconf.Source, error) {
	s := sentinelconf.Source{Overrides: *l.directives}
	if *l.input || *l.file == "-" {
		s.Input = stdin
	}
	if *l.file == "" || *l.file == "-" {
		if s.Input == nil && len(s.Overrides) == 0 {
			return s, usageError{errors.New("there is no configuration: give the path of a sentinel.conf, as in redis-sentinel /etc/redis/sentinel.conf")}
		}
		return s, nil
	}
	var err error
	s.File, err = filepath.Abs(*l.file)
	return s, err
}

// arguments makes Picket's command line of the one with which it was started: under the name of a Sentinel that is Sentinel's, and with --sentinel-conf
// it may hold directives.
func arguments(root *cobra.Command, argv []string) []string {
	args := argv[1:]
	if name := filepath.Base(argv[0]); strings.Contains(name, "redis-sentinel") || strings.Contains(name, "valkey-sentinel") {
		args = fromSentinel(args)
	}
	cmd, rest, err := root.Find(args)
	if err != nil || cmd.Flags().Lookup(sentinelConfFlag) == nil ||
		!slices.ContainsFunc(rest, func(a string) bool {
			return a == "--"+sentinelConfFlag || strings.HasPrefix(a, "--"+sentinelConfFlag+"=")
		}) {
		return args
	}
	words := args[:len(args)-len(rest)]
	input := len(rest) > 0 && rest[len(rest)-1] == "-" && (len(rest) < 2 || rest[len(rest)-2] != "--"+sentinelConfFlag)
	if input {
		rest = rest[:len(rest)-1]
	}
	lines, rest := sentinelconf.Overrides(rest, func(args []string) int { return ownWords(cmd.Flags(), args) })
	args = slices.Concat(words, rest)
	if input {
		args = append(args, "--"+inputFlag)
	}
	for _, line := range lines {
		args = append(args, "--"+directiveFlag, line)
	}
	return args
}

// fromSentinel understands `redis-sentinel FILE …`, as far as that is not directives.
func fromSentinel(args []string) []string {
	switch {
	case len(args) == 1 && (args[0] == "-v" || args[0] == "--version"):
		return []string{"version"}
	case len(args) == 1 && (args[0] == "-h" || args[0] == "--help"):
		return []string{"run", "--help"}
	case len(args) > 0 && (args[0] == "-" || !strings.HasPrefix(args[0], "-")):
		return append([]string{"run", "--" + sentinelConfFlag}, args...)
	}
	return append([]string{"run", "--" + sentinelConfFlag + "="}, args...)
}

// ownWords says how many of the words are one of Picket's own flags and its value; 0: the first is none.
func ownWords(flags *pflag.FlagSet, args []string) int {
	name, _, whole := strings.Cut(args[0], "=")
	flag := flags.ShorthandLookup("c")
	if name != "-c" {
		flag = flags.Lookup(strings.TrimPrefix(name, "--"))
	}
	switch {
	case flag == nil || flag.Hidden:
		return 0
	case whole || flag.NoOptDefVal != "":
		return 1
	}
	return 2
}

// logFile is opened anew for each line, as Redis Sentinel does: whoever rotates logs renames it, and tells nobody.
type logFile string

func (f logFile) Write(line []byte) (int, error) {
	file, err := os.OpenFile(string(f), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // Sentinel's; umask says who may read it
	if err != nil {
		return 0, err
	}
	n, err := file.Write(line)
	return n, errors.Join(err, file.Close())
}

// try finds out whether it can be written.
func (f logFile) try() error {
	if _, err := f.Write(nil); err != nil {
		return fmt.Errorf("open the log file: %w; name one that this user may write, or \"\" for the standard output, with logfile", err)
	}
	return nil
}
