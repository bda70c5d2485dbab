package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/cli"
)

func membersCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "members", Short: "Show the agents of the group, add, replace and remove some"}
	d := newDoor(cmd.PersistentFlags())

	// verb makes a command that asks for something and shows the members as they are then.
	verb := func(use, short string, args int, ask func(context.Context, cli.Members, []string) (api.Members, error)) {
		cmd.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args),
			RunE: func(cmd *cobra.Command, args []string) error {
				return d.ask(cmd, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
					members, err := ask(ctx, cli.Members{Client: c}, args)
					return cli.Answer{Value: members, Table: func(out io.Writer) error { return cli.WriteMembers(out, members) }}, err
				})
			}})
	}
	list := &cobra.Command{Use: "list", Short: "Show who belongs to the group", Args: cobra.NoArgs}
	watch := watchFlag(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		return d.show(cmd, *watch, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
			members, err := cli.Members{Client: c}.List(ctx)
			return cli.Answer{Value: members, Table: func(out io.Writer) error { return cli.WriteMembers(out, members) }}, err
		})
	}
	cmd.AddCommand(list)
	verb("add ID ADDRESS", "Let an agent in before it runs, or tell where a member has moved; ADDRESS is of its port for other agents", 2,
		func(ctx context.Context, m cli.Members, args []string) (api.Members, error) {
			return m.Add(ctx, args[0], config.Addr(args[1]))
		})
	verb("remove ID", "Take an agent out, for good or to replace it", 1,
		func(ctx context.Context, m cli.Members, args []string) (api.Members, error) {
			return m.Remove(ctx, args[0])
		})
	verb("promote ID", "Give a new agent its vote now; it asks for it by itself", 1,
		func(ctx context.Context, m cli.Members, args []string) (api.Members, error) {
			return m.Promote(ctx, args[0])
		})
	verb("transfer ID", "Have another agent lead", 1,
		func(ctx context.Context, m cli.Members, args []string) (api.Members, error) {
			return m.Transfer(ctx, args[0])
		})
	return cmd
}
