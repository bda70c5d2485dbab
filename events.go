package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"picket/sentinel/cli"
)

func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "events", Short: "Print what the agents have agreed on: failovers, pauses, replicas that came and went", Args: cobra.NoArgs,
		Long: "Print what the agents have agreed on: failovers, pauses, replicas that came and went.\n\nWith --follow it goes on until Ctrl-C; when the agent that is asked ends, another one goes on " +
			"where that was.",
	}
	d := newDoor(cmd.Flags())
	follow := cmd.Flags().BoolP("follow", "f", false, "go on with those to come, until Ctrl-C")
	after := cmd.Flags().String("after", "", "only those after this `id`")
	types := cmd.Flags().StringArray("type", nil, "only of this `type`, or like failover.*; may be given more than once")
	masters := cmd.Flags().StringArray("master", nil, "only of this master; may be given more than once")
	limit := cmd.Flags().Int("limit", 20, "so many at most, without --follow")
	cmd.MarkFlagsMutuallyExclusive("follow", "limit")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *follow {
			return d.within(cmd, 0, func(ctx context.Context, c *cli.Client) error {
				e := cli.Events{Client: c, Types: *types, Masters: *masters}
				return e.Follow(ctx, *after, func(t cli.Told) error {
					return d.output.Write(cmd.OutOrStdout(), cli.Answer{Value: t, Table: func(out io.Writer) error { return cli.WriteTold(out, t) }})
				})
			})
		}
		return d.ask(cmd, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
			list, err := cli.Events{Client: c, Types: *types, Masters: *masters}.List(ctx, *after, *limit)
			return cli.Answer{Value: list, Table: func(out io.Writer) error { return cli.WriteEvents(out, list) }}, err
		})
	}
	return cmd
}

func historyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "history [EPOCH]", Short: "List the failovers and switchovers that were, or tell one", Args: cobra.MaximumNArgs(1),
	}
	d := newDoor(cmd.Flags())
	master := cmd.Flags().String("master", "", "only of this master")
	limit := cmd.Flags().Int("limit", 20, "so many at most")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.ask(cmd, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
			if len(args) == 1 {
				if _, err := strconv.ParseUint(args[0], 10, 64); err != nil {
					return cli.Answer{}, usageError{fmt.Errorf("%q is no epoch: `picket history` lists those that there are", args[0])}
				}
				p, err := cli.Past(ctx, c, args[0])
				return cli.Answer{Value: p, Table: func(out io.Writer) error { return cli.WritePast(out, p) }}, err
			}
			list, err := cli.History(ctx, c, *master, *limit)
			return cli.Answer{Value: list, Table: func(out io.Writer) error { return cli.WriteHistory(out, list.Failovers) }}, err
		})
	}
	return cmd
}
