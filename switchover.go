package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"picket/config"
	"picket/sentinel/api"
	"picket/sentinel/cli"
	"picket/sentinel/picture"
)

func failoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "failover NAME",
		Short: "Fail a master over to its best replica, whatever its health",
		Args:  cobra.ExactArgs(1),
	}
	d := newDoor(cmd.Flags())
	allow := cmd.Flags().Bool("allow-data-loss", false, "go on without replicas that may hold writes which clients have waited for")
	ignore := ignoreHooksFlag(cmd)
	timeout := timeoutFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.order(cmd, *timeout, func(ctx context.Context, o cli.Orders) error {
			return o.Failover(ctx, api.FailoverOrder{Master: args[0], AllowDataLoss: *allow, IgnoreHooks: *ignore})
		})
	}
	return cmd
}

// ignoreHooksFlag passes an operator's programs over.
func ignoreHooksFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("ignore-hooks", false, "do not ask the program of hooks in the configuration, which might forbid it")
}

// timeoutFlag is for what goes on after an agent has begun it.
func timeoutFlag(cmd *cobra.Command) *time.Duration {
	return cmd.Flags().Duration("timeout", time.Minute, "how long to wait for its end; it goes on after that")
}

// order has something done to a master.
func (d *door) order(cmd *cobra.Command, limit time.Duration, do func(context.Context, cli.Orders) error) error {
	return d.within(cmd, limit, func(ctx context.Context, c *cli.Client) error {
		return do(ctx, cli.Orders{Client: c, Who: operator(), Out: cmd.OutOrStdout(), Format: d.output})
	})
}

func switchoverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "switchover NAME",
		Short: "Hand a healthy master over to a replica, without losing a write",
		Long: `Hand a healthy master over to a replica. Its writers wait for some milliseconds, and no acknowledged write is lost.
With --if-local it does so only where the Redis beside the agent is the master, and returns when that may be stopped.`,
		Args: cobra.ExactArgs(1),
	}
	d := newDoor(cmd.Flags())
	to := cmd.Flags().String("to", "", "the replica, as HOST:PORT (default: the best one)")
	at := cmd.Flags().String("at", "", "when: 2026-01-02T03:04:05Z, or 03:04 for the next time it is that (default: now)")
	local := cmd.Flags().Bool("if-local", false, "only if the Redis beside the agent is the master: before that is stopped")
	withdraw := cmd.Flags().Bool("cancel", false, "take back what is ordered for later")
	ignore := ignoreHooksFlag(cmd)
	timeout := timeoutFlag(cmd)
	cmd.MarkFlagsMutuallyExclusive("cancel", "at")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		when, err := instant(*at, time.Now())
		if err != nil {
			return err
		}
		return d.order(cmd, *timeout, func(ctx context.Context, o cli.Orders) error {
			if *withdraw {
				return o.Cancel(ctx, args[0])
			}
			if *local {
				beside, err := masterIsLocal(ctx, o.Client.Only(), args[0])
				if err != nil || !beside {
					return err
				}
			}
			return o.Switchover(ctx, api.SwitchoverOrder{Master: args[0], To: config.Addr(*to), At: when, IgnoreHooks: *ignore})
		})
	}
	return cmd
}

func forgetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "forget NAME REPLICA",
		Short: "Forget a replica that is gone for good, so that no failover waits for it",
		Args:  cobra.ExactArgs(2),
	}
	d := newDoor(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.order(cmd, orderTimeout, func(ctx context.Context, o cli.Orders) error {
			return o.Forget(ctx, args[0], config.Addr(args[1]))
		})
	}
	return cmd
}

// masterIsLocal says whether the Redis beside an agent is the master.
func masterIsLocal(ctx context.Context, beside *cli.Client, name string) (bool, error) {
	p, err := cli.Fetch(ctx, beside)
	if err != nil {
		return false, err
	}
	for _, m := range p.Masters {
		if m.Name == name {
			return p.Lease != nil && p.Lease.Server == m.Server.Addr, nil
		}
	}
	return false, notFound(picture.ErrUnknownMaster)
}

// notFound is what an agent would say of something that there is not.
func notFound(err error) error {
	return api.Problem{Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: err.Error()}
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
		return at, usageError{fmt.Errorf("--at %q is no time: write it like 2026-01-02T03:04:05Z, or 03:04", text)}
	}
	if !at.After(now) {
		return at, usageError{errors.New("--at has passed: leave it away to begin now")}
	}
	return at, nil
}
