package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/cli"
	"picket/sentinel/picture"
)

func switchoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "switchover NAME",
		Short: "Hand a healthy master over to a replica, without losing a write",
		Long: `Hand a healthy master over to a replica. Its writers wait for some milliseconds, and no acknowledged write is lost.
With --if-local it does so only where the Redis beside the agent is the master, and returns when that may be stopped.`,
		Args: cobra.ExactArgs(1),
	}
	path := configFlag(cmd)
	agent := cmd.Flags().String("agent", "", "HTTP address of an agent (default: listen.http of the configuration)")
	to := cmd.Flags().String("to", "", "the replica, as HOST:PORT (default: the best one)")
	at := cmd.Flags().String("at", "", "when: 2026-01-02T03:04:05Z, or 03:04 for the next time it is that (default: now)")
	local := cmd.Flags().Bool("if-local", false, "only if the Redis beside the agent is the master: before that is stopped")
	withdraw := cmd.Flags().Bool("cancel", false, "take back what is ordered for later")
	timeout := cmd.Flags().Duration("timeout", time.Minute, "how long to wait for its end")
	cmd.MarkFlagsMutuallyExclusive("cancel", "at")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		addr, err := httpDoor(*path, *agent)
		if err != nil {
			return err
		}
		when, err := instant(*at, time.Now())
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		orders := cli.Orders{Agent: addr, Who: operator()}
		if *withdraw {
			return orders.Cancel(ctx, cmd.OutOrStdout(), args[0])
		}
		if *local {
			beside, err := masterIsLocal(ctx, addr, args[0])
			if err != nil || !beside {
				return err
			}
		}
		return orders.Switchover(ctx, cmd.OutOrStdout(), api.SwitchoverOrder{Master: args[0], To: config.Addr(*to), At: when})
	}
	return cmd
}

func forgetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forget NAME REPLICA",
		Short: "Forget a replica that is gone for good, so that no failover waits for it",
		Args:  cobra.ExactArgs(2),
	}
	path := configFlag(cmd)
	agent := cmd.Flags().String("agent", "", "HTTP address of an agent (default: listen.http of the configuration)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		addr, err := httpDoor(*path, *agent)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), orderTimeout)
		defer cancel()
		return cli.Orders{Agent: addr, Who: operator()}.Forget(ctx, cmd.OutOrStdout(), args[0], config.Addr(args[1]))
	}
	return cmd
}

// masterIsLocal says whether the Redis beside an agent is the master.
func masterIsLocal(ctx context.Context, agent config.Addr, name string) (bool, error) {
	p, err := cli.Fetch(ctx, agent)
	if err != nil {
		return false, err
	}
	for _, m := range p.Masters {
		if m.Name == name {
			return p.Lease != nil && p.Lease.Server == m.Server.Addr, nil
		}
	}
	return false, picture.ErrUnknownMaster
}

// instant reads when something is to be done; the zero time: now.
func instant(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if clock, err := time.ParseInLocation("15:04", text, now.Location()); err == nil {
		at := time.Date(now.Year(), now.Month(), now.Day(), clock.Hour(), clock.Minute(), 0, 0, now.Location())
		if !at.After(now) {
			at = at.AddDate(0, 0, 1)
		}
		return at, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("--at %q is no time: write it like 2026-01-02T03:04:05Z, or 03:04", text)
	}
	if !at.After(now) {
		return at, errors.New("--at has passed")
	}
	return at, nil
}
