package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"picket/sentinel/cli"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show masters, replicas and agents", Args: cobra.NoArgs,
		Long: "Show masters, replicas and agents, as one of the agents knows them.\n\nWith --exit-code it ends with 7 unless every master takes writes and can be failed over, and every agent is heard: " +
			"for scripts that wait, or watch.",
	}
	d := newDoor(cmd.Flags())
	watch := watchFlag(cmd)
	strict := cmd.Flags().Bool("exit-code", false, "end with 7 unless all is well")
	cmd.MarkFlagsMutuallyExclusive("watch", "exit-code")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var unwell unwellError
		err := d.show(cmd, *watch, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
			p, err := cli.Fetch(ctx, c)
			unwell = cli.Unwell(p)
			return cli.Answer{Value: p, Table: func(out io.Writer) error { return cli.Status(out, p) }}, err
		})
		if err == nil && *strict && len(unwell) > 0 {
			return unwell
		}
		return err
	}
	return cmd
}

// watchFlag is of what changes.
func watchFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().BoolP("watch", "w", false, "show it again each second until Ctrl-C")
}

// show shows what the agents answer, once or again and again.
func (d *door) show(cmd *cobra.Command, watch bool, question func(context.Context, *cli.Client) (cli.Answer, error)) error {
	if !watch {
		return d.ask(cmd, question)
	}
	return d.within(cmd, 0, func(ctx context.Context, c *cli.Client) error {
		c.Notes = nil // they would stand in the way
		return cli.Watch(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), d.output, func(ctx context.Context) (cli.Answer, error) { return question(ctx, c) })
	})
}
