package main

import (
	"context"

	"github.com/spf13/cobra"

	"picket/sentinel/cli"
)

func shadowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "shadow", Short: "Tell what agents that only watch would have done, beside what Redis Sentinels did, and whether they may take over", Args: cobra.NoArgs,
		Long: "Tell what agents that only watch would have done, beside what Redis Sentinels did, and whether they may take over.\n\n" +
			"With --exit-code it ends with 7 as long as something is against that.",
	}
	d := newDoor(cmd.Flags())
	strict := cmd.Flags().Bool("exit-code", false, "end with 7 unless the agents may take over")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var against unwellError
		err := d.ask(cmd, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
			p, err := cli.Fetch(ctx, c)
			if err != nil {
				return cli.Answer{}, err
			}
			compared, err := cli.Compared(ctx, c)
			r := cli.Shadow(p, compared)
			against = r.Against
			return cli.Answer{Value: r, Table: r.Table}, err
		})
		if err == nil && *strict && len(against) > 0 {
			return against
		}
		return err
	}
	return cmd
}
