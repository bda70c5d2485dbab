package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"picket/sentinel/cli"
)

func whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "why [NAME]",
		Short: "Tell what is decided about a master and why; without a name, what is blocked",
		Args:  cobra.MaximumNArgs(1),
	}
	at := cmd.Flags().String("at", "", "what was decided then, as this agent remembers it: 2026-01-02T03:04:05Z (default: now)")
	question(cmd, func(ctx context.Context, r cli.Reasons, args []string) (cli.Answer, error) {
		if len(args) == 0 {
			list, err := r.Blocked(ctx)
			return cli.Answer{Value: list, Table: func(out io.Writer) error { return cli.WriteBlocked(out, list) }}, err
		}
		var when time.Time
		if *at != "" {
			var err error
			if when, err = time.Parse(time.RFC3339, *at); err != nil {
				return cli.Answer{}, usageError{fmt.Errorf("--at %q is no time: write it like 2026-01-02T03:04:05Z", *at)}
			}
		}
		w, err := r.Why(ctx, args[0], when)
		return cli.Answer{Value: w, Table: func(out io.Writer) error { return cli.WriteWhy(out, w) }}, err
	})
	return cmd
}

func planCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan NAME --fail SERVER",
		Short: "Tell what would happen if servers failed now; nothing is touched",
		Args:  cobra.ExactArgs(1),
	}
	failed := cmd.Flags().StringSlice("fail", nil, "a server, as HOST:PORT; may be given more than once")
	silent := cmd.Flags().StringSlice("fail-agent", nil, "an agent that fails with them, by its id; may be given more than once")
	_ = cmd.MarkFlagRequired("fail") // it exists
	question(cmd, func(ctx context.Context, r cli.Reasons, args []string) (cli.Answer, error) {
		f, err := r.Plan(ctx, args[0], *failed, *silent)
		return cli.Answer{Value: f, Table: func(out io.Writer) error { return cli.WritePlan(out, args[0], f) }}, err
	})
	return cmd
}

// question completes a command that asks an agent something and shows the answer.
func question(cmd *cobra.Command, ask func(context.Context, cli.Reasons, []string) (cli.Answer, error)) {
	d := newDoor(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.ask(cmd, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
			return ask(ctx, cli.Reasons{Client: c}, args)
		})
	}
}
