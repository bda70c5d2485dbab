package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"picket/sentinel/api"
	"picket/sentinel/cli"
)

func webhooksCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "webhooks", Short: "Show where events go, test receivers, deliver again what they did not take"}
	d := newDoor(cmd.PersistentFlags())
	list := &cobra.Command{Use: "list", Short: "Show the webhooks, and what waits for each", Args: cobra.NoArgs}
	about(list, d, func(ctx context.Context, h cli.Webhooks, _ string) (api.WebhookList, error) { return h.List(ctx) }, cli.WriteWebhooks)
	dead := &cobra.Command{Use: "dead WEBHOOK", Short: "Show the events that could not be delivered", Args: cobra.ExactArgs(1)}
	about(dead, d, func(ctx context.Context, h cli.Webhooks, name string) (api.DeadLetters, error) {
		return h.Dead(ctx, name)
	}, cli.WriteDeadLetters)
	test := &cobra.Command{Use: "test WEBHOOK", Short: "Send an event that says that it is a test; a webhook that takes it is enabled", Args: cobra.ExactArgs(1)}
	about(test, d, func(ctx context.Context, h cli.Webhooks, name string) (api.WebhookTested, error) {
		t, err := h.Test(ctx, name)
		if err == nil && !t.OK {
			err = fmt.Errorf("%s has not taken the test: %s", name, t.Error)
		}
		return t, err
	}, cli.WriteTested)
	enable := &cobra.Command{Use: "enable WEBHOOK", Short: "Tell a webhook again whose receiver had said that it is gone", Args: cobra.ExactArgs(1)}
	about(enable, d, func(ctx context.Context, h cli.Webhooks, name string) (api.Webhook, error) {
		return h.Enable(ctx, name)
	}, cli.WriteWebhook)
	cmd.AddCommand(list, dead, test, redeliverCommand(d), enable, dropCommand(d))
	return cmd
}

func redeliverCommand(d *door) *cobra.Command {
	cmd := &cobra.Command{
		Use: "redeliver WEBHOOK", Short: "Deliver again: one event, all dead letters, or everything after an event", Args: cobra.ExactArgs(1),
	}
	var o api.RedeliverOrder
	cmd.Flags().StringVar(&o.ID, "id", "", "one event, dead or not, like CLUSTER-INDEX")
	cmd.Flags().BoolVar(&o.Dead, "dead", false, "all dead letters")
	cmd.Flags().StringVar(&o.Since, "since", "", "everything after this event, in order, a second time")
	cmd.MarkFlagsOneRequired("id", "dead", "since")
	cmd.MarkFlagsMutuallyExclusive("id", "dead", "since")
	about(cmd, d, func(ctx context.Context, h cli.Webhooks, name string) (api.Webhook, error) {
		return h.Redeliver(ctx, name, o)
	}, cli.WriteWebhook)
	return cmd
}

func dropCommand(d *door) *cobra.Command {
	cmd := &cobra.Command{Use: "drop WEBHOOK", Short: "Drop dead letters that nobody needs", Args: cobra.ExactArgs(1)}
	id := cmd.Flags().String("id", "", "one of them, like CLUSTER-INDEX")
	all := cmd.Flags().Bool("all", false, "all of them")
	cmd.MarkFlagsOneRequired("id", "all")
	cmd.MarkFlagsMutuallyExclusive("id", "all")
	about(cmd, d, func(ctx context.Context, h cli.Webhooks, name string) (api.Webhook, error) {
		if *id == "" && !*all {
			return api.Webhook{}, usageError{errors.New("say which: --id ID, or --all")}
		}
		return h.Drop(ctx, name, *id)
	}, cli.WriteWebhook)
	return cmd
}

// about completes a command about a webhook, or about all, and shows the answer.
func about[T any](cmd *cobra.Command, d *door, ask func(context.Context, cli.Webhooks, string) (T, error), show func(io.Writer, T) error) {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return d.ask(cmd, func(ctx context.Context, c *cli.Client) (cli.Answer, error) {
			said, err := ask(ctx, cli.Webhooks{Client: c, Who: operator()}, optional(args))
			return cli.Answer{Value: said, Table: func(out io.Writer) error { return show(out, said) }}, err
		})
	}
}
