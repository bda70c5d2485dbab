package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/spf13/cobra"

	"picket/sentinel/api"
	"picket/sentinel/cli"
)

func pauseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pause [NAME]",
		Short: "Have nothing begin by itself for a while: no failover, no repair; for one master or for all",
		Args:  cobra.MaximumNArgs(1),
	}
	length := cmd.Flags().Duration("for", time.Hour, "how long; it ends by itself")
	why := cmd.Flags().String("reason", "", "why, for those who wonder")
	guardrail(cmd, func(ctx context.Context, g cli.Guardrails, name string) (api.Pauses, error) {
		return g.Pause(ctx, name, *why, *length)
	}, cli.WritePauses)
	return cmd
}

func resumeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "resume [NAME]", Short: "End a pause: of one master, or the one of all", Args: cobra.MaximumNArgs(1)}
	guardrail(cmd, func(ctx context.Context, g cli.Guardrails, name string) (api.Pauses, error) {
		return g.Resume(ctx, name)
	}, cli.WritePauses)
	return cmd
}

func acknowledgeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "acknowledge NAME",
		Aliases: []string{"ack"},
		Short:   "Lift the cool-down after a master's last failover",
		Args:    cobra.ExactArgs(1),
	}
	guardrail(cmd, func(ctx context.Context, g cli.Guardrails, name string) (api.Acknowledged, error) {
		return g.Acknowledge(ctx, name)
	}, func(out io.Writer, a api.Acknowledged) error {
		_, err := fmt.Fprintf(out, "failover %d of %s is acknowledged: its cool-down keeps the next one no more\n", a.Failover, a.Master)
		return err
	})
	return cmd
}

// guardrail completes a command that says something about one master, or about all, and shows the answer.
func guardrail[T any](cmd *cobra.Command, say func(context.Context, cli.Guardrails, string) (T, error), show func(io.Writer, T) error) {
	d := newDoor(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.ask(cmd, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
			said, err := say(ctx, cli.Guardrails{Client: c, Who: operator()}, optional(args))
			return cli.Answer{Value: said, Table: func(out io.Writer) error { return show(out, said) }}, err
		})
	}
}

// operator is who runs this command, as far as this host knows.
func operator() string {
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}
