package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// execute runs the command that the command line names. What goes wrong before that begins is a mistake of the command line.
func execute(ctx context.Context, root *cobra.Command) error {
	begun := false
	each(root, func(cmd *cobra.Command) {
		if cmd.HasSubCommands() && !cmd.Runnable() {
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, group
		}
		if run := cmd.RunE; run != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				begun = true
				return run(cmd, args)
			}
		}
	})
	err := root.ExecuteContext(ctx)
	if err != nil && !begun {
		return usageError{fmt.Errorf("%w; `%s --help` shows how it is written", err, strings.TrimSpace(root.Name()))}
	}
	return err
}

// each does something to a command and all below it.
func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, below := range cmd.Commands() {
		each(below, do)
	}
}

// group is a command that only holds others.
func group(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	near := ""
	cmd.SuggestionsMinimumDistance = 2
	if suggestions := cmd.SuggestionsFor(args[0]); len(suggestions) > 0 {
		near = "; did you mean " + strings.Join(suggestions, " or ")
	}
	return usageError{fmt.Errorf("unknown command %q for %q%s; `%s --help` lists the commands", args[0], cmd.CommandPath(), near, cmd.CommandPath())}
}
