package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/cli"
)

// membersTimeout bounds a command; the agent itself gives up earlier.
const membersTimeout = 10 * time.Second

func membersCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "members", Short: "Show the agents of the group, add, replace and remove some"}
	flags := cmd.PersistentFlags()
	path := flags.StringP("config", "c", defaultConfig, "configuration file, for the agent's address")
	agent := flags.String("agent", "", "HTTP address of an agent (default: listen.http of the configuration)")
	output := flags.StringP("output", "o", "text", "text or json")

	// verb makes a command that asks for something and shows the members as they are then.
	verb := func(use, short string, args int, ask func(context.Context, cli.Members, []string) (api.Members, error)) {
		cmd.AddCommand(&cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(args),
			RunE: func(cmd *cobra.Command, args []string) error {
				if *output != "text" && *output != "json" {
					return fmt.Errorf("--output is text or json, not %q", *output)
				}
				addr, err := httpDoor(*path, *agent)
				if err != nil {
					return err
				}
				ctx, cancel := context.WithTimeout(cmd.Context(), membersTimeout)
				defer cancel()
				members, err := ask(ctx, cli.Members{Agent: addr}, args)
				if err != nil {
					return err
				}
				if *output == "json" {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(members)
				}
				return cli.WriteMembers(cmd.OutOrStdout(), members)
			}})
	}
	verb("list", "Show who belongs to the group", 0,
		func(ctx context.Context, m cli.Members, _ []string) (api.Members, error) { return m.List(ctx) })
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
